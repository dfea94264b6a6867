/* A model on the test set. */
#include "core/run/evaluate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A graph on test batches, ready to run. */
struct test_run {
    const struct kiln_experiment *experiment;
    struct kiln_batch_source source;
    kiln_executable *executable;
    int32_t *index;
    void *staging;
    uint64_t seed;
};

static enum kiln_status test_source(const struct kiln_experiment *experiment, int64_t most,
                                    struct kiln_batch_source *source, struct kiln_error *error)
{
    int64_t batch = kiln_config_int(experiment->config, "train", "batch_size");
    return kiln_experiment_source(experiment, false, batch < most ? batch : most, source, error);
}

static enum kiln_status test_run_create(struct test_run *run, kiln_session *session,
                                        const kiln_checkpoint *checkpoint, kiln_graph *graph,
                                        struct kiln_error *error)
{
    const struct kiln_compile_options options = {0};
    struct kiln_resident resident[2];
    int n_resident = kiln_experiment_resident(run->experiment, &run->source, resident);
    int64_t staging = kiln_feed_bytes(&run->source);
    run->index = calloc((size_t)run->source.size, sizeof *run->index);
    run->staging = staging ? malloc((size_t)staging) : NULL;
    if (!run->index || (staging && !run->staging))
        return kiln_fail(error, KILN_MACHINE, "out of memory for a batch of %lld",
                         (long long)run->source.size);
    enum kiln_status status = kiln_session_prepare(session, 1, &graph, n_resident, resident, error);
    if (!status)
        status = kiln_session_initialise(session, 0, error);
    if (!status)
        status = kiln_checkpoint_load(checkpoint, session, true, error);
    if (!status)
        status = kiln_executable_create(session, graph, &options, &run->executable, error);
    return status;
}

static void test_run_finish(struct test_run *run)
{
    kiln_executable_destroy(&run->executable);
    free(run->index);
    free(run->staging);
}

/* Runs the batch that begins with sample first; beyond the end of the split
 * the last sample is repeated. */
static enum kiln_status test_run_batch(struct test_run *run, int64_t first,
                                       struct kiln_error *error)
{
    for (int64_t i = 0; i < run->source.size; i++)
        run->index[i] = (int32_t)(first + i < run->source.n ? first + i : run->source.n - 1);
    enum kiln_status status = kiln_experiment_feed(run->experiment, &run->source, run->index,
                                                   run->staging, run->executable, error);
    int32_t rng[KILN_RNG_KEY_WORDS];
    kiln_rng_words(run->seed, 0, (uint32_t)first, rng);
    if (!status && kiln_executable_has_input(run->executable, "rng"))
        status = kiln_executable_write(run->executable, "rng", rng, sizeof rng, error);
    return status ? status : kiln_executable_run(run->executable, error);
}

/* --- figures ---------------------------------------------------------------------- */

struct sums {
    double sum[KILN_MAX_METRICS], squares[KILN_MAX_METRICS];
};

static enum kiln_status add_batch(struct test_run *run, int n_figures, int64_t count, float *buffer,
                                  struct sums *sums, struct kiln_error *error)
{
    enum kiln_status status = KILN_OK;
    for (int f = 0; f < n_figures && !status; f++) {
        char output[32];
        kiln_figure_name(f, output);
        status = kiln_executable_read(run->executable, output, buffer,
                                      run->source.size * (int64_t)sizeof *buffer, error);
        for (int64_t i = 0; i < count && !status; i++) {
            sums->sum[f] += buffer[i];
            sums->squares[f] += (double)buffer[i] * buffer[i];
        }
    }
    return status;
}

static void summarise(const struct kiln_figures_graph *graph, const struct sums *sums, int64_t n,
                      struct kiln_evaluation *out)
{
    *out = (struct kiln_evaluation){.n_samples = n, .n = graph->n_figures};
    for (int f = 0; f < graph->n_figures; f++) {
        double mean = sums->sum[f] / (double)n;
        double variance =
            n > 1 ? (sums->squares[f] - (double)n * mean * mean) / (double)(n - 1) : 0;
        memcpy(out->figures[f].name, graph->names[f], sizeof out->figures[f].name);
        out->figures[f].mean = mean;
        out->figures[f].standard_error = variance > 0 ? sqrt(variance / (double)n) : 0;
    }
}

