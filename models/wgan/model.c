/* The wgan plugin: WGAN, WGAN-GP and the classic GAN. */
#include <stdlib.h>
#include <string.h>

#include "models/common/sampling.h"
#include "models/wgan/wgan.h"

static const struct kiln_option options[] = {
    {"network", "arch", KILN_OPTION_CHOICE, "dcgan", 0, 0, "dcgan|pair28",
     "dcgan: WassersteinGAN's networks (square sizes 8, 16, 32, ...); pair28: those of WGAN-GP for "
     "28x28"},
    {"network", "latent_size", KILN_OPTION_INT, "100", 1, 65536, NULL,
     "numbers the generator starts from"},
    {"network", "features", KILN_OPTION_INT, "64", 2, 4096, NULL,
     "features of the widest map (ngf = ndf)"},
    {"network", "extra_layers", KILN_OPTION_INT, "0", 0, 32, NULL, "dcgan: further 3x3 layers"},
    {"network", "critic_norm", KILN_OPTION_BOOL, "true", 0, 0, NULL,
     "dcgan: batch norm in the critic"},
    {"train", "loss", KILN_OPTION_CHOICE, "wgan", 0, 0, "wgan|wgan-gp|gan|gan-saturating",
     "adversarial loss"},
    {"train", "clamp", KILN_OPTION_FLOAT, "0.01", 0, 1e6, NULL,
     "wgan: critic's weights are clamped to +- this"},
    {"train", "gp_weight", KILN_OPTION_FLOAT, "10", 0, 1e9, NULL,
     "wgan-gp: weight of the gradient penalty"},
    {"train", "critic_steps", KILN_OPTION_INT, "5", 1, 1000, NULL,
     "critic steps for each generator step"},
    {"train", "critic_warmup", KILN_OPTION_BOOL, "true", 0, 0, NULL,
     "wgan: 100 critic steps at the first 25 generator steps and at every 500th"},
    {"sample", "batch_stats", KILN_OPTION_BOOL, "false", 0, 0, NULL,
     "dcgan: sample with batch statistics, as the reference, instead of the running ones"},
    {"study", "distances", KILN_OPTION_FLOATS, "0.5, 1, 2, 3, 5, 7, 10", 1e-3, 1e3, NULL,
     "study divergence: between the means of the two normals, ascending"},
    {"study", "sigma", KILN_OPTION_FLOAT, "0.5", 1e-3, 1e3, NULL,
     "study divergence: deviation of the normals"},
    {"study", "width", KILN_OPTION_INT, "64", 1, 4096, NULL,
     "study divergence: width of the critics"},
    {0},
};

static bool power_of_two(int64_t n)
{
    return n > 0 && !(n & (n - 1));
}

static enum kiln_status check(const struct wgan *net, struct kiln_error *error)
{
    const struct kiln_data_info *data = &net->data;
    if (data->points)
        return kiln_fail(error, KILN_INPUT, "[data] source: wgan needs pictures, not points");
    if (net->dcgan &&
        (data->height != data->width || data->height < 8 || !power_of_two(data->height)))
        return kiln_fail(error, KILN_INPUT,
                         "[data] image_size: dcgan needs a square size 8, 16, 32, ..., not %lld x "
                         "%lld (28 x 28: set "
                         "image_size = 32)",
                         (long long)data->height, (long long)data->width);
    if (!net->dcgan && (data->height != 28 || data->width != 28))
        return kiln_fail(error, KILN_INPUT,
                         "[network] arch: pair28 needs 28 x 28 pictures, not %lld x %lld",
                         (long long)data->height, (long long)data->width);
    if (net->dcgan && net->loss == LOSS_WGAN_GP && net->critic_norm)
        return kiln_fail(error, KILN_INPUT,
                         "[network] critic_norm: the penalty is per sample, batch norm mixes them "
                         "(set it to false)");
    if (net->features % 2)
        return kiln_fail(error, KILN_INPUT, "[network] features: %lld is odd",
                         (long long)net->features);
    return KILN_OK;
}

static enum gan_loss loss_of(const char *name)
{
    if (!strcmp(name, "wgan-gp"))
        return LOSS_WGAN_GP;
    if (!strcmp(name, "gan"))
        return LOSS_GAN;
    return !strcmp(name, "gan-saturating") ? LOSS_GAN_SATURATING : LOSS_WGAN;
}

