/* The configured model with its data, and a session on the chosen device. */
#include "core/run/experiment.h"

#include <stdlib.h>
#include <string.h>

/* --- model and data ------------------------------------------------------------- */

enum kiln_status kiln_experiment_load(kiln_config *config, struct kiln_experiment *out,
                                      struct kiln_error *error)
{
    *out = (struct kiln_experiment){.config = config, .instance.model = kiln_config_model(config)};
    enum kiln_status status = kiln_dataset_load(config, &out->dataset, error);
    if (status)
        return status;
    out->info = out->dataset->info;
    out->info.train = out->dataset->train.x;
    if (out->instance.model->derive)
        status = out->instance.model->derive(config, &out->info, error);
    if (status)
        kiln_experiment_finish(out);
    return status;
}

enum kiln_status kiln_experiment_create(kiln_config *config, const struct kiln_data_info *info,
                                        struct kiln_experiment *out, struct kiln_error *error)
{
    enum kiln_status status = KILN_OK;
    if (info)
        *out = (struct kiln_experiment){
            .config = config, .instance.model = kiln_config_model(config), .info = *info};
    else
        status = kiln_experiment_load(config, out, error);
    if (status)
        return status;
    status = out->instance.model->create(config, &out->info, &out->instance.state, error);
    if (status) {
        out->instance.state = NULL;
        kiln_experiment_finish(out);
    }
    return status;
}

void kiln_experiment_finish(struct kiln_experiment *experiment)
{
    if (experiment->instance.state && experiment->instance.model->destroy)
        experiment->instance.model->destroy(experiment->instance.state);
    kiln_dataset_destroy(&experiment->dataset);
    *experiment = (struct kiln_experiment){0};
}

static const struct kiln_data_split *split_of(const struct kiln_experiment *experiment,
                                              const struct kiln_batch_source *source)
{
    return source->training ? &experiment->dataset->train : &experiment->dataset->test;
}

/* --- batches ----------------------------------------------------------------------- */

enum kiln_status kiln_experiment_source(const struct kiln_experiment *experiment, bool training,
                                        int64_t batch_size, struct kiln_batch_source *source,
                                        struct kiln_error *error)
{
    const struct kiln_dataset *data = experiment->dataset;
    const struct kiln_data_split *split = training ? &data->train : &data->test;
    if (split->n < 1)
        return kiln_fail(error, KILN_INPUT, "[data] there are no %s samples",
                         training ? "training" : "test");
    double limit = kiln_config_float(experiment->config, "data", "device_memory") * 1048576.0;
    double bytes = (double)split->n * (double)kiln_dataset_sample_bytes(data);
    *source = (struct kiln_batch_source){
        .info = experiment->info,
        .dtype = data->dtype,
        .n = split->n,
        .size = batch_size,
        .resident = bytes <= limit,
        .flip = training && kiln_config_bool(experiment->config, "data", "flip"),
        .training = training,
    };
    return KILN_OK;
}

int kiln_experiment_resident(const struct kiln_experiment *experiment,
                             const struct kiln_batch_source *source,
                             struct kiln_resident resident[2])
{
    if (!source->resident)
        return 0;
    const struct kiln_data_split *split = split_of(experiment, source);
    int n = 0;
    resident[n++] = (struct kiln_resident){
        .name = "data.x",
        .dtype = source->dtype,
        .shape = kiln_batch_shape(&source->info, source->n),
        .data = split->x,
    };
    if (source->info.n_classes > 0)
        resident[n++] = (struct kiln_resident){
            .name = "data.label",
            .dtype = KILN_I32,
            .shape = KILN_SHAPE(source->n),
            .data = split->label,
        };
    return n;
}

static int64_t sample_bytes(const struct kiln_batch_source *source)
{
    struct kiln_shape shape = kiln_batch_shape(&source->info, 1);
    return kiln_shape_count(&shape) * (int64_t)kiln_dtype_bytes(source->dtype);
}

int64_t kiln_feed_bytes(const struct kiln_batch_source *source)
{
    return source->resident ? 0 : source->size * (sample_bytes(source) + (int64_t)sizeof(int32_t));
}

enum kiln_status kiln_experiment_feed(const struct kiln_experiment *experiment,
                                      const struct kiln_batch_source *source, const int32_t *index,
                                      void *staging, kiln_executable *executable,
                                      struct kiln_error *error)
{
    if (source->resident)
        return kiln_executable_write(executable, "index", index,
                                     source->size * (int64_t)sizeof *index, error);
    const struct kiln_data_split *split = split_of(experiment, source);
    int64_t bytes = sample_bytes(source);
    int32_t *labels = staging;
    char *x = (char *)(labels + source->size);
    for (int64_t i = 0; i < source->size; i++)
        memcpy(x + i * bytes, (const char *)split->x + index[i] * bytes, (size_t)bytes);
    enum kiln_status status =
        kiln_executable_write(executable, "batch.x", x, source->size * bytes, error);
    if (status || source->info.n_classes <= 0)
        return status;
    for (int64_t i = 0; i < source->size; i++)
        labels[i] = split->label[index[i]];
    return kiln_executable_write(executable, "batch.label", labels,
                                 source->size * (int64_t)sizeof *labels, error);
}

