/* The graph: shape and dtype rules, broadcasting, the sticky error, effects. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/api/graph.h"

static kiln_node f32(kiln_graph *g, const char *name, struct kiln_shape shape)
{
    return kiln_input(g, name, KILN_F32, shape);
}

static void assert_shape(kiln_graph *g, kiln_node node, struct kiln_shape expected)
{
    struct kiln_error error = {""};
    if (kiln_graph_error(g, &error))
        fail_msg("unexpected: %s", error.text);
    struct kiln_shape shape = kiln_shape(g, node);
    assert_true(kiln_shape_equal(&shape, &expected));
}

/* The graph must have failed with exactly this message; it is replaced by a
 * fresh one. */
static void assert_failed(kiln_graph **g, const char *message)
{
    struct kiln_error error = {""};
    assert_int_equal(kiln_graph_error(*g, &error), KILN_INPUT);
    assert_string_equal(error.text, message);
    kiln_graph_destroy(g);
    *g = kiln_graph_create();
    assert_non_null(*g);
}

static void op_table_is_complete(void **unused)
{
    (void)unused;
    for (int op = 0; op < KILN_OP_COUNT; op++)
        assert_true(kiln_op_name(op)[0]);
    assert_string_equal(kiln_op_name(KILN_OP_SCATTER_ADD_ROWS), "scatter_add_rows");
    assert_int_equal(kiln_op_class(KILN_OP_SELECT), KILN_OP_CLASS_TERNARY);
    assert_true(kiln_op_is_pointwise(KILN_OP_CAST));
    assert_false(kiln_op_is_pointwise(KILN_OP_RESHAPE));
}

static void first_error_sticks(void **unused)
{
    (void)unused;
    kiln_graph *g = kiln_graph_create();
    kiln_node a = f32(g, "a", KILN_SHAPE(2, 3)), b = f32(g, "b", KILN_SHAPE(4));
    kiln_graph_label(g, "encoder.fc1");
    kiln_node before = kiln_graph_count(g);
    assert_int_equal(kiln_add(g, a, b), 0);
    assert_int_equal(kiln_matmul(g, 0, b, false, false), 0);
    kiln_graph_fail(g, "later");
    assert_int_equal(kiln_graph_count(g), before);
    assert_failed(&g, "add of f32 [2, 3] and f32 [4]: shapes do not broadcast (in encoder.fc1)");
    kiln_exp(g, 0);
    assert_failed(&g, "exp: operand 1 (0) is no node");
    kiln_exp(g, 5);
    assert_failed(&g, "exp: operand 1 (5) is no node");
    kiln_graph_fail(g, "the width %d is odd", 3);
    assert_failed(&g, "the width 3 is odd");
    kiln_graph_destroy(&g);
    assert_null(g);
    kiln_graph_destroy(&g);
}

static void broadcasting_is_explicit(void **unused)
{
    (void)unused;
    kiln_graph *g = kiln_graph_create();
    kiln_node a = f32(g, "a", KILN_SHAPE(5, 1, 4)), b = f32(g, "b", KILN_SHAPE(3, 1));
    kiln_node sum = kiln_add(g, a, b);
    assert_shape(g, sum, KILN_SHAPE(5, 3, 4));
    struct kiln_node_info info;
    assert_true(kiln_graph_node(g, sum, &info));
    for (int i = 0; i < 2; i++) {
        struct kiln_node_info operand;
        assert_true(kiln_graph_node(g, info.operands[i], &operand));
        assert_int_equal(operand.op, KILN_OP_EXPAND);
        assert_shape(g, info.operands[i], KILN_SHAPE(5, 3, 4));
    }
    assert_shape(g, kiln_select(g, a, b, kiln_scalar(g, 1)), KILN_SHAPE(5, 3, 4));
    assert_shape(g, kiln_mul(g, kiln_scalar(g, 2), kiln_scalar(g, 3)), (struct kiln_shape){0});
    assert_false(kiln_graph_node(g, 0, &info));
    assert_false(kiln_graph_node(g, kiln_graph_count(g) + 1, &info));
    kiln_graph_destroy(&g);
}

