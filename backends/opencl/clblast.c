/*
 * CLBlast, where it is built in: products of matrices on GPUs. It is offered
 * after a check on the device, whose outcome is kept in the cache directory.
 */
#include "backends/opencl/opencl.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef KILN_CLBLAST
#include "backends/opencl/clblast.h"

#define TEXT_OF(x) #x
#define TEXT(x)    TEXT_OF(x)
#define VERSION                                                                                    \
    TEXT(CLBLAST_VERSION_MAJOR) "." TEXT(CLBLAST_VERSION_MINOR) "." TEXT(CLBLAST_VERSION_PATCH)
#endif

/* BLAS's view of an operand: row-major, perhaps transposed, rows ld apart. */
struct operand {
    bool fits, transposed;
    int64_t ld;
};

static struct operand operand_of(const int64_t stride[3], int64_t rows, int64_t columns)
{
    if (stride[2] == 1 || columns == 1) {
        int64_t ld = rows == 1 ? columns : stride[1];
        return (struct operand){ld >= columns && (columns > 1 || ld > 0), false, ld};
    }
    int64_t ld = columns == 1 ? rows : stride[2];
    return (struct operand){stride[1] == 1 && ld >= rows, true, ld};
}

bool cl_blast_suits(const struct kiln_step_matmul *s)
{
    enum { SMALL = 32 * 32 * 32 };
    int64_t ld = s->m == 1 ? s->n : s->c_stride[1];
    return operand_of(s->a_stride, s->m, s->k).fits && operand_of(s->b_stride, s->k, s->n).fits &&
           ld >= s->n && s->m * s->n * s->k * s->batch >= SMALL;
}

#ifdef KILN_CLBLAST

int cl_blast_mute_stdout(void)
{
    fflush(stdout);
    int kept = dup(STDOUT_FILENO);
    if (kept >= 0)
        dup2(STDERR_FILENO, STDOUT_FILENO);
    return kept;
}

void cl_blast_restore_stdout(int kept)
{
    if (kept < 0)
        return;
    fflush(stdout);
    dup2(kept, STDOUT_FILENO);
    close(kept);
}

int cl_blast_multiply(kiln_device_state *device, const struct kiln_step_matmul *s,
                      const struct cl_blast_places *at)
{
    struct operand a = operand_of(s->a_stride, s->m, s->k), b = operand_of(s->b_stride, s->k, s->n);
    int64_t c_ld = s->m == 1 ? s->n : s->c_stride[1];
    CLBlastTranspose ta = a.transposed ? CLBlastTransposeYes : CLBlastTransposeNo;
    CLBlastTranspose tb = b.transposed ? CLBlastTransposeYes : CLBlastTransposeNo;
    if (s->batch == 1)
        return CLBlastSgemm(CLBlastLayoutRowMajor, ta, tb, (size_t)s->m, (size_t)s->n, (size_t)s->k,
                            1.0f, at->a, at->a_offset, (size_t)a.ld, at->b, at->b_offset,
                            (size_t)b.ld, 0.0f, at->c, at->c_offset, (size_t)c_ld, &device->queue,
                            NULL);
    return CLBlastSgemmStridedBatched(
        CLBlastLayoutRowMajor, ta, tb, (size_t)s->m, (size_t)s->n, (size_t)s->k, 1.0f, at->a,
        at->a_offset, (size_t)a.ld, (size_t)s->a_stride[0], at->b, at->b_offset, (size_t)b.ld,
        (size_t)s->b_stride[0], 0.0f, at->c, at->c_offset, (size_t)c_ld, (size_t)s->c_stride[0],
        (size_t)s->batch, &device->queue, NULL);
}

/* --- the check ----------------------------------------------------------------- */

static void fill(float *values, int64_t n, uint32_t seed)
{
    for (int64_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        values[i] = (float)(int32_t)seed * 0x1p-31f;
    }
}

