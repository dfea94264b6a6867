/* The kiln program: picks the command and reports its failure. */
#define _XOPEN_SOURCE 700 /* realpath */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/cli/parse.h"
#include "core/cli/tune_library.h"
#include "core/device/probe.h"

/* A closed standard descriptor would be given to the next file opened, and
 * messages would go into it. */
static void open_standard_files(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", O_RDWR) != fd)
            _exit(KILN_MACHINE);
}

/* The OpenCL probe is this program again. */
static void name_program(const char *argv0)
{
    char *path = realpath("/proc/self/exe", NULL);
    if (!path && strchr(argv0, '/'))
        path = realpath(argv0, NULL);
    if (path)
        kiln_probe_program(path);
    free(path);
}

static void show_log(void *user, enum kiln_log_level level, const char *line)
{
    if (level <= *(const enum kiln_log_level *)user)
        kiln_cli_message("%s", line);
}

/* Prints text on stdout without the newline that kiln_cli_print would add. */
static enum kiln_status print_help(struct kiln_text *text, struct kiln_error *error)
{
    if (text->length && text->data[text->length - 1] == '\n')
        text->data[--text->length] = '\0';
    return kiln_cli_print(text, error);
}

static enum kiln_status run_command(int argc, char **argv, struct kiln_error *error)
{
    const struct kiln_command *command;
    struct kiln_cli cli;
    struct kiln_text text = {0};
    bool help;
    enum kiln_status status = kiln_cli_find(argv[0], &command, error);
    if (status)
        return status;
    status = kiln_cli_parse(&cli, command, argc, argv, &help, error);
    if (!status && help) {
        kiln_cli_command_help(command, &text);
        status = print_help(&text, error);
    } else if (!status) {
        enum kiln_log_level level = KILN_LOG_NOTE;
        if (getenv("KILN_DEBUG"))
            level = KILN_LOG_DEBUG;
        if (kiln_cli_flag(&cli, "quiet"))
            level = KILN_LOG_WARNING;
        kiln_log_receiver(show_log, &level);
        status = command->run(&cli, error);
        kiln_log_receiver(NULL, NULL);
    }
    kiln_cli_finish(&cli);
    return status;
}

static enum kiln_status run(int argc, char **argv, struct kiln_error *error)
{
    struct kiln_text text = {0};
    const char *word = argc > 1 ? argv[1] : "";
    bool help = strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 ||
                (strcmp(word, "help") == 0 && argc == 2);
    if (help) {
        kiln_cli_help(&text);
        return print_help(&text, error);
    }
    if (strcmp(word, "--version") == 0) {
        kiln_text_append(&text, "kiln %s", KILN_VERSION);
        return kiln_cli_print(&text, error);
    }
    if (strcmp(word, "--man") == 0) {
        kiln_cli_man(&text);
        return print_help(&text, error);
    }
    if (strcmp(word, KILN_PROBE_COMMAND) == 0)
        return kiln_probe_child(stdout) ? KILN_MACHINE : KILN_OK;
    if (strcmp(word, KILN_PROBE_LIBRARY_COMMAND) == 0 && argc == 3)
        return kiln_probe_library_child(argv[2], stdout) ? KILN_MACHINE : KILN_OK;
    if (strcmp(word, KILN_TUNE_LIBRARY_COMMAND) == 0 && argc == 3)
        return kiln_tune_library_child(argv[2], error);
    if (strcmp(word, "help") == 0) {
        char *command[] = {argv[2], "--help", NULL};
        return run_command(2, command, error);
    }
    if (!*word)
        return kiln_fail(error, KILN_INPUT, "expected a command (kiln --help lists them)");
    if (*word == '-')
        return kiln_fail(error, KILN_INPUT, "unknown option %s (kiln --help)", word);
    return run_command(argc - 1, argv + 1, error);
}

int main(int argc, char **argv)
{
    struct kiln_error error = {""};
    open_standard_files();
    signal(SIGPIPE, SIG_IGN); /* a reader that went away is a failed write, */
    signal(SIGXFSZ, SIG_IGN); /* and so is a file beyond the limit of its size */
    name_program(argc > 0 ? argv[0] : "kiln");
    enum kiln_status status = run(argc, argv, &error);
    if (status && error.text[0])
        kiln_cli_message("%s", error.text);
    return status;
}
