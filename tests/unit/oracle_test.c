/* The oracle: values computed by hand, optimisers as torch's, error bounds. */
#include <float.h>
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
#include "core/api/rng.h"
#include "tests/golden/nn_golden.h"
#include "tests/lib/oracle.h"

static kiln_graph *g;
static kiln_oracle *oracle;

static int setup(void **unused)
{
    (void)unused;
    g = kiln_graph_create();
    oracle = kiln_oracle_create(g, true);
    return !oracle;
}

static int teardown(void **unused)
{
    (void)unused;
    kiln_oracle_destroy(&oracle);
    kiln_graph_destroy(&g);
    return 0;
}

static kiln_node given(const char *name, enum kiln_dtype dtype, struct kiln_shape shape,
                       const double *values)
{
    assert_int_equal(kiln_oracle_set(oracle, name, values, kiln_shape_count(&shape), NULL),
                     KILN_OK);
    return kiln_input(g, name, dtype, shape);
}

static void assert_values(kiln_node node, const double *expected)
{
    struct kiln_error error = {""};
    if (kiln_oracle_evaluate(oracle, 1, &node, &error))
        fail_msg("%s", error.text);
    struct kiln_shape shape = kiln_shape(g, node);
    for (int64_t i = 0; i < kiln_shape_count(&shape); i++) {
        double y = kiln_oracle_value(oracle, node)[i];
        if (!(fabs(y - expected[i]) <= 1e-12) && !(isinf(y) && y == expected[i]))
            fail_msg("element %lld: %.17g, not %.17g", (long long)i, y, expected[i]);
    }
}

/* --- ops ------------------------------------------------------------------------------- */

static void casts_round_as_storage_does(void **unused)
{
    (void)unused;
    const double x[] = {2.5,   -1.5,  300,     1.9,     -1.9,      0.5,
                        65519, 65520, 1.0 / 3, 0x1p-25, 0x1.8p-24, 2049};
    kiln_node node = given("x", KILN_F32, KILN_SHAPE(12), x);
    assert_values(kiln_cast(g, node, KILN_U8),
                  (double[]){3, 0, 255, 2, 0, 1, 255, 255, 0, 0, 0, 255});
    assert_values(kiln_cast(g, node, KILN_I32),
                  (double[]){2, -1, 300, 1, -1, 0, 65519, 65520, 0, 0, 0, 2049});
    assert_values(kiln_cast(g, node, KILN_F16),
                  (double[]){2.5, -1.5, 300, 0x1.e68p0, -0x1.e68p0, 0.5, 65504, INFINITY,
                             0x1.554p-2, 0, 0x1p-23, 2048});
}

static void integers_wrap(void **unused)
{
    (void)unused;
    kiln_node x = given("x", KILN_I32, KILN_SHAPE(2), (double[]){INT32_MAX, INT32_MIN});
    kiln_node one = kiln_constant(g, KILN_I32, KILN_SHAPE(1), (int32_t[]){1});
    assert_values(kiln_add(g, x, one), (double[]){INT32_MIN, INT32_MIN + 1});
}

static void movement_by_hand(void **unused)
{
    (void)unused;
    kiln_node x = given("x", KILN_F32, KILN_SHAPE(2, 3), (double[]){1, 2, 3, 4, 5, 6});
    assert_values(kiln_permute(g, x, (int[]){1, 0}), (double[]){1, 4, 2, 5, 3, 6});
    assert_values(kiln_slice(g, x, (int64_t[]){1, 2}, KILN_SHAPE(2, 2), (int64_t[]){-1, -2}),
                  (double[]){6, 4, 3, 1});
    assert_values(kiln_pad(g, x, (int64_t[]){0, 1}, (int64_t[]){1, 0}, 9),
                  (double[]){9, 1, 2, 3, 9, 4, 5, 6, 9, 9, 9, 9});
    assert_values(kiln_concat(g, 2, (kiln_node[]){x, kiln_reduce_sum(g, x, 2)}, 1),
                  (double[]){1, 2, 3, 6, 4, 5, 6, 15});
    kiln_node index = given("index", KILN_I32, KILN_SHAPE(3), (double[]){1, -4, 7});
    kiln_node rows = kiln_gather_rows(g, x, index);
    assert_values(rows, (double[]){4, 5, 6, 1, 2, 3, 4, 5, 6});
    assert_values(kiln_scatter_add_rows(g, rows, index, 2), (double[]){1, 2, 3, 8, 10, 12});
    assert_values(kiln_reduce_max(g, x, 1), (double[]){4, 5, 6});
    assert_values(kiln_expand(g, kiln_reduce_sum(g, x, 3), KILN_SHAPE(2, 1, 2)),
                  (double[]){21, 21, 21, 21});
}

