/* Pages: escaping, numbers for people, axes, and what is read from a run. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/report/axis.h"
#include "core/report/chart.h"
#include "core/report/html.h"
#include "core/report/run_history.h"
#include "tests/unit/scratch.h"

static void test_escapes_text(void **state)
{
    (void)state;
    struct kiln_text html = {0};
    kiln_html_text(&html, "<a href=\"x\" title='y'>&amp;\xC3\xA9\xFF\x01");
    assert_string_equal(html.data, "&lt;a href=&quot;x&quot; title=&#39;y&#39;&gt;&amp;amp;\xC3\xA9"
                                   "\xEF\xBF\xBD\xEF\xBF\xBD");
    kiln_text_finish(&html);
}

static void test_embeds_pictures(void **state)
{
    (void)state;
    static const struct {
        const char *bytes, *digits;
    } cases[] = {{"M", "TQ=="}, {"Ma", "TWE="}, {"Man", "TWFu"}, {"Many", "TWFueQ=="}};
    for (int i = 0; i < 4; i++) { /* RFC 4648, section 10 in spirit */
        struct kiln_text html = {0};
        char wanted[64];
        kiln_html_png(&html, cases[i].bytes, strlen(cases[i].bytes), "<");
        snprintf(wanted, sizeof wanted, "base64,%s\"", cases[i].digits);
        assert_non_null(strstr(html.data, wanted));
        assert_non_null(strstr(html.data, "alt=\"&lt;\""));
        kiln_text_finish(&html);
    }
}

static void test_writes_numbers(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } numbers[] = {{0, "0"},           {0.00123456, "0.001235"}, {9876, "9876"},
                   {9999.6, "10 k"},   {12345, "12.3 k"},        {4.567e6, "4.57 M"},
                   {1e-9, "1.00e-09"}, {-1.5, "-1.5"},           {NAN, "-"},
                   {999960, "1 M"},    {3.2e13, "32 T"}};
    static const struct {
        double value;
        const char *text;
    } times[] = {{0.00123, "1.23 ms"}, {4.5e-6, "4.5 \xC2\xB5s"}, {45, "45 s"},
                 {200, "3 min 20 s"},  {7500, "2 h 5 min"},       {-1, "-"}};
    char text[64];
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        assert_string_equal(kiln_html_number(numbers[i].value, text, sizeof text), numbers[i].text);
    for (size_t i = 0; i < sizeof times / sizeof *times; i++)
        assert_string_equal(kiln_html_seconds(times[i].value, text, sizeof text), times[i].text);
    assert_string_equal(kiln_html_bytes(1536, text, sizeof text), "1.5 KiB");
    assert_string_equal(kiln_axis_label(0.00105, text, sizeof text), "1.05e-3");
    assert_string_equal(kiln_axis_label(20000, text, sizeof text), "20k");
}

/* Ticks ascend, lie in the range, and the range holds the data. */
static void check_axis(double low, double high, bool logarithmic)
{
    struct kiln_axis axis = kiln_axis_make(low, high, logarithmic, 5);
    axis.start = 10;
    axis.stop = 110;
    assert_true(axis.low < axis.high);
    assert_in_range(axis.n_ticks, 2, KILN_AXIS_MAX_TICKS);
    for (int i = 0; i < axis.n_ticks; i++) {
        double at = kiln_axis_at(&axis, axis.ticks[i]);
        assert_true(at >= 10 - 1e-6 && at <= 110 + 1e-6);
        assert_true(i == 0 || axis.ticks[i] > axis.ticks[i - 1]);
    }
    double slack = 1e-9 * (high - low);
    if (isfinite(slack) && low < high && !(logarithmic && !isfinite(high / low)))
        assert_true(axis.low <= low + slack && axis.high >= high - slack);
}

