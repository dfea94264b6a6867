/* kiln eval: figures of a trained model on the test set. */
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/cli/progress.h"
#include "core/cli/trained.h"
#include "core/run/evaluate.h"

static void show_progress(void *user, int64_t done, int64_t total)
{
    (void)total;
    kiln_progress_update(user, done, NULL);
}

static enum kiln_status print_result(const struct kiln_cli *cli, const struct kiln_trained *trained,
                                     const struct kiln_evaluation *result, struct kiln_error *error)
{
    struct kiln_text text = {0};
    if (!kiln_cli_flag(cli, "json")) {
        for (int i = 0; i < result->n; i++)
            kiln_text_append(&text, "%s%-20s %.4f +- %.4f", i ? "\n" : "", result->figures[i].name,
                             result->figures[i].mean, result->figures[i].standard_error);
        return kiln_cli_print(&text, error);
    }
    struct kiln_json json = kiln_json_start(&text);
    kiln_json_object(&json, NULL);
    for (int i = 0; i < result->n; i++)
        kiln_json_number(&json, result->figures[i].name, result->figures[i].mean);
    kiln_json_object(&json, "standard_error");
    for (int i = 0; i < result->n; i++)
        kiln_json_number(&json, result->figures[i].name, result->figures[i].standard_error);
    kiln_json_end(&json);
    kiln_json_int(&json, "samples", result->n_samples);
    kiln_json_int(&json, "step", kiln_checkpoint_run(trained->checkpoint)->step);
    kiln_json_string(&json, "checkpoint", trained->hash);
    kiln_json_end(&json);
    return kiln_cli_print(&text, error);
}

static enum kiln_status evaluate(const struct kiln_cli *cli, const struct kiln_trained *trained,
                                 struct kiln_error *error)
{
    const struct kiln_progress_options bar = {
        .title = "eval",
        .unit = "images",
        .total = trained->experiment.info.n_test,
        .per_step = 1,
        .quiet = kiln_cli_flag(cli, "quiet"),
    };
    kiln_progress *progress = kiln_progress_create(&bar);
    const struct kiln_evaluate_options options = {
        .seed = (uint64_t)kiln_config_int(trained->config, "sample", "seed"),
        .progress = show_progress,
        .user = progress,
    };
    struct kiln_evaluation result;
    enum kiln_status status = kiln_evaluate(&trained->experiment, trained->session,
                                            trained->checkpoint, &options, &result, error);
    kiln_progress_finish(&progress);
    return status ? status : print_result(cli, trained, &result, error);
}

static enum kiln_status run(const struct kiln_cli *cli, struct kiln_error *error)
{
    struct kiln_trained trained;
    enum kiln_status status = kiln_trained_open(cli, true, &trained, error);
    if (!status)
        status = evaluate(cli, &trained, error);
    kiln_trained_close(&trained);
    return status;
}

static const struct kiln_cli_option options[] = {
    {"seed", 0, "N", "sample.seed", "seed of the figures' random numbers"},
    KILN_CLI_TRAINED_OPTIONS,
    {0},
};

static const char *const examples[] = {
    "kiln eval runs/vae",
    "prints the VAE's negative ELBO, reconstruction and KL per test image, in nats",
    "kiln eval runs/vae --json",
    "prints them as one JSON object",
    NULL,
};

const struct kiln_command kiln_command_eval = {
    .name = "eval",
    .arguments = "RUN",
    .min_arguments = 1,
    .max_arguments = 1,
    .summary = "measure a trained model on the test set",
    .description = "Prints the means of the model's figures over the whole test set, each with the "
                   "standard error of the mean over the samples.",
    .options = options,
    .examples = examples,
    .run = run,
};