static void dtypes_are_checked(void **unused)
{
    (void)unused;
    kiln_graph *g = kiln_graph_create();
    kiln_node x = f32(g, "x", KILN_SHAPE(2));
    kiln_node i = kiln_input(g, "i", KILN_I32, KILN_SHAPE(2));
    kiln_node u = kiln_input(g, "u", KILN_U8, KILN_SHAPE(2));
    struct kiln_node_info info;
    kiln_graph_node(g, kiln_less(g, i, i), &info);
    assert_int_equal(info.dtype, KILN_F32);
    kiln_graph_node(g, kiln_add(g, i, i), &info);
    assert_int_equal(info.dtype, KILN_I32);
    kiln_graph_node(g, kiln_cast(g, u, KILN_F16), &info);
    assert_int_equal(info.dtype, KILN_F16);
    assert_int_equal(kiln_cast(g, x, KILN_F32), x);
    assert_int_equal(kiln_graph_error(g, NULL), KILN_OK);
    kiln_add(g, x, i);
    assert_failed(&g, "add of f32 [2] and i32 [2]: dtypes differ (cast one)");
    u = kiln_input(g, "u", KILN_U8, KILN_SHAPE(2));
    kiln_neg(g, u);
    assert_failed(&g, "neg of u8 [2]: computes in f32 or i32 (cast it)");
    i = kiln_input(g, "i", KILN_I32, KILN_SHAPE(2));
    kiln_exp(g, i);
    assert_failed(&g, "exp of i32 [2]: computes in f32 (cast it)");
    i = kiln_input(g, "i", KILN_I32, KILN_SHAPE(2));
    kiln_reduce_sum(g, i, 1);
    assert_failed(&g, "reduce_sum of i32 [2]: operand 1 must be f32 (cast it)");
    kiln_input(g, "h", KILN_F16, KILN_SHAPE(2));
    assert_failed(&g, "input \"h\": needs a name and a dtype f32, i32 or u8");
    kiln_graph_destroy(&g);
}

static void impossible_shapes_are_refused(void **unused)
{
    (void)unused;
    kiln_graph *g = kiln_graph_create();
    f32(g, "x", KILN_SHAPE(3, 0));
    assert_failed(&g, "input: the result [3, 0] is empty or too large");
    f32(g, "x", KILN_SHAPE(1 << 24, 1 << 24));
    assert_failed(&g, "input: the result [16777216, 16777216] is empty or too large");
    f32(g, "x", KILN_SHAPE(1, 1, 1, 1, 1, 1, 1));
    assert_failed(&g, "input: the result [0, 1, 1, 1, 1, 1] is empty or too large");
    f32(g, "x", (struct kiln_shape){.n = 7});
    assert_failed(&g, "input: rank 7 is not in 0 .. 6");
    kiln_node x = f32(g, "x", KILN_SHAPE(2));
    kiln_reshape(g, x, (struct kiln_shape){.n = -1});
    assert_failed(&g, "reshape of f32 [2]: rank -1 is not in 0 .. 6");
    x = f32(g, "x", KILN_SHAPE(1));
    kiln_expand(g, x, (struct kiln_shape){.n = 1000});
    assert_failed(&g, "expand of f32 [1]: rank 1000 is not in 0 .. 6");
    x = f32(g, "x", KILN_SHAPE(1 << 23));
    kiln_expand(g, x, KILN_SHAPE((int64_t)1 << 40, 1 << 23));
    assert_failed(
        &g, "expand of f32 [8388608]: the result [1099511627776, 8388608] is empty or too large");
    x = f32(g, "x", KILN_SHAPE(2));
    kiln_pad(g, x, (int64_t[]){INT64_MAX}, (int64_t[]){1}, 0);
    assert_failed(&g, "pad of f32 [2]: axis 0: cannot pad by 9223372036854775807 and 1");
    kiln_graph_destroy(&g);
}

