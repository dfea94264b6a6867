/* One trial of a study: train, sample, probe. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/run/sample.h"
#include "core/run/study.h"
#include "core/run/trainer.h"

struct trial {
    const struct kiln_trial_run *run;
    const struct kiln_trial *spec;
    struct kiln_trial_result *result;
    struct kiln_trainer loop; /* its training, and the session of everything */
    kiln_sampler *samplers[KILN_MAX_DRAWS];
    kiln_graph *graphs[KILN_MAX_PROBES];
    kiln_executable *probes[KILN_MAX_PROBES];
};

static bool goes_on(const struct trial *trial, const char *work, int64_t done, int64_t total)
{
    const struct kiln_study_options *options = trial->run->options;
    if (options->progress)
        options->progress(options->user, trial->spec->name, work, done, total);
    return !options->stop || !*options->stop;
}

static float *allocate(const struct trial *trial, int64_t count, struct kiln_error *error)
{
    float *values = count > 0 ? KILN_ARENA_NEW(trial->run->arena, float, (size_t)count) : NULL;
    if (!values)
        kiln_fail(error, KILN_MACHINE, "%s: out of memory", trial->spec->name);
    return values;
}

/* --- setting up ------------------------------------------------------------------- */

static enum kiln_status create_probe(struct trial *trial, int i, struct kiln_error *error)
{
    const struct kiln_probe *probe = &trial->spec->probes[i];
    struct kiln_shape shape = probe->shape;
    if (shape.n < 1 || kiln_shape_count(&shape) < 1 || !trial->spec->probe)
        return kiln_fail(error, KILN_INPUT, "%s: probe %d has no input", trial->spec->name, i);
    if (probe->batch > 0 && probe->batch < shape.d[0])
        shape.d[0] = probe->batch;
    kiln_graph *g = trial->graphs[i] = kiln_graph_create();
    if (!g)
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    kiln_node x = kiln_input(g, "x", KILN_F32, shape);
    kiln_node y = trial->spec->probe(trial->spec->state, g, i, x);
    struct kiln_shape result = kiln_shape(g, y);
    kiln_graph_output(g, "y", y);
    enum kiln_status status = kiln_graph_error(g, error);
    if (!status && (result.n < 1 || result.d[0] != shape.d[0]))
        status = kiln_fail(error, KILN_INPUT, "%s: probe %d does not give a row for each",
                           trial->spec->name, i);
    result.d[0] = probe->shape.d[0];
    trial->result->probes[i].shape = result;
    return status;
}

static enum kiln_status create_sampler(struct trial *trial, int i, struct kiln_error *error)
{
    const struct kiln_draw *draw = &trial->spec->draws[i];
    struct kiln_sample_request request;
    kiln_sample_request_read(trial->run->config, draw->n, &request);
    request.batch = draw->batch > 0 && draw->batch < draw->n ? draw->batch : draw->n;
    if (*draw->sampler)
        request.sampler = draw->sampler;
    return kiln_sampler_create(&trial->loop.experiment.instance, &request, &trial->samplers[i],
                               error);
}

static enum kiln_status create_graphs(struct trial *trial, struct kiln_error *error)
{
    enum kiln_status status = KILN_OK;
    if (trial->spec->steps > 0)
        status = kiln_trainer_create_phases(&trial->loop, error);
    if (!status && trial->spec->steps > 0)
        status = kiln_trainer_create_batches(&trial->loop, error);
    for (int i = 0; i < trial->spec->n_draws && !status; i++)
        status = create_sampler(trial, i, error);
    for (int i = 0; i < trial->spec->n_probes && !status; i++)
        status = create_probe(trial, i, error);
    return status;
}

static enum kiln_status prepare_session(struct trial *trial, struct kiln_error *error)
{
    kiln_graph *graphs[KILN_MAX_PHASES + KILN_MAX_DRAWS * KILN_SAMPLER_GRAPHS + KILN_MAX_PROBES];
    struct kiln_trainer *loop = &trial->loop;
    struct kiln_resident resident[2];
    int n = 0, n_resident = 0;
    const struct kiln_session_options options =
        kiln_experiment_session_options(trial->run->config, &trial->run->options->device);
    enum kiln_status status =
        kiln_session_create(trial->run->device, &options, &loop->session, error);
    for (int i = 0; i < loop->n_phases && !status; i++) {
        graphs[n++] = loop->graphs[i].graph;
        status =
            kiln_session_group(loop->session, loop->phases[i].group, loop->optimizer.update, error);
    }
    if (status)
        return status;
    if (loop->n_phases)
        n_resident = kiln_experiment_resident(&loop->experiment, &loop->source, resident);
    for (int i = 0; i < trial->spec->n_draws; i++)
        n += kiln_sampler_graphs(trial->samplers[i], graphs + n);
    for (int i = 0; i < trial->spec->n_probes; i++)
        graphs[n++] = trial->graphs[i];
    return kiln_session_prepare(loop->session, n, graphs, n_resident, resident, error);
}

