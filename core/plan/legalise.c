/* IR -> IR: every operand of a step lies as the step can take it; copies are
 * inserted where it does not. Decides each node's layout and home. */
#include "core/plan/legal.h"

bool plan_view(const struct ir_node *view, const struct kiln_shape *in, struct flat *flat)
{
    bool fits = true;
    if (view->op == KILN_OP_EXPAND)
        fits = flat_expand(flat, in, &view->shape);
    else if (view->op == KILN_OP_PERMUTE)
        fits = flat_permute(flat, in, view->params.permutation);
    else if (view->op == KILN_OP_SLICE)
        fits =
            flat_slice(flat, in, &view->shape, view->params.slice.start, view->params.slice.step);
    return fits && flat->n <= KILN_LOOP_MAX_DIMS;
}

static int add_view(struct legal *l, struct ir_node *node, int operand)
{
    const struct ir_node *x = ir_at(l->p, operand);
    node->layout = x->layout;
    if (ir_is_fill(ir_at(l->p, x->source)) || !plan_view(node, &x->shape, &node->layout)) {
        struct flat dense = legal_dense(x);
        operand = legal_copy(l, operand, &dense);
        x = ir_at(l->p, operand);
        node->layout = x->layout;
        if (!plan_view(node, &x->shape, &node->layout))
            plan_fail(l->p, KILN_INPUT, "cannot view a dense tensor (node %d)", node->origin);
    }
    node->source = x->source;
    int id = legal_append(l, node, 1, &operand);
    if (l->p->options->fuse)
        return id;
    struct flat dense = legal_dense(node);
    int copy = legal_copy(l, id, &dense);
    ir_at(l->p, copy)->reorder = false;
    return copy;
}

static int add_conv(struct legal *l, struct ir_node *node, int a, int b)
{
    const struct ir_conv *conv = &node->conv;
    enum kiln_layout out = conv->y;
    if (node->op == KILN_OP_CONV) {
        a = legal_need_named(l, a, conv->x);
        b = legal_need_named(l, b, conv->weight);
    } else if (node->op == KILN_OP_CONV_INPUT_GRAD) {
        a = legal_need_named(l, a, conv->y);
        b = legal_need_named(l, b, conv->weight);
        out = conv->x;
    } else {
        a = legal_need_named(l, a, conv->x);
        b = legal_need_named(l, b, conv->y);
        out = conv->weight;
    }
    node->layout = flat_of_layout(out, &node->shape);
    return legal_append(l, node, 2, (int[]){a, b});
}

/* Windows and resampling take any layout, the same for all operands. */
static int add_spatial(struct legal *l, struct ir_node *node, int n, int *operands)
{
    int layout = legal_named_layout(l, operands[0]);
    if (layout < 0)
        layout = (int)KILN_LAYOUT_DENSE;
    for (int i = 0; i < n; i++)
        operands[i] = legal_need_named(l, operands[i], (enum kiln_layout)layout);
    node->layout = flat_of_layout((enum kiln_layout)layout, &node->shape);
    return legal_append(l, node, n, operands);
}

static int add_dense_op(struct legal *l, struct ir_node *node, int n, int *operands)
{
    bool matrices = node->op == KILN_OP_MATMUL || node->op == KILN_OP_ATTENTION ||
                    node->op == KILN_OP_ATTENTION_GRAD;
    for (int i = 0; i < n; i++) {
        bool dense = !matrices || (node->op == KILN_OP_ATTENTION_GRAD &&
                                   (i == 3 || i == 4)); /* out, log_sum_exp */
        operands[i] = dense ? legal_need_dense(l, operands[i]) : legal_need_matrix(l, operands[i]);
    }
    node->layout = legal_dense(node);
    return legal_append(l, node, n, operands);
}

