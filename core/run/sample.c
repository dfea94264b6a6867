/* Sampling on a session. */
#include "core/run/sample.h"

#include <stdlib.h>
#include <string.h>

struct kiln_sampler {
    struct kiln_sample_request request;
    struct kiln_sampler_graphs graphs;
    kiln_executable *noise, *start, *step, *finish;
    bool points;
    struct kiln_shape samples; /* of a whole batch */
    float *noise_buffer, *sample_buffer;
    int32_t *label_buffer;
    int64_t noise_elements, sample_elements; /* of one sample */
};

static int64_t elements_per_sample(struct kiln_shape shape)
{
    return kiln_shape_count(&shape) / shape.d[0];
}

/* The shape of the finish graph's result. */
static enum kiln_status read_sample_shape(kiln_sampler *sampler, struct kiln_error *error)
{
    kiln_node node;
    kiln_graph_output_at(sampler->graphs.finish, 0, &node);
    struct kiln_shape shape = kiln_shape(sampler->graphs.finish, node);
    sampler->points = shape.n == 2;
    if ((shape.n != 2 && shape.n != 4) || shape.d[0] != sampler->request.batch ||
        sampler->graphs.plan.noise.n < 1 ||
        sampler->graphs.plan.noise.d[0] != sampler->request.batch)
        return kiln_fail(error, KILN_INPUT,
                         "the model's samples or noise do not have the batch as first axis");
    sampler->samples = shape;
    sampler->sample_elements = elements_per_sample(shape);
    sampler->noise_elements = elements_per_sample(sampler->graphs.plan.noise);
    return KILN_OK;
}

void kiln_sample_request_read(const kiln_config *config, int64_t n,
                              struct kiln_sample_request *request)
{
    int64_t batch = kiln_config_int(config, "train", "batch_size");
    *request = (struct kiln_sample_request){
        .batch = n < batch ? n : batch,
        .sampler = kiln_config_string(config, "sample", "sampler"),
        .steps = (int)kiln_config_int(config, "sample", "steps"),
        .eta = kiln_config_float(config, "sample", "eta"),
        .guidance = kiln_config_float(config, "sample", "guidance"),
        .noise_scale = kiln_config_float(config, "sample", "noise_scale"),
    };
}

enum kiln_status kiln_sampler_create(const struct kiln_instance *instance,
                                     const struct kiln_sample_request *request, kiln_sampler **out,
                                     struct kiln_error *error)
{
    *out = NULL;
    kiln_sampler *sampler = calloc(1, sizeof *sampler);
    if (!sampler)
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    sampler->request = *request;
    enum kiln_status status =
        kiln_sampler_graphs_create(instance, request, &sampler->graphs, error);
    if (!status)
        status = read_sample_shape(sampler, error);
    if (!status) {
        size_t batch = (size_t)request->batch;
        sampler->noise_buffer = calloc(batch, (size_t)sampler->noise_elements * sizeof(float));
        sampler->sample_buffer = calloc(batch, (size_t)sampler->sample_elements * sizeof(float));
        sampler->label_buffer = calloc(batch, sizeof(int32_t));
        if (!sampler->noise_buffer || !sampler->sample_buffer || !sampler->label_buffer)
            status = kiln_fail(error, KILN_MACHINE, "out of memory for a batch of %lld samples",
                               (long long)request->batch);
    }
    if (status)
        kiln_sampler_destroy(&sampler);
    *out = sampler;
    return status;
}

void kiln_sampler_destroy(kiln_sampler **sampler)
{
    kiln_sampler *s = *sampler;
    if (!s)
        return;
    kiln_executable_destroy(&s->noise);
    kiln_executable_destroy(&s->start);
    kiln_executable_destroy(&s->step);
    kiln_executable_destroy(&s->finish);
    kiln_sampler_graphs_finish(&s->graphs);
    free(s->noise_buffer);
    free(s->sample_buffer);
    free(s->label_buffer);
    free(s);
    *sampler = NULL;
}

int kiln_sampler_graphs(const kiln_sampler *sampler, kiln_graph *graphs[KILN_SAMPLER_GRAPHS])
{
    int n = 0;
    /* The most expensive first: it decides the layout of feature maps. */
    if (sampler->graphs.step)
        graphs[n++] = sampler->graphs.step;
    graphs[n++] = sampler->graphs.finish;
    graphs[n++] = sampler->graphs.start;
    graphs[n++] = sampler->graphs.noise;
    return n;
}

