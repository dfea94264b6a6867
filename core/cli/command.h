/*
 * Commands of the kiln program.
 *
 * A command is a file core/cli/NAME.c that defines a constant struct
 * kiln_command named kiln_command_NAME, and a row in KILN_COMMANDS. Its table
 * of options is the one source of getopt_long's, of --help and of kiln(1).
 *
 * Results go to stdout, everything else to stderr. With --json, a command
 * prints one JSON object on stdout and nothing else there.
 */
#ifndef KILN_CLI_COMMAND_H
#define KILN_CLI_COMMAND_H

#include "core/run/config.h"

/* X(name): in the order of --help. */
#define KILN_COMMANDS(X)                                                                           \
    X(train)                                                                                       \
    X(sample)                                                                                      \
    X(reconstruct)                                                                                 \
    X(eval)                                                                                        \
    X(study)                                                                                       \
    X(report)                                                                                      \
    X(describe)                                                                                    \
    X(models)                                                                                      \
    X(export)                                                                                      \
    X(import)                                                                                      \
    X(devices)                                                                                     \
    X(doctor)                                                                                      \
    X(check)                                                                                       \
    X(compare)                                                                                     \
    X(bench)                                                                                       \
    X(tune)

/*
 * One option. An option with set is sugar for --set: its argument, or true for
 * a flag, becomes the value of that key ("train.steps"). The others are read by
 * the command.
 */
struct kiln_cli_option {
    const char *name;     /* long name without dashes; NULL ends a table */
    char letter;          /* short form, or 0 */
    const char *argument; /* e.g. "N"; NULL: a flag */
    const char *set;      /* "section.key", or NULL */
    const char *help;     /* one line, no full stop */
};

/* Rows that commands share; the first two for those that read a configuration. */
/* clang-format off */
#define KILN_CLI_CONFIG_OPTIONS                                                                    \
    {"set", 0, "SECTION.KEY=VALUE", NULL, "override a key of the config; may be repeated"},        \
    KILN_CLI_PLUGIN_DIR_OPTION
#define KILN_CLI_DEVICE_OPTION                                                                     \
    {"device", 0, "DEVICE", "run.device", "cpu, opencl:0 or a part of a device's name"}
#define KILN_CLI_PLUGIN_DIR_OPTION                                                                 \
    {"plugin-dir", 0, "DIR", NULL, "look for model plugins here first"}
#define KILN_CLI_STATS_OPTION                                                                      \
    {"stats", 0, NULL, NULL, "print where the time goes: steps are timed one by one"}
#define KILN_CLI_JSON_OPTION {"json", 0, NULL, NULL, "print one JSON object"}
/* Messages are warnings and failures only; the program knows this option. */
#define KILN_CLI_QUIET_OPTION {"quiet", 'q', NULL, NULL, "show no progress and no notes"}
/* clang-format on */

/* A parsed command line. */
struct kiln_cli {
    const struct kiln_command *command;
    int n_arguments;
    char *const *arguments; /* those that are no options */
    /* Of command->options: the argument ("" for a flag) or NULL if it was not
     * given; the last one wins. */
    const char **values;
    /* --set and the options with set, in order. */
    int n_overrides;
    struct kiln_config_override *overrides;
};

struct kiln_command {
    const char *name;
    const char *arguments; /* e.g. "CONFIG|RUN", "[NAME]" */
    int min_arguments, max_arguments;
    const char *summary; /* one line, no full stop, lower case */
    /* Paragraphs for --help and the man page, separated by "\n\n"; may be NULL. */
    const char *description;
    const struct kiln_cli_option *options; /* --help is added to it */
    /* Command lines, each followed by what it does; ends with NULL. */
    const char *const *examples;
    /* A status other than KILN_OK is the exit status; its message is printed
     * as "kiln: message" unless it is empty. */
    enum kiln_status (*run)(const struct kiln_cli *, struct kiln_error *);
};

#define KILN_COMMAND_DECLARE(name) extern const struct kiln_command kiln_command_##name;
KILN_COMMANDS(KILN_COMMAND_DECLARE)

/* An option's argument ("" for a flag), or NULL if it was not given. */
const char *kiln_cli_value(const struct kiln_cli *, const char *option);
bool kiln_cli_flag(const struct kiln_cli *, const char *option);
/* An option's whole number in min..max; *value stays when it was not given. */
enum kiln_status kiln_cli_int(const struct kiln_cli *, const char *option, int64_t min, int64_t max,
                              int64_t *value, struct kiln_error *);
/* As kiln_cli_int, for a finite number. */
enum kiln_status kiln_cli_float(const struct kiln_cli *, const char *option, double min, double max,
                                double *value, struct kiln_error *);

/* The config of a file, or of text (text_bytes of it, path is its name), with
 * the command line's overrides and plugin directory. */
enum kiln_status kiln_cli_config(const struct kiln_cli *, const char *path, const char *text,
                                 size_t text_bytes, kiln_config **, struct kiln_error *);

/* "kiln: ..." on stderr, one line; control characters become '?'. A progress
 * bar on the line is cleared first and drawn again by its next update. */
void kiln_cli_message(const char *format, ...) KILN_PRINTF(1, 2);
/* True if stderr is a terminal that takes colours and NO_COLOR is not set. */
bool kiln_cli_colour(void);
/* Appends text broken between words into lines of at most 80 columns, each
 * after indent blanks and with a newline. A newline in text breaks the line. */
void kiln_cli_wrap(struct kiln_text *, const char *text, int indent);
/* Prints the text and a newline on stdout and empties it; a text that failed is
 * out of memory. A reader that went away (EPIPE) is not a failure. */
enum kiln_status kiln_cli_print(struct kiln_text *, struct kiln_error *);

#endif
