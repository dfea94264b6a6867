/* Convolutions 3x3 and their input gradients by Winograd's algorithm on
 * processors: sizes and launches of kernels/winograd_tile.cl. */
#include "backends/opencl/conv.h"

#include <stdio.h>

enum { BLOCK = 16, TILE = 4, ELEMENTS = 36, CHUNK_BYTES = 400 << 10 };

static int64_t divide_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* A step as convolution: what is source and what target. */
struct direction {
    bool forward;
    int64_t source_blocks, target_blocks, rows, columns, target_rows, target_columns, top, left;
    struct kiln_place source, target;
};

static struct direction direction_of(const struct kiln_step *step)
{
    const struct kiln_step_conv *s = &step->as.conv;
    if (step->kind == KILN_STEP_CONV)
        return (struct direction){.forward = true,
                                  .source_blocks = s->c / BLOCK,
                                  .target_blocks = s->o / BLOCK,
                                  .rows = s->h,
                                  .columns = s->w,
                                  .target_rows = s->oh,
                                  .target_columns = s->ow,
                                  .top = s->conv.pad[0],
                                  .left = s->conv.pad[2],
                                  .source = s->x,
                                  .target = s->y};
    return (struct direction){.source_blocks = s->o / BLOCK,
                              .target_blocks = s->c / BLOCK,
                              .rows = s->oh,
                              .columns = s->ow,
                              .target_rows = s->h,
                              .target_columns = s->w,
                              .top = (s->kh - 1) * s->conv.dilation[0] - s->conv.pad[0],
                              .left = (s->kw - 1) * s->conv.dilation[1] - s->conv.pad[2],
                              .source = s->y,
                              .target = s->x};
}

bool cl_conv_is_winograd(const struct kiln_step_conv *s)
{
    const struct kiln_conv *c = &s->conv;
    return s->kh == 3 && s->kw == 3 && c->stride[0] == 1 && c->stride[1] == 1 &&
           c->dilation[0] == 1 && c->dilation[1] == 1 && c->groups == 1;
}

/* Dilated, with submaps that fill most of a tile. */
static bool is_dilated_winograd(const struct kiln_step_conv *s, const struct direction *d)
{
    const int dilation = s->conv.dilation[0];
    struct kiln_step_conv undilated = *s;
    undilated.conv.dilation[0] = undilated.conv.dilation[1] = 1;
    return cl_conv_is_winograd(&undilated) && dilation == s->conv.dilation[1] &&
           d->target_rows >= (TILE - 1) * dilation && d->target_columns >= (TILE - 1) * dilation;
}

static int64_t local_bytes(const struct direction *d, int64_t chunk)
{
    return ELEMENTS * (d->source_blocks * chunk * BLOCK + BLOCK + chunk * 2 * BLOCK + BLOCK) * 4;
}

static int64_t tiles_of(const struct kiln_step_conv *s, const struct direction *d)
{
    int64_t dilation = s->conv.dilation[0], side = TILE * dilation;
    return s->n * dilation * dilation * divide_up(d->target_rows, side) *
           divide_up(d->target_columns, side);
}

/* Tiles of a work-item: as many as a core's second cache holds, and such that
 * there are some work-items for each core. 0: not even 7 fit local memory.
 * No result depends on it. */
static int64_t chunk_of(const kiln_device_state *device, const struct kiln_step_conv *s,
                        const struct direction *d)
{
    int64_t tiles = tiles_of(s, d), enough = 8 * (int64_t)device->caps.compute_units;
    if (local_bytes(d, 14) > device->caps.local_memory_bytes)
        return local_bytes(d, 7) <= device->caps.local_memory_bytes ? 7 : 0;
    int64_t chunk = 14;
    while (local_bytes(d, chunk + 14) <= cl_patch_limit(device, CHUNK_BYTES) &&
           divide_up(tiles, chunk + 14) >= enough)
        chunk += 14;
    return chunk;
}

static int64_t weight_bytes(const struct direction *d)
{
    return divide_up(d->target_blocks, 2) * ELEMENTS * d->source_blocks * BLOCK * 2 * BLOCK * 4;
}

int cl_conv_winograd_candidate(const kiln_device_state *device, const struct kiln_step *step,
                               struct kiln_candidate *candidate)
{
    const struct kiln_step_conv *s = &step->as.conv;
    struct direction d = direction_of(step);
    if ((!cl_conv_is_winograd(s) && !is_dilated_winograd(s, &d)) ||
        s->x_layout != KILN_LAYOUT_NCHW16C || s->y_layout != KILN_LAYOUT_NCHW16C ||
        chunk_of(device, s, &d) == 0)
        return 0;
    *candidate = (struct kiln_candidate){.algorithm = CL_CONV_WINOGRAD,
                                         .name = "winograd",
                                         .scratch_bytes = weight_bytes(&d),
                                         .weight_layout = KILN_LAYOUT_OIHW16I16O,
                                         .winograd = true};
    return 1;
}

static void transform_weights(struct cl_builder *builder, const struct kiln_step_conv *s,
                              const struct direction *d)
{
    cl_begin(builder, "winograd_tile.cl", "",
             d->forward ? "winograd_weights" : "winograd_weights_back");
    cl_arg_place(builder, &s->weight);
    cl_arg_scratch(builder, 0);
    cl_arg_int(builder, d->source_blocks);
    cl_arg_int(builder, d->target_blocks);
    cl_end_groups(builder, divide_up(d->target_blocks, 2), d->source_blocks, 1);
}

void cl_conv_winograd_prepare(struct cl_builder *builder, const struct kiln_step *step)
{
    const struct kiln_step_conv *s = &step->as.conv;
    struct direction d = direction_of(step);
    int64_t side = (int64_t)TILE * s->conv.dilation[0];
    int64_t chunk = chunk_of(builder->device, s, &d), tiles = tiles_of(s, &d);
    int64_t panels = divide_up(d.target_blocks, 2), chunks = divide_up(tiles, chunk);
    /* few chunks: each is shared, at the price of transforming its source again */
    int64_t groups = 1;
    while (groups < panels && chunks * groups < 4 * (int64_t)builder->device->caps.compute_units)
        groups++;
    int64_t group = divide_up(panels, groups);
    const int32_t geometry[] = {(int32_t)d.rows,
                                (int32_t)d.columns,
                                (int32_t)d.target_rows,
                                (int32_t)d.target_columns,
                                (int32_t)d.top,
                                (int32_t)d.left,
                                (int32_t)divide_up(d.target_rows, side),
                                (int32_t)divide_up(d.target_columns, side),
                                (int32_t)tiles};
    cl_mem table = cl_table(builder, geometry, sizeof geometry);
    transform_weights(builder, s, &d);
    char options[32] = "";
    if (s->conv.dilation[0] > 1)
        snprintf(options, sizeof options, "-DDILATION=%d", s->conv.dilation[0]);
    cl_begin(builder, "winograd_tile.cl", options, "winograd_tile");
    cl_arg_place(builder, &d.source);
    cl_arg_scratch(builder, 0);
    cl_arg_place(builder, &d.target);
    cl_arg_buffer(builder, table);
    cl_arg_int(builder, d.source_blocks);
    cl_arg_int(builder, d.target_blocks);
    cl_arg_int(builder, chunk);
    cl_arg_int(builder, group);
    cl_arg_local(builder, (size_t)local_bytes(&d, chunk));
    cl_end_groups(builder, chunks, divide_up(panels, group), 1);
}
