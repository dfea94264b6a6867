/* Comparing a training step on two devices. */
#include "core/run/compare.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/run/compare_match.h"
#include "core/run/optimizer.h"
#include "core/run/train_order.h"

/* One phase of the run on both devices. */
struct comparison {
    kiln_config *config;
    const struct kiln_compare_options *options;
    kiln_compare_fn *report;
    void *user;

    struct kiln_experiment experiment;
    struct kiln_batch_source source;
    struct kiln_optimizer optimizer;
    int n_phases;
    struct kiln_phase phases[KILN_MAX_PHASES];
    struct kiln_phase_graph graph; /* of the phase at hand */
    int phase;
    int32_t *index;
    void *staging;

    kiln_device *devices[2];
    kiln_session *sessions[2];
    kiln_executable *executables[2];
    int n_completed, *completed; /* of each value of the first plan: see find_completions */
    double *norms, *scales;      /* of each node, by the unfused run */
};

/* --- two sessions ----------------------------------------------------------------------- */

static enum kiln_status prepare(struct comparison *c, int side, bool fused,
                                struct kiln_error *error)
{
    const struct kiln_run_device how = {.no_fuse = !fused,
                                        .no_tune = !fused || c->options->no_tune};
    struct kiln_session_options options = kiln_experiment_session_options(c->config, &how);
    struct kiln_compile_options compile = {.keep = true};
    struct kiln_resident resident[2];
    int n = kiln_experiment_resident(&c->experiment, &c->source, resident);
    kiln_session **session = &c->sessions[side];
    enum kiln_status status = kiln_session_create(c->devices[side], &options, session, error);
    if (!status)
        status =
            kiln_session_group(*session, c->phases[c->phase].group, c->optimizer.update, error);
    if (!status)
        status = kiln_session_prepare(*session, 1, &c->graph.graph, n, resident, error);
    if (!status)
        status = kiln_session_initialise(
            *session, (uint64_t)kiln_config_int(c->config, "run", "seed"), error);
    if (!status)
        status = kiln_executable_create(*session, c->graph.graph, &compile, &c->executables[side],
                                        error);
    return status;
}

static enum kiln_status feed(struct comparison *c, int side, struct kiln_error *error)
{
    int32_t rng[KILN_RNG_KEY_WORDS];
    float hyper[KILN_HYPER_WORDS];
    kiln_executable *e = c->executables[side];
    kiln_rng_words((uint64_t)kiln_config_int(c->config, "run", "seed"), 1, 0, rng);
    kiln_optimizer_hyper(&c->optimizer, 0, 0, c->phases[c->phase].clamp, hyper);
    enum kiln_status status =
        kiln_experiment_feed(&c->experiment, &c->source, c->index, c->staging, e, error);
    if (!status && kiln_executable_has_input(e, "rng"))
        status = kiln_executable_write(e, "rng", rng, sizeof rng, error);
    if (!status)
        status = kiln_executable_write(e, "hyper", hyper, sizeof hyper, error);
    return status;
}

static void close_sessions(struct comparison *c)
{
    for (int side = 0; side < 2; side++) {
        kiln_executable_destroy(&c->executables[side]);
        kiln_session_destroy(&c->sessions[side]);
    }
}

/* --- values ------------------------------------------------------------------------------- */

/* A difference in terms of the value and of what cancelled in it. */
static double relative(const struct comparison *c, kiln_node node, struct kiln_compare_norms norms)
{
    double scale = fmax(norms.value, node ? 0.1 * c->scales[node] : 0);
    return norms.difference == 0 ? 0 : scale > 0 ? norms.difference / scale : INFINITY;
}

/* Reads value i of the first device and other of the second, reports their
 * difference and, if unfused, gives the second the first's. */
static enum kiln_status compare_value(struct comparison *c, int i, int other, bool fused,
                                      struct kiln_error *error)
{
    const struct kiln_plan_value *value = &kiln_executable_plan(c->executables[0])->values[i];
    int64_t n = kiln_shape_count(&value->shape);
    int64_t bytes = n * (int64_t)kiln_dtype_bytes(value->place.dtype);
    char *a = malloc((size_t)bytes * 2), *b = a + bytes;
    if (!a)
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    enum kiln_status status = kiln_executable_read_value(c->executables[0], i, a, bytes, error);
    if (!status)
        status = kiln_executable_read_value(c->executables[1], other, b, bytes, error);
    struct kiln_node_info info;
    if (!status && kiln_graph_node(c->graph.graph, value->node, &info)) {
        struct kiln_compare_norms norms = kiln_compare_norms(value->place.dtype, a, b, n);
        if (!fused) {
            c->norms[value->node] = norms.value;
            c->scales[value->node] = kiln_compare_scale(&info, norms.value, c->scales);
        }
        struct kiln_compared result = {
            .phase = c->phases[c->phase].name,
            .fused = fused,
            .node = value->node,
            .op = info.op,
            .label = info.name ? info.name : "",
            .shape = value->shape,
            .difference = relative(c, value->node, norms),
        };
        c->report(c->user, &result);
        if (!fused)
            status = kiln_executable_write_value(c->executables[1], other, a, bytes, error);
    }
    free(a);
    return status;
}

