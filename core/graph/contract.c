/* Contractions: matmul, the convolution triple, attention. */
#include "core/graph/internal.h"

kiln_node kiln_matmul(kiln_graph *graph, kiln_node a, kiln_node b, bool transpose_a,
                      bool transpose_b)
{
    const kiln_node operands[] = {a, b};
    enum kiln_op op = KILN_OP_MATMUL;
    if (!kiln_graph_ready(graph, op, 2, operands) || !kiln_graph_all_f32(graph, op, 2, operands))
        return 0;
    const struct kiln_shape *sa = &kiln_graph_at(graph, a)->shape;
    const struct kiln_shape *sb = &kiln_graph_at(graph, b)->shape;
    int n = sa->n;
    if ((n != 2 && n != 3) || sb->n != n || (n == 3 && sa->d[0] != sb->d[0]))
        return kiln_graph_reject(graph, op, 2, operands,
                                 "needs two matrices, or two batches of the same size");
    struct kiln_record record = {.op = op, .dtype = KILN_F32, .shape = *sa};
    record.shape.d[n - 2] = sa->d[transpose_a ? n - 1 : n - 2];
    record.shape.d[n - 1] = sb->d[transpose_b ? n - 2 : n - 1];
    record.params.matmul.transpose_a = transpose_a;
    record.params.matmul.transpose_b = transpose_b;
    if (sa->d[transpose_a ? n - 2 : n - 1] != sb->d[transpose_b ? n - 1 : n - 2])
        return kiln_graph_reject(graph, op, 2, operands, "inner extents differ%s%s",
                                 transpose_a ? " (first transposed)" : "",
                                 transpose_b ? " (second transposed)" : "");
    return kiln_graph_append(graph, &record, 2, operands);
}

/* --- convolution ------------------------------------------------------------- */

int64_t kiln_conv_extent(const struct kiln_conv *conv, int axis, int64_t size, int64_t kernel)
{
    int64_t reach = conv->dilation[axis] * (kernel - 1) + 1;
    int64_t padded = size + conv->pad[2 * axis] + conv->pad[2 * axis + 1];
    return padded < reach ? 0 : (padded - reach) / conv->stride[axis] + 1;
}

/* Rejects impossible geometry; kernels are bounded so that extents cannot
 * overflow. */
static bool geometry_fits(kiln_graph *graph, enum kiln_op op, const kiln_node *operands,
                          const struct kiln_conv *conv, const int64_t *kernel)
{
    enum { LIMIT = 1 << 20 };
    bool fits = conv->groups >= 1 && conv->groups <= LIMIT;
    for (int axis = 0; axis < 2; axis++)
        fits = fits && conv->stride[axis] >= 1 && conv->stride[axis] <= LIMIT &&
               conv->dilation[axis] >= 1 && conv->dilation[axis] <= LIMIT && kernel[axis] >= 1 &&
               kernel[axis] <= LIMIT;
    for (int side = 0; side < 4; side++)
        fits = fits && conv->pad[side] >= 0 && conv->pad[side] <= LIMIT;
    if (!fits)
        kiln_graph_reject(graph, op, 2, operands,
                          "stride, dilation, groups and kernel must be >= 1 and padding >= 0");
    return fits;
}

/* Checks that x, weight and y belong to one convolution. */
static bool shapes_agree(kiln_graph *graph, enum kiln_op op, const kiln_node *operands,
                         const struct kiln_conv *conv, const struct kiln_shape *x,
                         const struct kiln_shape *weight, const struct kiln_shape *y)
{
    if (x->n != 4 || weight->n != 4 || y->n != 4) {
        kiln_graph_reject(graph, op, 2, operands, "operands must have four axes");
        return false;
    }
    if (!geometry_fits(graph, op, operands, conv, &weight->d[2]))
        return false;
    if (x->d[0] != y->d[0] || weight->d[0] != y->d[1] || weight->d[0] % conv->groups ||
        x->d[1] % conv->groups || weight->d[1] != x->d[1] / conv->groups) {
        kiln_graph_reject(graph, op, 2, operands,
                          "batch or channels do not fit (groups %d, weight [o, c/groups, kh, kw])",
                          conv->groups);
        return false;
    }
    for (int axis = 0; axis < 2; axis++) {
        int64_t extent = kiln_conv_extent(conv, axis, x->d[2 + axis], weight->d[2 + axis]);
        if (extent < 1) {
            kiln_graph_reject(graph, op, 2, operands, "the kernel reaches beyond the padded %s",
                              axis ? "width" : "height");
            return false;
        }
        if (extent != y->d[2 + axis]) {
            kiln_graph_reject(graph, op, 2, operands, "%s: %lld pixels give %lld, not %lld",
                              axis ? "width" : "height", (long long)x->d[2 + axis],
                              (long long)extent, (long long)y->d[2 + axis]);
            return false;
        }
    }
    return true;
}

