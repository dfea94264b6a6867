/* Reports of studies as text, JSON and picture. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka wants these first */
#include <cmocka.h>

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/run/study.h"

static struct kiln_error error;

static kiln_report *filled(void)
{
    kiln_report *report = kiln_report_create();
    assert_non_null(report);
    kiln_report_table(report, "loss");
    kiln_report_value(report, "first", "at the end", 0.125);
    kiln_report_value(report, "second row", "at the end", -2);
    kiln_report_value(report, "second row", "a long column name", NAN);
    kiln_report_value(report, "first", "at the end", 0.25); /* the last counts */
    kiln_report_table(report, "other");
    kiln_report_value(report, "x", "y", INFINITY);
    return report;
}

static void tables_are_aligned(void **unused)
{
    (void)unused;
    kiln_report *report = filled();
    struct kiln_text text = {0};
    kiln_report_text(report, &text);
    assert_string_equal(text.data, "loss\n"
                                   "              at the end  a long column name\n"
                                   "  first             0.25                    \n"
                                   "  second row          -2                   -\n"
                                   "\n"
                                   "other\n"
                                   "              y\n"
                                   "  x         inf");
    kiln_text_finish(&text);
    kiln_report_destroy(&report);
    assert_null(report);
}

static void json_names_every_cell(void **unused)
{
    (void)unused;
    kiln_report *report = filled();
    struct kiln_text text = {0};
    struct kiln_json json = kiln_json_start(&text);
    kiln_json_object(&json, NULL);
    kiln_report_json(report, &json);
    kiln_json_end(&json);
    json_t *root = json_loads(text.data, JSON_REJECT_DUPLICATES, NULL);
    json_t *loss = json_object_get(json_object_get(root, "tables"), "loss");
    json_t *second = json_object_get(loss, "second row");
    assert_float_equal(
        json_real_value(json_object_get(json_object_get(loss, "first"), "at the end")), 0.25, 0);
    assert_float_equal(json_number_value(json_object_get(second, "at the end")), -2, 0);
    assert_true(json_is_null(json_object_get(second, "a long column name")));
    assert_int_equal(json_object_size(json_object_get(loss, "first")), 1);
    json_decref(root);
    kiln_text_finish(&text);
    kiln_report_destroy(&report);
}

static void panels_are_copied(void **unused)
{
    (void)unused;
    kiln_report *report = kiln_report_create();
    struct kiln_image image, again;
    assert_int_equal(kiln_report_draw(report, &image, &error), KILN_INPUT);
    float data[] = {0, 0, 1, 1};
    char title[] = "title", name[] = "name", bar[] = "bar";
    float height[] = {1};
    const char *bars[] = {bar};
    const struct kiln_series line = {.mark = KILN_MARK_LINE, .name = name, .n = 2, .data = data},
                             column = {.mark = KILN_MARK_BARS, .n = 1, .data = height};
    kiln_report_panel(report, &(struct kiln_panel){.title = title, .n_series = 1, .series = &line});
    kiln_report_panel(report, &(struct kiln_panel){.n_series = 1, .series = &column, .bars = bars});
    assert_int_equal(kiln_report_draw(report, &image, &error), KILN_OK);
    data[3] = 7;
    title[0] = name[0] = bar[0] = 'X';
    height[0] = -3;
    bars[0] = "other";
    assert_int_equal(kiln_report_draw(report, &again, &error), KILN_OK);
    assert_int_equal(image.width * image.height, again.width * again.height);
    assert_memory_equal(image.pixels, again.pixels, (size_t)(image.width * image.height * 3));
    kiln_image_finish(&image);
    kiln_image_finish(&again);
    kiln_report_destroy(&report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_are_aligned),
        cmocka_unit_test(json_names_every_cell),
        cmocka_unit_test(panels_are_copied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
