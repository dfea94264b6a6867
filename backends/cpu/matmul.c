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
static bool sgemm_form(const int64_t stride[3], int64_t rows, int64_t columns, bool *transposed, int64_t *leading)
{
    if (stride[2] == 1 || columns == 1) {
        *transposed = false;
        *leading = rows == 1 ? columns : stride[1];
        return *leading >= columns;
    }
    *transposed = true;
    *leading = columns == 1 ? rows : stride[2];
    return (stride[1] == 1 || rows == 1) && *leading >= rows;
}

struct sgemm_call {
    bool transpose_a, transpose_b;
    int64_t lda, ldb, ldc;
};

static bool sgemm_call_of(const struct kiln_step_matmul *m, struct sgemm_call *call)
{
    bool transpose_c;
    return sgemm_form(m->a_stride, m->m, m->k, &call->transpose_a, &call->lda) &&
           sgemm_form(m->b_stride, m->k, m->n, &call->transpose_b, &call->ldb) &&
           sgemm_form(m->c_stride, m->m, m->n, &transpose_c, &call->ldc) && !transpose_c;
}

static bool sgemm_batch(const struct cpu_task *task, const struct sgemm_call *call, int64_t batch)
{
    const struct kiln_step_matmul *m = &task->step->as.matmul;
    const float *a = cpu_at(task->exec, &m->a), *b = cpu_at(task->exec, &m->b);
    float *c = cpu_at(task->exec, &m->c);
    return task->device->onednn->sgemm(call->transpose_a, call->transpose_b, m->m, m->n, m->k,
                                       a + batch * m->a_stride[0], call->lda, b + batch * m->b_stride[0], call->ldb,
                                       c + batch * m->c_stride[0], call->ldc);
}

/* Many products: one a thread; few: all threads in each. */
static enum kiln_status sgemm_run(struct cpu_task *task, struct kiln_error *error)
{
    const struct kiln_step_matmul *m = &task->step->as.matmul;
    struct sgemm_call call;
    bool done = sgemm_call_of(m, &call);
    if (task->threads > 1 && m->batch >= 4 * task->threads) {
#pragma omp parallel for schedule(dynamic, 1) num_threads(task->threads) reduction(&& : done)
        for (int64_t batch = 0; batch < m->batch; batch++)
            done = sgemm_batch(task, &call, batch) && done;
    } else {
        for (int64_t batch = 0; batch < m->batch && done; batch++)
            done = sgemm_batch(task, &call, batch);
    }
    return done ? KILN_OK : kiln_fail(error, KILN_MACHINE, "cpu: step %s: oneDNN sgemm failed", task->step->label);
}

static bool sgemm_accepts(kiln_device_state *device, const struct kiln_step *step, struct kiln_candidate *candidate)
{
    (void)candidate;
    struct sgemm_call call;
    return device->onednn && sgemm_call_of(&step->as.matmul, &call);
}

static enum kiln_status sgemm_prepare(struct cpu_task *task, struct kiln_error *error)
{
    const struct kiln_step_matmul *m = &task->step->as.matmul;
    struct kiln_candidate unused;
    if (!sgemm_accepts(task->device, task->step, &unused))
        return kiln_fail(error, KILN_MACHINE, "cpu: step %s: oneDNN has no such product", task->step->label);
    task->run = sgemm_run;
    task->threads = cpu_threads(task->device, m->batch * m->m * m->n * m->k);
    return KILN_OK;
}

/* Parts of c that a thread takes at a time; each packs what it needs itself. */
#define PART_M 192
#define PART_N 512

static enum kiln_status tiled_run(struct cpu_task *task, struct kiln_error *error)
{
    (void)error;
    const struct kiln_step_matmul *m = &task->step->as.matmul;
    kiln_device_state *device = task->device;
    const float *a = cpu_at(task->exec, &m->a), *b = cpu_at(task->exec, &m->b);
    float *c = cpu_at(task->exec, &m->c);
    int64_t rows = (m->m + PART_M - 1) / PART_M, columns = (m->n + PART_N - 1) / PART_N;
#pragma omp parallel for schedule(dynamic, 1) num_threads(task->threads)
    for (int64_t part = 0; part < m->batch * rows * columns; part++) {
        int64_t batch = part / (rows * columns);
        int64_t i = part / columns % rows * PART_M, j = part % columns * PART_N;
        const struct cpu_gemm gemm = {
            .m = cpu_min(PART_M, m->m - i),
            .n = cpu_min(PART_N, m->n - j),
            .k = m->k,
            .a = a + batch * m->a_stride[0] + i * m->a_stride[1],
            .a_row = m->a_stride[1],
            .a_column = m->a_stride[2],
            .b = b + batch * m->b_stride[0] + j * m->b_stride[2],
            .b_row = m->b_stride[1],
            .b_column = m->b_stride[2],
            .c = c + batch * m->c_stride[0] + i * m->c_stride[1] + j,
            .ldc = m->c_stride[1],
        };
        char *buffer = device->thread_memory + omp_get_thread_num() * device->thread_bytes;
        device->simd->gemm(&gemm, (float *)(void *)buffer);
    }
    return KILN_OK;
}

static bool tiled_accepts(kiln_device_state *device, const struct kiln_step *step, struct kiln_candidate *candidate)
{
    (void)candidate;
    return !device->reference && (step->as.matmul.c_stride[2] == 1 || step->as.matmul.n == 1);
}

static enum kiln_status tiled_prepare(struct cpu_task *task, struct kiln_error *error)
{
    const struct kiln_step_matmul *m = &task->step->as.matmul;
    if (!cpu_reserve(task->device, CPU_GEMM_BUFFER_BYTES))
        return kiln_fail(error, KILN_MACHINE, "cpu: no memory for step %s", task->step->label);
    task->run = tiled_run;
    task->threads = cpu_threads(task->device, m->batch * m->m * m->n * m->k);
    return KILN_OK;
}

CPU_KIND(cpu_matmul_kind, {CPU_ONEDNN_SGEMM, "onednn", sgemm_accepts, sgemm_prepare},
         {CPU_MATMUL_TILED, "tiled", tiled_accepts, tiled_prepare},
          {CPU_PLAIN, "plain", NULL, plain_prepare});
