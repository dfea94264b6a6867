/* Runs single steps on an OpenCL device and in the naive interpreter. */
#include "opencl_lab.h"

#include <dlfcn.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "tests/lib/steps.h"

enum { GUARD_BYTES = 256, GUARD_BYTE = 0x3c };

static const struct kiln_backend *load(void)
{
    static const struct kiln_backend *backend;
    if (backend)
        return backend;
    void *module = dlopen(KILN_BUILD_DIR "/backends/opencl/opencl.so", RTLD_NOW | RTLD_LOCAL);
    if (!module) {
        fprintf(stderr, "%s\n", dlerror());
        return NULL;
    }
    kiln_backend_entry_fn *entry;
    void *symbol = dlsym(module, "kiln_backend_entry");
    memcpy(&entry, &symbol, sizeof entry);
    return backend = entry();
}

int lab_devices(void)
{
    struct kiln_caps caps[8];
    int n = 0;
    struct kiln_error error;
    if (!load() || load()->enumerate(8, caps, &n, &error) != KILN_OK)
        return 0;
    return n < 8 ? n : 8;
}

struct lab lab_open(int index, const char *family)
{
    const struct kiln_device_options options = {0};
    return lab_open_with(index, family, &options);
}

struct lab lab_open_with(int index, const char *family, const struct kiln_device_options *options)
{
    struct lab lab = {.backend = load(), .random = 88172645463325252u};
    struct kiln_error error = {""};
    setenv("KILN_OPENCL_FAMILY", family, 1);
    /* its kernels take seconds to compile: only where a test asks for it */
    setenv("KILN_CLBLAST", "0", 0);
    if (lab.backend->open(index, options, &lab.device, &lab.caps, &error) != KILN_OK)
        fail_msg("%s", error.text);
    return lab;
}

void lab_close(struct lab *lab)
{
    lab->backend->close(lab->device);
    free(lab->image);
    memset(lab, 0, sizeof *lab);
}

void lab_clear(struct lab *lab)
{
    lab->bytes = 0;
    lab->n_parts = 0;
}

uint32_t lab_random(struct lab *lab, uint32_t bound)
{
    lab->random ^= lab->random << 13;
    lab->random ^= lab->random >> 7;
    lab->random ^= lab->random << 17;
    return (uint32_t)((lab->random >> 32) * bound >> 32);
}

static void fill(struct lab *lab, struct kiln_place place, int64_t count, int32_t bound)
{
    void *at = lab_at(lab, place);
    for (int64_t i = 0; i < count; i++) {
        if (place.dtype == KILN_F32)
            ((float *)at)[i] = (float)((int)lab_random(lab, 1 << 24) - (1 << 23)) / (1 << 23);
        else if (place.dtype == KILN_I32)
            ((int32_t *)at)[i] = (int32_t)lab_random(lab, (uint32_t)bound);
        else if (place.dtype == KILN_U8)
            ((uint8_t *)at)[i] = (uint8_t)lab_random(lab, 256);
        else
            ((uint16_t *)at)[i] = (uint16_t)(0x3000 + lab_random(lab, 0xc00)); /* 0.125 .. 1 */
    }
}

struct kiln_place lab_put(struct lab *lab, enum kiln_dtype dtype, int64_t count, int32_t bound)
{
    int64_t bytes = count * (int64_t)kiln_dtype_bytes(dtype);
    int64_t offset = lab->bytes + GUARD_BYTES;
    int64_t end = (offset + bytes + GUARD_BYTES + 63) / 64 * 64;
    lab->image = realloc(lab->image, (size_t)end);
    assert_non_null(lab->image);
    memset(lab->image + lab->bytes, GUARD_BYTE, (size_t)(end - lab->bytes));
    lab->bytes = end;
    struct kiln_place place = {KILN_REGION_WORKSPACE, dtype, offset};
    assert_true(lab->n_parts < LAB_PARTS);
    lab->part[lab->n_parts].place = place;
    lab->part[lab->n_parts++].count = count;
    fill(lab, place, count, bound);
    return place;
}

void *lab_at(struct lab *lab, struct kiln_place place)
{
    return lab->image + place.offset;
}

