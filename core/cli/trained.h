/*
 * RUN: a trained model, given as a run's directory, a safetensors file or a
 * folder of another program, opened for sample, reconstruct, eval, export and
 * describe.
 */
#ifndef KILN_CLI_TRAINED_H
#define KILN_CLI_TRAINED_H

#include "core/cli/command.h"
#include "core/run/checkpoint.h"
#include "core/run/experiment.h"
#include "core/run/folder.h"

struct kiln_trained {
    kiln_checkpoint *checkpoint;
    kiln_config *config;
    struct kiln_folder folder; /* zero unless RUN is one */
    /* What the model was made for; NULL if nothing tells. */
    const struct kiln_data_info *info;
    struct kiln_experiment experiment;
    kiln_device *device;
    kiln_session *session; /* not prepared */
    char hash[33];         /* of the checkpoint */
};

/* Options of the commands that open a RUN. */
/* clang-format off */
#define KILN_CLI_FILE_OPTIONS                                                                      \
    {"config", 0, "FILE", NULL, "config of a file that has none, or instead of its own"},          \
    {"part", 0, "NETWORK", NULL, "the file is the state_dict of this network, e.g. generator"}
#define KILN_CLI_TRAINED_OPTIONS                                                                   \
    KILN_CLI_DEVICE_OPTION,                                                                        \
    KILN_CLI_FILE_OPTIONS,                                                                         \
    KILN_CLI_CONFIG_OPTIONS,                                                                       \
    {"no-fuse", 0, NULL, NULL, "run the unfused plan"},                                            \
    {"no-tune", 0, NULL, NULL, "do not measure: take the default algorithms and layouts"},         \
    {"force", 0, NULL, NULL, "use weights that are not finite"},                                   \
    KILN_CLI_QUIET_OPTION, KILN_CLI_JSON_OPTION
/* clang-format on */

/*
 * Opens arguments[0] and its config: the checkpoint's or the folder's own, or
 * that of --config, with the command line's overrides. kiln_trained_close in
 * any case.
 */
enum kiln_status kiln_trained_open_config(const struct kiln_cli *, struct kiln_trained *,
                                          struct kiln_error *);
/*
 * As above, makes the model and checks that the weights fit it. data: the data
 * set is loaded too, as it is where nothing tells what the model was made for.
 */
enum kiln_status kiln_trained_open_model(const struct kiln_cli *, bool data, struct kiln_trained *,
                                         struct kiln_error *);
/* As above, and opens the device. */
enum kiln_status kiln_trained_open(const struct kiln_cli *, bool data, struct kiln_trained *,
                                   struct kiln_error *);
void kiln_trained_close(struct kiln_trained *);

/* The path given by option, or name beside the checkpoint; malloc'd, NULL when
 * out of memory. */
char *kiln_trained_output(const struct kiln_cli *, const struct kiln_trained *, const char *option,
                          const char *name);
/* False, with a message, if the directory of a file to be written does not
 * take files: asked before long work. */
enum kiln_status kiln_cli_check_output(const char *path, struct kiln_error *);

#endif
