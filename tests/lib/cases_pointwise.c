/* Conformance cases of pointwise ops: functions, broadcasting, casts, chains. */
#include "tests/lib/cases_internal.h"

#include <stdio.h>

/* --- single ops -------------------------------------------------------------------------- */

/* Values of the operands by the first letters of these names. */
struct point_case {
    enum kiln_op op;
    double ulp;
    const char *a[4]; /* names of a's inputs, one case each */
    const char *b[4];
};

/* Where a denormal's flush to zero is not lost in FLT_MIN (floor, mul), there
 * are none (z for s). Limits of OpenCL's full profile; what has none there is composed of such. */
static const struct point_case point_cases[] = {
    {KILN_OP_NEG, 0, {"x", "s", "n"}, {0}},
    {KILN_OP_ABS, 0, {"x", "s", "n"}, {0}},
    {KILN_OP_EXP, 3, {"x", "s", "e", "n"}, {0}},
    {KILN_OP_EXPM1, 3, {"x", "s", "e", "n"}, {0}},
    {KILN_OP_LOG, 3, {"p", "p2"}, {0}},
    {KILN_OP_LOG1P, 2, {"p", "p2"}, {0}},
    {KILN_OP_SQRT, 3, {"p", "p2"}, {0}},
    {KILN_OP_SIN, 4, {"x", "s", "e"}, {0}},
    {KILN_OP_COS, 4, {"x", "s", "e"}, {0}},
    {KILN_OP_TANH, 5, {"x", "s", "e", "n"}, {0}},
    {KILN_OP_ERF, 16, {"x", "s", "e"}, {0}},
    {KILN_OP_SIGMOID, 8, {"x", "s", "e", "n"}, {0}},
    {KILN_OP_FLOOR, 0, {"x", "z", "l"}, {0}},
    {KILN_OP_ADD, 1, {"x", "s", "n", "l"}, {"x2", "s2", "x2", "l2"}},
    {KILN_OP_SUB, 1, {"x", "s", "n", "l"}, {"x2", "s2", "x2", "l2"}},
    {KILN_OP_MUL, 1, {"x", "z", "n", "l"}, {"x2", "z2", "x2", "l2"}},
    {KILN_OP_DIV, 2.5, {"x", "z", "l"}, {"x2", "x2", "x2"}},
    {KILN_OP_POW, 16, {"p", "p2"}, {"x", "e"}},
    {KILN_OP_MAX, 0, {"x", "z", "l", "n"}, {"x2", "z2", "x2", "n2"}},
    {KILN_OP_MIN, 0, {"x", "z", "l", "n"}, {"x2", "z2", "x2", "n2"}},
    {KILN_OP_LESS, 0, {"x", "z", "n"}, {"x2", "z2", "x2"}},
    {KILN_OP_LESS_EQUAL, 0, {"x", "z", "n"}, {"x2", "z2", "x2"}},
    {KILN_OP_EQUAL, 0, {"x", "z", "n"}, {"x", "z2", "x2"}},
};

static void build_point(kiln_graph *g, const struct kiln_case *one)
{
    const struct point_case *point = &point_cases[one->v[0]];
    kiln_node a = case_in(g, point->a[one->v[1]], one->shape[0]);
    if (kiln_op_class(one->op) == KILN_OP_CLASS_UNARY)
        kiln_graph_output(g, "y", kiln_unary(g, one->op, a));
    else
        kiln_graph_output(
            g, "y", kiln_binary(g, one->op, a, case_in(g, point->b[one->v[1]], one->shape[1])));
}

static void emit_points(const struct case_sink *sink)
{
    /* odd sizes first: 1000 values of each kind, then shapes of one kind */
    struct kiln_shape shapes[] = {
        KILN_SHAPE(1009), {0}, KILN_SHAPE(1), KILN_SHAPE(2, 3, 1, 5, 1, 7)};
    for (size_t i = 0; i < sizeof point_cases / sizeof *point_cases; i++)
        for (int kind = 0; kind < 4 && point_cases[i].a[kind]; kind++)
            for (int s = 0; s < (kind ? 1 : 4); s++) {
                double k = point_cases[i].ulp;
                struct kiln_case one = {
                    .class = k > 0 ? KILN_CASE_ULP : KILN_CASE_EXACT,
                    .k = k,
                    .build = build_point,
                    .op = point_cases[i].op,
                    .shape = {shapes[s], shapes[s]},
                    .v = {(int64_t)i, kind},
                };
                case_emit(sink, one, "pointwise: %s of %s %s", kiln_op_name(one.op),
                          point_cases[i].a[kind], case_shape(shapes[s]));
            }
}

/* --- broadcasting, select, integers, casts --------------------------------------------- */

static void build_broadcast(kiln_graph *g, const struct kiln_case *one)
{
    kiln_node a = case_in(g, "x", one->shape[0]), b = case_in(g, "x2", one->shape[1]);
    kiln_graph_output(g, "sum", kiln_add(g, a, b));
    kiln_graph_output(g, "difference", kiln_sub(g, b, a));
}

