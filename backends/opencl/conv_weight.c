/* The weight gradient by the tile kernels of processors. */
#include "backends/opencl/conv.h"

enum { BLOCK = 16, PATCH_BYTES = 48 << 10, MOST_BYTES = 256 << 10 };

static int64_t divide_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

struct weight_plan {
    bool x_blocked, y_blocked;
    enum kiln_layout layout;
    int64_t x_blocks, y_blocks;         /* maps of 16 channels, or channels */
    int64_t band_rows, together, group; /* rows and images of a patch; output blocks */
    int64_t parts, share;               /* of the images */
    int64_t patch_bytes, count;         /* elements of the weights */
    int64_t tap, channel, in, out;      /* strides of the weights, in elements */
};

static void set_layout(const struct kiln_step_conv *s, struct weight_plan *plan)
{
    int64_t taps = s->kh * s->kw;
    if (plan->x_blocked && plan->y_blocked) {
        plan->layout = KILN_LAYOUT_OIHW16I16O;
        plan->tap = BLOCK * BLOCK;
        plan->in = taps * plan->tap;
        plan->out = plan->x_blocks * plan->in;
    } else if (plan->y_blocked) {
        plan->layout = KILN_LAYOUT_OHWI16O;
        plan->tap = s->c * BLOCK;
        plan->channel = BLOCK;
        plan->out = taps * plan->tap;
    } else {
        plan->layout = KILN_LAYOUT_NHWC;
        plan->tap = s->c;
        plan->in = BLOCK;
        plan->out = taps * s->c;
    }
}

/*
 * Patches small enough for the first cache, of several images where these are
 * small; and enough work-items for many cores. Depends on sizes alone, since
 * the order of sums does.
 */
static bool plan_weight(const kiln_device_state *device, const struct kiln_step_conv *s,
                        struct weight_plan *plan)
{
    enum { WORK_ITEMS = 64, GROUP_BLOCKS = 8 };
    *plan = (struct weight_plan){.x_blocked = s->x_layout == KILN_LAYOUT_NCHW16C,
                                 .y_blocked = s->y_layout == KILN_LAYOUT_NCHW16C,
                                 .count = s->o * s->c * s->kh * s->kw};
    if (!cl_conv_tiles(s) || (!plan->x_blocked && !plan->y_blocked))
        return false;
    plan->x_blocks = plan->x_blocked ? s->c / BLOCK : s->c;
    plan->y_blocks = plan->y_blocked ? s->o / BLOCK : s->o;
    set_layout(s, plan);

    struct cl_gather gather;
    cl_gather_forward(s, &gather);
    int64_t map_bytes = plan->x_blocked ? BLOCK * 4 : s->c * 4;
    int64_t limit = cl_patch_limit(device, PATCH_BYTES);
    if (cl_gather_pixels(&gather, 1) * map_bytes > cl_patch_limit(device, MOST_BYTES))
        return false;
    plan->band_rows = 1;
    while (plan->band_rows < s->oh &&
           cl_gather_pixels(&gather, plan->band_rows + 1) * map_bytes <= limit)
        plan->band_rows++;
    int64_t unit = cl_gather_pixels(&gather, plan->band_rows) * map_bytes;

    plan->group = plan->y_blocks < GROUP_BLOCKS ? plan->y_blocks : GROUP_BLOCKS;
    int64_t columns = plan->x_blocked ? plan->x_blocks : 1;
    int64_t items = columns * divide_up(plan->y_blocks, plan->group);
    plan->parts = divide_up(WORK_ITEMS, items);
    plan->parts = plan->parts > s->n ? s->n : plan->parts;
    plan->share = divide_up(s->n, plan->parts);
    plan->parts = divide_up(s->n, plan->share);
    plan->together = 1;
    if (plan->band_rows == s->oh)
        while (plan->together < plan->share && (plan->together + 1) * unit <= limit)
            plan->together++;
    plan->patch_bytes = unit * plan->together;
    return true;
}

int cl_conv_weight_candidate(const kiln_device_state *device, const struct kiln_step *step,
                             struct kiln_candidate *candidate)
{
    struct weight_plan plan;
    if (!plan_weight(device, &step->as.conv, &plan))
        return 0;
    *candidate =
        (struct kiln_candidate){.algorithm = CL_CONV_TILE,
                                .name = "tile",
                                .scratch_bytes = plan.parts > 1 ? plan.parts * plan.count * 4 : 0,
                                .weight_layout = plan.layout};
    return 1;
}

void cl_conv_add_parts(struct cl_builder *builder, const struct kiln_step_conv *s, int64_t parts)
{
    int64_t count = s->o * (s->c / s->conv.groups) * s->kh * s->kw;
    cl_begin(builder, "conv_weight.cl", "", "conv_weight_sum");
    cl_arg_scratch(builder, 0);
    cl_arg_place(builder, &s->weight);
    cl_arg_int(builder, parts);
    cl_arg_long(builder, count);
    cl_end_items(builder, divide_up(count, BLOCK), 4 * parts);
}

void cl_conv_weight_prepare(struct cl_builder *builder, const struct kiln_step *step)
{
    const struct kiln_step_conv *s = &step->as.conv;
    struct weight_plan plan;
    if (!plan_weight(builder->device, s, &plan)) {
        cl_refuse(builder, "the sizes have no tiled kernel");
        return;
    }
    struct cl_gather gather;
    cl_gather_forward(s, &gather);
    cl_mem geometry = cl_gather_table(builder, &gather, plan.band_rows, s->kw,
                                      plan.x_blocked ? 1 : s->c, plan.tap, plan.channel);
    bool pairs = plan.y_blocks % 2 == 0;
    if (plan.x_blocked && plan.y_blocked)
        cl_begin(builder, "conv_weight.cl", pairs ? "" : "-DBLOCKS=1", "conv_weight");
    else if (plan.x_blocked)
        cl_begin(builder, "conv_weight.cl", "", "conv_weight_last");
    else
        cl_begin(builder, "conv_weight.cl", "-DINNER=1", "conv_weight_first");
    cl_arg_place(builder, &s->x);
    cl_arg_place(builder, &s->y);
    if (plan.parts > 1)
        cl_arg_scratch(builder, 0);
    else
        cl_arg_place(builder, &s->weight);
    cl_arg_buffer(builder, geometry);
    cl_arg_int(builder, s->n);
    cl_arg_int(builder, plan.share);
    cl_arg_int(builder, plan.together);
    cl_arg_int(builder, plan.x_blocks);
    cl_arg_int(builder, plan.y_blocks);
    cl_arg_int(builder, plan.group);
    cl_arg_long(builder, plan.count);
    cl_arg_int(builder, plan.out);
    cl_arg_int(builder, plan.in);
    cl_arg_local(builder, (size_t)plan.patch_bytes + CL_PATCH_SLACK_BYTES);
    cl_end_groups(builder, plan.x_blocked ? plan.x_blocks : 1, divide_up(plan.y_blocks, plan.group),
                  plan.parts);
    if (plan.parts > 1)
        cl_conv_add_parts(builder, s, plan.parts);
}
