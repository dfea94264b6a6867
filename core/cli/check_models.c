/* Small networks of the model plugins against the double-precision reference. */
#include "core/cli/check_models.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/text.h"
#include "core/run/experiment.h"
#include "core/run/optimizer.h"
#include "core/run/plugin.h"
#include "tests/lib/cases.h"

enum { BATCH = 3, SEED = 1 };

/* One phase of a model on the device and on the oracle. */
struct phase_check {
    struct kiln_experiment *experiment;
    struct kiln_batch_source source;
    struct kiln_optimizer optimizer;
    struct kiln_phase phase;
    struct kiln_phase_graph graph;
    kiln_session *session;
    kiln_executable *executable;
    kiln_oracle *oracle;
};

/* --- inputs --------------------------------------------------------------------------------- */

/* The elements of an input; *dtype is theirs. NULL if it is none of a phase's. */
static const void *input_data(const struct phase_check *c, const char *name, const int32_t *rng,
                              const float *hyper)
{
    const struct kiln_data_split *split = &c->experiment->dataset->train;
    return !strcmp(name, "rng")           ? (const void *)rng
           : !strcmp(name, "hyper")       ? (const void *)hyper
           : !strcmp(name, "batch.x")     ? (const void *)split->x
           : !strcmp(name, "batch.label") ? (const void *)split->label
                                          : NULL;
}

static double *to_doubles(enum kiln_dtype dtype, const void *data, int64_t n)
{
    double *values = malloc((size_t)n * sizeof *values);
    for (int64_t i = 0; values && i < n; i++)
        values[i] = dtype == KILN_U8    ? (double)((const uint8_t *)data)[i]
                    : dtype == KILN_I32 ? (double)((const int32_t *)data)[i]
                                        : (double)((const float *)data)[i];
    return values;
}

static enum kiln_status write_inputs(struct phase_check *c, struct kiln_error *error)
{
    int32_t rng[KILN_RNG_KEY_WORDS];
    float hyper[KILN_HYPER_WORDS];
    struct kiln_node_info node;
    enum kiln_status status = KILN_OK;
    kiln_rng_words(SEED, 1, 0, rng);
    kiln_optimizer_hyper(&c->optimizer, 0, 0, c->phase.clamp, hyper);
    for (kiln_node id = 1; !status && kiln_graph_node(c->graph.graph, id, &node); id++) {
        if (node.op != KILN_OP_INPUT)
            continue;
        int64_t n = kiln_shape_count(&node.shape);
        const void *data = input_data(c, node.name, rng, hyper);
        double *values = data ? to_doubles(node.dtype, data, n) : NULL;
        if (!data)
            status = kiln_fail(error, KILN_INPUT, "input %s is not known", node.name);
        else if (!values)
            status = kiln_fail(error, KILN_MACHINE, "out of memory");
        else
            status = kiln_executable_write(c->executable, node.name, data,
                                           n * (int64_t)kiln_dtype_bytes(node.dtype), error);
        if (!status)
            status = kiln_oracle_set(c->oracle, node.name, values, n, error);
        free(values);
    }
    return status;
}

/* The oracle starts from the device's first values. */
static enum kiln_status copy_states(struct phase_check *c, struct kiln_error *error)
{
    const kiln_states *states = kiln_session_states(c->session);
    enum kiln_status status = KILN_OK;
    for (int i = 0; i < kiln_states_count(states) && !status; i++) {
        const struct kiln_state *state = &kiln_states_at(states, i)->state;
        int64_t n = kiln_shape_count(&state->shape);
        float *data = malloc((size_t)n * sizeof *data);
        double *values = NULL;
        status = data ? kiln_session_state_get(c->session, i, KILN_STATE_VALUE, data, error)
                      : kiln_fail(error, KILN_MACHINE, "out of memory");
        if (!status)
            values = to_doubles(state->dtype, data, n);
        if (!status && !values)
            status = kiln_fail(error, KILN_MACHINE, "out of memory");
        if (!status)
            status =
                kiln_oracle_set_state(c->oracle, state->name, KILN_ORACLE_VALUE, values, n, error);
        free(values);
        free(data);
    }
    return status;
}

/* --- a phase --------------------------------------------------------------------------------- */

static enum kiln_status prepare(struct phase_check *c, kiln_device *device,
                                struct kiln_error *error)
{
    const struct kiln_session_options options = {.fuse = true};
    c->oracle = kiln_oracle_create(c->graph.graph, true);
    if (!c->oracle)
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    enum kiln_status status = kiln_session_create(device, &options, &c->session, error);
    if (!status)
        status = kiln_session_group(c->session, c->phase.group, c->optimizer.update, error);
    if (!status)
        status = kiln_session_prepare(c->session, 1, &c->graph.graph, 0, NULL, error);
    if (!status)
        status = kiln_session_initialise(c->session, SEED, error);
    if (!status)
        status = kiln_executable_create(c->session, c->graph.graph, NULL, &c->executable, error);
    if (!status)
        status = copy_states(c, error);
    return status ? status : write_inputs(c, error);
}

