/* kiln models: the model plugins and their options. */
#include <stdio.h>
#include <string.h>

#include "core/api/study.h"
#include "core/base/json.h"
#include "core/cli/command.h"
#include "core/run/plugin.h"
#include "core/run/schema.h"

/* --- JSON ----------------------------------------------------------------------------- */

static void write_options(struct kiln_json *json, const struct kiln_schema *schema)
{
    kiln_json_array(json, "options");
    for (size_t i = 0; i < schema->n; i++) {
        const struct kiln_option *option = schema->options[i];
        bool number = option->type != KILN_OPTION_BOOL && option->type != KILN_OPTION_STRING &&
                      option->type != KILN_OPTION_CHOICE;
        kiln_json_object(json, NULL);
        kiln_json_string(json, "section", option->section);
        kiln_json_string(json, "key", option->key);
        kiln_json_string(json, "type", kiln_option_type_name(option->type));
        kiln_json_string(json, "default", option->value);
        if (number && (option->min != 0 || option->max != 0)) {
            kiln_json_number(json, "min", option->min);
            kiln_json_number(json, "max", option->max);
        }
        if (option->type == KILN_OPTION_CHOICE)
            kiln_json_string(json, "choices", option->choices);
        kiln_json_string(json, "help", option->help);
        kiln_json_end(json);
    }
    kiln_json_end(json);
}

static void write_model(struct kiln_json *json, const struct kiln_model *model, const char *path)
{
    kiln_json_string(json, "name", model->name);
    kiln_json_string(json, "summary", model->summary);
    kiln_json_string(json, "path", path);
    kiln_json_array(json, "samplers");
    for (int i = 0; model->samplers && model->samplers[i]; i++)
        kiln_json_string(json, NULL, model->samplers[i]);
    kiln_json_end(json);
    kiln_json_array(json, "studies");
    for (int i = 0; model->studies && model->studies[i]; i++)
        kiln_json_string(json, NULL, model->studies[i]->name);
    kiln_json_end(json);
}

/* --- one model -------------------------------------------------------------------------- */

static void show_options(struct kiln_text *text, const struct kiln_schema *schema)
{
    const char *section = "";
    for (size_t i = 0; i < schema->n; i++) {
        const struct kiln_option *option = schema->options[i];
        char range[256], set[256];
        struct kiln_text left = {0};
        kiln_option_range(option, range, sizeof range);
        if (strcmp(section, option->section) != 0) {
            section = option->section;
            kiln_text_append(text, "\n[%s]\n", section);
        }
        kiln_text_append(&left, "%s =%s%s", option->key, *option->value ? " " : "", option->value);
        snprintf(set, sizeof set, "%s", left.data ? left.data : "");
        kiln_text_finish(&left);
        kiln_text_append(text, "  %-32s %s%s%s\n", set, kiln_option_type_name(option->type),
                         *range ? " " : "", range);
        kiln_cli_wrap(text, option->help, 6);
    }
}

static enum kiln_status show_model(const struct kiln_cli *cli, const char *name,
                                   struct kiln_error *error)
{
    kiln_plugin *plugin;
    struct kiln_schema schema;
    struct kiln_text text = {0};
    enum kiln_status status =
        kiln_plugin_open(name, kiln_cli_value(cli, "plugin-dir"), &plugin, error);
    if (status)
        return status;
    const struct kiln_model *model = kiln_plugin_model(plugin);
    status = kiln_schema_init(&schema, model, error);
    if (!status && kiln_cli_flag(cli, "json")) {
        struct kiln_json json = kiln_json_start(&text);
        kiln_json_object(&json, NULL);
        write_model(&json, model, kiln_plugin_path(plugin));
        write_options(&json, &schema);
        kiln_json_end(&json);
    } else if (!status) {
        kiln_text_append(&text, "%s: %s\n  %s\n", model->name, model->summary,
                         kiln_plugin_path(plugin));
        if (model->samplers)
            kiln_text_append(&text, "  samplers:");
        for (int i = 0; model->samplers && model->samplers[i]; i++)
            kiln_text_append(&text, "%s %s", i ? "," : "", model->samplers[i]);
        kiln_text_append(&text, model->samplers ? "\n" : "");
        for (int i = 0; model->studies && model->studies[i]; i++)
            kiln_text_append(&text, "  study %s: %s\n", model->studies[i]->name,
                             model->studies[i]->summary);
        show_options(&text, &schema);
        text.length -= text.length > 0; /* kiln_cli_print ends the last line */
    }
    if (!status)
        status = kiln_cli_print(&text, error);
    kiln_schema_finish(&schema);
    kiln_plugin_close(&plugin);
    return status;
}