enum kiln_status kiln_sampler_compile(kiln_sampler *sampler, kiln_session *session, bool use_ema,
                                      struct kiln_error *error)
{
    const struct kiln_compile_options options = {.use_ema = use_ema};
    const struct kiln_sampler_graphs *graphs = &sampler->graphs;
    enum kiln_status status =
        kiln_executable_create(session, graphs->noise, &options, &sampler->noise, error);
    if (!status)
        status = kiln_executable_create(session, graphs->start, &options, &sampler->start, error);
    if (!status && graphs->step)
        status = kiln_executable_create(session, graphs->step, &options, &sampler->step, error);
    if (!status)
        status = kiln_executable_create(session, graphs->finish, &options, &sampler->finish, error);
    return status;
}

struct kiln_shape kiln_sampler_noise_shape(const kiln_sampler *sampler, int64_t count)
{
    struct kiln_shape shape = sampler->graphs.plan.noise;
    shape.d[0] = count;
    return shape;
}

struct kiln_shape kiln_sampler_sample_shape(const kiln_sampler *sampler, int64_t count)
{
    struct kiln_shape shape = sampler->samples;
    shape.d[0] = count;
    return shape;
}

bool kiln_sampler_noise_is_uniform(const kiln_sampler *sampler)
{
    return sampler->graphs.plan.uniform_noise;
}

bool kiln_sampler_takes_labels(const kiln_sampler *sampler)
{
    return kiln_executable_has_input(sampler->finish, "label") ||
           (sampler->step && kiln_executable_has_input(sampler->step, "label"));
}

const kiln_executable *kiln_sampler_iteration(const kiln_sampler *sampler)
{
    return sampler->step ? sampler->step : sampler->finish;
}

int kiln_sampler_iterations(const kiln_sampler *sampler)
{
    return sampler->graphs.plan.n_iterations > 0 ? sampler->graphs.plan.n_iterations : 1;
}

/* --- one batch ------------------------------------------------------------------- */

static enum kiln_status write_rng(kiln_executable *executable, const struct kiln_sample_job *job,
                                  uint32_t step, int64_t first, struct kiln_error *error)
{
    int32_t words[KILN_RNG_KEY_WORDS];
    kiln_rng_words(job->seed, step, (uint32_t)first, words);
    return kiln_executable_write(executable, "rng", words, sizeof words, error);
}

static enum kiln_status draw_noise(kiln_sampler *sampler, const struct kiln_sample_job *job,
                                   int64_t first, struct kiln_error *error)
{
    enum kiln_status status = write_rng(sampler->noise, job, 0, first, error);
    if (!status)
        status = kiln_executable_run(sampler->noise, error);
    int64_t bytes = sampler->request.batch * sampler->noise_elements * (int64_t)sizeof(float);
    if (!status)
        status = kiln_executable_read(sampler->noise, "noise", sampler->noise_buffer, bytes, error);
    return status;
}

/* Runs an executable with the keys and labels that it wants. */
static enum kiln_status run_part(kiln_sampler *sampler, kiln_executable *part,
                                 const struct kiln_sample_job *job, uint32_t step, int64_t first,
                                 struct kiln_error *error)
{
    enum kiln_status status = KILN_OK;
    if (kiln_executable_has_input(part, "rng"))
        status = write_rng(part, job, step, first, error);
    if (!status && kiln_executable_has_input(part, "label"))
        status = kiln_executable_write(part, "label", sampler->label_buffer,
                                       sampler->request.batch * (int64_t)sizeof(int32_t), error);
    return status ? status : kiln_executable_run(part, error);
}

/* Reports that iterations of the batch are done; false if the user stops. */
static bool tell(const kiln_sampler *sampler, const struct kiln_sample_job *job, int64_t first,
                 int iterations)
{
    int64_t batch = sampler->request.batch, each = kiln_sampler_iterations(sampler);
    int64_t before = (first - job->first) / batch * each;
    int64_t total = (job->count + batch - 1) / batch * each;
    return !job->progress || job->progress(job->user, before + iterations, total);
}

