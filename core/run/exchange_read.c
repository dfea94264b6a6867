/* Values of another program's JSON files as the config's text. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/json_read.h"
#include "core/run/exchange_value.h"

enum { MAX_SIDE = 1 << 14, MAX_CHANNELS = 4096, MAX_CLASSES = 1 << 20, SHOWN = 64 };

int kiln_exchange_item(const char **list, const char **item)
{
    if (!*list)
        return -1;
    size_t length = strcspn(*list, "|");
    *item = *list;
    *list = (*list)[length] ? *list + length + 1 : NULL;
    return (int)length;
}

/* The value as compact JSON, malloc'd. */
static char *dump(const json_t *value)
{
    return json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
}

static enum kiln_status no_memory(struct kiln_error *error)
{
    return kiln_fail(error, KILN_MACHINE, "out of memory");
}

/* "KEY: VALUE is not supported (EXPECTED)", with ", " for each '|'. */
static enum kiln_status unsupported(const struct kiln_exchange_key *row, const json_t *value,
                                    const char *expected, struct kiln_error *error)
{
    char *shown = dump(value);
    struct kiln_text list = {0};
    const char *item;
    for (int n, i = 0; (n = kiln_exchange_item(&expected, &item)) >= 0; i++)
        kiln_text_append(&list, "%s%.*s", i ? ", " : "", n, item);
    enum kiln_status status =
        !shown || list.failed
            ? no_memory(error)
            : kiln_fail(error, KILN_INPUT, "%s: %.*s%s is not supported (%s)", row->name, SHOWN,
                        shown, strlen(shown) > SHOWN ? "..." : "", list.data);
    kiln_text_finish(&list);
    free(shown);
    return status;
}

/* --- plain values ---------------------------------------------------------------- */

static void append_scalar(const json_t *value, struct kiln_text *text)
{
    struct kiln_json json = kiln_json_start(text);
    if (json_is_string(value))
        kiln_text_append(text, "%s", json_string_value(value));
    else if (json_is_boolean(value))
        kiln_text_append(text, json_is_true(value) ? "true" : "false");
    else if (json_is_integer(value))
        kiln_json_int(&json, NULL, json_integer_value(value));
    else
        kiln_json_number(&json, NULL, json_real_value(value));
}

static bool is_scalar(const json_t *value)
{
    return json_is_string(value) || json_is_boolean(value) || json_is_number(value);
}

/* A name is written into a list of names: no separators in it. */
static bool is_name(const json_t *value)
{
    const char *name = json_string_value(value);
    return name && *name && !strpbrk(name, ",\"'()[]; \t\n\r") && strlen(name) < SHOWN;
}

static bool append_list(const json_t *value, bool names, struct kiln_text *text)
{
    size_t i;
    const json_t *item;
    json_array_foreach(value, i, item)
    {
        if (names ? !is_name(item) : !json_is_number(item))
            return false;
        kiln_text_append(text, i ? ", " : "");
        append_scalar(item, text);
    }
    return true;
}

/* Numbers are one type here; null says nothing of a type. */
static bool same_type(const json_t *a, const json_t *b)
{
    return json_is_null(a) || json_typeof(a) == json_typeof(b) ||
           (json_is_number(a) && json_is_number(b)) || (json_is_boolean(a) && json_is_boolean(b));
}

static const char *type_name(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "a list";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
    case JSON_REAL:
        return "a number";
    default:
        return "true or false";
    }
}

/* The config's spelling of a value that has its own: "json=config|..."; NULL if
 * it has none. */
static const char *translated(const struct kiln_exchange_key *row, const char *shown, int *length)
{
    const char *list = row->values, *item;
    for (int n; (n = kiln_exchange_item(&list, &item)) >= 0;) {
        const char *equals = memchr(item, '=', (size_t)n);
        size_t left = equals ? (size_t)(equals - item) : 0;
        if (equals && left == strlen(shown) && left && !memcmp(item, shown, left)) {
            *length = n - (int)left - 1;
            return equals + 1;
        }
    }
    return NULL;
}

