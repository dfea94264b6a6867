/* Building blocks against PyTorch's values (tests/golden/nn.py), in double. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/api/nn.h"
#include "tests/golden/nn_golden.h"
#include "tests/lib/oracle.h"

/* The graph's constants (epsilon, slopes, 1/n) are f32, PyTorch's double. */
#define TOLERANCE 3e-7

enum salt { X, WEIGHT, BIAS, MEAN, VAR, TARGET };

/* As value() of nn.py. */
static double value(enum salt salt, int64_t i)
{
    return (double)(float)(1.2 * sin(12.9898 * (double)i + 78.233 * salt + 0.5));
}

static double positive(enum salt salt, int64_t i)
{
    return (double)(float)(0.5 + fabs(value(salt, i)));
}

/* --- a graph with its oracle ------------------------------------------------------------ */

struct bench {
    kiln_graph *g;
    kiln_oracle *oracle;
};

static struct bench bench_open(void)
{
    struct bench b = {.g = kiln_graph_create()};
    b.oracle = kiln_oracle_create(b.g, false);
    assert_non_null(b.oracle);
    return b;
}

static void bench_close(struct bench *b)
{
    kiln_oracle_destroy(&b->oracle);
    kiln_graph_destroy(&b->g);
}

static kiln_node input(struct bench *b, const char *name, enum salt salt, struct kiln_shape shape)
{
    int64_t n = kiln_shape_count(&shape);
    double *values = malloc((size_t)n * sizeof *values);
    for (int64_t i = 0; i < n; i++)
        values[i] = salt == TARGET ? positive(salt, i) / 2 : value(salt, i);
    assert_int_equal(kiln_oracle_set(b->oracle, name, values, n, NULL), KILN_OK);
    free(values);
    return kiln_input(b->g, name, KILN_F32, shape);
}

static kiln_node given(struct bench *b, const char *name, enum kiln_dtype dtype, int64_t n,
                       const double *values)
{
    assert_int_equal(kiln_oracle_set(b->oracle, name, values, n, NULL), KILN_OK);
    return kiln_input(b->g, name, dtype, KILN_SHAPE(n));
}

static enum salt salt_of_state(const char *name)
{
    static const char *const parts[] = {"", ".weight", ".bias", ".running_mean", ".running_var"};
    for (enum salt salt = WEIGHT; salt <= VAR; salt++)
        if (strstr(name, parts[salt]))
            return salt;
    fail_msg("unknown state %s", name);
    return X;
}

static void set_states(struct bench *b)
{
    struct kiln_node_info node;
    for (kiln_node id = 1; kiln_graph_node(b->g, id, &node); id++) {
        if (node.op != KILN_OP_STATE)
            continue;
        int64_t n = kiln_shape_count(&node.shape);
        double *values = malloc((size_t)n * sizeof *values);
        for (int64_t i = 0; i < n; i++) {
            enum salt salt = node.dtype == KILN_I32 ? X : salt_of_state(node.name);
            values[i] = node.dtype == KILN_I32 ? 7
                        : salt == VAR          ? positive(salt, i)
                                               : value(salt, i);
        }
        kiln_oracle_set_state(b->oracle, node.name, KILN_ORACLE_VALUE, values, n, NULL);
        free(values);
    }
}

static void assert_golden(const char *name, int64_t n, const double *values)
{
    for (size_t i = 0; i < sizeof goldens / sizeof *goldens; i++) {
        if (strcmp(goldens[i].name, name))
            continue;
        if (goldens[i].n != n)
            fail_msg("%s: %lld values, not %d", name, (long long)n, goldens[i].n);
        for (int64_t e = 0; e < n; e++)
            if (!(fabs(values[e] - goldens[i].values[e]) <=
                  TOLERANCE * (1 + fabs(goldens[i].values[e]))))
                fail_msg("%s[%lld]: %.9g, not %.9g", name, (long long)e, values[e],
                         goldens[i].values[e]);
        return;
    }
    fail_msg("no golden values of %s", name);
}

static void assert_node(struct bench *b, const char *name, kiln_node node)
{
    struct kiln_error error = {""};
    if (kiln_oracle_evaluate(b->oracle, 1, &node, &error))
        fail_msg("%s: %s", name, error.text);
    struct kiln_shape shape = kiln_shape(b->g, node);
    assert_golden(name, kiln_shape_count(&shape), kiln_oracle_value(b->oracle, node));
}

/* --- tests --------------------------------------------------------------------------------- */

