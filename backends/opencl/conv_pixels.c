/* Convolutions of dense maps on processors: vectors of pixels. */
#include "backends/opencl/conv.h"

#include <stdio.h>

enum { PATCH_BYTES = 192 << 10, WORK_ITEMS = 64 };

static int64_t divide_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* How the source is cut: rows of a band and channels of a patch. */
struct cut {
    int64_t band_rows, chunk, bytes;
};

/*
 * Bands as high as the patch allows for all channels; if not even one row does,
 * fewer channels. False if one channel's row does not fit.
 */
static bool cut_source(const kiln_device_state *device, const struct cl_gather *gather,
                       int64_t channels, struct cut *cut)
{
    int64_t limit = cl_patch_limit(device, PATCH_BYTES);
    int64_t row_bytes = cl_gather_pixels(gather, 1) * 4;
    if (row_bytes > limit)
        return false;
    cut->chunk = row_bytes ? least(channels, limit / row_bytes) : channels;
    cut->band_rows = 1;
    while (cut->band_rows < gather->vertical.grid &&
           cl_gather_pixels(gather, cut->band_rows + 1) * cut->chunk * 4 <= limit)
        cut->band_rows++;
    cut->bytes = cl_gather_pixels(gather, cut->band_rows) * cut->chunk * 4;
    return true;
}

static int phases(const struct kiln_step *step)
{
    const struct kiln_conv *conv = &step->as.conv.conv;
    return step->kind == KILN_STEP_CONV_INPUT_GRAD ? conv->stride[0] * conv->stride[1] : 1;
}

static void gather_of(const struct kiln_step *step, int phase, struct cl_gather *gather)
{
    if (step->kind == KILN_STEP_CONV_INPUT_GRAD)
        cl_gather_backward(&step->as.conv, phase, gather);
    else
        cl_gather_forward(&step->as.conv, gather);
}

/* --- forward and input gradient --------------------------------------------------- */

static int tile_rows(int64_t targets)
{
    return targets >= 14 ? 14 : targets >= 4 ? 4 : 1;
}

/* Bytes of the packed weights of one phase. */
static int64_t packed_bytes(const struct kiln_step *step, const struct cl_gather *gather)
{
    const struct kiln_step_conv *s = &step->as.conv;
    bool forward = step->kind == KILN_STEP_CONV;
    int64_t sources = forward ? s->c : s->o, targets = forward ? s->o : s->c;
    int rows = tile_rows(targets);
    return divide_up(targets, rows) * rows * sources * gather->vertical.n * gather->horizontal.n *
           4;
}

static void launch(struct cl_builder *builder, const struct kiln_step *step,
                   const struct cl_gather *gather, int64_t scratch)
{
    const struct kiln_step_conv *s = &step->as.conv;
    bool forward = step->kind == KILN_STEP_CONV;
    int64_t sources = forward ? s->c : s->o, targets = forward ? s->o : s->c;
    int64_t taps = s->kh * s->kw;
    struct cut cut;
    if (gather->vertical.grid == 0 || gather->horizontal.grid == 0)
        return;
    if (!cut_source(builder->device, gather, sources, &cut)) {
        cl_refuse(builder, "a row of the map does not fit local memory");
        return;
    }
    const int32_t placing[] = {(int32_t)gather->target_rows,   (int32_t)gather->target_columns,
                               gather->vertical.target_step,   gather->vertical.target_first,
                               gather->horizontal.target_step, gather->horizontal.target_first};
    cl_mem geometry = cl_gather_table(builder, gather, cut.band_rows, s->kw, sources, 1,
                                      forward ? taps : s->c * taps);
    cl_mem where = cl_table(builder, placing, sizeof placing);
    int rows = tile_rows(targets);
    char options[32];
    snprintf(options, sizeof options, "-DN_ROWS=%d", rows);
    cl_begin(builder, "conv_pixels.cl", options, "conv_pixels_pack");
    cl_arg_place(builder, &s->weight);
    cl_arg_scratch(builder, scratch);
    cl_arg_buffer(builder, geometry);
    cl_arg_int(builder, targets);
    cl_arg_int(builder, forward ? s->c * taps : taps);
    cl_end_groups(builder, divide_up(targets, rows), 1, 1);
    int64_t bands = divide_up(gather->vertical.grid, cut.band_rows);
    int64_t groups = least(divide_up(WORK_ITEMS, s->n * bands), divide_up(targets, rows));
    int64_t group = divide_up(divide_up(targets, groups), rows) * rows;
    cl_begin(builder, "conv_pixels.cl", options, "conv_pixels");
    cl_arg_place(builder, forward ? &s->x : &s->y);
    cl_arg_scratch(builder, scratch);
    cl_arg_place(builder, forward ? &s->y : &s->x);
    cl_arg_buffer(builder, geometry);
    cl_arg_buffer(builder, where);
    cl_arg_int(builder, sources);
    cl_arg_int(builder, cut.chunk);
    cl_arg_int(builder, targets);
    cl_arg_int(builder, group);
    cl_arg_int(builder, (int64_t)gather->vertical.n * gather->horizontal.n);
    cl_arg_local(builder, (size_t)cut.bytes + CL_PATCH_SLACK_BYTES);
    cl_end_groups(builder, divide_up(targets, group), bands, s->n);
}