static kiln_node append_conv(kiln_graph *graph, enum kiln_op op, const kiln_node *operands,
                             const struct kiln_conv *conv, const struct kiln_shape *shape)
{
    struct kiln_record record = {.op = op, .dtype = KILN_F32, .shape = *shape};
    record.params.conv = *conv;
    return kiln_graph_append(graph, &record, 2, operands);
}

/* Both operands f32 with four axes. */
static bool conv_ready(kiln_graph *graph, enum kiln_op op, const kiln_node *operands)
{
    if (!kiln_graph_ready(graph, op, 2, operands) || !kiln_graph_all_f32(graph, op, 2, operands))
        return false;
    if (kiln_graph_at(graph, operands[0])->shape.n == 4 &&
        kiln_graph_at(graph, operands[1])->shape.n == 4)
        return true;
    kiln_graph_reject(graph, op, 2, operands, "operands must have four axes");
    return false;
}

kiln_node kiln_conv(kiln_graph *graph, kiln_node x, kiln_node weight, struct kiln_conv conv)
{
    const kiln_node operands[] = {x, weight};
    enum kiln_op op = KILN_OP_CONV;
    if (!conv_ready(graph, op, operands))
        return 0;
    const struct kiln_shape *sx = &kiln_graph_at(graph, x)->shape;
    const struct kiln_shape *sw = &kiln_graph_at(graph, weight)->shape;
    if (!geometry_fits(graph, op, operands, &conv, &sw->d[2]))
        return 0;
    struct kiln_shape y = KILN_SHAPE(sx->d[0], sw->d[0], 0, 0);
    for (int axis = 0; axis < 2; axis++)
        y.d[2 + axis] = kiln_conv_extent(&conv, axis, sx->d[2 + axis], sw->d[2 + axis]);
    if (!shapes_agree(graph, op, operands, &conv, sx, sw, &y))
        return 0;
    return append_conv(graph, op, operands, &conv, &y);
}

kiln_node kiln_conv_input_grad(kiln_graph *graph, kiln_node d_y, kiln_node weight,
                               struct kiln_conv conv, int64_t h, int64_t w)
{
    const kiln_node operands[] = {d_y, weight};
    enum kiln_op op = KILN_OP_CONV_INPUT_GRAD;
    if (!conv_ready(graph, op, operands))
        return 0;
    const struct kiln_shape *sy = &kiln_graph_at(graph, d_y)->shape;
    const struct kiln_shape *sw = &kiln_graph_at(graph, weight)->shape;
    struct kiln_shape x = KILN_SHAPE(sy->d[0], 1, h, w);
    int64_t channels = conv.groups >= 1 ? sw->d[1] * conv.groups : 0;
    x.d[1] = channels;
    if (h < 1 || w < 1 || h > KILN_MAX_EXTENT || w > KILN_MAX_EXTENT)
        return kiln_graph_reject(graph, op, 2, operands, "the size %lldx%lld is impossible",
                                 (long long)h, (long long)w);
    if (!shapes_agree(graph, op, operands, &conv, &x, sw, sy))
        return 0;
    return append_conv(graph, op, operands, &conv, &x);
}

kiln_node kiln_conv_weight_grad(kiln_graph *graph, kiln_node x, kiln_node d_y,
                                struct kiln_conv conv, int64_t kh, int64_t kw)
{
    const kiln_node operands[] = {x, d_y};
    enum kiln_op op = KILN_OP_CONV_WEIGHT_GRAD;
    if (!conv_ready(graph, op, operands))
        return 0;
    const struct kiln_shape *sx = &kiln_graph_at(graph, x)->shape;
    const struct kiln_shape *sy = &kiln_graph_at(graph, d_y)->shape;
    int64_t channels = conv.groups >= 1 ? sx->d[1] / conv.groups : 0;
    struct kiln_shape weight = KILN_SHAPE(sy->d[1], channels, kh, kw);
    if (!shapes_agree(graph, op, operands, &conv, sx, &weight, sy))
        return 0;
    return append_conv(graph, op, operands, &conv, &weight);
}

