/* Quantiles without sorting against quantiles by sorting. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "models/common/thresholding.h"
#include "tests/lib/oracle.h"

enum { ROWS = 5, MOST = 97 };

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* numpy.quantile's default, linear */
static double sorted_quantile(const double *row, int m, double ratio)
{
    double sorted[MOST], position = ratio * (m - 1);
    memcpy(sorted, row, (size_t)m * sizeof *row);
    qsort(sorted, (size_t)m, sizeof *sorted, ascending);
    int k = (int)position, next = k + 1 < m ? k + 1 : k;
    return sorted[k] + (position - k) * (sorted[next] - sorted[k]);
}

/* Rows of all kinds: spread, repeated, equal, mostly zero, far apart. */
static double entry(int row, int i)
{
    double spread = fmod(fabs(sin(12.9898 * (i + 1)) * 43758.5453), 1);
    const double kinds[ROWS] = {3 * spread, floor(4 * spread), 0.7, i % 9 ? 0 : 2 + i,
                                pow(10, 3 * spread)};
    return (double)(float)kinds[row];
}

static void check_quantiles(int m, double ratio)
{
    kiln_graph *g = kiln_graph_create();
    kiln_oracle *oracle = kiln_oracle_create(g, false);
    double values[ROWS * MOST];
    for (int i = 0; i < ROWS * m; i++)
        values[i] = entry(i / m, i % m);
    kiln_node a = kiln_input(g, "a", KILN_F32, KILN_SHAPE(ROWS, 1, m));
    kiln_node found = row_quantile(g, a, ratio);
    struct kiln_error error;
    assert_int_equal(kiln_oracle_set(oracle, "a", values, ROWS * m, &error), KILN_OK);
    if (kiln_oracle_evaluate(oracle, 1, &found, &error))
        fail_msg("%s", error.text);
    for (int row = 0; row < ROWS; row++) {
        double expected = sorted_quantile(values + row * m, m, ratio);
        double value = kiln_oracle_value(oracle, found)[row]; /* the ratio is a f32 in the graph */
        if (!(fabs(value - expected) <= 2e-7 * (1 + expected)))
            fail_msg("%d values, ratio %g, row %d: %.9g, expected %.9g", m, ratio, row, value,
                     expected);
    }
    kiln_oracle_destroy(&oracle);
    kiln_graph_destroy(&g);
}

static void quantiles_are_those_of_sorted_rows(void **unused)
{
    (void)unused;
    static const int sizes[] = {1, 2, 7, 64, MOST};
    static const double ratios[] = {0, 0.25, 0.5, 0.9, 0.995, 1};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (size_t j = 0; j < sizeof ratios / sizeof *ratios; j++)
            check_quantiles(sizes[i], ratios[j]);
}

/* Within 1 .. max: small samples are clipped to +-1, large ones divided. */
static void samples_are_scaled_on_their_own(void **unused)
{
    (void)unused;
    kiln_graph *g = kiln_graph_create();
    kiln_oracle *oracle = kiln_oracle_create(g, false);
    const double x[3][4] = {{0.5, -0.25, 0.1, 0}, {3, -2, 1, 0.5}, {-100, 50, 8, 0}};
    const double expected[3][4] = {
        {0.5, -0.25, 0.1, 0}, {1, -1, 0.5, 0.25}, {-1, 1, 1, 0}}; /* 0.5, 2 and max = 4 */
    kiln_node node =
        dynamic_threshold(g, kiln_input(g, "x", KILN_F32, KILN_SHAPE(3, 1, 2, 2)), 2.0 / 3, 4);
    struct kiln_error error;
    assert_int_equal(kiln_oracle_set(oracle, "x", x[0], 12, &error), KILN_OK);
    if (kiln_oracle_evaluate(oracle, 1, &node, &error))
        fail_msg("%s", error.text);
    for (int i = 0; i < 12; i++)
        assert_true(fabs(kiln_oracle_value(oracle, node)[i] - expected[i / 4][i % 4]) < 1e-6);
    kiln_oracle_destroy(&oracle);
    kiln_graph_destroy(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantiles_are_those_of_sorted_rows),
        cmocka_unit_test(samples_are_scaled_on_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
