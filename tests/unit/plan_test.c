/* Plans of whole graphs, unfused and fused, against the oracle. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/api/nn.h"
#include "tests/lib/plan_run.h"

/* Runs the graph in every way that a plan can be made. */
static void check_all_ways(kiln_graph *g, struct plan_run base)
{
    static const enum kiln_layout layouts[] = {KILN_LAYOUT_DENSE, KILN_LAYOUT_NCHW8C,
                                               KILN_LAYOUT_NHWC};
    for (int fuse = 0; fuse < 2; fuse++)
        for (int layout = 0; layout < (fuse && base.blocked ? 3 : 1); layout++)
            for (int parallelism = 1; parallelism <= (fuse ? 64 : 1); parallelism *= 64)
                for (int reuse = 0; reuse < 2; reuse++) {
                    struct plan_run run = base;
                    run.fuse = fuse;
                    run.reuse = reuse;
                    run.parallelism = parallelism;
                    run.feature_layout = layouts[layout];
                    const char *why = plan_run(g, &run);
                    if (why)
                        fail_msg("fuse %d layout %s parallelism %d reuse %d: %s", fuse,
                                 kiln_layout_name(run.feature_layout), parallelism, reuse, why);
                }
    kiln_graph_destroy(&g);
}

static kiln_node input(kiln_graph *g, const char *name, struct kiln_shape shape)
{
    return kiln_input(g, name, KILN_F32, shape);
}

static void pointwise_and_views(void **unused)
{
    (void)unused;
    kiln_graph *g = kiln_graph_create();
    kiln_node x = input(g, "x", KILN_SHAPE(4, 6, 5)), b = input(g, "b", KILN_SHAPE(6, 1));
    kiln_node y = kiln_silu(g, kiln_add(g, x, b));
    kiln_graph_output(g, "y", y);
    kiln_node t = kiln_reshape(g, kiln_transpose(g, y, 0, 2), KILN_SHAPE(10, 12));
    kiln_graph_output(g, "t", kiln_exp(g, t));
    kiln_node s =
        kiln_slice(g, y, (int64_t[]){3, 1, 4}, KILN_SHAPE(2, 2, 5), (int64_t[]){-2, 3, -1});
    kiln_graph_output(g, "s", kiln_mul_scalar(g, s, 3));
    kiln_graph_output(g, "x again", x);
    kiln_graph_output(g, "one", kiln_full(g, KILN_SHAPE(3), 1));
    check_all_ways(g, (struct plan_run){.seed = 1});
}

static void mixed_types(void **unused)
{
    (void)unused;
    kiln_graph *g = kiln_graph_create();
    kiln_node u = kiln_input(g, "u", KILN_U8, KILN_SHAPE(7, 3)),
              i = kiln_input(g, "i", KILN_I32, KILN_SHAPE(7));
    kiln_node f = kiln_mul_scalar(g, kiln_cast(g, u, KILN_F32), 1 / 255.0);
    kiln_graph_output(g, "f", f);
    kiln_graph_output(g, "back", kiln_cast(g, kiln_mul_scalar(g, f, 254.5), KILN_U8));
    kiln_graph_output(g, "twice",
                      kiln_cast(g, kiln_cast(g, kiln_mul_scalar(g, f, 254.5), KILN_U8), KILN_F32));
    kiln_graph_output(g, "i", kiln_add(g, i, i));
    kiln_graph_output(g, "hot", kiln_one_hot(g, i, 5));
    kiln_graph_output(g, "rows", kiln_gather_rows(g, u, i));
    kiln_graph_output(g, "scatter", kiln_scatter_add_rows(g, f, i, 6));
    kiln_graph_output(g, "toward zero", kiln_cast(g, kiln_mul_scalar(g, f, -20), KILN_I32));
    check_all_ways(g, (struct plan_run){.seed = 2});
}

