/* Joins: where each part lies and who writes it. */
#include "core/plan/legal.h"

/* The parts' places in a join of the given layout; false if one is impossible. */
static bool place_parts(struct legal *l, const struct ir_node *join, const int *operands,
                        const struct flat *layout, struct flat *parts)
{
    for (int i = 0; i < join->n_operands; i++) {
        parts[i] = join->parts[i].flat;
        if (join->parts[i].placed)
            continue;
        parts[i] = *layout;
        const struct kiln_shape *shape = &ir_at(l->p, operands[i])->shape;
        struct kiln_view view;
        if (!flat_slice(&parts[i], &join->shape, shape, join->parts[i].start, NULL) ||
            !flat_to_view(&parts[i], shape, &view) || parts[i].n > KILN_LOOP_MAX_DIMS)
            return false;
    }
    return true;
}

/* The step's own node behind reshapes that can write its result at the part's
 * place, or -1. */
static int direct_writer(struct legal *l, int id, const struct flat *part)
{
    const struct ir_node *node = ir_at(l->p, id);
    while (node->op == KILN_OP_RESHAPE) {
        id = node->operands[0];
        node = ir_at(l->p, id);
    }
    if (ir_is_view(node) || ir_is_pointwise(node) || ir_is_reduce(node) || ir_is_source(node) ||
        node->op == IR_JOIN || node->home != IR_HOME_OWN)
        return -1;
    struct flat at_zero = *part;
    at_zero.offset = 0;
    int64_t bytes = part->offset * (int64_t)kiln_dtype_bytes(node->dtype);
    return flat_equal(&at_zero, &node->layout) && bytes % KILN_PLACE_ALIGNMENT == 0 ? id : -1;
}

int legal_join(struct legal *l, int old_id, struct ir_node *node, int n, int *operands)
{
    struct flat *parts = PLAN_SCRATCH(l->p, struct flat, n);
    node->layout = legal_own_layout(l, old_id, node);
    if (!place_parts(l, node, operands, &node->layout, parts)) {
        node->layout = legal_dense(node);
        if (!place_parts(l, node, operands, &node->layout, parts))
            plan_fail(l->p, KILN_INPUT, "cannot place the parts of node %d", node->origin);
    }
    for (int i = 0; i < n; i++) {
        int writer = direct_writer(l, operands[i], &parts[i]);
        if (writer < 0) {
            const struct ir_node *x = ir_at(l->p, operands[i]);
            struct ir_node copy = ir_make(IR_COPY, x->dtype, x->shape, x);
            copy.layout = parts[i];
            copy.layout.offset = 0;
            writer = legal_append(l, &copy, 1, &operands[i]);
        }
        ir_at(l->p, writer)->home = IR_HOME_JOIN;
        ir_at(l->p, writer)->home_offset = parts[i].offset;
        operands[i] = writer;
    }
    int id = legal_append(l, node, n, operands);
    for (int i = 0; i < n; i++)
        ir_at(l->p, operands[i])->home_node = id;
    return id;
}
