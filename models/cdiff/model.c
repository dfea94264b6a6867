/* The cdiff plugin: diffusion conditioned on a class, with guidance. */
#include <stdlib.h>
#include <string.h>

#include "models/cdiff/cdiff.h"
#include "models/common/diffusers.h"

static const struct kiln_option options[] = {
    {"network", "arch", KILN_OPTION_CHOICE, "unet", 0, 0, "unet|context_unet",
     "unet: diffusers' UNet2DModel; context_unet: ContextUnet of Conditional_Diffusion_MNIST "
     "(28x28)"},
    {"network", "condition", KILN_OPTION_CHOICE, "embedding", 0, 0,
     "embedding|adaptive_norm|concat",
     "unet: the class is added to the time embedding, or scales and shifts the norms with it, or "
     "enters as one-hot "
     "planes"},
    {"network", "n_feat", KILN_OPTION_INT, "64", 8, 4096, NULL,
     "context_unet: features, a multiple of 8"},
    {"train", "label_dropout", KILN_OPTION_FLOAT, "0.1", 0, 1, NULL,
     "share of labels replaced by the null label"},
    UNET2D_OPTIONS,
    DIFFUSION_OPTIONS,
    {0},
};

/* [n, c, h, w] and one plane for each class: 1 everywhere at the label's. */
static kiln_node with_planes(const struct cdiff *net, kiln_graph *g, kiln_node x, kiln_node label)
{
    struct kiln_shape s = kiln_shape(g, x);
    int64_t classes = net->diffusion.data.n_classes;
    kiln_node hot =
        kiln_reshape(g, kiln_one_hot(g, label, classes), KILN_SHAPE(s.d[0], classes, 1, 1));
    kiln_node planes = kiln_expand(g, hot, KILN_SHAPE(s.d[0], classes, s.d[2], s.d[3]));
    return kiln_concat(g, 2, (const kiln_node[]){x, planes}, 1);
}

static kiln_node network(const void *user, kiln_graph *g, kiln_node x, kiln_node t, kiln_node label,
                         bool training)
{
    const struct cdiff *net = user;
    if (net->context_unet)
        return context_unet_build(net, g, x, t, label, training);
    if (net->condition == CONDITION_CONCAT)
        return unet2d_build(&net->unet, g, "", with_planes(net, g, x, label), t, 0, training,
                            STREAM_NETWORK);
    return unet2d_build(&net->unet, g, "", x, t, label, training, STREAM_NETWORK);
}

/* --- configuration ------------------------------------------------------------ */

/* The author's schedule: T + 1 betas (b2 - b1) t / T + b1, of which 1 .. T are used. */
static void use_context_schedule(struct cdiff *net, const kiln_config *config)
{
    struct diffusion *d = &net->diffusion;
    double start = kiln_config_float(config, "scheduler", "beta_start");
    double end = kiln_config_float(config, "scheduler", "beta_end"), product = 1;
    int last = d->schedule.n - 1;
    for (int t = 0; t <= last; t++)
        d->schedule.alphas_cumprod[t] = product *= 1 - (start + (end - start) * t / last);
    d->unit_range = true;
    d->first_timestep = 1;
    d->clip = 0;
    d->sampling.steps_offset = 1;
    d->sampling.alpha_to_one = ALPHA_TO_ONE_NO;
    d->sampling.variance_large = true;
}

static enum kiln_status init_context_unet(struct cdiff *net, const kiln_config *config,
                                          const struct kiln_data_info *data,
                                          struct kiln_error *error)
{
    if (data->height != 28 || data->width != 28)
        return kiln_fail(error, KILN_INPUT,
                         "[network] arch: context_unet needs 28 x 28 pictures, not %lld x %lld",
                         (long long)data->height, (long long)data->width);
    if (net->n_feat % 8)
        return kiln_fail(error, KILN_INPUT, "[network] n_feat: %lld is not a multiple of 8",
                         (long long)net->n_feat);
    if (strcmp(kiln_config_string(config, "scheduler", "beta_schedule"), "linear") ||
        kiln_config_bool(config, "scheduler", "rescale_betas_zero_snr") ||
        net->diffusion.threshold_ratio > 0)
        return kiln_fail(
            error, KILN_INPUT,
            "[network] arch: context_unet has its author's schedule (no beta_schedule, "
            "rescale_betas_zero_snr, thresholding)");
    if (net->diffusion.sampling.prediction != PREDICT_EPSILON)
        return kiln_fail(error, KILN_INPUT,
                         "[scheduler] prediction_type: context_unet predicts epsilon");
    /* one entry more than num_train_timesteps, since entry 0 is in the product */
    noise_schedule_finish(&net->diffusion.schedule);
    enum kiln_status status = noise_schedule_init(
        &net->diffusion.schedule, "linear",
        (int)kiln_config_int(config, "scheduler", "num_train_timesteps") + 1, 1e-4, 0.02, 0, error);
    if (!status)
        use_context_schedule(net, config);
    return status;
}

