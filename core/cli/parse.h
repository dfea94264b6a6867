/*
 * The command line: finding the command and parsing its options.
 */
#ifndef KILN_CLI_PARSE_H
#define KILN_CLI_PARSE_H

#include "core/cli/command.h"

/* All commands in the order of --help, ends with NULL. */
extern const struct kiln_command *const kiln_cli_commands[];

/* KILN_INPUT for an unknown name, with the nearest one. */
enum kiln_status kiln_cli_find(const char *name, const struct kiln_command **command,
                               struct kiln_error *error);

/*
 * Parses argv, whose first entry is the command's name (entries are permuted).
 * *help is set if --help is among the options. The caller finishes *cli, also
 * on failure.
 */
enum kiln_status kiln_cli_parse(struct kiln_cli *cli, const struct kiln_command *command, int argc,
                                char **argv, bool *help, struct kiln_error *error);
void kiln_cli_finish(struct kiln_cli *cli);

/* Help of the program or of a command, as plain text. */
void kiln_cli_help(struct kiln_text *text);
void kiln_cli_command_help(const struct kiln_command *, struct kiln_text *text);
/* kiln(1) in man macros. */
void kiln_cli_man(struct kiln_text *text);

#endif