static enum kiln_status create(const kiln_config *config, const struct kiln_data_info *data,
                               void **out, struct kiln_error *error)
{
    struct wgan net = {
        .data = *data,
        .dcgan = !strcmp(kiln_config_string(config, "network", "arch"), "dcgan"),
        .latent_size = kiln_config_int(config, "network", "latent_size"),
        .features = kiln_config_int(config, "network", "features"),
        .extra_layers = (int)kiln_config_int(config, "network", "extra_layers"),
        .critic_norm = kiln_config_bool(config, "network", "critic_norm"),
        .loss = loss_of(kiln_config_string(config, "train", "loss")),
        .gp_weight = kiln_config_float(config, "train", "gp_weight"),
        .clamp = kiln_config_float(config, "train", "clamp"),
        .critic_steps = (int)kiln_config_int(config, "train", "critic_steps"),
        .critic_warmup = kiln_config_bool(config, "train", "critic_warmup"),
        .batch_stats = kiln_config_bool(config, "sample", "batch_stats"),
    };
    enum kiln_status status = check(&net, error);
    if (status)
        return status;
    struct wgan *model = malloc(sizeof *model);
    if (!model)
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    *model = net;
    *out = model;
    return KILN_OK;
}

static int phases(void *user, struct kiln_phase out[KILN_MAX_PHASES])
{
    const struct wgan *net = user;
    out[0] =
        (struct kiln_phase){.name = "critic", .group = "critic.", .repeats = net->critic_steps};
    if (net->loss == LOSS_WGAN) {
        out[0].clamp = net->clamp;
        if (net->critic_warmup) {
            out[0].warmup_repeats = 100;
            out[0].warmup_steps = 25;
            out[0].warmup_every = 500;
        }
    }
    out[1] = (struct kiln_phase){.name = "generator", .group = "generator.", .repeats = 1};
    return 2;
}

static void loss(void *user, kiln_graph *g, int phase, const struct kiln_batch *batch,
                 struct kiln_loss *out)
{
    const struct wgan *net = user;
    if (phase == 0)
        wgan_critic_loss(net, g, batch, out);
    else
        wgan_generator_loss(net, g, batch, out);
}

/* The estimate mean D(real) - mean D(fake), with its two halves. */
static void evaluate(void *user, kiln_graph *g, const struct kiln_batch *batch,
                     struct kiln_figures *figures)
{
    const struct wgan *net = user;
    kiln_node real = wgan_criticise(net, g, wgan_scale_in(net, g, batch->x), false);
    kiln_node fake = wgan_criticise(
        net, g, wgan_generate(net, g, wgan_latents(net, g, batch->size), false), false);
    figures->n = 3;
    figures->figures[0] = (struct kiln_metric){"wasserstein", kiln_sub(g, real, fake)};
    figures->figures[1] = (struct kiln_metric){"critic_real", real};
    figures->figures[2] = (struct kiln_metric){"critic_fake", fake};
}

static enum kiln_status sample_plan(void *user, const struct kiln_sample_request *request,
                                    struct kiln_sample_plan *plan, struct kiln_error *error)
{
    const struct wgan *net = user;
    (void)error;
    sampling_prior_plan(net->latent_size, request, plan);
    return KILN_OK;
}

static kiln_node sample_finish(void *user, kiln_graph *g, const struct kiln_sample_request *request,
                               const kiln_node *carried, kiln_node label)
{
    const struct wgan *net = user;
    (void)request, (void)label;
    return wgan_scale_out(net, g, wgan_generate(net, g, carried[0], net->batch_stats));
}

static const struct kiln_exchange_file network_files[] = {
    {.paths = "generator.safetensors", .prefix = "generator."},
    {.paths = "critic.safetensors", .prefix = "critic."},
    {0},
};

static const struct kiln_exchange_file *export_files(void *user)
{
    (void)user;
    return network_files;
}

/* Files of PyTorch before 0.4.1 do not count batches. */
static const char *const optional[] = {"num_batches_tracked", NULL};

static const struct kiln_exchange exchange = {.files = export_files, .optional = optional};

static const struct kiln_study *const studies[] = {&wgan_study_divergence, NULL};

static const struct kiln_model wgan = {
    .abi = KILN_MODEL_ABI,
    .size = sizeof wgan,
    .name = "wgan",
    .summary = "Wasserstein GAN (clipping or gradient penalty) and the classic GAN",
    .options = options,
    .create = create,
    .destroy = free,
    .phases = phases,
    .loss = loss,
    .evaluate = evaluate,
    .samplers = sampling_prior_names,
    .sample_plan = sample_plan,
    .sample_start = sampling_prior_start,
    .sample_finish = sample_finish,
    .reference = "martinarjovsky/WassersteinGAN models/dcgan.py",
    .check = "[data]\n"
             "source = shapes\n"
             "image_size = 32\n"
             "n_train = 16\n"
             "n_test = 16\n"
             "[network]\n"
             "latent_size = 12\n"
             "features = 8\n",
    .studies = studies,
    .exchange = &exchange,
};

KILN_API const struct kiln_model *kiln_model_entry(void);
const struct kiln_model *kiln_model_entry(void)
{
    return &wgan;
}