/* --- attention --------------------------------------------------------------- */

static kiln_node output_of(kiln_graph *graph, kiln_node node, int output, struct kiln_shape shape)
{
    struct kiln_record record = {.op = KILN_OP_OUTPUT, .dtype = KILN_F32, .shape = shape};
    record.params.output = output;
    return kiln_graph_append(graph, &record, 1, &node);
}

/* operands q, k, v must be [b, nq, d], [b, nk, d], [b, nk, dv]. */
static bool attention_fits(kiln_graph *graph, enum kiln_op op, int n, const kiln_node *operands)
{
    if (!kiln_graph_ready(graph, op, n, operands) || !kiln_graph_all_f32(graph, op, n, operands))
        return false;
    const struct kiln_shape *q = &kiln_graph_at(graph, operands[0])->shape;
    const struct kiln_shape *k = &kiln_graph_at(graph, operands[1])->shape;
    const struct kiln_shape *v = &kiln_graph_at(graph, operands[2])->shape;
    if (q->n == 3 && k->n == 3 && v->n == 3 && k->d[0] == q->d[0] && v->d[0] == q->d[0] &&
        k->d[2] == q->d[2] && v->d[1] == k->d[1])
        return true;
    kiln_graph_reject(graph, op, n, operands, "needs [b, nq, d], [b, nk, d] and [b, nk, dv]");
    return false;
}

kiln_node kiln_attention(kiln_graph *graph, kiln_node q, kiln_node k, kiln_node v, float scale,
                         kiln_node *log_sum_exp)
{
    const kiln_node operands[] = {q, k, v};
    if (log_sum_exp)
        *log_sum_exp = 0;
    if (!attention_fits(graph, KILN_OP_ATTENTION, 3, operands))
        return 0;
    struct kiln_shape out = kiln_shape(graph, q);
    out.d[2] = kiln_shape(graph, v).d[2];
    struct kiln_record record = {.op = KILN_OP_ATTENTION, .dtype = KILN_F32, .shape = out};
    record.params.attention.scale = scale;
    kiln_node node = kiln_graph_append(graph, &record, 3, operands);
    if (!node)
        return 0;
    /* always there, and next to the node: the gradient needs it */
    kiln_node second = output_of(graph, node, 1, KILN_SHAPE(out.d[0], out.d[1]));
    if (log_sum_exp)
        *log_sum_exp = second;
    return node;
}

kiln_node kiln_attention_grad(kiln_graph *graph, kiln_node q, kiln_node k, kiln_node v,
                              kiln_node out, kiln_node log_sum_exp, kiln_node d_out, float scale,
                              kiln_node *d_k, kiln_node *d_v)
{
    const kiln_node operands[] = {q, k, v, out, log_sum_exp, d_out};
    enum kiln_op op = KILN_OP_ATTENTION_GRAD;
    *d_k = *d_v = 0;
    if (!attention_fits(graph, op, 6, operands))
        return 0;
    struct kiln_shape sq = kiln_shape(graph, q);
    struct kiln_shape result = kiln_shape(graph, out), d_result = kiln_shape(graph, d_out);
    struct kiln_shape lse = kiln_shape(graph, log_sum_exp);
    struct kiln_shape expected = KILN_SHAPE(sq.d[0], sq.d[1], kiln_shape(graph, v).d[2]);
    struct kiln_shape rows = KILN_SHAPE(sq.d[0], sq.d[1]);
    if (!kiln_shape_equal(&result, &expected) || !kiln_shape_equal(&d_result, &expected) ||
        !kiln_shape_equal(&lse, &rows))
        return kiln_graph_reject(graph, op, 6, operands, "out, log_sum_exp or d_out do not fit");
    struct kiln_record record = {.op = op, .dtype = KILN_F32, .shape = sq};
    record.params.attention.scale = scale;
    kiln_node node = kiln_graph_append(graph, &record, 6, operands);
    if (node) {
        *d_k = output_of(graph, node, 1, kiln_shape(graph, k));
        *d_v = output_of(graph, node, 2, kiln_shape(graph, v));
    }
    return node;
}
