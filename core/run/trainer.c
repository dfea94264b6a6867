/* Setting a training run up. */
#include "core/run/trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"

/* --- model -------------------------------------------------------------------- */

enum kiln_status kiln_trainer_create_phases(struct kiln_trainer *t, struct kiln_error *error)
{
    const struct kiln_instance *instance = &t->experiment.instance;
    t->n_phases = instance->model->phases(instance->state, t->phases);
    if (t->n_phases < 1 || t->n_phases > KILN_MAX_PHASES)
        return kiln_fail(error, KILN_INPUT, "model %s has %d training phases",
                         instance->model->name, t->n_phases);
    for (int i = 0; i < t->n_phases; i++)
        if (t->phases[i].repeats < 1)
            return kiln_fail(error, KILN_INPUT, "model %s: phase %s has %d repeats",
                             instance->model->name, t->phases[i].name, t->phases[i].repeats);
    if (!t->total)
        t->total = kiln_train_steps(t->config, t->experiment.info.n_train, t->n_phases, t->phases);
    kiln_optimizer_read(t->config, t->total, &t->optimizer);
    int64_t batch = kiln_config_int(t->config, "train", "batch_size");
    enum kiln_status status =
        kiln_experiment_source(&t->experiment, true, batch, &t->source, error);
    for (int i = 0; i < t->n_phases && !status; i++)
        status = kiln_phase_graph_create(instance, i, &t->source, t->optimizer.update,
                                         &t->graphs[i], error);
    return status;
}

/* The sampler of the grids on the way; none for models that cannot sample. */
static enum kiln_status create_sampler(struct kiln_trainer *t, struct kiln_error *error)
{
    const struct kiln_model *model = t->experiment.instance.model;
    if (!model->samplers || !kiln_config_int(t->config, "train", "sample_every"))
        return KILN_OK;
    t->n_samples = kiln_config_int(t->config, "sample", "n");
    struct kiln_sample_request request;
    kiln_sample_request_read(t->config, t->n_samples, &request);
    request.labelled = t->experiment.info.n_classes > 0;
    enum kiln_status status =
        kiln_sampler_create(&t->experiment.instance, &request, &t->sampler, error);
    if (status)
        return status;
    struct kiln_shape shape = kiln_sampler_sample_shape(t->sampler, t->n_samples);
    int64_t count = kiln_shape_count(&shape);
    t->samples = count > 0 ? calloc((size_t)count, sizeof *t->samples) : NULL;
    return t->samples ? KILN_OK
                      : kiln_fail(error, KILN_MACHINE, "[sample] n: out of memory for %lld samples",
                                  (long long)t->n_samples);
}

/* Grids of a model that takes a class show a class in each row, in turn. */
static enum kiln_status label_samples(struct kiln_trainer *t, struct kiln_error *error)
{
    int64_t n_classes = t->experiment.info.n_classes;
    if (!t->sampler || !n_classes || !kiln_sampler_takes_labels(t->sampler))
        return KILN_OK;
    int64_t each = t->n_samples > n_classes ? t->n_samples / n_classes : 1;
    t->sample_labels = malloc((size_t)t->n_samples * sizeof *t->sample_labels);
    if (!t->sample_labels)
        return kiln_fail(error, KILN_MACHINE, "[sample] n: out of memory");
    kiln_sample_labels(t->n_samples, each, n_classes, t->sample_labels);
    t->sample_columns = kiln_sample_class_columns(each);
    return KILN_OK;
}

/* --- data ------------------------------------------------------------------------ */

enum kiln_status kiln_trainer_create_batches(struct kiln_trainer *t, struct kiln_error *error)
{
    int64_t staging = kiln_feed_bytes(&t->source);
    t->index = calloc((size_t)t->source.size, sizeof *t->index);
    t->staging = staging ? malloc((size_t)staging) : NULL;
    if (!t->index || (staging && !t->staging))
        return kiln_fail(error, KILN_MACHINE, "[train] batch_size: out of memory");
    return kiln_batches_create(t->seed, t->source.n, t->source.size, &t->batches, error);
}

/* --- device ------------------------------------------------------------------------ */

static enum kiln_status prepare_session(struct kiln_trainer *t, struct kiln_error *error)
{
    kiln_graph *graphs[KILN_MAX_PHASES + KILN_SAMPLER_GRAPHS];
    struct kiln_resident resident[2];
    int n = 0;
    enum kiln_status status = KILN_OK;
    for (int i = 0; i < t->n_phases && !status; i++) {
        graphs[n++] = t->graphs[i].graph;
        status = kiln_session_group(t->session, t->phases[i].group, t->optimizer.update, error);
    }
    if (t->sampler)
        n += kiln_sampler_graphs(t->sampler, graphs + n);
    int n_resident = kiln_experiment_resident(&t->experiment, &t->source, resident);
    return status ? status
                  : kiln_session_prepare(t->session, n, graphs, n_resident, resident, error);
}

