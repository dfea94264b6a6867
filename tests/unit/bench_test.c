/* The benchmark's own parts: what results should be, which samples count, files. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/bench/compare.h"
#include "core/bench/op_run.h"
#include "core/bench/suite_file.h"
#include "core/bench/timing.h"
#include "core/report/table.h"
#include "tests/unit/scratch.h"

/* --- operations -------------------------------------------------------------------------- */

static double expect(enum kiln_op_family family, const int64_t size[7], const float *a,
                     const float *b, const float *c, const float *d, int64_t index)
{
    struct kiln_op_case op_case = {.name = "t", .family = family};
    const float *inputs[KILN_OP_MAX_INPUTS] = {a, b, c, d};
    double magnitude;
    memcpy(op_case.size, size, sizeof op_case.size);
    double value = kiln_op_expect(&op_case, family, inputs, index, &magnitude);
    assert_true(magnitude >= fabs(value) * (1 - 1e-12));
    return value;
}

#define NEAR(a, b) assert_true(fabs((a) - (b)) < 1e-6)
#define SIZE(...)  ((const int64_t[7]){__VA_ARGS__})

static void test_expects_by_definition(void **state)
{
    (void)state;
    const float a[] = {1, 2, 3, 4, 5, 6, 7, 8, 9}, b[] = {1, -1, 2, 0.5f}, one[] = {1},
                zero[] = {0};
    /* [[1, 2], [3, 4]] [[1, -1], [2, .5]] = [[5, 0], [11, -1]] */
    NEAR(expect(KILN_FAMILY_MATMUL, SIZE(2, 2, 2), a, b, NULL, NULL, 2), 11);
    NEAR(expect(KILN_FAMILY_MATMUL, SIZE(2, 2, 2), a, b, NULL, NULL, 3), -1);
    /* 3 x 3 picture, 2 x 2 kernel without padding: 1 1 - 2 1 + 4 2 + 5 .5 */
    NEAR(expect(KILN_FAMILY_CONV, SIZE(1, 1, 3, 1, 2, 1, 0), a, b, NULL, NULL, 0), 9.5);
    /* stride 2, padding 1: the corner sees the last tap of the first pixel */
    NEAR(expect(KILN_FAMILY_CONV, SIZE(1, 1, 3, 1, 2, 2, 1), a, b, NULL, NULL, 0), 0.5);
    /* the centre pixel collects all four outputs: 1 .5 + 2 2 - 3 1 + 4 1 */
    NEAR(expect(KILN_FAMILY_CONV_INPUT_GRAD, SIZE(1, 1, 3, 1, 2, 1, 0), a, b, NULL, NULL, 4), 5.5);
    /* tap 0 0: 1 1 - 2 1 + 4 2 + 5 .5 */
    NEAR(expect(KILN_FAMILY_CONV_WEIGHT_GRAD, SIZE(1, 1, 3, 1, 2, 1, 0), a, b, NULL, NULL, 0), 9.5);
    NEAR(expect(KILN_FAMILY_SOFTMAX, SIZE(1, 2), a, NULL, NULL, NULL, 0),
         1 / (1 + exp(a[1] - a[0])));
    NEAR(expect(KILN_FAMILY_REDUCTION, SIZE(2, 2, 1), a, NULL, NULL, NULL, 1), 2 + 4);
    NEAR(expect(KILN_FAMILY_REDUCTION, SIZE(2, 2, 1, 1), a, NULL, NULL, NULL, 0), 10);
    NEAR(expect(KILN_FAMILY_CONCAT, SIZE(2, 1, 1), a, b, NULL, NULL, 3), -1);
    NEAR(expect(KILN_FAMILY_TRANSPOSE, SIZE(1, 2, 3), a, NULL, NULL, NULL, 1), 4);
    NEAR(expect(KILN_FAMILY_POINTWISE, SIZE(1, 1, 1), a, one, zero, one, 0), 1 + 1 / (1 + exp(-1)));
    /* equal keys: the mean of the values */
    NEAR(expect(KILN_FAMILY_ATTENTION, SIZE(1, 2, 1), a, (const float[]){3, 3}, a, NULL, 1), 1.5);
    /* the greatest of -1, 1 after normalising */
    NEAR(
        expect(KILN_FAMILY_NORM, SIZE(1, 2, 1, 1), (const float[]){-100, 100}, NULL, NULL, NULL, 1),
        1 / (1 + exp(-1)));
}