static void reductions_and_softmax(void **unused)
{
    (void)unused;
    kiln_graph *g = kiln_graph_create();
    kiln_node x = input(g, "x", KILN_SHAPE(6, 7, 9)), big = input(g, "big", KILN_SHAPE(64, 8, 33));
    kiln_graph_output(g, "softmax", kiln_softmax(g, x, 1));
    kiln_graph_output(g, "log softmax", kiln_log_softmax(g, x, 2));
    kiln_graph_output(g, "max", kiln_reduce_max(g, x, 5));
    kiln_graph_output(g, "mean", kiln_mean_all(g, kiln_square(g, big)));
    kiln_graph_output(g, "columns", kiln_reduce_sum(g, big, 3));
    kiln_graph_output(g, "middle", kiln_reduce_max(g, big, 2));
    kiln_graph_output(g, "per sample", kiln_sum_per_sample(g, kiln_abs(g, big)));
    kiln_node d[1], loss = kiln_mean_all(g, kiln_square(g, kiln_softmax(g, x, 2)));
    kiln_grad(g, loss, 1, &x, d);
    kiln_graph_output(g, "d_x", d[0]);
    check_all_ways(g, (struct plan_run){.seed = 3});
}

static void pad_and_concat(void **unused)
{
    (void)unused;
    kiln_graph *g = kiln_graph_create();
    kiln_node a = input(g, "a", KILN_SHAPE(2, 3, 4, 5)), b = input(g, "b", KILN_SHAPE(2, 2, 4, 5));
    kiln_node joined = kiln_concat(g, 3, (kiln_node[]){kiln_exp(g, a), b, a}, 1);
    kiln_graph_output(g, "joined", joined);
    kiln_node padded = kiln_pad(g, joined, (int64_t[]){0, 1, 2, 0}, (int64_t[]){0, 0, 1, 3}, -2);
    kiln_graph_output(g, "padded", kiln_mul_scalar(g, padded, 2));
    kiln_node d[2];
    kiln_grad(g, kiln_sum_all(g, kiln_square(g, padded)), 2, (kiln_node[]){a, b}, d);
    kiln_graph_output(g, "d_a", d[0]);
    kiln_graph_output(g, "d_b", d[1]);
    check_all_ways(g, (struct plan_run){.seed = 4});
}

static kiln_node parameter(kiln_graph *g, const char *name, struct kiln_shape shape)
{
    return kiln_parameter(g, name, shape, (struct kiln_init){KILN_INIT_NORMAL, 0, 1});
}

/* Appends the gradients of the loss and an update of all trainable states. */
static void train(kiln_graph *g, kiln_node loss, struct kiln_update update)
{
    kiln_node states[64], gradients[64];
    int n = 0;
    struct kiln_node_info info;
    kiln_node count = kiln_graph_count(g);
    for (kiln_node node = 1; node <= count; node++)
        if (kiln_graph_node(g, node, &info) && info.op == KILN_OP_STATE && info.state->trainable)
            states[n++] = node;
    kiln_grad(g, loss, n, states, gradients);
    kiln_node hyper = input(g, "hyper", KILN_SHAPE(KILN_HYPER_WORDS));
    kiln_graph_output(g, "loss", loss);
    kiln_graph_output(g, "norm", kiln_optimizer_update(g, n, states, gradients, hyper, update));
}

static void mlp_trains(void **unused)
{
    (void)unused;
    for (int kind = 0; kind < KILN_OPTIMIZER_COUNT; kind++) {
        kiln_graph *g = kiln_graph_create();
        struct kiln_update update = {(enum kiln_optimizer_kind)kind, kind % 2};
        kiln_node x = input(g, "x", KILN_SHAPE(6, 10)),
                  t = kiln_input(g, "t", KILN_I32, KILN_SHAPE(6));
        kiln_node h = kiln_relu(g, kiln_linear(g, "fc1", x, 19, true));
        h = kiln_layer_norm(g, "norm", h, 1e-5);
        h = kiln_log_softmax(g, kiln_linear(g, "fc2", h, 5, true), 1);
        kiln_node loss = kiln_neg(g, kiln_mean_all(g, kiln_mul(g, h, kiln_one_hot(g, t, 5))));
        parameter(g, "unused", KILN_SHAPE(3));
        train(g, loss, update);
        check_all_ways(g, (struct plan_run){.seed = 5, .update = true, .kind = update});
    }
}