static void test_axes_have_round_ticks(void **state)
{
    (void)state;
    struct kiln_axis axis = kiln_axis_make(0.3, 9.7, false, 5);
    assert_int_equal(axis.n_ticks, 6);
    assert_true(fabs(axis.ticks[5] - 10) < 1e-9);
    axis = kiln_axis_make(0.03, 70, true, 5);
    assert_true(fabs(axis.low - 0.01) < 1e-9 && fabs(axis.high - 100) < 1e-6);
    const double values[] = {-1e30, -5, -1e-12, 0, 1e-12, 0.001, 0.9999, 1, 1.0001, 17, 1e9, 1e30};
    for (int i = 0; i < 12; i++)
        for (int k = i; k < 12; k++) {
            check_axis(values[i], values[k], false);
            if (values[i] > 0)
                check_axis(values[i], values[k], true);
        }
    check_axis(NAN, NAN, false);
    check_axis(-1e308, 1e308, false);
    check_axis(1e-300, 1e300, true);
    check_axis(INFINITY, -INFINITY, true);
}

/* What cannot be drawn leaves a gap: two paths' beginnings, no "nan". */
static void test_lines_have_gaps(void **state)
{
    (void)state;
    const double x[] = {1, 2, 3, 4}, y[] = {1, NAN, -INFINITY, 2};
    const struct kiln_series series = {.name = "a", .n = 4, .x = x, .y = y};
    const struct kiln_chart chart = {
        .title = "<t>", .x_label = "step", .n_series = 1, .series = &series};
    struct kiln_text html = {0};
    kiln_chart_lines(&html, &chart);
    const char *path = strstr(html.data, "d=\"M");
    assert_non_null(path);
    assert_non_null(strchr(path + 4, 'M'));
    assert_null(strstr(html.data, "nan"));
    assert_null(strstr(html.data, "inf"));
    assert_null(strstr(html.data, "<t>"));
    kiln_text_finish(&html);
    kiln_chart_bars(&html, &(struct kiln_bars){.title = "none", .log = true});
    assert_null(strstr(html.data, "nan"));
    kiln_text_finish(&html);
}

static void test_reads_a_log(void **state)
{
    (void)state;
    struct kiln_run_history history;
    struct kiln_error error;
    const char *good = "{\"step\": 1, \"loss\": 2.5, \"name\": \"x\"}\n"
                       "{\"step\": 2, \"loss\": null, \"lr\": 0.1}\n{\"step\": 3, \"lo";
    const char *path = scratch_write("log.jsonl", good, strlen(good));
    assert_int_equal(kiln_run_history_read(path, &history, &error), KILN_OK);
    assert_int_equal(history.n, 2);
    assert_int_equal(history.n_values, 2);
    assert_true(kiln_run_history_find(&history, "loss")[0] == 2.5);
    assert_true(isnan(kiln_run_history_find(&history, "loss")[1]));
    assert_true(isnan(kiln_run_history_find(&history, "lr")[0]));
    assert_null(kiln_run_history_find(&history, "name"));
    kiln_run_history_finish(&history);
    static const char *const bad[] = {"{\"step\": 1}\nhello\n", "[1]\n", "{\"loss\": 1}\n", "\n",
                                      "{\"step\": \"1\"}\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        path = scratch_write("log.jsonl", bad[i], strlen(bad[i]));
        assert_int_equal(kiln_run_history_read(path, &history, &error), KILN_INPUT);
        assert_non_null(strstr(error.text, "log.jsonl:"));
        kiln_run_history_finish(&history);
    }
    scratch_clear();
}

static void test_finds_grids(void **state)
{
    (void)state;
    char name[64];
    struct kiln_run_grids grids;
    struct kiln_error error;
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof name, i < 10 ? "samples-%d.png" : "samples-%d.txt", i * 100);
        scratch_write(name, "x", 1);
    }
    assert_int_equal(kiln_run_grids_find(scratch_path(""), 4, &grids, &error), KILN_OK);
    assert_int_equal(grids.n, 4);
    assert_int_equal(grids.steps[0], 0);
    assert_int_equal(grids.steps[1], 300);
    assert_int_equal(grids.steps[3], 900);
    free(grids.steps);
    scratch_clear();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_escapes_text),    cmocka_unit_test(test_embeds_pictures),
        cmocka_unit_test(test_writes_numbers),  cmocka_unit_test(test_axes_have_round_ticks),
        cmocka_unit_test(test_lines_have_gaps), cmocka_unit_test(test_reads_a_log),
        cmocka_unit_test(test_finds_grids),
    };
    return cmocka_run_group_tests(tests, scratch_create, scratch_destroy);
}
