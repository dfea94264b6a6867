/* The weight gradient by Winograd's algorithm on processors: sizes and launches
 * of kernels/winograd_weight.cl and, of stride 2, winograd_phases_weight.cl. */
#include "backends/opencl/conv.h"

enum { BLOCK = 16, TILE = 4 };

struct weight_form {
    const char *program, *options, *kernel, *taps;
    int64_t phases, elements, items; /* work-items that share the elements */
    int64_t x_group, y_group;        /* most channels of a work-item */
    int64_t chunk_bytes;
};

#define PHASES_FORM(OPTIONS, ELEMENTS)                                                             \
    {                                                                                              \
        "winograd_phases_weight.cl", OPTIONS, "winograd_phase_weight",                             \
            "winograd_phase_weight_taps", 4, ELEMENTS, 1, 64, 64, 400 << 10                        \
    }
static const struct weight_form of_3x3 = {"winograd_weight.cl", "",
                                          "winograd_weight",    "winograd_weight_taps",
                                          .phases = 1,          .elements = 36,
                                          .items = 3,           .x_group = 128,
                                          .y_group = 64,        .chunk_bytes = 256 << 10};
static const struct weight_form of_4x4 = PHASES_FORM("", 25);
static const struct weight_form of_5x5 = PHASES_FORM("-DKERNEL=5", 36);

static int64_t divide_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

struct weight_plan {
    const struct weight_form *form;
    int64_t x_channels;                                    /* with the phases */
    int64_t tiles, x_group, y_group, groups, parts, share; /* sums' order depends on these */
    int64_t chunk, local_bytes;                            /* and not on these */
};

static int64_t local_bytes(const struct weight_plan *plan, int64_t chunk)
{
    int64_t planes = (plan->x_group + plan->y_group) / BLOCK * chunk + 2;
    return plan->form->elements / plan->form->items * planes * BLOCK * 4;
}

/*
 * Groups of channels whose sums stay in a core's second cache beside a chunk
 * of tiles; and enough work-items for many cores. False if there is no form.
 */
static bool plan_weight(const kiln_device_state *device, const struct kiln_step_conv *s,
                        struct weight_plan *plan)
{
    enum { WORK_ITEMS = 24, LEAST_SHARE = 32 };
    const struct weight_form *form = cl_conv_is_winograd(s)           ? &of_3x3
                                     : !cl_conv_is_winograd_phases(s) ? NULL
                                     : s->kh == 4                     ? &of_4x4
                                                                      : &of_5x5;
    if (!form || s->x_layout != KILN_LAYOUT_NCHW16C || s->y_layout != KILN_LAYOUT_NCHW16C)
        return false;
    int64_t x_channels = s->c * form->phases;
    *plan = (struct weight_plan){
        .form = form,
        .x_channels = x_channels,
        .tiles = s->n * divide_up(s->oh, TILE) * divide_up(s->ow, TILE),
        .x_group = x_channels < form->x_group ? x_channels : form->x_group,
        .y_group = s->o < form->y_group ? s->o : form->y_group,
    };
    plan->groups = divide_up(x_channels, plan->x_group) * divide_up(s->o, plan->y_group);
    plan->parts = divide_up(WORK_ITEMS, form->items * plan->groups);
    if (plan->parts > divide_up(plan->tiles, LEAST_SHARE))
        plan->parts = divide_up(plan->tiles, LEAST_SHARE);
    plan->share = divide_up(plan->tiles, plan->parts);
    plan->parts = divide_up(plan->tiles, plan->share);
    plan->chunk = plan->share;
    int64_t limit = cl_patch_limit(device, form->chunk_bytes);
    while (plan->chunk > 1 && local_bytes(plan, plan->chunk) > limit)
        plan->chunk--;
    plan->local_bytes = local_bytes(plan, plan->chunk);
    return plan->local_bytes <= device->caps.local_memory_bytes;
}

int cl_conv_winograd_weight_candidate(const kiln_device_state *device, const struct kiln_step *step,
                                      struct kiln_candidate *candidate)
{
    const struct kiln_step_conv *s = &step->as.conv;
    struct weight_plan plan;
    if (!plan_weight(device, s, &plan))
        return 0;
    *candidate = (struct kiln_candidate){.algorithm = CL_CONV_WINOGRAD,
                                         .name = "winograd",
                                         .scratch_bytes = plan.parts * plan.form->elements *
                                                          plan.x_channels * s->o * 4,
                                         .weight_layout = KILN_LAYOUT_OIHW16I16O,
                                         .winograd = true};
    return 1;
}

void cl_conv_winograd_weight_prepare(struct cl_builder *builder, const struct kiln_step *step)
{
    const struct kiln_step_conv *s = &step->as.conv;
    struct weight_plan plan;
    if (!plan_weight(builder->device, s, &plan)) {
        cl_refuse(builder, "the sizes have no kernel by Winograd's algorithm");
        return;
    }
    const int32_t geometry[] = {(int32_t)s->h,
                                (int32_t)s->w,
                                (int32_t)s->oh,
                                (int32_t)s->ow,
                                s->conv.pad[0],
                                s->conv.pad[2],
                                (int32_t)divide_up(s->oh, TILE),
                                (int32_t)divide_up(s->ow, TILE),
                                (int32_t)plan.tiles};
    cl_mem table = cl_table(builder, geometry, sizeof geometry);
    cl_begin(builder, plan.form->program, plan.form->options, plan.form->kernel);
    cl_arg_place(builder, &s->x);
    cl_arg_place(builder, &s->y);
    cl_arg_scratch(builder, 0);
    cl_arg_buffer(builder, table);
    cl_arg_int(builder, plan.x_channels);
    cl_arg_int(builder, s->o);
    cl_arg_int(builder, plan.x_group);
    cl_arg_int(builder, plan.y_group);
    cl_arg_int(builder, plan.share);
    cl_arg_int(builder, plan.chunk);
    cl_arg_local(builder, (size_t)plan.local_bytes);
    cl_end_groups(builder, plan.form->items * plan.groups, plan.parts, 1);

    cl_begin(builder, plan.form->program, plan.form->options, plan.form->taps);
    cl_arg_scratch(builder, 0);
    cl_arg_place(builder, &s->weight);
    cl_arg_int(builder, plan.x_channels);
    cl_arg_int(builder, s->o);
    cl_arg_int(builder, plan.parts);
    cl_end_items(builder, plan.x_channels * s->o / BLOCK, plan.form->elements * (plan.parts + 2));
}
