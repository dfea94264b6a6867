/* Running a conformance case in all ways that a device offers. */
#include "tests/lib/conformance.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/device/session.h"

enum { MOST_OUTPUTS = 64 };

/* One way to compile a case. */
struct way {
    char name[64];
    struct kiln_session_options options;
};

/* A case at work: what the first fused run returned is kept for comparison. */
struct trial {
    const struct kiln_case *one;
    kiln_device *device;
    kiln_graph *graph;
    struct conformance_outcome *outcome;
    void *kept[MOST_OUTPUTS]; /* outputs of the last run, the way to be equalled */
    int most_candidates;      /* of any step of the way before */
};

static void fail(struct trial *t, const struct way *way, const char *format, ...) KILN_PRINTF(3, 4);

/* The first failure is kept. */
static void fail(struct trial *t, const struct way *way, const char *format, ...)
{
    char text[400];
    if (!t->outcome->passed)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    t->outcome->passed = false;
    snprintf(t->outcome->failure, sizeof t->outcome->failure, "%s: %s", way->name, text);
}

static void note(struct trial *t, const struct way *way, const char *output, bool good,
                 const struct kiln_case_result *result)
{
    if (result->share > t->outcome->share) {
        t->outcome->share = result->share;
        snprintf(t->outcome->where, sizeof t->outcome->where, "%s, %.60s[%lld]", way->name, output,
                 (long long)result->element);
    }
    if (!good)
        fail(t, way, "%s[%lld]: got %.9g, expected %.9g, bound %.3g", output,
             (long long)result->element, result->got, result->expected, result->bound);
}

/* True if some convolution was given a Winograd algorithm. */
static bool uses_winograd(const kiln_device *device, const struct kiln_plan *plan,
                          int *most_candidates)
{
    bool winograd = false;
    for (int i = 0; i < plan->steps.n; i++) {
        struct kiln_candidate candidates[KILN_MAX_CANDIDATES];
        const struct kiln_step *step = &plan->steps.steps[i];
        int n = kiln_device_backend(device)->candidates(kiln_device_backend_state(device), step,
                                                        candidates);
        *most_candidates = n > *most_candidates ? n : *most_candidates;
        for (int k = 0; k < n; k++)
            if (candidates[k].algorithm == step->algorithm && candidates[k].winograd)
                winograd = true;
    }
    return winograd;
}

static enum kiln_status write_sources(struct trial *t, kiln_session *session, kiln_executable *e,
                                      enum kiln_op op, int run, struct kiln_error *error)
{
    struct kiln_node_info node;
    enum kiln_status status = KILN_OK;
    for (kiln_node id = 1; !status && kiln_graph_node(t->graph, id, &node); id++) {
        if (node.op != op)
            continue;
        int64_t bytes = kiln_shape_count(&node.shape) * (int64_t)kiln_dtype_bytes(node.dtype);
        void *data = malloc((size_t)bytes);
        if (!data)
            return kiln_fail(error, KILN_MACHINE, "out of memory");
        kiln_case_values(t->one, &node, run, data);
        int state =
            op == KILN_OP_STATE ? kiln_states_find(kiln_session_states(session), node.name) : -1;
        if (op == KILN_OP_INPUT)
            status = kiln_executable_write(e, node.name, data, bytes, error);
        else if (state >= 0) {
            status = kiln_session_state_set(session, state, KILN_STATE_VALUE, data, error);
            if (!status &&
                kiln_states_offset(kiln_session_states(session), state, KILN_STATE_EMA) >= 0)
                status = kiln_session_state_set(session, state, KILN_STATE_EMA, data, error);
        }
        free(data);
    }
    return status;
}

