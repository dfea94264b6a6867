/* Pooling windows: argmax, and its gather and scatter. */
#include "backends/cpu/cpu.h"

#include <string.h>

/* First and one past the last position of output o's window on an axis. */
static void window_range(const struct kiln_window *window, int axis, int64_t o, int64_t extent,
                         int64_t *first, int64_t *end)
{
    int64_t start = o * window->stride[axis] - window->pad[2 * axis];
    *first = cpu_max(start, 0);
    *end = cpu_min(start + window->size[axis], extent);
}

static void plain_argmax_one(const struct cpu_window_place *p, const float *plane, int32_t *out)
{
    for (int64_t i = 0; i < p->inner; i++)
        out[i] = (int32_t)(p->y0 * p->w + p->x0);
    for (int64_t y = p->y0; y < p->y1; y++)
        for (int64_t x = p->x0; x < p->x1; x++) {
            int32_t at = (int32_t)(y * p->w + x);
            const float *candidate = plane + at * p->inner;
            for (int64_t i = 0; i < p->inner; i++) {
                float best = plane[out[i] * p->inner + i];
                bool better = candidate[i] > best || (candidate[i] != candidate[i] && best == best);
                out[i] = better ? at : out[i];
            }
        }
}

static void plain_argmax(const struct cpu_window_place *p, const float *plane, int32_t *out)
{
    struct cpu_window_place one = *p;
    for (int64_t k = 0; k < p->n; k++) {
        plain_argmax_one(&one, plane, out + k * p->inner);
        one.x0 += p->stride;
        one.x1 += p->stride;
    }
}

/* Row oh of a plane's indices, windows of equal width at once. */
static void argmax_row(const struct kiln_step_window *s, cpu_argmax_fn *argmax, const float *plane,
                       int32_t *index, int64_t oh)
{
    struct cpu_window_place place = {.w = s->w, .inner = s->inner, .stride = s->window.stride[1]};
    window_range(&s->window, 0, oh, s->h, &place.y0, &place.y1);
    for (int64_t ow = 0; ow < s->ow; ow += place.n) {
        window_range(&s->window, 1, ow, s->w, &place.x0, &place.x1);
        for (place.n = 1; ow + place.n < s->ow; place.n++) {
            int64_t x0, x1, moved = place.n * place.stride;
            window_range(&s->window, 1, ow + place.n, s->w, &x0, &x1);
            if (x0 != place.x0 + moved || x1 != place.x1 + moved)
                break;
        }
        argmax(&place, plane, index + ow * s->inner);
    }
}

static enum kiln_status argmax_run(struct cpu_task *task, struct kiln_error *error)
{
    (void)error;
    const struct kiln_step_window *s = &task->step->as.window;
    const float *x = cpu_at(task->exec, &s->x);
    int32_t *index = cpu_at(task->exec, &s->index);
    cpu_argmax_fn *argmax = task->device->reference ? plain_argmax : task->device->simd->argmax;
#pragma omp parallel for schedule(dynamic, 8) num_threads(task->threads)
    for (int64_t row = 0; row < s->outer * s->oh; row++) {
        int64_t outer = row / s->oh, oh = row % s->oh;
        argmax_row(s, argmax, x + outer * s->h * s->w * s->inner, index + row * s->ow * s->inner,
                   oh);
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

static enum kiln_status prepare(struct cpu_task *task,
                                enum kiln_status (*run)(struct cpu_task *, struct kiln_error *))
{
    const struct kiln_step_window *s = &task->step->as.window;
    task->run = run;
    task->threads =
        cpu_threads(task->device, s->outer * s->inner * (s->h * s->w + 4 * s->oh * s->ow));
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