enum kiln_status kiln_evaluate(const struct kiln_experiment *experiment, kiln_session *session,
                               const kiln_checkpoint *checkpoint,
                               const struct kiln_evaluate_options *options,
                               struct kiln_evaluation *out, struct kiln_error *error)
{
    struct test_run run = {.experiment = experiment, .seed = options->seed};
    struct kiln_figures_graph graph = {0};
    struct sums sums = {0};
    float *buffer = NULL;
    enum kiln_status status = test_source(experiment, INT64_MAX, &run.source, error);
    if (!status)
        status = kiln_figures_graph_create(&experiment->instance, &run.source, &graph, error);
    if (!status)
        status = test_run_create(&run, session, checkpoint, graph.graph, error);
    if (!status) {
        buffer = calloc((size_t)run.source.size, sizeof *buffer);
        status = buffer ? KILN_OK : kiln_fail(error, KILN_MACHINE, "out of memory");
    }
    for (int64_t first = 0; !status && first < run.source.n; first += run.source.size) {
        int64_t rest = run.source.n - first,
                count = rest < run.source.size ? rest : run.source.size;
        status = test_run_batch(&run, first, error);
        if (!status)
            status = add_batch(&run, graph.n_figures, count, buffer, &sums, error);
        if (options->progress)
            options->progress(options->user, first + count, run.source.n);
    }
    if (!status)
        summarise(&graph, &sums, run.source.n, out);
    free(buffer);
    test_run_finish(&run);
    kiln_figures_graph_finish(&graph);
    return status;
}

/* --- reconstructions ------------------------------------------------------------------ */

/* Reads an output of a batch and copies count samples of it, clamped. */
static enum kiln_status copy_output(struct test_run *run, const char *output, int64_t elements,
                                    int64_t count, float *buffer, float *out,
                                    struct kiln_error *error)
{
    int64_t bytes = run->source.size * elements * (int64_t)sizeof *buffer;
    enum kiln_status status = kiln_executable_read(run->executable, output, buffer, bytes, error);
    for (int64_t i = 0; i < count * elements && !status; i++) {
        float value = buffer[i];
        out[i] = run->source.info.points ? value : value < 0 ? 0 : value > 1 ? 1 : value;
    }
    return status;
}

static enum kiln_status reconstruct_all(struct test_run *run, int64_t n, float *originals,
                                        float *reconstructions, struct kiln_error *error)
{
    struct kiln_shape shape = kiln_batch_shape(&run->source.info, 1);
    int64_t elements = kiln_shape_count(&shape);
    float *buffer = calloc((size_t)(run->source.size * elements), sizeof *buffer);
    enum kiln_status status = buffer ? KILN_OK : kiln_fail(error, KILN_MACHINE, "out of memory");
    for (int64_t first = 0; first < n && !status; first += run->source.size) {
        int64_t count = n - first < run->source.size ? n - first : run->source.size;
        status = test_run_batch(run, first, error);
        if (!status)
            status = copy_output(run, "original", elements, count, buffer,
                                 originals + first * elements, error);
        if (!status)
            status = copy_output(run, "reconstruction", elements, count, buffer,
                                 reconstructions + first * elements, error);
    }
    free(buffer);
    return status;
}

enum kiln_status kiln_reconstruct(const struct kiln_experiment *experiment, kiln_session *session,
                                  const kiln_checkpoint *checkpoint, int64_t *n, float **originals,
                                  float **reconstructions, struct kiln_error *error)
{
    struct test_run run = {.experiment = experiment};
    kiln_graph *graph = NULL;
    *originals = *reconstructions = NULL;
    enum kiln_status status = test_source(experiment, *n, &run.source, error);
    if (!status)
        status = kiln_reconstruct_graph_create(&experiment->instance, &run.source, &graph, error);
    if (!status)
        status = test_run_create(&run, session, checkpoint, graph, error);
    if (!status) {
        *n = *n < run.source.n ? *n : run.source.n;
        struct kiln_shape shape = kiln_batch_shape(&run.source.info, *n);
        size_t count = (size_t)kiln_shape_count(&shape);
        *originals = calloc(count, sizeof **originals);
        *reconstructions = calloc(count, sizeof **reconstructions);
        if (*originals && *reconstructions)
            status = reconstruct_all(&run, *n, *originals, *reconstructions, error);
        else
            status =
                kiln_fail(error, KILN_MACHINE, "out of memory for %lld pictures", (long long)*n);
    }
    if (status) {
        free(*originals);
        free(*reconstructions);
        *originals = *reconstructions = NULL;
    }
    test_run_finish(&run);
    kiln_graph_destroy(&graph);
    return status;
}