static void spatial_by_hand(void **unused)
{
    (void)unused;
    double nine[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    kiln_node x = given("x", KILN_F32, KILN_SHAPE(1, 1, 3, 3), nine);
    kiln_node w = given("w", KILN_F32, KILN_SHAPE(1, 1, 1, 2), (double[]){10, 1});
    struct kiln_conv conv = {{2, 1}, {1, 2}, {0, 0, 1, 0}, 1};
    kiln_node y = kiln_conv(g, x, w, conv);
    assert_values(y, (double[]){2, 13, 8, 79});
    assert_values(kiln_conv_input_grad(g, y, w, conv, 3, 3),
                  (double[]){130, 2, 13, 0, 0, 0, 790, 8, 79});
    assert_values(kiln_conv_weight_grad(g, x, y, conv, 1, 2),
                  (double[]){13 * 1 + 79 * 7, 2 * 2 + 13 * 3 + 8 * 8 + 79 * 9});
    double flat[] = {1, 1, 0, 1, 0, 0, -1, -1, -2};
    kiln_node ties = given("ties", KILN_F32, KILN_SHAPE(1, 1, 3, 3), flat);
    struct kiln_window window = {{2, 2}, {2, 2}, {0, 1, 0, 1}};
    assert_values(kiln_window_argmax(g, ties, window), (double[]){0, 2, 6, 8});
    struct kiln_resample bilinear = {KILN_RESAMPLE_BILINEAR, {1, 3}, {1, 6}, false};
    kiln_node row = given("row", KILN_F32, KILN_SHAPE(1, 1, 1, 3), (double[]){0, 4, 8});
    assert_values(kiln_resample(g, row, bilinear), (double[]){0, 1, 3, 5, 7, 8});
}

/* Random123's known answers of Philox 4x32-10, and the element rule. */
static void random_numbers_are_philox(void **unused)
{
    (void)unused;
    const uint32_t zero[4] = {0}, ones[4] = {~0u, ~0u, ~0u, ~0u};
    uint32_t words[4];
    kiln_philox(zero, zero, words);
    assert_memory_equal(words, ((uint32_t[]){0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}), 16);
    kiln_philox(ones, ones, words);
    assert_memory_equal(words, ((uint32_t[]){0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}), 16);
    given("rng", KILN_I32, KILN_SHAPE(4), (double[]){7, -1, 3, 100});
    struct kiln_rng rng = {.kind = KILN_RNG_INTEGER, .stream = 9, .bound = 1000};
    kiln_node integers = kiln_random(g, KILN_SHAPE(2, 6), rng);
    rng.kind = KILN_RNG_NORMAL;
    kiln_node normals = kiln_random(g, KILN_SHAPE(2, 6), rng);
    assert_int_equal(kiln_oracle_evaluate(oracle, 2, (kiln_node[]){integers, normals}, NULL),
                     KILN_OK);
    /* element [1, 5]: counter { 1, 101, 3, 9 }, word 1 */
    kiln_philox((uint32_t[]){1, 101, 3, 9}, (uint32_t[]){7, ~0u}, words);
    assert_true(kiln_oracle_value(oracle, integers)[11] ==
                (double)((uint64_t)words[1] * 1000 >> 32));
    double u = (double)kiln_uniform(words[0]), v = (double)kiln_uniform(words[1]);
    double normal = sqrt(-2 * log(u)) * sin(2 * acos(-1.0) * v);
    assert_true(fabs(kiln_oracle_value(oracle, normals)[11] - normal) < 1e-14);
}

static void missing_values_are_errors(void **unused)
{
    (void)unused;
    struct kiln_error error;
    kiln_node x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(2));
    assert_int_equal(kiln_oracle_evaluate(oracle, 1, &x, &error), KILN_INPUT);
    assert_string_equal(error.text, "oracle: input \"x\" has no values of its size");
    kiln_node w = kiln_parameter(g, "w", KILN_SHAPE(2), (struct kiln_init){KILN_INIT_NORMAL, 0, 1});
    assert_int_equal(kiln_oracle_evaluate(oracle, 1, &w, &error), KILN_INPUT);
    assert_string_equal(error.text, "oracle: state \"w\" has no values of its size");
    kiln_add(g, x, 0);
    assert_int_equal(kiln_oracle_evaluate(oracle, 1, &x, &error), KILN_INPUT);
}

/* --- effects ------------------------------------------------------------------------------ */