static unsigned char *copy_image(const struct lab *lab)
{
    unsigned char *copy = malloc((size_t)lab->bytes);
    assert_non_null(copy);
    memcpy(copy, lab->image, (size_t)lab->bytes);
    return copy;
}

static void interpret(struct lab *lab, const struct kiln_step *step, unsigned char *image)
{
    struct kiln_steps steps = {.n = 1, .steps = step, .region_bytes = {lab->bytes}};
    struct steps_memory memory = {.region = {image}, .bytes = {lab->bytes}};
    steps_run(&steps, &memory, 0, 1);
    if (memory.error)
        fail_msg("the interpreter refuses: %s", memory.error);
}

static void execute(struct lab *lab, const struct kiln_step *step, unsigned char *image,
                    const char *what)
{
    const struct kiln_backend *backend = lab->backend;
    struct kiln_error error = {""};
    struct kiln_steps steps = {
        .n = 1, .steps = step, .region_bytes = {lab->bytes, step->scratch_bytes}};
    kiln_memory *regions[KILN_REGION_COUNT] = {NULL};
    kiln_exec *exec = NULL;
    enum kiln_status status = backend->memory_create(lab->device, lab->bytes, &regions[0], &error);
    if (status == KILN_OK && step->scratch_bytes)
        status = backend->memory_create(lab->device, step->scratch_bytes, &regions[1], &error);
    if (status == KILN_OK)
        status = backend->write(lab->device, regions[0], 0, image, lab->bytes, &error);
    if (status == KILN_OK)
        status = backend->exec_create(lab->device, &steps, regions, &exec, &error);
    if (status == KILN_OK)
        status = backend->exec_run(lab->device, exec, 0, 1, &error);
    if (status == KILN_OK)
        status = backend->finish(lab->device, &error);
    if (status == KILN_OK)
        status = backend->read(lab->device, regions[0], 0, image, lab->bytes, &error);
    if (status != KILN_OK)
        fail_msg("%s: %s", what, error.text);
    backend->exec_destroy(lab->device, exec);
    backend->memory_destroy(lab->device, regions[0]);
    backend->memory_destroy(lab->device, regions[1]);
}

static double element(const unsigned char *image, struct kiln_place place, int64_t i)
{
    struct steps_memory memory = {.region = {(unsigned char *)(uintptr_t)image},
                                  .bytes = {INT64_MAX}};
    return steps_load(&memory, &place, i);
}

static void compare(struct lab *lab, const unsigned char *got, const unsigned char *want,
                    const char *what, double relative, double absolute)
{
    int64_t guard = 0;
    for (int p = 0; p <= lab->n_parts; p++) {
        int64_t start = p < lab->n_parts ? lab->part[p].place.offset : lab->bytes;
        if (memcmp(got + guard, want + guard, (size_t)(start - guard)) != 0)
            fail_msg("%s: bytes before part %d were overwritten", what, p);
        if (p == lab->n_parts)
            break;
        struct kiln_place place = lab->part[p].place;
        for (int64_t i = 0; i < lab->part[p].count; i++) {
            double g = element(got, place, i), w = element(want, place, i);
            double bound = relative * fabs(w) + absolute + 1.2e-38;
            if (place.dtype == KILN_F16)
                bound += fabs(w) / 1024;
            if (place.dtype == KILN_I32)
                bound = 0;
            if (g == w || (isnan(g) && isnan(w)))
                continue;
            if (!(fabs(g - w) <= bound))
                fail_msg("%s: part %d element %lld is %.9g, not %.9g", what, p, (long long)i, g, w);
            lab->worst = fmax(lab->worst, fabs(g - w) / bound);
        }
        guard = start + lab->part[p].count * (int64_t)kiln_dtype_bytes(place.dtype);
    }
}

/* A Winograd result within 1e-5 of its root mean square. */
static void compare_norm(struct lab *lab, const unsigned char *got, const unsigned char *want,
                         const char *what)
{
    for (int p = 0; p < lab->n_parts; p++) {
        double error = 0, norm = 0;
        for (int64_t i = 0; i < lab->part[p].count; i++) {
            double w = element(want, lab->part[p].place, i);
            double d = element(got, lab->part[p].place, i) - w;
            error += d * d;
            norm += w * w;
        }
        if (!(error <= 1e-10 * norm))
            fail_msg("%s: off by %.2e of the result's root mean square", what, sqrt(error / norm));
        if (norm > 0)
            lab->worst_winograd = fmax(lab->worst_winograd, sqrt(error / norm));
    }
}

