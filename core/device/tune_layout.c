/* Which layout feature maps get: each is tried with the whole plan of the
 * session's first graph, reorders and all. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "core/base/log.h"
#include "core/device/measure.h"
#include "core/device/session_state.h"
#include "core/device/validate.h"

/* A graph planned with a layout, on trial. */
struct attempt {
    enum kiln_layout layout;
    kiln_states *states;
    struct kiln_plan *plan;
    uint64_t hash;  /* of the plan's dump */
    double seconds; /* of an execution, the least; -1: none */
};

/* Of all but the layout's name, which may make no difference. */
static enum kiln_status hash_plan(struct kiln_plan *plan, uint64_t *hash, struct kiln_error *error)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    if (!stream)
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    enum kiln_layout layout = plan->feature_layout;
    plan->feature_layout = KILN_LAYOUT_DENSE;
    kiln_plan_dump(plan, stream);
    plan->feature_layout = layout;
    bool failed = fclose(stream) != 0;
    *hash = failed ? 0 : XXH3_64bits(text, size);
    free(text);
    return failed ? kiln_fail(error, KILN_MACHINE, "out of memory") : KILN_OK;
}

static enum kiln_status plan_attempt(kiln_session *session, int n_graphs, kiln_graph *const *graphs,
                                     bool measured, struct attempt *attempt,
                                     struct kiln_error *error)
{
    enum kiln_status status = kiln_session_states_for(session, attempt->layout, n_graphs, graphs,
                                                      &attempt->states, error);
    if (status)
        return status;
    struct kiln_plan_options options =
        kiln_session_plan_options(session, attempt->states, attempt->layout);
    if (!measured)
        options.choose = NULL;
    status = kiln_plan_create(graphs[0], &options, &attempt->plan, error);
    return status ? status : hash_plan(attempt->plan, &attempt->hash, error);
}

/* Of the names of all ways to do the plan's steps: with others, the layouts must
 * be measured again. */
static uint64_t hash_candidates(const kiln_session *session, const struct kiln_steps *steps)
{
    uint64_t hash = 0;
    for (int i = 0; i < steps->n; i++) {
        struct kiln_candidate candidates[KILN_MAX_CANDIDATES];
        int n = kiln_tuner_candidates(session->tuner, &steps->steps[i], candidates);
        for (int c = 0; c < n; c++) {
            const char *name = candidates[c].name ? candidates[c].name : "plain";
            hash = XXH3_64bits_withSeed(name, strlen(name), hash);
        }
    }
    return hash;
}

static void finish_attempt(struct attempt *attempt)
{
    kiln_plan_destroy(&attempt->plan);
    kiln_states_destroy(&attempt->states);
}

/* The least time of a few executions on zeros, prepared steps left out; -1 if
 * it cannot be run. */
static double time_exec(kiln_session *session, kiln_exec *exec, const struct kiln_plan *plan,
                        double deadline)
{
    enum { LEAST = 3, MOST = 10 };
    const struct kiln_backend *backend = session->backend;
    double best = -1, second = -1;
    for (int run = 0; run < MOST; run++) {
        int first = run ? plan->n_prepared : 0;
        double start = kiln_seconds();
        if (backend->exec_run(session->state, exec, first, plan->steps.n - first, NULL) ||
            backend->finish(session->state, NULL))
            return -1;
        double seconds = kiln_seconds() - start;
        if (run == 0 && start + seconds < deadline)
            continue; /* caches and pages are cold */
        if (best < 0 || seconds < best) {
            second = best;
            best = seconds;
        } else if (second < 0 || seconds < second) {
            second = seconds;
        }
        if ((run >= LEAST && second <= 1.05 * best) || kiln_seconds() > deadline)
            break;
    }
    return best;
}

static void measure_attempt(kiln_session *session, struct attempt *attempt, double deadline)
{
    const struct kiln_steps *steps = &attempt->plan->steps;
    kiln_memory *regions[KILN_REGION_COUNT] = {NULL};
    kiln_exec *exec = NULL;
    enum kiln_status status = kiln_steps_validate(steps, NULL);
    for (int r = 0; r < KILN_REGION_COUNT && !status; r++)
        status = kiln_device_memory_create(session->device, steps->region_bytes[r],
                                           "layout on trial", &regions[r], NULL);
    if (!status)
        status = session->backend->exec_create(session->state, steps, regions, &exec, NULL);
    double seconds = status ? -1 : time_exec(session, exec, attempt->plan, deadline);
    if (seconds > 0 && (attempt->seconds < 0 || seconds < attempt->seconds))
        attempt->seconds = seconds;
    if (exec)
        session->backend->exec_destroy(session->state, exec);
    for (int r = 0; r < KILN_REGION_COUNT; r++)
        kiln_device_memory_destroy(session->device, steps->region_bytes[r], &regions[r]);
}

