/* Conformance cases of matmul and attention. */
#include "tests/lib/cases_internal.h"

/* --- matmul ------------------------------------------------------------------------------ */

/* v: batch, m, n, k, transposes (bits), form */
enum form { PLAIN, STRIDED, BROADCAST, EPILOGUE, FORMS };

static struct kiln_shape matrices(int64_t batch, int64_t rows, int64_t columns, bool transposed)
{
    struct kiln_shape shape =
        KILN_SHAPE(batch, transposed ? columns : rows, transposed ? rows : columns);
    return batch ? shape : KILN_SHAPE(shape.d[1], shape.d[2]);
}

/* The operand of the given shape, as a part of a larger tensor or one matrix
 * for all batches. */
static kiln_node operand(kiln_graph *g, const char *name, struct kiln_shape shape, enum form form)
{
    struct kiln_shape larger = shape;
    int64_t start[KILN_MAX_DIMS] = {0}, step[KILN_MAX_DIMS] = {1, 1, 1, 1, 1, 1};
    if (form == BROADCAST && shape.n == 3) {
        larger.d[0] = 1;
        return kiln_expand(g, case_in(g, name, larger), shape);
    }
    if (form != STRIDED)
        return case_in(g, name, shape);
    for (int axis = 0; axis < shape.n; axis++) {
        larger.d[axis] += axis + 1;
        start[axis] = 1;
    }
    return kiln_slice(g, case_in(g, name, larger), start, shape, step);
}

static void build_matmul(kiln_graph *g, const struct kiln_case *one)
{
    const int64_t *v = one->v;
    bool ta = v[4] & 1, tb = v[4] & 2;
    enum form form = (enum form)v[5];
    kiln_node a = operand(g, "x", matrices(v[0], v[1], v[3], ta), form);
    kiln_node b = operand(g, "x2", matrices(v[0], v[3], v[2], tb), form);
    kiln_node y = kiln_matmul(g, a, b, ta, tb);
    if (form == EPILOGUE) {
        y = kiln_silu(g, kiln_add(g, y, case_in(g, "x3", KILN_SHAPE(v[2]))));
        y = kiln_add(g, y, case_in(g, "x4", kiln_shape(g, y)));
    }
    kiln_graph_output(g, "y", y);
}

static void emit_matmul(const struct case_sink *sink, const int64_t *bmnk, int64_t transposes,
                        enum form form)
{
    static const char *const forms[FORMS] = {"", " of slices", " broadcast", " with an epilogue"};
    struct kiln_case one = {.class = KILN_CASE_CHAIN, .k = 1, .build = build_matmul};
    for (int i = 0; i < 4; i++)
        one.v[i] = bmnk[i];
    one.v[4] = transposes;
    one.v[5] = form;
    case_emit(sink, one, "matmul: %d x %d x %d x %d%s%s%s", (int)bmnk[0], (int)bmnk[1],
              (int)bmnk[2], (int)bmnk[3], transposes & 1 ? " ta" : "", transposes & 2 ? " tb" : "",
              forms[form]);
}

/* x x^T: one tensor twice, and its gradient. */
static void build_gram(kiln_graph *g, const struct kiln_case *one)
{
    kiln_node x = case_in(g, "x", one->shape[0]);
    case_output_with_gradients(g, kiln_matmul(g, x, x, false, true));
}

void cases_matmul(const struct case_sink *sink)
{
    static const int64_t sizes[][4] = {
        {0, 1, 1, 1},    {0, 1, 7, 1},    {0, 3, 5, 7},     {0, 16, 16, 16},
        {0, 17, 19, 23}, {0, 64, 64, 64}, {0, 65, 33, 129}, {0, 1, 100, 64},
        {0, 100, 1, 64}, {0, 7, 5, 1000}, {1, 5, 6, 7},     {3, 5, 6, 7},
        {4, 33, 17, 16}, {2, 64, 48, 32}, {5, 1, 9, 3},     {0, 128, 100, 196},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int64_t transposes = 0; transposes < 4; transposes++)
            emit_matmul(sink, sizes[i], transposes, PLAIN);
    for (enum form form = STRIDED; form < FORMS; form++)
        for (int64_t transposes = 0; transposes < 4; transposes++) {
            emit_matmul(sink, sizes[4], transposes, form);
            emit_matmul(sink, sizes[12], transposes, form);
        }
    struct kiln_case gram = {
        .class = KILN_CASE_CHAIN, .k = 1, .build = build_gram, .shape = {KILN_SHAPE(33, 20)}};
    case_emit(sink, gram, "matmul: of a matrix with itself");
}

