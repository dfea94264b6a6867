/* Convolution and its input gradient by the tile kernels of processors. */
#include "backends/opencl/conv.h"

enum { BLOCK = 16, PATCH_BYTES = 256 << 10 };

/* A step as gather: what is source and what target. */
struct direction {
    bool forward, source_blocked, target_blocked;
    int64_t source_channels, target_channels;
    struct kiln_place source, target;
    enum kiln_layout weight_layout;
    int phases; /* residues of the input gradient modulo the strides */
};

static struct direction direction_of(const struct kiln_step *step)
{
    const struct kiln_step_conv *s = &step->as.conv;
    bool x_blocked = s->x_layout == KILN_LAYOUT_NCHW16C,
         y_blocked = s->y_layout == KILN_LAYOUT_NCHW16C;
    if (step->kind == KILN_STEP_CONV)
        return (struct direction){.forward = true,
                                  .source_blocked = x_blocked,
                                  .target_blocked = y_blocked,
                                  .source_channels = s->c,
                                  .target_channels = s->o,
                                  .source = s->x,
                                  .target = s->y,
                                  .weight_layout = x_blocked && y_blocked ? KILN_LAYOUT_OIHW16I16O
                                                   : y_blocked            ? KILN_LAYOUT_OHWI16O
                                                                          : KILN_LAYOUT_NHWC,
                                  .phases = 1};
    return (struct direction){.source_blocked = y_blocked,
                              .target_blocked = x_blocked,
                              .source_channels = s->o,
                              .target_channels = s->c,
                              .source = s->y,
                              .target = s->x,
                              .weight_layout = x_blocked && y_blocked ? KILN_LAYOUT_OIHW16O16I
                                               : x_blocked            ? KILN_LAYOUT_NHWC
                                                                      : KILN_LAYOUT_OHWI16O,
                              .phases = s->conv.stride[0] * s->conv.stride[1]};
}

/* Strides of the weights in floats: per tap, per source channel of a dense
 * source, per block of source and per block (or channel) of target channels. */
struct weight_strides {
    int64_t tap, channel, source, target;
};

static struct weight_strides strides_of(const struct kiln_step_conv *s, const struct direction *d)
{
    int64_t taps = s->kh * s->kw, square = BLOCK * BLOCK;
    if (d->weight_layout == KILN_LAYOUT_OIHW16I16O)
        return (struct weight_strides){square, 0, taps * square, s->c / BLOCK * taps * square};
    if (d->weight_layout == KILN_LAYOUT_OIHW16O16I)
        return (struct weight_strides){square, 0, s->c / BLOCK * taps * square, taps * square};
    if (d->weight_layout == KILN_LAYOUT_OHWI16O) /* [o/16][tap][i][16o] */
        return d->forward ? (struct weight_strides){s->c * BLOCK, BLOCK, 0, taps * s->c * BLOCK}
                          : (struct weight_strides){s->c * BLOCK, 0, taps * s->c * BLOCK, BLOCK};
    /* [o][tap][i] */
    return d->forward ? (struct weight_strides){s->c, 0, BLOCK, taps * s->c}
                      : (struct weight_strides){s->c, taps * s->c, 0, BLOCK};
}

/* --- how much a work-item takes ----------------------------------------------- */

struct plan {
    int64_t band_rows, chunk, group; /* chunk: source blocks; group: target blocks */
    int64_t patch_bytes;
};

static int64_t divide_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* Bytes of patch for one row band of one source block (or of all dense maps). */
static int64_t unit_bytes(const struct cl_gather *gather, const struct direction *d, int64_t rows)
{
    int64_t maps = d->source_blocked ? BLOCK : d->source_channels;
    return cl_gather_pixels(gather, rows) * maps * 4;
}

/*
 * The band whose rough time a pixel is least: tiles of 14 and 7 pixels, and the
 * copying, which larger bands share. Fixed numbers, so that a result does not
 * depend on the machine.
 */
static double band_cost(const struct cl_gather *gather, int64_t rows, double tile_cost,
                        double copy_cost)
{
    int64_t bands = divide_up(gather->vertical.grid, rows);
    double cost = 0;
    for (int64_t band = 0; band < bands; band++) {
        int64_t left = gather->vertical.grid - band * rows;
        int64_t pixels = (left < rows ? left : rows) * gather->horizontal.grid;
        int64_t rest = pixels % 14;
        cost += tile_cost * ((double)(pixels / 14) + (rest == 0 ? 0 : rest > 7 ? 1 : 0.55));
        cost += copy_cost * (double)cl_gather_pixels(gather, rows);
    }
    return cost;
}

