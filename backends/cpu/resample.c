/* Resampling: a sparse matrix along each spatial axis. */
#include "backends/cpu/cpu.h"

#include <string.h>

/* y[i, :, :] of one plane: the vertical rows' weighted sums of the horizontal
 * interpolation, term by term. */
static void resample_row(const struct kiln_step_resample *s, const float *x, float *y, int64_t i)
{
    const struct kiln_sparse *v = &s->vertical, *u = &s->horizontal;
    memset(y, 0, (size_t)(u->n_rows * s->inner) * sizeof *y);
    for (int32_t p = v->row[i]; p < v->row[i + 1]; p++) {
        const float *row = x + v->column[p] * u->n_columns * s->inner;
        for (int64_t j = 0; j < u->n_rows; j++) {
            float *out = y + j * s->inner;
            for (int32_t q = u->row[j]; q < u->row[j + 1]; q++) {
                const float *in = row + u->column[q] * s->inner;
                float weight = v->weight[p] * u->weight[q];
                for (int64_t c = 0; c < s->inner; c++)
                    out[c] += weight * in[c];
            }
        }
    }
}

static enum kiln_status plain_run(struct cpu_task *task, struct kiln_error *error)
{
    (void)error;
    const struct kiln_step_resample *s = &task->step->as.resample;
    const float *x = cpu_at(task->exec, &s->x);
    float *y = cpu_at(task->exec, &s->y);
    int64_t rows = s->vertical.n_rows,
            in_plane = s->vertical.n_columns * s->horizontal.n_columns * s->inner;
#pragma omp parallel for schedule(dynamic, 8) num_threads(task->threads)
    for (int64_t row = 0; row < s->outer * rows; row++)
        resample_row(s, x + row / rows * in_plane, y + row * s->horizontal.n_rows * s->inner,
                     row % rows);
    return KILN_OK;
}

static enum kiln_status plain_prepare(struct cpu_task *task, struct kiln_error *error)
{
    (void)error;
    const struct kiln_step_resample *s = &task->step->as.resample;
    task->run = plain_run;
    task->threads = cpu_threads(task->device, 4 * s->outer * s->inner * s->vertical.n_rows *
                                                  s->horizontal.n_rows);
    return KILN_OK;
}

CPU_KIND(cpu_resample_kind, {CPU_PLAIN, "plain", NULL, plain_prepare});
