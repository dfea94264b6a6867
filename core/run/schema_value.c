/* Reading a value as its option's type says, whatever the locale. */
#define _POSIX_C_SOURCE 200809L
#include "core/run/schema.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const type_names[] = {"bool",   "int",  "float", "string",
                                         "choice", "ints", "floats"};

const char *kiln_option_type_name(enum kiln_option_type type)
{
    return type_names[type];
}

static bool is_list(enum kiln_option_type type)
{
    return type == KILN_OPTION_INTS || type == KILN_OPTION_FLOATS;
}

static bool is_whole(enum kiln_option_type type)
{
    return type == KILN_OPTION_INT || type == KILN_OPTION_INTS;
}

static bool is_number(enum kiln_option_type type)
{
    return is_list(type) || is_whole(type) || type == KILN_OPTION_FLOAT;
}

void kiln_option_range(const struct kiln_option *option, char *text, size_t size)
{
    text[0] = '\0';
    if (option->type == KILN_OPTION_CHOICE) {
        size_t used = 0;
        for (const char *c = option->choices; *c && used + 3 < size; c++) {
            if (*c == '|')
                text[used++] = ',';
            text[used++] = *c == '|' ? ' ' : *c;
            text[used] = '\0';
        }
    } else if (is_number(option->type) && (option->min != 0 || option->max != 0)) {
        if (option->max == KILN_SCHEMA_NO_LIMIT)
            snprintf(text, size, ">= %.16g", option->min);
        else
            snprintf(text, size, "%.16g..%.16g", option->min, option->max);
    }
}

/* "expected a whole number in 1..9, got "x"" */
static enum kiln_status fail_expected(const struct kiln_option *option, const char *text,
                                      struct kiln_error *error)
{
    char range[256];
    kiln_option_range(option, range, sizeof range);
    const char *what = "true or false";
    if (is_number(option->type))
        what = is_whole(option->type) ? "a whole number" : "a number";
    if (option->type == KILN_OPTION_CHOICE)
        what = "one of";
    const char *joint = "";
    if (range[0])
        joint = option->type == KILN_OPTION_CHOICE || range[0] == '>' ? " " : " in ";
    return kiln_fail(error, KILN_INPUT, "expected %s%s%s%s, got \"%s\"",
                     is_list(option->type) ? "a comma-separated list, each " : "", what, joint,
                     range, text);
}

/* True if text is a decimal number: what strtod takes but for hexadecimal,
 * infinity, NaN and blanks. */
static bool is_decimal(const char *text, bool whole)
{
    static const char digits[] = "0123456789";
    text += *text == '+' || *text == '-';
    size_t before = strspn(text, digits), after = 0;
    text += before;
    if (whole)
        return before && !*text;
    if (*text == '.') {
        text++;
        after = strspn(text, digits);
        text += after;
    }
    if (!before && !after)
        return false;
    if (*text == 'e' || *text == 'E') {
        text++;
        text += *text == '+' || *text == '-';
        size_t exponent = strspn(text, digits);
        if (!exponent)
            return false;
        text += exponent;
    }
    return !*text;
}

/* strtod with a decimal point in any locale; false when out of memory. */
static bool read_double(const char *text, double *number)
{
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (plain == (locale_t)0)
        return false;
    locale_t before = uselocale(plain);
    *number = strtod(text, NULL);
    uselocale(before);
    freelocale(plain);
    return true;
}

static enum kiln_status parse_number(const struct kiln_option *option, const char *text,
                                     int64_t *integer, double *number, struct kiln_error *error)
{
    bool whole = is_whole(option->type);
    if (!is_decimal(text, whole))
        return fail_expected(option, text, error);
    if (whole) {
        errno = 0;
        *integer = strtoll(text, NULL, 10);
        if (errno)
            return fail_expected(option, text, error);
        *number = (double)*integer;
    } else {
        if (!read_double(text, number))
            return kiln_fail(error, KILN_MACHINE, "out of memory");
        if (!isfinite(*number))
            return fail_expected(option, text, error);
    }
    bool bounded = option->min != 0 || option->max != 0;
    if (bounded && !(*number >= option->min && *number <= option->max))
        return fail_expected(option, text, error);
    return KILN_OK;
}

static enum kiln_status parse_list(const struct kiln_option *option, const char *text,
                                   struct kiln_option_value *value, struct kiln_error *error)
{
    static const char blanks[] = " \t";
    const char *at = text + strspn(text, blanks);
    size_t capacity = 0, n = 0;
    while (*at) {
        char item[64];
        size_t length = strcspn(at, ","), used = length;
        while (used && strchr(blanks, at[used - 1]))
            used--;
        int64_t integer;
        double number;
        if (!kiln_array_grow(&value->list, &capacity, n, sizeof *value->list))
            return kiln_fail(error, KILN_MACHINE, "out of memory");
        if (used >= sizeof item)
            return fail_expected(option, text, error);
        snprintf(item, sizeof item, "%.*s", (int)used, at);
        enum kiln_status status = parse_number(option, item, &integer, &number, error);
        if (status)
            return status == KILN_INPUT ? fail_expected(option, text, error) : status;
        value->list[n++] = number;
        at += length;
        if (*at == ',') {
            at++;
            at += strspn(at, blanks);
            if (!*at) /* nothing after the last comma */
                return fail_expected(option, text, error);
        }
    }
    value->n = (int)n;
    return KILN_OK;
}

static enum kiln_status parse_bool(const struct kiln_option *option, const char *text, bool *flag,
                                   struct kiln_error *error)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "0", "1"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(text, words[i]) == 0) {
            *flag = i % 2;
            return KILN_OK;
        }
    return fail_expected(option, text, error);
}

static bool is_choice(const char *choices, const char *text)
{
    size_t n = strlen(text);
    for (const char *at = choices; n;) {
        size_t length = strcspn(at, "|");
        if (length == n && memcmp(at, text, n) == 0)
            return true;
        if (!at[length])
            break;
        at += length + 1;
    }
    return false;
}

enum kiln_status kiln_option_parse(const struct kiln_option *option, const char *text,
                                   struct kiln_option_value *value, struct kiln_error *error)
{
    enum kiln_status status = KILN_OK;
    *value = (struct kiln_option_value){0};
    switch (option->type) {
    case KILN_OPTION_BOOL:
        status = parse_bool(option, text, &value->flag, error);
        break;
    case KILN_OPTION_INT:
    case KILN_OPTION_FLOAT:
        status = parse_number(option, text, &value->integer, &value->number, error);
        break;
    case KILN_OPTION_INTS:
    case KILN_OPTION_FLOATS:
        status = parse_list(option, text, value, error);
        break;
    case KILN_OPTION_CHOICE:
        if (!is_choice(option->choices, text))
            status = fail_expected(option, text, error);
        break;
    case KILN_OPTION_STRING:
        break;
    }
    if (status) {
        free(value->list);
        *value = (struct kiln_option_value){0};
    }
    return status;
}