/* Unfused: the values that the step completes; fused: all. */
static enum kiln_status compare_after(struct comparison *c, int step, bool fused,
                                      struct kiln_error *error)
{
    const struct kiln_plan *a = kiln_executable_plan(c->executables[0]);
    const struct kiln_plan *b = kiln_executable_plan(c->executables[1]);
    enum kiln_status status = KILN_OK;
    for (int i = 0; i < a->n_values && !status; i++) {
        bool wanted = fused ? !kiln_compare_is_arena(c->graph.graph, &a->values[i])
                            : i < c->n_completed && c->completed[i] == step;
        int other = wanted ? kiln_compare_counterpart(a, i, b) : -1;
        if (other >= 0)
            status = compare_value(c, i, other, fused, error);
    }
    return status;
}

/* Finds the step of the second plan that completes each value of the first. */
static enum kiln_status find_completions(struct comparison *c, struct kiln_error *error)
{
    const struct kiln_plan *a = kiln_executable_plan(c->executables[0]);
    const struct kiln_plan *b = kiln_executable_plan(c->executables[1]);
    free(c->completed);
    c->completed = calloc((size_t)a->n_values + 1, sizeof *c->completed);
    if (!c->completed)
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    c->n_completed = a->n_values;
    for (int i = 0; i < a->n_values; i++) {
        int other = kiln_compare_counterpart(a, i, b);
        c->completed[i] = other >= 0 ? kiln_compare_completion(b, &b->values[other]) : -1;
    }
    return KILN_OK;
}

/* True if all that the optimiser had of the state's gradient were roundings. */
static bool lacks_gradient(const struct comparison *c, const char *name)
{
    struct kiln_node_info node, state;
    for (kiln_node id = 1; kiln_graph_node(c->graph.graph, id, &node); id++) {
        int n = node.op == KILN_OP_UPDATE ? (node.n_operands - 1) / 2 : 0;
        for (int i = 0; i < n; i++)
            if (kiln_graph_node(c->graph.graph, node.operands[i], &state) &&
                !strcmp(state.name, name))
                return c->norms[node.operands[n + i]] < 1e-4 * c->scales[node.operands[n + i]];
    }
    return false;
}

/* One part of a state after the execution. */
static enum kiln_status compare_part(struct comparison *c, int state, int part, bool fused,
                                     struct kiln_error *error)
{
    static const char *const names[KILN_STATE_PARTS] = {"", " (moment 1)", " (moment 2)",
                                                        " (average)"};
    const struct kiln_state *s = &kiln_states_at(kiln_session_states(c->sessions[0]), state)->state;
    int64_t n = kiln_shape_count(&s->shape);
    float *a = malloc((size_t)n * 2 * sizeof *a);
    if (!a)
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    enum kiln_status status = KILN_OK;
    for (int side = 0; side < 2 && !status; side++)
        status = kiln_session_state_get(c->sessions[side], state, (enum kiln_state_part)part,
                                        a + side * n, error);
    char label[256];
    snprintf(label, sizeof label, "%s%s", s->name, names[part]);
    struct kiln_compared result = {
        .phase = c->phases[c->phase].name,
        .fused = fused,
        .op = KILN_OP_STATE,
        .label = label,
        .shape = s->shape,
        .no_gradient = lacks_gradient(c, s->name),
    };
    result.difference = status ? 0 : relative(c, 0, kiln_compare_norms(s->dtype, a, a + n, n));
    if (!status)
        c->report(c->user, &result);
    free(a);
    return status;
}

static enum kiln_status compare_states(struct comparison *c, bool fused, struct kiln_error *error)
{
    const kiln_states *states = kiln_session_states(c->sessions[0]);
    enum kiln_status status = KILN_OK;
    for (int i = 0; i < kiln_states_count(states); i++)
        for (int part = 0; part < KILN_STATE_PARTS && !status; part++)
            if (kiln_states_offset(states, i, (enum kiln_state_part)part) >= 0)
                status = compare_part(c, i, part, fused, error);
    return status;
}

