/* Functions of core/api/nn.h against PyTorch's values (tests/golden/nn.py). */
#include "tests/unit/nn_bench.h"

#include <math.h>

static void functions_are_torchs(void **unused)
{
    (void)unused;
    struct nn_bench b = nn_bench_open();
    kiln_graph *g = b.g;
    kiln_node x = nn_bench_input(&b, "x", X, KILN_SHAPE(3, 5));
    nn_bench_assert_node(&b, "silu", kiln_silu(g, x));
    nn_bench_assert_node(&b, "gelu", kiln_gelu(g, x));
    nn_bench_assert_node(&b, "gelu_tanh", kiln_gelu_tanh(g, x));
    nn_bench_assert_node(&b, "quick_gelu", kiln_quick_gelu(g, x));
    nn_bench_assert_node(&b, "relu", kiln_relu(g, x));
    nn_bench_assert_node(&b, "leaky_relu", kiln_leaky_relu(g, x, 0.2));
    nn_bench_assert_node(&b, "elu", kiln_elu(g, x, 0.7));
    nn_bench_assert_node(&b, "softplus", kiln_softplus(g, x));
    nn_bench_assert_node(&b, "clamp", kiln_clamp(g, x, -0.5, 0.7));
    nn_bench_assert_node(&b, "softmax", kiln_softmax(g, x, 0));
    nn_bench_assert_node(&b, "log_softmax", kiln_log_softmax(g, x, 1));
    nn_bench_assert_node(&b, "mean", kiln_mean(g, x, 2));
    kiln_node target = nn_bench_input(&b, "target", TARGET, KILN_SHAPE(3, 5));
    nn_bench_assert_node(&b, "bce_with_logits", kiln_bce_with_logits(g, x, target));
    kiln_node q = nn_bench_input(&b, "q", X, KILN_SHAPE(2, 3, 4));
    kiln_node k = nn_bench_input(&b, "k", WEIGHT, KILN_SHAPE(2, 5, 4));
    kiln_node v = nn_bench_input(&b, "v", BIAS, KILN_SHAPE(2, 5, 3));
    nn_bench_assert_node(&b, "scaled_attention", kiln_scaled_attention(g, q, k, v, 0.5f));
    kiln_node label = nn_bench_given(&b, "label", KILN_I32, 3, (double[]){2, 0, 3});
    nn_bench_assert_node(&b, "one_hot", kiln_one_hot(g, label, 4));
    kiln_node t = nn_bench_given(&b, "t", KILN_F32, 3, (double[]){0, 3, 250.5});
    nn_bench_assert_node(&b, "timestep_embedding_plain",
                         kiln_timestep_embedding(g, t, 7, false, 0, 10000));
    nn_bench_assert_node(&b, "timestep_embedding_flip",
                         kiln_timestep_embedding(g, t, 7, true, 1, 10000));
    nn_bench_close(&b);
}

static void slopes_at_kinks_are_torchs(void **unused)
{
    (void)unused;
    struct nn_bench b = nn_bench_open();
    kiln_graph *g = b.g;
    kiln_node x = nn_bench_given(&b, "x", KILN_F32, 3, (double[]){0, (double)0.7f, -0.5});
    const struct {
        const char *name;
        kiln_node y;
    } cases[] = {
        {"relu_slope", kiln_relu(g, x)},
        {"leaky_relu_slope", kiln_leaky_relu(g, x, 0.2)},
        {"elu_slope", kiln_elu(g, x, 1)},
        {"softplus_slope", kiln_softplus(g, x)},
        {"clamp_slope", kiln_clamp(g, x, -0.5, 0.7)},
        {"abs_slope", kiln_abs(g, x)},
        {"gelu_slope", kiln_gelu(g, x)},
        {"silu_slope", kiln_silu(g, x)},
        {"bce_with_logits_slope", kiln_bce_with_logits(g, x, kiln_scalar(g, 0.25))},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        kiln_node d_x;
        kiln_grad(g, cases[i].y, 1, &x, &d_x);
        nn_bench_assert_node(&b, cases[i].name, d_x);
    }
    nn_bench_close(&b);
}

