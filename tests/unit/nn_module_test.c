/* Modules of core/api/nn.h against PyTorch's values (tests/golden/nn.py). */
#include "tests/unit/nn_bench.h"

#include <math.h>
#include <string.h>

static void modules_are_torchs(void **unused)
{
    (void)unused;
    struct nn_bench b = nn_bench_open();
    kiln_graph *g = b.g;
    kiln_node x = nn_bench_input(&b, "x", X, KILN_SHAPE(2, 4, 5, 6));
    kiln_node rows = nn_bench_input(&b, "rows", X, KILN_SHAPE(2, 3, 4));
    kiln_node index = nn_bench_given(&b, "index", KILN_I32, 3, (double[]){2, 0, 3});
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
    nn_bench_set_states(&b);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        nn_bench_assert_node(&b, cases[i].name, cases[i].y);
    nn_bench_close(&b);
}

static void batch_norm_keeps_running_values(void **unused)
{
    (void)unused;
    struct nn_bench b = nn_bench_open();
    kiln_graph *g = b.g;
    kiln_node x = nn_bench_input(&b, "x", X, KILN_SHAPE(2, 4, 5, 6));
    kiln_graph_output(g, "first", kiln_batch_norm(g, "bn", x, 1e-5, 0.1, true));
    nn_bench_set_states(&b);
    assert_int_equal(kiln_oracle_run(b.oracle, NULL), KILN_OK);
    nn_bench_assert_values("batch_norm_running_mean", 4,
                           kiln_oracle_state(b.oracle, "bn.running_mean", 0));
    nn_bench_assert_values("batch_norm_running_var", 4,
                           kiln_oracle_state(b.oracle, "bn.running_var", 0));
    /* a second use in the same graph continues from the first */
    kiln_node other = kiln_add_scalar(g, kiln_mul_scalar(g, x, 2), 1);
    kiln_node second = kiln_batch_norm(g, "bn", other, 1e-5, 0.1, true);
    kiln_graph_output(g, "second", second);
    nn_bench_set_states(&b);
    assert_int_equal(kiln_oracle_run(b.oracle, NULL), KILN_OK);
    kiln_node first;
    kiln_graph_output_at(g, 0, &first);
    nn_bench_assert_values("batch_norm", 240, kiln_oracle_value(b.oracle, first));
    nn_bench_assert_values("batch_norm_second", 240, kiln_oracle_value(b.oracle, second));
    nn_bench_assert_values("batch_norm_second_running_mean", 4,
                           kiln_oracle_state(b.oracle, "bn.running_mean", 0));
    nn_bench_assert_values("batch_norm_second_running_var", 4,
                           kiln_oracle_state(b.oracle, "bn.running_var", 0));
    nn_bench_assert_values("batch_norm_second_num_batches_tracked", 1,
                           kiln_oracle_state(b.oracle, "bn.num_batches_tracked", 0));
    nn_bench_close(&b);
}

/* PyTorch's bounds: fan-in of a transposed convolution is that of its output. */
static void parameters_start_as_torchs(void **unused)
{
    (void)unused;
    struct nn_bench b = nn_bench_open();
    kiln_node x = nn_bench_input(&b, "x", X, KILN_SHAPE(2, 4, 5, 6));
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
    nn_bench_close(&b);
}

static void assert_refused(struct nn_bench *b, const char *message)
{
    struct kiln_error error = {""};
    assert_int_equal(kiln_graph_error(b->g, &error), KILN_INPUT);
    assert_string_equal(error.text, message);
    nn_bench_close(b);
    *b = nn_bench_open();
}

static void bad_arguments_are_refused(void **unused)
{
    (void)unused;
    struct nn_bench b = nn_bench_open();
    kiln_group_norm(b.g, "norm", nn_bench_input(&b, "x", X, KILN_SHAPE(1, 6, 2, 2)), 4, 1e-5);
    assert_refused(&b, "group norm: 6 channels in 4 groups (in norm)");
    kiln_softmax(b.g, nn_bench_input(&b, "x", X, KILN_SHAPE(3)), 1);
    assert_refused(&b, "softmax: no axis 1");
    kiln_batch_norm(b.g, "bn", nn_bench_input(&b, "x", X, KILN_SHAPE(1, 3)), 1e-5, 0.1, true);
    assert_refused(&b, "batch norm: needs more than one value a channel to train (in bn)");
    kiln_conv2d(b.g, "c", nn_bench_input(&b, "x", X, KILN_SHAPE(2, 3)), 4, 3,
                kiln_conv_params(1, 1, 1), true);
    assert_refused(&b,
                   "convolution of [2, 3]: needs [n, c, h, w], a kernel >= 1 (3) and groups (1) "
                   "that divide c (in c)");
    kiln_dropout(b.g, nn_bench_input(&b, "x", X, KILN_SHAPE(2)), 1, 0);
    assert_refused(&b, "dropout: the probability 1 is not in [0, 1)");
    kiln_upsample_nearest(b.g, nn_bench_input(&b, "x", X, KILN_SHAPE(1, 1, 2, 2)), 0);
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
    nn_bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(modules_are_torchs),
        cmocka_unit_test(batch_norm_keeps_running_values),
        cmocka_unit_test(parameters_start_as_torchs),
        cmocka_unit_test(bad_arguments_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