static enum kiln_status init_unet(struct cdiff *net, const kiln_config *config,
                                  const struct kiln_data_info *data, struct kiln_error *error)
{
    const char *condition = kiln_config_string(config, "network", "condition");
    int64_t classes = data->n_classes, channels = data->channels;
    bool concat = !strcmp(condition, "concat");
    net->condition = concat ? CONDITION_CONCAT : CONDITION_EMBEDDING;
    enum kiln_status status =
        unet2d_init(&net->unet, config, concat ? channels + classes : channels, channels,
                    data->height, data->width, concat ? 0 : classes + 1, error);
    if (!strcmp(condition, "adaptive_norm"))
        net->unet.scale_shift = true;
    return status;
}

static void destroy(void *user)
{
    struct cdiff *net = user;
    diffusion_finish(&net->diffusion);
    free(net);
}

static enum kiln_status create(const kiln_config *config, const struct kiln_data_info *data,
                               void **out, struct kiln_error *error)
{
    if (data->points || !data->n_classes)
        return kiln_fail(error, KILN_INPUT, "[data] source: cdiff needs pictures with labels");
    struct cdiff *net = calloc(1, sizeof *net);
    if (!net)
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    net->context_unet = !strcmp(kiln_config_string(config, "network", "arch"), "context_unet");
    net->n_feat = kiln_config_int(config, "network", "n_feat");
    net->label_dropout = kiln_config_float(config, "train", "label_dropout");
    enum kiln_status status = diffusion_init(&net->diffusion, network, config, data, error);
    net->diffusion.null_label = data->n_classes;
    if (!status)
        status = net->context_unet ? init_context_unet(net, config, data, error)
                                   : init_unet(net, config, data, error);
    if (status) {
        destroy(net);
        return status;
    }
    *out = net;
    return KILN_OK;
}

/* --- training --------------------------------------------------------------------- */

static void loss(void *user, kiln_graph *g, int phase, const struct kiln_batch *batch,
                 struct kiln_loss *out)
{
    const struct cdiff *net = user;
    (void)phase;
    struct kiln_rng rng = {.kind = KILN_RNG_UNIFORM, .stream = STREAM_LABEL};
    kiln_node drop = kiln_less(g, kiln_random(g, KILN_SHAPE(batch->size), rng),
                               kiln_scalar(g, net->label_dropout));
    kiln_node label =
        kiln_select(g, drop, diffusion_null_label(&net->diffusion, g, batch->size), batch->label);
    out->loss = diffusion_loss(&net->diffusion, g, batch, label);
}

static void evaluate(void *user, kiln_graph *g, const struct kiln_batch *batch,
                     struct kiln_figures *figures)
{
    const struct cdiff *net = user;
    diffusion_figures(&net->diffusion, g, batch, batch->label, figures);
}

/* --- exchange ----------------------------------------------------------------------- */

/* The null class of num_class_embeds is the one behind the others, which a
 * network with planes for classes has not. */
static const struct kiln_exchange_file *export_files(void *user)
{
    const struct cdiff *net = user;
    return net->context_unet || net->condition == CONDITION_CONCAT ? NULL : diffusers_parts;
}

static bool export_value(void *user, const char *section, const char *key, char *text, size_t size)
{
    const struct cdiff *net = user;
    return diffusers_value(&net->unet, section, key, text, size);
}

static const char *const optional[] = {"num_batches_tracked", NULL};

static const struct kiln_exchange exchange = {
    .folder = diffusers_pipeline,
    .with_classes = true,
    .files = export_files,
    .value = export_value,
    .aliases = diffusers_aliases,
    .optional = optional,
};

static const struct kiln_model cdiff = {
    .abi = KILN_MODEL_ABI,
    .size = sizeof cdiff,
    .name = "cdiff",
    .summary = "class-conditional diffusion with classifier-free guidance",
    .options = options,
    .create = create,
    .destroy = destroy,
    DIFFUSION_FUNCTIONS,
    .loss = loss,
    .evaluate = evaluate,
    .reference = "diffusers UNet2DModel; TeaPearce/Conditional_Diffusion_MNIST",
    .check = "[data]\n"
             "source = shapes\n"
             "image_size = 16\n"
             "n_train = 16\n"
             "n_test = 16\n"
             "[network]\n"
             "block_out_channels = 8, 16\n"
             "layers_per_block = 1\n"
             "norm_num_groups = 4\n",
    .exchange = &exchange,
};

KILN_API const struct kiln_model *kiln_model_entry(void);
const struct kiln_model *kiln_model_entry(void)
{
    return &cdiff;
}
