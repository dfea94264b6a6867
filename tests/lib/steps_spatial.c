/* Interpreter of convolutions and pooling windows. */
#include <math.h>
#include <stdlib.h>

#include "tests/lib/steps.h"

struct tensor {
    struct steps_memory *memory;
    struct kiln_place place;
    struct kiln_shape shape;
    struct kiln_view view;
};

static struct tensor tensor(struct steps_memory *memory, struct kiln_place place,
                            enum kiln_layout layout, struct kiln_shape shape)
{
    if (!kiln_layout_fits(layout, &shape) && !memory->error)
        memory->error = "layout does not fit the shape";
    return (struct tensor){memory, place, shape, kiln_layout_view(layout, &shape)};
}

static int64_t at(const struct tensor *t, int64_t a, int64_t b, int64_t c, int64_t d)
{
    return kiln_view_at(&t->view,
                        ((a * t->shape.d[1] + b) * t->shape.d[2] + c) * t->shape.d[3] + d);
}

static void zero(const struct tensor *t)
{
    for (int64_t i = 0; i < kiln_shape_count(&t->shape); i++)
        steps_store(t->memory, &t->place, i, 0);
}

/* Adds the products of one output pixel to sums in double. */
struct conv_run {
    const struct kiln_step_conv *conv;
    enum kiln_step_kind kind;
    struct tensor x, w, y;
    double *sums; /* of the output, by stored element */
};

static void conv_pixel(struct conv_run *run, int64_t n, int64_t o, int64_t i, int64_t j)
{
    const struct kiln_step_conv *s = run->conv;
    int64_t group_c = s->c / s->conv.groups, group = o / (s->o / s->conv.groups);
    int64_t y_at = at(&run->y, n, o, i, j);
    for (int64_t c = 0; c < group_c; c++)
        for (int64_t p = 0; p < s->kh; p++)
            for (int64_t q = 0; q < s->kw; q++) {
                int64_t row = i * s->conv.stride[0] - s->conv.pad[0] + p * s->conv.dilation[0];
                int64_t column = j * s->conv.stride[1] - s->conv.pad[2] + q * s->conv.dilation[1];
                if (row < 0 || row >= s->h || column < 0 || column >= s->w)
                    continue;
                int64_t x_at = at(&run->x, n, group * group_c + c, row, column),
                        w_at = at(&run->w, o, c, p, q);
                if (run->kind == KILN_STEP_CONV)
                    run->sums[y_at] += steps_load(run->x.memory, &run->x.place, x_at) *
                                       steps_load(run->w.memory, &run->w.place, w_at);
                else if (run->kind == KILN_STEP_CONV_INPUT_GRAD)
                    run->sums[x_at] += steps_load(run->y.memory, &run->y.place, y_at) *
                                       steps_load(run->w.memory, &run->w.place, w_at);
                else
                    run->sums[w_at] += steps_load(run->y.memory, &run->y.place, y_at) *
                                       steps_load(run->x.memory, &run->x.place, x_at);
            }
}

void steps_run_conv(const struct kiln_step *step, struct steps_memory *memory)
{
    const struct kiln_step_conv *s = &step->as.conv;
    struct conv_run run = {.conv = s, .kind = step->kind};
    run.x = tensor(memory, s->x, s->x_layout, KILN_SHAPE(s->n, s->c, s->h, s->w));
    run.w = tensor(memory, s->weight, s->weight_layout,
                   KILN_SHAPE(s->o, s->c / s->conv.groups, s->kh, s->kw));
    run.y = tensor(memory, s->y, s->y_layout, KILN_SHAPE(s->n, s->o, s->oh, s->ow));
    const struct tensor *out = step->kind == KILN_STEP_CONV              ? &run.y
                               : step->kind == KILN_STEP_CONV_INPUT_GRAD ? &run.x
                                                                         : &run.w;
    int64_t count = kiln_shape_count(&out->shape);
    run.sums = count > 0 ? calloc((size_t)count, sizeof *run.sums) : NULL;
    if (!run.sums) {
        memory->error = "out of memory";
        return;
    }
    for (int64_t n = 0; n < s->n; n++)
        for (int64_t o = 0; o < s->o; o++)
            for (int64_t i = 0; i < s->oh; i++)
                for (int64_t j = 0; j < s->ow; j++)
                    conv_pixel(&run, n, o, i, j);
    for (int64_t e = 0; e < count; e++)
        steps_store(memory, &out->place, e, run.sums[e]);
    free(run.sums);
}

void steps_run_window(const struct kiln_step *step, struct steps_memory *memory)
{
    const struct kiln_step_window *s = &step->as.window;
    struct tensor x =
        tensor(memory, s->x, KILN_LAYOUT_DENSE, KILN_SHAPE(s->outer, s->h, s->w, s->inner));
    struct tensor y =
        tensor(memory, s->y, KILN_LAYOUT_DENSE, KILN_SHAPE(s->outer, s->oh, s->ow, s->inner));
    if (step->kind == KILN_STEP_WINDOW_SCATTER)
        zero(&x);
    for (int64_t e = 0; e < s->outer * s->oh * s->ow * s->inner; e++) {
        int64_t c = e % s->inner, j = e / s->inner % s->ow, i = e / s->inner / s->ow % s->oh;
        int64_t outer = e / s->inner / s->ow / s->oh;
        if (step->kind != KILN_STEP_WINDOW_ARGMAX) {
            int64_t index = (int64_t)steps_load(memory, &s->index, e);
            int64_t x_at = at(&x, outer, index / s->w, index % s->w, c);
            double value = steps_load(memory, &s->x, x_at);
            if (step->kind == KILN_STEP_WINDOW_GATHER)
                steps_store(memory, &s->y, e, value);
            else
                steps_store(memory, &s->x, x_at, value + steps_load(memory, &y.place, e));
            continue;
        }
        double best = -INFINITY;
        int64_t best_index = -1;
        for (int64_t p = 0; p < s->window.size[0]; p++)
            for (int64_t q = 0; q < s->window.size[1]; q++) {
                int64_t row = i * s->window.stride[0] - s->window.pad[0] + p;
                int64_t column = j * s->window.stride[1] - s->window.pad[2] + q;
                if (row < 0 || row >= s->h || column < 0 || column >= s->w)
                    continue;
                double value = steps_load(memory, &s->x, at(&x, outer, row, column, c));
                if (best_index < 0 || value > best || (isnan(value) && !isnan(best))) {
                    best = value;
                    best_index = row * s->w + column;
                }
            }
        steps_store(memory, &s->index, e, (double)(best_index < 0 ? 0 : best_index));
    }
}
