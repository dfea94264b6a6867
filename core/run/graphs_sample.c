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

/* Inpainting: x where the mask says so, else the known picture. */
static kiln_node keep_known(kiln_graph *g, kiln_node mask, kiln_node x, kiln_node known)
{
    return kiln_select(g, kiln_expand(g, mask, kiln_shape(g, x)), x, known);
}

/* The inputs "known" [1, c, h, w] and "mask" [1, 1, h, w]; known is repeated
 * for the batch. */
static void known_inputs(kiln_graph *g, struct kiln_shape samples, kiln_node *known,
                         kiln_node *mask)
{
    struct kiln_shape one = samples;
    one.d[0] = 1;
    *known = kiln_expand(g, kiln_input(g, "known", KILN_F32, one), samples);
    one.d[1] = 1;
    *mask = kiln_input(g, "mask", KILN_F32, one);
}

static kiln_node noise_state(kiln_graph *g, const struct kiln_sample_plan *plan)
{
    const struct kiln_state state = {
        .name = KILN_STATE_NOISE, .shape = plan->noise, .dtype = KILN_F32};
    return kiln_state(g, &state);
}

static void build_noise(struct kiln_sampler_graphs *out)
{
    const struct kiln_rng rng = {
        .kind = out->plan.uniform_noise ? KILN_RNG_UNIFORM : KILN_RNG_NORMAL,
        .stream = KILN_STREAM_NOISE,
    };
    kiln_assign(out->noise, noise_state(out->noise, &out->plan),
                kiln_random(out->noise, out->plan.noise, rng));
}

static void build_start(const struct kiln_instance *instance,
                        const struct kiln_sample_request *request, struct kiln_sampler_graphs *out)
{
    kiln_graph *g = out->start;
    kiln_node states[KILN_MAX_CARRIED], first[KILN_MAX_CARRIED] = {0};
    carried_states(g, &out->plan, states);
    instance->model->sample_start(instance->state, g, request, noise_state(g, &out->plan), first);
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
    kiln_node present[KILN_MAX_CARRIED], known, mask;
    memcpy(present, states, sizeof present);
    if (request->inpaint) {
        known_inputs(g, out->plan.carried[0], &known, &mask);
        known = instance->model->sample_noised(instance->state, g, request, coefficients, known);
        present[0] = keep_known(g, mask, states[0], known);
    }
    instance->model->sample_step(instance->state, g, request, present, coefficients,
                                 label_input(g, request), next);
    assign_carried(g, &out->plan, states, next);
}

static void build_finish(const struct kiln_instance *instance,
                         const struct kiln_sample_request *request, struct kiln_sampler_graphs *out)
{
    kiln_graph *g = out->finish;
    kiln_node states[KILN_MAX_CARRIED];
    carried_states(g, &out->plan, states);
    kiln_node label = label_input(g, request), known, mask;
    kiln_node samples = instance->model->sample_finish(instance->state, g, request, states, label);
    if (request->inpaint) {
        known_inputs(g, out->plan.carried[0], &known, &mask);
        samples = keep_known(g, mask, samples, known);
    }
    kiln_graph_output(g, "samples", samples);
}

static enum kiln_status check_sampler(const struct kiln_model *model, const char *sampler,
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

/* What is asked for beyond samples, against what the model can. */
static enum kiln_status check_request(const struct kiln_model *model,
                                      const struct kiln_sample_request *request,
                                      const struct kiln_sample_plan *plan, struct kiln_error *error)
{
    if (request->inpaint &&
        (!model->sample_noised || plan->n_iterations == 0 || plan->carried[0].n != 4))
        return kiln_fail(error, KILN_INPUT, "model %s cannot paint into a picture%s", model->name,
                         plan->carried[0].n == 2 && model->sample_noised ? " of points" : "");
    if (request->preview && plan->n_iterations == 0)
        return kiln_fail(error, KILN_INPUT,
                         "model %s draws in one step: there is nothing to animate", model->name);
    if (request->columns > 1 && request->batch % request->columns)
        return kiln_fail(error, KILN_INPUT, "rows of %d do not divide a batch of %lld samples",
                         request->columns, (long long)request->batch);
    return KILN_OK;
}

static bool has_output(const kiln_graph *g, const char *name)
{
    kiln_node node;
    for (int i = 0; i < kiln_graph_n_outputs(g); i++)
        if (!strcmp(kiln_graph_output_at(g, i, &node), name))
            return true;
    return false;
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
    enum kiln_status status = check_sampler(model, request->sampler, error);
    if (!status)
        status = model->sample_plan(instance->state, request, &out->plan, error);
    if (!status && !plan_is_sound(&out->plan))
        status =
            kiln_fail(error, KILN_INPUT, "model %s made an unsound sampling plan", model->name);
    if (!status)
        status = check_request(model, request, &out->plan, error);
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
    if (!status && request->preview && !has_output(out->step, "preview"))
        status = kiln_fail(error, KILN_INPUT, "model %s shows nothing on the way: no animation",
                           model->name);
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
