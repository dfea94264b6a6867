/* Plan, check, execute, compare. */
#include "tests/lib/plan_run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/oracle.h"
#include "tests/lib/steps.h"

struct run {
    const kiln_graph *graph;
    struct plan_run *options;
    kiln_states *states;
    kiln_oracle *oracle;
    struct kiln_plan *plan;
    struct steps_memory memory;
    struct kiln_error error;
};

static char message[2048];

static const char *failed(const char *what, const char *why)
{
    snprintf(message, sizeof message, "%s: %s", what, why);
    return message;
}

/* --- test values ----------------------------------------------------------- */

static double random_unit(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (double)(*seed >> 11) / 9007199254740992.0;
}

static void fill(double *values, int64_t n, enum kiln_dtype dtype, const char *name, uint64_t seed)
{
    for (const char *c = name; *c; c++)
        seed = (seed ^ (unsigned char)*c) * 1099511628211u;
    bool hyper = !strcmp(name, "hyper");
    static const double hypers[KILN_HYPER_WORDS] = {0.01, 0.9, 0.99, 1e-4, 0.02, 0.3,
                                                    0.2,  0.7, 0.9,  1.5,  2};
    for (int64_t i = 0; i < n; i++) {
        double u = random_unit(&seed);
        values[i] =
            dtype == KILN_F32 ? (float)(u * 2 - 1) : floor(u * (dtype == KILN_U8 ? 256 : 5));
        if (hyper && i < KILN_HYPER_WORDS)
            values[i] = (float)hypers[i];
    }
}

int plan_run_candidates(void *user, const struct kiln_step *step,
                        struct kiln_candidate candidates[KILN_MAX_CANDIDATES])
{
    const bool *blocked = user;
    const struct kiln_step_conv *c = &step->as.conv;
    candidates[0] = (struct kiln_candidate){.algorithm = 0, .name = "plain"};
    if (step->kind != KILN_STEP_CONV && step->kind != KILN_STEP_CONV_INPUT_GRAD &&
        step->kind != KILN_STEP_CONV_WEIGHT_GRAD)
        return 1;
    bool dense = c->x_layout == KILN_LAYOUT_DENSE && c->y_layout == KILN_LAYOUT_DENSE;
    if (!dense && !*blocked)
        return 0;
    /* like oneDNN: the two gradients and the forward pass do not all agree */
    enum kiln_layout wish = KILN_LAYOUT_DENSE;
    if (c->x_layout == KILN_LAYOUT_NCHW8C && c->y_layout == KILN_LAYOUT_NCHW8C)
        wish =
            step->kind == KILN_STEP_CONV_INPUT_GRAD ? KILN_LAYOUT_OIHW8O8I : KILN_LAYOUT_OIHW8I8O;
    if (c->x_layout == KILN_LAYOUT_NHWC && c->y_layout == KILN_LAYOUT_NHWC)
        wish = KILN_LAYOUT_HWIO;
    struct kiln_shape weight = KILN_SHAPE(c->o, c->c / c->conv.groups, c->kh, c->kw);
    candidates[0].weight_layout = kiln_layout_fits(wish, &weight) ? wish : KILN_LAYOUT_DENSE;
    candidates[0].scratch_bytes = 1000;
    return 1;
}

/* --- memory -------------------------------------------------------------------- */

static const char *make_memory(struct run *run)
{
    for (int r = 0; r < KILN_REGION_COUNT; r++) {
        run->memory.bytes[r] = run->plan->steps.region_bytes[r];
        if (r == KILN_REGION_STATE)
            run->memory.bytes[r] = kiln_states_bytes(run->states);
        if (!run->memory.bytes[r])
            continue;
        run->memory.region[r] = malloc((size_t)run->memory.bytes[r]);
        if (!run->memory.region[r])
            return "out of memory";
        /* the workspace starts as NaN, so that nothing relies on it */
        memset(run->memory.region[r], r == KILN_REGION_STATE ? 0 : 0xff,
               (size_t)run->memory.bytes[r]);
    }
    return NULL;
}

static void write_dense(struct run *run, const struct kiln_place *place,
                        const struct kiln_view *view, const double *values, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        steps_store(&run->memory, place, kiln_view_at(view, i), values[i]);
}

