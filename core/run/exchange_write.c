/* The config's values as another program's JSON. */
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/run/exchange_value.h"
#include "core/run/schema.h"

enum { MAX_TEXT = 1024 };

/* The JSON side of a value that is written otherwise: true if there is one. */
static bool write_translated(const struct kiln_exchange_key *row, const char *value,
                             struct kiln_text *text)
{
    const char *list = row->values, *item;
    for (int n; (n = kiln_exchange_item(&list, &item)) >= 0;) {
        const char *equals = memchr(item, '=', (size_t)n);
        size_t left = equals ? (size_t)(equals - item) : 0;
        if (!equals || strlen(value) != (size_t)n - left - 1 ||
            memcmp(equals + 1, value, strlen(value)) != 0)
            continue;
        kiln_text_bytes(text, item, left);
        return true;
    }
    return false;
}

static void write_names(const char *value, struct kiln_text *text)
{
    struct kiln_json json = kiln_json_start(text);
    kiln_json_array(&json, NULL);
    while (*(value += strspn(value, " ,"))) {
        char name[MAX_TEXT];
        size_t n = strcspn(value, " ,");
        size_t kept = n < sizeof name ? n : sizeof name - 1;
        memcpy(name, value, kept);
        name[kept] = '\0';
        kiln_json_string(&json, NULL, name);
        value += n;
    }
    kiln_json_end(&json);
}

static void write_typed(const struct kiln_option *option, const char *value, struct kiln_text *text)
{
    struct kiln_json json = kiln_json_start(text);
    struct kiln_option_value parsed;
    if (kiln_option_parse(option, value, &parsed, NULL)) {
        text->failed = true; /* the config has checked its text already */
        return;
    }
    switch (option->type) {
    case KILN_OPTION_BOOL:
        kiln_json_bool(&json, NULL, parsed.flag);
        break;
    case KILN_OPTION_INT:
        kiln_json_int(&json, NULL, parsed.integer);
        break;
    case KILN_OPTION_FLOAT:
        kiln_json_number(&json, NULL, parsed.number);
        break;
    case KILN_OPTION_INTS:
    case KILN_OPTION_FLOATS:
        kiln_json_array(&json, NULL);
        for (int i = 0; i < parsed.n; i++)
            kiln_json_number(&json, NULL, parsed.list[i]);
        kiln_json_end(&json);
        break;
    default:
        kiln_json_string(&json, NULL, value);
    }
    free(parsed.list);
}

static void write_value(const struct kiln_exchange_key *row,
                        const struct kiln_exchange_source *source, struct kiln_text *text)
{
    const struct kiln_schema *schema = kiln_config_schema(source->config);
    const struct kiln_exchange *exchange = kiln_config_model(source->config)->exchange;
    int index = kiln_schema_find(schema, row->section, row->key);
    char open[MAX_TEXT];
    const char *value = kiln_config_text(source->config, row->section, row->key);
    if (index < 0) {
        text->failed = true; /* a table that names an unknown key */
        return;
    }
    if (exchange->value &&
        exchange->value(source->model, row->section, row->key, open, sizeof open))
        value = open;
    if (write_translated(row, value, text))
        return;
    if (row->kind == KILN_EXCHANGE_NAMES)
        write_names(value, text);
    else
        write_typed(schema->options[index], value, text);
}

static void write_size(const struct kiln_data_info *info, struct kiln_text *text)
{
    if (info->height == info->width)
        kiln_text_append(text, "%lld", (long long)info->height);
    else
        kiln_text_append(text, "[%lld, %lld]", (long long)info->height, (long long)info->width);
}

void kiln_exchange_write(const struct kiln_exchange_key *row,
                         const struct kiln_exchange_source *source, struct kiln_text *text)
{
    const char *list = row->values ? row->values : row->absent, *item;
    int n;
    switch (row->kind) {
    case KILN_EXCHANGE_VALUE:
    case KILN_EXCHANGE_NAMES:
        write_value(row, source, text);
        break;
    case KILN_EXCHANGE_CHANNELS:
        kiln_text_append(text, "%lld", (long long)source->info->channels);
        break;
    case KILN_EXCHANGE_SIZE:
        write_size(source->info, text);
        break;
    case KILN_EXCHANGE_CLASSES:
        if (kiln_config_model(source->config)->exchange->with_classes)
            kiln_text_append(text, "%lld", (long long)source->info->n_classes + 1);
        else
            kiln_text_append(text, "null");
        break;
    case KILN_EXCHANGE_CONSTANT:
        n = kiln_exchange_item(&list, &item);
        kiln_text_bytes(text, item, (size_t)(n > 0 ? n : 0));
        break;
    case KILN_EXCHANGE_IGNORED:
        kiln_text_append(text, "%s", row->absent ? row->absent : "");
        break;
    case KILN_EXCHANGE_END:
        break;
    }
}
