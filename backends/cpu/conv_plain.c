/*
 * Convolutions, plainly: for every pair of channels and every tap, the rows of
 * x and y that meet. All layouts.
 */
#include "backends/cpu/conv.h"

#include <string.h>

struct plain {
    const struct kiln_step_conv *s;
    struct cpu_conv_axes xa, wa, ya;
    float *x, *w, *y;
    int64_t group_c, group_o;
};

/* The meeting rows of one tap. */
struct tap {
    int64_t oh0, oh1, ow0, ow1; /* ranges of y */
    int64_t shift_h, shift_w;   /* x index = y index * stride + shift */
};

static struct tap tap_of(const struct kiln_step_conv *s, int64_t kh, int64_t kw)
{
    struct tap t = {.shift_h = kh * s->conv.dilation[0] - s->conv.pad[0],
                    .shift_w = kw * s->conv.dilation[1] - s->conv.pad[2]};
    cpu_conv_range(s->oh, s->h, s->conv.stride[0], t.shift_h, &t.oh0, &t.oh1);
    cpu_conv_range(s->ow, s->w, s->conv.stride[1], t.shift_w, &t.ow0, &t.ow1);
    return t;
}

/* First element of the row of x that tap t of output row oh meets at ow = 0. */
static int64_t x_row(const struct plain *p, const struct tap *t, int64_t oh)
{
    return (oh * p->s->conv.stride[0] + t->shift_h) * p->xa.row + t->shift_w * p->xa.column;
}

static float weight_at(const struct plain *p, int64_t o, int64_t c, int64_t kh, int64_t kw)
{
    return p->w[cpu_conv_offset(&p->wa, o, c % p->group_c) + kh * p->wa.row + kw * p->wa.column];
}

/* y plane (n, o) += the contribution of channel c. */
static void forward_channel(const struct plain *p, int64_t n, int64_t o, int64_t c)
{
    const struct kiln_step_conv *s = p->s;
    float *y = p->y + cpu_conv_offset(&p->ya, n, o);
    const float *x = p->x + cpu_conv_offset(&p->xa, n, c);
    int64_t x_step = p->xa.column * s->conv.stride[1];
    for (int64_t kh = 0; kh < s->kh; kh++)
        for (int64_t kw = 0; kw < s->kw; kw++) {
            struct tap t = tap_of(s, kh, kw);
            float weight = weight_at(p, o, c, kh, kw);
            for (int64_t oh = t.oh0; oh < t.oh1; oh++) {
                const float *in = x + x_row(p, &t, oh);
                float *out = y + oh * p->ya.row;
                for (int64_t ow = t.ow0; ow < t.ow1; ow++)
                    out[ow * p->ya.column] += weight * in[ow * x_step];
            }
        }
}

/* x plane (n, c) += the contribution of output channel o. */
static void input_grad_channel(const struct plain *p, int64_t n, int64_t c, int64_t o)
{
    const struct kiln_step_conv *s = p->s;
    const float *y = p->y + cpu_conv_offset(&p->ya, n, o);
    float *x = p->x + cpu_conv_offset(&p->xa, n, c);
    int64_t x_step = p->xa.column * s->conv.stride[1];
    for (int64_t kh = 0; kh < s->kh; kh++)
        for (int64_t kw = 0; kw < s->kw; kw++) {
            struct tap t = tap_of(s, kh, kw);
            float weight = weight_at(p, o, c, kh, kw);
            for (int64_t oh = t.oh0; oh < t.oh1; oh++) {
                float *out = x + x_row(p, &t, oh);
                const float *in = y + oh * p->ya.row;
                for (int64_t ow = t.ow0; ow < t.ow1; ow++)
                    out[ow * x_step] += weight * in[ow * p->ya.column];
            }
        }
}