static const char *set_inputs(struct run *run)
{
    struct kiln_node_info info;
    for (kiln_node node = 1; kiln_graph_node(run->graph, node, &info); node++) {
        if (info.op != KILN_OP_INPUT)
            continue;
        int64_t n = kiln_shape_count(&info.shape);
        double *values = malloc((size_t)n * sizeof *values);
        fill(values, n, info.dtype, info.name, run->options->seed);
        kiln_oracle_set(run->oracle, info.name, values, n, NULL);
        for (int i = 0; i < run->plan->n_inputs; i++)
            if (!strcmp(run->plan->inputs[i].name, info.name))
                write_dense(run, &run->plan->inputs[i].place, &run->plan->inputs[i].view, values,
                            n);
        free(values);
    }
    for (int i = 0; i < run->plan->n_constants; i++)
        memcpy(run->memory.region[KILN_REGION_IO] + run->plan->constants[i].offset,
               run->plan->constants[i].data, (size_t)run->plan->constants[i].bytes);
    return run->memory.error;
}

static struct kiln_place state_place(const struct run *run, int state, int part)
{
    return (struct kiln_place){KILN_REGION_STATE, kiln_states_at(run->states, state)->state.dtype,
                               kiln_states_offset(run->states, state, (enum kiln_state_part)part)};
}

/* The oracle reads a state's value where the plan reads its average. */
static void set_states(struct run *run)
{
    for (int s = 0; s < kiln_states_count(run->states); s++) {
        const struct kiln_state_slot *slot = kiln_states_at(run->states, s);
        int64_t n = kiln_shape_count(&slot->state.shape);
        struct kiln_view view = kiln_layout_view(slot->layout, &slot->state.shape);
        double *values = malloc((size_t)n * sizeof *values);
        for (int part = 0; part < KILN_STATE_PARTS; part++) {
            struct kiln_place place = state_place(run, s, part);
            if (place.offset < 0)
                continue;
            fill(values, n, slot->state.dtype, slot->state.name,
                 run->options->seed + (uint64_t)part * 77);
            for (int64_t i = 0; i < n && part == KILN_STATE_MOMENT2; i++)
                values[i] = fabs(values[i]);
            write_dense(run, &place, &view, values, n);
            enum kiln_oracle_part to = (enum kiln_oracle_part)part;
            if (run->options->use_ema && part == KILN_STATE_EMA)
                to = KILN_ORACLE_VALUE;
            kiln_oracle_set_state(run->oracle, slot->state.name, to, values, n, NULL);
        }
        free(values);
    }
}

/* --- comparison -------------------------------------------------------------------- */

/* bound: what f32 arithmetic may err per element by the oracle's analysis, or
 * NULL. */
static const char *compare(struct run *run, const char *name, const struct kiln_place *place,
                           const struct kiln_view *view, const double *expected,
                           const double *bound, int64_t n)
{
    double largest = 0, tolerance = run->options->tolerance > 0 ? run->options->tolerance : 1e-5;
    for (int64_t i = 0; i < n; i++)
        largest = fmax(largest, fabs(expected[i]));
    for (int64_t i = 0; i < n; i++) {
        double got = steps_load(&run->memory, place, kiln_view_at(view, i));
        if (fabs(got - expected[i]) <= (bound ? bound[i] : tolerance * fmax(largest, 1e-3)))
            continue;
        if (isnan(expected[i]) && isnan(got))
            continue;
        snprintf(message, sizeof message, "%s element %lld: %.9g instead of %.9g", name,
                 (long long)i, got, expected[i]);
        return message;
    }
    return run->memory.error;
}