static enum kiln_status run_both(struct comparison *c, bool fused, struct kiln_error *error)
{
    enum kiln_status status = KILN_OK;
    for (int side = 0; side < 2 && !status; side++) {
        status = prepare(c, side, fused, error);
        if (!status)
            status = feed(c, side, error);
    }
    if (!status)
        status = kiln_executable_run(c->executables[0], error);
    if (!status && fused) {
        status = kiln_executable_run(c->executables[1], error);
        if (!status)
            status = compare_after(c, 0, true, error);
    }
    if (!status && !fused)
        status = find_completions(c, error);
    int n_steps = status || fused ? 0 : kiln_executable_plan(c->executables[1])->steps.n;
    for (int step = 0; step < n_steps && !status; step++) {
        status = kiln_executable_run_steps(c->executables[1], step, 1, error);
        if (!status)
            status = compare_after(c, step, false, error);
    }
    if (!status)
        status = compare_states(c, fused, error);
    close_sessions(c);
    return status;
}

/* --- the run ------------------------------------------------------------------------------- */

static enum kiln_status draw_batch(struct comparison *c, struct kiln_error *error)
{
    kiln_batches *batches = NULL;
    int64_t staging = kiln_feed_bytes(&c->source);
    c->index = calloc((size_t)c->source.size, sizeof *c->index);
    c->staging = staging ? malloc((size_t)staging) : NULL;
    if (!c->index || (staging && !c->staging))
        return kiln_fail(error, KILN_MACHINE, "[train] batch_size: out of memory");
    enum kiln_status status =
        kiln_batches_create((uint64_t)kiln_config_int(c->config, "run", "seed"), c->source.n,
                            c->source.size, &batches, error);
    if (!status)
        kiln_batches_indices(batches, 0, c->index);
    kiln_batches_destroy(&batches);
    return status;
}

static enum kiln_status set_up(struct comparison *c, struct kiln_error *error)
{
    enum kiln_status status = kiln_experiment_create(c->config, NULL, &c->experiment, error);
    if (status)
        return status;
    const struct kiln_instance *instance = &c->experiment.instance;
    c->n_phases = instance->model->phases(instance->state, c->phases);
    if (c->n_phases < 1 || c->n_phases > KILN_MAX_PHASES)
        return kiln_fail(error, KILN_INPUT, "model %s has %d training phases",
                         instance->model->name, c->n_phases);
    kiln_optimizer_read(c->config, 1000, &c->optimizer);
    status = kiln_experiment_source(
        &c->experiment, true, kiln_config_int(c->config, "train", "batch_size"), &c->source, error);
    if (!status)
        status = draw_batch(c, error);
    for (int side = 0; side < 2 && !status; side++)
        status = kiln_device_open(c->options->devices[side], NULL, &c->devices[side], error);
    return status;
}

static enum kiln_status make_norms(struct comparison *c, struct kiln_error *error)
{
    size_t n = (size_t)kiln_graph_count(c->graph.graph) + 1;
    free(c->norms);
    free(c->scales);
    c->norms = calloc(n, sizeof *c->norms);
    c->scales = calloc(n, sizeof *c->scales);
    return c->norms && c->scales ? KILN_OK : kiln_fail(error, KILN_MACHINE, "out of memory");
}

enum kiln_status kiln_compare(kiln_config *config, const struct kiln_compare_options *options,
                              kiln_compare_fn *report, void *user, struct kiln_error *error)
{
    struct comparison c = {.config = config, .options = options, .report = report, .user = user};
    enum kiln_status status = set_up(&c, error);
    for (c.phase = 0; c.phase < c.n_phases && !status; c.phase++) {
        status = kiln_phase_graph_create(&c.experiment.instance, c.phase, &c.source,
                                         c.optimizer.update, &c.graph, error);
        if (!status)
            status = make_norms(&c, error);
        if (!status)
            status = run_both(&c, false, error);
        if (!status)
            status = run_both(&c, true, error);
        kiln_phase_graph_finish(&c.graph);
    }
    close_sessions(&c);
    for (int side = 0; side < 2; side++)
        kiln_device_close(&c.devices[side]);
    kiln_experiment_finish(&c.experiment);
    free(c.index);
    free(c.staging);
    free(c.completed);
    free(c.norms);
    free(c.scales);
    return status;
}
