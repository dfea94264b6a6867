/* Pooling windows: argmax, and its gather and scatter. */
#include "backends/cpu/cpu.h"

#include <string.h>

/* First and one past the last position of output o's window on an axis. */
static void window_range(const struct kiln_window *window, int axis, int64_t o, int64_t extent, int64_t *first,
                         int64_t *end)
{
    int64_t start = o * window->stride[axis] - window->pad[2 * axis];
    *first = cpu_max(start, 0);
    *end = cpu_min(start + window->size[axis], extent);
}

/* Index row: for each column of a window row position, the first largest. */
static void argmax_row(const struct kiln_step_window *s, const float *plane, int32_t *index, int64_t oh)
{
    int64_t y0, y1;
    window_range(&s->window, 0, oh, s->h, &y0, &y1);
    for (int64_t ow = 0; ow < s->ow; ow++) {
        int64_t x0, x1;
        window_range(&s->window, 1, ow, s->w, &x0, &x1);
        int32_t *out = index + ow * s->inner;
        for (int64_t i = 0; i < s->inner; i++)
            out[i] = (int32_t)(y0 * s->w + x0);
        for (int64_t y = y0; y < y1; y++)
            for (int64_t x = x0; x < x1; x++) {
                int32_t at = (int32_t)(y * s->w + x);
                const float *candidate = plane + at * s->inner;
                for (int64_t i = 0; i < s->inner; i++) {
                    float best = plane[out[i] * s->inner + i];
                    bool better = candidate[i] > best || (candidate[i] != candidate[i] && best == best);
                    out[i] = better ? at : out[i];
                }
            }
    }
}

static enum kiln_status argmax_run(struct cpu_task *task, struct kiln_error *error)
{
    (void)error;
    const struct kiln_step_window *s = &task->step->as.window;
    const float *x = cpu_at(task->exec, &s->x);
    int32_t *index = cpu_at(task->exec, &s->index);
#pragma omp parallel for schedule(dynamic, 8) num_threads(task->threads)
    for (int64_t row = 0; row < s->outer * s->oh; row++) {
        int64_t outer = row / s->oh, oh = row % s->oh;
        argmax_row(s, x + outer * s->h * s->w * s->inner, index + row * s->ow * s->inner, oh);
    }
    return KILN_OK;
}

static enum kiln_status gather_run(struct cpu_task *task, struct kiln_error *error)
{
    (void)error;
    const struct kiln_step_window *s = &task->step->as.window;
    const float *x = cpu_at(task->exec, &s->x);
    const int32_t *index = cpu_at(task->exec, &s->index);
    float *y = cpu_at(task->exec, &s->y);
    int64_t plane = s->h * s->w * s->inner, windows = s->oh * s->ow;
#pragma omp parallel for schedule(dynamic, 4) num_threads(task->threads)
    for (int64_t outer = 0; outer < s->outer; outer++)
        for (int64_t o = 0; o < windows; o++)
            for (int64_t i = 0; i < s->inner; i++) {
                int64_t at = (outer * windows + o) * s->inner + i;
                y[at] = x[outer * plane + index[at] * s->inner + i];
            }
    return KILN_OK;
}

/* Each plane by one thread, windows in order: no atomics, the same bits. */
static enum kiln_status scatter_run(struct cpu_task *task, struct kiln_error *error)
{
    (void)error;
    const struct kiln_step_window *s = &task->step->as.window;
    float *x = cpu_at(task->exec, &s->x);
    const int32_t *index = cpu_at(task->exec, &s->index);
    const float *y = cpu_at(task->exec, &s->y);
    int64_t plane = s->h * s->w * s->inner, windows = s->oh * s->ow;
#pragma omp parallel for schedule(dynamic, 4) num_threads(task->threads)
    for (int64_t outer = 0; outer < s->outer; outer++) {
        memset(x + outer * plane, 0, (size_t)plane * sizeof *x);
        for (int64_t o = 0; o < windows; o++)
            for (int64_t i = 0; i < s->inner; i++) {
                int64_t at = (outer * windows + o) * s->inner + i;
                x[outer * plane + index[at] * s->inner + i] += y[at];
            }
    }
    return KILN_OK;
}

static enum kiln_status prepare(struct cpu_task *task, enum kiln_status (*run)(struct cpu_task *, struct kiln_error *))
{
    const struct kiln_step_window *s = &task->step->as.window;
    task->run = run;
    task->threads = cpu_threads(task->device, s->outer * s->inner * (s->h * s->w + 4 * s->oh * s->ow));
    return KILN_OK;
}

static enum kiln_status argmax_prepare(struct cpu_task *task, struct kiln_error *error)
{
    (void)error;
    return prepare(task, argmax_run);
}

static enum kiln_status gather_prepare(struct cpu_task *task, struct kiln_error *error)
{
    (void)error;
    return prepare(task, gather_run);
}

static enum kiln_status scatter_prepare(struct cpu_task *task, struct kiln_error *error)
{
    (void)error;
    return prepare(task, scatter_run);
}

CPU_KIND(cpu_window_argmax_kind, {CPU_PLAIN, "plain", NULL, argmax_prepare});
CPU_KIND(cpu_window_gather_kind, {CPU_PLAIN, "plain", NULL, gather_prepare});
CPU_KIND(cpu_window_scatter_kind, {CPU_PLAIN, "plain", NULL, scatter_prepare});
