/* Gradients of every op, to third order, against differences in double. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/grad_check.h"
#include "tests/lib/oracle.h"

/* Differences of fourth order in double reach about 1e-10 of the scale. */
#define TOLERANCE 1e-6

static kiln_node in(kiln_graph *g, const char *name, struct kiln_shape shape)
{
    return kiln_input(g, name, KILN_F32, shape);
}

static kiln_node index_in(kiln_graph *g, const char *name, struct kiln_shape shape)
{
    return kiln_input(g, name, KILN_I32, shape);
}

/* --- pointwise --------------------------------------------------------------------- */

#define UNARY_CASE(op, variable)                                                                   \
    static kiln_node build_##op(kiln_graph *g)                                                     \
    {                                                                                              \
        return kiln_##op(g, in(g, variable, KILN_SHAPE(3, 4)));                                    \
    }
UNARY_CASE(neg, "x")
UNARY_CASE(abs, "x")
UNARY_CASE(exp, "x")
UNARY_CASE(expm1, "x")
UNARY_CASE(log, "p")
UNARY_CASE(log1p, "p")
UNARY_CASE(sqrt, "p")
UNARY_CASE(sin, "x")
UNARY_CASE(cos, "x")
UNARY_CASE(tanh, "x")
UNARY_CASE(erf, "x")
UNARY_CASE(sigmoid, "x")

#define BINARY_CASE(op, a, b)                                                                      \
    static kiln_node build_##op(kiln_graph *g)                                                     \
    {                                                                                              \
        return kiln_##op(g, in(g, a, KILN_SHAPE(2, 1, 3)), in(g, b, KILN_SHAPE(4, 1)));            \
    }
BINARY_CASE(add, "x", "x2")
BINARY_CASE(sub, "x", "x2")
BINARY_CASE(mul, "x", "x2")
BINARY_CASE(div, "x", "x2")
BINARY_CASE(pow, "p", "x2")

/* Two halves of one variable of distinct values. */
static void halves(kiln_graph *g, kiln_node *a, kiln_node *b)
{
    kiln_node d = in(g, "d", KILN_SHAPE(2, 9));
    int64_t step[] = {1, 1};
    *a = kiln_slice(g, d, (int64_t[]){0, 0}, KILN_SHAPE(1, 9), step);
    *b = kiln_slice(g, d, (int64_t[]){1, 0}, KILN_SHAPE(1, 9), step);
}

static kiln_node build_max(kiln_graph *g)
{
    kiln_node a, b;
    halves(g, &a, &b);
    return kiln_exp(g, kiln_max(g, a, b));
}

static kiln_node build_min(kiln_graph *g)
{
    kiln_node a, b;
    halves(g, &a, &b);
    return kiln_exp(g, kiln_min(g, a, b));
}

static kiln_node build_select(kiln_graph *g)
{
    kiln_node x = in(g, "x", KILN_SHAPE(2, 5)), y = in(g, "x2", KILN_SHAPE(5));
    return kiln_select(g, kiln_less(g, x, kiln_scalar(g, 0)), kiln_sin(g, y), kiln_mul(g, x, x));
}

/* Through f16 storage only exact numbers pass unchanged: 2 and 0.5. */
static kiln_node build_cast(kiln_graph *g)
{
    kiln_node x = in(g, "x", KILN_SHAPE(6));
    kiln_node two = kiln_cast(g, kiln_cast(g, kiln_scalar(g, 2), KILN_F16), KILN_F32);
    kiln_node index = kiln_cast(g, index_in(g, "index5", KILN_SHAPE(6)), KILN_F32);
    return kiln_mul(g, kiln_mul(g, x, two), kiln_add(g, x, index));
}

/* --- reductions and movement ---------------------------------------------------------- */

static kiln_node cube(kiln_graph *g, kiln_node x)
{
    return kiln_mul(g, kiln_mul(g, x, x), x);
}

static kiln_node build_reduce_sum(kiln_graph *g)
{
    kiln_node x = in(g, "x", KILN_SHAPE(3, 4, 2));
    return cube(g, kiln_reduce_sum(g, x, 5));
}

static kiln_node build_reduce_max(kiln_graph *g)
{
    kiln_node x = in(g, "d", KILN_SHAPE(3, 4, 2));
    return cube(g, kiln_reduce_max(g, x, 5));
}

