/* IR -> IR: every operand of a step lies as the step can take it; copies are
 * inserted where it does not. Decides each node's layout and home. */
#include <string.h>

#include "core/plan/planner.h"

/* A copy that was made of a node, by layout. */
struct memo {
    int copy;
    struct memo *next;
};

struct legal {
    struct planner *p;
    struct ir old;
    int *map;            /* old id -> new id */
    struct memo **memos; /* of each new node */
    int n_memos;
};

static struct flat dense_of(const struct ir_node *node)
{
    return flat_dense(node->count);
}

static int append(struct legal *l, const struct ir_node *node, int n, const int *operands)
{
    int id = ir_append(l->p, node, n, operands);
    int capacity = l->n_memos;
    while (id >= capacity)
        plan_grow(l->p, &l->memos, &capacity, capacity, sizeof *l->memos);
    for (int i = l->n_memos; i < capacity; i++)
        l->memos[i] = NULL;
    l->n_memos = capacity;
    if (!ir_is_view(node))
        ir_at(l->p, id)->source = id;
    return id;
}

/* The node stored anew in the layout; the same copy for the same wish. */
static int add_copy(struct legal *l, int operand, const struct flat *layout)
{
    const struct ir_node *x = ir_at(l->p, operand);
    for (struct memo *memo = l->memos[operand]; memo; memo = memo->next)
        if (flat_equal(&ir_at(l->p, memo->copy)->layout, layout))
            return memo->copy;
    struct ir_node copy = ir_make(IR_COPY, x->dtype, x->shape, x);
    copy.layout = *layout;
    copy.layout.offset = 0;
    copy.reorder = !ir_is_fill(ir_at(l->p, x->source));
    int id = append(l, &copy, 1, &operand);
    struct memo *memo = PLAN_SCRATCH(l->p, struct memo, 1);
    *memo = (struct memo){id, l->memos[operand]};
    l->memos[operand] = memo;
    return id;
}

/* True if the node's first element may be a step's place. */
static bool is_aligned(struct legal *l, const struct ir_node *node)
{
    const struct ir_node *source = ir_at(l->p, node->source);
    int64_t offset = (source->home_offset + node->layout.offset) * (int64_t)kiln_dtype_bytes(node->dtype);
    return !ir_is_fill(source) && offset % KILN_PLACE_ALIGNMENT == 0;
}

/* The node itself if it lies as the layout says, else a copy. */
static int need_layout(struct legal *l, int id, const struct flat *layout)
{
    const struct ir_node *node = ir_at(l->p, id);
    struct flat lies = node->layout;
    lies.offset = 0;
    return is_aligned(l, node) && flat_equal(&lies, layout) ? id : add_copy(l, id, layout);
}

static int need_dense(struct legal *l, int id)
{
    struct flat dense = dense_of(ir_at(l->p, id));
    return need_layout(l, id, &dense);
}

static int need_named(struct legal *l, int id, enum kiln_layout layout)
{
    struct flat flat = flat_of_layout(layout, &ir_at(l->p, id)->shape);
    return need_layout(l, id, &flat);
}

/* True if rows lie one after the other without overlap, elements densely. */
static bool is_matrix(int64_t rows, int64_t columns, int64_t row_stride, int64_t column_stride)
{
    return (column_stride == 1 || columns == 1) && (row_stride >= columns || rows == 1);
}

/* The node itself if its last two axes are a matrix with a unit stride. */
static int need_matrix(struct legal *l, int id)
{
    const struct ir_node *node = ir_at(l->p, id);
    int64_t stride[KILN_MAX_DIMS];
    int n = node->shape.n;
    if (is_aligned(l, node) && flat_strides(&node->layout, &node->shape, stride)) {
        if (is_matrix(node->shape.d[n - 2], node->shape.d[n - 1], stride[n - 2], stride[n - 1]) ||
            is_matrix(node->shape.d[n - 1], node->shape.d[n - 2], stride[n - 1], stride[n - 2]))
            return id;
    }
    return need_dense(l, id);
}