static enum kiln_status compare_report(struct phase_check *c, struct kiln_model_check *result,
                                       struct kiln_error *error)
{
    float report[KILN_MAX_METRICS + 8];
    kiln_node node;
    const struct kiln_case chain = {.class = KILN_CASE_CHAIN, .k = 1};
    struct kiln_case_result worst = {0};
    int n = c->graph.n_values + 2;
    enum kiln_status status =
        kiln_executable_read(c->executable, "report", report, n * (int)sizeof *report, error);
    for (int i = 0; i < kiln_graph_n_outputs(c->graph.graph) && !status; i++)
        if (!strcmp(kiln_graph_output_at(c->graph.graph, i, &node), "report") &&
            !kiln_case_compare(&chain, c->graph.graph, c->oracle, node, report, false, &worst))
            status = kiln_fail(error, KILN_MACHINE, "phase %s: %s is %.7g, not %.7g", c->phase.name,
                               worst.element < c->graph.n_values ? c->graph.names[worst.element]
                                                                 : "the gradient's norm",
                               worst.got, worst.expected);
    result->share = worst.share > result->share ? worst.share : result->share;
    return status;
}

static enum kiln_status check_phase(struct phase_check *c, int phase, kiln_device *device,
                                    struct kiln_model_check *result, struct kiln_error *error)
{
    enum kiln_status status = kiln_phase_graph_create(&c->experiment->instance, phase, &c->source,
                                                      c->optimizer.update, &c->graph, error);
    if (!status)
        status = prepare(c, device, error);
    if (!status)
        status = kiln_executable_run(c->executable, error);
    if (!status)
        status = kiln_oracle_run(c->oracle, error);
    if (!status)
        status = compare_report(c, result, error);
    kiln_executable_destroy(&c->executable);
    kiln_session_destroy(&c->session);
    kiln_oracle_destroy(&c->oracle);
    kiln_phase_graph_finish(&c->graph);
    return status;
}

/* --- a model -----------------------------------------------------------------------------------
 */

static enum kiln_status check_phases(kiln_config *config, kiln_device *device,
                                     struct kiln_model_check *result, struct kiln_error *error)
{
    struct kiln_experiment experiment;
    struct kiln_phase phases[KILN_MAX_PHASES];
    struct phase_check c = {.experiment = &experiment};
    enum kiln_status status = kiln_experiment_create(config, NULL, &experiment, error);
    if (status)
        return status;
    int n = experiment.instance.model->phases(experiment.instance.state, phases);
    kiln_optimizer_read(config, 1000, &c.optimizer);
    status = kiln_experiment_source(&experiment, true, BATCH, &c.source, error);
    c.source.resident = false;
    for (int i = 0; i < n && i < KILN_MAX_PHASES && !status; i++) {
        c.phase = phases[i];
        status = check_phase(&c, i, device, result, error);
    }
    kiln_experiment_finish(&experiment);
    return status;
}

void kiln_check_model(const char *plugin_name, const char *plugin_dir, kiln_device *device,
                      struct kiln_model_check *result)
{
    struct kiln_error error = {""};
    struct kiln_text text = {0};
    kiln_plugin *plugin = NULL;
    kiln_config *config = NULL;
    *result = (struct kiln_model_check){.passed = false};
    snprintf(result->name, sizeof result->name, "%s", plugin_name);
    enum kiln_status status = kiln_plugin_open(plugin_name, plugin_dir, &plugin, &error);
    const char *check = status ? NULL : kiln_plugin_model(plugin)->check;
    if (check) {
        result->checked = true;
        kiln_text_append(&text, "[model]\nplugin = %s\n%s", plugin_name, check);
        const struct kiln_config_source source = {.path = "check.ini",
                                                  .text = text.data,
                                                  .text_bytes = text.length,
                                                  .plugin_dir = plugin_dir};
        status = text.failed ? kiln_fail(&error, KILN_MACHINE, "out of memory")
                             : kiln_config_load(&source, &config, &error);
        if (!status)
            status = check_phases(config, device, result, &error);
    }
    result->passed = !status;
    snprintf(result->failure, sizeof result->failure, "%.390s", error.text);
    kiln_config_destroy(&config);
    kiln_plugin_close(&plugin);
    kiln_text_finish(&text);
}