static void functions_are_torchs(void **unused)
{
    (void)unused;
    struct bench b = bench_open();
    kiln_graph *g = b.g;
    kiln_node x = input(&b, "x", X, KILN_SHAPE(3, 5));
    assert_node(&b, "silu", kiln_silu(g, x));
    assert_node(&b, "gelu", kiln_gelu(g, x));
    assert_node(&b, "gelu_tanh", kiln_gelu_tanh(g, x));
    assert_node(&b, "quick_gelu", kiln_quick_gelu(g, x));
    assert_node(&b, "relu", kiln_relu(g, x));
    assert_node(&b, "leaky_relu", kiln_leaky_relu(g, x, 0.2));
    assert_node(&b, "elu", kiln_elu(g, x, 0.7));
    assert_node(&b, "softplus", kiln_softplus(g, x));
    assert_node(&b, "clamp", kiln_clamp(g, x, -0.5, 0.7));
    assert_node(&b, "softmax", kiln_softmax(g, x, 0));
    assert_node(&b, "log_softmax", kiln_log_softmax(g, x, 1));
    assert_node(&b, "mean", kiln_mean(g, x, 2));
    kiln_node target = input(&b, "target", TARGET, KILN_SHAPE(3, 5));
    assert_node(&b, "bce_with_logits", kiln_bce_with_logits(g, x, target));
    kiln_node q = input(&b, "q", X, KILN_SHAPE(2, 3, 4));
    kiln_node k = input(&b, "k", WEIGHT, KILN_SHAPE(2, 5, 4));
    kiln_node v = input(&b, "v", BIAS, KILN_SHAPE(2, 5, 3));
    assert_node(&b, "scaled_attention", kiln_scaled_attention(g, q, k, v, 0.5f));
    kiln_node label = given(&b, "label", KILN_I32, 3, (double[]){2, 0, 3});
    assert_node(&b, "one_hot", kiln_one_hot(g, label, 4));
    kiln_node t = given(&b, "t", KILN_F32, 3, (double[]){0, 3, 250.5});
    assert_node(&b, "timestep_embedding_plain", kiln_timestep_embedding(g, t, 7, false, 0, 10000));
    assert_node(&b, "timestep_embedding_flip", kiln_timestep_embedding(g, t, 7, true, 1, 10000));
    bench_close(&b);
}

static void slopes_at_kinks_are_torchs(void **unused)
{
    (void)unused;
    struct bench b = bench_open();
    kiln_graph *g = b.g;
    kiln_node x = given(&b, "x", KILN_F32, 3, (double[]){0, (double)0.7f, -0.5});
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
        assert_node(&b, cases[i].name, d_x);
    }
    bench_close(&b);
}

/* Far out nothing overflows into NaN, in values, slopes and second slopes. */
static void functions_stay_finite(void **unused)
{
    (void)unused;
    struct bench b = bench_open();
    kiln_graph *g = b.g;
    kiln_node x = given(&b, "x", KILN_F32, 6, (double[]){-1e4, -800, -100, 100, 800, 1e4});
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
    bench_close(&b);
}

static void spatial_functions_are_torchs(void **unused)
{
    (void)unused;
    struct bench b = bench_open();
    kiln_graph *g = b.g;
    kiln_node x = input(&b, "x", X, KILN_SHAPE(2, 4, 7, 6));
    kiln_node small = input(&b, "small", X, KILN_SHAPE(1, 2, 3, 4));
    struct kiln_window window = {{3, 3}, {2, 2}, {1, 1, 1, 1}};
    assert_node(&b, "max_pool", kiln_max_pool(g, x, window));
    assert_node(&b, "avg_pool", kiln_avg_pool(g, x, 2));
    assert_node(&b, "avg_pool_same", kiln_avg_pool_same(g, x, 5));
    assert_node(&b, "upsample_nearest", kiln_upsample_nearest(g, small, 2));
    assert_node(&b, "resize_bilinear", kiln_resize_bilinear(g, small, 5, 7, false));
    assert_node(&b, "resize_bilinear_aligned", kiln_resize_bilinear(g, small, 5, 7, true));
    kiln_node corner = kiln_narrow(g, kiln_narrow(g, x, 0, 0, 1), 1, 0, 2);
    assert_node(&b, "resize_bilinear_down", kiln_resize_bilinear(g, corner, 3, 4, false));
    kiln_node twice = kiln_concat(g, 2, (kiln_node[]){small, small}, 0);
    kiln_node flag = given(&b, "flag", KILN_F32, 2, (double[]){0, 1});
    assert_node(&b, "flip_where", kiln_flip_where(g, twice, flag));
    bench_close(&b);
}

