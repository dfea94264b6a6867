/* Matrix products. */
#include "backends/cpu/cpu.h"

#include <omp.h>

/* Terms of a partial sum. */
#define SUM_CHUNK 256

/* c[i, :] for one row of one batch; partial sums of SUM_CHUNK terms. */
static void plain_row(const struct kiln_step_matmul *m, const float *a, const float *b, float *c)
{
    for (int64_t j = 0; j < m->n; j++)
        c[j] = 0;
    for (int64_t p0 = 0; p0 < m->k; p0 += SUM_CHUNK) {
        int64_t end = cpu_min(p0 + SUM_CHUNK, m->k);
        for (int64_t j0 = 0; j0 < m->n; j0 += SUM_CHUNK) {
            float partial[SUM_CHUNK] = {0};
            int64_t n = cpu_min(m->n - j0, SUM_CHUNK);
            for (int64_t p = p0; p < end; p++) {
                const float *row = b + p * m->b_stride[1] + j0 * m->b_stride[2];
                float x = a[p * m->a_stride[2]];
                for (int64_t j = 0; j < n; j++)
                    partial[j] += x * row[j * m->b_stride[2]];
            }
            for (int64_t j = 0; j < n; j++)
                c[j0 + j] += partial[j];
        }
    }
}

static enum kiln_status plain_run(struct cpu_task *task, struct kiln_error *error)
{
    (void)error;
    const struct kiln_step_matmul *m = &task->step->as.matmul;
    const float *a = cpu_at(task->exec, &m->a), *b = cpu_at(task->exec, &m->b);
    float *c = cpu_at(task->exec, &m->c);
#pragma omp parallel for schedule(dynamic, 1) num_threads(task->threads)
    for (int64_t row = 0; row < m->batch * m->m; row++) {
        int64_t batch = row / m->m, i = row % m->m;
        plain_row(m, a + batch * m->a_stride[0] + i * m->a_stride[1], b + batch * m->b_stride[0],
                  c + batch * m->c_stride[0] + i * m->c_stride[1]);
    }
    return KILN_OK;
}

static enum kiln_status plain_prepare(struct cpu_task *task, struct kiln_error *error)
{
    (void)error;
    const struct kiln_step_matmul *m = &task->step->as.matmul;
    task->run = plain_run;
    task->threads = cpu_threads(task->device, m->batch * m->m * m->n * m->k);
    return KILN_OK;
}

/* An operand as sgemm wants it: unit column stride, or transposed. */
static bool sgemm_form(int64_t row_stride, int64_t column_stride, int64_t rows, int64_t columns,
                       bool *transposed, int64_t *leading)
{
    if (column_stride == 1 || columns == 1) {
        *transposed = false;
        *leading = rows == 1 ? columns : row_stride;
        return *leading >= columns;
    }
    *transposed = true;
    *leading = columns == 1 ? rows : column_stride;
    return (row_stride == 1 || rows == 1) && *leading >= rows;
}

struct sgemm_call {
    bool transpose_a, transpose_b;
    int64_t lda, ldb, ldc;
};

static bool sgemm_call_of(const struct cpu_gemm *g, struct sgemm_call *call)
{
    bool transpose_c;
    return sgemm_form(g->a_row, g->a_column, g->m, g->k, &call->transpose_a, &call->lda) &&
           sgemm_form(g->b_row, g->b_column, g->k, g->n, &call->transpose_b, &call->ldb) &&
           sgemm_form(g->ldc, 1, g->m, g->n, &transpose_c, &call->ldc) && !transpose_c;
}

static bool sgemm(const kiln_device_state *device, const struct cpu_gemm *g)
{
    struct sgemm_call call;
    return device->onednn && sgemm_call_of(g, &call) &&
           device->onednn->sgemm(call.transpose_a, call.transpose_b, g->m, g->n, g->k, g->a,
                                 call.lda, g->b, call.ldb, g->c, call.ldc, g->add);
}

void cpu_gemm(const kiln_device_state *device, const struct cpu_gemm *gemm, float *buffer)
{
    if (!sgemm(device, gemm))
        device->simd->gemm(gemm, buffer);
}

/* The part [i, i + rows) x [j, j + columns) of one product of a step. */
static struct cpu_gemm part_of(const struct cpu_task *task, int64_t batch, int64_t i, int64_t rows,
                               int64_t j, int64_t columns)
{
    const struct kiln_step_matmul *m = &task->step->as.matmul;
    const float *a = cpu_at(task->exec, &m->a), *b = cpu_at(task->exec, &m->b);
    float *c = cpu_at(task->exec, &m->c);
    return (struct cpu_gemm){.m = rows,
                             .n = columns,
                             .k = m->k,
                             .a = a + batch * m->a_stride[0] + i * m->a_stride[1],
                             .a_row = m->a_stride[1],
                             .a_column = m->a_stride[2],
                             .b = b + batch * m->b_stride[0] + j * m->b_stride[2],
                             .b_row = m->b_stride[1],
                             .b_column = m->b_stride[2],
                             .c = c + batch * m->c_stride[0] + i * m->c_stride[1] + j,
                             .ldc = m->c_stride[1]};
}

static bool sgemm_batch(const struct cpu_task *task, int64_t batch)
{
    const struct kiln_step_matmul *m = &task->step->as.matmul;
    struct cpu_gemm gemm = part_of(task, batch, 0, m->m, 0, m->n);
    return sgemm(task->device, &gemm);
}

