/* A parsed command line as text. */
#include "core/cli/replay.h"

#include <string.h>

static void append_word(struct kiln_text *text, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "%+,-./:=@_";
    kiln_text_append(text, " ");
    if (*word && strspn(word, plain) == strlen(word)) {
        kiln_text_append(text, "%s", word);
        return;
    }
    kiln_text_append(text, "'");
    for (; *word; word++) {
        if (*word == '\'')
            kiln_text_append(text, "'\\''");
        else
            kiln_text_bytes(text, word, 1);
    }
    kiln_text_append(text, "'");
}

static bool is_flag(const struct kiln_cli_option *options, const char *name)
{
    for (int i = 0; options[i].name; i++)
        if (!strcmp(options[i].name, name))
            return !options[i].argument;
    return false;
}

/* --set S.K=V as it is; sugar ("--steps", "train.steps=5") as its option. */
static void append_override(struct kiln_text *text, const struct kiln_cli_option *options,
                            const struct kiln_config_override *override)
{
    const char *value = strchr(override->assignment, '=');
    kiln_text_append(text, " %s", override->option);
    if (!is_flag(options, override->option + 2))
        append_word(text, strcmp(override->option, "--set") != 0 && value ? value + 1
                                                                          : override->assignment);
}

void kiln_cli_replay(const struct kiln_cli *cli, struct kiln_text *text)
{
    const struct kiln_cli_option *options = cli->command->options;
    kiln_text_append(text, "kiln %s", cli->command->name);
    for (int i = 0; i < cli->n_arguments; i++)
        append_word(text, cli->arguments[i]);
    for (int i = 0; i < cli->n_overrides; i++)
        append_override(text, options, &cli->overrides[i]);
    for (int i = 0; options && options[i].name; i++) {
        if (!cli->values[i] || options[i].set || strcmp(options[i].name, "set") == 0)
            continue;
        kiln_text_append(text, " --%s", options[i].name);
        if (options[i].argument)
            append_word(text, cli->values[i]);
    }
}