static void conv_net_trains(void **unused)
{
    (void)unused;
    kiln_graph *g = kiln_graph_create();
    struct kiln_update update = {KILN_OPTIMIZER_ADAM, true};
    kiln_node x = input(g, "x", KILN_SHAPE(2, 3, 8, 8));
    kiln_node h = kiln_conv2d(g, "in", x, 16, 3, kiln_conv_params(1, 1, 1), true);
    kiln_node skip = h;
    h = kiln_silu(g, kiln_group_norm(g, "norm", h, 4, 1e-5));
    h = kiln_conv2d(g, "mid", h, 16, 3, kiln_conv_params(1, 1, 1), true);
    h = kiln_add(g, h, skip);
    h = kiln_concat(g, 2, (kiln_node[]){h, skip}, 1);
    h = kiln_relu(g, kiln_batch_norm(g, "bn", h, 1e-5, 0.1, true));
    h = kiln_conv2d(g, "down", h, 8, 3, kiln_conv_params(2, 1, 1), true);
    h = kiln_max_pool(g, h, (struct kiln_window){{2, 2}, {2, 2}, {0}});
    h = kiln_upsample_nearest(g, h, 2);
    h = kiln_conv_transpose2d(g, "up", h, 16, 4, 2, 1, 0, true);
    h = kiln_conv2d(g, "out", kiln_silu(g, h), 3, 1, kiln_conv_params(1, 0, 1), true);
    train(g, kiln_mean_all(g, kiln_square(g, kiln_sub(g, h, x))), update);
    check_all_ways(
        g, (struct plan_run){
               .seed = 6, .update = true, .kind = update, .blocked = true, .tolerance = 1e-4});
}

static void attention_and_matmul(void **unused)
{
    (void)unused;
    kiln_graph *g = kiln_graph_create();
    kiln_node x = input(g, "x", KILN_SHAPE(2, 16, 3, 3));
    kiln_node qkv = kiln_conv2d(g, "qkv", x, 48, 1, kiln_conv_params(1, 0, 1), false);
    qkv = kiln_reshape(g, qkv, KILN_SHAPE(2, 48, 9));
    kiln_node part[3];
    for (int i = 0; i < 3; i++)
        part[i] = kiln_transpose(g, kiln_narrow(g, qkv, 1, 16 * i, 16), 1, 2);
    kiln_node y = kiln_scaled_attention(g, part[0], part[1], part[2], 0.25f);
    kiln_node out = kiln_reshape(g, kiln_transpose(g, y, 1, 2), KILN_SHAPE(2, 16, 3, 3));
    kiln_graph_output(g, "out", kiln_add(g, out, x));
    kiln_graph_output(g, "scores", kiln_matmul(g, part[0], part[1], false, true));
    struct kiln_update update = {KILN_OPTIMIZER_SGD, false};
    train(g, kiln_sum_all(g, kiln_square(g, out)), update);
    check_all_ways(
        g, (struct plan_run){
               .seed = 7, .update = true, .kind = update, .blocked = true, .tolerance = 1e-4});
}

/* The gradients of slices are written side by side, not padded and added. */
static void gradients_of_slices_are_joined(void **unused)
{
    (void)unused;
    kiln_graph *g = kiln_graph_create();
    kiln_node x = input(g, "x", KILN_SHAPE(5, 12)), sum = kiln_scalar(g, 0), d;
    for (int i = 0; i < 3; i++) {
        kiln_node part = kiln_narrow(g, x, 1, 4 * i, i == 2 ? 3 : 4);
        sum = kiln_add(g, sum, kiln_sum_all(g, i ? kiln_sin(g, part) : kiln_exp(g, part)));
    }
    kiln_grad(g, sum, 1, &x, &d);
    kiln_graph_output(g, "d", d);
    struct plan_run run = {.fuse = true, .keep_plan = true, .seed = 10};
    assert_null(plan_run(g, &run));
    assert_true(run.plan->steps.n <= 4); /* three parts and the column that no slice has */
    assert_int_equal(run.plan->steps.region_bytes[KILN_REGION_WORKSPACE], 0);
    kiln_plan_destroy(&run.plan);
    check_all_ways(g, (struct plan_run){.seed = 10});
}