static void assign_reads_the_start(void **unused)
{
    (void)unused;
    struct kiln_init one = {KILN_INIT_CONSTANT, 1, 0};
    kiln_node a = kiln_parameter(g, "a", KILN_SHAPE(1), one);
    kiln_node b = kiln_parameter(g, "b", KILN_SHAPE(1), one);
    kiln_assign(g, a, kiln_add(g, a, b));
    kiln_assign(g, b, kiln_mul_scalar(g, a, 5));
    for (int i = 0; i < 2; i++)
        assert_int_equal(kiln_oracle_run(oracle, NULL), KILN_OK);
    assert_true(kiln_oracle_state(oracle, "a", KILN_ORACLE_VALUE)[0] == 7);
    assert_true(kiln_oracle_state(oracle, "b", KILN_ORACLE_VALUE)[0] == 10);
}

static const double *golden(const char *name)
{
    for (size_t i = 0; i < sizeof goldens / sizeof *goldens; i++)
        if (!strcmp(goldens[i].name, name))
            return goldens[i].values;
    fail_msg("no golden values of %s", name);
    return NULL;
}

/* Two parameters as in nn.py, their loss's gradient, and the update. */
static void optimise(enum kiln_optimizer_kind kind, bool ema, kiln_node *norm)
{
    double p[5], q[3];
    for (int i = 0; i < 5; i++)
        p[i] = (double)(float)(1.2 * sin(12.9898 * i + 78.233 * 1 + 0.5));
    for (int i = 0; i < 3; i++)
        q[i] = (double)(float)(1.2 * sin(12.9898 * i + 78.233 * 2 + 0.5));
    kiln_oracle_set_state(oracle, "p", KILN_ORACLE_VALUE, p, 5, NULL);
    kiln_oracle_set_state(oracle, "q", KILN_ORACLE_VALUE, q, 3, NULL);
    struct kiln_init unset = {KILN_INIT_NORMAL, 0, 1};
    kiln_node states[] = {kiln_parameter(g, "p", KILN_SHAPE(5), unset),
                          kiln_parameter(g, "q", KILN_SHAPE(3), unset)},
              gradients[2];
    kiln_node factor = kiln_input(g, "factor", KILN_F32, (struct kiln_shape){0});
    kiln_node product = kiln_mul(g, kiln_narrow(g, states[0], 0, 0, 3), states[1]);
    kiln_node loss = kiln_add(g, kiln_sum_all(g, kiln_exp(g, states[0])), kiln_sum_all(g, product));
    kiln_grad(g, kiln_mul(g, loss, factor), 2, states, gradients);
    kiln_node hyper = kiln_input(g, "hyper", KILN_F32, KILN_SHAPE(KILN_HYPER_WORDS));
    *norm = kiln_optimizer_update(g, 2, states, gradients, hyper, (struct kiln_update){kind, ema});
}

static void set_hyper(int step, double beta1, double epsilon, double loss_scale, double clamp)
{
    double hyper[KILN_HYPER_WORDS] = {0};
    hyper[KILN_HYPER_LEARNING_RATE] = 0.05;
    hyper[KILN_HYPER_BETA1] = beta1;
    hyper[KILN_HYPER_BETA2] = 0.95;
    hyper[KILN_HYPER_EPSILON] = epsilon;
    hyper[KILN_HYPER_WEIGHT_DECAY] = 0.1;
    hyper[KILN_HYPER_CORRECTION1] = 1 - pow(beta1, step);
    hyper[KILN_HYPER_CORRECTION2] = 1 - pow(0.95, step);
    hyper[KILN_HYPER_CLIP_NORM] = 2;
    hyper[KILN_HYPER_EMA_DECAY] = 0.9;
    hyper[KILN_HYPER_LOSS_SCALE] = loss_scale;
    hyper[KILN_HYPER_CLAMP] = clamp;
    kiln_oracle_set(oracle, "hyper", hyper, KILN_HYPER_WORDS, NULL);
    kiln_oracle_set(oracle, "factor", &loss_scale, 1, NULL);
}

static void check_optimizer(enum kiln_optimizer_kind kind, const char *name, double beta1)
{
    kiln_node norm;
    optimise(kind, true, &norm);
    char norm_name[64];
    snprintf(norm_name, sizeof norm_name, "%s_norm", name);
    double ema = NAN;
    for (int step = 1; step <= 4; step++) {
        set_hyper(step, beta1, 1e-3, 8, 0);
        double before = kiln_oracle_state(oracle, "p", KILN_ORACLE_VALUE)[0];
        assert_int_equal(kiln_oracle_run(oracle, NULL), KILN_OK);
        assert_true(fabs(kiln_oracle_value(oracle, norm)[0] - golden(norm_name)[step - 1]) < 1e-9);
        ema = step == 1 ? before : ema;
        ema += 0.1 * (kiln_oracle_state(oracle, "p", KILN_ORACLE_VALUE)[0] - ema);
    }
    for (int i = 0; i < 8; i++) {
        double y = i < 5 ? kiln_oracle_state(oracle, "p", KILN_ORACLE_VALUE)[i]
                         : kiln_oracle_state(oracle, "q", KILN_ORACLE_VALUE)[i - 5];
        if (!(fabs(y - golden(name)[i]) < 1e-9))
            fail_msg("%s[%d]: %.12g, not %.12g", name, i, y, golden(name)[i]);
    }
    assert_true(fabs(kiln_oracle_state(oracle, "p", KILN_ORACLE_EMA)[0] - ema) < 1e-12);
}

