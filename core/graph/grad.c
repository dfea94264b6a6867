/* Reverse-mode differentiation: from y back to the xs, one rule per node. */
#include "core/graph/grad.h"

#include <assert.h>
#include <stdlib.h>

/* Ops without a rule have a zero gradient. */
static kiln_grad_rule *const rules[KILN_OP_COUNT] = {
    [KILN_OP_NEG] = kiln_grad_unary,
    [KILN_OP_ABS] = kiln_grad_unary,
    [KILN_OP_EXP] = kiln_grad_unary,
    [KILN_OP_EXPM1] = kiln_grad_unary,
    [KILN_OP_LOG] = kiln_grad_unary,
    [KILN_OP_LOG1P] = kiln_grad_unary,
    [KILN_OP_SQRT] = kiln_grad_unary,
    [KILN_OP_SIN] = kiln_grad_unary,
    [KILN_OP_COS] = kiln_grad_unary,
    [KILN_OP_TANH] = kiln_grad_unary,
    [KILN_OP_ERF] = kiln_grad_unary,
    [KILN_OP_SIGMOID] = kiln_grad_unary,
    [KILN_OP_CAST] = kiln_grad_cast,
    [KILN_OP_ADD] = kiln_grad_arithmetic,
    [KILN_OP_SUB] = kiln_grad_arithmetic,
    [KILN_OP_MUL] = kiln_grad_arithmetic,
    [KILN_OP_DIV] = kiln_grad_arithmetic,
    [KILN_OP_POW] = kiln_grad_arithmetic,
    [KILN_OP_MAX] = kiln_grad_choice,
    [KILN_OP_MIN] = kiln_grad_choice,
    [KILN_OP_SELECT] = kiln_grad_choice,
    [KILN_OP_REDUCE_SUM] = kiln_grad_reduce_sum,
    [KILN_OP_REDUCE_MAX] = kiln_grad_reduce_max,
    [KILN_OP_RESHAPE] = kiln_grad_reshape,
    [KILN_OP_EXPAND] = kiln_grad_expand,
    [KILN_OP_PERMUTE] = kiln_grad_permute,
    [KILN_OP_SLICE] = kiln_grad_slice,
    [KILN_OP_PAD] = kiln_grad_pad,
    [KILN_OP_CONCAT] = kiln_grad_concat,
    [KILN_OP_GATHER_ROWS] = kiln_grad_rows,
    [KILN_OP_SCATTER_ADD_ROWS] = kiln_grad_rows,
    [KILN_OP_MATMUL] = kiln_grad_matmul,
    [KILN_OP_CONV] = kiln_grad_conv,
    [KILN_OP_CONV_INPUT_GRAD] = kiln_grad_conv,
    [KILN_OP_CONV_WEIGHT_GRAD] = kiln_grad_conv,
    [KILN_OP_WINDOW_GATHER] = kiln_grad_window,
    [KILN_OP_WINDOW_SCATTER] = kiln_grad_window,
    [KILN_OP_RESAMPLE] = kiln_grad_resample,
    [KILN_OP_ATTENTION] = kiln_grad_attention,
    [KILN_OP_ATTENTION_GRAD] = kiln_grad_attention_grad,
    [KILN_OP_OUTPUT] = kiln_grad_output,
};

static bool is_real(const kiln_graph *graph, kiln_node node)
{
    enum kiln_dtype dtype = kiln_graph_at(graph, node)->dtype;
    return dtype == KILN_F32 || dtype == KILN_F16;
}

static void add_to(kiln_graph *graph, kiln_node *sum, kiln_node contribution)
{
    *sum = *sum ? kiln_add(graph, *sum, contribution) : contribution;
}

void kiln_grad_add(struct kiln_grad_context *context, kiln_node operand, kiln_node contribution)
{
    if (context->graph->status || !context->depends[operand])
        return;
    assert(kiln_shape_equal(&kiln_graph_at(context->graph, operand)->shape,
                            &kiln_graph_at(context->graph, contribution)->shape));
    add_to(context->graph, &context->gradients[operand].d[0], contribution);
}

void kiln_grad_output(struct kiln_grad_context *context, const struct kiln_record *node,
                      kiln_node y, kiln_node d_y)
{
    (void)y;
    struct kiln_cotangent *whole = &context->gradients[node->operands[0]];
    add_to(context->graph, &whole->d[node->params.output], d_y);
}

/* depends[i]: node i depends on one of the xs through differentiable ops. */
static void mark_dependents(const kiln_graph *graph, kiln_node y, int n, const kiln_node *xs,
                            bool *depends)
{
    for (int i = 0; i < n; i++)
        if (xs[i] <= y)
            depends[xs[i]] = is_real(graph, xs[i]);
    for (kiln_node node = 1; node <= y; node++) {
        const struct kiln_record *record = kiln_graph_at(graph, node);
        if (depends[node] || !rules[record->op] || !is_real(graph, node))
            continue;
        for (int i = 0; i < record->n_operands && !depends[node]; i++)
            depends[node] = depends[record->operands[i]];
    }
}

/* Goes back from y; nodes appended on the way carry the label of the node they
 * differentiate. */
static void propagate(struct kiln_grad_context *context, kiln_node y)
{
    kiln_graph *graph = context->graph;
    const char *label = graph->label;
    context->gradients[y].d[0] = kiln_full(graph, kiln_shape(graph, y), 1);
    for (kiln_node node = y; node >= 1 && !graph->status; node--) {
        const struct kiln_cotangent *d = &context->gradients[node];
        struct kiln_record record = *kiln_graph_at(graph, node);
        if (!context->depends[node] || !rules[record.op] || (!d->d[0] && !d->d[1] && !d->d[2]))
            continue;
        kiln_graph_swap_label(graph, record.name);
        rules[record.op](context, &record, node, d->d[0]);
    }
    kiln_graph_swap_label(graph, label);
}

void kiln_grad(kiln_graph *graph, kiln_node y, int n, const kiln_node *xs, kiln_node *out)
{
    for (int i = 0; i < n; i++)
        out[i] = 0;
    if (graph->status)
        return;
    for (int i = -1; i < n; i++) {
        kiln_node node = i < 0 ? y : xs[i];
        if (node >= 1 && node <= (kiln_node)graph->n)
            continue;
        kiln_graph_fail(graph, "gradient: %s (%d) is no node", i < 0 ? "y" : "an x", node);
        return;
    }
    if (!is_real(graph, y)) {
        kiln_graph_fail(graph, "gradient of %s: y must be f32",
                        kiln_dtype_name(kiln_graph_at(graph, y)->dtype));
        return;
    }
    size_t size = (size_t)y + 1;
    bool *depends = calloc(size, sizeof *depends);
    struct kiln_cotangent *gradients = calloc(size, sizeof *gradients);
    if (!graph->n_forward)
        graph->n_forward = (kiln_node)graph->n;
    if (depends && gradients) {
        struct kiln_grad_context context = {graph, depends, gradients};
        mark_dependents(graph, y, n, xs, depends);
        propagate(&context, y);
        for (int i = 0; i < n && !graph->status; i++) {
            out[i] = xs[i] <= y && depends[xs[i]] ? gradients[xs[i]].d[0] : 0;
            if (!out[i])
                out[i] = kiln_full(graph, kiln_shape(graph, xs[i]), 0);
        }
    } else {
        kiln_graph_no_memory(graph);
    }
    for (int i = 0; i < n && graph->status; i++)
        out[i] = 0;
    free(gradients);
    free(depends);
}
