/*
 * The plugin: a variational autoencoder (Kingma & Welling 2014) with a fully
 * connected, a convolutional or a residual network.
 */
#include "models/vae/vae.h"

#include <stdlib.h>
#include <string.h>

#include "models/common/sampling.h"

static const struct kiln_option options[] = {
    {"network", "arch", KILN_OPTION_CHOICE, "mlp", 0, 0, "mlp|conv|resnet",
     "fully connected, strided convolutions, or residual blocks (diffusers' ResnetBlock2D)"},
    {"network", "latent_size", KILN_OPTION_INT, "20", 1, 65536, NULL,
     "dimensions of the latent code"},
    {"network", "hidden_size", KILN_OPTION_INT, "400", 1, 65536, NULL,
     "mlp: units of the hidden layers"},
    {"network", "block_out_channels", KILN_OPTION_INTS, "32, 64", 1, 4096, NULL,
     "conv, resnet: channels of each stage, which halves the picture; 1 to 6 numbers"},
    {"network", "layers_per_block", KILN_OPTION_INT, "1", 1, 16, NULL,
     "resnet: residual blocks of a stage"},
    {"network", "norm_num_groups", KILN_OPTION_INT, "8", 1, 1024, NULL,
     "resnet: groups of the group norms"},
    {"network", "prior", KILN_OPTION_CHOICE, "normal", 0, 0, "normal|mixture",
     "latent codes are N(0, 1), or a mixture of normals trained with the networks: better samples"},
    {"network", "prior_components", KILN_OPTION_INT, "50", 1, 65536, NULL,
     "mixture: how many normals"},
    {"train", "likelihood", KILN_OPTION_CHOICE, "bernoulli", 0, 0, "bernoulli|gaussian",
     "distribution of a pixel given the latent code"},
    {"train", "likelihood_sigma", KILN_OPTION_FLOAT, "0.1", 1e-3, 100, NULL,
     "gaussian: standard deviation of a pixel (range 0..1)"},
    {"train", "beta", KILN_OPTION_FLOAT, "1", 0, 1e6, NULL, "weight of the KL term"},
    {0},
};

static enum kiln_status read_stages(struct vae *vae, const kiln_config *config,
                                    struct kiln_error *error)
{
    double widths[VAE_MAX_STAGES + 1];
    vae->n_stages =
        kiln_config_list(config, "network", "block_out_channels", VAE_MAX_STAGES + 1, widths);
    if (vae->n_stages < 1 || vae->n_stages > VAE_MAX_STAGES)
        return kiln_fail(error, KILN_INPUT,
                         "[network] block_out_channels: 1 to %d numbers are expected",
                         VAE_MAX_STAGES);
    for (int i = 0; i < vae->n_stages; i++) {
        vae->widths[i] = (int64_t)widths[i];
        if (vae->arch == VAE_RESNET && vae->widths[i] % vae->norm_num_groups)
            return kiln_fail(error, KILN_INPUT,
                             "[network] block_out_channels: %lld is not a multiple of "
                             "norm_num_groups = %d",
                             (long long)vae->widths[i], vae->norm_num_groups);
    }
    int64_t step = (int64_t)1 << vae->n_stages;
    bool fits = vae->arch == VAE_RESNET || vae->height == vae->width;
    if (!fits || vae->height % step || vae->width % step)
        return kiln_fail(
            error, KILN_INPUT,
            "[network] arch = %s with %d block_out_channels needs %spictures with each "
            "side a multiple of %lld, but the data is %lldx%lld",
            vae->arch == VAE_CONV ? "conv" : "resnet", vae->n_stages,
            vae->arch == VAE_CONV ? "square " : "", (long long)step, (long long)vae->height,
            (long long)vae->width);
    return KILN_OK;
}

