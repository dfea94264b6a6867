/* Keeping choices on disk. */
#include "core/device/tune_file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/json_read.h"
#include "core/base/text.h"
#include "core/device/cache.h"

/* Version of the file: 1: first. */
#define FORMAT 1

enum { LIMIT_ENTRIES = 50000, LIMIT_TEXT = 1024 };

/* Index of the first entry whose key is not below. */
static size_t lower_bound(const struct kiln_tune_table *table, const char *key)
{
    size_t low = 0, high = table->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(table->entries[middle].key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct kiln_tune_entry *kiln_tune_find(const struct kiln_tune_table *table, const char *key)
{
    size_t at = lower_bound(table, key);
    return at < table->n && strcmp(table->entries[at].key, key) == 0 ? &table->entries[at] : NULL;
}

void kiln_tune_set(struct kiln_tune_table *table, const char *key, const char *value,
                   double seconds)
{
    size_t at = lower_bound(table, key);
    bool there = at < table->n && strcmp(table->entries[at].key, key) == 0;
    char *own_key = there ? NULL : strdup(key), *own_value = strdup(value);
    if (!own_value || (!there && (!own_key || table->n >= LIMIT_ENTRIES ||
                                  !kiln_array_grow(&table->entries, &table->capacity, table->n,
                                                   sizeof *table->entries)))) {
        free(own_key);
        free(own_value);
        return;
    }
    struct kiln_tune_entry *entry = &table->entries[at];
    if (there) {
        free(entry->value);
    } else {
        memmove(entry + 1, entry, (table->n - at) * sizeof *entry);
        table->n++;
        entry->key = own_key;
    }
    entry->value = own_value;
    entry->seconds = seconds;
}

void kiln_tune_clear(struct kiln_tune_table *table)
{
    for (size_t i = 0; i < table->n; i++) {
        free(table->entries[i].key);
        free(table->entries[i].value);
    }
    free(table->entries);
    *table = (struct kiln_tune_table){0};
}

bool kiln_tune_parse(struct kiln_tune_table *table, const char *text, size_t bytes,
                     const char *description, char *device, size_t device_size)
{
    json_t *root;
    kiln_json_read(text, bytes, JSON_REJECT_DUPLICATES, &root, NULL);
    const char *own = json_string_value(json_object_get(root, "device"));
    json_t *choices = json_object_get(root, "choices");
    bool format = json_integer_value(json_object_get(root, "format")) == FORMAT;
    bool good = format && own && json_is_object(choices) && strcmp(own, description) == 0;
    if (device)
        snprintf(device, device_size, "%s", format && own ? own : "");
    const char *key;
    json_t *pair;
    json_object_foreach(good ? choices : NULL, key, pair)
    {
        const char *value = json_string_value(json_array_get(pair, 0));
        double seconds = json_number_value(json_array_get(pair, 1));
        if (value && strlen(value) < LIMIT_TEXT && strlen(key) < LIMIT_TEXT &&
            !kiln_tune_find(table, key))
            kiln_tune_set(table, key, value, isfinite(seconds) ? seconds : 0);
    }
    json_decref(root);
    return good;
}

void kiln_tune_read(struct kiln_tune_table *table, const char *file, const char *description)
{
    size_t size;
    char *data = kiln_cache_read(file, KILN_TUNE_MOST_BYTES, &size);
    if (data)
        kiln_tune_parse(table, data, size, description, NULL, 0);
    free(data);
}

void kiln_tune_read_shipped(struct kiln_tune_table *table, const char *file,
                            const char *description)
{
    const char *named = getenv("KILN_KERNEL_DIR");
    const char *folders[] = {named && *named ? named : KILN_SOURCE_DIR "/kernels",
                             named && *named ? NULL : KILN_DATA_DIR "/kernels"};
    for (int i = 0; i < 2 && folders[i]; i++) {
        char path[1024], *text = NULL;
        size_t bytes = 0;
        snprintf(path, sizeof path, "%s/tunings/%s", folders[i], file);
        if (!kiln_file_read(path, KILN_TUNE_MOST_BYTES, &text, &bytes, NULL))
            kiln_tune_parse(table, text, bytes, description, NULL, 0);
        free(text);
    }
}

char *kiln_tune_text(const struct kiln_tune_table *table, const char *description)
{
    json_t *choices = json_object();
    for (size_t i = 0; i < table->n; i++)
        json_object_set_new(
            choices, table->entries[i].key,
            json_pack("[s, f]", table->entries[i].value, table->entries[i].seconds));
    json_t *root =
        json_pack("{s:i, s:s, s:o}", "format", FORMAT, "device", description, "choices", choices);
    char *text =
        root ? json_dumps(root, JSON_INDENT(1) | JSON_REAL_PRECISION(4) | JSON_SORT_KEYS) : NULL;
    json_decref(root);
    return text;
}

bool kiln_tune_write(struct kiln_tune_table *table, const char *file, const char *description)
{
    kiln_tune_read(table, file, description);
    char *text = kiln_tune_text(table, description);
    bool written = text && kiln_cache_write(file, text, strlen(text));
    free(text);
    return written;
}