/* keep: outputs are remembered; equal: they must equal those remembered. */
static enum kiln_status compare_outputs(struct trial *t, const struct way *way, kiln_executable *e,
                                        const kiln_oracle *oracle, bool keep, bool equal,
                                        struct kiln_error *error)
{
    int unused = 0;
    bool winograd = uses_winograd(t->device, kiln_executable_plan(e), &unused);
    for (int i = 0; i < kiln_graph_n_outputs(t->graph) && i < MOST_OUTPUTS; i++) {
        kiln_node output;
        struct kiln_node_info node;
        struct kiln_case_result result;
        const char *name = kiln_graph_output_at(t->graph, i, &output);
        kiln_graph_node(t->graph, output, &node);
        int64_t bytes = kiln_shape_count(&node.shape) * (int64_t)kiln_dtype_bytes(node.dtype);
        void *data = malloc((size_t)bytes);
        enum kiln_status status = data ? kiln_executable_read(e, name, data, bytes, error)
                                       : kiln_fail(error, KILN_MACHINE, "out of memory");
        if (status) {
            free(data);
            return status;
        }
        note(t, way, name,
             kiln_case_compare(t->one, t->graph, oracle, output, data, winograd, &result), &result);
        if (equal && t->kept[i] && memcmp(t->kept[i], data, (size_t)bytes) != 0)
            fail(t, way, "%s: not equal to the fused run's bit for bit", name);
        if (keep) {
            free(t->kept[i]);
            t->kept[i] = data;
        } else {
            free(data);
        }
    }
    return KILN_OK;
}

/* Gives the oracle the device's state, so that each run is judged by itself and
 * not by what the run before was allowed to round. */
static enum kiln_status follow_state(kiln_oracle *oracle, const struct kiln_node_info *node,
                                     enum kiln_oracle_part part, const void *data,
                                     struct kiln_error *error)
{
    int64_t n = kiln_shape_count(&node->shape);
    double *values = malloc((size_t)n * sizeof *values);
    if (!values)
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    for (int64_t i = 0; i < n; i++)
        values[i] = node->dtype == KILN_I32 ? (double)((const int32_t *)data)[i]
                                            : (double)((const float *)data)[i];
    enum kiln_status status = kiln_oracle_set_state(oracle, node->name, part, values, n, error);
    free(values);
    return status;
}

static enum kiln_status compare_part(struct trial *t, const struct way *way, kiln_session *session,
                                     kiln_oracle *oracle, kiln_node id, int state, int part,
                                     struct kiln_error *error)
{
    static const char *const parts[KILN_STATE_PARTS] = {"", " moment 1", " moment 2", " average"};
    struct kiln_node_info node;
    struct kiln_case_result result;
    char name[160];
    kiln_graph_node(t->graph, id, &node);
    snprintf(name, sizeof name, "%s%s", node.name, parts[part]);
    void *data = malloc((size_t)kiln_shape_count(&node.shape) * 4);
    if (!data)
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    enum kiln_status status =
        kiln_session_state_get(session, state, (enum kiln_state_part)part, data, error);
    if (!status) {
        bool good = kiln_case_compare_state(t->graph, oracle, id, (enum kiln_oracle_part)part, data,
                                            &result);
        note(t, way, name, good, &result);
        if (kiln_oracle_state(oracle, node.name, (enum kiln_oracle_part)part))
            status = follow_state(oracle, &node, (enum kiln_oracle_part)part, data, error);
    }
    free(data);
    return status;
}

static enum kiln_status compare_states(struct trial *t, const struct way *way,
                                       kiln_session *session, kiln_oracle *oracle,
                                       struct kiln_error *error)
{
    const kiln_states *states = kiln_session_states(session);
    struct kiln_node_info node;
    enum kiln_status status = KILN_OK;
    for (kiln_node id = 1; !status && kiln_graph_node(t->graph, id, &node); id++) {
        int state = node.op == KILN_OP_STATE ? kiln_states_find(states, node.name) : -1;
        for (int part = 0; part < KILN_STATE_PARTS && state >= 0 && !status; part++)
            if (kiln_states_offset(states, state, (enum kiln_state_part)part) >= 0)
                status = compare_part(t, way, session, oracle, id, state, part, error);
    }
    return status;
}