static enum kiln_status create(const kiln_config *config, const struct kiln_data_info *data,
                               void **model, struct kiln_error *error)
{
    if (data->points)
        return kiln_fail(error, KILN_INPUT, "[data] source = points: the vae models pictures");
    struct vae *vae = calloc(1, sizeof *vae);
    if (!vae)
        return kiln_fail(error, KILN_MACHINE, "vae: out of memory");
    const char *arch = kiln_config_string(config, "network", "arch");
    vae->arch = !strcmp(arch, "conv") ? VAE_CONV : !strcmp(arch, "resnet") ? VAE_RESNET : VAE_MLP;
    vae->channels = data->channels;
    vae->height = data->height;
    vae->width = data->width;
    vae->latent = kiln_config_int(config, "network", "latent_size");
    vae->hidden = kiln_config_int(config, "network", "hidden_size");
    vae->layers_per_block = (int)kiln_config_int(config, "network", "layers_per_block");
    vae->norm_num_groups = (int)kiln_config_int(config, "network", "norm_num_groups");
    bool gaussian = !strcmp(kiln_config_string(config, "train", "likelihood"), "gaussian");
    vae->likelihood = gaussian ? VAE_GAUSSIAN : VAE_BERNOULLI;
    vae->sigma = kiln_config_float(config, "train", "likelihood_sigma");
    bool mixture = !strcmp(kiln_config_string(config, "network", "prior"), "mixture");
    vae->prior = mixture ? VAE_MIXTURE : VAE_NORMAL;
    vae->prior_components = kiln_config_int(config, "network", "prior_components");
    vae->beta = kiln_config_float(config, "train", "beta");
    enum kiln_status status = vae->arch == VAE_MLP ? KILN_OK : read_stages(vae, config, error);
    if (status) {
        free(vae);
        return status;
    }
    *model = vae;
    return KILN_OK;
}

static int phases(void *model, struct kiln_phase out[KILN_MAX_PHASES])
{
    (void)model;
    out[0] = (struct kiln_phase){.name = "vae", .group = "", .repeats = 1};
    return 1;
}

static void loss(void *model, kiln_graph *g, int phase, const struct kiln_batch *batch,
                 struct kiln_loss *out)
{
    (void)phase;
    const struct vae *vae = model;
    struct vae_terms terms;
    vae_terms(vae, g, batch->x, &terms);
    kiln_node reconstruction = kiln_mean_all(g, terms.reconstruction);
    kiln_node kl = kiln_mean_all(g, terms.divergence);
    out->loss = kiln_add(g, reconstruction, kiln_mul_scalar(g, kl, vae->beta));
    out->n_metrics = 2;
    out->metrics[0] = (struct kiln_metric){"reconstruction", reconstruction};
    out->metrics[1] = (struct kiln_metric){"kl", kl};
}

static void evaluate(void *model, kiln_graph *g, const struct kiln_batch *batch,
                     struct kiln_figures *out)
{
    struct vae_terms terms;
    vae_terms(model, g, batch->x, &terms);
    out->n = 3;
    out->figures[0] =
        (struct kiln_metric){"negative_elbo", kiln_add(g, terms.reconstruction, terms.divergence)};
    out->figures[1] = (struct kiln_metric){"reconstruction", terms.reconstruction};
    out->figures[2] = (struct kiln_metric){"kl", terms.divergence};
}

/* Decoded from the mean of q(z|x), so that a picture has one reconstruction. */
static kiln_node reconstruct(void *model, kiln_graph *g, const struct kiln_batch *batch)
{
    kiln_node mean, log_variance;
    vae_encode(model, g, batch->x, &mean, &log_variance);
    return kiln_sigmoid(g, vae_decode(model, g, mean));
}

/* --- the prior sampler: decode z ~ p(z) -------------------------------------------- */

static enum kiln_status sample_plan(void *model, const struct kiln_sample_request *request,
                                    struct kiln_sample_plan *plan, struct kiln_error *error)
{
    (void)error;
    const struct vae *vae = model;
    sampling_prior_plan(vae->latent, request, plan);
    return KILN_OK;
}

static void sample_start(void *model, kiln_graph *g, const struct kiln_sample_request *request,
                         kiln_node noise, kiln_node *carried)
{
    carried[0] = vae_draw_prior(model, g, noise, request);
}

static kiln_node sample_finish(void *model, kiln_graph *g,
                               const struct kiln_sample_request *request, const kiln_node *carried,
                               kiln_node label)
{
    (void)request, (void)label;
    return kiln_sigmoid(g, vae_decode(model, g, carried[0]));
}

static const struct kiln_model model = {
    .abi = KILN_MODEL_ABI,
    .size = sizeof(struct kiln_model),
    .name = "vae",
    .summary = "variational autoencoder: fully connected, convolutional or residual",
    .options = options,
    .create = create,
    .destroy = free,
    .phases = phases,
    .loss = loss,
    .evaluate = evaluate,
    .reconstruct = reconstruct,
    .samplers = sampling_prior_names,
    .sample_plan = sample_plan,
    .sample_start = sample_start,
    .sample_finish = sample_finish,
    .reference = "pytorch/examples vae",
    .check = "[data]\n"
             "source = shapes\n"
             "image_size = 16\n"
             "n_train = 16\n"
             "n_test = 16\n"
             "[network]\n"
             "arch = conv\n"
             "latent_size = 5\n"
             "block_out_channels = 8, 16\n",
};

KILN_API const struct kiln_model *kiln_model_entry(void);

const struct kiln_model *kiln_model_entry(void)
{
    return &model;
}
