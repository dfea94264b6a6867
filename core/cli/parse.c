/* Finding the command and parsing its options. */
#include "core/cli/parse.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROW(name) &kiln_command_##name,
const struct kiln_command *const kiln_cli_commands[] = {KILN_COMMANDS(ROW) NULL};
#undef ROW

/* Remembers candidate in *found if it is nearer to name than all before. */
static void remember_nearer(const char *name, const char *candidate, const char **found, int *best)
{
    int distance = kiln_edit_distance(name, candidate);
    if (distance < *best && distance <= (int)strlen(candidate) / 3 + 1) {
        *best = distance;
        *found = candidate;
    }
}

enum kiln_status kiln_cli_find(const char *name, const struct kiln_command **command,
                               struct kiln_error *error)
{
    const char *near = NULL;
    int best = 1000;
    *command = NULL;
    for (int i = 0; kiln_cli_commands[i]; i++) {
        if (strcmp(kiln_cli_commands[i]->name, name) == 0) {
            *command = kiln_cli_commands[i];
            return KILN_OK;
        }
        remember_nearer(name, kiln_cli_commands[i]->name, &near, &best);
    }
    return near ? kiln_fail(error, KILN_INPUT, "unknown command %s (did you mean %s?)", name, near)
                : kiln_fail(error, KILN_INPUT, "unknown command %s (kiln --help lists them)", name);
}

/* --- options ------------------------------------------------------------------------ */

enum { FIRST_OPTION = 256 }; /* getopt's value of row 0 */

static int count_options(const struct kiln_command *command)
{
    int n = 0;
    while (command->options && command->options[n].name)
        n++;
    return n;
}

/* getopt's tables for n rows and --help; letters has room for 2 n + 3. */
static void make_tables(const struct kiln_command *command, int n, struct option *table,
                        char *letters)
{
    *letters++ = ':'; /* tells a missing argument from an unknown option */
    *letters++ = 'h';
    for (int i = 0; i < n; i++) {
        const struct kiln_cli_option *option = &command->options[i];
        table[i] = (struct option){option->name, option->argument ? required_argument : no_argument,
                                   NULL, FIRST_OPTION + i};
        if (!option->letter)
            continue;
        *letters++ = option->letter;
        if (option->argument)
            *letters++ = ':';
    }
    *letters = '\0';
    table[n] = (struct option){"help", no_argument, NULL, FIRST_OPTION + n};
    table[n + 1] = (struct option){0};
}

/* What getopt's '?' or ':' was about. */
static enum kiln_status fail_option(const struct kiln_command *command, int n, int result,
                                    char *const *argv, struct kiln_error *error)
{
    char letter[3] = "-?", name[128];
    const char *text = argv[optind - 1], *near = NULL;
    int best = 1000;
    if (optopt && optopt < FIRST_OPTION) {
        letter[1] = (char)optopt;
        text = letter;
    }
    snprintf(name, sizeof name, "%.*s", (int)strcspn(text, "="), text);
    if (result == ':')
        return kiln_fail(error, KILN_INPUT, "%s: option %s needs an argument", command->name, name);
    if (optopt >= FIRST_OPTION)
        return kiln_fail(error, KILN_INPUT, "%s: option %s takes no argument", command->name, name);
    if (strncmp(name, "--", 2) == 0) {
        for (int i = 0; i < n; i++) {
            /* getopt takes an unambiguous beginning; this one is not */
            if (strncmp(command->options[i].name, name + 2, strlen(name + 2)) == 0)
                near = command->options[i].name;
            remember_nearer(name + 2, command->options[i].name, &near, &best);
        }
    }
    return near ? kiln_fail(error, KILN_INPUT, "%s: unknown option %s (did you mean --%s?)",
                            command->name, name, near)
                : kiln_fail(error, KILN_INPUT, "%s: unknown option %s (kiln %s --help lists them)",
                            command->name, name, command->name);
}

static enum kiln_status add_override(struct kiln_cli *cli, const struct kiln_cli_option *option,
                                     const char *argument, struct kiln_error *error)
{
    struct kiln_text label = {0}, assignment = {0};
    kiln_text_append(&label, "--%s", option->name);
    if (option->set)
        kiln_text_append(&assignment, "%s=%s", option->set, argument);
    else
        kiln_text_append(&assignment, "%s", argument);
    size_t bytes = ((size_t)cli->n_overrides + 1) * sizeof *cli->overrides;
    struct kiln_config_override *grown = realloc(cli->overrides, bytes);
    if (grown)
        cli->overrides = grown;
    if (!grown || label.failed || assignment.failed) {
        kiln_text_finish(&label);
        kiln_text_finish(&assignment);
        return kiln_fail(error, KILN_MACHINE, "command line: out of memory");
    }
    grown[cli->n_overrides++] = (struct kiln_config_override){label.data, assignment.data};
    return KILN_OK;
}

static enum kiln_status take_option(struct kiln_cli *cli, int index, const char *argument,
                                    struct kiln_error *error)
{
    const struct kiln_cli_option *option = &cli->command->options[index];
    cli->values[index] = option->argument ? argument : "";
    if (!option->argument)
        argument = "true";
    if (option->set || strcmp(option->name, "set") == 0)
        return add_override(cli, option, argument, error);
    return KILN_OK;
}

static enum kiln_status check_arguments(const struct kiln_cli *cli, struct kiln_error *error)
{
    const struct kiln_command *command = cli->command;
    if (cli->n_arguments < command->min_arguments)
        return kiln_fail(error, KILN_INPUT, "%s: expected %s (kiln %s --help)", command->name,
                         command->arguments, command->name);
    if (cli->n_arguments > command->max_arguments)
        return kiln_fail(error, KILN_INPUT, "%s: unexpected argument \"%s\"", command->name,
                         cli->arguments[command->max_arguments]);
    return KILN_OK;
}

enum kiln_status kiln_cli_parse(struct kiln_cli *cli, const struct kiln_command *command, int argc,
                                char **argv, bool *help, struct kiln_error *error)
{
    int n = count_options(command);
    *cli = (struct kiln_cli){.command = command};
    *help = false;
    struct option *table = calloc((size_t)n + 2, sizeof *table);
    char *letters = calloc(2 * (size_t)n + 3, 1);
    cli->values = calloc((size_t)n + 1, sizeof *cli->values);
    enum kiln_status status = KILN_OK;
    if (table && letters && cli->values)
        make_tables(command, n, table, letters);
    else
        status = kiln_fail(error, KILN_MACHINE, "command line: out of memory");
    opterr = 0;
    while (!status) {
        optopt = 0;
        int result = getopt_long(argc, argv, letters, table, NULL);
        if (result < 0)
            break;
        if (result == 'h' || result == FIRST_OPTION + n) {
            *help = true;
        } else if (result == '?' || result == ':') {
            status = fail_option(command, n, result, argv, error);
        } else {
            int index = result - FIRST_OPTION;
            for (int i = 0; i < n && result < FIRST_OPTION; i++)
                if (command->options[i].letter == result)
                    index = i;
            status = take_option(cli, index, optarg, error);
        }
    }
    cli->n_arguments = argc - optind;
    cli->arguments = argv + optind;
    free(table);
    free(letters);
    return status || *help ? status : check_arguments(cli, error);
}

void kiln_cli_finish(struct kiln_cli *cli)
{
    for (int i = 0; i < cli->n_overrides; i++) {
        free((char *)cli->overrides[i].option);
        free((char *)cli->overrides[i].assignment);
    }
    free(cli->overrides);
    free(cli->values);
    *cli = (struct kiln_cli){0};
}
