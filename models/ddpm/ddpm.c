/* DDPM (Ho et al. 2020): unconditional diffusion with diffusers' U-Net. */
#include <stdlib.h>

#include "models/common/diffusion.h"
#include "models/common/unet2d.h"

struct ddpm {
    struct diffusion diffusion;
    struct unet2d unet;
};

static const struct kiln_option options[] = {
    UNET2D_OPTIONS,
    DIFFUSION_OPTIONS,
    {0},
};

static kiln_node network(void *user, kiln_graph *g, kiln_node x, kiln_node t, kiln_node label,
                         bool training)
{
    const struct ddpm *model = user;
    return unet2d_build(&model->unet, g, "", x, t, label, training, STREAM_NETWORK);
}

static void destroy(void *user)
{
    struct ddpm *model = user;
    diffusion_finish(&model->diffusion);
    free(model);
}

static enum kiln_status create(const kiln_config *config, const struct kiln_data_info *data,
                               void **out, struct kiln_error *error)
{
    if (data->points)
        return kiln_fail(error, KILN_INPUT, "[data] source: ddpm needs pictures, not points");
    struct ddpm *model = calloc(1, sizeof *model);
    if (!model)
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    enum kiln_status status = diffusion_init(&model->diffusion, config, data, error);
    if (!status)
        status = unet2d_init(&model->unet, config, data->channels, data->channels, data->height,
                             data->width, 0, error);
    if (status) {
        destroy(model);
        return status;
    }
    *out = model;
    return KILN_OK;
}

static int phases(void *user, struct kiln_phase out[KILN_MAX_PHASES])
{
    (void)user;
    out[0] = (struct kiln_phase){.name = "denoise", .group = "", .repeats = 1};
    return 1;
}

static void loss(void *user, kiln_graph *g, int phase, const struct kiln_batch *batch,
                 struct kiln_loss *out)
{
    const struct ddpm *model = user;
    (void)phase;
    out->loss = diffusion_loss(&model->diffusion, g, batch, 0, network, user);
}

static void evaluate(void *user, kiln_graph *g, const struct kiln_batch *batch,
                     struct kiln_figures *figures)
{
    const struct ddpm *model = user;
    diffusion_figures(&model->diffusion, g, batch, 0, network, user, figures);
}

static enum kiln_status sample_plan(void *user, const struct kiln_sample_request *request,
                                    struct kiln_sample_plan *plan, struct kiln_error *error)
{
    const struct ddpm *model = user;
    return diffusion_sample_plan(&model->diffusion, request, plan, error);
}

static void sample_start(void *user, kiln_graph *g, const struct kiln_sample_request *request,
                         kiln_node noise, kiln_node *carried)
{
    const struct ddpm *model = user;
    diffusion_sample_start(&model->diffusion, g, request, noise, carried);
}

static void sample_step(void *user, kiln_graph *g, const struct kiln_sample_request *request,
                        const kiln_node *carried, kiln_node coefficients, kiln_node label,
                        kiln_node *next)
{
    const struct ddpm *model = user;
    (void)label;
    diffusion_sample_step(&model->diffusion, g, request, carried, coefficients, 0, network, user,
                          next);
}

static kiln_node sample_finish(void *user, kiln_graph *g, const struct kiln_sample_request *request,
                               const kiln_node *carried, kiln_node label)
{
    const struct ddpm *model = user;
    (void)request, (void)label;
    return diffusion_sample_finish(&model->diffusion, g, carried);
}

static const struct kiln_model ddpm = {
    .abi = KILN_MODEL_ABI,
    .size = sizeof ddpm,
    .name = "ddpm",
    .summary = "denoising diffusion (Ho et al. 2020) with diffusers' UNet2DModel",
    .options = options,
    .create = create,
    .destroy = destroy,
    .phases = phases,
    .loss = loss,
    .evaluate = evaluate,
    .samplers = diffusion_samplers,
    .sample_plan = sample_plan,
    .sample_start = sample_start,
    .sample_step = sample_step,
    .sample_finish = sample_finish,
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
};

KILN_API const struct kiln_model *kiln_model_entry(void);
const struct kiln_model *kiln_model_entry(void)
{
    return &ddpm;
}