static bool is_conv(const struct kiln_step *step)
{
    return step->kind == KILN_STEP_CONV || step->kind == KILN_STEP_CONV_INPUT_GRAD ||
           step->kind == KILN_STEP_CONV_WEIGHT_GRAD;
}

static void choose(struct kiln_step *step, const struct kiln_candidate *candidate)
{
    step->algorithm = candidate->algorithm;
    step->scratch_bytes = candidate->scratch_bytes;
    step->scratch = (struct kiln_place){KILN_REGION_IO, KILN_F32, 0};
    if (is_conv(step))
        step->as.conv.weight_layout = candidate->weight_layout;
}

void lab_check(struct lab *lab, struct kiln_step *step, const char *what, double relative,
               double absolute)
{
    if (!step->label)
        step->label = what;
    struct kiln_candidate candidates[KILN_MAX_CANDIDATES];
    int n = lab->backend->candidates(lab->device, step, candidates);
    if (n < 1)
        fail_msg("%s: no candidate", what);
    for (int i = 0; i < n; i++) {
        if (lab->only && strcmp(lab->only, candidates[i].name) != 0)
            continue;
        char name[256];
        snprintf(name, sizeof name, "%s, %s", what, candidates[i].name);
        choose(step, &candidates[i]);
        unsigned char *want = copy_image(lab), *got = copy_image(lab);
        interpret(lab, step, want);
        execute(lab, step, got, name);
        compare(lab, got, want, name, relative, candidates[i].winograd ? 10 * absolute : absolute);
        if (candidates[i].winograd)
            compare_norm(lab, got, want, name);
        free(want);
        free(got);
    }
}

static double now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double lab_time(struct lab *lab, struct kiln_step *step, const struct kiln_candidate *candidate,
                double seconds, double *processor_seconds)
{
    const struct kiln_backend *backend = lab->backend;
    struct kiln_error error = {""};
    if (!step->label)
        step->label = "bench";
    choose(step, candidate);
    struct kiln_steps steps = {
        .n = 1, .steps = step, .region_bytes = {lab->bytes, step->scratch_bytes}};
    kiln_memory *regions[KILN_REGION_COUNT] = {NULL};
    kiln_exec *exec = NULL;
    if (backend->memory_create(lab->device, lab->bytes, &regions[0], &error) != KILN_OK ||
        (step->scratch_bytes && backend->memory_create(lab->device, step->scratch_bytes,
                                                       &regions[1], &error) != KILN_OK) ||
        backend->write(lab->device, regions[0], 0, lab->image, lab->bytes, &error) != KILN_OK ||
        backend->exec_create(lab->device, &steps, regions, &exec, &error) != KILN_OK) {
        fprintf(stderr, "%s\n", error.text);
        return INFINITY;
    }
    double best = INFINITY, least = INFINITY;
    int repeats = 1;
    for (double total = 0; total < seconds;) {
        double start = now(CLOCK_MONOTONIC), used = now(CLOCK_PROCESS_CPUTIME_ID);
        for (int i = 0; i < repeats; i++)
            backend->exec_run(lab->device, exec, 0, 1, &error);
        backend->finish(lab->device, &error);
        double spent = now(CLOCK_MONOTONIC) - start;
        best = fmin(best, spent / repeats);
        least = fmin(least, (now(CLOCK_PROCESS_CPUTIME_ID) - used) / repeats);
        total += spent;
        if (spent < seconds / 20)
            repeats *= 2;
    }
    backend->exec_destroy(lab->device, exec);
    backend->memory_destroy(lab->device, regions[0]);
    backend->memory_destroy(lab->device, regions[1]);
    *processor_seconds = least;
    return best;
}

bool lab_too_large(int64_t multiply_adds)
{
    return getenv("KILN_TEST_SMALL") && multiply_adds > 3000;
}
