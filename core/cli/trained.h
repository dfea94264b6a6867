/*
 * RUN: a trained model, given as a run's directory or as a safetensors file,
 * opened for sample, reconstruct and eval.
 */
#ifndef KILN_CLI_TRAINED_H
#define KILN_CLI_TRAINED_H

#include "core/cli/command.h"
#include "core/run/checkpoint.h"
#include "core/run/experiment.h"

struct kiln_trained {
    kiln_checkpoint *checkpoint;
    kiln_config *config;
    struct kiln_experiment experiment;
    kiln_device *device;
    kiln_session *session; /* not prepared */
    char hash[33];         /* of the checkpoint */
};

/* Options of the commands that open a RUN. */
/* clang-format off */
#define KILN_CLI_TRAINED_OPTIONS                                                                   \
    KILN_CLI_DEVICE_OPTION,                                                                        \
    {"config", 0, "FILE", NULL, "config of a file that has none, or instead of its own"},          \
    KILN_CLI_CONFIG_OPTIONS,                                                                       \
    {"no-fuse", 0, NULL, NULL, "run the unfused plan"},                                            \
    {"no-tune", 0, NULL, NULL, "do not measure: take the default algorithms and layouts"},         \
    KILN_CLI_QUIET_OPTION, KILN_CLI_JSON_OPTION
/* clang-format on */

/*
 * Opens arguments[0], checks that the weights fit the model and opens the
 * device. data: the data set is loaded too. The config is the checkpoint's own
 * or that of --config, with the command line's overrides. kiln_trained_close
 * in any case.
 */
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
