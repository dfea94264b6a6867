/* The INI reader: what it accepts, and one line for what it refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/text.h"
#include "core/run/ini.h"

static enum kiln_status record(void *user, const char *section, const char *key, const char *value,
                               int line, struct kiln_error *error)
{
    (void)error;
    kiln_text_append(user, "%d [%s] %s=%s|", line, section, key, value);
    return KILN_OK;
}

/* Parses n bytes and compares what was received, and the error ("" = none). */
static void expect_bytes(const char *text, size_t n, const char *received, const char *message)
{
    struct kiln_text seen = {0};
    struct kiln_error error = {""};
    kiln_text_append(&seen, "%s", "");
    enum kiln_status status = kiln_ini_parse("f", text, n, record, &seen, &error);
    assert_string_equal(error.text, message);
    assert_int_equal(status, *message ? KILN_INPUT : KILN_OK);
    if (received)
        assert_string_equal(seen.data, received);
    kiln_text_finish(&seen);
}

static void expect(const char *text, const char *received, const char *message)
{
    expect_bytes(text, strlen(text), received, message);
}

static void accepts_the_language(void **unused)
{
    (void)unused;
    expect("", "", "");
    expect("\n\n  \n; c\n# c\n", "", "");
    expect("[a]\nk=v\n", "2 [a] k=v|", "");
    expect("[a]\nk = v w \n\n  l\t=\tx", "2 [a] k=v w|4 [a] l=x|", "");
    expect("k=v\n[a]\nk=", "1 [] k=v|3 [a] k=|", "");
    expect("[a] ; note\nk = 1 ; c\nl = 1;c\nm = 1 # c\nn = 1#c\no = ;c\n",
           "2 [a] k=1|3 [a] l=1;c|4 [a] m=1|5 [a] n=1#c|6 [a] o=|", "");
    expect("[a]\r\nk = v\r\n", "2 [a] k=v|", "");
    expect("\xef\xbb\xbf[a]\nk = v\n", "2 [a] k=v|", "");
    expect("[a]\nk = a = b\nd = opencl:0\n", "2 [a] k=a = b|3 [a] d=opencl:0|", "");
    expect("[a]\nk = \xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80\n",
           "2 [a] k=\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80|", "");
}

/* An indented key is a key, not inih's continuation of the last value. */
static void strips_indentation(void **unused)
{
    (void)unused;
    expect("[a]\nk = 1\n  lr = 2\n\tm = 3\n  [b]\n  k = 4\n",
           "2 [a] k=1|3 [a] lr=2|4 [a] m=3|6 [b] k=4|", "");
    expect("[a]\nk = 1\n  more\n", NULL, "f:3: expected 'key = value' or '[section]'");
}