static int add_node(struct legal *l, int old_id, struct ir_node *node, int n, int *operands)
{
    const kiln_states *states = l->p->options->states;
    node->layout = legal_dense(node);
    switch (node->op) {
    case KILN_OP_STATE:
        node->layout = flat_of_layout(kiln_states_at(states, node->state)->layout, &node->shape);
        return legal_append(l, node, n, operands);
    case KILN_OP_INPUT:
    case KILN_OP_CONST:
        return legal_append(l, node, n, operands);
    case KILN_OP_RESHAPE:
    case KILN_OP_EXPAND:
    case KILN_OP_PERMUTE:
    case KILN_OP_SLICE:
        return add_view(l, node, operands[0]);
    case KILN_OP_CONV:
    case KILN_OP_CONV_INPUT_GRAD:
    case KILN_OP_CONV_WEIGHT_GRAD:
        return add_conv(l, node, operands[0], operands[1]);
    case KILN_OP_WINDOW_ARGMAX:
    case KILN_OP_WINDOW_GATHER:
    case KILN_OP_WINDOW_SCATTER:
    case KILN_OP_RESAMPLE:
        return add_spatial(l, node, n, operands);
    case KILN_OP_OUTPUT:
        return legal_append(l, node, n, operands);
    case IR_JOIN:
        return legal_join(l, old_id, node, n, operands);
    case IR_COPY: /* a barrier, or an assignment: another state is read before any effect */
        if (node->barrier)
            return legal_append(l, node, n, operands);
        if (ir_at(l->p, ir_at(l->p, operands[0])->source)->op == KILN_OP_STATE) {
            struct flat dense = legal_dense(node);
            operands[0] = legal_copy(l, operands[0], &dense);
        }
        node->layout =
            flat_of_layout(kiln_states_at(states, node->home_node)->layout, &node->shape);
        return legal_append(l, node, n, operands);
    case KILN_OP_UPDATE:
        operands[1] = legal_need_dense(l, operands[1]);
        return legal_append(l, node, n, operands);
    default:
        if (!ir_is_pointwise(node) && !ir_is_reduce(node))
            return add_dense_op(l, node, n, operands);
        node->layout = legal_own_layout(l, old_id, node);
        return legal_append(l, node, n, operands);
    }
}

/* What is read after the execution lies in a buffer of its own. */
static void set_outputs(struct legal *l)
{
    for (int i = 0; i < l->p->n_outputs; i++) {
        int id = l->map[l->p->outputs[i]];
        const struct ir_node *node = ir_at(l->p, id);
        struct flat dense = legal_dense(node);
        struct kiln_view view;
        if (ir_is_view(node) || ir_is_source(node) || node->home != IR_HOME_OWN ||
            !flat_to_view(&node->layout, &node->shape, &view)) {
            id = legal_copy(l, id, &dense);
            ir_at(l->p, id)->reorder = false;
        }
        ir_at(l->p, id)->is_output = true;
        l->p->outputs[i] = id;
    }
}

/* Nodes that an output or an effect needs; rewriting leaves dead ones. */
static bool *find_live(const struct legal *l)
{
    bool *live = PLAN_SCRATCH(l->p, bool, l->old.n);
    for (int i = 0; i < l->p->n_outputs; i++)
        live[l->p->outputs[i]] = true;
    for (int i = l->old.n - 1; i >= 0; i--) {
        const struct ir_node *node = l->old.nodes[i];
        live[i] |= node->op == KILN_OP_UPDATE || node->home == IR_HOME_STATE;
        for (int k = 0; k < node->n_operands && live[i]; k++)
            live[node->operands[k]] = true;
    }
    return live;
}

void plan_legalise(struct planner *p)
{
    struct legal l = {.p = p, .old = p->ir};
    l.map = PLAN_SCRATCH(p, int, l.old.n);
    const bool *live = find_live(&l);
    p->ir = (struct ir){0};
    int *operands = NULL, capacity = 0;
    for (int i = 0; i < l.old.n; i++) {
        if (!live[i])
            continue;
        struct ir_node node = *l.old.nodes[i];
        while (capacity < node.n_operands)
            plan_grow(p, &operands, &capacity, capacity, sizeof *operands);
        for (int k = 0; k < node.n_operands; k++)
            operands[k] = l.map[node.operands[k]];
        l.map[i] = add_node(&l, i, &node, node.n_operands, operands);
    }
    set_outputs(&l);
}
