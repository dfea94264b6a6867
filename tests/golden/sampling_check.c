/* Whole sampling runs against PyTorch, from given weights and noise. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/run/experiment.h"
#include "tests/golden/golden.h"

enum { MAX_RUNS = 32 };
static const double bound = 1e-3; /* of the samples' range */

/* A line of the metadata "runs". */
struct run {
    char name[64], sampler[32];
    struct kiln_sample_request request;
};

static int read_runs(const struct golden *golden, struct run runs[MAX_RUNS])
{
    int n = 0;
    const char *line = golden_text(golden, "runs", "");
    for (; n < MAX_RUNS && *line; line += strcspn(line, "\n"), line += *line == '\n') {
        struct run *run = &runs[n];
        *run = (struct run){.request.batch = golden->source.size, .request.noise_scale = 0};
        if (sscanf(line, "%63s %31s %d %lf", run->name, run->sampler, &run->request.steps,
                   &run->request.guidance) != 4)
            must(KILN_INPUT, "runs",
                 &(struct kiln_error){.text = "not NAME SAMPLER STEPS GUIDANCE"});
        run->request.sampler = run->sampler;
        run->request.labelled = golden_has(golden, "label", "");
        n++;
    }
    return n;
}

/* Compiles a graph and writes the labels to it if it takes any. */
static kiln_executable *compile(const struct golden *golden, kiln_session *session,
                                const kiln_graph *graph, bool labelled)
{
    struct kiln_error error;
    kiln_executable *executable;
    must(kiln_executable_create(session, graph, &(struct kiln_compile_options){0}, &executable,
                                &error),
         "compile", &error);
    if (labelled)
        golden_write(golden, executable, "label", "label");
    return executable;
}

static void check_samples(const struct golden *golden, const struct run *run,
                          kiln_executable *finish)
{
    struct kiln_error error;
    int64_t n, size;
    struct kiln_shape shape = kiln_batch_shape(&golden->source.info, golden->source.size);
    size = kiln_shape_count(&shape);
    float *expected = golden_values(golden->file, "samples.", run->name, &n);
    float *samples = malloc((size_t)size * sizeof *samples);
    must(kiln_executable_read(finish, "samples", samples, size * 4, &error), "samples", &error);
    double low = INFINITY, high = -INFINITY, worst = n == size ? 0 : INFINITY;
    for (int64_t i = 0; i < n && n == size; i++) {
        low = fmin(low, expected[i]);
        high = fmax(high, expected[i]);
        double difference = fabs((double)samples[i] - expected[i]);
        worst = difference <= worst ? worst : difference; /* a NaN stays */
    }
    golden_judge(run->name, -1, worst / (high - low), bound);
    free(expected);
    free(samples);
}

static void set_noise(const struct golden *golden, kiln_session *session)
{
    struct kiln_error error;
    int state = kiln_states_find(kiln_session_states(session), KILN_STATE_NOISE);
    int64_t n,
        size = kiln_shape_count(&kiln_states_at(kiln_session_states(session), state)->state.shape);
    float *noise = golden_values(golden->file, "", "noise", &n);
    if (n != size)
        must(KILN_INPUT, "noise", &(struct kiln_error){.text = "not of the noise's size"});
    must(kiln_session_state_set(session, state, KILN_STATE_VALUE, noise, &error), "noise", &error);
    free(noise);
}

/* All iterations, each with its row of coefficients. */
static void iterate(const struct golden *golden, kiln_session *session,
                    const struct kiln_sampler_graphs *graphs, bool labelled)
{
    struct kiln_error error;
    kiln_executable *step = compile(golden, session, graphs->step, labelled);
    size_t words = (size_t)graphs->plan.n_coefficients;
    for (int i = 0; i < graphs->plan.n_iterations; i++) {
        int32_t key[KILN_RNG_KEY_WORDS] = {[KILN_RNG_STEP] = i + 1};
        must(kiln_executable_write(step, "rng", key, sizeof key, &error), "rng", &error);
        must(kiln_executable_write(step, "coefficients",
                                   graphs->plan.coefficients + (size_t)i * words,
                                   (int64_t)(words * sizeof(float)), &error),
             "coefficients", &error);
        must(kiln_executable_run(step, &error), "step", &error);
    }
    kiln_executable_destroy(&step);
}

static void check_run(const struct golden *golden, kiln_device *device, const struct run *run)
{
    struct kiln_error error;
    struct kiln_sampler_graphs graphs;
    kiln_session *session;
    must(kiln_sampler_graphs_create(&golden->instance, &run->request, &graphs, &error), run->name,
         &error);
    must(
        kiln_session_create(device, &(struct kiln_session_options){.fuse = true}, &session, &error),
        "session", &error);
    kiln_graph *all[3] = {graphs.start, graphs.finish, graphs.step};
    must(kiln_session_prepare(session, graphs.step ? 3 : 2, all, 0, NULL, &error), "prepare",
         &error);
    golden_set_states(golden, session);
    kiln_executable *start = compile(golden, session, graphs.start, false);
    kiln_executable *finish = compile(golden, session, graphs.finish, run->request.labelled);
    set_noise(golden, session);
    const int32_t key[KILN_RNG_KEY_WORDS] = {0};
    if (kiln_executable_has_input(start, "rng"))
        must(kiln_executable_write(start, "rng", key, sizeof key, &error), "rng", &error);
    must(kiln_executable_run(start, &error), "start", &error);
    if (graphs.step)
        iterate(golden, session, &graphs, run->request.labelled);
    must(kiln_executable_run(finish, &error), "finish", &error);
    check_samples(golden, run, finish);
    kiln_executable_destroy(&start);
    kiln_executable_destroy(&finish);
    kiln_session_destroy(&session);
    kiln_sampler_graphs_finish(&graphs);
}

void check_sampling(const struct golden *golden, kiln_device *device)
{
    struct run runs[MAX_RUNS];
    int n = read_runs(golden, runs);
    for (int i = 0; i < n; i++)
        check_run(golden, device, &runs[i]);
}