static struct plan plan_of(const kiln_device_state *device, const struct kiln_step_conv *s,
                           const struct direction *d, const struct cl_gather *gather)
{
    int64_t limit = cl_patch_limit(device, PATCH_BYTES);
    int64_t blocks = d->source_blocked ? d->source_channels / BLOCK : 1;
    int64_t targets = d->target_blocked ? d->target_channels / BLOCK : d->target_channels;
    int64_t taps = (int64_t)gather->vertical.n * gather->horizontal.n;
    double inner = d->source_blocked ? BLOCK : (double)d->source_channels;
    double tile_cost = 14 * (double)(blocks * taps) * inner * (double)targets / 2;
    double copy_cost = (double)blocks * (d->source_blocked ? 2 : inner / 4);
    struct plan best = {0};
    double least = 0;
    for (int64_t rows = 1; rows <= gather->vertical.grid; rows++) {
        int64_t unit = unit_bytes(gather, d, rows);
        if (unit > limit)
            break;
        int64_t chunk = unit > 0 ? limit / unit : blocks;
        chunk = chunk > blocks ? blocks : chunk;
        double cost = band_cost(gather, rows, tile_cost, copy_cost);
        cost *= 1 + 0.02 * (double)(divide_up(blocks, chunk) - 1);
        if (best.band_rows && cost >= least)
            continue;
        least = cost;
        best = (struct plan){.band_rows = rows, .chunk = chunk, .patch_bytes = unit * chunk};
    }
    /* enough work-items for many cores, at the price of copying more often */
    best.group = targets + targets % 2;
    while (best.band_rows && best.group > 2 &&
           s->n * divide_up(gather->vertical.grid, best.band_rows) *
                   divide_up(targets, best.group) <
               32)
        best.group = divide_up(best.group / 2, 2) * 2;
    return best;
}

/* --- launches -------------------------------------------------------------------- */

static void launch(struct cl_builder *builder, const struct kiln_step_conv *s,
                   const struct direction *d, const struct cl_gather *gather)
{
    if (gather->vertical.grid == 0 || gather->horizontal.grid == 0)
        return;
    struct plan plan = plan_of(builder->device, s, d, gather);
    struct weight_strides strides = strides_of(s, d);
    int64_t channels = d->source_blocked ? 1 : d->source_channels;
    int64_t blocks = d->source_channels / (d->source_blocked ? BLOCK : 1);
    int64_t targets = d->target_channels / (d->target_blocked ? BLOCK : 1);
    const int32_t placing[] = {(int32_t)gather->target_rows,   (int32_t)gather->target_columns,
                               gather->vertical.target_step,   gather->vertical.target_first,
                               gather->horizontal.target_step, gather->horizontal.target_first};
    cl_mem geometry = cl_gather_table(builder, gather, plan.band_rows, s->kw, channels, strides.tap,
                                      strides.channel);
    cl_mem where = cl_table(builder, placing, sizeof placing);
    if (d->target_blocked) {
        const char *options = d->source_blocked ? (targets % 2 ? "-DBLOCKS=1" : "")
                              : targets % 2     ? "-DINNER=1 -DBLOCKS=1"
                                                : "-DINNER=1";
        cl_begin(builder, "conv_tile.cl", options, "conv_tile");
    } else {
        cl_begin(builder, "conv_dense.cl", "", "conv_dense");
    }
    cl_arg_place(builder, &d->source);
    cl_arg_place(builder, &s->weight);
    cl_arg_place(builder, &d->target);
    cl_arg_buffer(builder, geometry);
    cl_arg_buffer(builder, where);
    cl_arg_int(builder, blocks);
    cl_arg_int(builder, d->source_blocked ? plan.chunk : blocks);
    cl_arg_int(builder, targets);
    cl_arg_int(builder, plan.group);
    cl_arg_int(builder, strides.target);
    cl_arg_int(builder, strides.source);
    cl_arg_local(builder, (size_t)plan.patch_bytes + CL_PATCH_SLACK_BYTES);
    cl_end_groups(builder, divide_up(targets, plan.group),
                  divide_up(gather->vertical.grid, plan.band_rows), s->n);
}

static void gather_of(const struct kiln_step *step, const struct direction *d, int phase,
                      struct cl_gather *gather)
{
    if (d->forward)
        cl_gather_forward(&step->as.conv, gather);
    else
        cl_gather_backward(&step->as.conv, phase, gather);
}

void cl_conv_tile_prepare(struct cl_builder *builder, const struct kiln_step *step)
{
    struct direction d = direction_of(step);
    for (int phase = 0; phase < d.phases; phase++) {
        struct cl_gather gather;
        gather_of(step, &d, phase, &gather);
        launch(builder, &step->as.conv, &d, &gather);
    }
}

static bool fits(const kiln_device_state *device, const struct kiln_step *step)
{
    struct direction d = direction_of(step);
    if (!cl_conv_tiles(&step->as.conv) || (!d.source_blocked && !d.target_blocked))
        return false;
    for (int phase = 0; phase < d.phases; phase++) {
        struct cl_gather gather;
        gather_of(step, &d, phase, &gather);
        if (unit_bytes(&gather, &d, 1) > cl_patch_limit(device, PATCH_BYTES))
            return false;
    }
    return true;
}

int cl_conv_tile_candidate(const kiln_device_state *device, const struct kiln_step *step,
                           struct kiln_candidate *candidate)
{
    if (!fits(device, step))
        return 0;
    *candidate = (struct kiln_candidate){.algorithm = CL_CONV_TILE,
                                         .name = "tile",
                                         .weight_layout = direction_of(step).weight_layout};
    return 1;
}