/* One weight's gradient: rows in f32, their sum in f64. */
static float weight_grad(const struct plain *p, int64_t o, int64_t c, int64_t kh, int64_t kw)
{
    const struct kiln_step_conv *s = p->s;
    struct tap t = tap_of(s, kh, kw);
    int64_t x_step = p->xa.column * s->conv.stride[1];
    double total = 0;
    for (int64_t n = 0; n < s->n; n++)
        for (int64_t oh = t.oh0; oh < t.oh1; oh++) {
            const float *x = p->x + cpu_conv_offset(&p->xa, n, c) + x_row(p, &t, oh);
            const float *y = p->y + cpu_conv_offset(&p->ya, n, o) + oh * p->ya.row;
            float sum = 0;
            for (int64_t ow = t.ow0; ow < t.ow1; ow++)
                sum += x[ow * x_step] * y[ow * p->ya.column];
            total += sum;
        }
    return (float)total;
}

static void clear_plane(float *plane, const struct cpu_conv_axes *axes, int64_t h, int64_t w)
{
    for (int64_t i = 0; i < h; i++)
        for (int64_t j = 0; j < w; j++)
            plane[i * axes->row + j * axes->column] = 0;
}

static struct plain plain_of(const struct cpu_task *task)
{
    const struct kiln_step_conv *s = &task->step->as.conv;
    int64_t group_c = s->c / s->conv.groups;
    return (struct plain){.s = s,
                          .xa = cpu_conv_feature_axes(s->x_layout, s->c, s->h, s->w),
                          .wa = cpu_conv_weight_axes(s->weight_layout, s->o, group_c, s->kh, s->kw),
                          .ya = cpu_conv_feature_axes(s->y_layout, s->o, s->oh, s->ow),
                          .x = cpu_at(task->exec, &s->x),
                          .w = cpu_at(task->exec, &s->weight),
                          .y = cpu_at(task->exec, &s->y),
                          .group_c = group_c,
                          .group_o = s->o / s->conv.groups};
}

static enum kiln_status forward_run(struct cpu_task *task, struct kiln_error *error)
{
    (void)error;
    struct plain p = plain_of(task);
#pragma omp parallel for schedule(dynamic, 1) num_threads(task->threads)
    for (int64_t plane = 0; plane < p.s->n * p.s->o; plane++) {
        int64_t n = plane / p.s->o, o = plane % p.s->o, first = o / p.group_o * p.group_c;
        clear_plane(p.y + cpu_conv_offset(&p.ya, n, o), &p.ya, p.s->oh, p.s->ow);
        for (int64_t c = first; c < first + p.group_c; c++)
            forward_channel(&p, n, o, c);
    }
    return KILN_OK;
}

static enum kiln_status input_grad_run(struct cpu_task *task, struct kiln_error *error)
{
    (void)error;
    struct plain p = plain_of(task);
#pragma omp parallel for schedule(dynamic, 1) num_threads(task->threads)
    for (int64_t plane = 0; plane < p.s->n * p.s->c; plane++) {
        int64_t n = plane / p.s->c, c = plane % p.s->c, first = c / p.group_c * p.group_o;
        clear_plane(p.x + cpu_conv_offset(&p.xa, n, c), &p.xa, p.s->h, p.s->w);
        for (int64_t o = first; o < first + p.group_o; o++)
            input_grad_channel(&p, n, c, o);
    }
    return KILN_OK;
}

static enum kiln_status weight_grad_run(struct cpu_task *task, struct kiln_error *error)
{
    (void)error;
    struct plain p = plain_of(task);
#pragma omp parallel for schedule(dynamic, 1) num_threads(task->threads)
    for (int64_t pair = 0; pair < p.s->o * p.group_c; pair++) {
        int64_t o = pair / p.group_c, i = pair % p.group_c, c = o / p.group_o * p.group_c + i;
        float *w = p.w + cpu_conv_offset(&p.wa, o, i);
        for (int64_t kh = 0; kh < p.s->kh; kh++)
            for (int64_t kw = 0; kw < p.s->kw; kw++)
                w[kh * p.wa.row + kw * p.wa.column] = weight_grad(&p, o, c, kh, kw);
    }
    return KILN_OK;
}

enum kiln_status cpu_conv_plain_prepare(struct cpu_task *task, struct kiln_error *error)
{
    (void)error;
    task->run = task->step->kind == KILN_STEP_CONV              ? forward_run
                : task->step->kind == KILN_STEP_CONV_INPUT_GRAD ? input_grad_run
                                                                : weight_grad_run;
    task->threads = cpu_threads(task->device, cpu_conv_work(&task->step->as.conv));
    return KILN_OK;
}
