/* Random tensors. */
#include "backends/opencl/opencl.h"

void cl_rng_prepare(struct cl_builder *builder, const struct kiln_step_rng *s)
{
    static const char *const kernels[] = {[KILN_RNG_UNIFORM] = "rng_uniform",
                                          [KILN_RNG_NORMAL] = "rng_normal",
                                          [KILN_RNG_INTEGER] = "rng_integer"};
    cl_begin(builder, "rng.cl", "", kernels[s->rng.kind]);
    cl_arg_place(builder, &s->key);
    cl_arg_place(builder, &s->out);
    cl_arg_int(builder, s->per_sample);
    cl_arg_int(builder, (int32_t)s->rng.stream);
    cl_arg_int(builder, (int32_t)s->rng.bound);
    cl_end_items(builder, s->samples * ((s->per_sample + 3) / 4), 100);
}