/* Freivalds 1977: c r = a (b r) for a random r, by rows, in double. */
static bool plausible(const struct kiln_step_matmul *s, const float *a, const float *b,
                      const float *c, double *work)
{
    double *r = work, *br = work + s->n;
    for (int64_t q = 0; q < s->batch; q++) {
        for (int64_t j = 0; j < s->n; j++)
            r[j] = 1 + (double)((j * 7919 + q) % 13) / 13;
        for (int64_t p = 0; p < s->k; p++) {
            br[p] = 0;
            for (int64_t j = 0; j < s->n; j++)
                br[p] += r[j] * b[q * s->b_stride[0] + p * s->b_stride[1] + j * s->b_stride[2]];
        }
        for (int64_t i = 0; i < s->m; i++) {
            double want = 0, got = 0, size = 0;
            for (int64_t p = 0; p < s->k; p++) {
                double term =
                    a[q * s->a_stride[0] + i * s->a_stride[1] + p * s->a_stride[2]] * br[p];
                want += term;
                size += fabs(term);
            }
            for (int64_t j = 0; j < s->n; j++)
                got += r[j] * c[q * s->c_stride[0] + i * s->c_stride[1] + j];
            if (!(fabs(got - want) <= 1e-5 * size))
                return false;
        }
    }
    return true;
}

static bool upload(kiln_device_state *device, cl_mem buffer, const float *values, int64_t n)
{
    return clEnqueueWriteBuffer(device->queue, buffer, CL_TRUE, 0, (size_t)n * 4, values, 0, NULL,
                                NULL) == CL_SUCCESS;
}

struct sizes {
    int64_t a, b, c; /* elements */
};

static struct sizes sizes_of(const struct kiln_step_matmul *s)
{
    return (struct sizes){s->batch * s->m * s->k, s->batch * s->k * s->n, s->batch * s->m * s->n};
}

bool cl_blast_product_create(kiln_device_state *device, int64_t batch, int64_t side, bool ta,
                             bool tb, struct cl_blast_product *p)
{
    int64_t m = side, n = side + 1, k = side + 2;
    *p = (struct cl_blast_product){.step = {.batch = batch,
                                            .m = m,
                                            .n = n,
                                            .k = k,
                                            .a_stride = {m * k, ta ? 1 : k, ta ? m : 1},
                                            .b_stride = {k * n, tb ? 1 : n, tb ? k : 1},
                                            .c_stride = {m * n, n, 1}}};
    struct sizes size = sizes_of(&p->step);
    p->host = malloc((size_t)(size.a + size.b + size.c) * sizeof *p->host);
    p->work = malloc((size_t)(n + k) * sizeof *p->work);
    if (!p->host || !p->work || cl_buffer_create(device, size.a * 4, &p->at.a, NULL) ||
        cl_buffer_create(device, size.b * 4, &p->at.b, NULL) ||
        cl_buffer_create(device, size.c * 4, &p->at.c, NULL))
        return false;
    fill(p->host, size.a + size.b, 1);
    return upload(device, p->at.a, p->host, size.a) &&
           upload(device, p->at.b, p->host + size.a, size.b);
}

void cl_blast_product_destroy(kiln_device_state *device, struct cl_blast_product *p)
{
    struct sizes size = sizes_of(&p->step);
    cl_buffer_destroy(device, p->at.a, size.a * 4);
    cl_buffer_destroy(device, p->at.b, size.b * 4);
    cl_buffer_destroy(device, p->at.c, size.c * 4);
    free(p->host);
    free(p->work);
    *p = (struct cl_blast_product){0};
}

bool cl_blast_product_is_right(kiln_device_state *device, struct cl_blast_product *p)
{
    struct sizes size = sizes_of(&p->step);
    float *c = p->host + size.a + size.b;
    return cl_blast_multiply(device, &p->step, &p->at) == 0 &&
           clEnqueueReadBuffer(device->queue, p->at.c, CL_TRUE, 0, (size_t)size.c * 4, c, 0, NULL,
                               NULL) == CL_SUCCESS &&
           plausible(&p->step, p->host, p->host + size.a, c, p->work);
}