/* A norm is one loop, forward, whatever reads its statistics later. */
static void a_norm_is_one_loop(void **unused)
{
    (void)unused;
    kiln_graph *g = kiln_graph_create();
    kiln_node x = input(g, "x", KILN_SHAPE(2, 16, 3, 5));
    kiln_node y = kiln_silu(g, kiln_group_norm(g, "norm", kiln_add(g, x, x), 4, 1e-5));
    kiln_graph_output(g, "y", y);
    kiln_graph_output(g, "softmax", kiln_softmax(g, kiln_reshape(g, x, KILN_SHAPE(32, 15)), 1));
    struct plan_run run = {.fuse = true, .keep_plan = true, .seed = 11};
    assert_null(plan_run(g, &run));
    assert_int_equal(run.plan->steps.n, 2);
    assert_int_equal(run.plan->steps.region_bytes[KILN_REGION_WORKSPACE], 0);
    kiln_plan_destroy(&run.plan);
    kiln_graph_destroy(&g);
}

static int count_instructions(const struct kiln_plan *plan, int op)
{
    int count = 0;
    for (int i = 0; i < plan->steps.n; i++) {
        const struct kiln_step *step = &plan->steps.steps[i];
        for (int k = 0; step->kind == KILN_STEP_LOOP && k < step->as.loop.n_instructions; k++)
            count += step->as.loop.instructions[k].op == op;
    }
    return count;
}

/* The first pass of three keeps exp(sin(x)) where the last puts the result. */
static void dear_values_are_computed_once(void **unused)
{
    (void)unused;
    kiln_graph *g = kiln_graph_create();
    kiln_node x = input(g, "x", KILN_SHAPE(64, 300));
    kiln_node y = kiln_exp(g, kiln_sin(g, x));
    kiln_graph_output(g, "y", kiln_layer_norm(g, "norm", y, 1e-5));
    struct plan_run run = {.fuse = true, .keep_plan = true, .seed = 13};
    assert_null(plan_run(g, &run));
    assert_int_equal(run.plan->steps.n, 1);
    assert_int_equal(count_instructions(run.plan, KILN_OP_EXP), 1);
    assert_int_equal(run.plan->steps.region_bytes[KILN_REGION_WORKSPACE], 0);
    kiln_plan_destroy(&run.plan);
    check_all_ways(g, (struct plan_run){.seed = 13});
}

static int last_section(const struct kiln_plan *plan)
{
    int last = 0;
    for (int i = 0; i < plan->steps.n; i++) {
        const struct kiln_loop *loop = &plan->steps.steps[i].as.loop;
        if (plan->steps.steps[i].kind != KILN_STEP_LOOP)
            continue;
        int section = loop->instructions[loop->n_instructions - 1].section;
        last = section > last ? section : last;
    }
    return last;
}

/* Mean, variance, the result; both sums of the gradient at once, the gradient. */
static void sums_of_a_gradient_share_a_pass(void **unused)
{
    (void)unused;
    kiln_graph *g = kiln_graph_create();
    struct kiln_shape shape = KILN_SHAPE(64, 300);
    kiln_node x = input(g, "x", shape), d_x;
    kiln_node y = kiln_layer_norm(g, "norm", x, 1e-5);
    kiln_grad(g, kiln_sum_all(g, kiln_mul(g, y, input(g, "d", shape))), 1, &x, &d_x);
    kiln_graph_output(g, "d_x", d_x);
    struct plan_run run = {.fuse = true, .keep_plan = true, .seed = 15};
    assert_null(plan_run(g, &run));
    assert_int_equal(last_section(run.plan), 5);
    kiln_plan_destroy(&run.plan);
    check_all_ways(g, (struct plan_run){.seed = 15});
}

static void states_hold_no_intermediate_values(void **unused)
{
    (void)unused;
    kiln_graph *g = kiln_graph_create();
    struct kiln_state a = {.name = "a", .shape = KILN_SHAPE(64, 300)};
    kiln_node y = kiln_exp(g, kiln_sin(g, input(g, "x", KILN_SHAPE(64, 300))));
    kiln_node mean = kiln_mean(g, y, 2);
    kiln_node centred = kiln_sub(g, y, mean);
    kiln_node state = kiln_state(g, &a);
    kiln_graph_output(g, "variance", kiln_mean(g, kiln_square(g, centred), 2));
    kiln_assign(g, state, centred);
    struct plan_run run = {.fuse = true, .keep_plan = true, .seed = 14};
    assert_null(plan_run(g, &run));
    assert_true(count_instructions(run.plan, KILN_OP_EXP) >= 2);
    kiln_plan_destroy(&run.plan);
    check_all_ways(g, (struct plan_run){.seed = 14});
}