/* Many products: one a thread; few: all threads in each. */
static enum kiln_status sgemm_run(struct cpu_task *task, struct kiln_error *error)
{
    const struct kiln_step_matmul *m = &task->step->as.matmul;
    bool done = true;
    if (task->threads > 1 && m->batch >= 4 * task->threads) {
#pragma omp parallel for schedule(dynamic, 1) num_threads(task->threads) reduction(&& : done)
        for (int64_t batch = 0; batch < m->batch; batch++)
            done = sgemm_batch(task, batch) && done;
    } else {
        for (int64_t batch = 0; batch < m->batch && done; batch++)
            done = sgemm_batch(task, batch);
    }
    return done ? KILN_OK
                : kiln_fail(error, KILN_MACHINE, "cpu: step %s: oneDNN sgemm failed",
                            task->step->label);
}

static bool sgemm_accepts(kiln_device_state *device, const struct kiln_step *step,
                          struct kiln_candidate *candidate)
{
    (void)candidate;
    const struct kiln_step_matmul *m = &step->as.matmul;
    const struct cpu_gemm gemm = {.m = m->m,
                                  .n = m->n,
                                  .k = m->k,
                                  .a_row = m->a_stride[1],
                                  .a_column = m->a_stride[2],
                                  .b_row = m->b_stride[1],
                                  .b_column = m->b_stride[2],
                                  .ldc = m->c_stride[1]};
    struct sgemm_call call;
    return device->onednn && (m->c_stride[2] == 1 || m->n == 1) && sgemm_call_of(&gemm, &call);
}

static enum kiln_status sgemm_prepare(struct cpu_task *task, struct kiln_error *error)
{
    const struct kiln_step_matmul *m = &task->step->as.matmul;
    struct kiln_candidate unused;
    if (!sgemm_accepts(task->device, task->step, &unused))
        return kiln_fail(error, KILN_MACHINE, "cpu: step %s: oneDNN has no such product",
                         task->step->label);
    task->run = sgemm_run;
    task->threads = cpu_threads(task->device, m->batch * m->m * m->n * m->k);
    return KILN_OK;
}

/* Parts of c that a thread takes at a time, at most; each packs what it needs itself. */
#define PART_M     192
#define PART_N     512
#define LEAST_PART 64
#define PART_STEP  16

/* The size of about n / count parts alike, a multiple of PART_STEP. */
static int64_t even_part(int64_t n, int64_t count)
{
    int64_t part = (n + count - 1) / count;
    return (part + PART_STEP - 1) / PART_STEP * PART_STEP;
}

static enum kiln_status run_parts(struct cpu_task *task, cpu_gemm_fn *gemm)
{
    const struct kiln_step_matmul *m = &task->step->as.matmul;
    kiln_device_state *device = task->device;
    int64_t rows = (m->m + PART_M - 1) / PART_M, columns = (m->n + PART_N - 1) / PART_N;
    while (m->batch * rows * columns < 2 * task->threads && m->n / (columns + 1) >= LEAST_PART)
        columns++;
    int64_t part_m = even_part(m->m, rows), part_n = even_part(m->n, columns);
    rows = (m->m + part_m - 1) / part_m;
    columns = (m->n + part_n - 1) / part_n;
#pragma omp parallel for schedule(dynamic, 1) num_threads(task->threads)
    for (int64_t part = 0; part < m->batch * rows * columns; part++) {
        int64_t batch = part / (rows * columns);
        int64_t i = part / columns % rows * part_m, j = part % columns * part_n;
        const struct cpu_gemm product =
            part_of(task, batch, i, cpu_min(part_m, m->m - i), j, cpu_min(part_n, m->n - j));
        char *buffer = device->thread_memory + omp_get_thread_num() * device->thread_bytes;
        gemm(&product, (float *)(void *)buffer);
    }
    return KILN_OK;
}

static enum kiln_status tiled_run(struct cpu_task *task, struct kiln_error *error)
{
    (void)error;
    return run_parts(task, task->device->simd->gemm);
}

static enum kiln_status rows_run(struct cpu_task *task, struct kiln_error *error)
{
    (void)error;
    return run_parts(task, task->device->simd->gemm_rows);
}

static bool tiled_accepts(kiln_device_state *device, const struct kiln_step *step,
                          struct kiln_candidate *candidate)
{
    (void)candidate;
    return !device->reference && (step->as.matmul.c_stride[2] == 1 || step->as.matmul.n == 1);
}

static bool rows_accepts(kiln_device_state *device, const struct kiln_step *step,
                         struct kiln_candidate *candidate)
{
    const struct kiln_step_matmul *m = &step->as.matmul;
    return tiled_accepts(device, step, candidate) && m->a_stride[2] == 1 && m->b_stride[1] == 1;
}

static enum kiln_status prepare_parts(struct cpu_task *task, struct kiln_error *error)
{
    const struct kiln_step_matmul *m = &task->step->as.matmul;
    if (!cpu_reserve(task->device, CPU_GEMM_BUFFER_BYTES))
        return kiln_fail(error, KILN_MACHINE, "cpu: no memory for step %s", task->step->label);
    task->threads = cpu_threads(task->device, m->batch * m->m * m->n * m->k);
    return KILN_OK;
}

static enum kiln_status tiled_prepare(struct cpu_task *task, struct kiln_error *error)
{
    task->run = tiled_run;
    return prepare_parts(task, error);
}

static enum kiln_status rows_prepare(struct cpu_task *task, struct kiln_error *error)
{
    task->run = rows_run;
    return prepare_parts(task, error);
}

CPU_KIND(cpu_matmul_kind, {CPU_ONEDNN_SGEMM, "onednn", sgemm_accepts, sgemm_prepare},
         {CPU_MATMUL_TILED, "tiled", tiled_accepts, tiled_prepare},
         {CPU_MATMUL_ROWS, "rows", rows_accepts, rows_prepare},
         {CPU_PLAIN, "plain", NULL, plain_prepare});