/* --- weight gradient ---------------------------------------------------------------- */

struct weight_cut {
    struct cut cut;
    int64_t together, group, parts, share;
};

/* Depends on sizes alone, since the order of sums does. */
static bool cut_weight(const kiln_device_state *device, const struct kiln_step_conv *s,
                       struct weight_cut *w)
{
    struct cl_gather gather;
    cl_gather_forward(s, &gather);
    int64_t taps = s->kh * s->kw;
    /* so few channels that their entries' patches stay in the first caches */
    int64_t channels = least(s->c, divide_up(48, taps));
    if (!cut_source(device, &gather, channels, &w->cut))
        return false;
    w->group = least(s->o, 64);
    int64_t items = divide_up(s->c, w->cut.chunk) * divide_up(s->o, w->group);
    w->parts = least(divide_up(WORK_ITEMS, items), s->n);
    w->share = divide_up(s->n, w->parts);
    w->parts = divide_up(s->n, w->share);
    w->together = 1;
    if (w->cut.band_rows == s->oh && w->cut.bytes > 0)
        w->together = least(w->share, cl_patch_limit(device, PATCH_BYTES) / w->cut.bytes);
    return true;
}

static void launch_weight(struct cl_builder *builder, const struct kiln_step_conv *s)
{
    struct weight_cut w;
    if (!cut_weight(builder->device, s, &w)) {
        cl_refuse(builder, "a row of the map does not fit local memory");
        return;
    }
    struct cl_gather gather;
    cl_gather_forward(s, &gather);
    int64_t taps = s->kh * s->kw;
    cl_mem geometry = cl_gather_table(builder, &gather, w.cut.band_rows, s->kw, s->c, 1, taps);
    cl_begin(builder, "conv_pixels.cl", "", "conv_pixels_weight");
    cl_arg_place(builder, &s->x);
    cl_arg_place(builder, &s->y);
    if (w.parts > 1)
        cl_arg_scratch(builder, 0);
    else
        cl_arg_place(builder, &s->weight);
    cl_arg_buffer(builder, geometry);
    cl_arg_int(builder, s->n);
    cl_arg_int(builder, w.share);
    cl_arg_int(builder, w.together);
    cl_arg_int(builder, s->c);
    cl_arg_int(builder, w.cut.chunk);
    cl_arg_int(builder, s->o);
    cl_arg_int(builder, w.group);
    cl_arg_int(builder, taps);
    cl_arg_local(builder, (size_t)(w.cut.bytes * w.together) + CL_PATCH_SLACK_BYTES);
    cl_end_groups(builder, divide_up(s->c, w.cut.chunk), divide_up(s->o, w.group), w.parts);
    if (w.parts > 1)
        cl_conv_add_parts(builder, s, w.parts);
}

int cl_conv_pixels_candidate(const kiln_device_state *device, const struct kiln_step *step,
                             struct kiln_candidate *candidate)
{
    const struct kiln_step_conv *s = &step->as.conv;
    if (!cl_conv_tiles(s))
        return 0;
    *candidate = (struct kiln_candidate){
        .algorithm = CL_CONV_PIXELS, .name = "pixels", .weight_layout = KILN_LAYOUT_DENSE};
    if (step->kind == KILN_STEP_CONV_WEIGHT_GRAD) {
        struct weight_cut w;
        if (!cut_weight(device, s, &w))
            return 0;
        if (w.parts > 1)
            candidate->scratch_bytes = w.parts * s->o * s->c * s->kh * s->kw * 4;
        return 1;
    }
    for (int phase = 0; phase < phases(step); phase++) {
        struct cl_gather gather;
        struct cut cut;
        gather_of(step, phase, &gather);
        if (!cut_source(device, &gather, 1, &cut))
            return 0;
        candidate->scratch_bytes += packed_bytes(step, &gather);
    }
    return 1;
}

void cl_conv_pixels_prepare(struct cl_builder *builder, const struct kiln_step *step)
{
    if (step->kind == KILN_STEP_CONV_WEIGHT_GRAD) {
        launch_weight(builder, &step->as.conv);
        return;
    }
    int64_t scratch = 0;
    for (int phase = 0; phase < phases(step); phase++) {
        struct cl_gather gather;
        gather_of(step, phase, &gather);
        launch(builder, step, &gather, scratch);
        scratch += packed_bytes(step, &gather);
    }
}
