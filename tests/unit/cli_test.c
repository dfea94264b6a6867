/* Parsing of command lines, help, and the text of a progress bar. */
#include <getopt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/cli/parse.h"
#include "core/cli/progress.h"

static const struct kiln_cli_option options[] = {KILN_CLI_CONFIG_OPTIONS,
                                                 KILN_CLI_DEVICE_OPTION,
                                                 KILN_CLI_JSON_OPTION,
                                                 {"n", 'n', "N", "sample.n", "samples"},
                                                 {"out", 'o', "FILE", NULL, "file to write"},
                                                 {"delta", 0, "X", NULL, "a number"},
                                                 {0}};
static const struct kiln_command command = {.name = "toy",
                                            .arguments = "RUN",
                                            .min_arguments = 1,
                                            .max_arguments = 2,
                                            .summary = "a toy",
                                            .description = "First paragraph.\n\n.second 'one'",
                                            .options = options};

static struct kiln_error error;

/* Splits a line at blanks and parses it; the strings live until the next call. */
static enum kiln_status parse(struct kiln_cli *cli, const char *line, bool *help)
{
    static char words[256], *argv[32];
    int argc = 0;
    snprintf(words, sizeof words, "%s", line);
    for (char *word = strtok(words, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    argv[argc] = NULL;
    optind = 0; /* glibc: start anew */
    error.text[0] = '\0';
    return kiln_cli_parse(cli, &command, argc, argv, help, &error);
}

static void options_are_read(void **unused)
{
    (void)unused;
    struct kiln_cli cli;
    bool help;
    assert_int_equal(
        parse(&cli, "toy a --set x.y=1 -n 5 --out=f b --n 6 --json --delta 0.5", &help), KILN_OK);
    assert_false(help);
    assert_int_equal(cli.n_arguments, 2);
    assert_string_equal(cli.arguments[0], "a");
    assert_string_equal(cli.arguments[1], "b");
    assert_int_equal(cli.n_overrides, 3);
    assert_string_equal(cli.overrides[0].option, "--set");
    assert_string_equal(cli.overrides[0].assignment, "x.y=1");
    assert_string_equal(cli.overrides[1].option, "--n");
    assert_string_equal(cli.overrides[2].assignment, "sample.n=6");
    assert_string_equal(kiln_cli_value(&cli, "out"), "f");
    assert_true(kiln_cli_flag(&cli, "json"));
    assert_null(kiln_cli_value(&cli, "device"));
    assert_null(kiln_cli_value(&cli, "no-such-option"));
    int64_t n = 9;
    double delta = 0;
    assert_int_equal(kiln_cli_int(&cli, "n", 1, 10, &n, &error), KILN_OK);
    assert_int_equal(n, 6);
    assert_int_equal(kiln_cli_float(&cli, "delta", 0, 1, &delta, &error), KILN_OK);
    assert_true(delta == 0.5);
    assert_int_equal(kiln_cli_int(&cli, "delta", 0, 1, &n, &error), KILN_INPUT);
    assert_string_equal(error.text, "toy: --delta: expected a whole number in 0..1, got \"0.5\"");
    assert_int_equal(kiln_cli_int(&cli, "device", 0, 1, &n, &error), KILN_OK);
    assert_int_equal(n, 6);
    kiln_cli_finish(&cli);
    assert_int_equal(parse(&cli, "toy --help", &help), KILN_OK);
    assert_true(help);
    kiln_cli_finish(&cli);
    assert_int_equal(parse(&cli, "toy a -- --json", &help), KILN_OK);
    assert_int_equal(cli.n_arguments, 2);
    assert_false(kiln_cli_flag(&cli, "json"));
    kiln_cli_finish(&cli);
}

static void mistakes_are_named(void **unused)
{
    (void)unused;
    static const char *const rows[][2] = {
        {"toy", "toy: expected RUN (kiln toy --help)"},
        {"toy a b c", "toy: unexpected argument \"c\""},
        {"toy a --devise cpu", "toy: unknown option --devise (did you mean --device?)"},
        {"toy a --xyzzy", "toy: unknown option --xyzzy (kiln toy --help lists them)"},
        {"toy a --xyzzy=5", "toy: unknown option --xyzzy (kiln toy --help lists them)"},
        {"toy a --de 3", "toy: unknown option --de (did you mean --delta?)"},
        {"toy a -x", "toy: unknown option -x (kiln toy --help lists them)"},
        {"toy a -n", "toy: option -n needs an argument"},
        {"toy a --set", "toy: option --set needs an argument"},
        {"toy a --json=1", "toy: option --json takes no argument"},
        {"toy a --help=1", "toy: option --help takes no argument"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct kiln_cli cli;
        bool help;
        assert_int_equal(parse(&cli, rows[i][0], &help), KILN_INPUT);
        assert_string_equal(error.text, rows[i][1]);
        kiln_cli_finish(&cli);
    }
    const struct kiln_command *found;
    assert_int_equal(kiln_cli_find("model", &found, &error), KILN_INPUT);
    assert_string_equal(error.text, "unknown command model (did you mean models?)");
    assert_int_equal(kiln_cli_find("models", &found, &error), KILN_OK);
    assert_string_equal(found->name, "models");
}

/* Every command's tables hold together. */
static void commands_are_sound(void **unused)
{
    (void)unused;
    for (int c = 0; kiln_cli_commands[c]; c++) {
        const struct kiln_command *one = kiln_cli_commands[c];
        assert_non_null(one->run);
        assert_non_null(one->arguments);
        assert_true(one->max_arguments >= one->min_arguments);
        bool quiet = false;
        for (int i = 0; one->options && one->options[i].name; i++) {
            const struct kiln_cli_option *option = &one->options[i];
            assert_non_null(option->help);
            assert_true(!option->set || strchr(option->set, '.'));
            assert_string_not_equal(option->name, "help");
            assert_int_not_equal(option->letter, 'h');
            quiet = quiet || strcmp(option->name, "quiet") == 0;
            for (int k = 0; k < i; k++) {
                assert_string_not_equal(option->name, one->options[k].name);
                assert_true(!option->letter || option->letter != one->options[k].letter);
            }
        }
        assert_true(quiet); /* every command can be told to keep its notes */
        for (int i = 0; one->examples && one->examples[i]; i += 2) {
            assert_non_null(one->examples[i + 1]);
            char start[64];
            snprintf(start, sizeof start, "kiln %s", one->name);
            assert_non_null(strstr(one->examples[i], start));
        }
        struct kiln_text text = {0};
        kiln_cli_command_help(one, &text);
        assert_non_null(strstr(text.data, "Usage: kiln "));
        kiln_text_finish(&text);
    }
    struct kiln_text man = {0};
    kiln_cli_man(&man);
    assert_non_null(strstr(man.data, ".SH COMMANDS"));
    assert_non_null(strstr(man.data, "\\fB\\-\\-plugin\\-dir\\fR"));
    kiln_text_finish(&man);
}

static void progress_fits_its_line(void **unused)
{
    (void)unused;
    char line[512];
    struct kiln_progress_state state = {.title = "train",
                                        .unit = "images",
                                        .text = "loss 101.3",
                                        .done = 250,
                                        .total = 1000,
                                        .rate = 12345,
                                        .seconds = 3725};
    kiln_progress_format(&state, 0, line, sizeof line);
    assert_string_equal(line, "train 250/1000  25%  12.3k images/s  1:02:05 left  loss 101.3");
    kiln_progress_format(&state, 100, line, sizeof line);
    assert_string_equal(line, "train [=====>              ] 250/1000  25%  12.3k images/s  "
                              "1:02:05 left  loss 101.3");
    for (int columns = 1; columns < 120; columns++) {
        kiln_progress_format(&state, columns, line, sizeof line);
        assert_true(strlen(line) < (size_t)columns);
    }
    state = (struct kiln_progress_state){
        .title = "sample", .unit = "", .text = "", .done = 7, .seconds = -1};
    kiln_progress_format(&state, 80, line, sizeof line);
    assert_string_equal(line, "sample 7");
    state.done = state.total = 3;
    state.seconds = 1e30;
    kiln_progress_format(&state, 80, line, sizeof line);
    assert_non_null(strstr(line, "[====================] 3/3 100%"));
    state.done = 9; /* more than the total */
    kiln_progress_format(&state, 80, line, sizeof line);
    assert_non_null(strstr(line, "[====================] 9/3 100%"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_are_read),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(commands_are_sound),
        cmocka_unit_test(progress_fits_its_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