/* The layout of that name among the device's, or -1. */
static int find_layout(const struct kiln_caps *caps, const char *name)
{
    for (int i = 0; i < caps->n_feature_layouts; i++)
        if (strcmp(kiln_layout_name(caps->feature_layouts[i]), name) == 0)
            return (int)caps->feature_layouts[i];
    return -1;
}

/* The plans in the device's layouts, those left out that equal an earlier one. */
static enum kiln_status plan_attempts(kiln_session *session, int n_graphs,
                                      kiln_graph *const *graphs, struct attempt *attempts, int *n,
                                      struct kiln_error *error)
{
    const struct kiln_caps *caps = kiln_device_caps(session->device);
    enum kiln_status status = KILN_OK;
    for (int i = 0; i < caps->n_feature_layouts && !status; i++) {
        struct attempt *new = &attempts[*n];
        if (i > 0 && kiln_tuner_left(session->tuner) <= 0)
            break;
        *new = (struct attempt){.layout = caps->feature_layouts[i], .seconds = -1};
        status = plan_attempt(session, n_graphs, graphs, true, new, error);
        bool known = false;
        for (int k = 0; k < *n; k++)
            known = known || attempts[k].hash == new->hash;
        if (known || status)
            finish_attempt(new);
        else
            ++*n;
    }
    return status;
}

/* Times the plan in each layout, twice in turns: what disturbs the machine for a
 * moment must not decide. */
static enum kiln_status measure_layouts(kiln_session *session, int n_graphs,
                                        kiln_graph *const *graphs, double *seconds,
                                        struct kiln_error *error)
{
    enum { ROUNDS = 2 };
    struct attempt attempts[4];
    int n = 0;
    *seconds = -1;
    enum kiln_status status = plan_attempts(session, n_graphs, graphs, attempts, &n, error);
    for (int i = 0; i < ROUNDS * n && !status; i++) {
        double left = kiln_tuner_left(session->tuner), start = kiln_seconds();
        if (i >= n && left <= 0)
            break;
        measure_attempt(session, &attempts[i % n], start + (left > 1 ? left / 4 : 0.25));
        kiln_tuner_spend(session->tuner, kiln_seconds() - start);
    }
    for (int i = 0; i < n; i++) {
        const struct attempt *a = &attempts[i];
        if (a->seconds > 0 && !status) {
            kiln_log_line(KILN_LOG_DEBUG, "tune: feature maps in %s: %.3g ms, %d reorders",
                          kiln_layout_name(a->layout), 1e3 * a->seconds, a->plan->n_reorders);
            if (*seconds < 0 || a->seconds < *seconds) {
                *seconds = a->seconds;
                session->feature_layout = a->layout;
            }
        }
        finish_attempt(&attempts[i]);
    }
    return status;
}

enum kiln_status kiln_session_choose_layout(kiln_session *session, int n_graphs,
                                            kiln_graph *const *graphs, struct kiln_error *error)
{
    const struct kiln_caps *caps = kiln_device_caps(session->device);
    session->feature_layout =
        caps->n_feature_layouts ? caps->feature_layouts[0] : KILN_LAYOUT_DENSE;
    if (session->options.force_layout)
        session->feature_layout = session->options.layout;
    else if (!session->options.fuse) /* unfused plans store all in the dense layout */
        session->feature_layout = KILN_LAYOUT_DENSE;
    if (caps->n_feature_layouts < 2 || session->options.force_layout || !session->options.fuse ||
        !session->options.tune)
        return KILN_OK;
    /* the plan with first choices stands for the graph */
    struct attempt first = {.layout = session->feature_layout};
    enum kiln_status status = plan_attempt(session, n_graphs, graphs, false, &first, error);
    char key[64] = "";
    if (!status)
        snprintf(key, sizeof key, "feature maps of plan %016llx of %08x",
                 (unsigned long long)first.hash,
                 (unsigned)hash_candidates(session, &first.plan->steps));
    finish_attempt(&first);
    if (status)
        return status;
    const char *kept = kiln_tuner_get(session->tuner, key);
    int layout = kept ? find_layout(caps, kept) : -1;
    if (layout >= 0) {
        session->feature_layout = (enum kiln_layout)layout;
        return KILN_OK;
    }
    if (kiln_tuner_left(session->tuner) <= 0)
        return KILN_OK;
    double seconds;
    status = measure_layouts(session, n_graphs, graphs, &seconds, error);
    kiln_tuner_forget(session->tuner); /* only the taken layout's choices count */
    if (!status && seconds > 0)
        kiln_tuner_put(session->tuner, key, kiln_layout_name(session->feature_layout), seconds);
    return status;
}
