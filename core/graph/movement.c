/* Reductions and movement: reshape, expand, permute, slice, pad, concat, rows. */
#include "core/graph/internal.h"

/* --- reductions -------------------------------------------------------------- */

static kiln_node reduce(kiln_graph *graph, enum kiln_op op, kiln_node x, uint32_t axes)
{
    if (!kiln_graph_ready(graph, op, 1, &x) || !kiln_graph_all_f32(graph, op, 1, &x))
        return 0;
    struct kiln_record record = {.op = op, .dtype = KILN_F32};
    record.shape = kiln_graph_at(graph, x)->shape;
    if (axes >> record.shape.n)
        return kiln_graph_reject(graph, op, 1, &x, "axes 0x%x lie outside the operand",
                                 (unsigned)axes);
    for (int axis = 0; axis < record.shape.n; axis++) {
        if (record.shape.d[axis] == 1)
            axes &= ~(1u << axis); /* nothing to reduce */
        if (axes >> axis & 1)
            record.shape.d[axis] = 1;
    }
    record.params.axes = axes;
    return axes ? kiln_graph_append(graph, &record, 1, &x) : x;
}

kiln_node kiln_reduce_sum(kiln_graph *graph, kiln_node x, uint32_t axes)
{
    return reduce(graph, KILN_OP_REDUCE_SUM, x, axes);
}

kiln_node kiln_reduce_max(kiln_graph *graph, kiln_node x, uint32_t axes)
{
    return reduce(graph, KILN_OP_REDUCE_MAX, x, axes);
}

/* --- views ------------------------------------------------------------------- */

kiln_node kiln_reshape(kiln_graph *graph, kiln_node x, struct kiln_shape shape)
{
    if (!kiln_graph_ready(graph, KILN_OP_RESHAPE, 1, &x))
        return 0;
    const struct kiln_record *operand = kiln_graph_at(graph, x);
    if (kiln_shape_equal(&operand->shape, &shape))
        return x;
    struct kiln_record record = {.op = KILN_OP_RESHAPE, .dtype = operand->dtype, .shape = shape};
    int64_t count = kiln_shape_count(&shape);
    if (count > 0 && kiln_shape_count(&operand->shape) != count) {
        char text[160];
        return kiln_graph_reject(graph, KILN_OP_RESHAPE, 1, &x, "%s has another number of elements",
                                 kiln_shape_text(&shape, text, sizeof text));
    }
    return kiln_graph_append(graph, &record, 1, &x);
}

kiln_node kiln_expand(kiln_graph *graph, kiln_node x, struct kiln_shape shape)
{
    if (!kiln_graph_ready(graph, KILN_OP_EXPAND, 1, &x))
        return 0;
    const struct kiln_record *operand = kiln_graph_at(graph, x);
    if (kiln_shape_equal(&operand->shape, &shape))
        return x;
    int lead = shape.n - operand->shape.n;
    struct kiln_record record = {.op = KILN_OP_EXPAND, .dtype = operand->dtype, .shape = shape};
    if (kiln_shape_count(&shape) < 0)
        return kiln_graph_append(graph, &record, 1, &x); /* which rejects it */
    bool fits = lead >= 0;
    for (int axis = 0; fits && axis < operand->shape.n; axis++)
        fits = operand->shape.d[axis] == 1 || operand->shape.d[axis] == shape.d[lead + axis];
    if (!fits) {
        char text[160];
        return kiln_graph_reject(graph, KILN_OP_EXPAND, 1, &x, "cannot be expanded to %s",
                                 kiln_shape_text(&shape, text, sizeof text));
    }
    return kiln_graph_append(graph, &record, 1, &x);
}

kiln_node kiln_permute(kiln_graph *graph, kiln_node x, const int *permutation)
{
    if (!kiln_graph_ready(graph, KILN_OP_PERMUTE, 1, &x))
        return 0;
    const struct kiln_record *operand = kiln_graph_at(graph, x);
    struct kiln_record record = {.op = KILN_OP_PERMUTE, .dtype = operand->dtype};
    record.shape.n = operand->shape.n;
    uint32_t seen = 0;
    bool moved = false;
    for (int axis = 0; axis < record.shape.n; axis++) {
        int from = permutation[axis];
        if (from < 0 || from >= record.shape.n || (seen >> from & 1))
            return kiln_graph_reject(graph, KILN_OP_PERMUTE, 1, &x,
                                     "not a permutation of its axes");
        seen |= 1u << from;
        moved |= from != axis;
        record.params.permutation[axis] = from;
        record.shape.d[axis] = operand->shape.d[from];
    }
    return moved ? kiln_graph_append(graph, &record, 1, &x) : x;
}

kiln_node kiln_slice(kiln_graph *graph, kiln_node x, const int64_t *start, struct kiln_shape size,
                     const int64_t *step)
{
    if (!kiln_graph_ready(graph, KILN_OP_SLICE, 1, &x))
        return 0;
    const struct kiln_record *operand = kiln_graph_at(graph, x);
    struct kiln_record record = {.op = KILN_OP_SLICE, .dtype = operand->dtype, .shape = size};
    if (size.n != operand->shape.n)
        return kiln_graph_reject(graph, KILN_OP_SLICE, 1, &x, "the slice has another rank (%d)",
                                 size.n);
    for (int axis = 0; axis < size.n; axis++) {
        int64_t extent = operand->shape.d[axis], n = size.d[axis], first = start[axis];
        int64_t by = step[axis];
        bool fits = n >= 1 && n <= extent && by != 0 && first >= 0 && first < extent;
        if (fits && n > 1) {
            /* before multiplying: the slice is no longer than the axis */
            fits = by >= -extent && by <= extent && n - 1 <= (extent - 1) / (by < 0 ? -by : by);
            int64_t last = fits ? first + (n - 1) * by : -1;
            fits = last >= 0 && last < extent;
        }
        if (!fits)
            return kiln_graph_reject(graph, KILN_OP_SLICE, 1, &x,
                                     "axis %d: %lld elements from %lld by %lld do not fit", axis,
                                     (long long)n, (long long)first, (long long)by);
        record.params.slice.start[axis] = first;
        record.params.slice.step[axis] = n > 1 ? by : 1;
    }
    return kiln_graph_append(graph, &record, 1, &x);
}

