/* Matrix products. */
#include "backends/cpu/cpu.h"

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

CPU_KIND(cpu_matmul_kind, {CPU_PLAIN, "plain", NULL, plain_prepare});
