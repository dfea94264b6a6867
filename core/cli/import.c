/* kiln import: tensors of a torch.save file as safetensors. */
#include <stdio.h>

#include "core/base/log.h"
#include "core/cli/command.h"
#include "core/run/torch_file.h"

static enum kiln_status run(const struct kiln_cli *cli, struct kiln_error *error)
{
    const char *out = kiln_cli_value(cli, "output");
    if (!out)
        return kiln_fail(error, KILN_INPUT, "import: -o FILE.safetensors is missing");
    kiln_torch_file *file;
    enum kiln_status status =
        kiln_torch_open(cli->arguments[0], kiln_cli_value(cli, "dictionary"), &file, error);
    if (status)
        return status;
    const char *dictionary = kiln_torch_dictionary(file);
    kiln_log_line(KILN_LOG_NOTE, "%s: %d tensors of %s%s%s", cli->arguments[0],
                  kiln_torch_count(file), *dictionary ? "its dictionary '" : "the file", dictionary,
                  *dictionary ? "'" : "");
    status = kiln_torch_convert(file, out, error);
    kiln_torch_close(&file);
    if (status)
        return status;
    struct kiln_text text = {0};
    kiln_text_append(&text, "%s", out);
    return kiln_cli_print(&text, error);
}

static const struct kiln_cli_option options[] = {
    {"output", 'o', "FILE.safetensors", NULL, "where to write"},
    {"dictionary", 0, "PATH", NULL, "which state_dict of the file, e.g. 0 or model.ema"},
    KILN_CLI_QUIET_OPTION,
    {0},
};

static const char *const examples[] = {
    "kiln import checkpoint.pth -o weights.safetensors",
    "converts the weights, an average before the raw ones",
    "kiln import checkpoint.pth --dictionary 0 -o raw.safetensors",
    "takes the first dictionary of a list", NULL};

const struct kiln_command kiln_command_import = {
    .name = "import",
    .arguments = "FILE.pth",
    .min_arguments = 1,
    .max_arguments = 1,
    .summary = "convert weights saved by PyTorch to safetensors",
    .description = "Reads the archives of torch.save without executing anything: an allow-list of "
                   "operations and classes "
                   "rebuilds the dictionary of tensors, everything else is refused. The prefixes "
                   "of wrappers (module., "
                   "nn_model.) are stripped. Where a file holds several dictionaries, the largest "
                   "is taken, and an average of "
                   "weights before the raw ones.",
    .options = options,
    .examples = examples,
    .run = run};
