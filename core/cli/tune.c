/* kiln tune: measuring algorithms for the shipped configs, once for a device. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"
#include "core/bench/model_run.h"
#include "core/cli/command.h"
#include "core/cli/progress.h"
#include "core/cli/stop.h"
#include "core/cli/tune_library.h"

static void show_warning(void *user, enum kiln_log_level level, const char *line)
{
    (void)user;
    if (level == KILN_LOG_WARNING)
        kiln_cli_message("%s", line);
}

static const char *device_spec(const struct kiln_cli *cli)
{
    const char *given = kiln_cli_value(cli, "device"), *environment = getenv("KILN_DEVICE");
    return given ? given : environment && environment[0] ? environment : "auto";
}

/* --- measuring ----------------------------------------------------------------------------- */

static bool is_chosen(const struct kiln_cli *cli, const struct kiln_model_case *c)
{
    const char *only = kiln_cli_value(cli, "only");
    return !only || strstr(c->name, only);
}

static enum kiln_status measure(const struct kiln_cli *cli, const char *device,
                                struct kiln_error *error)
{
    const volatile sig_atomic_t *stop = kiln_cli_stop();
    const struct kiln_model_run_options options = {
        .device = device, .plugin_dir = kiln_cli_value(cli, "plugin-dir"), .tune_seconds = 3600};
    struct kiln_progress_options bar = {
        .title = "tune", .unit = "models", .quiet = kiln_cli_flag(cli, "quiet")};
    enum kiln_status status = KILN_OK;
    for (int i = 0; i < kiln_n_model_cases; i++)
        bar.total += is_chosen(cli, &kiln_model_cases[i]);
    if (!bar.total)
        return kiln_fail(error, KILN_INPUT, "no model of the suite is called \"%s\"",
                         kiln_cli_value(cli, "only"));
    kiln_progress *progress = kiln_progress_create(&bar);
    int64_t done = 0;
    for (int i = 0; i < kiln_n_model_cases && !status; i++) {
        struct kiln_model_run run;
        if (!is_chosen(cli, &kiln_model_cases[i]))
            continue;
        kiln_progress_update(progress, done++, kiln_model_cases[i].name);
        status = kiln_model_run_prepare(&kiln_model_cases[i], &options, &run, error);
        kiln_model_run_finish(&run);
        if (!status && *stop)
            status = KILN_INTERRUPTED;
    }
    kiln_progress_finish(&progress);
    return status;
}

/* --- what is kept ---------------------------------------------------------------------------- */

static enum kiln_status exchange(const struct kiln_cli *cli, const char *spec,
                                 struct kiln_error *error)
{
    const char *in = kiln_cli_value(cli, "import"), *out = kiln_cli_value(cli, "export");
    struct kiln_text text = {0};
    kiln_device *device;
    kiln_tuner *tuner;
    int taken = 0;
    enum kiln_status status = kiln_tune_open(spec, &device, &tuner, error);
    if (status)
        return status;
    if (in)
        status = kiln_tuner_import(tuner, in, &taken, error);
    if (!status && out)
        status = kiln_tuner_export(tuner, out, error);
    if (!status) {
        kiln_text_append(&text, "%s: %d choices kept", kiln_device_name(device),
                         kiln_tuner_count(tuner));
        if (in)
            kiln_text_append(&text, ", %d of them from %s", taken, in);
        status = kiln_cli_print(&text, error);
    }
    kiln_tuner_destroy(&tuner);
    kiln_device_close(&device);
    return status;
}

static enum kiln_status run(const struct kiln_cli *cli, struct kiln_error *error)
{
    const char *device = device_spec(cli);
    enum kiln_status status = KILN_OK;
    kiln_log_receiver(show_warning, NULL);
    if (!kiln_cli_flag(cli, "import"))
        status = kiln_tune_library(device, error);
    if (!status && !kiln_cli_flag(cli, "import"))
        status = measure(cli, device, error);
    return status ? status : exchange(cli, device, error);
}

static const struct kiln_cli_option options[] = {
    {"device", 0, "DEVICE", NULL, "cpu, opencl:0 or a part of a device's name"},
    {"only", 0, "TEXT", NULL, "only configs whose name contains TEXT"},
    {"export", 0, "FILE", NULL, "write the choices to a file, or into a directory"},
    {"import", 0, "FILE", NULL, "measure nothing: take the choices of a file"},
    KILN_CLI_PLUGIN_DIR_OPTION,
    KILN_CLI_QUIET_OPTION,
    {0},
};

static const char *const examples[] = {
    "kiln tune --device opencl:0",
    "measures for the shapes of all shipped configs",
    "kiln tune --export mine.json",
    "measures what is missing, then writes what is kept for the device",
    "kiln tune --import mine.json",
    "takes choices that were measured on an equal machine",
    NULL,
};

const struct kiln_command kiln_command_tune = {
    .name = "tune",
    .arguments = "",
    .summary = "measure algorithms and layouts for a device",
    .description =
        "Training measures its algorithms and layouts itself, at most [run] tune_seconds. tune "
        "does it ahead and without that limit, for the shapes of all shipped configs: every way "
        "that the device's backend knows, CLBlast's among them, is timed on random data and "
        "checked against the others. Before that the parameters of CLBlast's kernels are tried for "
        "a minute, where it serves the device. Choices stay in the cache directory, by device, "
        "driver, libraries and number of threads; a file from --export serves machines where all "
        "of "
        "these are equal.",
    .options = options,
    .examples = examples,
    .run = run,
};
