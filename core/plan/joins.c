/* Joins: concat, pad, and sums of tensors that are zero where the other is not. */
#include <string.h>

#include "core/plan/planner.h"

struct ir_node plan_make_join(struct planner *p, const struct ir_node *node,
                              struct kiln_shape shape, int n)
{
    struct ir_node join = ir_make(IR_JOIN, node->dtype, shape, node);
    join.parts = PLAN_SCRATCH(p, struct ir_part, n);
    return join;
}

int plan_expand_concat(struct planner *p, const struct ir_node *node, int n, const int *operands)
{
    if (n == 1)
        return operands[0];
    struct ir_node join = plan_make_join(p, node, node->shape, n);
    int64_t start = 0;
    for (int i = 0; i < n; i++) {
        join.parts[i].start[node->params.axis] = start;
        start += ir_at(p, operands[i])->shape.d[node->params.axis];
    }
    return ir_append(p, &join, n, operands);
}

/* Adds a part of constant elements to a join of at most 2 * KILN_MAX_DIMS + 1. */
static void add_border(struct planner *p, struct ir_node *join, int *operands,
                       struct kiln_shape shape, const int64_t *start, double value)
{
    struct ir_node fill = ir_make(KILN_OP_CONST, join->dtype, shape, join);
    fill.params.constant.value = value;
    memcpy(join->parts[join->n_operands].start, start, sizeof join->parts[0].start);
    operands[join->n_operands++] = ir_add(p, &fill, 0, NULL);
}

int plan_expand_pad(struct planner *p, const struct ir_node *node, int operand)
{
    const struct ir_node *x = ir_at(p, operand);
    if (kiln_shape_equal(&x->shape, &node->shape) && p->options->fuse)
        return operand;
    struct ir_node join = plan_make_join(p, node, node->shape, 2 * KILN_MAX_DIMS + 1);
    int operands[2 * KILN_MAX_DIMS + 1];
    operands[join.n_operands++] = operand;
    struct kiln_shape shape = node->shape; /* what earlier borders left */
    int64_t start[KILN_MAX_DIMS] = {0};
    memcpy(join.parts[0].start, node->params.pad.before, (size_t)shape.n * sizeof(int64_t));
    for (int axis = 0; axis < shape.n; axis++) {
        int64_t before = node->params.pad.before[axis], after = node->params.pad.after[axis];
        int64_t inside = x->shape.d[axis];
        shape.d[axis] = before;
        start[axis] = 0;
        if (before)
            add_border(p, &join, operands, shape, start, node->params.pad.value);
        shape.d[axis] = after;
        start[axis] = before + inside;
        if (after)
            add_border(p, &join, operands, shape, start, node->params.pad.value);
        shape.d[axis] = inside;
        start[axis] = before;
    }
    return ir_append(p, &join, join.n_operands, operands);
}

/* A slab of a join: a part that is whole along all axes but one. */
struct slab {
    int operand;
    int64_t start, size;
};

/* Adds the join's parts that are not zero to slabs along *axis (-1: to be
 * found). False if one is no slab of that axis, or there are too many. */
static bool collect_slabs(struct planner *p, int id, int *axis, struct slab *slabs, int *n,
                          int limit)
{
    const struct ir_node *join = ir_at(p, id);
    for (int i = 0; i < join->n_operands; i++) {
        const struct ir_node *part = ir_at(p, join->operands[i]);
        if (ir_is_fill(part) && part->params.constant.value == 0)
            continue;
        for (int d = 0; d < join->shape.n; d++) {
            if (part->shape.d[d] == join->shape.d[d])
                continue;
            if (*axis >= 0 && *axis != d)
                return false;
            *axis = d;
        }
        if (join->parts[i].placed || *axis < 0 || *n == limit)
            return false;
        struct slab slab = {join->operands[i], join->parts[i].start[*axis], part->shape.d[*axis]};
        int at = (*n)++;
        for (; at && slabs[at - 1].start > slab.start; at--)
            slabs[at] = slabs[at - 1];
        slabs[at] = slab;
    }
    return true;
}

static void add_slab(struct ir_node *join, int *operands, int axis, int64_t start, int operand)
{
    join->parts[join->n_operands].start[axis] = start;
    operands[join->n_operands++] = operand;
}

static void add_zeros(struct planner *p, struct ir_node *join, int *operands, int axis,
                      int64_t start, int64_t end)
{
    if (end <= start)
        return;
    struct kiln_shape shape = join->shape;
    shape.d[axis] = end - start;
    struct ir_node fill = ir_make(KILN_OP_CONST, join->dtype, shape, join);
    add_slab(join, operands, axis, start, ir_add(p, &fill, 0, NULL));
}

int plan_sum_of_joins(struct planner *p, const struct ir_node *node, int a, int b)
{
    enum { LIMIT = 16 };
    struct slab slabs[LIMIT];
    int n = 0, axis = -1, operands[2 * LIMIT + 1];
    if (ir_at(p, a)->op != IR_JOIN || ir_at(p, b)->op != IR_JOIN ||
        !collect_slabs(p, a, &axis, slabs, &n, LIMIT) ||
        !collect_slabs(p, b, &axis, slabs, &n, LIMIT))
        return -1;
    for (int i = 0; i + 1 < n; i++)
        if (slabs[i].start + slabs[i].size > slabs[i + 1].start)
            return -1;
    struct ir_node join = plan_make_join(p, node, node->shape, 2 * LIMIT + 1);
    int64_t end = 0;
    for (int i = 0; i < n; i++) {
        add_zeros(p, &join, operands, axis, end, slabs[i].start);
        add_slab(&join, operands, axis, slabs[i].start, slabs[i].operand);
        end = slabs[i].start + slabs[i].size;
    }
    add_zeros(p, &join, operands, axis, end, node->shape.d[axis]);
    return ir_append(p, &join, join.n_operands, operands);
}