/* --- attention --------------------------------------------------------------------------- */

/* v: b, nq, nk, d, dv, scale in thousandths, large values */
static void attention_inputs(kiln_graph *g, const struct kiln_case *one, kiln_node *qkv)
{
    const int64_t *v = one->v;
    qkv[0] = case_in(g, "x", KILN_SHAPE(v[0], v[1], v[3]));
    qkv[1] = case_in(g, "x2", KILN_SHAPE(v[0], v[2], v[3]));
    qkv[2] = case_in(g, v[6] ? "l" : "x3", KILN_SHAPE(v[0], v[2], v[4]));
}

static void build_attention(kiln_graph *g, const struct kiln_case *one)
{
    kiln_node qkv[3], lse;
    attention_inputs(g, one, qkv);
    kiln_node out = kiln_attention(g, qkv[0], qkv[1], qkv[2], (float)one->v[5] / 1000, &lse);
    kiln_graph_output(g, "log_sum_exp", lse);
    case_output_with_gradients(g, out);
}

/* The gradient of a gradient, which expands into matmuls. */
static void build_second_order(kiln_graph *g, const struct kiln_case *one)
{
    kiln_node qkv[3], d[3];
    attention_inputs(g, one, qkv);
    kiln_node out = kiln_scaled_attention(g, qkv[0], qkv[1], qkv[2], (float)one->v[5] / 1000);
    kiln_grad(g, kiln_square(g, out), 3, qkv, d);
    kiln_node penalty = kiln_scalar(g, 0);
    for (int i = 0; i < 3; i++)
        penalty = kiln_add(g, penalty, kiln_sum_all(g, kiln_square(g, d[i])));
    case_output_with_gradients(g, penalty);
}

/* Heads split from one tensor, as networks do: strided operands. */
static void build_heads(kiln_graph *g, const struct kiln_case *one)
{
    int64_t b = one->v[0], n = one->v[1], d = one->v[3], heads = 2;
    kiln_node x = kiln_linear(g, "qkv", case_in(g, "x", KILN_SHAPE(b, n, d)), 3 * d, true),
              parts[3];
    for (int i = 0; i < 3; i++) {
        kiln_node part = kiln_narrow(g, x, 2, i * d, d);
        part = kiln_reshape(g, part, KILN_SHAPE(b, n, heads, d / heads));
        part = kiln_permute(g, part, (int[]){0, 2, 1, 3});
        parts[i] = kiln_reshape(g, part, KILN_SHAPE(b * heads, n, d / heads));
    }
    kiln_node y = kiln_scaled_attention(g, parts[0], parts[1], parts[2], 0.25f);
    y = kiln_permute(g, kiln_reshape(g, y, KILN_SHAPE(b, heads, n, d / heads)),
                     (int[]){0, 2, 1, 3});
    case_output_with_gradients(g, kiln_reshape(g, y, KILN_SHAPE(b, n, d)));
}

void cases_attention(const struct case_sink *sink)
{
    static const int64_t list[][7] = {
        {1, 1, 1, 1, 1, 1000, 0},     {2, 3, 5, 4, 2, 600, 0},     {4, 64, 64, 32, 32, 177, 0},
        {1, 130, 77, 40, 40, 158, 0}, {2, 16, 16, 8, 8, 5000, 0},  {1, 49, 49, 64, 64, 125, 0},
        {3, 7, 1, 5, 9, 1000, 0},     {2, 33, 17, 16, 16, 250, 1}, {1, 1, 300, 16, 16, 250, 0},
    };
    struct kiln_case one = {.class = KILN_CASE_CHAIN, .k = 1};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        for (int j = 0; j < 7; j++)
            one.v[j] = list[i][j];
        one.build = build_attention;
        case_emit(sink, one, "attention: b %d nq %d nk %d d %d dv %d scale %d/1000%s",
                  (int)one.v[0], (int)one.v[1], (int)one.v[2], (int)one.v[3], (int)one.v[4],
                  (int)one.v[5], one.v[6] ? " large" : "");
        one.build = build_second_order;
        if (i < 2)
            case_emit(sink, one, "attention: second order, b %d nq %d nk %d", (int)one.v[0],
                      (int)one.v[1], (int)one.v[2]);
    }
    one.build = build_heads;
    one.v[0] = 2;
    one.v[1] = 9;
    one.v[3] = 16;
    case_emit(sink, one, "attention: two heads of one projection");
}