/* --- all models --------------------------------------------------------------------------- */

static void list_model(const struct kiln_plugin_entry *entry, bool as_json, struct kiln_json *json,
                       struct kiln_text *text)
{
    kiln_plugin *plugin;
    struct kiln_error why;
    enum kiln_status status = kiln_plugin_open_entry(entry, &plugin, &why);
    if (status)
        kiln_cli_message("%s", why.text);
    if (as_json) {
        kiln_json_object(json, NULL);
        if (status) {
            kiln_json_string(json, "name", entry->name);
            kiln_json_string(json, "path", entry->path);
            kiln_json_string(json, "error", why.text);
        } else {
            write_model(json, kiln_plugin_model(plugin), entry->path);
        }
        kiln_json_end(json);
    } else if (!status) {
        kiln_text_append(text, "%s%-14s %s", text->length ? "\n" : "", entry->name,
                         kiln_plugin_model(plugin)->summary);
    }
    kiln_plugin_close(&plugin);
}

static enum kiln_status list_models(const struct kiln_cli *cli, struct kiln_error *error)
{
    size_t n;
    struct kiln_plugin_entry *entries;
    struct kiln_text text = {0};
    bool as_json = kiln_cli_flag(cli, "json");
    enum kiln_status status =
        kiln_plugin_list(kiln_cli_value(cli, "plugin-dir"), &n, &entries, error);
    if (status)
        return status;
    struct kiln_json json = kiln_json_start(&text);
    if (as_json) {
        kiln_json_object(&json, NULL);
        kiln_json_array(&json, "models");
    }
    for (size_t i = 0; i < n; i++)
        list_model(&entries[i], as_json, &json, &text);
    if (as_json) {
        kiln_json_end(&json);
        kiln_json_end(&json);
    }
    if (!n)
        kiln_cli_message("no model plugins found (--plugin-dir, KILN_PLUGIN_PATH)");
    if (text.length || text.failed)
        status = kiln_cli_print(&text, error);
    kiln_plugin_list_free(n, entries);
    return status;
}

static enum kiln_status run(const struct kiln_cli *cli, struct kiln_error *error)
{
    return cli->n_arguments ? show_model(cli, cli->arguments[0], error) : list_models(cli, error);
}

static const struct kiln_cli_option options[] = {
    KILN_CLI_PLUGIN_DIR_OPTION, KILN_CLI_QUIET_OPTION, KILN_CLI_JSON_OPTION, {0}};

static const char *const examples[] = {
    "kiln models", "lists the model plugins that are found", "kiln models vae",
    "prints every key of a VAE's config with type, default, range and meaning", NULL};

const struct kiln_command kiln_command_models = {
    .name = "models",
    .arguments = "[NAME]",
    .max_arguments = 1,
    .summary = "list model plugins, or all keys of one",
    .description =
        "Plugins are looked for in the directory given by --plugin-dir, in those of "
        "KILN_PLUGIN_PATH and in Kiln's own; the first of a name counts. With NAME, prints every "
        "key that a config of this model may have, with its default, type, range and meaning.",
    .options = options,
    .examples = examples,
    .run = run};