static kiln_node build_reshape(kiln_graph *g)
{
    return cube(g, kiln_reshape(g, in(g, "x", KILN_SHAPE(3, 4)), KILN_SHAPE(2, 1, 6)));
}

static kiln_node build_expand(kiln_graph *g)
{
    kiln_node x = kiln_expand(g, in(g, "x", KILN_SHAPE(3, 1)), KILN_SHAPE(2, 3, 4));
    return kiln_mul(g, cube(g, x), in(g, "x2", KILN_SHAPE(2, 3, 4)));
}

static kiln_node build_permute(kiln_graph *g)
{
    return cube(g, kiln_permute(g, in(g, "x", KILN_SHAPE(2, 3, 4)), (int[]){2, 0, 1}));
}

static kiln_node build_slice(kiln_graph *g)
{
    kiln_node x = in(g, "x", KILN_SHAPE(7, 8, 5, 3));
    int64_t start[] = {6, 1, 4, 1}, step[] = {-2, 3, -1, 1};
    return cube(g, kiln_slice(g, x, start, KILN_SHAPE(3, 2, 4, 2), step));
}

/* Six axes: the adjoint must not need a seventh. */
static kiln_node build_slice_6d(kiln_graph *g)
{
    kiln_node x = in(g, "x", KILN_SHAPE(2, 1, 5, 2, 1, 6));
    int64_t start[] = {0, 0, 0, 1, 0, 5}, step[] = {1, 1, 2, -1, 1, -5};
    return cube(g, kiln_slice(g, x, start, KILN_SHAPE(2, 1, 3, 2, 1, 2), step));
}

static kiln_node build_pad(kiln_graph *g)
{
    kiln_node x = in(g, "x", KILN_SHAPE(2, 3));
    return cube(g, kiln_pad(g, x, (int64_t[]){1, 0}, (int64_t[]){2, 3}, 0.7));
}

static kiln_node build_concat(kiln_graph *g)
{
    kiln_node x = in(g, "x", KILN_SHAPE(2, 3)), y = in(g, "x2", KILN_SHAPE(2, 1));
    return cube(g, kiln_concat(g, 3, (kiln_node[]){x, y, x}, 1));
}

static kiln_node build_gather_rows(kiln_graph *g)
{
    kiln_node table = in(g, "x", KILN_SHAPE(4, 3));
    return cube(g, kiln_gather_rows(g, table, index_in(g, "index6", KILN_SHAPE(7))));
}

static kiln_node build_scatter_add_rows(kiln_graph *g)
{
    kiln_node rows = in(g, "x", KILN_SHAPE(7, 3));
    return cube(g, kiln_scatter_add_rows(g, rows, index_in(g, "index6", KILN_SHAPE(7)), 4));
}

/* --- contractions --------------------------------------------------------------------- */

static kiln_node matmul(kiln_graph *g, bool ta, bool tb, int64_t batch)
{
    struct kiln_shape a = KILN_SHAPE(batch, ta ? 5 : 3, ta ? 3 : 5);
    struct kiln_shape b = KILN_SHAPE(batch, tb ? 2 : 5, tb ? 5 : 2);
    if (batch == 1) {
        a = KILN_SHAPE(a.d[1], a.d[2]);
        b = KILN_SHAPE(b.d[1], b.d[2]);
    }
    return kiln_sin(g, kiln_matmul(g, in(g, "x", a), in(g, "x2", b), ta, tb));
}

#define MATMUL_CASE(name, ta, tb, batch)                                                           \
    static kiln_node build_matmul_##name(kiln_graph *g)                                            \
    {                                                                                              \
        return matmul(g, ta, tb, batch);                                                           \
    }
MATMUL_CASE(nn, false, false, 1)
MATMUL_CASE(nt, false, true, 1)
MATMUL_CASE(tn, true, false, 1)
MATMUL_CASE(tt, true, true, 1)
MATMUL_CASE(batched_nn, false, false, 2)
MATMUL_CASE(batched_nt, false, true, 2)
MATMUL_CASE(batched_tn, true, false, 2)
MATMUL_CASE(batched_tt, true, true, 2)

/* Every geometry at once: strides that leave pixels unused, dilation, groups,
 * one-sided padding. x [2, 4, 7, 6], weight [6, 2, 3, 2], y [2, 6, 3, 7]. */
static const struct kiln_conv odd_conv = {{3, 1}, {2, 3}, {2, 0, 1, 3}, 2};