static void movement_shapes(void **unused)
{
    (void)unused;
    kiln_graph *g = kiln_graph_create();
    kiln_node x = f32(g, "x", KILN_SHAPE(4, 5, 6));
    assert_shape(g, kiln_reduce_sum(g, x, 5), KILN_SHAPE(1, 5, 1));
    kiln_node column = kiln_reduce_sum(g, x, 1);
    assert_int_equal(kiln_reduce_max(g, column, 1), column); /* one element: nothing to do */
    struct kiln_node_info info;
    assert_true(kiln_graph_node(g, kiln_reduce_sum(g, column, 3), &info));
    assert_int_equal(info.params->axes, 2);
    assert_shape(g, kiln_permute(g, x, (int[]){2, 0, 1}), KILN_SHAPE(6, 4, 5));
    int64_t start[] = {3, 0, 5}, step[] = {-1, 2, -2};
    assert_shape(g, kiln_slice(g, x, start, KILN_SHAPE(4, 3, 3), step), KILN_SHAPE(4, 3, 3));
    int64_t one[] = {1, 0, 2}, two[] = {0, 3, 0};
    assert_shape(g, kiln_pad(g, x, one, two, 7), KILN_SHAPE(5, 8, 8));
    kiln_node parts[] = {x, kiln_reduce_sum(g, x, 2), x};
    assert_shape(g, kiln_concat(g, 3, parts, 1), KILN_SHAPE(4, 11, 6));
    kiln_node index = kiln_input(g, "index", KILN_I32, KILN_SHAPE(9));
    kiln_node rows = kiln_gather_rows(g, x, index);
    assert_shape(g, rows, KILN_SHAPE(9, 5, 6));
    assert_shape(g, kiln_scatter_add_rows(g, rows, index, 4), KILN_SHAPE(4, 5, 6));
    kiln_slice(g, x, start, KILN_SHAPE(5, 3, 3), step);
    assert_failed(&g, "slice of f32 [4, 5, 6]: axis 0: 5 elements from 3 by -1 do not fit");
    x = f32(g, "x", KILN_SHAPE(4));
    kiln_slice(g, x, (int64_t[]){0}, KILN_SHAPE(2), (int64_t[]){INT64_MAX});
    assert_failed(&g,
                  "slice of f32 [4]: axis 0: 2 elements from 0 by 9223372036854775807 do not fit");
    x = f32(g, "x", KILN_SHAPE((int64_t)1 << 40));
    int64_t far = (int64_t)1 << 40;
    kiln_slice(g, x, (int64_t[]){0}, KILN_SHAPE(far), (int64_t[]){far});
    assert_failed(&g, "slice of f32 [1099511627776]: axis 0: 1099511627776 elements from 0 by "
                      "1099511627776 do not fit");
    x = f32(g, "x", KILN_SHAPE(4));
    kiln_slice(g, x, (int64_t[]){3}, KILN_SHAPE(2), (int64_t[]){INT64_MIN});
    assert_int_equal(kiln_graph_error(g, NULL), KILN_INPUT);
    kiln_graph_destroy(&g);
    g = kiln_graph_create();
    x = f32(g, "x", KILN_SHAPE(4));
    kiln_slice(g, x, (int64_t[]){0}, KILN_SHAPE(1), (int64_t[]){0});
    assert_failed(&g, "slice of f32 [4]: axis 0: 1 elements from 0 by 0 do not fit");
    x = f32(g, "x", KILN_SHAPE(4, 2));
    kiln_permute(g, x, (int[]){1, 1});
    assert_failed(&g, "permute of f32 [4, 2]: not a permutation of its axes");
    x = f32(g, "x", KILN_SHAPE(4, 2));
    kiln_reduce_max(g, x, 4);
    assert_failed(&g, "reduce_max of f32 [4, 2]: axes 0x4 lie outside the operand");
    kiln_graph_destroy(&g);
}

