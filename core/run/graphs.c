/* The graphs of training, evaluation and reconstruction. */
#include "core/run/graphs.h"

#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool kiln_state_is_internal(const char *name)
{
    return !strncmp(name, KILN_STATE_PREFIX_RUN, strlen(KILN_STATE_PREFIX_RUN)) ||
           !strncmp(name, KILN_STATE_PREFIX_SAMPLER, strlen(KILN_STATE_PREFIX_SAMPLER));
}

/* --- the batch ---------------------------------------------------------------- */

struct kiln_shape kiln_batch_shape(const struct kiln_data_info *info, int64_t count)
{
    if (info->points)
        return KILN_SHAPE(count, 2);
    return KILN_SHAPE(count, info->channels, info->height, info->width);
}

static kiln_node flip_at_random(kiln_graph *g, kiln_node x, int64_t size)
{
    const struct kiln_rng rng = {.kind = KILN_RNG_UNIFORM, .stream = KILN_STREAM_FLIP};
    kiln_node draw = kiln_random(g, KILN_SHAPE(size), rng);
    return kiln_flip_where(g, x, kiln_less(g, draw, kiln_scalar(g, 0.5)));
}

void kiln_graph_batch(kiln_graph *g, const struct kiln_batch_source *source,
                      struct kiln_batch *batch)
{
    kiln_graph_label(g, "data");
    *batch = (struct kiln_batch){.size = source->size, .training = source->training};
    bool labelled = source->info.n_classes > 0;
    if (source->resident) {
        kiln_node index = kiln_input(g, "index", KILN_I32, KILN_SHAPE(source->size));
        kiln_node all =
            kiln_input(g, "data.x", source->dtype, kiln_batch_shape(&source->info, source->n));
        batch->x = kiln_gather_rows(g, all, index);
        if (labelled) {
            kiln_node labels = kiln_input(g, "data.label", KILN_I32, KILN_SHAPE(source->n));
            batch->label = kiln_gather_rows(g, labels, index);
        }
    } else {
        batch->x =
            kiln_input(g, "batch.x", source->dtype, kiln_batch_shape(&source->info, source->size));
        if (labelled)
            batch->label = kiln_input(g, "batch.label", KILN_I32, KILN_SHAPE(source->size));
    }
    if (source->dtype == KILN_U8)
        batch->x = kiln_mul_scalar(g, kiln_cast(g, batch->x, KILN_F32), 1.0 / 255);
    if (source->flip && !source->info.points)
        batch->x = flip_at_random(g, batch->x, source->size);
    kiln_graph_label(g, "");
}

/* Reports and destroys a graph with a sticky error. */
static enum kiln_status check_graph(kiln_graph **graph, struct kiln_error *error)
{
    enum kiln_status status = kiln_graph_error(*graph, error);
    if (status)
        kiln_graph_destroy(graph);
    return status;
}

static enum kiln_status new_graph(kiln_graph **graph, struct kiln_error *error)
{
    *graph = kiln_graph_create();
    return *graph ? KILN_OK : kiln_fail(error, KILN_MACHINE, "out of memory");
}

/* --- training ------------------------------------------------------------------ */

/* The graph's trainable states whose names begin with prefix, in order of
 * first use: at most max are written, all are counted. */
static int group_states(const kiln_graph *g, const char *prefix, int max, kiln_node *states)
{
    int n = 0;
    for (kiln_node node = 1; node <= kiln_graph_count(g); node++) {
        struct kiln_node_info info;
        if (!kiln_graph_node(g, node, &info) || info.op != KILN_OP_STATE ||
            !info.state->trainable || strncmp(info.state->name, prefix, strlen(prefix)))
            continue;
        if (n < max)
            states[n] = node;
        n++;
    }
    return n;
}

/* Gradients of the loss by the phase's group and the optimiser's update. */
static kiln_node append_update(kiln_graph *g, const char *group, kiln_node loss,
                               struct kiln_update update)
{
    int n = group_states(g, group, 0, NULL);
    if (!n) {
        kiln_graph_fail(g, "the loss depends on no parameter whose name begins with \"%s\"", group);
        return 0;
    }
    kiln_node *nodes = calloc((size_t)n, 2 * sizeof *nodes);
    if (!nodes) {
        kiln_graph_no_memory(g);
        return 0;
    }
    kiln_node *states = nodes, *gradients = nodes + n;
    group_states(g, group, n, states);
    kiln_grad(g, loss, n, states, gradients);
    kiln_node hyper = kiln_input(g, "hyper", KILN_F32, KILN_SHAPE(KILN_HYPER_WORDS));
    kiln_node done = kiln_optimizer_update(g, n, states, gradients, hyper, update);
    free(nodes);
    return done;
}

/* Keeps the number of the first execution with good = 0. */
static void remember_first_bad(kiln_graph *g, kiln_node good)
{
    const struct kiln_state state = {
        .name = KILN_STATE_FIRST_BAD,
        .shape = KILN_SHAPE(1),
        .dtype = KILN_I32,
    };
    const int32_t zero = 0;
    kiln_node first = kiln_state(g, &state);
    kiln_node rng = kiln_input(g, "rng", KILN_I32, KILN_SHAPE(KILN_RNG_KEY_WORDS));
    kiln_node number = kiln_narrow(g, rng, 0, KILN_RNG_STEP, 1);
    kiln_node unset = kiln_equal(g, first, kiln_constant(g, KILN_I32, KILN_SHAPE(1), &zero));
    kiln_assign(g, first, kiln_select(g, good, first, kiln_select(g, unset, number, first)));
}

