/*
 * Gradients of pointwise ops. A branch that was not taken gets an exact zero
 * by select, never by a product, so that an infinite gradient elsewhere does
 * not turn into NaN.
 */
#include "core/graph/grad.h"

#define TWO_OVER_SQRT_PI 1.1283791670955126

/* d_y where condition holds, else 0. */
static kiln_node where(kiln_graph *g, kiln_node condition, kiln_node d_y)
{
    return kiln_select(g, condition, d_y, kiln_scalar(g, 0));
}

static kiln_node where_not(kiln_graph *g, kiln_node condition, kiln_node d_y)
{
    return kiln_select(g, condition, kiln_scalar(g, 0), d_y);
}

static kiln_node times(kiln_graph *g, kiln_node x, double factor)
{
    return kiln_mul(g, x, kiln_scalar(g, factor));
}

/* 1 - x^2 */
static kiln_node one_minus_square(kiln_graph *g, kiln_node x)
{
    return kiln_sub(g, kiln_scalar(g, 1), kiln_mul(g, x, x));
}

static kiln_node unary_gradient(kiln_graph *g, enum kiln_op op, kiln_node x, kiln_node y,
                                kiln_node d_y)
{
    kiln_node zero = 0;
    switch (op) {
    case KILN_OP_NEG:
        return kiln_neg(g, d_y);
    case KILN_OP_ABS:
        zero = kiln_scalar(g, 0);
        return kiln_select(g, kiln_less(g, x, zero), kiln_neg(g, d_y),
                           where(g, kiln_less(g, zero, x), d_y));
    case KILN_OP_EXP:
        return kiln_mul(g, d_y, y);
    case KILN_OP_EXPM1:
        return kiln_mul(g, d_y, kiln_add(g, y, kiln_scalar(g, 1)));
    case KILN_OP_LOG:
        return kiln_div(g, d_y, x);
    case KILN_OP_LOG1P:
        return kiln_div(g, d_y, kiln_add(g, x, kiln_scalar(g, 1)));
    case KILN_OP_SQRT:
        return kiln_div(g, times(g, d_y, 0.5), y);
    case KILN_OP_SIN:
        return kiln_mul(g, d_y, kiln_cos(g, x));
    case KILN_OP_COS:
        return kiln_neg(g, kiln_mul(g, d_y, kiln_sin(g, x)));
    case KILN_OP_TANH:
        return kiln_mul(g, d_y, one_minus_square(g, y));
    case KILN_OP_ERF:
        return kiln_mul(g, times(g, d_y, TWO_OVER_SQRT_PI),
                        kiln_exp(g, kiln_neg(g, kiln_mul(g, x, x))));
    default: /* SIGMOID */
        return kiln_mul(g, d_y, kiln_mul(g, y, kiln_sub(g, kiln_scalar(g, 1), y)));
    }
}

void kiln_grad_unary(struct kiln_grad_context *context, const struct kiln_record *node, kiln_node y,
                     kiln_node d_y)
{
    kiln_node x = node->operands[0];
    kiln_grad_add(context, x, unary_gradient(context->graph, node->op, x, y, d_y));
}

/* Gradients are f32 whatever the storage; only real operands get here. */
void kiln_grad_cast(struct kiln_grad_context *context, const struct kiln_record *node, kiln_node y,
                    kiln_node d_y)
{
    (void)y;
    kiln_grad_add(context, node->operands[0], d_y);
}

/* y = a^b: d_a = b a^(b-1), 0 where b = 0; d_b = y log a, 0 where a = 0. */
static void pow_gradient(struct kiln_grad_context *context, kiln_node a, kiln_node b, kiln_node y,
                         kiln_node d_y)
{
    kiln_graph *g = context->graph;
    kiln_node zero = kiln_scalar(g, 0), one = kiln_scalar(g, 1);
    if (kiln_grad_wants(context, a)) {
        kiln_node is_zero = kiln_equal(g, b, zero);
        kiln_node exponent = kiln_select(g, is_zero, one, b);
        kiln_node slope = kiln_mul(g, b, kiln_pow(g, a, kiln_sub(g, exponent, one)));
        kiln_grad_add(context, a, where_not(g, is_zero, kiln_mul(g, d_y, slope)));
    }
    if (kiln_grad_wants(context, b)) {
        kiln_node is_zero = kiln_equal(g, a, zero);
        kiln_node slope = kiln_mul(g, y, kiln_log(g, kiln_select(g, is_zero, one, a)));
        kiln_grad_add(context, b, where_not(g, is_zero, kiln_mul(g, d_y, slope)));
    }
}

void kiln_grad_arithmetic(struct kiln_grad_context *context, const struct kiln_record *node,
                          kiln_node y, kiln_node d_y)
{
    kiln_graph *g = context->graph;
    kiln_node a = node->operands[0], b = node->operands[1];
    switch (node->op) {
    case KILN_OP_ADD:
        kiln_grad_add(context, a, d_y);
        kiln_grad_add(context, b, d_y);
        break;
    case KILN_OP_SUB:
        kiln_grad_add(context, a, d_y);
        if (kiln_grad_wants(context, b))
            kiln_grad_add(context, b, kiln_neg(g, d_y));
        break;
    case KILN_OP_MUL:
        if (kiln_grad_wants(context, a))
            kiln_grad_add(context, a, kiln_mul(g, d_y, b));
        if (kiln_grad_wants(context, b))
            kiln_grad_add(context, b, kiln_mul(g, d_y, a));
        break;
    case KILN_OP_DIV: {
        kiln_node d_a = kiln_div(g, d_y, b);
        kiln_grad_add(context, a, d_a);
        if (kiln_grad_wants(context, b))
            kiln_grad_add(context, b, kiln_neg(g, kiln_mul(g, d_a, y)));
        break;
    }
    default: /* POW */
        pow_gradient(context, a, b, y, d_y);
    }
}

void kiln_grad_choice(struct kiln_grad_context *context, const struct kiln_record *node,
                      kiln_node y, kiln_node d_y)
{
    kiln_graph *g = context->graph;
    const kiln_node *operands = node->operands;
    kiln_node first = operands[0], second = operands[1], takes_first;
    (void)y;
    if (node->op == KILN_OP_MAX)
        takes_first = kiln_less_equal(g, second, first);
    else if (node->op == KILN_OP_MIN)
        takes_first = kiln_less_equal(g, first, second);
    else {
        takes_first = operands[0];
        first = operands[1];
        second = operands[2];
    }
    if (kiln_grad_wants(context, first))
        kiln_grad_add(context, first, where(g, takes_first, d_y));
    if (kiln_grad_wants(context, second))
        kiln_grad_add(context, second, where_not(g, takes_first, d_y));
}