static void test_counts_work(void **state)
{
    (void)state;
    int conv = 0;
    for (int i = 0; i < kiln_n_op_cases; i++) {
        const struct kiln_op_case *c = &kiln_op_cases[i];
        struct kiln_op_shapes shapes = kiln_op_shapes(c, c->family);
        assert_in_range(shapes.n_inputs, 1, KILN_OP_MAX_INPUTS);
        assert_true(shapes.bytes > 0);
        for (int k = 0; k < i; k++)
            assert_false(c->family == kiln_op_cases[k].family &&
                         !strcmp(c->name, kiln_op_cases[k].name));
        conv += c->family == KILN_FAMILY_CONV;
        if (!strcmp(c->name, "1008x960x1024"))
            assert_true(shapes.flops == 2.0 * 1008 * 960 * 1024);
        if (!strcmp(c->name, "64->64 28x28 k3"))
            assert_true(shapes.flops == 2.0 * 64 * 784 * 64 * 64 * 9);
    }
    assert_true(conv > 10);
}

/* --- samples --------------------------------------------------------------------------------- */

static struct kiln_suite_times judge(int n, const double *seconds, const double *probes)
{
    struct kiln_timing_device device = {.best = 100};
    struct kiln_timing_job job = {.device = &device, .n = n};
    memcpy(job.seconds, seconds, (size_t)n * sizeof *seconds);
    memcpy(job.probes, probes, (size_t)n * sizeof *probes);
    return kiln_timing_result(&job);
}

static void test_drops_disturbed_samples(void **state)
{
    (void)state;
    const double seconds[] = {1, 9, 2, 8, 3, 7}, mixed[] = {99, 50, 100, 40, 86, 84};
    struct kiln_suite_times times = judge(6, seconds, mixed);
    assert_int_equal(times.n, 3);
    assert_int_equal(times.dropped, 3);
    assert_false(times.disturbed);
    assert_true(times.median == 2 && fabs(times.p10 - 1.2) < 1e-9 && fabs(times.p90 - 2.8) < 1e-9);
    /* nothing was quiet: the best third at least, and it says so */
    const double low[] = {60, 50, 55, 10, 20, 30};
    times = judge(6, seconds, low);
    assert_int_equal(times.n, 3);
    assert_true(times.disturbed);
    assert_true(times.median == 2);
    assert_int_equal(judge(0, seconds, low).n, 0);
}

/* A job that fails is left out and keeps its reason; the others go on. */
static enum kiln_status sometimes_fail(void *user, int repetitions, struct kiln_error *error)
{
    int *left = user;
    return (*left -= repetitions) < 0 ? kiln_fail(error, KILN_MACHINE, "out of luck") : KILN_OK;
}

static void test_keeps_reasons(void **state)
{
    (void)state;
    struct kiln_timing_device device = {.best = 0};
    int few = 5, many = 1000;
    struct kiln_timing_job bad = {
        .device = &device, .run = sometimes_fail, .user = &few, .repetitions = 2};
    struct kiln_timing_job good = {
        .device = &device, .run = sometimes_fail, .user = &many, .repetitions = 1};
    struct kiln_timing_job *jobs[] = {&bad, &good};
    const struct kiln_timing_options options = {.samples = 5, .job_seconds = 10};
    kiln_timing_run(2, jobs, &options);
    assert_int_equal(bad.status, KILN_MACHINE);
    assert_string_equal(bad.failure.text, "out of luck");
    assert_int_equal(kiln_timing_result(&bad).n, 0);
    assert_int_equal(kiln_timing_result(&good).n, 5);
}