static void modules_are_torchs(void **unused)
{
    (void)unused;
    struct bench b = bench_open();
    kiln_graph *g = b.g;
    kiln_node x = input(&b, "x", X, KILN_SHAPE(2, 4, 5, 6));
    kiln_node rows = input(&b, "rows", X, KILN_SHAPE(2, 3, 4));
    kiln_node index = given(&b, "index", KILN_I32, 3, (double[]){2, 0, 3});
    struct kiln_conv conv = kiln_conv_params(2, 2, 2);
    conv.groups = 2;
    const struct {
        const char *name;
        kiln_node y;
    } cases[] = {
        {"linear", kiln_linear(g, "linear", rows, 5, true)},
        {"conv2d", kiln_conv2d(g, "conv", x, 6, 3, conv, true)},
        {"conv_transpose2d", kiln_conv_transpose2d(g, "up", x, 3, 3, 2, 1, 1, true)},
        {"group_norm", kiln_group_norm(g, "group", x, 2, 1e-5)},
        {"layer_norm", kiln_layer_norm(g, "layer", x, 1e-5)},
        {"instance_norm", kiln_instance_norm(g, x, 1e-5)},
        {"embedding", kiln_embedding(g, "table", index, 4, 3)},
        {"batch_norm_eval", kiln_batch_norm(g, "batch", x, 1e-5, 0.1, false)},
    };
    set_states(&b);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_node(&b, cases[i].name, cases[i].y);
    bench_close(&b);
}

static void batch_norm_keeps_running_values(void **unused)
{
    (void)unused;
    struct bench b = bench_open();
    kiln_graph *g = b.g;
    kiln_node x = input(&b, "x", X, KILN_SHAPE(2, 4, 5, 6));
    kiln_graph_output(g, "first", kiln_batch_norm(g, "bn", x, 1e-5, 0.1, true));
    set_states(&b);
    assert_int_equal(kiln_oracle_run(b.oracle, NULL), KILN_OK);
    assert_golden("batch_norm_running_mean", 4, kiln_oracle_state(b.oracle, "bn.running_mean", 0));
    assert_golden("batch_norm_running_var", 4, kiln_oracle_state(b.oracle, "bn.running_var", 0));
    /* a second use in the same graph continues from the first */
    kiln_node other = kiln_add_scalar(g, kiln_mul_scalar(g, x, 2), 1);
    kiln_node second = kiln_batch_norm(g, "bn", other, 1e-5, 0.1, true);
    kiln_graph_output(g, "second", second);
    set_states(&b);
    assert_int_equal(kiln_oracle_run(b.oracle, NULL), KILN_OK);
    kiln_node first;
    kiln_graph_output_at(g, 0, &first);
    assert_golden("batch_norm", 240, kiln_oracle_value(b.oracle, first));
    assert_golden("batch_norm_second", 240, kiln_oracle_value(b.oracle, second));
    assert_golden("batch_norm_second_running_mean", 4,
                  kiln_oracle_state(b.oracle, "bn.running_mean", 0));
    assert_golden("batch_norm_second_running_var", 4,
                  kiln_oracle_state(b.oracle, "bn.running_var", 0));
    assert_golden("batch_norm_second_num_batches_tracked", 1,
                  kiln_oracle_state(b.oracle, "bn.num_batches_tracked", 0));
    bench_close(&b);
}

static void dropout_scales_what_it_keeps(void **unused)
{
    (void)unused;
    enum { N = 4000 };
    struct bench b = bench_open();
    static double ones[N];
    for (int i = 0; i < N; i++)
        ones[i] = 1;
    kiln_node x = given(&b, "x", KILN_F32, N, ones);
    given(&b, "rng", KILN_I32, 4, (double[]){1, 2, 3, 0});
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
    bench_close(&b);
}

