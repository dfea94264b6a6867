/* What commands share: reading their options, and the configuration. */
#include "core/cli/command.h"

#include <stdlib.h>
#include <string.h>

#include "core/run/schema.h"

const char *kiln_cli_value(const struct kiln_cli *cli, const char *option)
{
    const struct kiln_cli_option *options = cli->command->options;
    for (int i = 0; options && options[i].name; i++)
        if (strcmp(options[i].name, option) == 0)
            return cli->values[i];
    return NULL;
}

bool kiln_cli_flag(const struct kiln_cli *cli, const char *option)
{
    return kiln_cli_value(cli, option) != NULL;
}

/* Parses an option's argument by the rules of a config's values. */
static enum kiln_status parse_number(const struct kiln_cli *cli, const char *option,
                                     enum kiln_option_type type, double min, double max,
                                     struct kiln_option_value *value, struct kiln_error *error)
{
    const struct kiln_option rules = {"", option, type, "", min, max, NULL, ""};
    struct kiln_error why;
    enum kiln_status status = kiln_option_parse(&rules, kiln_cli_value(cli, option), value, &why);
    return status ? kiln_fail(error, status, "%s: --%s: %s", cli->command->name, option, why.text)
                  : KILN_OK;
}

enum kiln_status kiln_cli_int(const struct kiln_cli *cli, const char *option, int64_t min,
                              int64_t max, int64_t *value, struct kiln_error *error)
{
    struct kiln_option_value parsed;
    if (!kiln_cli_flag(cli, option))
        return KILN_OK;
    enum kiln_status status =
        parse_number(cli, option, KILN_OPTION_INT, (double)min, (double)max, &parsed, error);
    if (!status)
        *value = parsed.integer;
    return status;
}

enum kiln_status kiln_cli_float(const struct kiln_cli *cli, const char *option, double min,
                                double max, double *value, struct kiln_error *error)
{
    struct kiln_option_value parsed;
    if (!kiln_cli_flag(cli, option))
        return KILN_OK;
    enum kiln_status status =
        parse_number(cli, option, KILN_OPTION_FLOAT, min, max, &parsed, error);
    if (!status)
        *value = parsed.number;
    return status;
}

enum kiln_status kiln_cli_config(const struct kiln_cli *cli, const char *path, const char *text,
                                 size_t text_bytes, kiln_config **config, struct kiln_error *error)
{
    const struct kiln_config_source source = {.path = path,
                                              .text = text,
                                              .text_bytes = text_bytes,
                                              .plugin_dir = kiln_cli_value(cli, "plugin-dir"),
                                              .n_overrides = cli->n_overrides,
                                              .overrides = cli->overrides};
    return kiln_config_load(&source, config, error);
}