/* --- files --------------------------------------------------------------------------------------
 */

static void make_suite(struct kiln_suite *suite)
{
    *suite = (struct kiln_suite){.quick = true};
    kiln_suite_describe_host(suite);
    struct kiln_suite_device *device = kiln_suite_add_device(suite);
    strcpy(device->name, "cpu");
    strcpy(device->device, "A \"quoted\" <processor>");
    device->peak_flops = 1e11;
    device->n_bandwidths = 2;
    device->bandwidths[0] = (struct kiln_suite_bandwidth){1e6, 2e11};
    device->bandwidths[1] = (struct kiln_suite_bandwidth){1e8, 2e10};
    struct kiln_suite_op *op = kiln_suite_add_op(suite);
    strcpy(op->device, "cpu");
    strcpy(op->name, "matmul 1");
    op->flops = 1e9;
    op->bytes = 1e6;
    op->times = (struct kiln_suite_times){0.02, 0.01, 0.03, 7, 2, true};
    op = kiln_suite_add_op(suite);
    strcpy(op->name, "matmul 2");
    strcpy(op->failure, "it broke");
    strcpy(kiln_suite_add_model(suite)->name, "vae");
}

static void test_limits_by_peaks(void **state)
{
    (void)state;
    struct kiln_suite suite;
    make_suite(&suite);
    assert_true(kiln_suite_limit(&suite.devices[0], &suite.ops[0]) == 0.01);
    assert_true(kiln_suite_bandwidth_at(&suite.devices[0], 1e7) == 2e10);
    assert_true(kiln_suite_bandwidth_at(&suite.devices[0], 1e12) == 2e10);
    kiln_suite_finish(&suite);
}

