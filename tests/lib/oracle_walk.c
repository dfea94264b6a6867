/* The oracle's walk over the graph: which nodes, in what order, by which op. */
#include "tests/lib/oracle_internal.h"

#include <math.h>

static double constant_at(const struct kiln_node_info *node, int64_t i)
{
    if (!node->data)
        return (double)(float)node->params->constant.value;
    return node->dtype == KILN_I32 ? (double)((const int32_t *)node->data)[i]
                                   : (double)((const float *)node->data)[i];
}

static enum kiln_status source(kiln_oracle *oracle, struct oracle_op *op, struct kiln_error *error)
{
    const double *from = NULL;
    struct oracle_tensor *out = op->out;
    if (op->node.op == KILN_OP_STATE) {
        struct oracle_named *named = oracle_state_of(oracle, &op->node, error);
        if (!named)
            return KILN_INPUT;
        from = named->state.part[KILN_ORACLE_VALUE];
    } else if (op->node.op == KILN_OP_INPUT) {
        struct oracle_named *named = oracle_find(oracle->inputs, op->node.name);
        if (!named || named->n != out->n)
            return kiln_fail(error, KILN_INPUT, "oracle: input \"%s\" has no values of its size",
                             op->node.name);
        from = named->values;
    }
    for (int64_t i = 0; i < out->n; i++) {
        out->value[i] = from ? from[i] : constant_at(&op->node, i);
        oracle_round(out, i, fabs(out->value[i]), 0, 0);
    }
    return KILN_OK;
}

static void compute(struct oracle_op *op)
{
    switch (op->node.op) {
    case KILN_OP_RNG:
        oracle_random(op);
        break;
    case KILN_OP_REDUCE_SUM:
    case KILN_OP_REDUCE_MAX:
        oracle_reduce(op);
        break;
    case KILN_OP_RESHAPE:
    case KILN_OP_EXPAND:
    case KILN_OP_PERMUTE:
    case KILN_OP_SLICE:
    case KILN_OP_PAD:
        oracle_view(op);
        break;
    case KILN_OP_CONCAT:
        oracle_concat(op);
        break;
    case KILN_OP_GATHER_ROWS:
    case KILN_OP_SCATTER_ADD_ROWS:
        oracle_rows(op);
        break;
    case KILN_OP_MATMUL:
        oracle_matmul(op);
        break;
    case KILN_OP_CONV:
    case KILN_OP_CONV_INPUT_GRAD:
    case KILN_OP_CONV_WEIGHT_GRAD:
        oracle_conv(op);
        break;
    case KILN_OP_WINDOW_ARGMAX:
    case KILN_OP_WINDOW_GATHER:
    case KILN_OP_WINDOW_SCATTER:
        oracle_window(op);
        break;
    case KILN_OP_RESAMPLE:
        oracle_resample(op);
        break;
    case KILN_OP_ATTENTION:
        oracle_attention(op);
        break;
    case KILN_OP_ATTENTION_GRAD:
        oracle_attention_grad(op);
        break;
    case KILN_OP_UPDATE:
        oracle_update_norm(op);
        break;
    default:
        oracle_pointwise(op);
    }
}

/* Shapes of the outputs of a node: only attention has more than one. */
static int output_shapes(const struct oracle_op *op, struct kiln_shape *shapes)
{
    shapes[0] = op->node.shape;
    if (op->node.op == KILN_OP_ATTENTION) {
        shapes[1] = KILN_SHAPE(shapes[0].d[0], shapes[0].d[1]);
        return 2;
    }
    if (op->node.op != KILN_OP_ATTENTION_GRAD)
        return 1;
    shapes[1] = op->operands[1].shape;
    shapes[2] = op->operands[2].shape;
    return 3;
}

static bool make_tensor(kiln_oracle *oracle, struct oracle_tensor *tensor,
                        const struct kiln_shape *shape)
{
    tensor->n = kiln_shape_count(shape);
    tensor->value = KILN_ARENA_NEW(oracle->arena, double, (size_t)tensor->n);
    if (!oracle->bounds)
        return tensor->value;
    tensor->magnitude = KILN_ARENA_NEW(oracle->arena, double, (size_t)tensor->n);
    tensor->bound = KILN_ARENA_NEW(oracle->arena, double, (size_t)tensor->n);
    return tensor->value && tensor->magnitude && tensor->bound;
}

static enum kiln_status evaluate_node(kiln_oracle *oracle, kiln_node id, struct kiln_error *error)
{
    struct oracle_op op = {.out = oracle->tensors[id]};
    kiln_graph_node(oracle->graph, id, &op.node);
    if (op.node.op == KILN_OP_OUTPUT || op.node.op == KILN_OP_ASSIGN)
        return KILN_OK;
    size_t n = (size_t)op.node.n_operands;
    struct kiln_node_info *operands = KILN_ARENA_NEW(oracle->arena, struct kiln_node_info, n);
    struct oracle_tensor *in = KILN_ARENA_NEW(oracle->arena, struct oracle_tensor, n);
    if (!operands || !in)
        return kiln_fail(error, KILN_MACHINE, "oracle: out of memory");
    for (size_t i = 0; i < n; i++) {
        kiln_graph_node(oracle->graph, op.node.operands[i], &operands[i]);
        in[i] = *oracle_tensor_of(oracle, op.node.operands[i]);
    }
    op.operands = operands;
    op.in = in;
    struct kiln_shape shapes[ORACLE_MAX_OUTPUTS];
    int n_outputs = output_shapes(&op, shapes);
    for (int i = 0; i < n_outputs; i++)
        if (!make_tensor(oracle, &op.out[i], &shapes[i]))
            return kiln_fail(error, KILN_MACHINE, "oracle: out of memory");
    if (kiln_op_class(op.node.op) == KILN_OP_CLASS_SOURCE)
        return source(oracle, &op, error);
    compute(&op);
    return KILN_OK;
}

enum kiln_status kiln_oracle_evaluate(kiln_oracle *oracle, int n, const kiln_node *nodes,
                                      struct kiln_error *error)
{
    enum kiln_status status = kiln_graph_error(oracle->graph, error);
    if (status)
        return status;
    kiln_arena_destroy(&oracle->arena);
    oracle->arena = kiln_arena_create();
    oracle->n = kiln_graph_count(oracle->graph);
    size_t size = (size_t)oracle->n + 1;
    bool *needed = oracle->arena ? KILN_ARENA_NEW(oracle->arena, bool, size) : NULL;
    oracle->tensors =
        needed ? kiln_arena_alloc(oracle->arena, size, sizeof *oracle->tensors) : NULL;
    if (!oracle->tensors) {
        kiln_arena_destroy(&oracle->arena);
        return kiln_fail(error, KILN_MACHINE, "oracle: out of memory");
    }
    for (int i = 0; i < n; i++)
        if (nodes[i] >= 1 && nodes[i] <= oracle->n)
            needed[nodes[i]] = true;
    struct kiln_node_info info;
    for (kiln_node node = oracle->n; node >= 1; node--)
        if (needed[node] && kiln_graph_node(oracle->graph, node, &info))
            for (int i = 0; i < info.n_operands; i++)
                needed[info.operands[i]] = true;
    for (kiln_node node = 1; node <= oracle->n && !status; node++)
        if (needed[node])
            status = evaluate_node(oracle, node, error);
    return status;
}
