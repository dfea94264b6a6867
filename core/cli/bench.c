/* kiln bench: what devices can do. */
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/log.h"
#include "core/bench/bench.h"
#include "core/bench/compare.h"
#include "core/bench/suite_file.h"
#include "core/cli/command.h"
#include "core/cli/progress.h"
#include "core/cli/stop.h"
#include "core/device/probe.h"
#include "core/report/bench_page.h"
#include "core/report/bench_tables.h"

struct bar {
    kiln_progress *progress;
    bool quiet;
};

/* Notes of every graph's tuning would drown the progress. */
static void show_warning(void *user, enum kiln_log_level level, const char *line)
{
    (void)user;
    if (level == KILN_LOG_WARNING)
        kiln_cli_message("%s", line);
}

static void show_progress(void *user, int done, int total, const char *name)
{
    struct bar *bar = user;
    const struct kiln_progress_options options = {
        .title = "bench", .unit = "entries", .total = total, .quiet = bar->quiet};
    if (!bar->progress)
        bar->progress = kiln_progress_create(&options);
    kiln_progress_update(bar->progress, done, name);
}

/* --- results -------------------------------------------------------------------------------------
 */

/* Writes a text that may have failed, and empties it. */
static enum kiln_status write_text(struct kiln_text *text, const char *path,
                                   struct kiln_error *error)
{
    enum kiln_status status = text->failed
                                  ? kiln_fail(error, KILN_MACHINE, "%s: out of memory", path)
                                  : kiln_file_write(path, text->data, text->length, error);
    kiln_text_finish(text);
    return status;
}

static enum kiln_table_form form_of(const struct kiln_cli *cli)
{
    return kiln_cli_flag(cli, "markdown") ? KILN_TABLE_MARKDOWN : KILN_TABLE_PLAIN;
}

static bool is_stdout(const char *path)
{
    return path && !strncmp(path, "/dev/", 5);
}

/* Files first; tables unless a file is the standard output. */
static enum kiln_status give_results(const struct kiln_cli *cli, const struct kiln_suite *suite,
                                     struct kiln_error *error)
{
    const char *json = kiln_cli_value(cli, "json"), *report = kiln_cli_value(cli, "report");
    struct kiln_text text = {0};
    enum kiln_status status = KILN_OK;
    if (json) {
        kiln_suite_write(suite, &text);
        status = write_text(&text, json, error);
    }
    if (!status && report) {
        kiln_report_bench(suite, &text);
        status = write_text(&text, report, error);
    }
    if (status || is_stdout(json) || is_stdout(report))
        return status;
    kiln_bench_show(suite, form_of(cli), &text);
    return kiln_cli_print(&text, error);
}

/* Entries that failed are shown with their reasons; the exit status tells too. */
static enum kiln_status count_failures(const struct kiln_suite *suite, struct kiln_error *error)
{
    int failed = 0;
    for (size_t i = 0; i < suite->n_devices; i++)
        failed += suite->devices[i].failure[0] != '\0';
    for (size_t i = 0; i < suite->n_ops; i++)
        failed += suite->ops[i].failure[0] != '\0';
    for (size_t i = 0; i < suite->n_models; i++)
        failed += suite->models[i].failure[0] || suite->models[i].start_failure[0];
    return failed ? kiln_fail(error, KILN_MACHINE, "%d entries failed, with their reasons above",
                              failed)
                  : KILN_OK;
}

/* --- measuring
 * ------------------------------------------------------------------------------------- */

static enum kiln_status measure(const struct kiln_cli *cli, struct kiln_error *error)
{
    const char *part = cli->n_arguments ? cli->arguments[0] : NULL;
    const char *device = kiln_cli_value(cli, "device"), *environment = getenv("KILN_DEVICE");
    struct bar bar = {.quiet = kiln_cli_flag(cli, "quiet")};
    struct kiln_suite suite;
    if (part && strcmp(part, "ops") && strcmp(part, "models"))
        return kiln_fail(error, KILN_INPUT, "bench: \"%s\", expected ops or models", part);
    const char *precision = kiln_cli_value(cli, "matmul-precision");
    bool medium = precision && strcmp(precision, "medium") == 0;
    if (precision && !medium && strcmp(precision, "highest") != 0)
        return kiln_fail(error, KILN_INPUT,
                         "--matmul-precision: \"%s\", expected highest or medium", precision);
    const struct kiln_bench_options options = {
        .round_products = medium,
        .device = device                          ? device
                  : environment && environment[0] ? environment
                                                  : "auto",
        .ops = !part || !strcmp(part, "ops"),
        .models = !part || !strcmp(part, "models"),
        .quick = kiln_cli_flag(cli, "quick"),
        .tiny = kiln_cli_flag(cli, "tiny"),
        .no_tune = kiln_cli_flag(cli, "no-tune"),
        .only = kiln_cli_value(cli, "only"),
        .plugin_dir = kiln_cli_value(cli, "plugin-dir"),
        .program = kiln_probe_program_path(),
        .stop = kiln_cli_stop(),
        .progress = show_progress,
        .user = &bar,
    };
    kiln_log_receiver(show_warning, NULL);
    enum kiln_status status = kiln_bench(&options, &suite, error);
    kiln_progress_finish(&bar.progress);
    if (!status || status == KILN_INTERRUPTED) {
        struct kiln_error reason = {""};
        enum kiln_status given = give_results(cli, &suite, &reason);
        if (!given && !status)
            given = count_failures(&suite, &reason);
        if (given) {
            status = given;
            *error = reason;
        }
    }
    kiln_suite_finish(&suite);
    return status;
}