static enum kiln_status compile(struct trial *trial, struct kiln_error *error)
{
    struct kiln_trainer *loop = &trial->loop;
    const struct kiln_compile_options training = {0},
                                      average = {.use_ema = loop->optimizer.update.ema};
    enum kiln_status status = KILN_OK;
    for (int i = 0; i < loop->n_phases && !status; i++)
        status = kiln_executable_create(loop->session, loop->graphs[i].graph, &training,
                                        &loop->executables[i], error);
    for (int i = 0; i < trial->spec->n_draws && !status; i++)
        status = kiln_sampler_compile(trial->samplers[i], loop->session, average.use_ema, error);
    for (int i = 0; i < trial->spec->n_probes && !status; i++)
        status = kiln_executable_create(loop->session, trial->graphs[i], &average,
                                        &trial->probes[i], error);
    return status ? status : kiln_session_initialise(loop->session, loop->seed, error);
}

/* --- running ------------------------------------------------------------------------ */

/* Reads what the step's execution of the first phase gave. */
static enum kiln_status read_step(struct trial *trial, float *values, struct kiln_error *error)
{
    const struct kiln_phase_graph *graph = &trial->loop.graphs[0];
    float report[KILN_MAX_METRICS + 3];
    enum kiln_status status =
        kiln_executable_read(trial->loop.executables[0], "report", report,
                             (graph->n_values + 2) * (int64_t)sizeof *report, error);
    if (!status && report[graph->n_values + 1] == 0)
        status =
            kiln_fail(error, KILN_MACHINE, "%s: step %lld: the loss or its gradient is not finite",
                      trial->spec->name, (long long)trial->loop.step);
    if (!status)
        memcpy(values, report, (size_t)graph->n_values * sizeof *values);
    return status;
}

static enum kiln_status train(struct trial *trial, struct kiln_error *error)
{
    struct kiln_trainer *loop = &trial->loop;
    int n_values = loop->graphs[0].n_values;
    float *curve = allocate(trial, loop->total * n_values, error);
    if (!curve)
        return KILN_MACHINE;
    double start = kiln_trainer_clock();
    while (loop->step < loop->total) {
        enum kiln_status status = kiln_trainer_run_step(loop, error);
        if (!status)
            status = read_step(trial, curve + (loop->step - 1) * n_values, error);
        if (!status && !goes_on(trial, "train", loop->step, loop->total))
            status = kiln_fail(error, KILN_INTERRUPTED, "interrupted");
        if (status)
            return status;
    }
    trial->result->n_steps = loop->total;
    trial->result->n_values = n_values;
    trial->result->curve = curve;
    trial->result->seconds = kiln_trainer_clock() - start;
    return KILN_OK;
}

struct watch {
    struct trial *trial;
    int64_t warm; /* iterations that may build kernels */
    double start; /* when they were done */
};

static bool watch_sampling(void *user, int64_t done, int64_t total)
{
    struct watch *watch = user;
    if (done == watch->warm)
        watch->start = kiln_trainer_clock();
    return goes_on(watch->trial, "sample", done, total);
}

/* The first batch may build kernels, so the time of all is that of the others,
 * scaled; of a single batch, its first iteration is left out. */
static enum kiln_status draw(struct trial *trial, int i, struct kiln_error *error)
{
    const struct kiln_draw *spec = &trial->spec->draws[i];
    const kiln_sampler *sampler = trial->samplers[i];
    struct kiln_shape shape = kiln_sampler_sample_shape(sampler, spec->n);
    int64_t batch = spec->batch > 0 && spec->batch < spec->n ? spec->batch : spec->n;
    int64_t each = kiln_sampler_iterations(sampler), n_batches = (spec->n + batch - 1) / batch;
    int64_t iterations = each * n_batches;
    float *samples = allocate(trial, kiln_shape_count(&shape), error);
    if (!samples)
        return KILN_MACHINE;
    struct watch watch = {.trial = trial, .warm = n_batches > 1 ? each + 1 : 1};
    const struct kiln_sample_job job = {
        .seed = (uint64_t)kiln_config_int(trial->run->config, "sample", "seed"),
        .count = spec->n,
        .progress = watch_sampling,
        .user = &watch,
    };
    double start = kiln_trainer_clock();
    enum kiln_status status = kiln_sampler_run(trial->samplers[i], &job, samples, error);
    double end = kiln_trainer_clock();
    trial->result->draws[i].shape = shape;
    trial->result->draws[i].samples = samples;
    trial->result->draws[i].evaluations = kiln_sampler_iterations(sampler);
    trial->result->draws[i].seconds =
        iterations > watch.warm
            ? (end - watch.start) * (double)iterations / (double)(iterations - watch.warm)
            : end - start;
    return status;
}