static void sgd_is_torchs(void **unused)
{
    (void)unused;
    check_optimizer(KILN_OPTIMIZER_SGD, "optimizer_sgd", 0.9);
}

static void adam_is_torchs(void **unused)
{
    (void)unused;
    check_optimizer(KILN_OPTIMIZER_ADAM, "optimizer_adam", 0.8);
}

static void adamw_is_torchs(void **unused)
{
    (void)unused;
    check_optimizer(KILN_OPTIMIZER_ADAMW, "optimizer_adamw", 0.8);
}

static void rmsprop_is_torchs(void **unused)
{
    (void)unused;
    check_optimizer(KILN_OPTIMIZER_RMSPROP, "optimizer_rmsprop", 0.8);
}

static void updates_clamp_and_mask(void **unused)
{
    (void)unused;
    kiln_node norm;
    optimise(KILN_OPTIMIZER_ADAM, false, &norm);
    set_hyper(1, 0.8, 1e-8, 1, 0.25);
    assert_int_equal(kiln_oracle_run(oracle, NULL), KILN_OK);
    double first = kiln_oracle_state(oracle, "p", KILN_ORACLE_VALUE)[0];
    double moment = kiln_oracle_state(oracle, "p", KILN_ORACLE_MOMENT1)[0];
    assert_true(fabs(first) <= 0.25);
    kiln_oracle_set(oracle, "factor", (double[]){NAN}, 1, NULL);
    assert_int_equal(kiln_oracle_run(oracle, NULL), KILN_OK);
    assert_true(kiln_oracle_value(oracle, norm)[1] == 0);
    assert_true(kiln_oracle_state(oracle, "p", KILN_ORACLE_VALUE)[0] == first);
    assert_true(kiln_oracle_state(oracle, "p", KILN_ORACLE_MOMENT1)[0] == moment);
}

/* --- bounds -------------------------------------------------------------------------------- */

/* softmax(x W) y in float against the oracle's bound: within it, and the bound
 * itself no looser than the analysis says. */
static void bounds_hold_and_are_tight(void **unused)
{
    (void)unused;
    enum { N = 16, K = 50 };
    double x[N * K], w[K * N];
    float s[N], fx[N * K], fw[K * N];
    for (int i = 0; i < N * K; i++) {
        x[i] = (double)(fx[i] = (float)sin(12.9898 * i));
        w[i] = (double)(fw[i] = (float)cos(78.233 * i));
    }
    kiln_node a = given("a", KILN_F32, KILN_SHAPE(N, K), x);
    kiln_node b = given("b", KILN_F32, KILN_SHAPE(K, N), w);
    kiln_node y = kiln_softmax(g, kiln_matmul(g, a, b, false, false), 1);
    assert_int_equal(kiln_oracle_evaluate(oracle, 1, &y, NULL), KILN_OK);
    for (int i = 0; i < N; i++) {
        float largest = -INFINITY, sum = 0;
        for (int j = 0; j < N; j++) {
            s[j] = 0;
            for (int p = 0; p < K; p++)
                s[j] += fx[i * K + p] * fw[p * N + j];
            largest = fmaxf(largest, s[j]);
        }
        for (int j = 0; j < N; j++)
            sum += s[j] = expf(s[j] - largest);
        for (int j = 0; j < N; j++) {
            double exact = kiln_oracle_value(oracle, y)[i * N + j];
            double bound = kiln_oracle_bound(oracle, y)[i * N + j];
            assert_true(fabs((double)(s[j] / sum) - exact) <= bound);
            /* the error of the scores, 9 roundings of 20, counts four times */
            assert_true(bound < 1000 * (double)FLT_EPSILON * exact + 10 * (double)FLT_MIN);
        }
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(casts_round_as_storage_does),
        TEST(integers_wrap),
        TEST(movement_by_hand),
        TEST(spatial_by_hand),
        TEST(random_numbers_are_philox),
        TEST(missing_values_are_errors),
        TEST(assign_reads_the_start),
        TEST(sgd_is_torchs),
        TEST(adam_is_torchs),
        TEST(adamw_is_torchs),
        TEST(rmsprop_is_torchs),
        TEST(updates_clamp_and_mask),
        TEST(bounds_hold_and_are_tight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
