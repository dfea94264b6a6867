/* Writing JSON. */
#include "core/base/json.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct kiln_json kiln_json_start(struct kiln_text *text)
{
    return (struct kiln_json){.text = text};
}

void kiln_json_quote(struct kiln_text *text, const char *value)
{
    kiln_text_bytes(text, "\"", 1);
    for (const unsigned char *s = (const unsigned char *)value; *s;) {
        int n = kiln_utf8_length((const char *)s);
        if (n == 0) {
            kiln_text_bytes(text, "\xEF\xBF\xBD", 3);
            n = 1;
        } else if (*s == '"' || *s == '\\') {
            kiln_text_append(text, "\\%c", *s);
        } else if (*s == '\n') {
            kiln_text_bytes(text, "\\n", 2);
        } else if (*s < 0x20 || *s == 0x7F) {
            kiln_text_append(text, "\\u%04x", *s);
        } else {
            kiln_text_bytes(text, (const char *)s, (size_t)n);
        }
        s += n;
    }
    kiln_text_bytes(text, "\"", 1);
}

/* What stands before a value: the comma and the member's name. */
static void lead(struct kiln_json *json, const char *key)
{
    if (json->depth > 0) {
        bool *filled = &json->filled[json->depth - 1];
        if (*filled)
            kiln_text_bytes(json->text, ", ", 2);
        *filled = true;
    }
    if (key) {
        kiln_json_quote(json->text, key);
        kiln_text_bytes(json->text, ": ", 2);
    }
}

static void open_level(struct kiln_json *json, const char *key, char opening, char closing)
{
    assert(json->depth < KILN_JSON_MAX_DEPTH);
    lead(json, key);
    kiln_text_bytes(json->text, &opening, 1);
    json->close[json->depth] = closing;
    json->filled[json->depth++] = false;
}

void kiln_json_object(struct kiln_json *json, const char *key)
{
    open_level(json, key, '{', '}');
}

void kiln_json_array(struct kiln_json *json, const char *key)
{
    open_level(json, key, '[', ']');
}

void kiln_json_end(struct kiln_json *json)
{
    assert(json->depth > 0);
    kiln_text_bytes(json->text, &json->close[--json->depth], 1);
}

void kiln_json_string(struct kiln_json *json, const char *key, const char *value)
{
    lead(json, key);
    if (value)
        kiln_json_quote(json->text, value);
    else
        kiln_text_bytes(json->text, "null", 4);
}

void kiln_json_int(struct kiln_json *json, const char *key, int64_t value)
{
    lead(json, key);
    kiln_text_append(json->text, "%lld", (long long)value);
}

void kiln_json_bool(struct kiln_json *json, const char *key, bool value)
{
    lead(json, key);
    kiln_text_append(json->text, "%s", value ? "true" : "false");
}

/* A locale may print a decimal comma. */
static void append_number(struct kiln_json *json, char *number)
{
    char *comma = strchr(number, ',');
    if (comma)
        *comma = '.';
    kiln_text_append(json->text, "%s", number);
}

void kiln_json_number(struct kiln_json *json, const char *key, double value)
{
    lead(json, key);
    char number[40] = "null";
    for (int digits = 6; isfinite(value) && digits <= 17; digits++) {
        snprintf(number, sizeof number, "%.*g", digits, value);
        if (strtod(number, NULL) == value)
            break;
    }
    append_number(json, number);
}

void kiln_json_float(struct kiln_json *json, const char *key, float value)
{
    lead(json, key);
    char number[40] = "null";
    for (int digits = 3; isfinite(value) && digits <= 9; digits++) {
        snprintf(number, sizeof number, "%.*g", digits, (double)value);
        if (strtof(number, NULL) == value)
            break;
    }
    append_number(json, number);
}