void kiln_rng_words(uint64_t seed, uint32_t step, uint32_t first_sample,
                    int32_t words[KILN_RNG_KEY_WORDS])
{
    words[KILN_RNG_SEED_LOW] = (int32_t)(uint32_t)seed;
    words[KILN_RNG_SEED_HIGH] = (int32_t)(uint32_t)(seed >> 32);
    words[KILN_RNG_STEP] = (int32_t)step;
    words[KILN_RNG_FIRST_SAMPLE] = (int32_t)first_sample;
}

bool kiln_executable_has_input(const kiln_executable *executable, const char *name)
{
    const struct kiln_plan *plan = kiln_executable_plan(executable);
    for (int i = 0; i < plan->n_inputs; i++)
        if (!strcmp(plan->inputs[i].name, name))
            return true;
    return false;
}

/* --- states -------------------------------------------------------------------------- */

/* Adds the states of one phase's loss on a batch of two samples: names and
 * shapes do not depend on its size. */
static enum kiln_status collect_phase(const struct kiln_experiment *experiment, int phase,
                                      kiln_states *states, struct kiln_error *error)
{
    const struct kiln_batch_source source = {
        .info = experiment->info,
        .dtype = KILN_F32,
        .n = 2,
        .size = 2,
        .training = true,
    };
    kiln_graph *graph = kiln_graph_create();
    if (!graph)
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    struct kiln_batch batch;
    struct kiln_loss loss = {0};
    kiln_graph_batch(graph, &source, &batch);
    experiment->instance.model->loss(experiment->instance.state, graph, phase, &batch, &loss);
    enum kiln_status status = kiln_graph_error(graph, error);
    if (!status)
        status = kiln_states_collect(states, graph, error);
    kiln_graph_destroy(&graph);
    return status;
}

enum kiln_status kiln_experiment_states(const struct kiln_experiment *experiment,
                                        kiln_states **states, struct kiln_error *error)
{
    struct kiln_phase phases[KILN_MAX_PHASES];
    int n = experiment->instance.model->phases(experiment->instance.state, phases);
    *states = kiln_states_create();
    if (!*states)
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    enum kiln_status status = KILN_OK;
    for (int i = 0; i < n && !status; i++)
        status = collect_phase(experiment, i, *states, error);
    if (status)
        kiln_states_destroy(states);
    return status;
}

/* --- device --------------------------------------------------------------------------- */

/* The command line, else $KILN_DEVICE, else the file. */
static const char *device_spec(const kiln_config *config)
{
    const char *environment = getenv("KILN_DEVICE"),
               *origin = kiln_config_origin(config, "run", "device");
    bool asked = origin && !strncmp(origin, "--", 2);
    return !asked && environment && environment[0] ? environment
                                                   : kiln_config_string(config, "run", "device");
}

struct kiln_session_options kiln_experiment_session_options(const kiln_config *config,
                                                            const struct kiln_run_device *how)
{
    return (struct kiln_session_options){
        .fuse = !how->no_fuse,
        .tune = !how->no_tune,
        .stats = how->stats,
        .tune_seconds = kiln_config_float(config, "run", "tune_seconds"),
        .no_winograd = strcmp(kiln_config_string(config, "run", "winograd"), "off") == 0,
        .half = strcmp(kiln_config_string(config, "run", "storage"), "half") == 0,
    };
}

enum kiln_status kiln_experiment_device(const kiln_config *config, kiln_device **device,
                                        struct kiln_error *error)
{
    char cache[1024];
    const struct kiln_device_options options = {
        .threads = (int)kiln_config_int(config, "run", "threads"),
        .round_products =
            strcmp(kiln_config_string(config, "run", "matmul_precision"), "medium") == 0,
        .kernel_cache = true,
        .cache_dir = kiln_cache_dir(cache, sizeof cache) ? cache : NULL,
    };
    return kiln_device_open(device_spec(config), &options, device, error);
}

enum kiln_status kiln_experiment_session(const kiln_config *config,
                                         const struct kiln_run_device *how, kiln_device **device,
                                         kiln_session **session, struct kiln_error *error)
{
    *session = NULL;
    enum kiln_status status = kiln_experiment_device(config, device, error);
    if (status)
        return status;
    const struct kiln_session_options options = kiln_experiment_session_options(config, how);
    status = kiln_session_create(*device, &options, session, error);
    if (status)
        kiln_device_close(device);
    return status;
}