static void contraction_shapes(void **unused)
{
    (void)unused;
    kiln_graph *g = kiln_graph_create();
    kiln_node a = f32(g, "a", KILN_SHAPE(2, 3, 4)), b = f32(g, "b", KILN_SHAPE(2, 5, 3));
    assert_shape(g, kiln_matmul(g, a, b, true, true), KILN_SHAPE(2, 4, 5));
    struct kiln_conv conv = {
        .stride = {2, 1}, .dilation = {1, 2}, .pad = {1, 0, 2, 3}, .groups = 2};
    kiln_node x = f32(g, "x", KILN_SHAPE(2, 4, 8, 7)), w = f32(g, "w", KILN_SHAPE(6, 2, 3, 2));
    kiln_node y = kiln_conv(g, x, w, conv);
    assert_shape(g, y, KILN_SHAPE(2, 6, 4, 10));
    assert_shape(g, kiln_conv_input_grad(g, y, w, conv, 8, 7), KILN_SHAPE(2, 4, 8, 7));
    assert_shape(g, kiln_conv_weight_grad(g, x, y, conv, 3, 2), KILN_SHAPE(6, 2, 3, 2));
    struct kiln_window window = {.size = {3, 2}, .stride = {2, 2}, .pad = {1, 1, 0, 1}};
    kiln_node index = kiln_window_argmax(g, x, window);
    assert_shape(g, index, KILN_SHAPE(2, 4, 4, 4));
    kiln_node pooled = kiln_window_gather(g, x, index, window);
    assert_shape(g, kiln_window_scatter(g, pooled, index, window, 8, 7), KILN_SHAPE(2, 4, 8, 7));
    struct kiln_resample mean = {KILN_RESAMPLE_MEAN, {8, 7}, {2, 1}, false};
    kiln_node small = kiln_resample(g, x, mean);
    assert_shape(g, small, KILN_SHAPE(2, 4, 2, 1));
    mean.adjoint = true;
    assert_shape(g, kiln_resample(g, small, mean), KILN_SHAPE(2, 4, 8, 7));
    kiln_node lse, d_k, d_v, v = f32(g, "v", KILN_SHAPE(2, 3, 6));
    kiln_node k = f32(g, "k", KILN_SHAPE(2, 3, 4)), q = f32(g, "q", KILN_SHAPE(2, 9, 4));
    kiln_node out = kiln_attention(g, q, k, v, 0.5f, &lse);
    assert_shape(g, out, KILN_SHAPE(2, 9, 6));
    assert_shape(g, lse, KILN_SHAPE(2, 9));
    assert_shape(g, kiln_attention_grad(g, q, k, v, out, lse, out, 0.5f, &d_k, &d_v),
                 KILN_SHAPE(2, 9, 4));
    assert_shape(g, d_k, KILN_SHAPE(2, 3, 4));
    assert_shape(g, d_v, KILN_SHAPE(2, 3, 6));
    kiln_conv_input_grad(g, y, w, conv, 9, 7);
    assert_int_equal(kiln_graph_error(g, NULL), KILN_OK); /* 8 and 9 rows both give 4 */
    kiln_conv_input_grad(g, y, w, conv, 10, 7);
    assert_failed(&g, "conv_input_grad of f32 [2, 6, 4, 10] and f32 [6, 2, 3, 2]: "
                      "height: 10 pixels give 5, not 4");
    x = f32(g, "x", KILN_SHAPE(1, 1, 2, 2));
    w = f32(g, "w", KILN_SHAPE(1, 1, 3, 3));
    kiln_conv(g, x, w, (struct kiln_conv){{1, 1}, {1, 1}, {0}, 1});
    assert_failed(&g, "conv of f32 [1, 1, 2, 2] and f32 [1, 1, 3, 3]: "
                      "the kernel reaches beyond the padded height");
    x = f32(g, "x", KILN_SHAPE(1, 1, 2, 2));
    kiln_conv_input_grad(g, x, x, conv, INT64_MAX, 1);
    assert_failed(&g, "conv_input_grad of f32 [1, 1, 2, 2] and f32 [1, 1, 2, 2]: "
                      "the size 9223372036854775807x1 is impossible");
    x = f32(g, "x", KILN_SHAPE(1, 1, 2, 2));
    kiln_conv(g, x, x, (struct kiln_conv){{0, 1}, {1, 1}, {0}, 1});
    assert_failed(&g, "conv of f32 [1, 1, 2, 2] and f32 [1, 1, 2, 2]: "
                      "stride, dilation, groups and kernel must be >= 1 and padding >= 0");
    x = f32(g, "x", KILN_SHAPE(1, 1, 2, 2));
    index = kiln_input(g, "index", KILN_I32, KILN_SHAPE(1, 1, 2, 2));
    kiln_window_scatter(g, x, index, window, INT64_MAX, INT64_MAX);
    assert_failed(&g, "window_scatter of f32 [1, 1, 2, 2] and i32 [1, 1, 2, 2]: "
                      "needs two [n, c, oh, ow] and a size");
    a = f32(g, "a", KILN_SHAPE(2, 3));
    kiln_matmul(g, a, a, false, false);
    assert_failed(&g, "matmul of f32 [2, 3] and f32 [2, 3]: inner extents differ");
    kiln_graph_destroy(&g);
}

