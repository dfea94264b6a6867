/* Convolutions whose kernel covers the whole map: matrix products.
 *
 * With one output pixel, y [n, o] = x [n, c h w] weight [o, c h w]^T, and so
 * are its gradients. Generators begin and critics end with one. */
#include "core/plan/planner.h"

/* Of output channels, from which on a product is the faster one. */
enum { LEAST_OUTPUTS = 16 };

bool plan_is_whole_conv(const struct kiln_step_conv *s)
{
    const struct kiln_conv *c = &s->conv;
    bool padded = c->pad[0] || c->pad[1] || c->pad[2] || c->pad[3];
    return !padded && c->groups == 1 && s->kh == s->h && s->kw == s->w && s->oh == 1 &&
           s->ow == 1 && c->dilation[0] == 1 && c->dilation[1] == 1 && s->o >= LEAST_OUTPUTS;
}

static int reshape(struct planner *p, const struct ir_node *like, int operand,
                   struct kiln_shape shape)
{
    struct ir_node view = ir_make(KILN_OP_RESHAPE, KILN_F32, shape, like);
    return ir_add(p, &view, 1, &operand);
}

int plan_expand_conv(struct planner *p, const struct ir_node *node, const int *operands)
{
    struct kiln_step step =
        plan_conv_sizes((enum kiln_op)node->op, &node->params.conv, &ir_at(p, operands[0])->shape,
                        &ir_at(p, operands[1])->shape, &node->shape);
    const struct kiln_step_conv *s = &step.as.conv;
    if (!p->options->fuse || !plan_is_whole_conv(s))
        return -1;
    struct kiln_shape x = KILN_SHAPE(s->n, s->c * s->h * s->w), y = KILN_SHAPE(s->n, s->o),
                      weight = KILN_SHAPE(s->o, s->c * s->h * s->w);
    struct kiln_shape a = node->op == KILN_OP_CONV ? x : y,
                      b = node->op == KILN_OP_CONV_WEIGHT_GRAD ? x : weight, out = y;
    int first = operands[0], second = operands[1];
    struct ir_node product = ir_make(KILN_OP_MATMUL, KILN_F32, y, node);
    if (node->op == KILN_OP_CONV) {
        product.params.matmul.transpose_b = true;
    } else if (node->op == KILN_OP_CONV_INPUT_GRAD) {
        out = x;
    } else { /* operands are x and d_y */
        product.params.matmul.transpose_a = true;
        first = operands[1];
        second = operands[0];
        out = weight;
    }
    product.shape = out;
    int pair[2] = {reshape(p, node, first, a), reshape(p, node, second, b)};
    return reshape(p, node, ir_add(p, &product, 2, pair), node->shape);
}
