/* Gradients of pointwise ops, reductions and movement, to third order, against
 * differences in double. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/grad_check.h"
#include "tests/lib/oracle.h"

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

/* --- the table -------------------------------------------------------------------------- */

#define CASE(name)                                                                                 \
    {                                                                                              \
#name, build_##name                                                                        \
    }

static const struct grad_check_case cases[] = {
    CASE(neg),    CASE(abs),        CASE(exp),         CASE(expm1),
    CASE(log),    CASE(log1p),      CASE(sqrt),        CASE(sin),
    CASE(cos),    CASE(tanh),       CASE(erf),         CASE(sigmoid),
    CASE(add),    CASE(sub),        CASE(mul),         CASE(div),
    CASE(pow),    CASE(max),        CASE(min),         CASE(select),
    CASE(cast),   CASE(reduce_sum), CASE(reduce_max),  CASE(reshape),
    CASE(expand), CASE(permute),    CASE(slice),       CASE(slice_6d),
    CASE(pad),    CASE(concat),     CASE(gather_rows), CASE(scatter_add_rows),
};

static void gradients_match_differences(void **unused)
{
    (void)unused;
    assert_int_equal(grad_check_table(cases, sizeof cases / sizeof *cases, GRAD_CHECK_MAX_ORDER),
                     0);
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
        kiln_abs(g, x),                    /* 0 */
        kiln_max(g, x, zero),              /* 1: the first operand */
        kiln_max(g, zero, x),              /* 0 */
        tie,                               /* shared: 1/2 */
        kiln_pow(g, x, kiln_scalar(g, 2)), /* 0 */
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
