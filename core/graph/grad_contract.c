/* Gradients of matmul, the convolution triple, pooling windows, resampling. */
#include "core/graph/grad.h"

void kiln_grad_matmul(struct kiln_grad_context *context, const struct kiln_record *node,
                      kiln_node y, kiln_node d_y)
{
    (void)y;
    kiln_graph *g = context->graph;
    kiln_node a = node->operands[0], b = node->operands[1];
    bool ta = node->params.matmul.transpose_a, tb = node->params.matmul.transpose_b;
    if (kiln_grad_wants(context, a))
        kiln_grad_add(context, a,
                      ta ? kiln_matmul(g, b, d_y, tb, true) : kiln_matmul(g, d_y, b, false, !tb));
    if (kiln_grad_wants(context, b))
        kiln_grad_add(context, b,
                      tb ? kiln_matmul(g, d_y, a, true, ta) : kiln_matmul(g, a, d_y, !ta, false));
}

/*
 * The three ops are the partial derivatives of one trilinear form
 * <d_y, conv(x, weight)>: each op is linear in its two operands, and the
 * gradient with respect to one is the op that yields that role.
 */
static kiln_node conv_role(kiln_graph *g, enum kiln_op role, kiln_node x, kiln_node weight,
                           kiln_node y, struct kiln_conv conv, const struct kiln_shape *like)
{
    if (role == KILN_OP_CONV)
        return kiln_conv(g, x, weight, conv);
    if (role == KILN_OP_CONV_INPUT_GRAD)
        return kiln_conv_input_grad(g, y, weight, conv, like->d[2], like->d[3]);
    return kiln_conv_weight_grad(g, x, y, conv, like->d[2], like->d[3]);
}

void kiln_grad_conv(struct kiln_grad_context *context, const struct kiln_record *node, kiln_node y,
                    kiln_node d_y)
{
    (void)y;
    enum kiln_op first, second; /* the roles of the operands */
    kiln_node x = node->operands[0], weight = node->operands[1], out = d_y;
    first = KILN_OP_CONV_INPUT_GRAD;
    second = KILN_OP_CONV_WEIGHT_GRAD;
    if (node->op == KILN_OP_CONV_INPUT_GRAD) { /* operands d_y, weight; result x */
        out = node->operands[0];
        x = d_y;
        first = KILN_OP_CONV;
    } else if (node->op == KILN_OP_CONV_WEIGHT_GRAD) { /* operands x, d_y; result weight */
        out = node->operands[1];
        weight = d_y;
        second = KILN_OP_CONV;
    }
    kiln_graph *g = context->graph;
    for (int i = 0; i < 2; i++) {
        kiln_node operand = node->operands[i];
        struct kiln_shape like = kiln_shape(g, operand);
        if (kiln_grad_wants(context, operand))
            kiln_grad_add(
                context, operand,
                conv_role(g, i ? second : first, x, weight, out, node->params.conv, &like));
    }
}

void kiln_grad_window(struct kiln_grad_context *context, const struct kiln_record *node,
                      kiln_node y, kiln_node d_y)
{
    (void)y;
    kiln_graph *g = context->graph;
    kiln_node x = node->operands[0], index = node->operands[1];
    struct kiln_window window = node->params.window;
    struct kiln_shape shape = kiln_shape(g, x);
    kiln_grad_add(context, x,
                  node->op == KILN_OP_WINDOW_GATHER
                      ? kiln_window_scatter(g, d_y, index, window, shape.d[2], shape.d[3])
                      : kiln_window_gather(g, d_y, index, window));
}

void kiln_grad_resample(struct kiln_grad_context *context, const struct kiln_record *node,
                        kiln_node y, kiln_node d_y)
{
    (void)y;
    struct kiln_resample adjoint = node->params.resample;
    adjoint.adjoint = !adjoint.adjoint;
    kiln_grad_add(context, node->operands[0], kiln_resample(context->graph, d_y, adjoint));
}
