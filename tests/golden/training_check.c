/* Ten steps of a training phase against PyTorch. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/golden/golden.h"

enum { STEPS = 10 };
static const float beta1 = 0.9f, beta2 = 0.999f, epsilon = 1e-4f;

/* The file's phase among the model's. */
static int phase_of(const struct golden *golden, struct kiln_phase *phase)
{
    struct kiln_phase phases[KILN_MAX_PHASES];
    int n = golden->instance.model->phases(golden->instance.state, phases), i = 0;
    const char *name = golden_text(golden, "phase", phases[0].name);
    while (i < n - 1 && strcmp(phases[i].name, name))
        i++;
    *phase = phases[i];
    return i;
}

static void write_batch(const struct golden *golden, kiln_executable *executable, int step)
{
    char name[32];
    struct kiln_error error;
    snprintf(name, sizeof name, "x.%d", step);
    golden_write(golden, executable, name, "batch.x");
    snprintf(name, sizeof name, "label.%d", step);
    if (golden_has(golden, name, ""))
        golden_write(golden, executable, name, "batch.label");
    uint64_t seed = strtoull(golden_text(golden, "seed", "0"), NULL, 10);
    int32_t key[KILN_RNG_KEY_WORDS] = {(int32_t)(uint32_t)seed, (int32_t)(uint32_t)(seed >> 32),
                                       step + 1, 0};
    must(kiln_executable_write(executable, "rng", key, sizeof key, &error), "rng", &error);
}

static void write_hyper(const struct golden *golden, kiln_executable *executable, int step,
                        double clamp)
{
    struct kiln_error error;
    float hyper[KILN_HYPER_WORDS] = {
        [KILN_HYPER_LEARNING_RATE] = (float)golden_number(golden, "learning_rate", 1e-3),
        [KILN_HYPER_BETA1] = beta1,
        [KILN_HYPER_BETA2] = beta2,
        [KILN_HYPER_EPSILON] = epsilon,
        [KILN_HYPER_CORRECTION1] = (float)(1 - pow(0.9, step + 1)),
        [KILN_HYPER_CORRECTION2] = (float)(1 - pow(0.999, step + 1)),
        [KILN_HYPER_EMA_DECAY] = (float)golden_number(golden, "ema_decay", 0),
        [KILN_HYPER_CLAMP] = (float)clamp,
        [KILN_HYPER_LOSS_SCALE] = 1,
    };
    must(kiln_executable_write(executable, "hyper", hyper, sizeof hyper, &error), "hyper", &error);
}

/* A part of a state; the caller frees. Integers are converted. */
static float *read_state(kiln_session *session, int state, enum kiln_state_part part, int64_t *n)
{
    const struct kiln_state_slot *slot = kiln_states_at(kiln_session_states(session), state);
    struct kiln_error error;
    *n = kiln_shape_count(&slot->state.shape);
    float *values = malloc((size_t)*n * sizeof *values);
    must(kiln_session_state_get(session, state, part, values, &error), slot->state.name, &error);
    for (int64_t i = 0; slot->state.dtype == KILN_I32 && i < *n; i++) {
        int32_t word;
        memcpy(&word, &values[i], sizeof word);
        values[i] = (float)word;
    }
    return values;
}

static void check_part(const struct golden *golden, kiln_session *session, int state,
                       enum kiln_state_part part, const char *prefix, double bound)
{
    const char *name = kiln_states_at(kiln_session_states(session), state)->state.name;
    int64_t n;
    float *values = read_state(session, state, part, &n);
    for (int64_t i = 0; part == KILN_STATE_MOMENT1 && i < n; i++)
        values[i] /= 1 - beta1; /* the first moment after one step -> gradient */
    golden_compare(golden, prefix, name, values, n, bound);
    free(values);
}

/* Gradients after the first step, or all states after the last. */
static void check_states(const struct golden *golden, kiln_session *session, bool first)
{
    const kiln_states *states = kiln_session_states(session);
    for (int i = 0; i < kiln_states_count(states); i++) {
        const struct kiln_state_slot *slot = kiln_states_at(states, i);
        const char *name = slot->state.name;
        bool ladder = slot->state.init.kind == KILN_INIT_GEOMETRIC; /* of the configuration */
        if (kiln_state_is_internal(name) || ladder || golden_lists(golden, "zero_gradient", name))
            continue;
        if (first && slot->group >= 0) {
            check_part(golden, session, i, KILN_STATE_MOMENT1, "grad.", golden->bound);
        } else if (!first) {
            check_part(golden, session, i, KILN_STATE_VALUE, "final.", 1e-4);
            if (golden_has(golden, "ema.", name))
                check_part(golden, session, i, KILN_STATE_EMA, "ema.", 1e-4);
        }
    }
}

/*
 * The step's value of a tensor [STEPS], relative to itself; where the metadata
 * "loss_scale" is "rms", because losses may pass 0, to the tensor's root mean
 * square.
 */
static void check_value(const struct golden *golden, const char *tensor, int step, double value)
{
    int64_t n;
    float *expected = golden_values(golden->file, "", tensor, &n);
    double scale = fabs(expected[step]), squares = 0;
    for (int64_t i = 0; i < n; i++)
        squares += (double)expected[i] * expected[i];
    if (!strcmp(golden_text(golden, "loss_scale", ""), "rms"))
        scale = sqrt(squares / (double)n);
    golden_judge(tensor, step, fabs(value - expected[step]) / scale, golden->bound);
    free(expected);
}

static void check_report(const struct golden *golden, const struct kiln_phase_graph *graph,
                         kiln_executable *executable, int step)
{
    float report[KILN_MAX_METRICS + 3];
    struct kiln_error error;
    must(kiln_executable_read(executable, "report", report,
                              (graph->n_values + 2) * (int64_t)sizeof *report, &error),
         "report", &error);
    check_value(golden, "losses", step, report[0]);
    for (int i = 1; i < graph->n_values; i++) {
        char tensor[64];
        snprintf(tensor, sizeof tensor, "metric.%s", graph->names[i]);
        if (golden_has(golden, tensor, ""))
            check_value(golden, tensor, step, report[i]);
    }
}

void check_training(const struct golden *golden, kiln_device *device)
{
    struct kiln_error error;
    struct kiln_phase phase;
    struct kiln_phase_graph graph;
    struct kiln_update update = {.kind = KILN_OPTIMIZER_ADAM,
                                 .ema = golden_number(golden, "ema_decay", 0) > 0};
    int number = phase_of(golden, &phase);
    must(kiln_phase_graph_create(&golden->instance, number, &golden->source, update, &graph,
                                 &error),
         "phase", &error);
    kiln_session *session;
    kiln_executable *executable;
    must(kiln_session_create(device, &(struct kiln_session_options){.fuse = true}, &session,
                             &error),
         "session", &error);
    must(kiln_session_group(session, phase.group, update, &error), "group", &error);
    must(kiln_session_prepare(session, 1, &graph.graph, 0, NULL, &error), "prepare", &error);
    golden_set_states(golden, session);
    must(kiln_executable_create(session, graph.graph, &(struct kiln_compile_options){0},
                                &executable, &error),
         "compile", &error);
    for (int i = 0; i < STEPS; i++) {
        write_batch(golden, executable, i);
        write_hyper(golden, executable, i, phase.clamp);
        must(kiln_executable_run(executable, &error), "run", &error);
        check_report(golden, &graph, executable, i);
        if (i == 0 || i == STEPS - 1)
            check_states(golden, session, i == 0);
    }
    kiln_executable_destroy(&executable);
    kiln_session_destroy(&session);
    kiln_phase_graph_finish(&graph);
}
