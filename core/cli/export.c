/* kiln export: a trained model in the files of the reference implementation. */
#include <stdio.h>
#include <string.h>

#include "core/base/json.h"
#include "core/cli/trained.h"
#include "core/run/export.h"

static enum kiln_status print_result(const struct kiln_cli *cli, const struct kiln_export *export,
                                     const char *path, struct kiln_error *error)
{
    const struct kiln_run_state *run = kiln_checkpoint_run(export->checkpoint);
    struct kiln_text text = {0};
    if (!kiln_cli_flag(cli, "json")) {
        kiln_text_append(&text, "%s", path);
        return kiln_cli_print(&text, error);
    }
    struct kiln_json json = kiln_json_start(&text);
    kiln_json_object(&json, NULL);
    kiln_json_string(&json, "path", path);
    kiln_json_bool(&json, "folder", kiln_export_files(export) != NULL);
    kiln_json_bool(&json, "raw", export->raw);
    kiln_json_int(&json, "step", run->step);
    kiln_json_end(&json);
    return kiln_cli_print(&text, error);
}

static enum kiln_status run(const struct kiln_cli *cli, struct kiln_error *error)
{
    struct kiln_trained trained;
    const char *path = kiln_cli_value(cli, "output");
    if (!path)
        return kiln_fail(error, KILN_INPUT, "export: -o PATH is missing");
    enum kiln_status status = kiln_trained_open_model(cli, false, &trained, error);
    const struct kiln_export export = {
        .checkpoint = trained.checkpoint,
        .experiment = &trained.experiment,
        .raw = kiln_cli_flag(cli, "raw"),
        .replace = kiln_cli_flag(cli, "force"),
    };
    if (!status)
        status = kiln_export_write(&export, path, error);
    if (!status)
        status = print_result(cli, &export, path, error);
    kiln_trained_close(&trained);
    return status;
}

static const struct kiln_cli_option options[] = {
    {"output", 'o', "PATH", NULL, "the file or folder to write"},
    {"raw", 0, NULL, NULL, "the weights themselves, not their moving average"},
    {"force", 0, NULL, NULL, "replace what is at PATH"},
    KILN_CLI_FILE_OPTIONS,
    KILN_CLI_CONFIG_OPTIONS,
    KILN_CLI_QUIET_OPTION,
    KILN_CLI_JSON_OPTION,
    {0},
};

static const char *const examples[] = {
    "kiln export runs/ddpm -o ddpm",
    "writes a folder that DDPMPipeline.from_pretrained(\"ddpm\") of diffusers reads",
    "kiln export runs/vae -o vae.safetensors --raw",
    "writes the state_dict of pytorch/examples' VAE",
    NULL,
};

const struct kiln_command kiln_command_export = {
    .name = "export",
    .arguments = "RUN",
    .min_arguments = 1,
    .max_arguments = 1,
    .summary = "write a trained model for PyTorch or diffusers",
    .description =
        "Writes the moving average of the weights, or the weights where there is none, under the "
        "names and in the shapes of the reference implementation's state_dict.\n\n"
        "PATH becomes a folder for ddpm and for cdiff with its U-Net (diffusers: unet/, "
        "scheduler/, and model_index.json for ddpm) and for wgan (generator.safetensors, "
        "critic.safetensors), and one safetensors file for every other model. A folder that is "
        "not empty and a file that exists are refused without --force, which replaces the files "
        "of the export and leaves others alone. RUN may also be such a folder itself.",
    .options = options,
    .examples = examples,
    .run = run,
};