static const char *compare_all(struct run *run)
{
    for (int i = 0; i < run->plan->n_outputs; i++) {
        const struct kiln_plan_binding *output = &run->plan->outputs[i];
        kiln_node node;
        kiln_graph_output_at(run->graph, i, &node);
        const char *why = compare(
            run, output->name, &output->place, &output->view, kiln_oracle_value(run->oracle, node),
            run->options->half ? NULL : kiln_oracle_bound(run->oracle, node),
            kiln_shape_count(&output->shape));
        if (why)
            return why;
    }
    for (int s = 0; s < kiln_states_count(run->states) && !run->options->use_ema; s++)
        for (int part = 0; part < KILN_STATE_PARTS; part++) {
            const struct kiln_state_slot *slot = kiln_states_at(run->states, s);
            struct kiln_place place = state_place(run, s, part);
            const double *expected =
                kiln_oracle_state(run->oracle, slot->state.name, (enum kiln_oracle_part)part);
            struct kiln_view view = kiln_layout_view(slot->layout, &slot->state.shape);
            const char *why = place.offset < 0 || !expected
                                  ? NULL
                                  : compare(run, slot->state.name, &place, &view, expected, NULL,
                                            kiln_shape_count(&slot->state.shape));
            if (why)
                return why;
        }
    return NULL;
}

/* --- the run ------------------------------------------------------------------------ */

static const char *make_plan(struct run *run)
{
    struct plan_run *o = run->options;
    struct kiln_caps caps = {.loop_accesses =
                                 o->loop_accesses ? o->loop_accesses : KILN_LOOP_MAX_ACCESSES,
                             .loop_instructions = o->loop_instructions ? o->loop_instructions
                                                                       : KILN_LOOP_MAX_INSTRUCTIONS,
                             .parallelism = o->parallelism ? o->parallelism : 1};
    struct kiln_plan_options options = {.caps = &caps,
                                        .states = run->states,
                                        .feature_layout = o->feature_layout,
                                        .fuse = o->fuse,
                                        .half = o->half,
                                        .reuse = o->reuse,
                                        .use_ema = o->use_ema,
                                        .candidates = plan_run_candidates,
                                        .user = &o->blocked};
    if (o->update)
        kiln_states_group(run->states, "", o->kind);
    if (kiln_states_collect(run->states, run->graph, &run->error) ||
        kiln_plan_state_layouts(run->graph, &options, run->states, &run->error) ||
        kiln_states_freeze(run->states, &run->error))
        return failed("states", run->error.text);
    if (kiln_plan_create(run->graph, &options, &run->plan, &run->error))
        return failed("plan", run->error.text);
    if (getenv("KILN_TEST_DUMP"))
        kiln_plan_dump(run->plan, stderr);
    return kiln_plan_check(run->plan, &run->error) ? failed("check", run->error.text) : NULL;
}

/* Prepared steps are left out, and nothing of the workspace is left. */
static const char *execute_again(struct run *run)
{
    int first = run->plan->n_prepared;
    if (run->memory.bytes[KILN_REGION_WORKSPACE])
        memset(run->memory.region[KILN_REGION_WORKSPACE], 0xff,
               (size_t)run->memory.bytes[KILN_REGION_WORKSPACE]);
    steps_run(&run->plan->steps, &run->memory, first, run->plan->steps.n - first);
    static char again[sizeof message + 32];
    const char *why = run->memory.error ? run->memory.error : compare_all(run);
    snprintf(again, sizeof again, "second execution: %s", why ? why : "");
    return why ? again : NULL;
}

static const char *execute(struct run *run)
{
    const char *why = make_memory(run);
    if (why || (why = set_inputs(run)))
        return why;
    set_states(run);
    if (kiln_oracle_run(run->oracle, &run->error))
        return failed("oracle", run->error.text);
    run->memory.round = true;
    steps_run(&run->plan->steps, &run->memory, 0, run->plan->steps.n);
    why = run->memory.error ? failed("execution", run->memory.error) : compare_all(run);
    return why || run->plan->n_state_writes ? why : execute_again(run);
}

const char *plan_run(const kiln_graph *graph, struct plan_run *options)
{
    struct run run = {.graph = graph, .options = options};
    run.states = kiln_states_create();
    run.oracle = kiln_oracle_create(graph, true);
    const char *why = kiln_graph_error(graph, &run.error) ? failed("graph", run.error.text) : NULL;
    if (!why)
        why = make_plan(&run);
    if (!why)
        why = execute(&run);
    for (int r = 0; r < KILN_REGION_COUNT; r++)
        free(run.memory.region[r]);
    if (options->keep_plan)
        options->plan = run.plan;
    else
        kiln_plan_destroy(&run.plan);
    kiln_oracle_destroy(&run.oracle);
    kiln_states_destroy(&run.states);
    return why;
}
