/* The optimiser step: one launch over the whole arena. */
#include "backends/opencl/opencl.h"

#include <stdio.h>

void cl_update_prepare(struct cl_builder *builder, const struct kiln_step_update *s)
{
    static const int kinds[KILN_OPTIMIZER_COUNT] = {[KILN_OPTIMIZER_SGD] = 0,
                                                    [KILN_OPTIMIZER_ADAM] = 1,
                                                    [KILN_OPTIMIZER_ADAMW] = 2,
                                                    [KILN_OPTIMIZER_RMSPROP] = 3};
    char options[64];
    int kind = kinds[s->update.kind];
    snprintf(options, sizeof options, "-DKIND=%d -DEMA=%d", kind, s->update.ema);
    cl_begin(builder, "update.cl", options, "update");
    cl_arg_place(builder, &s->parameter);
    cl_arg_place(builder, &s->gradient);
    /* what the kind does not keep is not touched: any buffer will do */
    cl_arg_place(builder, kind == 3 ? &s->parameter : &s->moment1);
    cl_arg_place(builder, kind == 0 ? &s->parameter : &s->moment2);
    cl_arg_place(builder, s->update.ema ? &s->ema : &s->parameter);
    cl_arg_place(builder, &s->hyper);
    cl_arg_place(builder, &s->norm);
    cl_arg_long(builder, s->count);
    cl_end_items(builder, (s->count + 15) / 16, 30);
}
