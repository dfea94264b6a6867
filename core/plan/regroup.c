/* Groups of channels that the blocks of the feature layout cut through.
 *
 * A group norm sees [n, c, h, w] as [n, g, c/g, h, w]. If neither the block nor
 * c/g divides the other, no loop over groups can step evenly through a blocked
 * tensor. Sums by group are then taken by channel first, and what is expanded
 * over groups is expanded over channels first, into a small tensor; the large
 * tensor is only ever seen as [n, c, h w]. */
#include "core/plan/planner.h"

/* [n, g, c/g, rest...] */
struct groups {
    int64_t n, groups, channels, rest;
};

static bool find_groups(const struct planner *p, const struct kiln_shape *shape,
                        struct groups *groups)
{
    int64_t block = plan_block(p);
    if (block == 1 || !p->options->fuse || shape->n < 5)
        return false;
    *groups = (struct groups){shape->d[0], shape->d[1], shape->d[2], 1};
    for (int axis = 3; axis < shape->n; axis++)
        groups->rest *= shape->d[axis];
    return groups->groups > 1 && groups->rest > 1 &&
           groups->groups * groups->channels % block == 0 && groups->channels % block != 0 &&
           block % groups->channels != 0;
}

static int add(struct planner *p, int op, const struct ir_node *like, struct kiln_shape shape,
               int operand)
{
    struct ir_node node = ir_make(op, ir_at(p, operand)->dtype, shape, like);
    node.params.axes = 1u << 2; /* of reductions */
    return ir_add(p, &node, 1, &operand);
}

static int regroup_reduce(struct planner *p, const struct ir_node *node, int x,
                          const struct groups *g)
{
    int64_t c = g->groups * g->channels;
    x = add(p, KILN_OP_RESHAPE, node, KILN_SHAPE(g->n, c, g->rest), x);
    x = add(p, node->op, node, KILN_SHAPE(g->n, c, 1), x);
    x = add(p, KILN_OP_RESHAPE, node, KILN_SHAPE(g->n, g->groups, g->channels), x);
    x = add(p, node->op, node, KILN_SHAPE(g->n, g->groups, 1), x);
    return add(p, KILN_OP_RESHAPE, node, node->shape, x);
}

static int regroup_expand(struct planner *p, const struct ir_node *node, int x,
                          const struct groups *g)
{
    int64_t c = g->groups * g->channels;
    x = add(p, KILN_OP_RESHAPE, node, KILN_SHAPE(g->n, g->groups, 1), x);
    x = add(p, KILN_OP_EXPAND, node, KILN_SHAPE(g->n, g->groups, g->channels), x);
    struct ir_node copy = ir_make(IR_COPY, ir_at(p, x)->dtype, ir_at(p, x)->shape, node);
    copy.barrier = true;
    x = ir_add(p, &copy, 1, &x);
    x = add(p, KILN_OP_RESHAPE, node, KILN_SHAPE(g->n, c, 1), x);
    x = add(p, KILN_OP_EXPAND, node, KILN_SHAPE(g->n, c, g->rest), x);
    return add(p, KILN_OP_RESHAPE, node, node->shape, x);
}

int plan_regroup(struct planner *p, const struct ir_node *node, int operand)
{
    const struct ir_node *x = ir_at(p, operand);
    struct groups groups;
    uint32_t inner = ((1u << x->shape.n) - 1) & ~3u; /* all axes but the first two */
    if (ir_is_fill(x))
        return -1;
    if (ir_is_reduce(node))
        return node->params.axes == inner && find_groups(p, &x->shape, &groups)
                   ? regroup_reduce(p, node, operand, &groups)
                   : -1;
    if (node->op != KILN_OP_EXPAND || x->shape.n != node->shape.n ||
        !find_groups(p, &node->shape, &groups) || x->shape.d[0] != groups.n ||
        x->shape.d[1] != groups.groups || x->count != groups.n * groups.groups)
        return -1;
    return regroup_expand(p, node, operand, &groups);
}