/* Groups of 12 channels in blocks of 8: no loop can step through both. */
static void groups_may_cut_through_blocks(void **unused)
{
    (void)unused;
    kiln_graph *g = kiln_graph_create();
    struct kiln_update update = {KILN_OPTIMIZER_ADAM, false};
    kiln_node x = input(g, "x", KILN_SHAPE(2, 24, 4, 3));
    kiln_node h = kiln_conv2d(g, "a", x, 24, 3, kiln_conv_params(1, 1, 1), true);
    h = kiln_silu(g, kiln_group_norm(g, "norm", h, 2, 1e-5));
    h = kiln_conv2d(g, "b", h, 24, 3, kiln_conv_params(1, 1, 1), true);
    train(g, kiln_mean_all(g, kiln_square(g, h)), update);
    struct plan_run run = {.fuse = true,
                           .blocked = true,
                           .feature_layout = KILN_LAYOUT_NCHW8C,
                           .update = true,
                           .kind = update,
                           .keep_plan = true,
                           .seed = 12,
                           .tolerance = 1e-4};
    assert_null(plan_run(g, &run));
    /* x and the weight that the input gradient wants otherwise */
    assert_int_equal(run.plan->n_reorders, 2);
    kiln_plan_destroy(&run.plan);
    check_all_ways(
        g, (struct plan_run){
               .seed = 12, .update = true, .kind = update, .blocked = true, .tolerance = 1e-4});
}

static void random_numbers_and_assignments(void **unused)
{
    (void)unused;
    kiln_graph *g = kiln_graph_create();
    struct kiln_state a = {.name = "a", .shape = KILN_SHAPE(4, 3)},
                      b = {.name = "b", .shape = KILN_SHAPE(4, 3)};
    kiln_node sa = kiln_state(g, &a), sb = kiln_state(g, &b);
    kiln_node noise = kiln_random(g, KILN_SHAPE(4, 3), (struct kiln_rng){KILN_RNG_NORMAL, 3, 0});
    kiln_graph_output(g, "integers",
                      kiln_random(g, KILN_SHAPE(9), (struct kiln_rng){KILN_RNG_INTEGER, 1, 10}));
    kiln_assign(g, sa, sb);
    kiln_assign(g, sb, kiln_add(g, kiln_mul_scalar(g, sa, 0.5), noise));
    kiln_graph_output(g, "old", kiln_add(g, sa, sb));
    check_all_ways(g, (struct plan_run){.seed = 8});
}

static void averages_are_read_when_asked(void **unused)
{
    (void)unused;
    kiln_graph *g = kiln_graph_create();
    kiln_graph_output(g, "y", kiln_linear(g, "fc", input(g, "x", KILN_SHAPE(3, 5)), 4, true));
    check_all_ways(
        g, (struct plan_run){
               .seed = 9, .update = true, .kind = {KILN_OPTIMIZER_ADAM, true}, .use_ema = true});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pointwise_and_views),
        cmocka_unit_test(mixed_types),
        cmocka_unit_test(reductions_and_softmax),
        cmocka_unit_test(pad_and_concat),
        cmocka_unit_test(mlp_trains),
        cmocka_unit_test(conv_net_trains),
        cmocka_unit_test(attention_and_matmul),
        cmocka_unit_test(gradients_of_slices_are_joined),
        cmocka_unit_test(a_norm_is_one_loop),
        cmocka_unit_test(dear_values_are_computed_once),
        cmocka_unit_test(sums_of_a_gradient_share_a_pass),
        cmocka_unit_test(states_hold_no_intermediate_values),
        cmocka_unit_test(groups_may_cut_through_blocks),
        cmocka_unit_test(random_numbers_and_assignments),
        cmocka_unit_test(averages_are_read_when_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
