/* Opening a trained model. */
#include "core/cli/trained.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"

static enum kiln_status open_config(const struct kiln_cli *cli, struct kiln_trained *trained,
                                    struct kiln_error *error)
{
    const char *file = kiln_cli_value(cli, "config");
    const char *text = kiln_checkpoint_config(trained->checkpoint);
    const char *path = kiln_checkpoint_path(trained->checkpoint);
    if (file)
        return kiln_cli_config(cli, file, NULL, 0, &trained->config, error);
    if (!text)
        return kiln_fail(error, KILN_INPUT,
                         "%s: a bare state_dict without a config; --config FILE says what model it "
                         "is of",
                         path);
    return kiln_cli_config(cli, path, text, strlen(text), &trained->config, error);
}

/* The data of a run that is evaluated must be like those it was trained on. */
static enum kiln_status check_data(const struct kiln_trained *trained, struct kiln_error *error)
{
    const struct kiln_data_info *own = &kiln_checkpoint_run(trained->checkpoint)->info;
    const struct kiln_data_info *now = &trained->experiment.info;
    if (kiln_checkpoint_foreign(trained->checkpoint) ||
        (own->points == now->points && own->channels == now->channels &&
         own->height == now->height && own->width == now->width))
        return KILN_OK;
    return kiln_fail(error, KILN_INPUT,
                     "%s: trained on data of %lldx%lldx%lld, but the data set has %lldx%lldx%lld",
                     kiln_checkpoint_path(trained->checkpoint), (long long)own->channels,
                     (long long)own->height, (long long)own->width, (long long)now->channels,
                     (long long)now->height, (long long)now->width);
}

static enum kiln_status check_weights(const struct kiln_trained *trained, struct kiln_error *error)
{
    kiln_states *states;
    enum kiln_status status = kiln_experiment_states(&trained->experiment, &states, error);
    if (status)
        return status;
    status = kiln_checkpoint_check(trained->checkpoint, states, error);
    kiln_states_destroy(&states);
    return status;
}

enum kiln_status kiln_trained_open(const struct kiln_cli *cli, bool data,
                                   struct kiln_trained *trained, struct kiln_error *error)
{
    *trained = (struct kiln_trained){0};
    const struct kiln_run_device device = {
        .no_fuse = kiln_cli_flag(cli, "no-fuse"),
        .no_tune = kiln_cli_flag(cli, "no-tune"),
        .stats = kiln_cli_flag(cli, "stats"),
    };
    enum kiln_status status = kiln_checkpoint_open(cli->arguments[0], &trained->checkpoint, error);
    if (!status)
        status = open_config(cli, trained, error);
    if (status)
        return status;
    bool load = data || kiln_checkpoint_foreign(trained->checkpoint);
    status = kiln_experiment_create(trained->config,
                                    load ? NULL : &kiln_checkpoint_run(trained->checkpoint)->info,
                                    &trained->experiment, error);
    if (!status)
        status = check_data(trained, error);
    if (!status)
        status = check_weights(trained, error);
    if (!status)
        status = kiln_checkpoint_hash(trained->checkpoint, trained->hash, error);
    if (!status)
        status = kiln_experiment_session(trained->config, &device, &trained->device,
                                         &trained->session, error);
    return status;
}

void kiln_trained_close(struct kiln_trained *trained)
{
    kiln_session_destroy(&trained->session);
    kiln_device_close(&trained->device);
    if (trained->config)
        kiln_experiment_finish(&trained->experiment);
    kiln_config_destroy(&trained->config);
    kiln_checkpoint_close(&trained->checkpoint);
}

char *kiln_trained_output(const struct kiln_cli *cli, const struct kiln_trained *trained,
                          const char *option, const char *name)
{
    const char *given = kiln_cli_value(cli, option);
    if (given)
        return strdup(given);
    char *directory = kiln_path_directory(kiln_checkpoint_path(trained->checkpoint));
    char *path = directory ? kiln_path_join(directory, name) : NULL;
    free(directory);
    return path;
}

enum kiln_status kiln_cli_check_output(const char *path, struct kiln_error *error)
{
    char *directory = kiln_path_directory(path);
    enum kiln_status status = KILN_OK;
    if (!directory)
        status = kiln_fail(error, KILN_MACHINE, "out of memory");
    else if (kiln_directory_exists(path))
        status = kiln_fail(error, KILN_INPUT, "%s: is a directory", path);
    else if (strncmp(path, "/dev/", 5) != 0)
        status = kiln_directory_check_writable(directory, error);
    free(directory);
    return status;
}