/* The layout by name in which a feature map lies, -1 if in none. */
static int named_layout(struct legal *l, int id)
{
    const struct ir_node *node = ir_at(l->p, id);
    const enum kiln_layout names[] = {l->p->options->feature_layout, KILN_LAYOUT_DENSE};
    for (int i = 0; i < 2 && is_aligned(l, node); i++) {
        struct flat lies = node->layout, flat = flat_of_layout(names[i], &node->shape);
        lies.offset = 0;
        if (kiln_layout_fits(names[i], &node->shape) && flat_equal(&lies, &flat))
            return (int)names[i];
    }
    return -1;
}

/* --- by kind of node --------------------------------------------------------- */

bool plan_view(const struct ir_node *view, const struct kiln_shape *in, struct flat *flat)
{
    bool fits = true;
    if (view->op == KILN_OP_EXPAND)
        fits = flat_expand(flat, in, &view->shape);
    else if (view->op == KILN_OP_PERMUTE)
        fits = flat_permute(flat, in, view->params.permutation);
    else if (view->op == KILN_OP_SLICE)
        fits = flat_slice(flat, in, &view->shape, view->params.slice.start, view->params.slice.step);
    return fits && flat->n <= KILN_LOOP_MAX_DIMS;
}

static int add_view(struct legal *l, struct ir_node *node, int operand)
{
    const struct ir_node *x = ir_at(l->p, operand);
    node->layout = x->layout;
    if (ir_is_fill(ir_at(l->p, x->source)) || !plan_view(node, &x->shape, &node->layout)) {
        struct flat dense = dense_of(x);
        operand = add_copy(l, operand, &dense);
        x = ir_at(l->p, operand);
        node->layout = x->layout;
        if (!plan_view(node, &x->shape, &node->layout))
            plan_fail(l->p, KILN_INPUT, "cannot view a dense tensor (node %d)", node->origin);
    }
    node->source = x->source;
    int id = append(l, node, 1, &operand);
    if (l->p->options->fuse)
        return id;
    struct flat dense = dense_of(node);
    int copy = add_copy(l, id, &dense);
    ir_at(l->p, copy)->reorder = false;
    return copy;
}

/* The layout of the node's class if its own shape can be read from it. */
static struct flat own_layout(struct legal *l, int old_id, const struct ir_node *node)
{
    const struct flat *layout = l->p->class_layout[old_id];
    struct kiln_view view;
    if (layout && flat_to_view(layout, &node->shape, &view))
        return *layout;
    return dense_of(node);
}

static int add_conv(struct legal *l, struct ir_node *node, int a, int b)
{
    const struct ir_conv *conv = &node->conv;
    enum kiln_layout out = conv->y;
    if (node->op == KILN_OP_CONV) {
        a = need_named(l, a, conv->x);
        b = need_named(l, b, conv->weight);
    } else if (node->op == KILN_OP_CONV_INPUT_GRAD) {
        a = need_named(l, a, conv->y);
        b = need_named(l, b, conv->weight);
        out = conv->x;
    } else {
        a = need_named(l, a, conv->x);
        b = need_named(l, b, conv->y);
        out = conv->weight;
    }
    node->layout = flat_of_layout(out, &node->shape);
    return append(l, node, 2, (int[]){a, b});
}

/* Windows and resampling take any layout, the same for all operands. */
static int add_spatial(struct legal *l, struct ir_node *node, int n, int *operands)
{
    int layout = named_layout(l, operands[0]);
    if (layout < 0)
        layout = (int)KILN_LAYOUT_DENSE;
    for (int i = 0; i < n; i++)
        operands[i] = need_named(l, operands[i], (enum kiln_layout)layout);
    node->layout = flat_of_layout((enum kiln_layout)layout, &node->shape);
    return append(l, node, n, operands);
}

static int add_dense_op(struct legal *l, struct ir_node *node, int n, int *operands)
{
    bool matrices = node->op == KILN_OP_MATMUL || node->op == KILN_OP_ATTENTION || node->op == KILN_OP_ATTENTION_GRAD;
    for (int i = 0; i < n; i++) {
        bool dense = !matrices || (node->op == KILN_OP_ATTENTION_GRAD && (i == 3 || i == 4)); /* out, log_sum_exp */
        operands[i] = dense ? need_dense(l, operands[i]) : need_matrix(l, operands[i]);
    }
    node->layout = dense_of(node);
    return append(l, node, n, operands);
}

