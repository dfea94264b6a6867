/* kiln describe: a configuration with everything resolved. */
#include <stdio.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/json.h"
#include "core/cli/command.h"
#include "core/run/ini.h"
#include "core/run/schema.h"

/* The config as INI text; values that are no defaults say where they are from. */
static void write_text(const kiln_config *config, struct kiln_text *text)
{
    const struct kiln_schema *schema = kiln_config_schema(config);
    const char *section = NULL;
    for (size_t i = 0; i < schema->n; i++) {
        const char *key = schema->options[i]->key;
        if (!section || strcmp(section, schema->options[i]->section) != 0) {
            kiln_text_append(text, "%s[%s]\n", section ? "\n" : "", schema->options[i]->section);
            section = schema->options[i]->section;
        }
        const char *value = kiln_config_text(config, section, key);
        size_t start = text->length;
        kiln_ini_write(text, key, value);
        int written = (int)(text->length - start);
        const char *origin = kiln_config_origin(config, section, key);
        /* a longer line would not be a config's any more */
        if (kiln_config_given(config, section, key) &&
            strlen(origin) + (size_t)(written < 32 ? 32 : written) + 3 <= KILN_INI_MAX_LINE)
            kiln_text_append(text, "%*s ; %s", written < 32 ? 32 - written : 0, "", origin);
        kiln_text_append(text, "\n");
    }
}

/* A run directory keeps its resolved config. */
static enum kiln_status load(const struct kiln_cli *cli, kiln_config **config,
                             struct kiln_error *error)
{
    const char *path = cli->arguments[0];
    if (!kiln_directory_exists(path))
        return kiln_cli_config(cli, path, NULL, 0, config, error);
    char file[4096];
    if (snprintf(file, sizeof file, "%s/config.ini", path) >= (int)sizeof file)
        return kiln_fail(error, KILN_INPUT, "%s: name too long", path);
    return kiln_cli_config(cli, file, NULL, 0, config, error);
}

static enum kiln_status run(const struct kiln_cli *cli, struct kiln_error *error)
{
    kiln_config *config;
    struct kiln_text text = {0};
    enum kiln_status status = load(cli, &config, error);
    if (status)
        return status;
    if (kiln_cli_flag(cli, "json")) {
        struct kiln_json json = kiln_json_start(&text);
        kiln_json_object(&json, NULL);
        kiln_config_json(config, &json, "config");
        kiln_json_end(&json);
    } else {
        write_text(config, &text);
        text.length -= text.length > 0; /* kiln_cli_print ends the last line */
    }
    status = kiln_cli_print(&text, error);
    kiln_config_destroy(&config);
    return status;
}

static const struct kiln_cli_option options[] = {
    KILN_CLI_CONFIG_OPTIONS, KILN_CLI_JSON_OPTION, {0}};

static const char *const examples[] = {
    "kiln describe config/vae.ini", "prints the config with all defaults filled in",
    "kiln describe config/vae.ini --set train.batch_size=64 >my.ini",
    "writes a changed config, complete", NULL};

const struct kiln_command kiln_command_describe = {
    .name = "describe",
    .arguments = "CONFIG|RUN",
    .min_arguments = 1,
    .max_arguments = 1,
    .summary = "show a resolved config",
    .description = "Prints the config with includes, --set and all defaults resolved, as INI text "
                   "that is a config again. Values that are no defaults say where they are from.",
    .options = options,
    .examples = examples,
    .run = run};