static kiln_node build_conv(kiln_graph *g)
{
    kiln_node x = in(g, "x", KILN_SHAPE(2, 4, 8, 6)), w = in(g, "x2", KILN_SHAPE(6, 2, 3, 2));
    return kiln_sin(g, kiln_conv(g, x, w, odd_conv));
}

static kiln_node build_conv_input_grad(kiln_graph *g)
{
    kiln_node y = in(g, "x", KILN_SHAPE(2, 6, 3, 7)), w = in(g, "x2", KILN_SHAPE(6, 2, 3, 2));
    return kiln_sin(g, kiln_conv_input_grad(g, y, w, odd_conv, 9, 6));
}

static kiln_node build_conv_weight_grad(kiln_graph *g)
{
    kiln_node x = in(g, "x", KILN_SHAPE(2, 4, 10, 6)), y = in(g, "x2", KILN_SHAPE(2, 6, 3, 7));
    return kiln_sin(g, kiln_conv_weight_grad(g, x, y, odd_conv, 3, 2));
}

static kiln_node build_depthwise(kiln_graph *g)
{
    struct kiln_conv conv = {{2, 2}, {1, 1}, {1, 1, 1, 1}, 4};
    kiln_node x = in(g, "x", KILN_SHAPE(1, 4, 5, 5)), w = in(g, "x2", KILN_SHAPE(4, 1, 3, 3));
    return kiln_sin(g, kiln_conv(g, x, w, conv));
}

static const struct kiln_window odd_window = {{3, 2}, {2, 1}, {1, 2, 0, 1}};

static kiln_node build_window_gather(kiln_graph *g)
{
    kiln_node x = in(g, "d", KILN_SHAPE(2, 2, 6, 5));
    kiln_node index = kiln_window_argmax(g, x, odd_window);
    return cube(g, kiln_window_gather(g, x, index, odd_window));
}

static kiln_node build_window_scatter(kiln_graph *g)
{
    kiln_node map = in(g, "w", KILN_SHAPE(2, 2, 6, 5));
    kiln_node index = kiln_window_argmax(g, map, odd_window);
    kiln_node y = in(g, "x", kiln_shape(g, index));
    return cube(g, kiln_window_scatter(g, y, index, odd_window, 6, 5));
}

static kiln_node resample(kiln_graph *g, struct kiln_resample r)
{
    const int64_t *from = r.adjoint ? r.out : r.in;
    return cube(g, kiln_resample(g, in(g, "x", KILN_SHAPE(2, 2, from[0], from[1])), r));
}

#define RESAMPLE_CASE(name, ...)                                                                   \
    static kiln_node build_resample_##name(kiln_graph *g)                                          \
    {                                                                                              \
        return resample(g, (struct kiln_resample){__VA_ARGS__, false});                            \
    }                                                                                              \
    static kiln_node build_resample_##name##_adjoint(kiln_graph *g)                                \
    {                                                                                              \
        return resample(g, (struct kiln_resample){__VA_ARGS__, true});                             \
    }
RESAMPLE_CASE(nearest, KILN_RESAMPLE_NEAREST, {3, 4}, {7, 8})
RESAMPLE_CASE(bilinear, KILN_RESAMPLE_BILINEAR, {3, 5}, {7, 4})
RESAMPLE_CASE(aligned, KILN_RESAMPLE_BILINEAR_ALIGNED, {3, 5}, {7, 4})
RESAMPLE_CASE(mean, KILN_RESAMPLE_MEAN, {4, 6}, {2, 2})

static kiln_node build_attention(kiln_graph *g)
{
    kiln_node q = in(g, "x", KILN_SHAPE(2, 3, 4)), k = in(g, "x2", KILN_SHAPE(2, 5, 4));
    return kiln_attention(g, q, k, in(g, "x3", KILN_SHAPE(2, 5, 2)), 0.6f, NULL);
}

/* One node as query and key, and both outputs used. */
static kiln_node build_self_attention(kiln_graph *g)
{
    kiln_node x = in(g, "x", KILN_SHAPE(2, 3, 4)), lse;
    kiln_node out = kiln_attention(g, x, x, kiln_sin(g, x), 0.6f, &lse);
    return kiln_mul(g, out, kiln_reshape(g, lse, KILN_SHAPE(2, 3, 1)));
}