static enum kiln_status compile(struct kiln_trainer *t, struct kiln_error *error)
{
    const struct kiln_compile_options options = {0};
    enum kiln_status status = KILN_OK;
    for (int i = 0; i < t->n_phases && !status; i++)
        status = kiln_executable_create(t->session, t->graphs[i].graph, &options,
                                        &t->executables[i], error);
    if (!status && t->sampler)
        status = kiln_sampler_compile(t->sampler, t->session, t->optimizer.update.ema, error);
    return status ? status : label_samples(t, error);
}

/* First values, or those of the checkpoint. */
static enum kiln_status load_states(struct kiln_trainer *t, struct kiln_error *error)
{
    enum kiln_status status = kiln_session_initialise(t->session, t->seed, error);
    if (status || !t->options->resume || !kiln_file_exists(t->checkpoint_path))
        return status;
    kiln_checkpoint *checkpoint;
    status = kiln_checkpoint_open(t->checkpoint_path, &checkpoint, error);
    if (status)
        return status;
    const struct kiln_run_state *run = kiln_checkpoint_run(checkpoint);
    if (kiln_checkpoint_foreign(checkpoint))
        status = kiln_fail(error, KILN_INPUT, "%s: not a checkpoint of a run", t->checkpoint_path);
    else if (run->seed != t->seed)
        status = kiln_fail(error, KILN_INPUT, "%s: the run has the seed %llu, not %llu",
                           t->checkpoint_path, (unsigned long long)run->seed,
                           (unsigned long long)t->seed);
    if (!status)
        status = kiln_checkpoint_map(checkpoint, t->experiment.instance.model, NULL, error);
    kiln_checkpoint_accept_not_finite(checkpoint); /* the loss shows whether they matter */
    if (!status)
        status = kiln_checkpoint_resume(checkpoint, t->session, error);
    t->step = run->step;
    kiln_checkpoint_close(&checkpoint);
    return status;
}

static enum kiln_status open_log(struct kiln_trainer *t, struct kiln_error *error)
{
    char *path = kiln_path_join(t->options->out, "log.jsonl");
    if (!path)
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    enum kiln_status status = kiln_runlog_open(path, t->step, &t->log, &t->seconds_before, error);
    free(path);
    return status;
}

/* --- all of it ------------------------------------------------------------------------ */

enum kiln_status kiln_trainer_create(kiln_config *config, const struct kiln_train_options *options,
                                     struct kiln_trainer *t, struct kiln_error *error)
{
    *t = (struct kiln_trainer){
        .config = config,
        .options = options,
        .seed = (uint64_t)kiln_config_int(config, "run", "seed"),
        .lock = -1,
    };
    /* What costs little comes first: a wrong config or device leaves no directory. */
    enum kiln_status status = kiln_experiment_create(config, NULL, &t->experiment, error);
    if (!status)
        status = kiln_trainer_create_phases(t, error);
    if (!status)
        status = create_sampler(t, error);
    if (!status)
        status = kiln_experiment_session(config, &options->device, &t->device, &t->session, error);
    if (!status)
        status = kiln_trainer_open_directory(t, error);
    if (!status)
        status = kiln_trainer_create_batches(t, error);
    if (!status)
        status = prepare_session(t, error);
    if (!status)
        status = compile(t, error);
    if (!status)
        status = load_states(t, error); /* compares the choices, which are made by now */
    if (!status)
        status = kiln_trainer_write_config(t, error);
    if (!status)
        status = open_log(t, error);
    return status;
}

void kiln_trainer_finish(struct kiln_trainer *t)
{
    kiln_runlog_close(&t->log);
    kiln_sampler_destroy(&t->sampler);
    for (int i = 0; i < KILN_MAX_PHASES; i++) {
        kiln_executable_destroy(&t->executables[i]);
        kiln_phase_graph_finish(&t->graphs[i]);
    }
    kiln_session_destroy(&t->session);
    kiln_device_close(&t->device);
    kiln_batches_destroy(&t->batches);
    kiln_experiment_finish(&t->experiment);
    kiln_file_unlock(&t->lock);
    free(t->index);
    free(t->staging);
    free(t->samples);
    free(t->sample_labels);
    free(t->checkpoint_path);
}