static void build_select(kiln_graph *g, const struct kiln_case *one)
{
    kiln_node condition = case_in(g, "z", one->shape[0]);
    kiln_node a = case_in(g, "n", one->shape[1]), b = case_in(g, "s", one->shape[2]);
    kiln_graph_output(g, "y", kiln_select(g, condition, a, b));
    kiln_node flag = kiln_input(g, "label2", KILN_I32, one->shape[0]);
    kiln_graph_output(g, "by integer", kiln_select(g, flag, a, b));
}

static void build_integer(kiln_graph *g, const struct kiln_case *one)
{
    kiln_node a = kiln_input(g, "i", KILN_I32, one->shape[0]);
    kiln_node b = kiln_input(g, "i2", KILN_I32, one->shape[0]);
    static const enum kiln_op ops[] = {KILN_OP_ADD,        KILN_OP_SUB,  KILN_OP_MUL,
                                       KILN_OP_MAX,        KILN_OP_MIN,  KILN_OP_LESS,
                                       KILN_OP_LESS_EQUAL, KILN_OP_EQUAL};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        kiln_graph_output(g, kiln_op_name(ops[i]), kiln_binary(g, ops[i], a, b));
    kiln_graph_output(g, "neg", kiln_neg(g, a));
    kiln_graph_output(g, "abs", kiln_abs(g, kiln_max(g, a, kiln_neg(g, b))));
    kiln_graph_output(g, "select", kiln_select(g, kiln_less(g, a, b), a, b));
}

static void build_casts(kiln_graph *g, const struct kiln_case *one)
{
    kiln_node x = case_in(g, "e", one->shape[0]), l = case_in(g, "l", one->shape[0]);
    kiln_node i = kiln_input(g, "label2000000", KILN_I32, one->shape[0]);
    kiln_node u = kiln_input(g, "u", KILN_U8, one->shape[0]);
    kiln_graph_output(g, "f32 to i32", kiln_cast(g, x, KILN_I32));
    kiln_graph_output(g, "large f32 to i32", kiln_cast(g, l, KILN_I32));
    kiln_graph_output(g, "f32 to u8", kiln_cast(g, x, KILN_U8));
    kiln_graph_output(g, "large f32 to u8", kiln_cast(g, l, KILN_U8));
    kiln_graph_output(g, "i32 to f32", kiln_cast(g, i, KILN_F32));
    kiln_graph_output(g, "u8 to f32", kiln_cast(g, u, KILN_F32));
    kiln_graph_output(g, "u8 to i32", kiln_cast(g, u, KILN_I32));
    kiln_graph_output(g, "u8", u);
    kiln_node half = kiln_cast(g, x, KILN_F16);
    kiln_graph_output(g, "through f16", kiln_cast(g, half, KILN_F32));
    kiln_graph_output(g, "moved f16",
                      kiln_cast(g,
                                kiln_slice(g, half, (int64_t[]){one->shape[0].d[0] - 1},
                                           one->shape[0], (int64_t[]){-1}),
                                KILN_F32));
}

void cases_pointwise(const struct case_sink *sink)
{
    emit_points(sink);
    const struct kiln_shape pairs[][2] = {
        {KILN_SHAPE(5, 1, 7), KILN_SHAPE(3, 1)},
        {{0}, KILN_SHAPE(65)},
        {KILN_SHAPE(1), KILN_SHAPE(1, 1, 1)},
        {KILN_SHAPE(2, 3, 4, 5), KILN_SHAPE(1, 3, 1, 1)},
        {KILN_SHAPE(16, 32, 6, 6), KILN_SHAPE(16, 32, 1, 1)},
        {KILN_SHAPE(17, 1), KILN_SHAPE(1, 129)},
        {KILN_SHAPE(2, 1, 3, 1, 5, 1), KILN_SHAPE(1, 2, 1, 4, 1, 3)},
        {KILN_SHAPE(70001), KILN_SHAPE(1)},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct kiln_case one = {.class = KILN_CASE_ULP,
                                .k = 1,
                                .build = build_broadcast,
                                .shape = {pairs[i][0], pairs[i][1]}};
        case_emit(sink, one, "pointwise: broadcast %s %s", case_shape(pairs[i][0]),
                  case_shape(pairs[i][1]));
    }
    struct kiln_case select = {.build = build_select,
                               .shape = {KILN_SHAPE(7, 1), KILN_SHAPE(7, 33), KILN_SHAPE(33)}};
    case_emit(sink, select, "pointwise: select");
    case_emit(sink, (struct kiln_case){.build = build_integer, .shape = {KILN_SHAPE(211)}},
              "pointwise: integers");
    case_emit(sink, (struct kiln_case){.build = build_casts, .shape = {KILN_SHAPE(211)}},
              "pointwise: casts");
}

