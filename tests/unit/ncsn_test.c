/* NCSNv2's derived quantities against the published table. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "models/ncsn/ladder.h"

static int scales(double dimensions, double sigma_begin, double overlap)
{
    double gamma = ladder_gamma(dimensions, overlap);
    assert_true(gamma > 1);
    return (int)round(1 + log(sigma_begin / 0.01) / log(gamma));
}

static void overlap_gives_the_number_of_scales(void **unused)
{
    (void)unused;
    assert_int_equal(scales(3072, 50, 0.5), 219);
    assert_int_equal(scales(3072, 50, 0.567), 232);
    assert_int_equal(scales(784, 28, 0.5), 102);
    assert_int_equal(scales(784, 20, 0.567), 103);
    assert_int_equal(scales(1024, 28, 0.567), 123);
    assert_true(fabs(ladder_gamma(784, 0.5) - 1.08197) < 1e-5);
    assert_true(ladder_gamma(2, 0.5) == 0);
}

static void step_sizes_match_the_published_ones(void **unused)
{
    (void)unused;
    static const struct {
        double sigma_begin;
        int scales, steps;
        double step_size, ratio;
    } rows[] = {
        {50, 232, 5, 6.18e-6, 1.0555},   {50, 219, 5, 6.49e-6, 0},
        {90, 500, 5, 3.34e-6, 1.0314},   {190, 1086, 3, 1.77e-6, 1.0174},
        {348, 2311, 3, 8.93e-7, 1.0089},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double gamma = pow(rows[i].sigma_begin / 0.01, 1.0 / (rows[i].scales - 1)), ratio;
        double step_size = ladder_step_size(0.01, gamma, rows[i].steps, &ratio);
        assert_true(fabs(step_size / rows[i].step_size - 1) < 2e-3);
        if (rows[i].ratio)
            assert_true(fabs(ratio - rows[i].ratio) < 1e-4);
    }
}

static void ladder_is_geometric(void **unused)
{
    (void)unused;
    struct ladder ladder = {.sigma_begin = 50, .sigma_end = 0.01, .num_scales = 232};
    assert_true(fabs(ladder_sigma(&ladder, 0) - 50) < 1e-9);
    assert_true(fabs(ladder_sigma(&ladder, 1) - 48.190) < 1e-3);
    assert_true(fabs(ladder_sigma(&ladder, 115) - 0.720264) < 1e-6);
    assert_true(fabs(ladder_sigma(&ladder, 231) - 0.01) < 1e-9);
}

static void largest_distance_is_exact(void **unused)
{
    (void)unused;
    enum { N = 200, D = 7 };
    static float floats[N * D];
    static uint8_t bytes[N * D];
    srand(1);
    for (int i = 0; i < N * D; i++) {
        bytes[i] = (uint8_t)(rand() % 256);
        floats[i] = bytes[i] / 255.0f;
    }
    double best = 0;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < i; j++) {
            double sum = 0;
            for (int k = 0; k < D; k++) {
                double difference = (bytes[i * D + k] - bytes[j * D + k]) / 255.0;
                sum += difference * difference;
            }
            best = fmax(best, sqrt(sum));
        }
    assert_true(fabs(largest_distance(bytes, true, N, D) - best) < 1e-12);
    assert_true(fabs(largest_distance(floats, false, N, D) - best) < 1e-6);
    assert_true(largest_distance(bytes, true, 1, D) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(overlap_gives_the_number_of_scales),
        cmocka_unit_test(step_sizes_match_the_published_ones),
        cmocka_unit_test(ladder_is_geometric),
        cmocka_unit_test(largest_distance_is_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
