/* Building a model and planning its training, to tell what it takes. */
#include "core/cli/describe_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/run/optimizer.h"
#include "core/run/sample.h"

/* What exists while the plans are made. */
struct planning {
    struct kiln_description *out;
    struct kiln_batch_source source;
    struct kiln_update update;
    kiln_device *device;
    kiln_session *session;
    struct kiln_phase phases[KILN_MAX_PHASES];
    struct kiln_phase_graph graphs[KILN_MAX_PHASES];
    kiln_executable *executables[KILN_MAX_PHASES];
    kiln_sampler *sampler; /* NULL if the model has none */
};

static enum kiln_status count_states(struct kiln_description *out, struct kiln_error *error)
{
    enum kiln_status status = kiln_experiment_states(&out->experiment, &out->states, error);
    if (status)
        return status;
    for (int i = 0; i < kiln_states_count(out->states); i++) {
        const struct kiln_state *state = &kiln_states_at(out->states, i)->state;
        int64_t count = kiln_shape_count(&state->shape);
        if (state->trainable)
            out->n_parameters += count;
        else
            out->n_buffers += count;
    }
    return KILN_OK;
}

/* As in training if the data set was loaded; else batches are written. */
static enum kiln_status choose_source(struct planning *planning, struct kiln_error *error)
{
    struct kiln_description *out = planning->out;
    const struct kiln_experiment *experiment = &out->experiment;
    out->batch = kiln_config_int(experiment->config, "train", "batch_size");
    planning->source = (struct kiln_batch_source){.info = experiment->info,
                                                  .dtype = KILN_F32,
                                                  .n = experiment->info.n_train,
                                                  .size = out->batch,
                                                  .training = true};
    if (!experiment->dataset)
        return KILN_OK;
    enum kiln_status status =
        kiln_experiment_source(experiment, true, out->batch, &planning->source, error);
    out->resident = !status && planning->source.resident;
    return status;
}

static enum kiln_status make_graphs(struct planning *planning, struct kiln_error *error)
{
    struct kiln_description *out = planning->out;
    const struct kiln_instance *instance = &out->experiment.instance;
    struct kiln_optimizer optimizer;
    kiln_optimizer_read(out->experiment.config, 1, &optimizer);
    planning->update = optimizer.update;
    int n = instance->model->phases(instance->state, planning->phases);
    if (n < 1 || n > KILN_MAX_PHASES)
        return kiln_fail(error, KILN_INPUT, "model %s has %d training phases",
                         instance->model->name, n);
    enum kiln_status status = KILN_OK;
    for (int i = 0; i < n && !status; i++) {
        status = kiln_phase_graph_create(instance, i, &planning->source, planning->update,
                                         &planning->graphs[i], error);
        out->n_phases = i + 1;
    }
    return status;
}

static enum kiln_status make_sampler(struct planning *planning, struct kiln_error *error)
{
    struct kiln_description *out = planning->out;
    const struct kiln_experiment *experiment = &out->experiment;
    struct kiln_sample_request request;
    if (!experiment->instance.model->samplers)
        return KILN_OK;
    kiln_sample_request_read(experiment->config,
                             kiln_config_int(experiment->config, "sample", "n"), &request);
    enum kiln_status status =
        kiln_sampler_create(&experiment->instance, &request, &planning->sampler, error);
    out->samples = !status;
    out->sample_batch = request.batch;
    if (!status)
        out->sample_iterations = kiln_sampler_iterations(planning->sampler);
    return status;
}