/* One batch of a probe: rows first .. of input and output; beyond the end the
 * last row is repeated. */
static enum kiln_status probe_batch(kiln_executable *executable, const struct kiln_probe *spec,
                                    int64_t batch, int64_t first, int64_t in, int64_t out,
                                    float *buffer, float *values, struct kiln_error *error)
{
    int64_t n = spec->shape.d[0];
    for (int64_t i = 0; i < batch; i++) {
        int64_t row = first + i < n ? first + i : n - 1;
        memcpy(buffer + i * in, spec->input + row * in, (size_t)in * sizeof *buffer);
    }
    int64_t count = first + batch < n ? batch : n - first;
    enum kiln_status status =
        kiln_executable_write(executable, "x", buffer, batch * in * (int64_t)sizeof *buffer, error);
    if (!status)
        status = kiln_executable_run(executable, error);
    if (!status)
        status = kiln_executable_read(executable, "y", buffer,
                                      batch * out * (int64_t)sizeof *buffer, error);
    if (!status)
        memcpy(values + first * out, buffer, (size_t)(count * out) * sizeof *buffer);
    return status;
}

static enum kiln_status probe(struct trial *trial, int i, struct kiln_error *error)
{
    const struct kiln_probe *spec = &trial->spec->probes[i];
    const struct kiln_shape *shape = &trial->result->probes[i].shape;
    int64_t n = spec->shape.d[0], in = kiln_shape_count(&spec->shape) / n,
            out = kiln_shape_count(shape) / n,
            batch = spec->batch > 0 && spec->batch < n ? spec->batch : n;
    float *values = allocate(trial, n * out, error);
    float *buffer = malloc((size_t)(batch * (in > out ? in : out)) * sizeof *buffer);
    enum kiln_status status = KILN_OK;
    if (!values || !buffer)
        status = kiln_fail(error, KILN_MACHINE, "%s: out of memory", trial->spec->name);
    for (int64_t first = 0; first < n && !status; first += batch)
        status = probe_batch(trial->probes[i], spec, batch, first, in, out, buffer, values, error);
    free(buffer);
    trial->result->probes[i].values = values;
    return status;
}

/* --- all of it ------------------------------------------------------------------------ */

static enum kiln_status check(const struct kiln_trial *spec, struct kiln_error *error)
{
    bool sound = spec->name && spec->model && spec->steps >= 0 && spec->n_draws >= 0 &&
                 spec->n_draws <= KILN_MAX_DRAWS && spec->n_probes >= 0 &&
                 spec->n_probes <= KILN_MAX_PROBES && spec->n_draws + spec->n_probes > 0;
    for (int i = 0; sound && i < spec->n_draws; i++)
        sound = spec->draws[i].n > 0 && spec->draws[i].sampler;
    return sound ? KILN_OK
                 : kiln_fail(error, KILN_INPUT, "%s: the study declares an unsound trial",
                             spec->name ? spec->name : "a trial");
}

static void finish(struct trial *trial)
{
    for (int i = 0; i < KILN_MAX_DRAWS; i++)
        kiln_sampler_destroy(&trial->samplers[i]);
    for (int i = 0; i < KILN_MAX_PROBES; i++) {
        kiln_executable_destroy(&trial->probes[i]);
        kiln_graph_destroy(&trial->graphs[i]);
    }
    trial->loop.experiment = (struct kiln_experiment){0}; /* the study's */
    kiln_trainer_finish(&trial->loop);
}

enum kiln_status kiln_trial_run(const struct kiln_trial_run *run, const struct kiln_trial *spec,
                                struct kiln_trial_result *result, struct kiln_error *error)
{
    static const struct kiln_train_options no_files = {0};
    struct trial trial = {
        .run = run,
        .spec = spec,
        .result = result,
        .loop = {.config = run->config,
                 .options = &no_files,
                 .experiment = *run->data,
                 .seed = (uint64_t)kiln_config_int(run->config, "run", "seed"),
                 .total = spec->steps,
                 .lock = -1},
    };
    trial.loop.experiment.instance = (struct kiln_instance){spec->model, spec->state};
    enum kiln_status status = check(spec, error);
    if (!status)
        status = create_graphs(&trial, error);
    if (!status)
        status = prepare_session(&trial, error);
    if (!status)
        status = compile(&trial, error);
    if (!status && spec->steps > 0)
        status = train(&trial, error);
    for (int i = 0; i < spec->n_draws && !status; i++)
        status = draw(&trial, i, error);
    for (int i = 0; i < spec->n_probes && !status; i++)
        status = probe(&trial, i, error);
    finish(&trial);
    return status;
}
