/* Gradients of reductions and movement ops: each is its adjoint. */
#include "core/graph/grad.h"

void kiln_grad_reduce_sum(struct kiln_grad_context *context, const struct kiln_record *node,
                          kiln_node y, kiln_node d_y)
{
    (void)y;
    kiln_graph *g = context->graph;
    kiln_node x = node->operands[0];
    kiln_grad_add(context, x, kiln_expand(g, d_y, kiln_shape(g, x)));
}

/* In equal shares to all elements that equal the maximum. */
void kiln_grad_reduce_max(struct kiln_grad_context *context, const struct kiln_record *node,
                          kiln_node y, kiln_node d_y)
{
    kiln_graph *g = context->graph;
    kiln_node x = node->operands[0];
    kiln_node largest = kiln_equal(g, x, y);
    kiln_node share = kiln_div(g, d_y, kiln_reduce_sum(g, largest, node->params.axes));
    kiln_grad_add(context, x, kiln_select(g, largest, share, kiln_scalar(g, 0)));
}

void kiln_grad_reshape(struct kiln_grad_context *context, const struct kiln_record *node,
                       kiln_node y, kiln_node d_y)
{
    (void)y;
    kiln_node x = node->operands[0];
    kiln_grad_add(context, x, kiln_reshape(context->graph, d_y, kiln_shape(context->graph, x)));
}

void kiln_grad_expand(struct kiln_grad_context *context, const struct kiln_record *node,
                      kiln_node y, kiln_node d_y)
{
    (void)y;
    kiln_graph *g = context->graph;
    kiln_node x = node->operands[0];
    struct kiln_shape shape = kiln_shape(g, x);
    int lead = node->shape.n - shape.n;
    uint32_t axes = 0;
    for (int axis = 0; axis < node->shape.n; axis++)
        if (axis < lead || shape.d[axis - lead] != node->shape.d[axis])
            axes |= 1u << axis;
    kiln_grad_add(context, x, kiln_reshape(g, kiln_reduce_sum(g, d_y, axes), shape));
}

void kiln_grad_permute(struct kiln_grad_context *context, const struct kiln_record *node,
                       kiln_node y, kiln_node d_y)
{
    (void)y;
    int inverse[KILN_MAX_DIMS];
    for (int axis = 0; axis < node->shape.n; axis++)
        inverse[node->params.permutation[axis]] = axis;
    kiln_grad_add(context, node->operands[0], kiln_permute(context->graph, d_y, inverse));
}

/* --- slice ------------------------------------------------------------------- */

static kiln_node reverse(kiln_graph *g, kiln_node x, int axis)
{
    struct kiln_shape shape = kiln_shape(g, x);
    int64_t start[KILN_MAX_DIMS] = {0}, step[KILN_MAX_DIMS];
    for (int i = 0; i < KILN_MAX_DIMS; i++)
        step[i] = 1;
    start[axis] = shape.d[axis] - 1;
    step[axis] = -1;
    return kiln_slice(g, x, start, shape, step);
}

/*
 * Puts by - 1 zeros between the elements of an axis. Seen as [outer, 1, inner],
 * every element becomes a group of itself and the zeros; the last group's are
 * cut off.
 */
static kiln_node dilate(kiln_graph *g, kiln_node x, int axis, int64_t by)
{
    struct kiln_shape shape = kiln_shape(g, x);
    int64_t outer = 1, n = shape.d[axis], inner = 1;
    for (int i = 0; i < shape.n; i++) {
        outer *= i < axis ? shape.d[i] : 1;
        inner *= i > axis ? shape.d[i] : 1;
    }
    kiln_node groups = kiln_reshape(g, x, KILN_SHAPE(outer * n, 1, inner));
    groups = kiln_pad(g, groups, (int64_t[]){0, 0, 0}, (int64_t[]){0, by - 1, 0}, 0);
    kiln_node whole = kiln_reshape(g, groups, KILN_SHAPE(outer, n * by, inner));
    kiln_node cut = kiln_slice(g, whole, (int64_t[]){0, 0, 0},
                               KILN_SHAPE(outer, (n - 1) * by + 1, inner), (int64_t[]){1, 1, 1});
    shape.d[axis] = (n - 1) * by + 1;
    return kiln_reshape(g, cut, shape);
}

/* Scatters d_y into zeros: turned round and spread where the slice was, then
 * padded to the operand's extents. */
void kiln_grad_slice(struct kiln_grad_context *context, const struct kiln_record *node, kiln_node y,
                     kiln_node d_y)
{
    (void)y;
    kiln_graph *g = context->graph;
    kiln_node x = node->operands[0];
    struct kiln_shape shape = kiln_shape(g, x);
    int64_t before[KILN_MAX_DIMS], after[KILN_MAX_DIMS];
    for (int axis = 0; axis < shape.n; axis++) {
        int64_t step = node->params.slice.step[axis], n = node->shape.d[axis];
        int64_t first = node->params.slice.start[axis], last = first + (n - 1) * step;
        if (step < 0)
            d_y = reverse(g, d_y, axis);
        if (step < -1 || step > 1)
            d_y = dilate(g, d_y, axis, step < 0 ? -step : step);
        before[axis] = first < last ? first : last;
        after[axis] = shape.d[axis] - 1 - (first < last ? last : first);
    }
    kiln_grad_add(context, x, kiln_pad(g, d_y, before, after, 0));
}

/* --- copies ------------------------------------------------------------------ */

static kiln_node cut_out(kiln_graph *g, kiln_node x, const int64_t *start, struct kiln_shape size)
{
    int64_t step[KILN_MAX_DIMS];
    for (int axis = 0; axis < KILN_MAX_DIMS; axis++)
        step[axis] = 1;
    return kiln_slice(g, x, start, size, step);
}

void kiln_grad_pad(struct kiln_grad_context *context, const struct kiln_record *node, kiln_node y,
                   kiln_node d_y)
{
    (void)y;
    kiln_node x = node->operands[0];
    struct kiln_shape shape = kiln_shape(context->graph, x);
    kiln_grad_add(context, x, cut_out(context->graph, d_y, node->params.pad.before, shape));
}

void kiln_grad_concat(struct kiln_grad_context *context, const struct kiln_record *node,
                      kiln_node y, kiln_node d_y)
{
    (void)y;
    int axis = node->params.axis;
    int64_t start[KILN_MAX_DIMS] = {0};
    for (int i = 0; i < node->n_operands; i++) {
        struct kiln_shape shape = kiln_shape(context->graph, node->operands[i]);
        if (kiln_grad_wants(context, node->operands[i]))
            kiln_grad_add(context, node->operands[i], cut_out(context->graph, d_y, start, shape));
        start[axis] += shape.d[axis];
    }
}

void kiln_grad_rows(struct kiln_grad_context *context, const struct kiln_record *node, kiln_node y,
                    kiln_node d_y)
{
    (void)y;
    kiln_graph *g = context->graph;
    kiln_node x = node->operands[0], index = node->operands[1];
    kiln_grad_add(context, x,
                  node->op == KILN_OP_GATHER_ROWS
                      ? kiln_scatter_add_rows(g, d_y, index, kiln_shape(g, x).d[0])
                      : kiln_gather_rows(g, d_y, index));
}
