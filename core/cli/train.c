/* kiln train: from a config to a run's directory. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "core/base/file.h"
#include "core/base/json.h"
#include "core/cli/command.h"
#include "core/cli/progress.h"
#include "core/cli/replay.h"
#include "core/cli/stats.h"
#include "core/cli/stop.h"
#include "core/run/train.h"

struct bar {
    kiln_progress *progress;
    bool quiet;
};

/* The first call comes before the first step. */
static void show_progress(void *user, const struct kiln_train_progress *now)
{
    struct bar *bar = user;
    if (!bar->progress) {
        const struct kiln_progress_options options = {
            .title = "train",
            .unit = "images",
            .total = now->total,
            .done = now->step,
            .per_step = (double)now->images_per_step,
            .quiet = bar->quiet,
        };
        bar->progress = kiln_progress_create(&options);
    }
    kiln_progress_update(bar->progress, now->step, now->text);
}

static void write_stats(const struct kiln_train_result *result, struct kiln_text *text)
{
    for (int i = 0; i < result->n_profiles; i++) {
        char what[80];
        snprintf(what, sizeof what, "phase %s", result->profiles[i].name);
        kiln_stats_text(what, &result->profiles[i].profile, text);
    }
    if (result->n_profiles)
        kiln_text_append(text, "device: %lld launches, %lld waits, at most %.2f MiB\n",
                         (long long)result->launches, (long long)result->waits,
                         (double)result->device_bytes / 1048576);
}

/* Most bytes that the process had in memory. */
static int64_t most_memory(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) ? 0 : (int64_t)usage.ru_maxrss * 1024;
}

static enum kiln_status print_result(const struct kiln_cli *cli, const char *out,
                                     const struct kiln_train_result *result,
                                     struct kiln_error *error)
{
    struct kiln_text text = {0};
    if (!kiln_cli_flag(cli, "json")) {
        write_stats(result, &text);
        kiln_text_append(&text, "%s", out);
        return kiln_cli_print(&text, error);
    }
    struct kiln_json json = kiln_json_start(&text);
    kiln_json_object(&json, NULL);
    kiln_json_string(&json, "run", out);
    kiln_json_int(&json, "step", result->step);
    kiln_json_int(&json, "steps", result->total);
    for (int i = 0; i < result->n_values; i++)
        kiln_json_float(&json, result->values[i].name, (float)result->values[i].value);
    kiln_json_number(&json, "seconds", result->seconds);
    kiln_json_number(&json, "images_per_s", result->images_per_s);
    kiln_json_number(&json, "first_step_seconds",
                     result->first_step_seconds > 0 ? result->first_step_seconds : NAN);
    kiln_json_int(&json, "memory_bytes", most_memory());
    kiln_json_int(&json, "launches", result->launches);
    kiln_json_int(&json, "waits", result->waits);
    kiln_json_int(&json, "device_bytes", result->device_bytes);
    for (int i = 0; i < result->n_profiles; i++) {
        if (i == 0)
            kiln_json_object(&json, "stats");
        kiln_stats_json(result->profiles[i].name, &result->profiles[i].profile, &json);
    }
    if (result->n_profiles)
        kiln_json_end(&json);
    kiln_json_end(&json);
    return kiln_cli_print(&text, error);
}

static void say_how_to_resume(const struct kiln_cli *cli, const struct kiln_train_result *result,
                              const struct kiln_text *command)
{
    if (result->step == 0)
        kiln_cli_message("interrupted before the first step");
    else
        kiln_cli_message("interrupted after step %lld of %lld; saved. To go on: %s%s",
                         (long long)result->step, (long long)result->total, command->data,
                         kiln_cli_flag(cli, "resume") ? "" : " --resume");
}

