/* Resolving a configuration against its schema, and reading its values. */
#include "core/run/config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/run/config_read.h"
#include "core/run/config_state.h"

static struct kiln_config_entry *find(const kiln_config *config, const char *section,
                                      const char *key)
{
    int index = kiln_schema_find(&config->schema, section, key);
    return index < 0 ? NULL : &config->entries[index];
}

enum kiln_status kiln_config_fail(const kiln_config *config, const char *section, const char *key,
                                  struct kiln_error *error, const char *format, ...)
{
    char text[sizeof error->text];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const char *origin = kiln_config_origin(config, section, key);
    return kiln_fail(error, KILN_INPUT, "%s: [%s] %s: %s", origin ? origin : "config", section, key,
                     text);
}

/* --- resolving ------------------------------------------------------------------ */

static enum kiln_status find_model(kiln_config *config, const struct kiln_settings *settings,
                                   const struct kiln_config_source *source,
                                   struct kiln_error *error)
{
    if (source->model) {
        config->model = source->model;
        return KILN_OK;
    }
    const struct kiln_setting *setting = kiln_settings_find(settings, "model", "plugin");
    if (!setting || !*setting->value)
        return kiln_fail(error, KILN_INPUT,
                         "%s: [model] plugin: not given ('kiln models' lists the plugins)",
                         source->path);
    struct kiln_error why;
    enum kiln_status status =
        kiln_plugin_open(setting->value, source->plugin_dir, &config->plugin, &why);
    if (status)
        return kiln_fail(error, status, "%s: [model] plugin: %s", setting->origin, why.text);
    config->model = kiln_plugin_model(config->plugin);
    return KILN_OK;
}

static enum kiln_status set_defaults(kiln_config *config, struct kiln_error *error)
{
    config->entries = KILN_ARENA_NEW(config->arena, struct kiln_config_entry, config->schema.n);
    if (!config->entries)
        return kiln_fail(error, KILN_MACHINE, "config: out of memory");
    for (size_t i = 0; i < config->schema.n; i++) {
        const struct kiln_option *option = config->schema.options[i];
        struct kiln_config_entry *entry = &config->entries[i];
        entry->text = option->value;
        entry->origin = "default";
        entry->source = -1;
        enum kiln_status status = kiln_option_parse(option, entry->text, &entry->value, error);
        if (status)
            return status;
    }
    return KILN_OK;
}

static enum kiln_status apply(kiln_config *config, const struct kiln_setting *setting,
                              struct kiln_error *error)
{
    const char *section = setting->section, *key = setting->key;
    int index = kiln_schema_find(&config->schema, section, key);
    if (index < 0) {
        char suggestion[128];
        kiln_schema_suggest(&config->schema, section, key, suggestion, sizeof suggestion);
        if (strcmp(key, "include") == 0)
            snprintf(suggestion, sizeof suggestion,
                     " (an include stands before the first [section])");
        if (!kiln_schema_has_section(&config->schema, section))
            return kiln_fail(error, KILN_INPUT, "%s: [%s] %s: unknown section%s", setting->origin,
                             section, key, suggestion);
        return kiln_fail(error, KILN_INPUT, "%s: [%s] %s: unknown key%s", setting->origin, section,
                         key, suggestion);
    }
    struct kiln_option_value value;
    struct kiln_error why;
    enum kiln_status status =
        kiln_option_parse(config->schema.options[index], setting->value, &value, &why);
    if (status)
        return kiln_fail(error, status, "%s: [%s] %s: %s", setting->origin, section, key, why.text);
    struct kiln_config_entry *entry = &config->entries[index];
    free(entry->value.list);
    *entry = (struct kiln_config_entry){setting->value, setting->origin, setting->source, value};
    return KILN_OK;
}

/* [train] steps and epochs say the same thing: the stronger one counts, and
 * the other becomes 0. */
static enum kiln_status choose_length(kiln_config *config, struct kiln_error *error)
{
    struct kiln_config_entry *steps = find(config, "train", "steps");
    struct kiln_config_entry *epochs = find(config, "train", "epochs");
    if (steps->value.integer && epochs->value.integer) {
        if (steps->source == epochs->source && steps->source >= 0)
            return kiln_config_fail(config, "train", "steps", error,
                                    "epochs is given too (%s); one of the two must go",
                                    epochs->origin);
        struct kiln_config_entry *weaker = steps->source >= epochs->source ? epochs : steps;
        weaker->value = (struct kiln_option_value){0};
        weaker->text = "0";
    }
    if (!steps->value.integer && !epochs->value.integer)
        return kiln_config_fail(config, "train", "steps", error, "steps and epochs are both 0");
    return KILN_OK;
}

