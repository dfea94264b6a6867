/*
 * A linear autoencoder as a model plugin, built outside Kiln's tree against
 * its installed headers: the smallest complete model.
 *
 *     cc -shared -fPIC -o linear_ae.so linear_ae.c $(pkg-config --cflags --libs kiln)
 */
#include <stdlib.h>

#include <kiln/model.h>

struct model {
    int64_t latent;
    struct kiln_data_info data;
};

static const struct kiln_option options[] = {
    {"network", "latent_size", KILN_OPTION_INT, "16", 1, 4096, NULL,
     "numbers that a picture becomes"},
    {"train", "learning_rate", KILN_OPTION_FLOAT, "1e-2", 0, 1, NULL, "largest learning rate"},
    {0}};

static enum kiln_status create(const kiln_config *config, const struct kiln_data_info *data,
                               void **result, struct kiln_error *error)
{
    if (data->points)
        return kiln_fail(error, KILN_INPUT, "[data] source: linear_ae needs pictures");
    struct model *model = calloc(1, sizeof *model);
    if (!model)
        return kiln_fail(error, KILN_MACHINE, "linear_ae: out of memory");
    model->latent = kiln_config_int(config, "network", "latent_size");
    model->data = *data;
    *result = model;
    return KILN_OK;
}

static int phases(void *model, struct kiln_phase list[KILN_MAX_PHASES])
{
    (void)model;
    list[0] = (struct kiln_phase){.name = "train", .group = "", .repeats = 1};
    return 1;
}

/* [n, c, h, w] -> [n, c, h, w] through latent_size numbers. */
static kiln_node reconstruct(void *user, kiln_graph *graph, const struct kiln_batch *batch)
{
    const struct model *model = user;
    struct kiln_shape shape = kiln_shape(graph, batch->x);
    int64_t pixels = model->data.channels * model->data.height * model->data.width;
    kiln_node code =
        kiln_linear(graph, "encoder", kiln_flatten(graph, batch->x), model->latent, true);
    return kiln_reshape(graph, kiln_linear(graph, "decoder", code, pixels, true), shape);
}

/* Squared error of each sample: [n] */
static kiln_node squared_error(void *user, kiln_graph *graph, const struct kiln_batch *batch)
{
    kiln_node difference = kiln_sub(graph, reconstruct(user, graph, batch), batch->x);
    return kiln_sum_per_sample(graph, kiln_square(graph, difference));
}

static void loss(void *user, kiln_graph *graph, int phase, const struct kiln_batch *batch,
                 struct kiln_loss *result)
{
    (void)phase;
    result->loss = kiln_mean_all(graph, squared_error(user, graph, batch));
}

static void evaluate(void *user, kiln_graph *graph, const struct kiln_batch *batch,
                     struct kiln_figures *figures)
{
    figures->n = 1;
    figures->figures[0] = (struct kiln_metric){"squared_error", squared_error(user, graph, batch)};
}

static void describe(void *user, kiln_describe_fn *receive, void *receiver)
{
    const struct model *model = user;
    double pixels = (double)(model->data.channels * model->data.height * model->data.width);
    receive(receiver, "compression", pixels / (double)model->latent);
}

static const struct kiln_model linear_ae = {.abi = KILN_MODEL_ABI,
                                            .size = sizeof(struct kiln_model),
                                            .name = "linear_ae",
                                            .summary = "linear autoencoder",
                                            .options = options,
                                            .create = create,
                                            .destroy = free,
                                            .phases = phases,
                                            .loss = loss,
                                            .evaluate = evaluate,
                                            .reconstruct = reconstruct,
                                            .describe = describe};

KILN_API const struct kiln_model *kiln_model_entry(void);

const struct kiln_model *kiln_model_entry(void)
{
    return &linear_ae;
}
