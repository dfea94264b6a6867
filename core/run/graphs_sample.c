/* The graphs of sampling. */
#include "core/run/graphs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The carried tensors as states of the session. */
static void carried_states(kiln_graph *g, const struct kiln_sample_plan *plan, kiln_node *carried)
{
    for (int i = 0; i < plan->n_carried; i++) {
        char name[32];
        snprintf(name, sizeof name, KILN_STATE_PREFIX_SAMPLER "%d", i);
        const struct kiln_state state = {
            .name = name, .shape = plan->carried[i], .dtype = KILN_F32};
        carried[i] = kiln_state(g, &state);
    }
}

static void assign_carried(kiln_graph *g, const struct kiln_sample_plan *plan,
                           const kiln_node *states, const kiln_node *values)
{
    for (int i = 0; i < plan->n_carried; i++)
        kiln_assign(g, states[i], values[i]);
}

static kiln_node label_input(kiln_graph *g, const struct kiln_sample_request *request)
{
    return request->labelled ? kiln_input(g, "label", KILN_I32, KILN_SHAPE(request->batch)) : 0;
}

static void build_noise(struct kiln_sampler_graphs *out)
{
    const struct kiln_rng rng = {
        .kind = out->plan.uniform_noise ? KILN_RNG_UNIFORM : KILN_RNG_NORMAL,
        .stream = KILN_STREAM_NOISE,
    };
    kiln_graph_output(out->noise, "noise", kiln_random(out->noise, out->plan.noise, rng));
}

static void build_start(const struct kiln_instance *instance,
                        const struct kiln_sample_request *request, struct kiln_sampler_graphs *out)
{
    kiln_graph *g = out->start;
    kiln_node states[KILN_MAX_CARRIED], first[KILN_MAX_CARRIED] = {0};
    carried_states(g, &out->plan, states);
    kiln_node noise = kiln_input(g, "noise", KILN_F32, out->plan.noise);
    instance->model->sample_start(instance->state, g, request, noise, first);
    assign_carried(g, &out->plan, states, first);
}

static void build_step(const struct kiln_instance *instance,
                       const struct kiln_sample_request *request, struct kiln_sampler_graphs *out)
{
    kiln_graph *g = out->step;
    kiln_node states[KILN_MAX_CARRIED], next[KILN_MAX_CARRIED] = {0};
    carried_states(g, &out->plan, states);
    int width = out->plan.n_coefficients > 0 ? out->plan.n_coefficients : 1;
    kiln_node coefficients = kiln_input(g, "coefficients", KILN_F32, KILN_SHAPE(width));
    instance->model->sample_step(instance->state, g, request, states, coefficients,
                                 label_input(g, request), next);
    assign_carried(g, &out->plan, states, next);
}

static void build_finish(const struct kiln_instance *instance,
                         const struct kiln_sample_request *request, struct kiln_sampler_graphs *out)
{
    kiln_graph *g = out->finish;
    kiln_node states[KILN_MAX_CARRIED];
    carried_states(g, &out->plan, states);
    kiln_node label = label_input(g, request);
    kiln_graph_output(g, "samples",
                      instance->model->sample_finish(instance->state, g, request, states, label));
}

static enum kiln_status check_request(const struct kiln_model *model, const char *sampler,
                                      struct kiln_error *error)
{
    if (!model->samplers || !model->samplers[0])
        return kiln_fail(error, KILN_INPUT, "model %s cannot sample", model->name);
    if (!sampler[0])
        return KILN_OK;
    char known[256] = "";
    size_t used = 0;
    for (int i = 0; model->samplers[i]; i++) {
        if (!strcmp(model->samplers[i], sampler))
            return KILN_OK;
        if (used < sizeof known)
            used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "",
                                     model->samplers[i]);
    }
    return kiln_fail(error, KILN_INPUT, "sampler %s: model %s has only %s", sampler, model->name,
                     known);
}

static bool plan_is_sound(const struct kiln_sample_plan *plan)
{
    bool sound = plan->n_carried >= 1 && plan->n_carried <= KILN_MAX_CARRIED &&
                 plan->n_iterations >= 0 && plan->n_coefficients >= 0 &&
                 kiln_shape_count(&plan->noise) > 0;
    for (int i = 0; sound && i < plan->n_carried; i++)
        sound = kiln_shape_count(&plan->carried[i]) > 0;
    return sound && (plan->n_iterations == 0 || plan->n_coefficients == 0 || plan->coefficients);
}

enum kiln_status kiln_sampler_graphs_create(const struct kiln_instance *instance,
                                            const struct kiln_sample_request *request,
                                            struct kiln_sampler_graphs *out,
                                            struct kiln_error *error)
{
    const struct kiln_model *model = instance->model;
    *out = (struct kiln_sampler_graphs){0};
    enum kiln_status status = check_request(model, request->sampler, error);
    if (!status)
        status = model->sample_plan(instance->state, request, &out->plan, error);
    if (!status && !plan_is_sound(&out->plan))
        status =
            kiln_fail(error, KILN_INPUT, "model %s made an unsound sampling plan", model->name);
    if (status)
        goto fail;
    bool iterates = out->plan.n_iterations > 0;
    out->noise = kiln_graph_create();
    out->start = kiln_graph_create();
    out->finish = kiln_graph_create();
    out->step = iterates ? kiln_graph_create() : NULL;
    if (!out->noise || !out->start || !out->finish || (iterates && !out->step)) {
        status = kiln_fail(error, KILN_MACHINE, "out of memory");
        goto fail;
    }
    build_noise(out);
    build_start(instance, request, out);
    build_finish(instance, request, out);
    if (iterates)
        build_step(instance, request, out);
    const kiln_graph *const graphs[] = {out->noise, out->start, out->finish, out->step};
    for (int i = 0; !status && i < 3 + iterates; i++)
        status = kiln_graph_error(graphs[i], error);
    if (!status)
        return KILN_OK;
fail:
    kiln_sampler_graphs_finish(out);
    return status;
}

void kiln_sampler_graphs_finish(struct kiln_sampler_graphs *graphs)
{
    kiln_graph_destroy(&graphs->noise);
    kiln_graph_destroy(&graphs->start);
    kiln_graph_destroy(&graphs->step);
    kiln_graph_destroy(&graphs->finish);
    free(graphs->plan.coefficients);
    graphs->plan.coefficients = NULL;
}