static void names_are_declared_once(void **unused)
{
    (void)unused;
    kiln_graph *g = kiln_graph_create();
    kiln_node x = f32(g, "x", KILN_SHAPE(2));
    assert_int_equal(f32(g, "x", KILN_SHAPE(2)), x);
    struct kiln_state state = {.name = "fc.weight", .shape = KILN_SHAPE(2), .trainable = true};
    kiln_node w = kiln_state(g, &state);
    assert_int_equal(kiln_state(g, &state), w);
    kiln_graph_output(g, "y", x);
    kiln_node y;
    assert_int_equal(kiln_graph_n_outputs(g), 1);
    assert_string_equal(kiln_graph_output_at(g, 0, &y), "y");
    assert_int_equal(y, x);
    assert_null(kiln_graph_output_at(g, 1, &y));
    f32(g, "x", KILN_SHAPE(3));
    assert_failed(&g, "input \"x\" is declared as f32 [2] and as f32 [3]");
    kiln_state(g, &state);
    state.trainable = false;
    kiln_state(g, &state);
    assert_failed(&g, "state \"fc.weight\" is declared as parameter and as buffer");
    x = f32(g, "x", KILN_SHAPE(2));
    kiln_graph_output(g, "y", x);
    kiln_graph_output(g, "y", x);
    assert_failed(&g, "output \"y\" is declared twice");
    kiln_random(g, KILN_SHAPE(3), (struct kiln_rng){.kind = KILN_RNG_INTEGER});
    assert_failed(&g, "rng: unknown kind, or an integer bound of 0");
    kiln_graph_destroy(&g);
}

static void effects_are_single(void **unused)
{
    (void)unused;
    kiln_graph *g = kiln_graph_create();
    struct kiln_state state = {.name = "w", .shape = KILN_SHAPE(2), .trainable = true};
    kiln_node w = kiln_state(g, &state), x = f32(g, "x", KILN_SHAPE(2));
    kiln_node hyper = f32(g, "hyper", KILN_SHAPE(KILN_HYPER_WORDS));
    struct kiln_update adam = {KILN_OPTIMIZER_ADAM, true};
    assert_shape(g, kiln_optimizer_update(g, 1, &w, &x, hyper, adam), KILN_SHAPE(2));
    kiln_assign(g, w, x);
    assert_failed(&g, "assign of f32 [2] and f32 [2]: state \"w\" already has an effect");
    w = kiln_state(g, &state);
    kiln_node assigned = kiln_assign(g, w, f32(g, "x", KILN_SHAPE(2)));
    kiln_neg(g, assigned);
    assert_failed(&g, "neg: operand 1 (3) is an assign, which has no value");
    x = f32(g, "x", KILN_SHAPE(2));
    kiln_assign(g, x, x);
    assert_failed(&g, "assign of f32 [2] and f32 [2]: node 1 is not a state");
    w = kiln_state(g, &state);
    hyper = f32(g, "hyper", KILN_SHAPE(KILN_HYPER_WORDS));
    kiln_node twice[] = {w, w};
    kiln_optimizer_update(g, 2, twice, twice, hyper, adam);
    assert_failed(&g, "update of f32 [2], f32 [2], f32 [2], f32 [2] and f32 [16]: "
                      "state \"w\" already has an effect");
    kiln_graph_destroy(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(op_table_is_complete),
        cmocka_unit_test(first_error_sticks),
        cmocka_unit_test(broadcasting_is_explicit),
        cmocka_unit_test(dtypes_are_checked),
        cmocka_unit_test(impossible_shapes_are_refused),
        cmocka_unit_test(movement_shapes),
        cmocka_unit_test(contraction_shapes),
        cmocka_unit_test(names_are_declared_once),
        cmocka_unit_test(effects_are_single),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