static enum kiln_status train(const struct kiln_cli *cli, kiln_config *config, const char *out,
                              const struct kiln_text *command, struct kiln_error *error)
{
    struct bar bar = {.quiet = kiln_cli_flag(cli, "quiet")};
    struct kiln_train_result result;
    const struct kiln_train_options options = {
        .out = out,
        .resume = kiln_cli_flag(cli, "resume"),
        .device.no_fuse = kiln_cli_flag(cli, "no-fuse"),
        .device.no_tune = kiln_cli_flag(cli, "no-tune"),
        .device.stats = kiln_cli_flag(cli, "stats"),
        .command = command->data,
        .stop = kiln_cli_stop(),
        .progress = show_progress,
        .user = &bar,
    };
    enum kiln_status status = kiln_train(config, &options, &result, error);
    kiln_progress_finish(&bar.progress);
    if (!status && result.n_values == 0)
        kiln_cli_message("%s: all %lld steps were done already", out, (long long)result.total);
    if (status == KILN_INTERRUPTED)
        say_how_to_resume(cli, &result, command);
    if (status && status != KILN_INTERRUPTED)
        return status;
    enum kiln_status printed = print_result(cli, out, &result, error);
    return status ? status : printed;
}

static enum kiln_status run(const struct kiln_cli *cli, struct kiln_error *error)
{
    kiln_config *config;
    struct kiln_text command = {0};
    enum kiln_status status = kiln_cli_config(cli, cli->arguments[0], NULL, 0, &config, error);
    if (status)
        return status;
    const char *given = kiln_cli_value(cli, "out");
    char *out = kiln_path_join(given ? "" : "runs", given ? given : kiln_config_name(config));
    kiln_cli_replay(cli, &command);
    if (!out || command.failed)
        status = kiln_fail(error, KILN_MACHINE, "train: out of memory");
    else
        status = train(cli, config, out, &command, error);
    free(out);
    kiln_text_finish(&command);
    kiln_config_destroy(&config);
    return status;
}

static const struct kiln_cli_option options[] = {
    KILN_CLI_DEVICE_OPTION,
    {"out", 'o', "DIR", NULL, "the run's directory (default runs/NAME of the config)"},
    {"resume", 0, NULL, NULL, "go on from the checkpoint in the run's directory, if there is one"},
    {"steps", 0, "N", "train.steps", "steps of the whole run"},
    {"seed", 0, "N", "run.seed", "seed of weights, order of the data and noise"},
    KILN_CLI_CONFIG_OPTIONS,
    {"no-fuse", 0, NULL, NULL, "run the unfused plan"},
    {"no-tune", 0, NULL, NULL, "do not measure: take the default algorithms and layouts"},
    KILN_CLI_STATS_OPTION,
    KILN_CLI_QUIET_OPTION,
    KILN_CLI_JSON_OPTION,
    {0},
};

static const char *const examples[] = {
    "kiln train config/vae.ini",
    "trains into runs/vae",
    "kiln train config/vae.ini --resume",
    "goes on with a run that was stopped",
    "kiln train config/vae-conv.ini --out runs/wide --set network.latent_size=32 --seed 1",
    "trains a variant into a directory of its own",
    NULL,
};

const struct kiln_command kiln_command_train = {
    .name = "train",
    .arguments = "CONFIG",
    .min_arguments = 1,
    .max_arguments = 1,
    .summary = "train a model",
    .description =
        "Trains the model that the config describes. The run's directory receives config.ini "
        "(resolved), checkpoint.safetensors, log.jsonl (one object per logged step) and "
        "samples-STEP.png (from fixed noise). Its path is printed at the end.\n\n"
        "SIGINT and SIGTERM finish the step, save and say how to resume (exit status 130); a "
        "second "
        "one ends the program at once, also where a driver hangs. A resumed run gives the same "
        "weights, bit for bit, as one that was never stopped.\n\n"
        "With --stats each step of a plan is timed on its own, and a table tells, for each "
        "training phase and kind of step: steps of an execution, the sum of their least times, "
        "their share of it, GFLOP/s of products and convolutions, GB/s of operands (each counted "
        "once a step). The waits that this needs are not among those counted.",
    .options = options,
    .examples = examples,
    .run = run,
};