/* --- chains ------------------------------------------------------------------------------ */

/* Longer than one fused loop may be, with values that stay near 1. */
static void build_long_chain(kiln_graph *g, const struct kiln_case *one)
{
    kiln_node x = case_in(g, "x", one->shape[0]), y = x;
    for (int i = 0; i < one->v[0]; i++) {
        y = kiln_sin(g, kiln_add_scalar(g, kiln_mul(g, y, x), 0.25 * (i % 3)));
        if (i % 7 == 3)
            y = kiln_add(g, kiln_sigmoid(g, y), kiln_mul_scalar(g, x, 0.5));
    }
    kiln_graph_output(g, "y", y);
}

/* More operands than one fused loop may load. */
static void build_many_operands(kiln_graph *g, const struct kiln_case *one)
{
    kiln_node sum = kiln_scalar(g, 1);
    for (int i = 0; i < one->v[0]; i++) {
        char name[16];
        snprintf(name, sizeof name, "x%d", i);
        sum = kiln_add(g, kiln_mul_scalar(g, sum, 0.75), case_in(g, name, one->shape[i % 2]));
    }
    kiln_graph_output(g, "y", sum);
}

/* Values used in many places, and outputs in the middle of a chain. */
static void build_shared(kiln_graph *g, const struct kiln_case *one)
{
    kiln_node x = case_in(g, "x", one->shape[0]);
    kiln_node a = kiln_exp(g, x), b = kiln_mul(g, a, a), c = kiln_add(g, a, b);
    kiln_graph_output(g, "a", a);
    kiln_graph_output(g, "sum", kiln_reduce_sum(g, b, 1));
    kiln_graph_output(g, "c", c);
    kiln_graph_output(g, "c again", kiln_add(g, kiln_exp(g, x), b));
    kiln_graph_output(g, "x", x);
    kiln_graph_output(g, "constant", kiln_full(g, KILN_SHAPE(3), 0.1));
}

/* Pictures as a batch sees them: u8 rows gathered, scaled to -1 .. 1, half of
 * them mirrored. */
static void build_pictures(kiln_graph *g, const struct kiln_case *one)
{
    (void)one;
    kiln_node all = kiln_input(g, "u", KILN_U8, KILN_SHAPE(10, 3, 7, 5));
    kiln_node rows = kiln_gather_rows(g, all, kiln_input(g, "label10", KILN_I32, KILN_SHAPE(6)));
    kiln_node x = kiln_mul_scalar(g, kiln_cast(g, rows, KILN_F32), 1 / 127.5);
    kiln_node flag = kiln_cast(g, kiln_input(g, "label2", KILN_I32, KILN_SHAPE(6)), KILN_F32);
    kiln_graph_output(g, "y", kiln_flip_where(g, kiln_add_scalar(g, x, -1), flag));
}

static void build_activations(kiln_graph *g, const struct kiln_case *one)
{
    kiln_node x = case_in(g, "x", one->shape[0]), t = case_in(g, "p", one->shape[0]);
    kiln_node ys[] = {kiln_silu(g, x),      kiln_gelu(g, x),
                      kiln_gelu_tanh(g, x), kiln_quick_gelu(g, x),
                      kiln_elu(g, x, 1),    kiln_leaky_relu(g, x, 0.2),
                      kiln_softplus(g, x),  kiln_bce_with_logits(g, x, t)};
    kiln_node sum = kiln_relu(g, x);
    for (size_t i = 0; i < sizeof ys / sizeof *ys; i++)
        sum = kiln_add(g, sum, ys[i]);
    case_output_with_gradients(g, sum);
}

void cases_chains(const struct case_sink *sink)
{
    struct kiln_case chain = {.class = KILN_CASE_CHAIN, .k = 1, .build = build_long_chain};
    static const int lengths[] = {3, 30, 150};
    for (int i = 0; i < 3; i++) {
        chain.shape[0] = i == 2 ? KILN_SHAPE(3, 37) : KILN_SHAPE(13, 16, 9, 5);
        chain.v[0] = lengths[i];
        case_emit(sink, chain, "chain: %d links", lengths[i]);
    }
    chain.build = build_many_operands;
    chain.shape[0] = KILN_SHAPE(11, 13);
    chain.shape[1] = KILN_SHAPE(13);
    for (chain.v[0] = 20; chain.v[0] <= 140; chain.v[0] += 60)
        case_emit(sink, chain, "chain: %d operands", (int)chain.v[0]);
    chain.build = build_shared;
    chain.shape[0] = KILN_SHAPE(67, 5);
    case_emit(sink, chain, "chain: shared values and outputs");
    chain.build = build_pictures;
    case_emit(sink, chain, "chain: pictures from bytes");
    chain.build = build_activations;
    chain.shape[0] = KILN_SHAPE(5, 16, 3, 3);
    case_emit(sink, chain, "chain: activations and their gradients");
}