static enum kiln_status prepare(struct planning *planning, struct kiln_error *error)
{
    struct kiln_description *out = planning->out;
    const struct kiln_run_device how = {.no_tune = true};
    kiln_graph *graphs[KILN_MAX_PHASES + KILN_SAMPLER_GRAPHS];
    struct kiln_resident resident[2];
    enum kiln_status status = kiln_experiment_session(out->experiment.config, &how,
                                                      &planning->device, &planning->session, error);
    for (int i = 0; i < out->n_phases && !status; i++) {
        graphs[i] = planning->graphs[i].graph;
        status = kiln_session_group(planning->session, planning->phases[i].group, planning->update,
                                    error);
    }
    int n_graphs = out->n_phases, n = 0;
    if (planning->sampler)
        n_graphs += kiln_sampler_graphs(planning->sampler, graphs + n_graphs);
    if (out->resident)
        n = kiln_experiment_resident(&out->experiment, &planning->source, resident);
    if (!status)
        status = kiln_session_prepare(planning->session, n_graphs, graphs, n, resident, error);
    if (status)
        return status;
    snprintf(out->device, sizeof out->device, "%s (%s)", kiln_device_name(planning->device),
             kiln_device_caps(planning->device)->name);
    out->state_bytes = kiln_states_bytes(kiln_session_states(planning->session));
    for (int i = 0; i < n; i++)
        out->data_bytes +=
            kiln_shape_count(&resident[i].shape) * (int64_t)kiln_dtype_bytes(resident[i].dtype);
    return KILN_OK;
}

static int64_t count_group(const kiln_states *states, const char *prefix)
{
    int64_t count = 0;
    for (int i = 0; i < kiln_states_count(states); i++) {
        const struct kiln_state *state = &kiln_states_at(states, i)->state;
        if (state->trainable && strncmp(state->name, prefix, strlen(prefix)) == 0)
            count += kiln_shape_count(&state->shape);
    }
    return count;
}

static struct kiln_described_phase describe_plan(const struct kiln_plan *plan)
{
    return (struct kiln_described_phase){
        .n_steps = plan->steps.n,
        .n_prepared = plan->n_prepared,
        .n_reorders = plan->n_reorders,
        .flops = plan->flops,
        .workspace_bytes = plan->steps.region_bytes[KILN_REGION_WORKSPACE],
        .live_bytes = plan->live_bytes,
        .io_bytes = plan->steps.region_bytes[KILN_REGION_IO]};
}

static enum kiln_status make_plan(struct planning *planning, int phase, struct kiln_error *error)
{
    const struct kiln_compile_options options = {0};
    struct kiln_description *out = planning->out;
    enum kiln_status status =
        kiln_executable_create(planning->session, planning->graphs[phase].graph, &options,
                               &planning->executables[phase], error);
    if (status)
        return status;
    const char *group = planning->phases[phase].group;
    out->phases[phase] = describe_plan(kiln_executable_plan(planning->executables[phase]));
    out->phases[phase].name = planning->phases[phase].name;
    out->phases[phase].group = group;
    out->phases[phase].n_parameters = count_group(out->states, group);
    return KILN_OK;
}

static enum kiln_status make_sampling_plan(struct planning *planning, struct kiln_error *error)
{
    if (!planning->sampler)
        return KILN_OK;
    enum kiln_status status =
        kiln_sampler_compile(planning->sampler, planning->session, planning->update.ema, error);
    if (!status)
        planning->out->sampling =
            describe_plan(kiln_executable_plan(kiln_sampler_iteration(planning->sampler)));
    return status;
}

enum kiln_status kiln_description_create(kiln_config *config, const struct kiln_data_info *info,
                                         struct kiln_description *out, struct kiln_error *error)
{
    struct planning planning = {.out = out};
    *out = (struct kiln_description){0};
    enum kiln_status status = kiln_experiment_create(config, info, &out->experiment, error);
    if (!status)
        status = count_states(out, error);
    if (!status)
        status = choose_source(&planning, error);
    if (!status)
        status = make_graphs(&planning, error);
    if (!status)
        status = make_sampler(&planning, error);
    if (!status)
        status = prepare(&planning, error);
    for (int i = 0; i < out->n_phases && !status; i++)
        status = make_plan(&planning, i, error);
    if (!status)
        status = make_sampling_plan(&planning, error);
    kiln_sampler_destroy(&planning.sampler);
    for (int i = 0; i < KILN_MAX_PHASES; i++) {
        kiln_executable_destroy(&planning.executables[i]);
        kiln_phase_graph_finish(&planning.graphs[i]);
    }
    kiln_session_destroy(&planning.session);
    kiln_device_close(&planning.device);
    return status;
}

void kiln_description_finish(struct kiln_description *description)
{
    kiln_states_destroy(&description->states);
    kiln_experiment_finish(&description->experiment);
    *description = (struct kiln_description){0};
}