static enum kiln_status iterate(kiln_sampler *sampler, const struct kiln_sample_job *job,
                                int64_t first, struct kiln_error *error)
{
    const struct kiln_sample_plan *plan = &sampler->graphs.plan;
    enum kiln_status status = KILN_OK;
    for (int i = 0; i < plan->n_iterations && !status; i++) {
        if (plan->n_coefficients > 0 && kiln_executable_has_input(sampler->step, "coefficients"))
            status =
                kiln_executable_write(sampler->step, "coefficients",
                                      plan->coefficients + (size_t)i * (size_t)plan->n_coefficients,
                                      plan->n_coefficients * (int64_t)sizeof(float), error);
        if (!status)
            status = run_part(sampler, sampler->step, job, (uint32_t)i + 1, first, error);
        if (!status && !tell(sampler, job, first, i + 1))
            status = kiln_fail(error, KILN_INTERRUPTED, "interrupted");
    }
    if (!status && plan->n_iterations == 0 && !tell(sampler, job, first, 1))
        status = kiln_fail(error, KILN_INTERRUPTED, "interrupted");
    return status;
}

/* Draws the batch that begins with sample first of the seed; its initial noise
 * is in noise_buffer, its labels in label_buffer. */
static enum kiln_status run_batch(kiln_sampler *sampler, const struct kiln_sample_job *job,
                                  int64_t first, struct kiln_error *error)
{
    int64_t batch = sampler->request.batch;
    uint32_t last = (uint32_t)sampler->graphs.plan.n_iterations + 1;
    enum kiln_status status =
        kiln_executable_write(sampler->start, "noise", sampler->noise_buffer,
                              batch * sampler->noise_elements * (int64_t)sizeof(float), error);
    if (!status)
        status = run_part(sampler, sampler->start, job, 0, first, error);
    if (!status)
        status = iterate(sampler, job, first, error);
    if (!status)
        status = run_part(sampler, sampler->finish, job, last, first, error);
    if (!status)
        status =
            kiln_executable_read(sampler->finish, "samples", sampler->sample_buffer,
                                 batch * sampler->sample_elements * (int64_t)sizeof(float), error);
    return status;
}

/* --- jobs --------------------------------------------------------------------------- */

static int64_t batch_count(const kiln_sampler *sampler, const struct kiln_sample_job *job,
                           int64_t done)
{
    int64_t rest = job->count - done;
    return rest < sampler->request.batch ? rest : sampler->request.batch;
}

enum kiln_status kiln_sampler_noise(kiln_sampler *sampler, const struct kiln_sample_job *job,
                                    float *noise, struct kiln_error *error)
{
    for (int64_t done = 0; done < job->count; done += sampler->request.batch) {
        enum kiln_status status = draw_noise(sampler, job, job->first + done, error);
        if (status)
            return status;
        memcpy(noise + done * sampler->noise_elements, sampler->noise_buffer,
               (size_t)(batch_count(sampler, job, done) * sampler->noise_elements) * sizeof(float));
    }
    return KILN_OK;
}

static void copy_samples(const kiln_sampler *sampler, int64_t count, float *out)
{
    for (int64_t i = 0; i < count * sampler->sample_elements; i++) {
        float value = sampler->sample_buffer[i];
        out[i] = sampler->points ? value : value < 0 ? 0 : value > 1 ? 1 : value;
    }
}

/* Fills the batch's noise and labels from the job; the rest of a partial batch
 * keeps what it held. */
static enum kiln_status load_batch(kiln_sampler *sampler, const struct kiln_sample_job *job,
                                   int64_t done, struct kiln_error *error)
{
    size_t count = (size_t)batch_count(sampler, job, done),
           elements = (size_t)sampler->noise_elements;
    if (job->label)
        memcpy(sampler->label_buffer, job->label + done, count * sizeof *job->label);
    if (!job->noise)
        return draw_noise(sampler, job, job->first + done, error);
    memcpy(sampler->noise_buffer, job->noise + (size_t)done * elements,
           count * elements * sizeof(float));
    return KILN_OK;
}

enum kiln_status kiln_sampler_run(kiln_sampler *sampler, const struct kiln_sample_job *job,
                                  float *samples, struct kiln_error *error)
{
    for (int64_t done = 0; done < job->count; done += sampler->request.batch) {
        enum kiln_status status = load_batch(sampler, job, done, error);
        if (!status)
            status = run_batch(sampler, job, job->first + done, error);
        if (status)
            return status;
        copy_samples(sampler, batch_count(sampler, job, done),
                     samples + done * sampler->sample_elements);
    }
    return KILN_OK;
}