/* --- joins ----------------------------------------------------------------------- */

/* The parts' places in a join of the given layout; false if one is impossible. */
static bool place_parts(struct legal *l, const struct ir_node *join, const int *operands, const struct flat *layout,
                        struct flat *parts)
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

static int add_join(struct legal *l, int old_id, struct ir_node *node, int n, int *operands)
{
    struct flat *parts = PLAN_SCRATCH(l->p, struct flat, n);
    node->layout = own_layout(l, old_id, node);
    if (!place_parts(l, node, operands, &node->layout, parts)) {
        node->layout = dense_of(node);
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
            writer = append(l, &copy, 1, &operands[i]);
        }
        ir_at(l->p, writer)->home = IR_HOME_JOIN;
        ir_at(l->p, writer)->home_offset = parts[i].offset;
        operands[i] = writer;
    }
    int id = append(l, node, n, operands);
    for (int i = 0; i < n; i++)
        ir_at(l->p, operands[i])->home_node = id;
    return id;
}

/* --- all nodes --------------------------------------------------------------------- */

static int add_node(struct legal *l, int old_id, struct ir_node *node, int n, int *operands)
{
    const kiln_states *states = l->p->options->states;
    node->layout = dense_of(node);
    switch (node->op) {
    case KILN_OP_STATE:
        node->layout = flat_of_layout(kiln_states_at(states, node->state)->layout, &node->shape);
        return append(l, node, n, operands);
    case KILN_OP_INPUT:
    case KILN_OP_CONST:
        return append(l, node, n, operands);
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
        return append(l, node, n, operands);
    case IR_JOIN:
        return add_join(l, old_id, node, n, operands);
    case IR_COPY: /* an assignment; another state is read before any effect */
        if (ir_at(l->p, ir_at(l->p, operands[0])->source)->op == KILN_OP_STATE) {
            struct flat dense = dense_of(node);
            operands[0] = add_copy(l, operands[0], &dense);
        }
        node->layout = flat_of_layout(kiln_states_at(states, node->home_node)->layout, &node->shape);
        return append(l, node, n, operands);
    case KILN_OP_UPDATE:
        operands[1] = need_dense(l, operands[1]);
        return append(l, node, n, operands);
    default:
        if (!ir_is_pointwise(node) && !ir_is_reduce(node))
            return add_dense_op(l, node, n, operands);
        node->layout = own_layout(l, old_id, node);
        return append(l, node, n, operands);
    }
}

/* What is read after the execution lies in a buffer of its own. */
static void set_outputs(struct legal *l)
{
    for (int i = 0; i < l->p->n_outputs; i++) {
        int id = l->map[l->p->outputs[i]];
        const struct ir_node *node = ir_at(l->p, id);
        struct flat dense = dense_of(node);
        if (ir_is_view(node) || ir_is_source(node) || node->home != IR_HOME_OWN) {
            id = add_copy(l, id, &dense);
            ir_at(l->p, id)->reorder = false;
        }
        ir_at(l->p, id)->is_output = true;
        l->p->outputs[i] = id;
    }
}

void plan_legalise(struct planner *p)
{
    struct legal l = {.p = p, .old = p->ir};
    l.map = PLAN_SCRATCH(p, int, l.old.n);
    p->ir = (struct ir){0};
    int *operands = NULL, capacity = 0;
    for (int i = 0; i < l.old.n; i++) {
        struct ir_node node = *l.old.nodes[i];
        while (capacity < node.n_operands)
            plan_grow(p, &operands, &capacity, capacity, sizeof *operands);
        for (int k = 0; k < node.n_operands; k++)
            operands[k] = l.map[node.operands[k]];
        l.map[i] = add_node(&l, i, &node, node.n_operands, operands);
    }
    set_outputs(&l);
}
