/* Matrix products: the ways to do them, and their launches. */
#include "backends/opencl/opencl.h"

enum { PLAIN };

static void prepare_plain(struct cl_builder *builder, const struct kiln_step_matmul *s)
{
    cl_begin(builder, "matmul_plain.cl", "", "matmul_plain");
    cl_arg_place(builder, &s->a);
    cl_arg_place(builder, &s->b);
    cl_arg_place(builder, &s->c);
    for (int i = 0; i < 3; i++)
        cl_arg_long(builder, s->a_stride[i]);
    for (int i = 0; i < 3; i++)
        cl_arg_long(builder, s->b_stride[i]);
    cl_arg_long(builder, s->c_stride[0]);
    cl_arg_long(builder, s->c_stride[1]);
    cl_arg_int(builder, s->m);
    cl_arg_int(builder, s->n);
    cl_arg_int(builder, s->k);
    cl_end_items(builder, s->batch * s->m * s->n, s->k * 2);
}

int cl_matmul_candidates(kiln_device_state *device, const struct kiln_step *step,
                         struct kiln_candidate *candidates)
{
    (void)device;
    (void)step;
    candidates[0] = (struct kiln_candidate){.algorithm = PLAIN, .name = "plain"};
    return 1;
}

void cl_matmul_prepare(struct cl_builder *builder, const struct kiln_step *step)
{
    prepare_plain(builder, &step->as.matmul);
}