static enum kiln_status read_value(const struct kiln_exchange_key *row, const json_t *value,
                                   const json_t *absent, struct kiln_text *text,
                                   struct kiln_error *error)
{
    int length;
    char *shown = dump(value);
    if (!shown)
        return no_memory(error);
    const char *spelling = translated(row, shown, &length);
    free(shown);
    if (spelling) {
        kiln_text_bytes(text, spelling, (size_t)length);
        return KILN_OK;
    }
    if (!same_type(absent, value))
        return unsupported(row, value, type_name(absent), error);
    bool names = row->kind == KILN_EXCHANGE_NAMES;
    if (json_is_array(value))
        return append_list(value, names, text)
                   ? KILN_OK
                   : unsupported(row, value, names ? "a list of names" : "a list of numbers",
                                 error);
    if (names || !is_scalar(value))
        return unsupported(row, value, names ? "a list of names" : "another type", error);
    append_scalar(value, text);
    return KILN_OK;
}

/* --- the others ---------------------------------------------------------------------- */

static enum kiln_status read_constant(const struct kiln_exchange_key *row, const json_t *value,
                                      struct kiln_error *error)
{
    const char *expected = row->values ? row->values : row->absent, *list = expected, *item;
    char *shown = dump(value);
    if (!shown)
        return no_memory(error);
    bool found = false;
    for (int n; (n = kiln_exchange_item(&list, &item)) >= 0 && !found;)
        found = strlen(shown) == (size_t)n && !memcmp(shown, item, (size_t)n);
    free(shown);
    return found ? KILN_OK : unsupported(row, value, expected, error);
}

static bool whole(const json_t *value, int64_t min, int64_t max, int64_t *out)
{
    *out = json_is_integer(value) ? json_integer_value(value) : min - 1;
    return *out >= min && *out <= max;
}

static enum kiln_status read_channels(const struct kiln_exchange_key *row, const json_t *value,
                                      struct kiln_data_info *info, struct kiln_error *error)
{
    int64_t channels;
    if (!whole(value, 1, MAX_CHANNELS, &channels))
        return unsupported(row, value, "1 to 4096", error);
    if (info->channels && info->channels != channels) {
        char expected[32];
        snprintf(expected, sizeof expected, "%lld", (long long)info->channels);
        return unsupported(row, value, expected, error);
    }
    info->channels = channels;
    return KILN_OK;
}

static enum kiln_status read_size(const struct kiln_exchange_key *row, const json_t *value,
                                  struct kiln_data_info *info, struct kiln_error *error)
{
    bool pair = json_array_size(value) == 2;
    if (!whole(pair ? json_array_get(value, 0) : value, 1, MAX_SIDE, &info->height) ||
        !whole(pair ? json_array_get(value, 1) : value, 1, MAX_SIDE, &info->width))
        return unsupported(row, value, "1 to 16384, or [height, width]", error);
    return KILN_OK;
}

static enum kiln_status read_classes(const struct kiln_exchange_key *row, const json_t *value,
                                     struct kiln_data_info *info, struct kiln_error *error)
{
    int64_t rows = 1;
    if (!json_is_null(value) && !whole(value, 2, MAX_CLASSES, &rows))
        return unsupported(row, value, "null, or 2 to 1048576", error);
    info->n_classes = rows - 1;
    return KILN_OK;
}

enum kiln_status kiln_exchange_read(const struct kiln_exchange_key *row, const json_t *value,
                                    struct kiln_data_info *info, struct kiln_text *text,
                                    struct kiln_error *error)
{
    if (!row->absent && !value)
        return KILN_OK;
    json_t *absent = json_null();
    if (row->absent &&
        kiln_json_read(row->absent, strlen(row->absent), JSON_DECODE_ANY, &absent, NULL))
        return no_memory(error);
    enum kiln_status status = KILN_OK;
    if (!value)
        value = absent;
    switch (row->kind) {
    case KILN_EXCHANGE_VALUE:
    case KILN_EXCHANGE_NAMES:
        status = read_value(row, value, absent, text, error);
        break;
    case KILN_EXCHANGE_CHANNELS:
        status = read_channels(row, value, info, error);
        break;
    case KILN_EXCHANGE_SIZE:
        status = read_size(row, value, info, error);
        break;
    case KILN_EXCHANGE_CLASSES:
        status = read_classes(row, value, info, error);
        break;
    case KILN_EXCHANGE_CONSTANT:
        status = read_constant(row, value, error);
        break;
    case KILN_EXCHANGE_IGNORED:
    case KILN_EXCHANGE_END:
        break;
    }
    json_decref(absent);
    return status;
}