static enum kiln_status execute(struct trial *t, const struct way *way, kiln_session *session,
                                kiln_oracle *oracle, bool keep, bool equal,
                                struct kiln_error *error)
{
    kiln_executable *e = NULL;
    enum kiln_status status =
        t->one->trains ? kiln_session_group(session, "", t->one->update, error) : KILN_OK;
    if (!status)
        status = kiln_session_prepare(session, 1, &t->graph, 0, NULL, error);
    if (!status)
        status = kiln_session_initialise(session, 0, error);
    if (!status)
        status = kiln_executable_create(session, t->graph, NULL, &e, error);
    if (!status) {
        t->most_candidates = 0;
        uses_winograd(t->device, kiln_executable_plan(e), &t->most_candidates);
        status = write_sources(t, session, e, KILN_OP_STATE, 0, error);
    }
    for (int run = 0; run < t->one->runs && !status; run++) {
        status = kiln_case_run(t->one, t->graph, oracle, run, error);
        if (!status)
            status = write_sources(t, session, e, KILN_OP_INPUT, run, error);
        if (!status)
            status = kiln_executable_run(e, error);
        bool last = run == t->one->runs - 1;
        if (!status)
            status = compare_outputs(t, way, e, oracle, keep && last, equal && last, error);
        if (!status)
            status = compare_states(t, way, session, oracle, error);
    }
    kiln_executable_destroy(&e);
    return status;
}

static void run_way(struct trial *t, const struct way *way, bool keep, bool equal)
{
    struct kiln_error error = {""};
    kiln_session *session = NULL;
    kiln_oracle *oracle = kiln_case_oracle(t->one, t->graph);
    enum kiln_status status = oracle
                                  ? kiln_session_create(t->device, &way->options, &session, &error)
                                  : kiln_fail(&error, KILN_MACHINE, "no oracle");
    if (!status)
        status = execute(t, way, session, oracle, keep, equal, &error);
    if (status)
        fail(t, way, "%s", error.text);
    kiln_session_destroy(&session);
    kiln_oracle_destroy(&oracle);
    t->outcome->ways++;
}

/* Every layout of feature maps with every algorithm. */
static void run_algorithms(struct trial *t)
{
    const struct kiln_caps *caps = kiln_device_caps(t->device);
    for (int l = 0; l < caps->n_feature_layouts; l++) {
        int most = 1;
        for (int k = 0; k < most; k++) {
            struct way way = {.options = {.fuse = true,
                                          .candidate = k,
                                          .force_layout = true,
                                          .layout = caps->feature_layouts[l]}};
            snprintf(way.name, sizeof way.name, "%s, algorithm %d",
                     kiln_layout_name(way.options.layout), k);
            run_way(t, &way, false, false);
            most = t->most_candidates > most ? t->most_candidates : most;
        }
    }
}

/* Layouts and algorithms concern these alone. */
static bool has_algorithms(const kiln_graph *graph)
{
    struct kiln_node_info node;
    for (kiln_node id = 1; kiln_graph_node(graph, id, &node); id++)
        if (node.op == KILN_OP_MATMUL || node.op == KILN_OP_CONV ||
            node.op == KILN_OP_CONV_INPUT_GRAD || node.op == KILN_OP_CONV_WEIGHT_GRAD ||
            node.op == KILN_OP_ATTENTION)
            return true;
    return false;
}

enum kiln_status conformance_run(const struct kiln_case *one, kiln_device *device,
                                 struct conformance_outcome *outcome, struct kiln_error *error)
{
    static const struct way ways[] = {
        {"fused", {.fuse = true}},
        {"no reuse", {.fuse = true, .no_reuse = true}},
        {"poisoned", {.fuse = true, .poison = true}},
        {"unfused", {.fuse = false}},
    };
    *outcome = (struct conformance_outcome){.passed = true};
    struct trial t = {
        .one = one, .device = device, .graph = kiln_case_graph(one), .outcome = outcome};
    if (!t.graph)
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    struct kiln_error fault = {""};
    if (kiln_graph_error(t.graph, &fault)) {
        fail(&t, &ways[0], "%s", fault.text);
    } else {
        for (int i = 0; i < 4; i++)
            run_way(&t, &ways[i], i == 0, i == 1 || i == 2);
        if (outcome->passed && has_algorithms(t.graph))
            run_algorithms(&t);
    }
    for (int i = 0; i < MOST_OUTPUTS; i++)
        free(t.kept[i]);
    kiln_graph_destroy(&t.graph);
    return KILN_OK;
}