static void test_files_keep_everything(void **state)
{
    (void)state;
    struct kiln_suite suite, read;
    struct kiln_text first = {0}, second = {0};
    struct kiln_error error = {""};
    make_suite(&suite);
    kiln_suite_write(&suite, &first);
    assert_int_equal(
        kiln_suite_read(scratch_write("a.json", first.data, first.length), &read, &error), KILN_OK);
    kiln_suite_write(&read, &second);
    assert_string_equal(first.data, second.data);
    assert_int_equal(read.n_ops, 2);
    assert_string_equal(read.ops[1].failure, "it broke");
    assert_non_null(strstr(first.data, "\"percent_of_peak\": 50"));
    kiln_suite_finish(&read);
    /* every way to be cut short or have a wrong type is one message */
    for (size_t length = 0; length + 2 < first.length; length += 7) {
        assert_int_equal(
            kiln_suite_read(scratch_write("a.json", first.data, length), &read, &error),
            KILN_INPUT);
        kiln_suite_finish(&read);
    }
    static const char *const wrong[][2] = {
        {"\"format\": 1", "\"format\": 2"},     {"\"flops\": 1e+09", "\"flops\": \"x\""},
        {"\"median\": 0.02", "\"median\": -1"}, {"\"p10\": 0.01", "\"p10\": 0"},
        {"\"kiln bench\"", "\"other\""},        {"\"quick\": true", "\"quick\": 1"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct kiln_text text = {0};
        const char *at = strstr(first.data, wrong[i][0]);
        if (!at)
            fail_msg("%s is not in the file: %s", wrong[i][0], first.data);
        kiln_text_append(&text, "%.*s%s%s", (int)(at - first.data), first.data, wrong[i][1],
                         at + strlen(wrong[i][0]));
        assert_int_equal(
            kiln_suite_read(scratch_write("a.json", text.data, text.length), &read, &error),
            KILN_INPUT);
        assert_non_null(strstr(error.text, "a.json"));
        kiln_suite_finish(&read);
        kiln_text_finish(&text);
    }
    kiln_text_finish(&first);
    kiln_text_finish(&second);
    kiln_suite_finish(&suite);
    scratch_clear();
}

static void test_compares_times(void **state)
{
    (void)state;
    struct kiln_suite a, b;
    struct kiln_suite_comparison comparison;
    struct kiln_error error;
    make_suite(&a);
    make_suite(&b);
    b.ops[0].times.median = 0.024;
    assert_int_equal(kiln_suite_compare(&a, &b, 0.25, &comparison, &error), KILN_OK);
    assert_int_equal(comparison.n, 1); /* what failed in the first is no pair */
    assert_int_equal(comparison.slower, 0);
    assert_true(fabs(comparison.mean_ratio - 1.2) < 1e-9);
    kiln_suite_comparison_finish(&comparison);
    assert_int_equal(kiln_suite_compare(&a, &b, 0.1, &comparison, &error), KILN_OK);
    assert_int_equal(comparison.slower, 1);
    kiln_suite_comparison_finish(&comparison);
    /* one device each: names need not agree */
    strcpy(b.devices[0].name, "opencl:0");
    strcpy(b.ops[0].device, "opencl:0");
    assert_int_equal(kiln_suite_compare(&a, &b, 0.5, &comparison, &error), KILN_OK);
    assert_string_equal(comparison.pairs[0].device, "cpu, opencl:0");
    kiln_suite_comparison_finish(&comparison);
    /* failed in the second only */
    strcpy(b.ops[0].failure, "lost");
    assert_int_equal(kiln_suite_compare(&a, &b, 0.5, &comparison, &error), KILN_OK);
    assert_int_equal(comparison.slower, 1);
    assert_string_equal(comparison.pairs[0].note, "lost");
    kiln_suite_comparison_finish(&comparison);
    b.version++;
    assert_int_equal(kiln_suite_compare(&a, &b, 0.5, &comparison, &error), KILN_INPUT);
    kiln_suite_comparison_finish(&comparison);
    kiln_suite_finish(&a);
    kiln_suite_finish(&b);
}

static void test_tables_have_three_forms(void **state)
{
    (void)state;
    struct kiln_table table;
    struct kiln_text text = {0};
    kiln_table_begin(&table, "name|#value|empty");
    kiln_table_cell(&table, "a|<b>");
    kiln_table_cell(&table, "1");
    kiln_table_end_row(&table);
    kiln_table_cell(&table, "\xC3\xA9");
    kiln_table_cell(&table, "123456");
    kiln_table_end_row(&table);
    kiln_table_show(&table, KILN_TABLE_PLAIN, &text);
    assert_string_equal(text.data, "name    value\na|<b>       1\n\xC3\xA9      123456\n");
    kiln_text_finish(&text);
    kiln_table_show(&table, KILN_TABLE_MARKDOWN, &text);
    assert_string_equal(text.data,
                        "| name | value |\n|---|---:|\n| a\\|\\<b> | 1 |\n| \xC3\xA9 | 123456 |\n");
    kiln_text_finish(&text);
    kiln_table_show(&table, KILN_TABLE_HTML, &text);
    assert_non_null(strstr(text.data, "<td>a|&lt;b&gt;</td><td class=\"n\">1</td></tr>"));
    kiln_text_finish(&text);
    kiln_table_finish(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expects_by_definition),
        cmocka_unit_test(test_counts_work),
        cmocka_unit_test(test_drops_disturbed_samples),
        cmocka_unit_test(test_keeps_reasons),
        cmocka_unit_test(test_limits_by_peaks),
        cmocka_unit_test(test_files_keep_everything),
        cmocka_unit_test(test_tables_have_three_forms),
        cmocka_unit_test(test_compares_times),
    };
    return cmocka_run_group_tests(tests, scratch_create, scratch_destroy);
}