/* --- copies ------------------------------------------------------------------ */

kiln_node kiln_pad(kiln_graph *graph, kiln_node x, const int64_t *before, const int64_t *after,
                   double value)
{
    enum { LIMIT_BITS = 47 };
    if (!kiln_graph_ready(graph, KILN_OP_PAD, 1, &x))
        return 0;
    const struct kiln_record *operand = kiln_graph_at(graph, x);
    struct kiln_record record = {
        .op = KILN_OP_PAD, .dtype = operand->dtype, .shape = operand->shape};
    if (operand->dtype != KILN_F32 && operand->dtype != KILN_I32)
        return kiln_graph_reject(graph, KILN_OP_PAD, 1, &x, "must be f32 or i32 (cast it)");
    bool padded = false;
    for (int axis = 0; axis < record.shape.n; axis++) {
        int64_t low = before[axis], high = after[axis];
        if (low < 0 || high < 0 || low >> LIMIT_BITS || high >> LIMIT_BITS)
            return kiln_graph_reject(graph, KILN_OP_PAD, 1, &x,
                                     "axis %d: cannot pad by %lld and %lld", axis, (long long)low,
                                     (long long)high);
        record.params.pad.before[axis] = low;
        record.params.pad.after[axis] = high;
        record.shape.d[axis] += low + high;
        padded |= low || high;
    }
    record.params.pad.value = value;
    return padded ? kiln_graph_append(graph, &record, 1, &x) : x;
}

kiln_node kiln_concat(kiln_graph *graph, int n, const kiln_node *parts, int axis)
{
    enum kiln_op op = KILN_OP_CONCAT;
    if (n < 1)
        return kiln_graph_reject(graph, op, 0, NULL, "needs at least one part");
    if (!kiln_graph_ready(graph, op, n, parts))
        return 0;
    const struct kiln_record *first = kiln_graph_at(graph, parts[0]);
    struct kiln_record record = {.op = op, .dtype = first->dtype, .shape = first->shape};
    record.params.axis = axis;
    if (axis < 0 || axis >= record.shape.n)
        return kiln_graph_reject(graph, op, n, parts, "has no axis %d", axis);
    for (int i = 1; i < n; i++) {
        const struct kiln_record *part = kiln_graph_at(graph, parts[i]);
        struct kiln_shape expected = record.shape;
        expected.d[axis] = part->shape.n == record.shape.n ? part->shape.d[axis] : 0;
        if (part->dtype != record.dtype || !kiln_shape_equal(&part->shape, &expected))
            return kiln_graph_reject(graph, op, n, parts, "part %d differs outside axis %d", i + 1,
                                     axis);
        record.shape.d[axis] += part->shape.d[axis];
    }
    return n > 1 ? kiln_graph_append(graph, &record, n, parts) : parts[0];
}

/* --- rows -------------------------------------------------------------------- */

static bool is_index(const kiln_graph *graph, kiln_node index)
{
    const struct kiln_record *record = kiln_graph_at(graph, index);
    return record->dtype == KILN_I32 && record->shape.n == 1;
}

kiln_node kiln_gather_rows(kiln_graph *graph, kiln_node table, kiln_node index)
{
    const kiln_node operands[] = {table, index};
    enum kiln_op op = KILN_OP_GATHER_ROWS;
    if (!kiln_graph_ready(graph, op, 2, operands))
        return 0;
    const struct kiln_record *rows = kiln_graph_at(graph, table);
    if (rows->shape.n < 1 || !is_index(graph, index))
        return kiln_graph_reject(graph, op, 2, operands, "needs a table [rows, ...] and i32 [n]");
    struct kiln_record record = {.op = op, .dtype = rows->dtype, .shape = rows->shape};
    record.shape.d[0] = kiln_graph_at(graph, index)->shape.d[0];
    return kiln_graph_append(graph, &record, 2, operands);
}

kiln_node kiln_scatter_add_rows(kiln_graph *graph, kiln_node values, kiln_node index, int64_t rows)
{
    const kiln_node operands[] = {values, index};
    enum kiln_op op = KILN_OP_SCATTER_ADD_ROWS;
    if (!kiln_graph_ready(graph, op, 2, operands))
        return 0;
    const struct kiln_record *value = kiln_graph_at(graph, values);
    if (value->dtype != KILN_F32 || value->shape.n < 1 || !is_index(graph, index) ||
        kiln_graph_at(graph, index)->shape.d[0] != value->shape.d[0])
        return kiln_graph_reject(graph, op, 2, operands, "needs f32 [n, ...] and i32 [n]");
    struct kiln_record record = {.op = op, .dtype = KILN_F32, .shape = value->shape};
    record.shape.d[0] = rows;
    record.params.rows = rows;
    return kiln_graph_append(graph, &record, 2, operands);
}
