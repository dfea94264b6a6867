/* --help and kiln(1), both from the tables of the commands. */
#include <stdio.h>
#include <string.h>

#include "core/cli/parse.h"

static const char tagline[] = "train and run generative image models on OpenCL devices and CPUs";

/* What the program says about itself in several places. */
static const char *const environment[][2] = {
    {"KILN_DEVICE", "device to use where --device does not say; goes before [run] device"},
    {"KILN_PLUGIN_PATH", "directories of model plugins, separated by colons"},
    {"XDG_CACHE_HOME", "measured choices and compiled kernels are kept in its folder kiln; "
                       "default ~/.cache"},
    {"NO_COLOR", "no colours if it is not empty"},
    {NULL, NULL}};

static const char *const statuses[][2] = {
    {"0", "done"},
    {"1", "the machine failed: device, memory, disk"},
    {"2", "the input was wrong: usage, config, data, checkpoint, plugin"},
    {"130", "interrupted; the state was saved"},
    {NULL, NULL}};

/* --- plain text ---------------------------------------------------------------------- */

enum { COLUMNS = 80, HELP_COLUMN = 28 };

void kiln_cli_wrap(struct kiln_text *out, const char *text, int indent)
{
    int column = 0;
    while (*text) {
        int word = (int)strcspn(text, " \n");
        if (column && column + 1 + word > COLUMNS) {
            kiln_text_append(out, "\n");
            column = 0;
        }
        if (word) {
            kiln_text_append(out, "%*s%.*s", column ? 1 : indent, "", word, text);
            column += word + (column ? 1 : indent);
        }
        text += word;
        if (*text == '\n') {
            kiln_text_append(out, "\n");
            column = 0;
        }
        text += *text != '\0';
    }
    kiln_text_append(out, "\n");
}

static void option_help(struct kiln_text *out, const struct kiln_cli_option *option)
{
    char left[128];
    int n = option->letter ? snprintf(left, sizeof left, "  -%c, ", option->letter)
                           : snprintf(left, sizeof left, "      ");
    snprintf(left + n, sizeof left - (size_t)n, "--%s%s%s", option->name,
             option->argument ? " " : "", option->argument ? option->argument : "");
    struct kiln_text help = {0};
    kiln_cli_wrap(&help, option->help, HELP_COLUMN);
    if (help.failed)
        out->failed = true;
    else if (strlen(left) > HELP_COLUMN - 2)
        kiln_text_append(out, "%s\n%s", left, help.data);
    else
        kiln_text_append(out, "%-*s%s", HELP_COLUMN, left, help.data + HELP_COLUMN);
    kiln_text_finish(&help);
}

static const struct kiln_cli_option help_option = {"help", 'h', NULL, NULL, "show this help"};

void kiln_cli_command_help(const struct kiln_command *command, struct kiln_text *out)
{
    kiln_text_append(out, "kiln %s: %s\n\n", command->name, command->summary);
    kiln_text_append(out, "Usage: kiln %s%s%s [OPTION]...\n\n", command->name,
                     *command->arguments ? " " : "", command->arguments);
    if (command->description) {
        kiln_cli_wrap(out, command->description, 0);
        kiln_text_append(out, "\n");
    }
    kiln_text_append(out, "Options:\n");
    for (int i = 0; command->options && command->options[i].name; i++)
        option_help(out, &command->options[i]);
    option_help(out, &help_option);
    if (command->examples)
        kiln_text_append(out, "\nExamples:\n");
    for (int i = 0; command->examples && command->examples[i]; i += 2) {
        kiln_text_append(out, "  %s\n", command->examples[i]);
        kiln_cli_wrap(out, command->examples[i + 1], 6);
    }
}

void kiln_cli_help(struct kiln_text *out)
{
    kiln_text_append(out, "kiln: %s\n\nUsage: kiln COMMAND [ARGUMENT]... [OPTION]...\n\n", tagline);
    kiln_text_append(out, "Commands:\n");
    for (int i = 0; kiln_cli_commands[i]; i++)
        kiln_text_append(out, "  %-14s%s\n", kiln_cli_commands[i]->name,
                         kiln_cli_commands[i]->summary);
    kiln_text_append(out, "\nOptions:\n");
    option_help(out, &help_option);
    option_help(out, &(struct kiln_cli_option){"version", 0, NULL, NULL, "show the version"});
    kiln_text_append(out, "\nEnvironment:\n");
    for (int i = 0; environment[i][0]; i++) {
        kiln_text_append(out, "  %s\n", environment[i][0]);
        kiln_cli_wrap(out, environment[i][1], 6);
    }
    kiln_text_append(out, "\nExit status:\n");
    for (int i = 0; statuses[i][0]; i++)
        kiln_text_append(out, "  %-5s%s\n", statuses[i][0], statuses[i][1]);
    kiln_text_append(out, "\nkiln COMMAND --help says more about a command.\n");
}

