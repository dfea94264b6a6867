/* kiln study: a prepared experiment, its numbers and its picture. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/cli/progress.h"
#include "core/cli/replay.h"
#include "core/cli/stop.h"
#include "core/cli/trained.h"
#include "core/run/png_write.h"
#include "core/run/study.h"

struct bar {
    kiln_progress *progress;
    char title[64];
    bool quiet;
};

/* A new bar for each piece of work. */
static void show_progress(void *user, const char *trial, const char *work, int64_t done,
                          int64_t total)
{
    struct bar *bar = user;
    char title[sizeof bar->title];
    snprintf(title, sizeof title, "%s: %s", trial, work);
    if (strcmp(title, bar->title) != 0) {
        const struct kiln_progress_options options = {
            .title = title, .unit = "steps", .total = total, .per_step = 1, .quiet = bar->quiet};
        kiln_progress_finish(&bar->progress);
        memcpy(bar->title, title, sizeof title);
        bar->progress = kiln_progress_create(&options);
    }
    kiln_progress_update(bar->progress, done, NULL);
}

static enum kiln_status write_picture(const struct kiln_cli *cli, const kiln_report *report,
                                      const char *path, struct kiln_error *error)
{
    struct kiln_image image;
    struct kiln_text command = {0};
    enum kiln_status status = kiln_report_draw(report, &image, error);
    if (status)
        return status;
    kiln_cli_replay(cli, &command);
    const struct kiln_png_text texts[] = {
        {"Software", "kiln " KILN_VERSION},
        {"Command", command.data ? command.data : ""},
    };
    status = kiln_png_write(path, &image, 2, texts, error);
    kiln_text_finish(&command);
    kiln_image_finish(&image);
    return status;
}

static enum kiln_status print_result(const struct kiln_cli *cli, const kiln_config *config,
                                     const struct kiln_study *study, const kiln_report *report,
                                     const char *path, struct kiln_error *error)
{
    struct kiln_text text = {0};
    if (!kiln_cli_flag(cli, "json")) {
        kiln_text_append(&text, "%s\n\n", study->summary);
        kiln_report_text(report, &text);
        kiln_text_append(&text, "\n\n%s", path);
        return kiln_cli_print(&text, error);
    }
    struct kiln_json json = kiln_json_start(&text);
    kiln_json_object(&json, NULL);
    kiln_json_string(&json, "study", study->name);
    kiln_json_string(&json, "model", kiln_config_model(config)->name);
    kiln_report_json(report, &json);
    kiln_json_string(&json, "image", path);
    kiln_json_end(&json);
    return kiln_cli_print(&text, error);
}

static enum kiln_status study_config(const struct kiln_cli *cli, kiln_config *config,
                                     const char *path, struct kiln_error *error)
{
    struct bar bar = {.quiet = kiln_cli_flag(cli, "quiet")};
    const struct kiln_study_options options = {
        .device.no_fuse = kiln_cli_flag(cli, "no-fuse"),
        .device.no_tune = kiln_cli_flag(cli, "no-tune"),
        .stop = kiln_cli_stop(),
        .progress = show_progress,
        .user = &bar,
    };
    const struct kiln_study *study;
    kiln_report *report = NULL;
    enum kiln_status status = kiln_cli_check_output(path, error);
    if (!status)
        status = kiln_study_find(config, &study, error);
    if (!status)
        status = kiln_study_run(config, &options, &report, error);
    kiln_progress_finish(&bar.progress);
    if (!status)
        status = write_picture(cli, report, path, error);
    if (!status)
        status = print_result(cli, config, study, report, path, error);
    kiln_report_destroy(&report);
    return status;
}

static enum kiln_status run(const struct kiln_cli *cli, struct kiln_error *error)
{
    kiln_config *config;
    struct kiln_text path = {0};
    enum kiln_status status = kiln_cli_config(cli, cli->arguments[0], NULL, 0, &config, error);
    if (status)
        return status;
    const char *given = kiln_cli_value(cli, "output");
    kiln_text_append(&path, given ? "%s" : "%s.png", given ? given : kiln_config_name(config));
    status = path.failed ? kiln_fail(error, KILN_MACHINE, "study: out of memory")
                         : study_config(cli, config, path.data, error);
    kiln_text_finish(&path);
    kiln_config_destroy(&config);
    return status;
}

static const struct kiln_cli_option options[] = {
    {"output", 'o', "FILE.png", NULL, "the picture (default NAME.png of the config)"},
    KILN_CLI_DEVICE_OPTION,
    {"seed", 0, "N", "run.seed", "seed of weights and training noise"},
    KILN_CLI_CONFIG_OPTIONS,
    {"no-fuse", 0, NULL, NULL, "run the unfused plan"},
    {"no-tune", 0, NULL, NULL, "do not measure: take the default algorithms and layouts"},
    KILN_CLI_QUIET_OPTION,
    KILN_CLI_JSON_OPTION,
    {0},
};

static const char *const examples[] = {
    "kiln study config/study-langevin.ini",
    "shows why Langevin dynamics loses the weights of a mixture, and how annealing finds them",
    "kiln study config/study-divergence.ini --json -o distances.png",
    "prints the numbers as one JSON object",
    NULL,
};

const struct kiln_command kiln_command_study = {
    .name = "study",
    .arguments = "CONFIG",
    .min_arguments = 1,
    .max_arguments = 1,
    .summary = "run a prepared experiment that explains a model",
    .description =
        "Runs the study that [study] name of the config asks for: it trains and samples small "
        "models, prints what came out as tables and draws a picture. The same seed gives the same "
        "numbers. 'kiln models NAME' lists the studies of a model. Nothing is saved but the "
        "picture.",
    .options = options,
    .examples = examples,
    .run = run,
};
