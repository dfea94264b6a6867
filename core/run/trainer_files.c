/* The files of a run's directory. */
#include "core/run/trainer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/file.h"
#include "core/run/sample_image.h"

enum kiln_status kiln_trainer_open_directory(struct kiln_trainer *t, struct kiln_error *error)
{
    const char *out = t->options->out;
    enum kiln_status status = kiln_directory_create(out, error);
    if (!status)
        status = kiln_directory_check_writable(out, error);
    if (status)
        return status;
    char *lock = kiln_path_join(out, "lock");
    t->checkpoint_path = kiln_path_join(out, "checkpoint.safetensors");
    if (!lock || !t->checkpoint_path)
        status = kiln_fail(error, KILN_MACHINE, "out of memory");
    if (!status)
        status = kiln_file_lock(lock, &t->lock, error);
    if (!status && !t->options->resume && kiln_file_exists(t->checkpoint_path))
        status = kiln_fail(error, KILN_INPUT,
                           "%s: a run is there already (--resume goes on with it; else give "
                           "another --out or remove it)",
                           out);
    free(lock);
    return status;
}

enum kiln_status kiln_trainer_write_config(const struct kiln_trainer *t, struct kiln_error *error)
{
    struct kiln_text text = {0};
    char *path = kiln_path_join(t->options->out, "config.ini");
    kiln_config_write(t->config, false, &text);
    enum kiln_status status = KILN_OK;
    if (!path || text.failed)
        status = kiln_fail(error, KILN_MACHINE, "out of memory");
    else
        status = kiln_file_write(path, text.data, text.length, error);
    kiln_text_finish(&text);
    free(path);
    return status;
}

enum kiln_status kiln_trainer_save(struct kiln_trainer *t, struct kiln_error *error)
{
    const struct kiln_run_state run = {
        .step = t->step, .seed = t->seed, .info = t->experiment.info};
    return kiln_checkpoint_save(t->checkpoint_path, t->session, t->config, &run, error);
}

static bool go_on(void *user, int64_t done, int64_t total)
{
    (void)done, (void)total;
    const struct kiln_trainer *t = user;
    return !t->options->stop || !*t->options->stop;
}

enum kiln_status kiln_trainer_draw_samples(struct kiln_trainer *t, struct kiln_error *error)
{
    /* The seed fixes the noise, so that the grids of a run can be compared. */
    const struct kiln_sample_job job = {
        .seed = (uint64_t)kiln_config_int(t->config, "sample", "seed"),
        .count = t->n_samples,
        .label = t->sample_labels,
        .progress = go_on,
        .user = t,
    };
    enum kiln_status status = kiln_sampler_run(t->sampler, &job, t->samples, error);
    if (status)
        return status;
    char name[64], step[32], seed[32];
    snprintf(name, sizeof name, "samples-%" PRId64 ".png", t->step);
    snprintf(step, sizeof step, "%" PRId64, t->step);
    snprintf(seed, sizeof seed, "%" PRIu64, job.seed);
    const struct kiln_png_text texts[] = {
        {"Software", "kiln " KILN_VERSION},
        {"Command", t->options->command ? t->options->command : ""},
        {"Seed", seed},
        {"Step", step},
    };
    char *path = kiln_path_join(t->options->out, name);
    if (!path)
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    struct kiln_shape shape = kiln_sampler_sample_shape(t->sampler, t->n_samples);
    status = kiln_samples_write_png(path, t->samples, &shape, t->sample_columns, 4, texts, error);
    free(path);
    return status;
}
