/* Pointwise builders and NumPy broadcasting. */
#include "core/graph/internal.h"

static bool takes_i32(enum kiln_op op)
{
    switch (op) {
    case KILN_OP_NEG:
    case KILN_OP_ABS:
    case KILN_OP_STOP_GRADIENT:
    case KILN_OP_ADD:
    case KILN_OP_SUB:
    case KILN_OP_MUL:
    case KILN_OP_MAX:
    case KILN_OP_MIN:
    case KILN_OP_LESS:
    case KILN_OP_LESS_EQUAL:
    case KILN_OP_EQUAL:
        return true;
    default:
        return false;
    }
}

static bool is_compare(enum kiln_op op)
{
    return op == KILN_OP_LESS || op == KILN_OP_LESS_EQUAL || op == KILN_OP_EQUAL;
}

/* Operands first .. n-1 must share one dtype that the op computes in. */
static bool dtypes_fit(kiln_graph *graph, enum kiln_op op, int first, int n,
                       const kiln_node *operands)
{
    enum kiln_dtype dtype = kiln_graph_at(graph, operands[first])->dtype;
    for (int i = first; i < n; i++)
        if (kiln_graph_at(graph, operands[i])->dtype != dtype) {
            kiln_graph_reject(graph, op, n, operands, "dtypes differ (cast one)");
            return false;
        }
    bool i32 = takes_i32(op) || op == KILN_OP_SELECT;
    if (dtype == KILN_F32 || (dtype == KILN_I32 && i32))
        return true;
    kiln_graph_reject(graph, op, n, operands, "computes in f32%s (cast it)", i32 ? " or i32" : "");
    return false;
}

/* Expands all operands to their common shape. */
static bool broadcast(kiln_graph *graph, enum kiln_op op, int n, kiln_node *operands)
{
    struct kiln_shape common = {0};
    for (int i = 0; i < n; i++) {
        int rank = kiln_graph_at(graph, operands[i])->shape.n;
        common.n = rank > common.n ? rank : common.n;
    }
    for (int axis = 0; axis < common.n; axis++) {
        common.d[axis] = 1;
        for (int i = 0; i < n; i++) {
            const struct kiln_shape *shape = &kiln_graph_at(graph, operands[i])->shape;
            int own = axis - (common.n - shape->n);
            if (own < 0 || shape->d[own] == 1 || shape->d[own] == common.d[axis])
                continue;
            if (common.d[axis] != 1) {
                kiln_graph_reject(graph, op, n, operands, "shapes do not broadcast");
                return false;
            }
            common.d[axis] = shape->d[own];
        }
    }
    for (int i = 0; i < n; i++)
        operands[i] = kiln_expand(graph, operands[i], common);
    return !graph->status;
}

kiln_node kiln_unary(kiln_graph *graph, enum kiln_op op, kiln_node x)
{
    if (!kiln_graph_ready(graph, op, 1, &x))
        return 0;
    if (kiln_op_class(op) != KILN_OP_CLASS_UNARY || op == KILN_OP_CAST)
        return kiln_graph_reject(graph, op, 1, &x, "is not a unary op");
    if (!dtypes_fit(graph, op, 0, 1, &x))
        return 0;
    const struct kiln_record *operand = kiln_graph_at(graph, x);
    struct kiln_record record = {.op = op, .dtype = operand->dtype, .shape = operand->shape};
    return kiln_graph_append(graph, &record, 1, &x);
}

kiln_node kiln_binary(kiln_graph *graph, enum kiln_op op, kiln_node a, kiln_node b)
{
    kiln_node operands[] = {a, b};
    if (!kiln_graph_ready(graph, op, 2, operands))
        return 0;
    if (kiln_op_class(op) != KILN_OP_CLASS_BINARY)
        return kiln_graph_reject(graph, op, 2, operands, "is not a binary op");
    if (!dtypes_fit(graph, op, 0, 2, operands) || !broadcast(graph, op, 2, operands))
        return 0;
    const struct kiln_record *operand = kiln_graph_at(graph, operands[0]);
    struct kiln_record record = {.op = op, .dtype = operand->dtype, .shape = operand->shape};
    if (is_compare(op))
        record.dtype = KILN_F32;
    return kiln_graph_append(graph, &record, 2, operands);
}

kiln_node kiln_cast(kiln_graph *graph, kiln_node x, enum kiln_dtype dtype)
{
    if (!kiln_graph_ready(graph, KILN_OP_CAST, 1, &x))
        return 0;
    if ((unsigned)dtype >= KILN_DTYPE_COUNT)
        return kiln_graph_reject(graph, KILN_OP_CAST, 1, &x, "unknown dtype");
    const struct kiln_record *operand = kiln_graph_at(graph, x);
    if (operand->dtype == dtype)
        return x;
    struct kiln_record record = {.op = KILN_OP_CAST, .dtype = dtype, .shape = operand->shape};
    record.params.cast = dtype;
    return kiln_graph_append(graph, &record, 1, &x);
}

kiln_node kiln_select(kiln_graph *graph, kiln_node condition, kiln_node a, kiln_node b)
{
    kiln_node operands[] = {condition, a, b};
    enum kiln_op op = KILN_OP_SELECT;
    if (!kiln_graph_ready(graph, op, 3, operands))
        return 0;
    enum kiln_dtype dtype = kiln_graph_at(graph, condition)->dtype;
    if (dtype != KILN_F32 && dtype != KILN_I32)
        return kiln_graph_reject(graph, op, 3, operands, "the condition must be f32 or i32");
    if (!dtypes_fit(graph, op, 1, 3, operands) || !broadcast(graph, op, 3, operands))
        return 0;
    const struct kiln_record *operand = kiln_graph_at(graph, operands[1]);
    struct kiln_record record = {.op = op, .dtype = operand->dtype, .shape = operand->shape};
    return kiln_graph_append(graph, &record, 3, operands);
}