/* Each output of the gradient alone, and all together. */
static kiln_node attention_grad(kiln_graph *g, int output)
{
    kiln_node q = in(g, "x", KILN_SHAPE(1, 3, 4)), k = in(g, "x2", KILN_SHAPE(1, 5, 4));
    kiln_node v = in(g, "x3", KILN_SHAPE(1, 5, 2)), d_out = in(g, "x4", KILN_SHAPE(1, 3, 2));
    kiln_node lse, d_k, d_v, out = kiln_attention(g, q, k, v, 0.6f, &lse);
    kiln_node d_q = kiln_attention_grad(g, q, k, v, out, lse, d_out, 0.6f, &d_k, &d_v);
    kiln_node parts[] = {kiln_reshape(g, d_q, KILN_SHAPE(12)), kiln_reshape(g, d_k, KILN_SHAPE(20)),
                         kiln_reshape(g, d_v, KILN_SHAPE(10))};
    return output < 3 ? parts[output] : kiln_concat(g, 3, parts, 0);
}

#define ATTENTION_GRAD_CASE(name, output)                                                          \
    static kiln_node build_attention_##name(kiln_graph *g)                                         \
    {                                                                                              \
        return attention_grad(g, output);                                                          \
    }
ATTENTION_GRAD_CASE(d_q, 0)
ATTENTION_GRAD_CASE(d_k, 1)
ATTENTION_GRAD_CASE(d_v, 2)
ATTENTION_GRAD_CASE(d_all, 3)

/* --- the table -------------------------------------------------------------------------- */

#define CASE(name) {#name, build_##name}

static const struct {
    const char *name;
    kiln_node (*build)(kiln_graph *);
} cases[] = {
    CASE(neg), CASE(abs), CASE(exp), CASE(expm1), CASE(log), CASE(log1p), CASE(sqrt), CASE(sin),
    CASE(cos), CASE(tanh), CASE(erf), CASE(sigmoid), CASE(add), CASE(sub), CASE(mul), CASE(div),
    CASE(pow), CASE(max), CASE(min), CASE(select), CASE(cast), CASE(reduce_sum), CASE(reduce_max),
    CASE(reshape), CASE(expand), CASE(permute), CASE(slice), CASE(slice_6d), CASE(pad),
    CASE(concat), CASE(gather_rows), CASE(scatter_add_rows), CASE(matmul_nn), CASE(matmul_nt),
    CASE(matmul_tn), CASE(matmul_tt), CASE(matmul_batched_nn), CASE(matmul_batched_nt),
    CASE(matmul_batched_tn), CASE(matmul_batched_tt), CASE(conv), CASE(conv_input_grad),
    CASE(conv_weight_grad), CASE(depthwise), CASE(window_gather), CASE(window_scatter),
    CASE(resample_nearest), CASE(resample_bilinear), CASE(resample_aligned), CASE(resample_mean),
    CASE(resample_nearest_adjoint), CASE(resample_bilinear_adjoint),
    CASE(resample_aligned_adjoint), CASE(resample_mean_adjoint), CASE(attention),
    CASE(self_attention), CASE(attention_d_q), CASE(attention_d_k), CASE(attention_d_v),
    CASE(attention_d_all),
};

static void gradients_match_differences(void **unused)
{
    (void)unused;
    int bad = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct grad_check result = grad_check_run(cases[i].build, GRAD_CHECK_MAX_ORDER);
        if (result.message.text[0])
            print_error("%s: %s\n", cases[i].name, result.message.text);
        bad += result.message.text[0] != '\0';
        for (int order = 1; order <= GRAD_CHECK_MAX_ORDER; order++)
            if (!(result.error[order] < TOLERANCE)) {
                print_error("%s: order %d is off by %.1e\n", cases[i].name, order,
                            result.error[order]);
                bad++;
            }
        bad += !(result.scale[1] > 0); /* a gradient that vanishes tests nothing */
    }
    assert_int_equal(bad, 0);
}

/* The check itself must see a wrong slope. */
static kiln_node build_wrong(kiln_graph *g)
{
    kiln_node x = in(g, "x", KILN_SHAPE(3));
    return kiln_mul(g, x, kiln_stop_gradient(g, x));
}

static void a_wrong_gradient_is_seen(void **unused)
{
    (void)unused;
    assert_true(grad_check_run(build_wrong, 1).error[1] > 0.1);
}

