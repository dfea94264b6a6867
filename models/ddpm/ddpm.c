/* DDPM (Ho et al. 2020): unconditional diffusion with diffusers' U-Net. */
#include <stdlib.h>
#include <string.h>

#include "models/common/diffusers.h"
#include "models/ddpm/ddpm.h"

static const struct kiln_option options[] = {
    UNET2D_OPTIONS,
    DIFFUSION_OPTIONS,
    {"study", "timesteps", KILN_OPTION_INTS, "3, 40, 80", 1, 100000, NULL,
     "study noise-steps: num_train_timesteps of the variants"},
    {"study", "feature_steps", KILN_OPTION_INT, "300", 0, 1000000, NULL,
     "study noise-steps: training steps of the classifier that compares pictures"},
    {0},
};

static kiln_node network(const void *user, kiln_graph *g, kiln_node x, kiln_node t, kiln_node label,
                         bool training)
{
    const struct ddpm *model = user;
    return unet2d_build(&model->unet, g, "", x, t, label, training, STREAM_NETWORK);
}

void ddpm_destroy(void *user)
{
    struct ddpm *model = user;
    diffusion_finish(&model->diffusion);
    free(model);
}

enum kiln_status ddpm_create(const kiln_config *config, const struct kiln_data_info *data,
                             void **out, struct kiln_error *error)
{
    if (data->points)
        return kiln_fail(error, KILN_INPUT, "[data] source: ddpm needs pictures, not points");
    if (strcmp(kiln_config_string(config, "network", "class_embed_type"), "none") != 0)
        return kiln_fail(error, KILN_INPUT, "[network] class_embed_type: ddpm has no classes");
    struct ddpm *model = calloc(1, sizeof *model);
    if (!model)
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    enum kiln_status status = diffusion_init(&model->diffusion, network, config, data, error);
    if (!status)
        status = unet2d_init(&model->unet, config, data->channels, data->channels, data->height,
                             data->width, 0, error);
    if (status) {
        ddpm_destroy(model);
        return status;
    }
    *out = model;
    return KILN_OK;
}

static void loss(void *user, kiln_graph *g, int phase, const struct kiln_batch *batch,
                 struct kiln_loss *out)
{
    const struct ddpm *model = user;
    (void)phase;
    out->loss = diffusion_loss(&model->diffusion, g, batch, 0);
}

static void evaluate(void *user, kiln_graph *g, const struct kiln_batch *batch,
                     struct kiln_figures *figures)
{
    const struct ddpm *model = user;
    diffusion_figures(&model->diffusion, g, batch, 0, figures);
}

/* --- exchange --------------------------------------------------------------------- */

static const struct kiln_exchange_file *export_files(void *user)
{
    (void)user;
    return diffusers_pipeline;
}

static bool export_value(void *user, const char *section, const char *key, char *text, size_t size)
{
    const struct ddpm *model = user;
    return diffusers_value(&model->unet, section, key, text, size);
}

static const struct kiln_exchange exchange = {
    .folder = diffusers_pipeline,
    .files = export_files,
    .value = export_value,
    .aliases = diffusers_aliases,
};

static const struct kiln_study *const studies[] = {&ddpm_study_noise_steps, NULL};

const struct kiln_model ddpm_model = {
    .abi = KILN_MODEL_ABI,
    .size = sizeof ddpm_model,
    .name = "ddpm",
    .summary = "denoising diffusion (Ho et al. 2020) with diffusers' UNet2DModel",
    .options = options,
    .create = ddpm_create,
    .destroy = ddpm_destroy,
    DIFFUSION_FUNCTIONS,
    .loss = loss,
    .evaluate = evaluate,
    .reference = "diffusers UNet2DModel",
    .check = "[data]\n"
             "source = shapes\n"
             "image_size = 16\n"
             "n_train = 16\n"
             "n_test = 16\n"
             "[network]\n"
             "block_out_channels = 8, 16\n"
             "layers_per_block = 1\n"
             "norm_num_groups = 4\n",
    .studies = studies,
    .exchange = &exchange,
};

KILN_API const struct kiln_model *kiln_model_entry(void);
const struct kiln_model *kiln_model_entry(void)
{
    return &ddpm_model;
}