/* --- earlier results ----------------------------------------------------------------------- */

static enum kiln_status show_earlier(const struct kiln_cli *cli, const char *path,
                                     struct kiln_error *error)
{
    struct kiln_suite suite;
    enum kiln_status status = kiln_suite_read(path, &suite, error);
    if (!status)
        status = give_results(cli, &suite, error);
    kiln_suite_finish(&suite);
    return status;
}

static enum kiln_status show_comparison(const struct kiln_cli *cli, double threshold,
                                        const struct kiln_suite suites[2], struct kiln_error *error)
{
    struct kiln_suite_comparison comparison;
    struct kiln_text text = {0};
    enum kiln_status status =
        kiln_suite_compare(&suites[0], &suites[1], threshold, &comparison, error);
    if (!status) {
        kiln_bench_show_comparison(&comparison, form_of(cli), &text);
        status = kiln_cli_print(&text, error);
    }
    if (!status && comparison.slower)
        status = kiln_fail(error, KILN_MACHINE, "%d of %d entries are slower by more than %g %%",
                           comparison.slower, (int)comparison.n, 100 * threshold);
    kiln_suite_comparison_finish(&comparison);
    return status;
}

static enum kiln_status compare(const struct kiln_cli *cli, struct kiln_error *error)
{
    double threshold = 0.1;
    struct kiln_suite suites[2] = {{0}};
    if (cli->n_arguments != 1)
        return kiln_fail(error, KILN_INPUT, "bench: --compare expects two files: A.json B.json");
    enum kiln_status status = kiln_cli_float(cli, "threshold", 0, 1000, &threshold, error);
    if (!status)
        status = kiln_suite_read(kiln_cli_value(cli, "compare"), &suites[0], error);
    if (!status)
        status = kiln_suite_read(cli->arguments[0], &suites[1], error);
    if (!status)
        status = show_comparison(cli, threshold, suites, error);
    kiln_suite_finish(&suites[0]);
    kiln_suite_finish(&suites[1]);
    return status;
}

static enum kiln_status run(const struct kiln_cli *cli, struct kiln_error *error)
{
    const char *from = kiln_cli_value(cli, "from");
    if (kiln_cli_flag(cli, "compare"))
        return compare(cli, error);
    return from ? show_earlier(cli, from, error) : measure(cli, error);
}

static const struct kiln_cli_option options[] = {
    {"device", 0, "DEVICE", NULL, "cpu, opencl:0, a part of a device's name, or all of them: all"},
    {"quick", 0, NULL, NULL, "a choice of the suite that takes about a minute"},
    {"only", 0, "TEXT", NULL,
     "only entries whose name contains TEXT; with --quick any of the suite"},
    {"no-tune", 0, NULL, NULL, "do not measure: take the default algorithms and layouts"},
    {"matmul-precision", 0, "highest|medium", NULL,
     "medium: products may round what they multiply to bfloat16, where the device has a matrix "
     "engine"},
    {"tiny", 0, NULL, NULL, "small operations, one sample each: tries the benchmark itself"},
    {"json", 0, "FILE", NULL, "write the results as JSON"},
    {"report", 0, "FILE", NULL, "write one HTML page with charts"},
    {"from", 0, "FILE", NULL, "measure nothing: show the results that --json wrote"},
    {"compare", 0, "A.json", NULL, "compare with the file B.json: ratios of its times to A's"},
    {"threshold", 0, "SHARE", NULL, "--compare: exit 1 if a time is larger by this (default 0.1)"},
    {"markdown", 0, NULL, NULL, "print tables in Markdown"},
    KILN_CLI_PLUGIN_DIR_OPTION,
    KILN_CLI_QUIET_OPTION,
    {0},
};

static const char *const examples[] = {
    "kiln bench --quick",
    "measures the best device for about a minute",
    "kiln bench ops --device all --json all.json",
    "measures operations on every device and keeps the results",
    "kiln bench models --device all --only ddpm --report ddpm.html",
    "measures the model on every device; one page with charts",
    "kiln bench --compare before.json after.json --threshold 0.05",
    "fails if anything became slower by more than 5 %",
    NULL,
};

const struct kiln_command kiln_command_bench = {
    .name = "bench",
    .arguments = "[ops|models|B.json]",
    .min_arguments = 0,
    .max_arguments = 1,
    .summary = "measure devices: operations and whole models",
    .description =
        "ops times matrix products, convolutions in three directions, norms, softmax, attention, "
        "pointwise chains, reductions and copies at fixed shapes. Each result is checked against "
        "sums in double precision first. Rates are shown beside the device's own peaks, which the "
        "same run measures: multiply-adds in registers, bandwidth for arrays of like size, the "
        "cost of a launch. Winograd's convolutions can exceed 100 % of the peak, since their rate "
        "counts the arithmetic of the direct algorithm.\n\n"
        "models trains and samples the shipped configs as fixed work on built-in pictures, and "
        "checks the loss after some steps against the suite's reference. Cold start is the time "
        "of a new process to its first training step with empty caches and --no-tune, warm start "
        "the same again.\n\n"
        "Samples of all devices take turns; a probe before and after each drops those that were "
        "taken while something else used the machine. What fails is shown with its reason and "
        "makes the exit status 1. all leaves out cpu:ref, which is for comparing results, not "
        "times.",
    .options = options,
    .examples = examples,
    .run = run,
};