static void what_has_no_slope_is_zero(void **unused)
{
    (void)unused;
    kiln_graph *g = kiln_graph_create();
    kiln_node x = in(g, "x", KILN_SHAPE(2, 3)), i = index_in(g, "i", KILN_SHAPE(2));
    kiln_node y = kiln_floor(g, x);
    y = kiln_add(g, y, kiln_less(g, x, kiln_neg(g, x)));
    y = kiln_add(g, y, kiln_stop_gradient(g, x));
    y = kiln_add(g, y, kiln_cast(g, kiln_cast(g, x, KILN_I32), KILN_F32));
    y = kiln_add(g, y, kiln_reshape(g, kiln_cast(g, i, KILN_F32), KILN_SHAPE(2, 1)));
    y = kiln_add(g, y, kiln_random(g, KILN_SHAPE(2, 3), (struct kiln_rng){.stream = 1}));
    kiln_node later = kiln_input(g, "later", KILN_F32, KILN_SHAPE(4));
    kiln_node xs[] = {x, i, later}, out[3];
    kiln_grad(g, y, 3, xs, out);
    assert_int_equal(kiln_graph_error(g, NULL), KILN_OK);
    for (int k = 0; k < 3; k++) {
        struct kiln_node_info info;
        assert_true(kiln_graph_node(g, out[k], &info));
        assert_int_equal(info.op, KILN_OP_CONST);
        assert_int_equal(info.dtype, KILN_F32);
        struct kiln_shape shape = kiln_shape(g, xs[k]);
        assert_true(kiln_shape_equal(&info.shape, &shape));
        assert_true(info.params->constant.value == 0);
    }
    kiln_grad(g, kiln_exp(g, x), 1, &(kiln_node){0}, out);
    assert_int_equal(kiln_graph_error(g, NULL), KILN_INPUT);
    assert_int_equal(out[0], 0);
    kiln_graph_destroy(&g);
}

/* y = f(f(...f(x))), 20,000 deep: no recursion. */
static void deep_graphs_are_differentiated(void **unused)
{
    (void)unused;
    kiln_graph *g = kiln_graph_create();
    kiln_node x = in(g, "x", KILN_SHAPE(1)), y = x, d_x;
    for (int i = 0; i < 20000; i++)
        y = kiln_add(g, y, x);
    kiln_grad(g, y, 1, &x, &d_x);
    kiln_oracle *oracle = kiln_oracle_create(g, false);
    assert_int_equal(kiln_oracle_set(oracle, "x", &(double){1}, 1, NULL), KILN_OK);
    assert_int_equal(kiln_oracle_evaluate(oracle, 1, &d_x, NULL), KILN_OK);
    assert_true(kiln_oracle_value(oracle, d_x)[0] == 20001);
    kiln_oracle_destroy(&oracle);
    kiln_graph_destroy(&g);
}

/* Slopes at kinks and where a factor vanishes. */
static void slopes_at_special_points(void **unused)
{
    (void)unused;
    kiln_graph *g = kiln_graph_create();
    kiln_node x = in(g, "x", KILN_SHAPE(2)), zero = kiln_scalar(g, 0), d[5];
    kiln_node tie = kiln_reduce_max(g, x, 1);
    kiln_node ys[] = {
        kiln_abs(g, x),                                               /* 0 */
        kiln_max(g, x, zero),                                         /* 1: the first operand */
        kiln_max(g, zero, x),                                         /* 0 */
        tie,                                                          /* shared: 1/2 */
        kiln_pow(g, x, kiln_scalar(g, 2)),                            /* 0 */
    };
    const double expected[] = {0, 1, 0, 0.5, 0};
    kiln_oracle *oracle = kiln_oracle_create(g, false);
    for (int i = 0; i < 5; i++)
        kiln_grad(g, ys[i], 1, &x, &d[i]);
    kiln_oracle_set(oracle, "x", (double[]){0, 0}, 2, NULL);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(kiln_oracle_evaluate(oracle, 1, &d[i], NULL), KILN_OK);
        assert_true(kiln_oracle_value(oracle, d[i])[0] == expected[i]);
    }
    kiln_oracle_destroy(&oracle);
    kiln_graph_destroy(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_match_differences),
        cmocka_unit_test(a_wrong_gradient_is_seen),
        cmocka_unit_test(what_has_no_slope_is_zero),
        cmocka_unit_test(deep_graphs_are_differentiated),
        cmocka_unit_test(slopes_at_special_points),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
