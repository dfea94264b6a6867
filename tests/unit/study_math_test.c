/* The closed forms that studies measure by. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka wants these first */
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>

#include "models/common/frechet.h"
#include "models/wgan/divergence.h"

/* N(0,1) and N(3,1): 3.463 at weight 10, 3.046 at 100, 3.005 at 1000. */
static void the_penalty_biases_the_estimate(void **unused)
{
    (void)unused;
    const struct normal_pair unit = {1, 3}, narrow = {0.02, 3}, far = {0.02, 10};
    assert_float_equal(pair_penalised(&unit, 10), 3.463, 5e-4);
    assert_float_equal(pair_penalised(&unit, 100), 3.046, 5e-4);
    assert_float_equal(pair_penalised(&unit, 1000), 3.005, 5e-4);
    /* points: d + d^2 / (2 L) */
    assert_float_equal(pair_penalised(&narrow, 10), 3.45, 1e-3);
    assert_float_equal(pair_penalised(&far, 10), 15, 1e-2);
}

static void js_saturates_and_its_slope_is_its_derivative(void **unused)
{
    (void)unused;
    double slope, above, below, ignored;
    for (double d = 0.25; d < 3; d += 0.25) {
        const struct normal_pair pair = {0.5, d}, more = {0.5, d + 1e-3}, less = {0.5, d - 1e-3};
        above = pair_js(&more, &ignored);
        below = pair_js(&less, &ignored);
        pair_js(&pair, &slope);
        assert_float_equal(slope, (above - below) / 2e-3, 1e-6);
    }
    const struct normal_pair same = {0.5, 0}, far = {0.5, 10};
    assert_float_equal(pair_js(&same, &slope), 0, 1e-9);
    assert_float_equal(pair_js(&far, &slope), log(2), 1e-9);
    assert_true(slope > 0 && slope < 1e-20); /* vanishing, not lost */
    assert_float_equal(pair_kl(&far, &slope), 200, 1e-9);
    assert_float_equal(slope, 40, 1e-9);
}

static void a_critic_of_slope_one_reads_the_distance(void **unused)
{
    (void)unused;
    enum { N = 801 };
    const struct normal_pair pair = {0.5, 3};
    float x[N], value[N];
    for (int i = 0; i < N; i++) {
        x[i] = -4 + 11.0f * (float)i / (N - 1);
        value[i] = x[i] + 7;
    }
    assert_float_equal(pair_estimate(&pair, N, x, value), 3, 1e-4);
}

/* Two clouds on the corners of boxes have known means and variances. */
static void boxes(int64_t n, const double *mean, const double *deviation, int d, float *x)
{
    for (int64_t i = 0; i < n; i++)
        for (int j = 0; j < d; j++)
            x[i * d + j] = (float)(mean[j] + (i >> j & 1 ? deviation[j] : -deviation[j]));
}

static void frechet_of_boxes_is_known(void **unused)
{
    (void)unused;
    enum { N = 64, D = 3 };
    const double m_a[D] = {0, 1, 2}, m_b[D] = {1, 1, 0}, s_a[D] = {1, 2, 3}, s_b[D] = {2, 2, 0.5};
    float a[N * D], b[N * D];
    boxes(N, m_a, s_a, D, a);
    boxes(N, m_b, s_b, D, b);
    /* independent coordinates: sum of (m_a - m_b)^2 + (s_a - s_b)^2 with the
     * sample's deviations */
    double expected = 0, unbiased = sqrt(N / (N - 1.0));
    for (int j = 0; j < D; j++)
        expected += pow(m_a[j] - m_b[j], 2) + pow(unbiased * (s_a[j] - s_b[j]), 2);
    assert_float_equal(frechet_distance(N, a, N, b, D), expected, 1e-6);
    assert_float_equal(frechet_distance(N, b, N, a, D), expected, 1e-6);
    assert_float_equal(frechet_distance(N, a, N, a, D), 0, 1e-9);
}

/* Turning both clouds alike does not change their distance; correlations that
 * differ do. */
static void frechet_sees_correlations(void **unused)
{
    (void)unused;
    enum { N = 256, D = 2 };
    float a[N * D], b[N * D];
    const double mean[D] = {0, 0}, deviation[D] = {2, 1}, swapped[D] = {1, 2};
    boxes(N, mean, deviation, D, a);
    boxes(N, mean, swapped, D, b);
    double straight = frechet_distance(N, a, N, b, D);
    for (float *x = a; x != NULL; x = x == a ? b : NULL)
        for (int i = 0; i < N; i++) {
            float u = x[2 * i], v = x[2 * i + 1];
            x[2 * i] = 0.6f * u - 0.8f * v;
            x[2 * i + 1] = 0.8f * u + 0.6f * v;
        }
    assert_float_equal(frechet_distance(N, a, N, b, D), straight, 1e-5);
    assert_true(straight > 1.9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_penalty_biases_the_estimate),
        cmocka_unit_test(js_saturates_and_its_slope_is_its_derivative),
        cmocka_unit_test(a_critic_of_slope_one_reads_the_distance),
        cmocka_unit_test(frechet_of_boxes_is_known),
        cmocka_unit_test(frechet_sees_correlations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
