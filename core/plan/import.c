/* From the graph to the planner's IR: live nodes only, composed ops expanded. */
#include <string.h>

#include "core/plan/half.h"

/* Nodes that an output or an effect needs. */
static bool *find_live(struct planner *p, kiln_node count)
{
    bool *live = PLAN_SCRATCH(p, bool, count + 1);
    for (int i = 0; i < kiln_graph_n_outputs(p->graph); i++) {
        kiln_node node;
        kiln_graph_output_at(p->graph, i, &node);
        live[node] = true;
    }
    struct kiln_node_info info;
    for (kiln_node node = count; node > 0; node--) {
        kiln_graph_node(p->graph, node, &info);
        live[node] |= kiln_op_class(info.op) == KILN_OP_CLASS_EFFECT;
        for (int i = 0; i < info.n_operands && live[node]; i++)
            live[info.operands[i]] = true;
    }
    return live;
}

static int find_state(struct planner *p, const struct kiln_node_info *info)
{
    int state = p->options->states ? kiln_states_find(p->options->states, info->name) : -1;
    if (state < 0 || kiln_states_offset(p->options->states, state, KILN_STATE_VALUE) < 0)
        plan_fail(p, KILN_INPUT, "state %s is not in the table of states", info->name);
    const struct kiln_state *known = &kiln_states_at(p->options->states, state)->state;
    if (!kiln_shape_equal(&known->shape, &info->shape) || known->dtype != info->dtype)
        plan_fail(p, KILN_INPUT, "state %s has another shape in the table of states", info->name);
    return state;
}

/* ASSIGN: the value copied to the state's place. */
static int add_assign(struct planner *p, const struct ir_node *node, const int *operands)
{
    struct ir_node copy = ir_make(IR_COPY, node->dtype, node->shape, node);
    copy.home = IR_HOME_STATE;
    copy.home_node = ir_at(p, operands[0])->state;
    return ir_append(p, &copy, 1, &operands[1]);
}

static int add_node(struct planner *p, const struct kiln_node_info *info, struct ir_node *node,
                    int n, const int *operands)
{
    int regrouped = n == 1 ? plan_regroup(p, node, operands[0]) : -1;
    if (regrouped >= 0)
        return regrouped;
    switch (info->op) {
    case KILN_OP_STATE:
        node->state = find_state(p, info);
        return ir_add(p, node, 0, NULL);
    case KILN_OP_OUTPUT:
        return info->params->output == 0 ? operands[0] : ir_add(p, node, n, operands);
    case KILN_OP_REDUCE_SUM:
    case KILN_OP_REDUCE_MAX:
        return plan_expand_reduce(p, node, operands[0]);
    case KILN_OP_CONCAT:
        return plan_expand_concat(p, node, n, operands);
    case KILN_OP_PAD:
        return plan_expand_pad(p, node, operands[0]);
    case KILN_OP_ASSIGN:
        return add_assign(p, node, operands);
    case KILN_OP_UPDATE:
        return plan_expand_update(p, node, n, operands);
    case KILN_OP_CONV:
    case KILN_OP_CONV_INPUT_GRAD:
    case KILN_OP_CONV_WEIGHT_GRAD: {
        int product = plan_expand_conv(p, node, operands);
        return product >= 0 ? product : ir_add(p, node, n, operands);
    }
    default:
        return ir_add(p, node, n, operands);
    }
}

int plan_import_node(struct planner *p, const int *ids, kiln_node id)
{
    struct kiln_node_info info;
    kiln_graph_node(p->graph, id, &info);
    int *operands = PLAN_SCRATCH(p, int, info.n_operands + 1);
    for (int i = 0; i < info.n_operands; i++)
        operands[i] = ids[info.operands[i]];
    struct ir_node like = {.label = info.name ? info.name : "", .origin = id};
    struct ir_node node = ir_make(info.op, info.dtype, info.shape, &like);
    if (info.params)
        node.params = *info.params;
    node.data = info.data;
    return add_node(p, &info, &node, info.n_operands, operands);
}

void plan_import(struct planner *p)
{
    kiln_node count = kiln_graph_count(p->graph);
    bool *live = find_live(p, count);
    int *ids = PLAN_SCRATCH(p, int, count + 1);
    struct half *half =
        p->options->half && p->options->fuse ? plan_half_create(p, live, ids) : NULL;
    for (kiln_node id = 1; id <= count; id++) {
        if (!live[id])
            continue;
        if (half)
            plan_half_use(half, id);
        ids[id] = plan_import_node(p, ids, id);
        if (half)
            plan_half_made(half, id);
    }
    p->n_outputs = kiln_graph_n_outputs(p->graph);
    p->outputs = PLAN_SCRATCH(p, int, p->n_outputs);
    for (int i = 0; i < p->n_outputs; i++) {
        kiln_node node;
        kiln_graph_output_at(p->graph, i, &node);
        p->outputs[i] = ids[node];
    }
}
