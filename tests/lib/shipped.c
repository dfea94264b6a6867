/* The plans of a config, made as train, eval, reconstruct and sample make them. */
#include "tests/lib/shipped.h"

#include <stdio.h>
#include <string.h>

#include "core/run/experiment.h"
#include "core/run/optimizer.h"
#include "core/run/sample.h"

enum { MAX_GRAPHS = KILN_MAX_PHASES + KILN_SAMPLER_GRAPHS };

struct shipped {
    kiln_config *config;
    struct kiln_experiment experiment;
    struct kiln_optimizer optimizer;
    int n_phases;
    struct kiln_phase phases[KILN_MAX_PHASES];
    const struct kiln_plan_options *device;
    shipped_visit_fn *visit;
    void *user;
};

/* Graphs that share their states. */
struct set {
    int n;
    kiln_graph *graphs[MAX_GRAPHS];
    char names[MAX_GRAPHS][80];
    bool use_ema[MAX_GRAPHS];
};

static void add(struct set *set, kiln_graph *graph, bool use_ema, const char *what,
                const char *part)
{
    if (!graph)
        return;
    set->graphs[set->n] = graph;
    set->use_ema[set->n] = use_ema;
    snprintf(set->names[set->n++], sizeof set->names[0], "%s%s%s", what, *part ? " " : "", part);
}

static enum kiln_status make_states(const struct shipped *s, const struct set *set,
                                    const struct kiln_plan_options *options, kiln_states *states,
                                    struct kiln_error *error)
{
    enum kiln_status status = KILN_OK;
    for (int i = 0; i < s->n_phases && !status; i++)
        if (kiln_states_group(states, s->phases[i].group, s->optimizer.update) < 0)
            status = kiln_fail(error, KILN_MACHINE, "out of memory");
    for (int i = 0; i < set->n && !status; i++) {
        status = kiln_graph_error(set->graphs[i], error);
        if (!status)
            status = kiln_states_collect(states, set->graphs[i], error);
    }
    for (int i = 0; i < set->n && !status; i++)
        status = kiln_plan_state_layouts(set->graphs[i], options, states, error);
    return status ? status : kiln_states_freeze(states, error);
}

static enum kiln_status plan_set(const struct shipped *s, const struct set *set,
                                 struct kiln_error *error)
{
    /* the data lies on the device */
    static const struct kiln_data_slot slots[] = {{"data.x", 0}, {"data.label", 1 << 30}};
    struct kiln_plan_options options = *s->device;
    kiln_states *states = kiln_states_create();
    options.states = states;
    options.fuse = options.reuse = true;
    options.data = slots;
    options.n_data = 2;
    enum kiln_status status = states ? make_states(s, set, &options, states, error)
                                     : kiln_fail(error, KILN_MACHINE, "out of memory");
    for (int i = 0; i < set->n && !status; i++) {
        struct kiln_plan *plan;
        options.use_ema = set->use_ema[i];
        status = kiln_plan_create(set->graphs[i], &options, &plan, error);
        if (!status)
            s->visit(s->user, set->names[i], plan);
        if (!status)
            kiln_plan_destroy(&plan);
    }
    kiln_states_destroy(&states);
    return status;
}

static void add_sampler(struct set *set, const kiln_sampler *sampler, bool use_ema)
{
    kiln_graph *graphs[KILN_SAMPLER_GRAPHS];
    int n = kiln_sampler_graphs(sampler, graphs);
    for (int i = 0; i < n; i++) {
        char part[16];
        snprintf(part, sizeof part, "%d", i + 1);
        add(set, graphs[i], use_ema, "sample", part);
    }
}

static enum kiln_status make_sampler(const struct shipped *s, bool labelled, kiln_sampler **sampler,
                                     struct kiln_error *error)
{
    struct kiln_sample_request request;
    kiln_sample_request_read(s->config, kiln_config_int(s->config, "sample", "n"), &request);
    request.labelled = labelled;
    return kiln_sampler_create(&s->experiment.instance, &request, sampler, error);
}

