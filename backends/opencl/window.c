/* Pooling windows: argmax and its adjoint pair. */
#include "backends/opencl/opencl.h"

static void sizes(struct cl_builder *builder, const struct kiln_step_window *s, bool window)
{
    cl_arg_int(builder, s->inner);
    cl_arg_int(builder, s->h);
    cl_arg_int(builder, s->w);
    cl_arg_int(builder, s->oh);
    cl_arg_int(builder, s->ow);
    if (!window)
        return;
    cl_arg_int(builder, s->window.size[0]);
    cl_arg_int(builder, s->window.size[1]);
    cl_arg_int(builder, s->window.stride[0]);
    cl_arg_int(builder, s->window.stride[1]);
    cl_arg_int(builder, s->window.pad[0]);
    cl_arg_int(builder, s->window.pad[2]);
}

void cl_window_prepare(struct cl_builder *builder, const struct kiln_step *step)
{
    const struct kiln_step_window *s = &step->as.window;
    int64_t covered = (int64_t)s->window.size[0] * s->window.size[1];
    const struct kiln_caps *caps = &builder->device->caps;
    int64_t lanes = builder->device->cpu_like && s->inner % 16 == 0 ? 16 : 1;
    bool planes = builder->device->cpu_like && s->outer >= caps->compute_units * 4;
    int64_t outputs = s->outer * s->oh * s->ow * s->inner;
    if (step->kind == KILN_STEP_WINDOW_ARGMAX) {
        cl_begin(builder, "window.cl", "", lanes == 16 ? "window_argmax16" : "window_argmax");
        cl_arg_place(builder, &s->x);
        cl_arg_place(builder, &s->index);
        sizes(builder, s, true);
        cl_end_items(builder, outputs / lanes, 20 + 2 * covered);
    } else {
        bool gather = step->kind == KILN_STEP_WINDOW_GATHER;
        const char *items = gather ? "window_gather" : "window_scatter",
                   *whole = gather ? "window_gather_planes" : "window_scatter_planes";
        cl_begin(builder, "window.cl", "", planes ? whole : items);
        cl_arg_place(builder, &s->x);
        cl_arg_place(builder, &s->index);
        cl_arg_place(builder, &s->y);
        sizes(builder, s, !gather && !planes);
        if (planes)
            cl_end_items(builder, s->outer, s->inner * (s->h * s->w + 4 * s->oh * s->ow));
        else if (gather)
            cl_end_items(builder, outputs, 20);
        else
            cl_end_items(builder, s->outer * s->h * s->w * s->inner, 30 + 2 * covered);
    }
}