/* Far out nothing overflows into NaN, in values, slopes and second slopes. */
static void functions_stay_finite(void **unused)
{
    (void)unused;
    struct nn_bench b = nn_bench_open();
    kiln_graph *g = b.g;
    kiln_node x = nn_bench_given(&b, "x", KILN_F32, 6, (double[]){-1e4, -800, -100, 100, 800, 1e4});
    kiln_node ys[] = {kiln_elu(g, x, 1),     kiln_softplus(g, x),
                      kiln_silu(g, x),       kiln_bce_with_logits(g, x, kiln_scalar(g, 0.5)),
                      kiln_softmax(g, x, 0), kiln_log_softmax(g, x, 0),
                      kiln_gelu_tanh(g, x),  kiln_leaky_relu(g, x, 0.1)};
    for (size_t i = 0; i < sizeof ys / sizeof *ys; i++) {
        kiln_node d_x, dd_x;
        kiln_grad(g, kiln_square(g, ys[i]), 1, &x, &d_x);
        kiln_grad(g, d_x, 1, &x, &dd_x);
        kiln_node nodes[] = {ys[i], d_x, dd_x};
        assert_int_equal(kiln_oracle_evaluate(b.oracle, 3, nodes, NULL), KILN_OK);
        for (int order = 0; order < 3; order++)
            for (int e = 0; e < 6; e++)
                if (!isfinite(kiln_oracle_value(b.oracle, nodes[order])[e]))
                    fail_msg("function %zu, order %d, element %d", i, order, e);
    }
    nn_bench_close(&b);
}

static void spatial_functions_are_torchs(void **unused)
{
    (void)unused;
    struct nn_bench b = nn_bench_open();
    kiln_graph *g = b.g;
    kiln_node x = nn_bench_input(&b, "x", X, KILN_SHAPE(2, 4, 7, 6));
    kiln_node small = nn_bench_input(&b, "small", X, KILN_SHAPE(1, 2, 3, 4));
    struct kiln_window window = {{3, 3}, {2, 2}, {1, 1, 1, 1}};
    nn_bench_assert_node(&b, "max_pool", kiln_max_pool(g, x, window));
    nn_bench_assert_node(&b, "avg_pool", kiln_avg_pool(g, x, 2));
    nn_bench_assert_node(&b, "avg_pool_same", kiln_avg_pool_same(g, x, 5));
    nn_bench_assert_node(&b, "upsample_nearest", kiln_upsample_nearest(g, small, 2));
    nn_bench_assert_node(&b, "resize_bilinear", kiln_resize_bilinear(g, small, 5, 7, false));
    nn_bench_assert_node(&b, "resize_bilinear_aligned", kiln_resize_bilinear(g, small, 5, 7, true));
    kiln_node corner = kiln_narrow(g, kiln_narrow(g, x, 0, 0, 1), 1, 0, 2);
    nn_bench_assert_node(&b, "resize_bilinear_down", kiln_resize_bilinear(g, corner, 3, 4, false));
    kiln_node twice = kiln_concat(g, 2, (kiln_node[]){small, small}, 0);
    kiln_node flag = nn_bench_given(&b, "flag", KILN_F32, 2, (double[]){0, 1});
    nn_bench_assert_node(&b, "flip_where", kiln_flip_where(g, twice, flag));
    nn_bench_close(&b);
}

static void dropout_scales_what_it_keeps(void **unused)
{
    (void)unused;
    enum { N = 4000 };
    struct nn_bench b = nn_bench_open();
    static double ones[N];
    for (int i = 0; i < N; i++)
        ones[i] = 1;
    kiln_node x = nn_bench_given(&b, "x", KILN_F32, N, ones);
    nn_bench_given(&b, "rng", KILN_I32, 4, (double[]){1, 2, 3, 0});
    kiln_node y = kiln_dropout(b.g, x, 0.25, 5);
    assert_int_equal(kiln_oracle_evaluate(b.oracle, 1, &y, NULL), KILN_OK);
    int dropped = 0;
    for (int i = 0; i < N; i++) {
        double v = kiln_oracle_value(b.oracle, y)[i];
        assert_true(v == 0 || fabs(v - 1 / 0.75) < 1e-6);
        dropped += v == 0;
    }
    assert_in_range(dropped, 900, 1100); /* 1000 +- 27 */
    assert_int_equal(kiln_dropout(b.g, x, 0, 5), x);
    nn_bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions_are_torchs),
        cmocka_unit_test(slopes_at_kinks_are_torchs),
        cmocka_unit_test(functions_stay_finite),
        cmocka_unit_test(spatial_functions_are_torchs),
        cmocka_unit_test(dropout_scales_what_it_keeps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
