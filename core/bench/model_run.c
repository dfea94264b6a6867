/* Training a model for the benchmark. */
#include "core/bench/model_run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/module.h"
#include "core/bench/scratch.h"

enum { MOST_SETS = 32 };

char *kiln_model_config_path(const struct kiln_model_case *c)
{
    char build[1024];
    bool source = kiln_module_build_dir(build, sizeof build);
    return kiln_path_join(source ? KILN_SOURCE_DIR "/config" : KILN_DATA_DIR "/config", c->config);
}

static enum kiln_status load_config(struct kiln_model_run *run,
                                    const struct kiln_model_run_options *options,
                                    struct kiln_error *error)
{
    struct kiln_config_override sets[MOST_SETS];
    char device[96], seconds[64];
    int n = 0;
    for (int i = 0; kiln_model_case_sets[i]; i++)
        sets[n++] = (struct kiln_config_override){"--set", kiln_model_case_sets[i]};
    for (int i = 0; i < KILN_MODEL_CASE_SETS && run->model_case->sets[i]; i++)
        sets[n++] = (struct kiln_config_override){"--set", run->model_case->sets[i]};
    snprintf(device, sizeof device, "run.device=%s", options->device);
    sets[n++] = (struct kiln_config_override){"--device", device};
    snprintf(seconds, sizeof seconds, "run.tune_seconds=%g", options->tune_seconds);
    if (options->round_products)
        sets[n++] = (struct kiln_config_override){"--set", "run.matmul_precision=medium"};
    if (options->tune_seconds > 0)
        sets[n++] = (struct kiln_config_override){"--set", seconds};
    char *path = kiln_model_config_path(run->model_case);
    const struct kiln_config_source source = {
        .path = path, .plugin_dir = options->plugin_dir, .n_overrides = n, .overrides = sets};
    enum kiln_status status = path ? kiln_config_load(&source, &run->config, error)
                                   : kiln_fail(error, KILN_MACHINE, "out of memory");
    free(path);
    return status;
}

static int64_t count_parameters(const kiln_states *states)
{
    int64_t n = 0;
    for (int i = 0; i < kiln_states_count(states); i++) {
        const struct kiln_state *state = &kiln_states_at(states, i)->state;
        if (state->trainable && !kiln_state_is_internal(state->name))
            n += kiln_shape_count(&state->shape);
    }
    return n;
}

static enum kiln_status pass_gate(struct kiln_model_run *run, struct kiln_suite_model *entry,
                                  struct kiln_error *error)
{
    const struct kiln_model_case *c = run->model_case;
    enum kiln_status status = kiln_model_run_steps(run, c->gate_steps, error);
    if (!status)
        status = kiln_trainer_report(&run->trainer, error);
    if (!status)
        status = kiln_trainer_check_finite(&run->trainer, error);
    if (status)
        return status;
    entry->loss = run->result.values[0].value;
    entry->gate_passed = fabs(entry->loss - c->reference) <= entry->tolerance * fabs(c->reference);
    return entry->gate_passed || c->reference == 0
               ? KILN_OK
               : kiln_fail(error, KILN_MACHINE,
                           "quality gate: the loss after %d steps is %.6g, the reference %.6g",
                           c->gate_steps, entry->loss, c->reference);
}

enum kiln_status kiln_model_run_prepare(const struct kiln_model_case *c,
                                        const struct kiln_model_run_options *options,
                                        struct kiln_model_run *run, struct kiln_error *error)
{
    *run = (struct kiln_model_run){.model_case = c};
    enum kiln_status status = load_config(run, options, error);
    if (!status)
        status = kiln_scratch_create(&run->folder, error);
    if (status)
        return status;
    run->options = (struct kiln_train_options){
        .out = run->folder, .device.no_tune = options->no_tune, .command = "kiln bench"};
    status = kiln_trainer_create(run->config, &run->options, &run->trainer, error);
    run->created = true; /* it is finished also after a failure */
    run->trainer.result = &run->result;
    run->trainer.started = run->trainer.logged_at = kiln_trainer_clock();
    return status;
}

enum kiln_status kiln_model_run_create(const struct kiln_model_case *c,
                                       const struct kiln_model_run_options *options,
                                       struct kiln_model_run *run, struct kiln_suite_model *entry,
                                       struct kiln_error *error)
{
    entry->gate_steps = c->gate_steps;
    entry->reference = c->reference;
    entry->tolerance = options->round_products ? fmax(c->tolerance, 0.02) : c->tolerance;
    enum kiln_status status = kiln_model_run_prepare(c, options, run, error);
    if (status)
        return status;
    entry->parameters = count_parameters(kiln_session_states(run->trainer.session));
    entry->batch = run->trainer.source.size;
    entry->images_per_step =
        kiln_order_first(run->trainer.n_phases, run->trainer.phases, 1) * entry->batch;
    entry->n_samples = run->trainer.sampler ? run->trainer.n_samples : 0;
    return pass_gate(run, entry, error);
}

void kiln_model_run_finish(struct kiln_model_run *run)
{
    if (run->created)
        kiln_trainer_finish(&run->trainer);
    run->created = false;
    kiln_config_destroy(&run->config);
    kiln_scratch_remove(&run->folder);
}

/* --- timing ------------------------------------------------------------------------------------
 */

enum kiln_status kiln_model_run_steps(void *user, int repetitions, struct kiln_error *error)
{
    struct kiln_model_run *run = user;
    kiln_device *device = run->trainer.device;
    enum kiln_status status = KILN_OK;
    for (int i = 0; i < repetitions && !status; i++)
        status = kiln_trainer_run_step(&run->trainer, error);
    enum kiln_status finished =
        kiln_device_backend(device)->finish(kiln_device_backend_state(device), error);
    return status ? status : finished;
}

enum kiln_status kiln_model_run_sample(void *user, int repetitions, struct kiln_error *error)
{
    struct kiln_model_run *run = user;
    const struct kiln_sample_job job = {.count = run->trainer.n_samples};
    enum kiln_status status = KILN_OK;
    for (int i = 0; i < repetitions && !status; i++)
        status = kiln_sampler_run(run->trainer.sampler, &job, run->trainer.samples, error);
    return status;
}