/* One product on the device against the host. */
static bool product_is_right(kiln_device_state *device, int64_t batch, int64_t side, bool ta,
                             bool tb)
{
    struct cl_blast_product product;
    bool right = cl_blast_product_create(device, batch, side, ta, tb, &product) &&
                 cl_blast_product_is_right(device, &product);
    cl_blast_product_destroy(device, &product);
    return right;
}

/* The small products take CLBlast's direct kernel, the large one, above every
 * threshold of its tables, the other, which some versions get wrong. */
static bool passes(kiln_device_state *device)
{
    enum { LARGE = 1990 };
    int kept = cl_blast_mute_stdout();
    bool right = true;
    for (int form = 0; form < 4 && right; form++)
        right = product_is_right(device, 2, 65, form & 1, form & 2) &&
                product_is_right(device, 1, 97, form & 1, form & 2);
    right = right && product_is_right(device, 1, LARGE, false, true);
    cl_blast_restore_stdout(kept);
    return right;
}

static bool allowed(void)
{
    const char *setting = getenv("KILN_CLBLAST");
    return !setting || strcmp(setting, "0") != 0;
}

bool cl_blast_usable(kiln_device_state *device)
{
    /* on processors its tiles in local memory are ten times slower than ours */
    if (device->cpu_like || device->lost || !allowed())
        return false;
    char what[sizeof device->blast_parameters + 32];
    snprintf(what, sizeof what, "clblast " VERSION " %s", device->blast_parameters);
    if (device->blast == 0)
        device->blast = cl_cache_verdict(device, what);
    if (device->blast == 0) {
        device->blast = passes(device) ? 1 : -1;
        cl_cache_set_verdict(device, what, device->blast);
    }
    return device->blast > 0;
}

/* --- launches --------------------------------------------------------------------- */

void cl_blast_prepare(struct cl_builder *builder, const struct kiln_step_matmul *s)
{
    cl_begin_product(builder, s);
}

enum kiln_status cl_blast_enqueue(kiln_device_state *device, struct cl_launch *launch,
                                  struct kiln_error *error)
{
    const struct kiln_step_matmul *s = launch->product;
    const struct cl_blast_places at = {launch->a,
                                       launch->b,
                                       launch->c,
                                       (size_t)s->a.offset / 4,
                                       (size_t)s->b.offset / 4,
                                       (size_t)s->c.offset / 4};
    int kept = launch->warm ? -1 : cl_blast_mute_stdout();
    int code = cl_blast_multiply(device, s, &at);
    cl_blast_restore_stdout(kept);
    launch->warm = true;
    if (code != 0)
        return kiln_fail(error, KILN_MACHINE,
                         "opencl: CLBlast: product %lld x %lldx%lldx%lld: %s (%d)",
                         (long long)s->batch, (long long)s->m, (long long)s->n, (long long)s->k,
                         cl_error_name(code), code);
    device->launches++;
    return KILN_OK;
}

void cl_blast_close(kiln_device_state *device)
{
    /* its caches hold programs of this context */
    if (device->blast != 0 && !device->lost)
        CLBlastClearCache();
}

const char *cl_blast_version(void)
{
    return "; CLBlast " VERSION;
}

#else

bool cl_blast_usable(kiln_device_state *device)
{
    (void)device;
    return false;
}

void cl_blast_prepare(struct cl_builder *builder, const struct kiln_step_matmul *s)
{
    (void)s;
    cl_refuse(builder, "CLBlast is not built in");
}

enum kiln_status cl_blast_enqueue(kiln_device_state *device, struct cl_launch *launch,
                                  struct kiln_error *error)
{
    (void)device;
    (void)launch;
    return kiln_fail(error, KILN_MACHINE, "opencl: CLBlast is not built in");
}

void cl_blast_close(kiln_device_state *device)
{
    (void)device;
}

const char *cl_blast_version(void)
{
    return "";
}

#endif