static void refuses_bad_lines(void **unused)
{
    (void)unused;
    static const char *const rows[][2] = {
        {"[a]\nnonsense\n", "f:2: expected 'key = value' or '[section]'"},
        {"[a]\n=5\n", "f:2: expected a key before '='"},
        {"[a]\npath:C=/x\n", "f:2: path:C: a key is 1 to 49 letters, digits, '_' or '-'"},
        {"[a]\npath: C\n", "f:2: expected 'key = value' or '[section]'"},
        {"[a]\na b = 1\n", "f:2: a b: a key is 1 to 49 letters, digits, '_' or '-'"},
        {"[a] junk\n", "f:1: unexpected text after ']'"},
        {"[a]]\n", "f:1: unexpected text after ']'"},
        {"[a]\nk=1\n[b\nk=2\n", "f:3: expected ']' after the section's name"},
        {"[]\n", "f:1: []: a section's name is 1 to 49 letters, digits, '_' or '-'"},
        {"[a b]\n", "f:1: [a b]: a section's name is 1 to 49 letters, digits, '_' or '-'"},
        {"[ a]\n", "f:1: [ a]: a section's name is 1 to 49 letters, digits, '_' or '-'"},
        {"[a]\n\n[b]\n[a]\n", "f:4: [a]: duplicate section (the first is in line 1)"},
        {"[a]\rk=1\r", "f:1: carriage return without a line feed"},
        {"[a]\nk=1\r\r\n", "f:2: carriage return without a line feed"},
        {"[a]\nk=1\r", "f:2: carriage return without a line feed"},
        {"[a]\nk=\x1b[31m\n", "f:2: control character"},
        {"[a]\nk=\x7f\n", "f:2: control character"},
        {"[a]\nk=\xff\xfe\n", "f:2: not UTF-8 text"},
        {"; \xc3\n", "f:1: not UTF-8 text"},
        {"k=\xc0\x80", "f:1: not UTF-8 text"},
        {"k=\xe0\x80\x80", "f:1: not UTF-8 text"},
        {"k=\xed\xa0\x80", "f:1: not UTF-8 text"},
        {"k=\xf4\x90\x80\x80", "f:1: not UTF-8 text"},
        {"k=\xf8\x88\x80\x80\x80", "f:1: not UTF-8 text"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        expect(rows[i][0], NULL, rows[i][1]);
    expect_bytes("[a]\nk\0=1\n", 9, "", "f:2: NUL byte");
    expect_bytes("\0[a]\nk=1\n", 9, "", "f:1: NUL byte");
    expect_bytes("\xff\xfe[\0a\0]\0", 8, "", "f:1: not UTF-8 text");
    expect_bytes("[\0a\0]\0\n\0", 8, "", "f:1: NUL byte");
}

/* Every length around the limit; the longer one hides a second key that inih
 * alone would have accepted. */
static void refuses_long_lines(void **unused)
{
    (void)unused;
    static char text[1 << 20];
    for (size_t n = 190; n <= 210; n++) {
        int head = snprintf(text, sizeof text, "[a]\nk=");
        memset(text + head, 'x', n - 2);
        memcpy(text + head + n - 2 - 7, " lr=0.5", 7);
        memcpy(text + head + n - 2, "\nz=1\n", 6);
        struct kiln_text wanted = {0};
        if (n <= 198)
            kiln_text_append(&wanted, "2 [a] k=%.*s|3 [a] z=1|", (int)n - 2, text + head);
        else
            kiln_text_append(&wanted, "%s", "");
        expect(text, wanted.data, n <= 198 ? "" : "f:2: line longer than 198 bytes");
        kiln_text_finish(&wanted);
    }
    memset(text, 'x', 4096);
    memcpy(text, "k=", 2);
    expect_bytes(text, 4096, "", "f:1: line longer than 198 bytes");
    memset(text, ';', sizeof text);
    expect_bytes(text, sizeof text, "", "f:1: line longer than 198 bytes");
}

static void limits_names_and_sizes(void **unused)
{
    (void)unused;
    char name[51], text[200], wanted[200];
    memset(name, 'n', 50);
    name[50] = '\0';
    snprintf(text, sizeof text, "[%s]\n", name);
    snprintf(wanted, sizeof wanted,
             "f:1: [%s]: a section's name is 1 to 49 letters, digits, '_' or '-'", name);
    expect(text, "", wanted);
    snprintf(text, sizeof text, "[%s]\n%s=1\n", name + 1, name + 1);
    snprintf(wanted, sizeof wanted, "2 [%s] %s=1|", name + 1, name + 1);
    expect(text, wanted, "");

    size_t n = KILN_INI_MAX_BYTES + 1;
    char *large = malloc(n);
    assert_non_null(large);
    memset(large, '\n', n);
    expect_bytes(large, n - 1, "", "");
    expect_bytes(large, n, "", "f: larger than 1 MiB");
    free(large);

    struct kiln_text sections = {0};
    for (int i = 0; i < 257; i++)
        kiln_text_append(&sections, "[s%d]\n", i);
    expect(sections.data, "", "f:257: more than 256 sections");
    kiln_text_finish(&sections);
}

static enum kiln_status refuse(void *user, const char *section, const char *key, const char *value,
                               int line, struct kiln_error *error)
{
    (void)section, (void)value, (void)line;
    ++*(int *)user;
    return strcmp(key, "bad") == 0 ? kiln_fail(error, KILN_MACHINE, "no") : KILN_OK;
}

static void stops_at_the_first_failure(void **unused)
{
    (void)unused;
    static const char text[] = "[a]\nk=1\nbad=2\nbad=3\nnonsense\n";
    int calls = 0;
    struct kiln_error error;
    assert_int_equal(kiln_ini_parse("f", text, strlen(text), refuse, &calls, &error), KILN_MACHINE);
    assert_string_equal(error.text, "no");
    assert_int_equal(calls, 2);
}

static void knows_what_can_be_written(void **unused)
{
    (void)unused;
    assert_true(kiln_ini_value_valid("k", ""));
    assert_true(kiln_ini_value_valid("k", "a b;c#d = [e]"));
    assert_true(kiln_ini_value_valid("k", "#fff"));
    struct kiln_text colour = {0};
    kiln_ini_write(&colour, "k", "#fff");
    expect(colour.data, "1 [] k=#fff|", "");
    kiln_text_finish(&colour);
    static const char *const bad[] = {" a",    "a ",  "\ta",  "a ;b", "a #b",
                                      "a\t;b", "# ;", "a\nb", "a\rb", "\xff"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(kiln_ini_value_valid("k", bad[i]));
    char value[200];
    memset(value, 'v', sizeof value);
    value[196] = '\0';
    assert_true(kiln_ini_value_valid("k", value));
    assert_false(kiln_ini_value_valid("kk", value));
    for (size_t n = 190; n <= 196; n++) { /* the longest values read back as well */
        struct kiln_text text = {0};
        char wanted[256];
        value[n] = '\0';
        kiln_ini_write(&text, "k", value);
        snprintf(wanted, sizeof wanted, "1 [] k=%s|", value);
        expect(text.data, wanted, "");
        kiln_text_finish(&text);
        value[n] = 'v';
    }
    assert_false(kiln_ini_name_valid(""));
    assert_true(kiln_ini_name_valid("a_B-9"));
    assert_false(kiln_ini_name_valid("a.b"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_the_language),      cmocka_unit_test(strips_indentation),
        cmocka_unit_test(refuses_bad_lines),         cmocka_unit_test(refuses_long_lines),
        cmocka_unit_test(limits_names_and_sizes),    cmocka_unit_test(stops_at_the_first_failure),
        cmocka_unit_test(knows_what_can_be_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
