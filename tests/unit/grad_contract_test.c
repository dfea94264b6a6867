/* Gradients of matmul, convolutions, windows, resampling and attention, to third
 * order, against differences in double. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/lib/grad_check.h"

static kiln_node in(kiln_graph *g, const char *name, struct kiln_shape shape)
{
    return kiln_input(g, name, KILN_F32, shape);
}

static kiln_node cube(kiln_graph *g, kiln_node x)
{
    return kiln_mul(g, kiln_mul(g, x, x), x);
}

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

#define CASE(name)                                                                                 \
    {                                                                                              \
#name, build_##name                                                                        \
    }

static const struct grad_check_case cases[] = {
    CASE(matmul_nn),
    CASE(matmul_nt),
    CASE(matmul_tn),
    CASE(matmul_tt),
    CASE(matmul_batched_nn),
    CASE(matmul_batched_nt),
    CASE(matmul_batched_tn),
    CASE(matmul_batched_tt),
    CASE(conv),
    CASE(conv_input_grad),
    CASE(conv_weight_grad),
    CASE(depthwise),
    CASE(window_gather),
    CASE(window_scatter),
    CASE(resample_nearest),
    CASE(resample_bilinear),
    CASE(resample_aligned),
    CASE(resample_mean),
    CASE(resample_nearest_adjoint),
    CASE(resample_bilinear_adjoint),
    CASE(resample_aligned_adjoint),
    CASE(resample_mean_adjoint),
    CASE(attention),
    CASE(self_attention),
    CASE(attention_d_q),
    CASE(attention_d_k),
    CASE(attention_d_v),
    CASE(attention_d_all),
};

static void gradients_match_differences(void **unused)
{
    (void)unused;
    assert_int_equal(grad_check_table(cases, sizeof cases / sizeof *cases, GRAD_CHECK_MAX_ORDER),
                     0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(gradients_match_differences)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
