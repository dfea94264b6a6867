/* Attention and its gradient. */
#include "backends/opencl/opencl.h"

static void operand(struct cl_builder *builder, const struct kiln_place *place,
                    const int64_t stride[3])
{
    cl_arg_place(builder, place);
    for (int i = 0; i < 3; i++)
        cl_arg_long(builder, stride[i]);
}

static void sizes(struct cl_builder *builder, const struct kiln_step_attention *s)
{
    cl_arg_int(builder, s->n_q);
    cl_arg_int(builder, s->n_k);
    cl_arg_int(builder, s->width);
    cl_arg_int(builder, s->v_width);
    cl_arg_float(builder, s->scale);
}

static void gradient_operands(struct cl_builder *builder, const struct kiln_step_attention *s)
{
    operand(builder, &s->q, s->q_stride);
    operand(builder, &s->k, s->k_stride);
    operand(builder, &s->v, s->v_stride);
    operand(builder, &s->d_out, s->d_out_stride);
    cl_arg_place(builder, &s->out);
    cl_arg_place(builder, &s->log_sum_exp);
    sizes(builder, s);
}

void cl_attention_prepare(struct cl_builder *builder, const struct kiln_step *step)
{
    const struct kiln_step_attention *s = &step->as.attention;
    cl_begin(builder, "attention_plain.cl", "", "attention_plain");
    operand(builder, &s->q, s->q_stride);
    operand(builder, &s->k, s->k_stride);
    operand(builder, &s->v, s->v_stride);
    cl_arg_place(builder, &s->out);
    cl_arg_place(builder, &s->log_sum_exp);
    sizes(builder, s);
    cl_end_items(builder, s->batch * s->n_q, s->n_k * (4 * s->width + 2 * s->v_width));
}

void cl_attention_grad_prepare(struct cl_builder *builder, const struct kiln_step *step)
{
    const struct kiln_step_attention *s = &step->as.attention;
    int64_t cost = 6 * (s->width + s->v_width);
    cl_begin(builder, "attention_plain.cl", "", "attention_grad_q_plain");
    gradient_operands(builder, s);
    cl_arg_place(builder, &s->d_q);
    cl_end_items(builder, s->batch * s->n_q, s->n_k * cost);
    cl_begin(builder, "attention_plain.cl", "", "attention_grad_kv_plain");
    gradient_operands(builder, s);
    cl_arg_place(builder, &s->d_k);
    cl_arg_place(builder, &s->d_v);
    cl_end_items(builder, s->batch * s->n_k, s->n_q * cost);
}

int cl_attention_candidates(kiln_device_state *device, const struct kiln_step *step,
                            struct kiln_candidate *candidates)
{
    (void)device;
    (void)step;
    candidates[0] = (struct kiln_candidate){.name = "plain"};
    return 1;
}
