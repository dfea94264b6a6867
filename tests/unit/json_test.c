/* JSON that Kiln writes is what jansson reads. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "core/base/json.h"
#include "core/base/log.h"

static void nesting(void **unused)
{
    (void)unused;
    struct kiln_text text = {0};
    struct kiln_json json = kiln_json_start(&text);
    kiln_json_object(&json, NULL);
    kiln_json_int(&json, "step", -100);
    kiln_json_array(&json, "list");
    kiln_json_bool(&json, NULL, true);
    kiln_json_object(&json, NULL);
    kiln_json_end(&json);
    kiln_json_string(&json, NULL, NULL);
    kiln_json_end(&json);
    kiln_json_bool(&json, "no", false);
    kiln_json_end(&json);
    assert_string_equal(text.data, "{\"step\": -100, \"list\": [true, {}, null], \"no\": false}");
    kiln_text_finish(&text);
}

static void strings_are_escaped(void **unused)
{
    (void)unused;
    static const struct {
        const char *value, *expected;
    } cases[] = {
        {"plain", "plain"},
        {"\"\\/\n\t\x01\x7f", "\"\\/\n\t\x01\x7f"},
        {"caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80", "caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80"},
        {"\xFF", "\xEF\xBF\xBD"},
        {"\xC0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD"},             /* overlong */
        {"\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"}, /* surrogate */
        {"a\xE2\x82", "a\xEF\xBF\xBD\xEF\xBF\xBD"},           /* cut */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct kiln_text text = {0};
        kiln_json_quote(&text, cases[i].value);
        json_t *read = json_loads(text.data, JSON_DECODE_ANY, NULL);
        assert_non_null(read);
        assert_string_equal(json_string_value(read), cases[i].expected);
        json_decref(read);
        kiln_text_finish(&text);
    }
}

static void assert_number(double value, const char *expected)
{
    struct kiln_text text = {0};
    struct kiln_json json = kiln_json_start(&text);
    kiln_json_number(&json, NULL, value);
    if (expected)
        assert_string_equal(text.data, expected);
    assert_true(strtod(text.data, NULL) == value || !isfinite(value));
    kiln_text_finish(&text);
}

static void numbers_read_back(void **unused)
{
    (void)unused;
    assert_number(0.1, "0.1");
    assert_number(1.0 / 3, NULL);
    assert_number(5e-324, NULL);
    assert_number(-1.7976931348623157e308, NULL);
    assert_number(NAN, "null");
    assert_number(INFINITY, "null");
    struct kiln_text text = {0};
    struct kiln_json json = kiln_json_start(&text);
    kiln_json_float(&json, NULL, 0.1f);
    assert_string_equal(text.data, "0.1");
    kiln_text_finish(&text);
    for (uint32_t bits = 1; bits < 0x7F800000u; bits += 0x00012345u) {
        float value;
        memcpy(&value, &bits, sizeof value);
        json = kiln_json_start(&text);
        kiln_json_float(&json, NULL, value);
        assert_true(strtof(text.data, NULL) == value);
        kiln_text_finish(&text);
    }
}

static char logged[64];

static void receive(void *user, enum kiln_log_level level, const char *line)
{
    assert_ptr_equal(user, logged);
    assert_int_equal(level, KILN_LOG_NOTE);
    strcpy(logged, line);
}

static void log_goes_to_the_receiver(void **unused)
{
    (void)unused;
    kiln_log_line(KILN_LOG_NOTE, "dropped");
    kiln_log_receiver(receive, logged);
    kiln_log_line(KILN_LOG_NOTE, "%d\n%s", 7, "x");
    assert_string_equal(logged, "7?x");
    kiln_log_receiver(NULL, NULL);
    kiln_log_line(KILN_LOG_NOTE, "dropped");
    assert_string_equal(logged, "7?x");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nesting),
        cmocka_unit_test(strings_are_escaped),
        cmocka_unit_test(numbers_read_back),
        cmocka_unit_test(log_goes_to_the_receiver),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
