/* Convolutions 4x4 and 5x5 of stride 2 and their input gradients by Winograd's
 * algorithm on processors: sizes and launches of kernels/winograd_phases.cl. */
#include "backends/opencl/conv.h"

enum { BLOCK = 16, TILE = 4, PHASES = 4, CHUNK_BYTES = 400 << 10 };

static int64_t divide_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* A step as convolution: what is source and what target; its geometry as the kernel has it. */
struct direction {
    bool forward;
    int kernel;
    int64_t elements, map_blocks, source_blocks, target_blocks, passes;
    int64_t rows, columns, target_rows, target_columns, tile_rows, tile_columns, tiles;
    struct kiln_place source, target;
};

static struct direction direction_of(const struct kiln_step *step)
{
    const struct kiln_step_conv *s = &step->as.conv;
    bool forward = step->kind == KILN_STEP_CONV;
    struct direction d = {.forward = forward,
                          .kernel = (int)s->kh,
                          .elements = s->kh == 4 ? 25 : 36,
                          .map_blocks = (forward ? s->c : s->o) / BLOCK,
                          .target_blocks = (forward ? s->o : s->c) / BLOCK,
                          .passes = forward ? 1 : PHASES,
                          .rows = forward ? s->h : s->oh,
                          .columns = forward ? s->w : s->ow,
                          .target_rows = forward ? s->oh : s->h,
                          .target_columns = forward ? s->ow : s->w,
                          .source = forward ? s->x : s->y,
                          .target = forward ? s->y : s->x};
    d.source_blocks = d.map_blocks * (forward ? PHASES : 1);
    d.tile_rows = divide_up(forward ? s->oh : divide_up(s->h, 2), TILE);
    d.tile_columns = divide_up(forward ? s->ow : divide_up(s->w, 2), TILE);
    d.tiles = s->n * d.tile_rows * d.tile_columns;
    return d;
}

bool cl_conv_is_winograd_phases(const struct kiln_step_conv *s)
{
    const struct kiln_conv *c = &s->conv;
    return (s->kh == 4 || s->kh == 5) && s->kw == s->kh && c->stride[0] == 2 && c->stride[1] == 2 &&
           c->dilation[0] == 1 && c->dilation[1] == 1 && c->groups == 1;
}

static bool fits(const struct kiln_step_conv *s)
{
    return cl_conv_is_winograd_phases(s) && s->x_layout == KILN_LAYOUT_NCHW16C &&
           s->y_layout == KILN_LAYOUT_NCHW16C;
}

static int64_t local_bytes(const struct direction *d, int64_t chunk)
{
    return d->elements * (d->source_blocks * chunk * BLOCK + BLOCK + chunk * 2 * BLOCK + BLOCK) * 4;
}

/* Tiles of a work-item, as in conv_winograd.c; 0: not even 7 fit local memory. */
static int64_t chunk_of(const kiln_device_state *device, const struct direction *d)
{
    int64_t enough = 8 * (int64_t)device->caps.compute_units;
    if (local_bytes(d, 14) > device->caps.local_memory_bytes)
        return local_bytes(d, 7) <= device->caps.local_memory_bytes ? 7 : 0;
    int64_t chunk = 14;
    while (local_bytes(d, chunk + 14) <= cl_patch_limit(device, CHUNK_BYTES) &&
           divide_up(d->tiles, chunk + 14) * d->passes >= enough)
        chunk += 14;
    return chunk;
}

int cl_conv_winograd_phases_candidate(const kiln_device_state *device, const struct kiln_step *step,
                                      struct kiln_candidate *candidate)
{
    struct direction d = direction_of(step);
    if (!fits(&step->as.conv) || chunk_of(device, &d) == 0)
        return 0;
    *candidate = (struct kiln_candidate){.algorithm = CL_CONV_WINOGRAD_PHASES,
                                         .name = "winograd",
                                         .scratch_bytes = d.passes * divide_up(d.target_blocks, 2) *
                                                          d.elements * d.source_blocks * BLOCK * 2 *
                                                          BLOCK * 4,
                                         .weight_layout = KILN_LAYOUT_OIHW16I16O,
                                         .winograd = true};
    return 1;
}

/* Pixel r of x is in phase (r + pad) % 2; the first one of a phase, divided by two: */
static int first_of(int pad, int phase)
{
    return (pad - phase + 1) / 2;
}

static cl_mem geometry_table(struct cl_builder *builder, const struct kiln_step_conv *s,
                             const struct direction *d)
{
    int32_t geometry[17] = {
        (int32_t)d->rows,           (int32_t)d->columns,   (int32_t)d->target_rows,
        (int32_t)d->target_columns, (int32_t)d->tile_rows, (int32_t)d->tile_columns,
        (int32_t)d->tiles,          d->forward ? 2 : 1,    d->forward ? 1 : 2};
    for (int axis = 0; axis < 2; axis++)
        for (int phase = 0; phase < 2; phase++) {
            int pad = s->conv.pad[2 * axis], first = first_of(pad, phase);
            geometry[9 + 2 * axis + phase] = d->forward ? phase - pad : first - (d->kernel - 1) / 2;
            geometry[13 + 2 * axis + phase] = d->forward ? 0 : 2 * first + phase - pad;
        }
    return cl_table(builder, geometry, sizeof geometry);
}

void cl_conv_winograd_phases_prepare(struct cl_builder *builder, const struct kiln_step *step)
{
    const struct kiln_step_conv *s = &step->as.conv;
    struct direction d = direction_of(step);
    const char *options = d.kernel == 4 ? "" : "-DKERNEL=5";
    int64_t chunk = chunk_of(builder->device, &d), chunks = divide_up(d.tiles, chunk);
    int64_t panels = divide_up(d.target_blocks, 2);
    /* few chunks: each is shared, at the price of transforming its source again */
    int64_t groups = 1;
    while (groups < panels &&
           chunks * d.passes * groups < 4 * (int64_t)builder->device->caps.compute_units)
        groups++;
    int64_t group = divide_up(panels, groups);
    cl_mem table = geometry_table(builder, s, &d);
    cl_begin(builder, "winograd_phases.cl", options,
             d.forward ? "winograd_phase_weights" : "winograd_phase_weights_back");
    cl_arg_place(builder, &s->weight);
    cl_arg_scratch(builder, 0);
    cl_arg_int(builder, d.map_blocks);
    cl_arg_int(builder, d.target_blocks);
    cl_end_groups(builder, panels, d.map_blocks, PHASES);
    cl_begin(builder, "winograd_phases.cl", options, "winograd_phase_tile");
    cl_arg_place(builder, &d.source);
    cl_arg_scratch(builder, 0);
    cl_arg_place(builder, &d.target);
    cl_arg_buffer(builder, table);
    cl_arg_int(builder, d.map_blocks);
    cl_arg_int(builder, d.source_blocks);
    cl_arg_int(builder, d.target_blocks);
    cl_arg_int(builder, chunk);
    cl_arg_int(builder, group);
    cl_arg_local(builder, (size_t)local_bytes(&d, chunk));
    cl_end_groups(builder, chunks, divide_up(panels, group), d.passes);
}