static enum kiln_status training(struct shipped *s, struct kiln_error *error)
{
    const struct kiln_instance *instance = &s->experiment.instance;
    struct kiln_phase_graph graphs[KILN_MAX_PHASES] = {0};
    struct kiln_batch_source source;
    struct set set = {0};
    kiln_sampler *sampler = NULL;
    enum kiln_status status = kiln_experiment_source(
        &s->experiment, true, kiln_config_int(s->config, "train", "batch_size"), &source, error);
    for (int i = 0; i < s->n_phases && !status; i++) {
        status =
            kiln_phase_graph_create(instance, i, &source, s->optimizer.update, &graphs[i], error);
        add(&set, graphs[i].graph, false, "train", s->phases[i].name);
    }
    if (!status && instance->model->samplers && kiln_config_int(s->config, "train", "sample_every"))
        status = make_sampler(s, false, &sampler, error);
    if (sampler)
        add_sampler(&set, sampler, s->optimizer.update.ema);
    if (!status)
        status = plan_set(s, &set, error);
    kiln_sampler_destroy(&sampler);
    for (int i = 0; i < KILN_MAX_PHASES; i++)
        kiln_phase_graph_finish(&graphs[i]);
    return status;
}

static enum kiln_status evaluation(const struct shipped *s, struct kiln_error *error)
{
    const struct kiln_instance *instance = &s->experiment.instance;
    struct kiln_figures_graph figures = {0};
    struct kiln_batch_source source;
    struct set set = {0}, other = {0};
    kiln_graph *reconstruct = NULL;
    enum kiln_status status = kiln_experiment_source(
        &s->experiment, false, kiln_config_int(s->config, "train", "batch_size"), &source, error);
    if (!status && instance->model->evaluate)
        status = kiln_figures_graph_create(instance, &source, &figures, error);
    if (!status && instance->model->reconstruct)
        status = kiln_reconstruct_graph_create(instance, &source, &reconstruct, error);
    add(&set, figures.graph, false, "eval", "");
    add(&other, reconstruct, false, "reconstruct", "");
    if (!status)
        status = plan_set(s, &set, error);
    if (!status)
        status = plan_set(s, &other, error);
    kiln_figures_graph_finish(&figures);
    kiln_graph_destroy(&reconstruct);
    return status;
}

static enum kiln_status sampling(const struct shipped *s, struct kiln_error *error)
{
    const struct kiln_model *model = s->experiment.instance.model;
    kiln_sampler *sampler;
    struct set set = {0};
    if (!model->samplers)
        return KILN_OK;
    enum kiln_status status = make_sampler(s, s->experiment.info.n_classes > 0, &sampler, error);
    if (status)
        return status;
    add_sampler(&set, sampler, s->optimizer.update.ema);
    status = plan_set(s, &set, error);
    kiln_sampler_destroy(&sampler);
    return status;
}

/* Few samples; drawn shapes of the size and the channels of the files' pictures. */
static enum kiln_status load(struct shipped *s, const char *path, struct kiln_error *error)
{
    enum { ANY = 2, SHAPES = 3, GREY = 4, COLOUR = 5 };
    static const struct kiln_config_override grey[] = {{"test", "data.n_train=64"},
                                                       {"test", "data.n_test=64"},
                                                       {"test", "data.source=shapes"},
                                                       {"test", "data.image_size=28"}},
                                             colour[] = {{"test", "data.n_train=64"},
                                                         {"test", "data.n_test=64"},
                                                         {"test", "data.source=shapes"},
                                                         {"test", "data.image_size=32"},
                                                         {"test", "data.channels=3"}};
    struct kiln_config_source source = {.path = path, .n_overrides = ANY, .overrides = grey};
    enum kiln_status status = kiln_config_load(&source, &s->config, error);
    if (status)
        return status;
    const char *data = kiln_config_string(s->config, "data", "source");
    bool is_colour = strcmp(data, "cifar10") == 0;
    if (!is_colour && strcmp(data, "idx") != 0)
        return KILN_OK;
    source.overrides = is_colour ? colour : grey;
    source.n_overrides = is_colour                                          ? COLOUR
                         : kiln_config_int(s->config, "data", "image_size") ? SHAPES
                                                                            : GREY;
    kiln_config_destroy(&s->config);
    return kiln_config_load(&source, &s->config, error);
}

enum kiln_status shipped_plans(const char *path, const struct kiln_plan_options *device,
                               shipped_visit_fn *visit, void *user, struct kiln_error *error)
{
    struct shipped s = {.device = device, .visit = visit, .user = user};
    enum kiln_status status = load(&s, path, error);
    if (!status)
        status = kiln_experiment_create(s.config, NULL, &s.experiment, error);
    if (!status) {
        const struct kiln_instance *instance = &s.experiment.instance;
        kiln_optimizer_read(s.config, 1, &s.optimizer);
        s.n_phases = instance->model->phases(instance->state, s.phases);
        status = training(&s, error);
        if (!status)
            status = evaluation(&s, error);
        if (!status)
            status = sampling(&s, error);
    }
    kiln_experiment_finish(&s.experiment);
    kiln_config_destroy(&s.config);
    return status;
}