static enum kiln_status check_together(kiln_config *config, struct kiln_error *error)
{
    if (find(config, "train", "betas")->value.n != 2)
        return kiln_config_fail(config, "train", "betas", error, "expected two numbers, got \"%s\"",
                                kiln_config_text(config, "train", "betas"));
    return choose_length(config, error);
}

static enum kiln_status set_name(kiln_config *config, const char *path, struct kiln_error *error)
{
    static const char ending[] = ".ini";
    char *name = kiln_arena_strdup(config->arena, kiln_path_name(path));
    if (!name)
        return kiln_fail(error, KILN_MACHINE, "config: out of memory");
    size_t n = strlen(name), e = strlen(ending);
    if (n > e && strcmp(name + n - e, ending) == 0)
        name[n - e] = '\0';
    config->name = name;
    return KILN_OK;
}

enum kiln_status kiln_config_load(const struct kiln_config_source *source, kiln_config **result,
                                  struct kiln_error *error)
{
    *result = NULL;
    kiln_config *config = calloc(1, sizeof *config);
    if (config)
        config->arena = kiln_arena_create();
    if (!config || !config->arena) {
        free(config);
        return kiln_fail(error, KILN_MACHINE, "config: out of memory");
    }
    struct kiln_settings settings = {.arena = config->arena};
    enum kiln_status status = set_name(config, source->path, error);
    if (!status)
        status = kiln_settings_read(&settings, source, error);
    if (!status)
        status = find_model(config, &settings, source, error);
    if (!status)
        status = kiln_schema_init(&config->schema, config->model, error);
    if (!status)
        status = set_defaults(config, error);
    for (size_t i = 0; i < settings.n && !status; i++)
        status = apply(config, &settings.items[i], error);
    if (!status) {
        find(config, "model", "plugin")->text = config->model->name;
        status = check_together(config, error);
    }
    free(settings.items);
    if (status)
        kiln_config_destroy(&config);
    *result = config;
    return status;
}

void kiln_config_destroy(kiln_config **address)
{
    kiln_config *config = address ? *address : NULL;
    if (!config)
        return;
    for (size_t i = 0; config->entries && i < config->schema.n; i++)
        free(config->entries[i].value.list);
    kiln_schema_finish(&config->schema);
    kiln_plugin_close(&config->plugin);
    kiln_arena_destroy(&config->arena);
    free(config);
    *address = NULL;
}

/* --- reading -------------------------------------------------------------------- */

const struct kiln_model *kiln_config_model(const kiln_config *config)
{
    return config->model;
}

const struct kiln_schema *kiln_config_schema(const kiln_config *config)
{
    return &config->schema;
}

const char *kiln_config_name(const kiln_config *config)
{
    return config->name;
}

const char *kiln_config_text(const kiln_config *config, const char *section, const char *key)
{
    const struct kiln_config_entry *entry = find(config, section, key);
    return entry ? entry->text : NULL;
}

const char *kiln_config_origin(const kiln_config *config, const char *section, const char *key)
{
    const struct kiln_config_entry *entry = find(config, section, key);
    return entry ? entry->origin : NULL;
}

int64_t kiln_config_int(const kiln_config *config, const char *section, const char *key)
{
    const struct kiln_config_entry *entry = find(config, section, key);
    return entry ? entry->value.integer : 0;
}

double kiln_config_float(const kiln_config *config, const char *section, const char *key)
{
    const struct kiln_config_entry *entry = find(config, section, key);
    return entry ? entry->value.number : 0;
}

enum kiln_status kiln_config_replace_number(kiln_config *config, const char *section,
                                            const char *key, double value, struct kiln_error *error)
{
    char *text = kiln_arena_printf(config->arena, "%.17g", value);
    if (!text)
        return kiln_fail(error, KILN_MACHINE, "config: out of memory");
    struct kiln_setting setting = {
        .section = section, .key = key, .value = text, .origin = "derived", .source = -1};
    return apply(config, &setting, error);
}

bool kiln_config_bool(const kiln_config *config, const char *section, const char *key)
{
    const struct kiln_config_entry *entry = find(config, section, key);
    return entry && entry->value.flag;
}

const char *kiln_config_string(const kiln_config *config, const char *section, const char *key)
{
    const char *text = kiln_config_text(config, section, key);
    return text ? text : "";
}

int kiln_config_list(const kiln_config *config, const char *section, const char *key, int max,
                     double *out)
{
    const struct kiln_config_entry *entry = find(config, section, key);
    if (!entry)
        return 0;
    for (int i = 0; i < entry->value.n && i < max; i++)
        out[i] = entry->value.list[i];
    return entry->value.n;
}

bool kiln_config_given(const kiln_config *config, const char *section, const char *key)
{
    const struct kiln_config_entry *entry = find(config, section, key);
    return entry && entry->source >= 0;
}
