/* Pooling windows and resampling of feature maps. */
#include "core/graph/internal.h"

int64_t kiln_window_extent(const struct kiln_window *window, int axis, int64_t size)
{
    int64_t padded = size + window->pad[2 * axis] + window->pad[2 * axis + 1];
    return padded < window->size[axis] ? 0
                                       : (padded - window->size[axis]) / window->stride[axis] + 1;
}

/* Padding below the window's size: no window lies in padding alone. */
static bool window_fits(kiln_graph *graph, enum kiln_op op, int n, const kiln_node *operands,
                        const struct kiln_window *window)
{
    enum { LIMIT = 1 << 20 };
    bool fits = true;
    for (int axis = 0; axis < 2; axis++) {
        fits = fits && window->size[axis] >= 1 && window->size[axis] <= LIMIT &&
               window->stride[axis] >= 1 && window->stride[axis] <= LIMIT;
        for (int side = 2 * axis; side < 2 * axis + 2; side++)
            fits = fits && window->pad[side] >= 0 && window->pad[side] < window->size[axis];
    }
    if (!fits)
        kiln_graph_reject(graph, op, n, operands,
                          "size and stride must be >= 1, padding >= 0 and below the size");
    return fits;
}

/* Checks x [n, c, h, w] against y [n, c, oh, ow]. */
static bool shapes_agree(kiln_graph *graph, enum kiln_op op, int n, const kiln_node *operands,
                         const struct kiln_window *window, const struct kiln_shape *x,
                         const struct kiln_shape *y)
{
    bool fits = x->n == 4 && y->n == 4 && x->d[0] == y->d[0] && x->d[1] == y->d[1];
    for (int axis = 0; fits && axis < 2; axis++) {
        int64_t extent = kiln_window_extent(window, axis, x->d[2 + axis]);
        fits = extent >= 1 && extent == y->d[2 + axis];
    }
    /* an index is an i32 within its plane */
    fits = fits && x->d[2] <= INT32_MAX / x->d[3];
    if (!fits)
        kiln_graph_reject(graph, op, n, operands, "shapes do not fit the window %dx%d",
                          window->size[0], window->size[1]);
    return fits;
}

static kiln_node append_window(kiln_graph *graph, enum kiln_op op, enum kiln_dtype dtype,
                               const struct kiln_shape *shape, const struct kiln_window *window,
                               int n, const kiln_node *operands)
{
    struct kiln_record record = {.op = op, .dtype = dtype, .shape = *shape};
    record.params.window = *window;
    return kiln_graph_append(graph, &record, n, operands);
}

kiln_node kiln_window_argmax(kiln_graph *graph, kiln_node x, struct kiln_window window)
{
    enum kiln_op op = KILN_OP_WINDOW_ARGMAX;
    if (!kiln_graph_ready(graph, op, 1, &x) || !kiln_graph_all_f32(graph, op, 1, &x) ||
        !window_fits(graph, op, 1, &x, &window))
        return 0;
    struct kiln_shape from = kiln_shape(graph, x), to = from;
    for (int axis = 0; axis < 2 && from.n == 4; axis++)
        to.d[2 + axis] = kiln_window_extent(&window, axis, from.d[2 + axis]);
    if (!shapes_agree(graph, op, 1, &x, &window, &from, &to))
        return 0;
    return append_window(graph, op, KILN_I32, &to, &window, 1, &x);
}

/* f32 first operand, i32 index, possible window. */
static bool indexed_ready(kiln_graph *graph, enum kiln_op op, const kiln_node *operands,
                          const struct kiln_window *window)
{
    if (!kiln_graph_ready(graph, op, 2, operands))
        return false;
    if (kiln_graph_at(graph, operands[0])->dtype == KILN_F32 &&
        kiln_graph_at(graph, operands[1])->dtype == KILN_I32)
        return window_fits(graph, op, 2, operands, window);
    kiln_graph_reject(graph, op, 2, operands, "needs f32 and an i32 index");
    return false;
}

kiln_node kiln_window_gather(kiln_graph *graph, kiln_node x, kiln_node index,
                             struct kiln_window window)
{
    const kiln_node operands[] = {x, index};
    enum kiln_op op = KILN_OP_WINDOW_GATHER;
    if (!indexed_ready(graph, op, operands, &window))
        return 0;
    struct kiln_shape from = kiln_shape(graph, x), to = kiln_shape(graph, index);
    if (!shapes_agree(graph, op, 2, operands, &window, &from, &to))
        return 0;
    return append_window(graph, op, KILN_F32, &to, &window, 2, operands);
}

kiln_node kiln_window_scatter(kiln_graph *graph, kiln_node d_y, kiln_node index,
                              struct kiln_window window, int64_t h, int64_t w)
{
    const kiln_node operands[] = {d_y, index};
    enum kiln_op op = KILN_OP_WINDOW_SCATTER;
    if (!indexed_ready(graph, op, operands, &window))
        return 0;
    struct kiln_shape from = kiln_shape(graph, d_y), index_shape = kiln_shape(graph, index);
    struct kiln_shape to = from;
    if (from.n != 4 || h < 1 || w < 1 || h > INT32_MAX || w > INT32_MAX ||
        !kiln_shape_equal(&from, &index_shape))
        return kiln_graph_reject(graph, op, 2, operands, "needs two [n, c, oh, ow] and a size");
    to.d[2] = h;
    to.d[3] = w;
    if (!shapes_agree(graph, op, 2, operands, &window, &to, &from))
        return 0;
    return append_window(graph, op, KILN_F32, &to, &window, 2, operands);
}

kiln_node kiln_resample(kiln_graph *graph, kiln_node x, struct kiln_resample resample)
{
    enum kiln_op op = KILN_OP_RESAMPLE;
    if (!kiln_graph_ready(graph, op, 1, &x) || !kiln_graph_all_f32(graph, op, 1, &x))
        return 0;
    struct kiln_record record = {.op = op, .dtype = KILN_F32, .shape = kiln_shape(graph, x)};
    record.params.resample = resample;
    const int64_t *from = resample.adjoint ? resample.out : resample.in;
    const int64_t *to = resample.adjoint ? resample.in : resample.out;
    bool fits = record.shape.n == 4 && (unsigned)resample.kind <= KILN_RESAMPLE_MEAN;
    for (int axis = 0; fits && axis < 2; axis++) {
        /* column numbers of the sparse matrix are i32 */
        fits = from[axis] == record.shape.d[2 + axis] && to[axis] >= 1 && to[axis] <= INT32_MAX &&
               from[axis] <= INT32_MAX;
        if (fits && resample.kind == KILN_RESAMPLE_MEAN)
            fits = resample.in[axis] % resample.out[axis] == 0;
        record.shape.d[2 + axis] = to[axis];
    }
    if (!fits)
        return kiln_graph_reject(
            graph, op, 1, &x, "cannot be resampled as %lldx%lld to %lldx%lld%s",
            (long long)resample.in[0], (long long)resample.in[1], (long long)resample.out[0],
            (long long)resample.out[1], resample.adjoint ? " (adjoint)" : "");
    return kiln_graph_append(graph, &record, 1, &x);
}
