/* Reading results back. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/json_read.h"
#include "core/bench/suite_fields.h"
#include "core/bench/suite_file.h"

enum { MAX_BYTES = 1 << 26, MAX_ENTRIES = 100000 };

static bool read_number(const json_t *value, double *out)
{
    *out = json_number_value(value); /* 0 of null */
    return (json_is_number(value) || json_is_null(value)) && isfinite(*out);
}

static bool read_integer(const json_t *value, int64_t limit, int64_t *out)
{
    *out = json_integer_value(value);
    return (json_is_integer(value) || json_is_null(value)) && *out >= 0 && *out <= limit;
}

static bool read_times(const json_t *value, struct kiln_suite_times *times)
{
    int64_t n, dropped;
    if (json_is_null(value))
        return true;
    bool good = read_number(json_object_get(value, "median"), &times->median) &&
                read_number(json_object_get(value, "p10"), &times->p10) &&
                read_number(json_object_get(value, "p90"), &times->p90) &&
                read_integer(json_object_get(value, "samples"), INT32_MAX, &n) &&
                read_integer(json_object_get(value, "dropped"), INT32_MAX, &dropped) &&
                json_is_boolean(json_object_get(value, "disturbed")) && times->p10 > 0 &&
                times->median >= times->p10 && times->p90 >= times->median && n > 0;
    times->n = good ? (int)n : 0;
    times->dropped = good ? (int)dropped : 0;
    times->disturbed = json_is_true(json_object_get(value, "disturbed"));
    return good;
}

static bool read_field(const struct kiln_field *field, const json_t *value, void *object)
{
    char *at = (char *)object + field->offset;
    const char *text = json_is_null(value) ? "" : json_string_value(value);
    int64_t integer = 0;
    bool good = true;
    switch (field->type) {
    case KILN_FIELD_TEXT:
        good = text && strlen(text) < field->size;
        if (good)
            memcpy(at, text, strlen(text) + 1);
        break;
    case KILN_FIELD_INT:
        good = read_integer(value, INT32_MAX, &integer);
        *(int *)(void *)at = (int)integer;
        break;
    case KILN_FIELD_LONG:
        good = read_integer(value, INT64_MAX, (int64_t *)(void *)at);
        break;
    case KILN_FIELD_NUMBER:
    case KILN_FIELD_LEVEL:
        good = read_number(value, (double *)(void *)at);
        break;
    case KILN_FIELD_BOOL:
        good = json_is_boolean(value);
        *(bool *)at = json_is_true(value);
        break;
    case KILN_FIELD_TIMES:
        good = read_times(value, (struct kiln_suite_times *)(void *)at);
        break;
    }
    return good;
}

static enum kiln_status read_fields(const char *path, const char *what,
                                    const struct kiln_field *fields, const json_t *json,
                                    void *object, struct kiln_error *error)
{
    for (int i = 0; fields[i].name; i++) {
        const json_t *value = json_object_get(json, fields[i].name);
        if (!value && fields[i].optional)
            continue;
        if (!value || !read_field(&fields[i], value, object))
            return kiln_fail(error, KILN_INPUT, "%s: %s: %s is missing or wrong", path, what,
                             fields[i].name);
    }
    return KILN_OK;
}

static enum kiln_status read_bandwidths(const char *path, const json_t *list,
                                        struct kiln_suite_device *device, struct kiln_error *error)
{
    if (!json_is_array(list) || json_array_size(list) > KILN_SUITE_BANDWIDTHS)
        return kiln_fail(error, KILN_INPUT, "%s: devices: bandwidths is missing or wrong", path);
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct kiln_suite_bandwidth *out = &device->bandwidths[device->n_bandwidths++];
        const json_t *entry = json_array_get(list, i);
        if (!read_number(json_object_get(entry, "bytes"), &out->bytes) ||
            !read_number(json_object_get(entry, "bytes_per_second"), &out->bytes_per_second))
            return kiln_fail(error, KILN_INPUT, "%s: devices: a bandwidth is wrong", path);
    }
    return KILN_OK;
}

/* The array of that name, or NULL with the error set. */
static const json_t *get_entries(const char *path, const json_t *root, const char *name,
                                 struct kiln_error *error)
{
    const json_t *list = json_object_get(root, name);
    if (json_is_array(list) && json_array_size(list) <= MAX_ENTRIES)
        return list;
    kiln_fail(error, KILN_INPUT, "%s: %s is missing or wrong", path, name);
    return NULL;
}

/* One array of entries; add makes room for each. */
static enum kiln_status read_entries(const char *path, const json_t *root, const char *name,
                                     const struct kiln_field *fields, struct kiln_suite *suite,
                                     struct kiln_error *error)
{
    const json_t *list = get_entries(path, root, name, error);
    enum kiln_status status = list ? KILN_OK : KILN_INPUT;
    for (size_t i = 0; !status && i < json_array_size(list); i++) {
        const json_t *json = json_array_get(list, i);
        struct kiln_suite_device *device = NULL;
        void *entry = *name == 'd'   ? (device = kiln_suite_add_device(suite))
                      : *name == 'o' ? (void *)kiln_suite_add_op(suite)
                                     : (void *)kiln_suite_add_model(suite);
        status = entry ? read_fields(path, name, fields, json, entry, error)
                       : kiln_fail(error, KILN_MACHINE, "%s: out of memory", path);
        if (!status && device)
            status = read_bandwidths(path, json_object_get(json, "bandwidths"), device, error);
    }
    return status;
}

static enum kiln_status read_suite(const char *path, const json_t *root, struct kiln_suite *suite,
                                   struct kiln_error *error)
{
    const char *kind = json_string_value(json_object_get(root, "kind"));
    if (!kind || strcmp(kind, "kiln bench"))
        return kiln_fail(error, KILN_INPUT, "%s: not a file of kiln bench --json", path);
    enum kiln_status status = read_fields(path, "file", kiln_suite_fields, root, suite, error);
    if (!status && suite->format != KILN_SUITE_FORMAT)
        return kiln_fail(error, KILN_INPUT, "%s: format %d, this program reads format %d", path,
                         suite->format, KILN_SUITE_FORMAT);
    if (!status)
        status = read_fields(path, "host", kiln_host_fields, json_object_get(root, "host"), suite,
                             error);
    if (!status)
        status = read_entries(path, root, "devices", kiln_device_fields, suite, error);
    if (!status)
        status = read_entries(path, root, "ops", kiln_op_fields, suite, error);
    if (!status)
        status = read_entries(path, root, "models", kiln_model_fields, suite, error);
    return status;
}

enum kiln_status kiln_suite_read(const char *path, struct kiln_suite *suite,
                                 struct kiln_error *error)
{
    char *text = NULL;
    size_t bytes = 0;
    json_error_t reason;
    *suite = (struct kiln_suite){0};
    enum kiln_status status = kiln_file_read(path, MAX_BYTES, &text, &bytes, error);
    if (status)
        return status;
    json_t *root;
    status = kiln_json_read(text, bytes, JSON_REJECT_DUPLICATES, &root, &reason);
    free(text);
    if (status)
        return status == KILN_INPUT
                   ? kiln_fail(error, status, "%s:%d: not JSON: %s", path, reason.line, reason.text)
                   : kiln_fail(error, status, "%s: out of memory", path);
    status = read_suite(path, root, suite, error);
    json_decref(root);
    return status;
}