/* --- man page -------------------------------------------------------------------------- */

/* Appends text with what roff would take as markup escaped; a blank line is a
 * new paragraph. */
static void roff(struct kiln_text *out, const char *text)
{
    for (bool start = true; *text; start = *text == '\n', text++) {
        if (start && (*text == '.' || *text == '\''))
            kiln_text_append(out, "\\&");
        if (text[0] == '\n' && text[1] == '\n') {
            kiln_text_append(out, "\n.PP\n");
            text++;
        } else if (*text == '\\') {
            kiln_text_append(out, "\\e");
        } else if (*text == '-') {
            kiln_text_append(out, "\\-");
        } else {
            kiln_text_append(out, "%c", *text);
        }
    }
    kiln_text_append(out, "\n");
}

static void man_option(struct kiln_text *out, const struct kiln_cli_option *option)
{
    kiln_text_append(out, ".TP\n");
    if (option->letter)
        kiln_text_append(out, "\\fB\\-%c\\fR, ", option->letter);
    kiln_text_append(out, "\\fB\\-\\-");
    for (const char *c = option->name; *c; c++)
        kiln_text_append(out, *c == '-' ? "\\-" : "%c", *c);
    kiln_text_append(out, "\\fR");
    if (option->argument)
        kiln_text_append(out, " \\fI%s\\fR", option->argument);
    kiln_text_append(out, "\n");
    roff(out, option->help);
}

static void man_command(struct kiln_text *out, const struct kiln_command *command)
{
    kiln_text_append(out, ".SS kiln %s %s\n", command->name, command->arguments);
    roff(out, command->summary);
    if (command->description) {
        kiln_text_append(out, ".PP\n");
        roff(out, command->description);
    }
    for (int i = 0; command->options && command->options[i].name; i++)
        man_option(out, &command->options[i]);
    for (int i = 0; command->examples && command->examples[i]; i += 2) {
        kiln_text_append(out, ".PP\n.EX\n");
        roff(out, command->examples[i]);
        kiln_text_append(out, ".EE\n.RS\n");
        roff(out, command->examples[i + 1]);
        kiln_text_append(out, ".RE\n");
    }
}

static void man_pairs(struct kiln_text *out, const char *title, const char *const (*pairs)[2])
{
    kiln_text_append(out, ".SH %s\n", title);
    for (int i = 0; pairs[i][0]; i++) {
        kiln_text_append(out, ".TP\n\\fB%s\\fR\n", pairs[i][0]);
        roff(out, pairs[i][1]);
    }
}

void kiln_cli_man(struct kiln_text *out)
{
    kiln_text_append(out, ".TH KILN 1 \"\" \"kiln %s\" \"User Commands\"\n", KILN_VERSION);
    kiln_text_append(out, ".SH NAME\nkiln \\- %s\n", tagline);
    kiln_text_append(out, ".SH SYNOPSIS\n\\fBkiln\\fR \\fICOMMAND\\fR [\\fIARGUMENT\\fR]... "
                          "[\\fIOPTION\\fR]...\n.br\n\\fBkiln\\fR \\fICOMMAND\\fR "
                          "\\fB\\-\\-help\\fR\n.br\n\\fBkiln \\-\\-version\\fR\n");
    kiln_text_append(out, ".SH DESCRIPTION\n");
    roff(out,
         "Kiln trains and runs generative image models on any OpenCL device or on the CPU. A "
         "model is a plugin that an INI file, the config, describes: kiln train CONFIG makes a "
         "run directory, and the other commands read it.\n\n"
         "A config has sections and keys; every key is declared by Kiln or by the model plugin "
         "('kiln models NAME' prints them). Lines are 'key = value'; ';' and '#' start a comment "
         "at a line's start or after a blank. 'include = other.ini' before the first section "
         "inherits from another file, whose path is relative to the including file. --set "
         "SECTION.KEY=VALUE on the command line wins over all files.");
    kiln_text_append(out, ".SH COMMANDS\nResults go to stdout, messages and progress to stderr.\n");
    for (int i = 0; kiln_cli_commands[i]; i++)
        man_command(out, kiln_cli_commands[i]);
    man_pairs(out, "ENVIRONMENT", environment);
    man_pairs(out, "EXIT STATUS", statuses);
}
