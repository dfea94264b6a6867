/* Opening a trained model. */
#include "core/cli/trained.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"

/* The file of weights, and what a folder says. */
static enum kiln_status open_files(const struct kiln_cli *cli, struct kiln_trained *trained,
                                   struct kiln_error *error)
{
    const char *path = cli->arguments[0];
    enum kiln_status status = KILN_OK;
    if (kiln_folder_is(path)) {
        status = kiln_folder_read(path, kiln_cli_value(cli, "plugin-dir"), &trained->folder, error);
        path = trained->folder.weights;
        trained->info = &trained->folder.info;
    }
    if (!status)
        status = kiln_checkpoint_open(path, &trained->checkpoint, error);
    if (!status && !kiln_checkpoint_foreign(trained->checkpoint))
        trained->info = &kiln_checkpoint_run(trained->checkpoint)->info;
    return status;
}

/* A folder's settings stand before those of the command line. */
static enum kiln_status folder_config(const struct kiln_cli *cli, struct kiln_trained *trained,
                                      struct kiln_error *error)
{
    const struct kiln_folder *folder = &trained->folder;
    struct kiln_cli with = *cli;
    with.n_overrides = folder->n_settings + cli->n_overrides;
    with.overrides = malloc((size_t)with.n_overrides * sizeof *with.overrides + 1);
    if (!with.overrides)
        return kiln_fail(error, KILN_MACHINE, "%s: out of memory", cli->arguments[0]);
    memcpy(with.overrides, folder->settings, (size_t)folder->n_settings * sizeof *with.overrides);
    if (cli->n_overrides)
        memcpy(with.overrides + folder->n_settings, cli->overrides,
               (size_t)cli->n_overrides * sizeof *with.overrides);
    enum kiln_status status = kiln_cli_config(&with, cli->arguments[0], folder->config,
                                              strlen(folder->config), &trained->config, error);
    free(with.overrides);
    return status;
}

static enum kiln_status open_config(const struct kiln_cli *cli, struct kiln_trained *trained,
                                    struct kiln_error *error)
{
    const char *file = kiln_cli_value(cli, "config");
    const char *text = kiln_checkpoint_config(trained->checkpoint);
    const char *path = kiln_checkpoint_path(trained->checkpoint);
    if (file)
        return kiln_cli_config(cli, file, NULL, 0, &trained->config, error);
    if (trained->folder.config)
        return folder_config(cli, trained, error);
    if (!text)
        return kiln_fail(error, KILN_INPUT,
                         "%s: a bare state_dict without a config; --config FILE says what model it "
                         "is of",
                         path);
    return kiln_cli_config(cli, path, text, strlen(text), &trained->config, error);
}

enum kiln_status kiln_trained_open_config(const struct kiln_cli *cli, struct kiln_trained *trained,
                                          struct kiln_error *error)
{
    *trained = (struct kiln_trained){0};
    enum kiln_status status = open_files(cli, trained, error);
    if (!status)
        status = open_config(cli, trained, error);
    if (!status)
        status = kiln_checkpoint_map(trained->checkpoint, kiln_config_model(trained->config),
                                     kiln_cli_value(cli, "part"), error);
    return status;
}

/* The data of a run that is evaluated must be like those it was trained on. */
static enum kiln_status check_data(const struct kiln_trained *trained, struct kiln_error *error)
{
    const struct kiln_data_info *own = trained->info, *now = &trained->experiment.info;
    if (!own || (own->points == now->points && own->channels == now->channels &&
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

enum kiln_status kiln_trained_open_model(const struct kiln_cli *cli, bool data,
                                         struct kiln_trained *trained, struct kiln_error *error)
{
    enum kiln_status status = kiln_trained_open_config(cli, trained, error);
    if (status)
        return status;
    status = kiln_experiment_create(trained->config, data ? NULL : trained->info,
                                    &trained->experiment, error);
    if (!status)
        status = check_data(trained, error);
    if (!status)
        status = check_weights(trained, error);
    return status;
}

enum kiln_status kiln_trained_open(const struct kiln_cli *cli, bool data,
                                   struct kiln_trained *trained, struct kiln_error *error)
{
    const struct kiln_run_device device = {
        .no_fuse = kiln_cli_flag(cli, "no-fuse"),
        .no_tune = kiln_cli_flag(cli, "no-tune"),
        .stats = kiln_cli_flag(cli, "stats"),
    };
    enum kiln_status status = kiln_trained_open_model(cli, data, trained, error);
    if (!status && kiln_cli_flag(cli, "force"))
        kiln_checkpoint_accept_not_finite(trained->checkpoint);
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
    kiln_folder_finish(&trained->folder);
}

char *kiln_trained_output(const struct kiln_cli *cli, const struct kiln_trained *trained,
                          const char *option, const char *name)
{
    const char *given = kiln_cli_value(cli, option);
    if (given)
        return strdup(given);
    bool folder = trained->folder.config != NULL;
    char *directory = folder ? strdup(cli->arguments[0])
                             : kiln_path_directory(kiln_checkpoint_path(trained->checkpoint));
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
