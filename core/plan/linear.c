/* Sums taken apart so that a loop needs fewer passes.
 *
 * The gradient of a norm ends with sum(-(u s + c v)), where s and c do not
 * change along the summed axes and c comes from another sum over the same
 * elements. Taken as it stands it needs a pass of its own behind that one;
 * -(s sum(u) + c sum(v)) needs none. The sum is rewritten only if what is left
 * to be summed waits for fewer reductions than the whole. */
#include "core/plan/planner.h"

enum { MOST_SUMS = 4 };

struct linear {
    struct planner *p;
    const struct ir_node *sum;
    int rank;   /* of its operand */
    int n_sums; /* of the parts so far */
};

static int add_node(struct linear *l, int op, int n, const int *operands)
{
    struct ir_node node = ir_make(op, KILN_F32, l->sum->shape, l->sum);
    return ir_add(l->p, &node, n, operands);
}

/* What a factor is for a whole sum, -1 if it changes along the summed axes. */
static int factor_of_sum(struct linear *l, int id)
{
    const struct ir_node *y = ir_at(l->p, id);
    if (ir_is_fill(y)) {
        struct ir_node fill = ir_make(KILN_OP_CONST, KILN_F32, l->sum->shape, l->sum);
        fill.params.constant.value = y->params.constant.value;
        return ir_add(l->p, &fill, 0, NULL);
    }
    if (y->op != KILN_OP_EXPAND)
        return -1;
    int from = y->operands[0];
    const struct kiln_shape *in = &ir_at(l->p, from)->shape;
    for (int axis = 0; axis < y->shape.n; axis++) {
        int own = axis - (y->shape.n - in->n);
        if (own >= 0 && l->sum->params.axes >> axis & 1 && in->d[own] != 1)
            return -1;
    }
    return add_node(l, KILN_OP_EXPAND, 1, &from);
}

static int sum_of(struct linear *l, int id);

/* The sum of a product or quotient by a factor; -1 if there is none. */
static int sum_of_product(struct linear *l, const struct ir_node *node)
{
    for (int k = node->op == KILN_OP_DIV ? 1 : 0; k < 2; k++) {
        int factor = factor_of_sum(l, node->operands[k]);
        int rest = factor >= 0 ? sum_of(l, node->operands[1 - k]) : -1;
        if (factor >= 0)
            return rest < 0 ? -1 : add_node(l, node->op, 2, (int[]){rest, factor});
    }
    return -1;
}

/* The sum of a part that waits for fewer reductions. */
static int sum_of_part(struct linear *l, int id)
{
    const struct ir_node *part = ir_at(l->p, id);
    if (part->op == KILN_OP_MUL || part->op == KILN_OP_DIV) {
        int product = sum_of_product(l, part);
        if (product >= 0)
            return product;
    }
    if (part->op == KILN_OP_EXPAND || ir_is_fill(part) || ++l->n_sums > MOST_SUMS)
        return -1;
    return plan_expand_reduce(l->p, l->sum, id);
}

static int sum_of(struct linear *l, int id)
{
    const struct ir_node *node = ir_at(l->p, id);
    if (node->rank < l->rank)
        return sum_of_part(l, id);
    int a = -1, b = -1;
    switch (node->op) {
    case KILN_OP_NEG:
        a = sum_of(l, node->operands[0]);
        return a < 0 ? -1 : add_node(l, KILN_OP_NEG, 1, &a);
    case KILN_OP_ADD:
    case KILN_OP_SUB:
        a = sum_of(l, node->operands[0]);
        b = a < 0 ? -1 : sum_of(l, node->operands[1]);
        return b < 0 ? -1 : add_node(l, node->op, 2, (int[]){a, b});
    case KILN_OP_MUL:
    case KILN_OP_DIV:
        return sum_of_product(l, node);
    default:
        return -1;
    }
}

int plan_linear_sum(struct planner *p, const struct ir_node *node, int operand)
{
    const struct ir_node *x = ir_at(p, operand);
    struct linear l = {.p = p, .sum = node, .rank = x->rank};
    if (node->op != KILN_OP_REDUCE_SUM || node->dtype != KILN_F32 || x->rank < 1 ||
        !ir_is_pointwise(x))
        return -1;
    return sum_of(&l, operand);
}