/* PyTorch's bounds: fan-in of a transposed convolution is that of its output. */
static void parameters_start_as_torchs(void **unused)
{
    (void)unused;
    struct bench b = bench_open();
    kiln_node x = input(&b, "x", X, KILN_SHAPE(2, 4, 5, 6));
    kiln_conv2d(b.g, "conv", x, 6, 3, kiln_conv_params(1, 1, 1), true);
    kiln_conv_transpose2d(b.g, "up", x, 3, 3, 2, 1, 1, true);
    kiln_linear(b.g, "fc", x, 2, true);
    kiln_group_norm(b.g, "norm", x, 2, 1e-5);
    const struct {
        const char *name;
        double fan_in;
    } expected[] = {{"conv.weight", 36}, {"conv.bias", 36}, {"up.weight", 27},  {"up.bias", 27},
                    {"fc.weight", 6},    {"fc.bias", 6},    {"norm.weight", 0}, {"norm.bias", 0}};
    struct kiln_node_info node;
    size_t found = 0;
    for (kiln_node id = 1; kiln_graph_node(b.g, id, &node); id++) {
        if (node.op != KILN_OP_STATE)
            continue;
        assert_string_equal(node.name, expected[found].name);
        assert_true(node.state->trainable);
        if (expected[found].fan_in > 0) {
            assert_int_equal(node.state->init.kind, KILN_INIT_UNIFORM);
            assert_true(node.state->init.b == (float)(1 / sqrt(expected[found].fan_in)));
            assert_true(node.state->init.a == -node.state->init.b);
        } else {
            assert_int_equal(node.state->init.kind, KILN_INIT_CONSTANT);
            assert_true(node.state->init.a == (float)!strcmp(node.name, "norm.weight"));
        }
        found++;
    }
    assert_int_equal(found, sizeof expected / sizeof *expected);
    bench_close(&b);
}

static void assert_refused(struct bench *b, const char *message)
{
    struct kiln_error error = {""};
    assert_int_equal(kiln_graph_error(b->g, &error), KILN_INPUT);
    assert_string_equal(error.text, message);
    bench_close(b);
    *b = bench_open();
}

static void bad_arguments_are_refused(void **unused)
{
    (void)unused;
    struct bench b = bench_open();
    kiln_group_norm(b.g, "norm", input(&b, "x", X, KILN_SHAPE(1, 6, 2, 2)), 4, 1e-5);
    assert_refused(&b, "group norm: 6 channels in 4 groups (in norm)");
    kiln_softmax(b.g, input(&b, "x", X, KILN_SHAPE(3)), 1);
    assert_refused(&b, "softmax: no axis 1");
    kiln_batch_norm(b.g, "bn", input(&b, "x", X, KILN_SHAPE(1, 3)), 1e-5, 0.1, true);
    assert_refused(&b, "batch norm: needs more than one value a channel to train (in bn)");
    kiln_conv2d(b.g, "c", input(&b, "x", X, KILN_SHAPE(2, 3)), 4, 3, kiln_conv_params(1, 1, 1),
                true);
    assert_refused(&b,
                   "convolution of [2, 3]: needs [n, c, h, w], a kernel >= 1 (3) and groups (1) "
                   "that divide c (in c)");
    kiln_dropout(b.g, input(&b, "x", X, KILN_SHAPE(2)), 1, 0);
    assert_refused(&b, "dropout: the probability 1 is not in [0, 1)");
    kiln_upsample_nearest(b.g, input(&b, "x", X, KILN_SHAPE(1, 1, 2, 2)), 0);
    assert_refused(&b, "upsample: the factor 0 is not in 1 .. 32768");
    /* after an error every builder is silent */
    kiln_graph_fail(b.g, "first");
    kiln_node nothing = kiln_linear(b.g, "fc", 0, 3, true);
    nothing = kiln_batch_norm(b.g, "bn", nothing, 1e-5, 0.1, true);
    nothing =
        kiln_flip_where(b.g, kiln_max_pool(b.g, nothing, (struct kiln_window){{0}, {0}, {0}}), 0);
    nothing = kiln_sum_per_sample(b.g, kiln_flatten(b.g, kiln_one_hot(b.g, nothing, 3)));
    nothing = kiln_timestep_embedding(b.g, kiln_transpose(b.g, nothing, 0, 1), 3, true, 0, 1);
    assert_int_equal(nothing, 0);
    assert_int_equal(kiln_graph_count(b.g), 0);
    assert_refused(&b, "first");
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions_are_torchs),
        cmocka_unit_test(slopes_at_kinks_are_torchs),
        cmocka_unit_test(functions_stay_finite),
        cmocka_unit_test(spatial_functions_are_torchs),
        cmocka_unit_test(modules_are_torchs),
        cmocka_unit_test(batch_norm_keeps_running_values),
        cmocka_unit_test(dropout_scales_what_it_keeps),
        cmocka_unit_test(parameters_start_as_torchs),
        cmocka_unit_test(bad_arguments_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
