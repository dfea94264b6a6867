/* A model's sampler on a session. */
#include "core/run/sampler.h"

#include <stdlib.h>

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
    sampler->session = session;
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