/* One tensor holds all that is read back, so that reading is one transfer. */
static void append_report(kiln_graph *g, const struct kiln_loss *loss, kiln_node update)
{
    kiln_graph_label(g, "report");
    const struct kiln_shape one = KILN_SHAPE(1);
    kiln_node parts[KILN_MAX_METRICS + 3];
    int n = 0;
    parts[n++] = kiln_reshape(g, loss->loss, one);
    for (int i = 0; i < loss->n_metrics; i++)
        parts[n++] = kiln_reshape(g, loss->metrics[i].value, one);
    kiln_node finite = kiln_less_equal(g, kiln_abs(g, parts[0]), kiln_scalar(g, FLT_MAX));
    parts[n++] = kiln_narrow(g, update, 0, 0, 1);
    parts[n] = kiln_mul(g, kiln_narrow(g, update, 0, 1, 1), finite);
    remember_first_bad(g, parts[n]);
    n++;
    kiln_graph_output(g, "report", kiln_concat(g, n, parts, 0));
    kiln_graph_label(g, "");
}

static void name_values(struct kiln_phase_graph *out, const struct kiln_loss *loss)
{
    out->n_values = 1 + loss->n_metrics;
    snprintf(out->names[0], sizeof out->names[0], "loss");
    for (int i = 0; i < loss->n_metrics; i++)
        snprintf(out->names[1 + i], sizeof out->names[0], "%s", loss->metrics[i].name);
}

enum kiln_status kiln_phase_graph_create(const struct kiln_instance *instance, int phase,
                                         const struct kiln_batch_source *source,
                                         struct kiln_update update, struct kiln_phase_graph *out,
                                         struct kiln_error *error)
{
    struct kiln_phase phases[KILN_MAX_PHASES];
    instance->model->phases(instance->state, phases);
    *out = (struct kiln_phase_graph){0};
    enum kiln_status status = new_graph(&out->graph, error);
    if (status)
        return status;
    kiln_graph *g = out->graph;
    struct kiln_batch batch;
    struct kiln_loss loss = {0};
    kiln_graph_batch(g, source, &batch);
    instance->model->loss(instance->state, g, phase, &batch, &loss);
    if (loss.n_metrics < 0 || loss.n_metrics > KILN_MAX_METRICS) {
        kiln_graph_fail(g, "phase %s has %d metrics, more than %d", phases[phase].name,
                        loss.n_metrics, KILN_MAX_METRICS);
        loss.n_metrics = 0;
    }
    append_report(g, &loss, append_update(g, phases[phase].group, loss.loss, update));
    name_values(out, &loss);
    return check_graph(&out->graph, error);
}

void kiln_phase_graph_finish(struct kiln_phase_graph *phase)
{
    kiln_graph_destroy(&phase->graph);
}

/* --- evaluation ------------------------------------------------------------------ */

void kiln_figure_name(int i, char name[32])
{
    snprintf(name, 32, "figure.%d", i);
}

enum kiln_status kiln_figures_graph_create(const struct kiln_instance *instance,
                                           const struct kiln_batch_source *source,
                                           struct kiln_figures_graph *out, struct kiln_error *error)
{
    *out = (struct kiln_figures_graph){0};
    if (!instance->model->evaluate)
        return kiln_fail(error, KILN_INPUT, "model %s has no figures to evaluate",
                         instance->model->name);
    enum kiln_status status = new_graph(&out->graph, error);
    if (status)
        return status;
    struct kiln_batch batch;
    struct kiln_figures figures = {0};
    kiln_graph_batch(out->graph, source, &batch);
    instance->model->evaluate(instance->state, out->graph, &batch, &figures);
    if (figures.n < 1 || figures.n > KILN_MAX_METRICS)
        kiln_graph_fail(out->graph, "model %s gave %d figures", instance->model->name, figures.n);
    else
        out->n_figures = figures.n;
    for (int i = 0; i < out->n_figures; i++) {
        char output[32];
        kiln_figure_name(i, output);
        snprintf(out->names[i], sizeof out->names[i], "%s", figures.figures[i].name);
        kiln_node figure =
            kiln_reshape(out->graph, figures.figures[i].value, KILN_SHAPE(source->size));
        kiln_graph_output(out->graph, output, figure);
    }
    return check_graph(&out->graph, error);
}

void kiln_figures_graph_finish(struct kiln_figures_graph *figures)
{
    kiln_graph_destroy(&figures->graph);
}

enum kiln_status kiln_reconstruct_graph_create(const struct kiln_instance *instance,
                                               const struct kiln_batch_source *source,
                                               kiln_graph **out, struct kiln_error *error)
{
    *out = NULL;
    if (!instance->model->reconstruct)
        return kiln_fail(error, KILN_INPUT, "model %s cannot reconstruct", instance->model->name);
    enum kiln_status status = new_graph(out, error);
    if (status)
        return status;
    struct kiln_batch batch;
    kiln_graph_batch(*out, source, &batch);
    kiln_graph_output(*out, "original", batch.x);
    kiln_graph_output(*out, "reconstruction",
                      instance->model->reconstruct(instance->state, *out, &batch));
    return check_graph(out, error);
}
