/* Convolutions as implicit products in local memory: the kernels of GPUs. */
#include "backends/opencl/conv.h"

#include <stdio.h>
#include <stdlib.h>

static int64_t divide_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* The product's sizes. */
struct sizes {
    int64_t rows, columns, depth, parts, share;
};

static struct sizes sizes_of(const struct kiln_step *step)
{
    const struct kiln_step_conv *s = &step->as.conv;
    int64_t taps = s->kh * s->kw;
    if (step->kind == KILN_STEP_CONV)
        return (struct sizes){s->o, s->n * s->oh * s->ow, s->c * taps, 1, s->n};
    if (step->kind == KILN_STEP_CONV_INPUT_GRAD)
        return (struct sizes){s->c, s->n * s->h * s->w, s->o * taps, 1, s->n};
    struct sizes sizes = {s->o, s->c * taps, s->n * s->oh * s->ow, 1, s->n};
    /* parts of the sum, as many as occupy a large device; by sizes alone */
    enum { TILES = 512, TILE = 64 };
    int64_t tiles = divide_up(sizes.rows, TILE) * divide_up(sizes.columns, TILE);
    int64_t parts = divide_up(TILES, tiles);
    parts = parts > s->n ? s->n : parts;
    sizes.share = divide_up(s->n, parts);
    sizes.parts = divide_up(s->n, sizes.share);
    return sizes;
}

int cl_conv_local_candidates(kiln_device_state *device, const struct kiln_step *step,
                             struct kiln_candidate *candidates)
{
    const struct kiln_step_conv *s = &step->as.conv;
    if (s->conv.groups != 1 || device->caps.work_group_size < 256)
        return 0;
    struct sizes sizes = sizes_of(step);
    if (sizes.rows * sizes.depth > INT32_MAX || sizes.columns > INT32_MAX ||
        sizes.depth > INT32_MAX)
        return 0;
    struct kiln_candidate local = {
        .algorithm = CL_CONV_LOCAL,
        .name = "local64",
        .weight_layout = KILN_LAYOUT_DENSE,
        .scratch_bytes = sizes.parts > 1 ? sizes.parts * sizes.rows * sizes.columns * 4 : 0};
    struct kiln_candidate large = local;
    large.algorithm = CL_CONV_LOCAL_LARGE;
    large.name = "local128";
    bool prefer_large = sizes.rows >= 128 && sizes.columns >= 128 * 64;
    int n = 0;
    if (cl_engine_usable(device)) {
        struct kiln_candidate engine = local, large_engine = large;
        engine.algorithm = CL_CONV_ENGINE;
        engine.name = "engine64";
        large_engine.algorithm = CL_CONV_ENGINE_LARGE;
        large_engine.name = "engine128";
        candidates[n++] = prefer_large ? large_engine : engine;
        candidates[n++] = prefer_large ? engine : large_engine;
    }
    candidates[n++] = prefer_large ? large : local;
    candidates[n++] = prefer_large ? local : large;
    return n;
}

/* The shape in the order of kernels/conv_local.cl. */
struct shape_table {
    int n;
    uint32_t words[32];
};

static void add_word(struct shape_table *table, int64_t word)
{
    table->words[table->n++] = (uint32_t)word;
}

static void add_divisor(struct shape_table *table, int64_t d)
{
    const struct cl_divisor divisor = cl_divisor(d);
    add_word(table, d);
    add_word(table, divisor.multiplier);
    add_word(table, divisor.shift);
}

static cl_mem shape_table(struct cl_builder *builder, const struct kiln_step_conv *s, int64_t map)
{
    const struct kiln_conv *c = &s->conv;
    struct shape_table table = {0};
    add_word(&table, s->c);
    add_word(&table, s->h);
    add_divisor(&table, s->w);
    add_word(&table, s->o);
    add_word(&table, s->oh);
    add_divisor(&table, s->ow);
    add_divisor(&table, c->stride[0]);
    add_divisor(&table, c->stride[1]);
    add_word(&table, c->pad[0]);
    add_word(&table, c->pad[2]);
    add_divisor(&table, s->kh * s->kw);
    add_divisor(&table, map);
    return cl_table(builder, table.words, (size_t)table.n * sizeof *table.words);
}

/* Plane, row and column of each (channel, tap). */
static cl_mem tap_table(struct cl_builder *builder, const struct kiln_step_conv *s,
                        int64_t channels, int64_t plane)
{
    int64_t n = channels * s->kh * s->kw;
    int32_t *table = malloc((size_t)n * 3 * sizeof *table);
    if (!table) {
        cl_refuse(builder, "out of memory");
        return NULL;
    }
    for (int64_t i = 0; i < n; i++) {
        table[i * 3] = (int32_t)(i / (s->kh * s->kw) * plane);
        table[i * 3 + 1] = (int32_t)(i / s->kw % s->kh * s->conv.dilation[0]);
        table[i * 3 + 2] = (int32_t)(i % s->kw * s->conv.dilation[1]);
    }
    cl_mem buffer = cl_table(builder, table, (size_t)n * 3 * sizeof *table);
    free(table);
    return buffer;
}

void cl_conv_local_prepare(struct cl_builder *builder, const struct kiln_step *step)
{
    const struct kiln_step_conv *s = &step->as.conv;
    struct sizes sizes = sizes_of(step);
    bool backward = step->kind == KILN_STEP_CONV_INPUT_GRAD;
    bool weights = step->kind == KILN_STEP_CONV_WEIGHT_GRAD;
    bool engine = step->algorithm == CL_CONV_ENGINE || step->algorithm == CL_CONV_ENGINE_LARGE;
    bool large = step->algorithm == CL_CONV_LOCAL_LARGE || step->algorithm == CL_CONV_ENGINE_LARGE;
    int64_t side = large ? 128 : 64;
    const struct cl_local_options options = cl_local_options(builder->device, side, engine);
    cl_mem shape = shape_table(builder, s, backward ? s->h * s->w : s->oh * s->ow);
    cl_mem taps =
        tap_table(builder, s, backward ? s->o : s->c, backward ? s->oh * s->ow : s->h * s->w);
    cl_begin(builder, "conv_local.cl", options.text,
             backward  ? "conv_input_grad_local"
             : weights ? "conv_weight_grad_local"
                       : "conv_local");
    cl_arg_place(builder, &s->x);
    if (weights && sizes.parts > 1)
        cl_arg_scratch(builder, 0);
    else
        cl_arg_place(builder, &s->weight);
    cl_arg_place(builder, &s->y);
    cl_arg_buffer(builder, shape);
    cl_arg_buffer(builder, taps);
    cl_arg_int(builder, sizes.rows);
    cl_arg_int(builder, sizes.columns);
    cl_arg_int(builder, sizes.depth);
    if (weights)
        cl_arg_int(builder, sizes.share);
    const int64_t groups[3] = {divide_up(sizes.columns, side), divide_up(sizes.rows, side),
                               sizes.parts};
    const size_t local[3] = {256, 1, 1};
    cl_end_local(builder, groups, local);
    if (weights && sizes.parts > 1)
        cl_conv_add_parts(builder, s, sizes.parts);
}
