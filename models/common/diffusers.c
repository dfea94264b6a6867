/*
 * The files of diffusers. Keys, their order and what an absent key stands for
 * are those of UNet2DModel and of the schedulers in diffusers 0.42.
 */
#include "models/common/diffusers.h"

#include <stdio.h>
#include <string.h>

#define VALUE(name, absent, section)                                                               \
    {                                                                                              \
        KILN_EXCHANGE_VALUE, name, absent, section, name, NULL                                     \
    }
#define VALUE_AS(name, absent, section, values)                                                    \
    {                                                                                              \
        KILN_EXCHANGE_VALUE, name, absent, section, name, values                                   \
    }
#define CONSTANT(name, values)                                                                     \
    {                                                                                              \
        KILN_EXCHANGE_CONSTANT, name, NULL, NULL, NULL, values                                     \
    }
#define IGNORED(name, written)                                                                     \
    {                                                                                              \
        KILN_EXCHANGE_IGNORED, name, written, NULL, NULL, NULL                                     \
    }

/* --- UNet2DModel ------------------------------------------------------------------ */

static const struct kiln_exchange_key unet_keys[] = {
    CONSTANT("_class_name", "\"UNet2DModel\""),
    IGNORED("_diffusers_version", "\"0.30.0\""),
    {KILN_EXCHANGE_SIZE, "sample_size", "null", NULL, NULL, NULL},
    {KILN_EXCHANGE_CHANNELS, "in_channels", "3", NULL, NULL, NULL},
    {KILN_EXCHANGE_CHANNELS, "out_channels", "3", NULL, NULL, NULL},
    VALUE("center_input_sample", "false", "network"),
    CONSTANT("time_embedding_type", "\"positional\""),
    CONSTANT("time_embedding_dim", "null"),
    VALUE("freq_shift", "0", "network"),
    VALUE("flip_sin_to_cos", "true", "network"),
    {KILN_EXCHANGE_NAMES, "down_block_types",
     "[\"DownBlock2D\", \"AttnDownBlock2D\", \"AttnDownBlock2D\", \"AttnDownBlock2D\"]", "network",
     "down_block_types", NULL},
    VALUE_AS("mid_block_type", "\"UNetMidBlock2D\"", "network", "null=none"),
    {KILN_EXCHANGE_NAMES, "up_block_types",
     "[\"AttnUpBlock2D\", \"AttnUpBlock2D\", \"AttnUpBlock2D\", \"UpBlock2D\"]", "network",
     "up_block_types", NULL},
    VALUE("block_out_channels", "[224, 448, 672, 896]", "network"),
    VALUE("layers_per_block", "2", "network"),
    VALUE("mid_block_scale_factor", "1", "network"),
    VALUE("downsample_padding", "1", "network"),
    VALUE("downsample_type", "\"conv\"", "network"),
    VALUE("upsample_type", "\"conv\"", "network"),
    VALUE("dropout", "0.0", "network"),
    VALUE("act_fn", "\"silu\"", "network"),
    VALUE_AS("attention_head_dim", "8", "network", "null=0"),
    VALUE("norm_num_groups", "32", "network"),
    VALUE_AS("attn_norm_num_groups", "null", "network", "null=0"),
    VALUE("norm_eps", "1e-05", "network"),
    VALUE("resnet_time_scale_shift", "\"default\"", "network"),
    VALUE("add_attention", "true", "network"),
    VALUE_AS("class_embed_type", "null", "network", "null=none"),
    {KILN_EXCHANGE_CLASSES, "num_class_embeds", "null", NULL, NULL, NULL},
    IGNORED("num_train_timesteps", "null"),
    {0},
};

/* --- schedulers ---------------------------------------------------------------------- */

/* What all have. Spacings that are absent are each sampler's own. */
#define SCHEDULER_KEYS(class, sampler, start, end)                                                 \
    {KILN_EXCHANGE_VALUE, "_class_name",           "\"" class "\"", "sample",                      \
     "sampler",           "\"" class "\"=" sampler},                                               \
        IGNORED("_diffusers_version", "\"0.30.0\""),                                               \
        VALUE("num_train_timesteps", "1000", "scheduler"),                                         \
        VALUE("beta_start", start, "scheduler"), VALUE("beta_end", end, "scheduler"),              \
        VALUE("beta_schedule", "\"linear\"", "scheduler"), CONSTANT("trained_betas", "null"),      \
        VALUE("prediction_type", "\"epsilon\"", "scheduler"),                                      \
        VALUE_AS("timestep_spacing", NULL, "scheduler", "=default"),                               \
        VALUE("steps_offset", "0", "scheduler")

#define CLIPPING_KEYS(clipped)                                                                     \
    VALUE("clip_sample", clipped, "scheduler"), VALUE("clip_sample_range", "1.0", "scheduler")
#define THRESHOLDING_KEYS                                                                          \
    VALUE("thresholding", "false", "scheduler"),                                                   \
        VALUE("dynamic_thresholding_ratio", "0.995", "scheduler"),                                 \
        VALUE("sample_max_value", "1.0", "scheduler")
#define ZERO_SNR_KEY VALUE("rescale_betas_zero_snr", "false", "scheduler")
#define KARRAS_KEYS                                                                                \
    VALUE("use_karras_sigmas", "false", "scheduler"), CONSTANT("use_exponential_sigmas", "false"), \
        CONSTANT("use_beta_sigmas", "false")
#define FINAL_SIGMA_KEY VALUE("final_sigmas_type", "\"zero\"", "scheduler")

static const struct kiln_exchange_key ddpm_keys[] = {
    SCHEDULER_KEYS("DDPMScheduler", "ddpm", "0.0001", "0.02"),
    VALUE("variance_type", "\"fixed_small\"", "scheduler"),
    CLIPPING_KEYS("true"),
    THRESHOLDING_KEYS,
    ZERO_SNR_KEY,
    {0},
};

static const struct kiln_exchange_key ddim_keys[] = {
    SCHEDULER_KEYS("DDIMScheduler", "ddim", "0.0001", "0.02"),
    VALUE("set_alpha_to_one", "true", "scheduler"),
    CLIPPING_KEYS("true"),
    THRESHOLDING_KEYS,
    ZERO_SNR_KEY,
    {0},
};

static const struct kiln_exchange_key pndm_keys[] = {
    SCHEDULER_KEYS("PNDMScheduler", "pndm", "0.0001", "0.02"),
    VALUE("set_alpha_to_one", "false", "scheduler"),
    VALUE("skip_prk_steps", "false", "scheduler"),
    {0},
};

static const struct kiln_exchange_key dpmpp_keys[] = {
    SCHEDULER_KEYS("DPMSolverMultistepScheduler", "dpmpp_2m", "0.0001", "0.02"),
    THRESHOLDING_KEYS,
    CONSTANT("solver_order", "2"),
    CONSTANT("algorithm_type", "\"dpmsolver++\""),
    CONSTANT("solver_type", "\"midpoint\""),
    CONSTANT("lower_order_final", "true"),
    CONSTANT("euler_at_final", "false"),
    KARRAS_KEYS,
    FINAL_SIGMA_KEY,
    CONSTANT("use_lu_lambdas", "false"),
    CONSTANT("use_flow_sigmas", "false"),
    CONSTANT("use_dynamic_shifting", "false"),
    CONSTANT("lambda_min_clipped", "null"), /* minus infinity */
    CONSTANT("variance_type", "null|\"fixed_small\""),
    IGNORED("flow_shift", "1.0"),
    IGNORED("time_shift_type", "\"exponential\""),
    ZERO_SNR_KEY,
    {0},
};

static const struct kiln_exchange_key heun_keys[] = {
    SCHEDULER_KEYS("HeunDiscreteScheduler", "heun", "0.00085", "0.012"),
    CONSTANT("clip_sample", "false"),
    IGNORED("clip_sample_range", "1.0"),
    KARRAS_KEYS,
    {0},
};

static const struct kiln_exchange_key euler_keys[] = {
    SCHEDULER_KEYS("EulerDiscreteScheduler", "euler", "0.0001", "0.02"),
    CONSTANT("interpolation_type", "\"linear\""),
    CONSTANT("timestep_type", "\"discrete\""),
    CONSTANT("sigma_min", "null"),
    CONSTANT("sigma_max", "null"),
    KARRAS_KEYS,
    FINAL_SIGMA_KEY,
    ZERO_SNR_KEY,
    {0},
};

static const struct kiln_exchange_key euler_ancestral_keys[] = {
    SCHEDULER_KEYS("EulerAncestralDiscreteScheduler", "euler_ancestral", "0.0001", "0.02"),
    ZERO_SNR_KEY,
    {0},
};

/* --- the folder ------------------------------------------------------------------------ */

static const struct kiln_exchange_key index_keys[] = {
    CONSTANT("_class_name", "\"DDPMPipeline\"|\"DDIMPipeline\"|\"PNDMPipeline\""),
    IGNORED("_diffusers_version", "\"0.30.0\""),
    IGNORED("scheduler", "[\"diffusers\", \"DDPMScheduler\"]"),
    CONSTANT("unet", "[\"diffusers\",\"UNet2DModel\"]"),
    {0},
};

#define SCHEDULER(name, table)                                                                     \
    {                                                                                              \
        "scheduler/scheduler_config.json|scheduler_config.json", NULL, name, table, true           \
    }

/* The network first; then the first scheduler is the one that is written. */
#define PARTS                                                                                      \
    {"unet/config.json|config.json", NULL, "UNet2DModel", unet_keys, false},                       \
        {"unet/diffusion_pytorch_model.safetensors|diffusion_pytorch_model.safetensors", "", NULL, \
         NULL, false},                                                                             \
        SCHEDULER("DDPMScheduler", ddpm_keys), SCHEDULER("DDIMScheduler", ddim_keys),              \
        SCHEDULER("PNDMScheduler", pndm_keys),                                                     \
        SCHEDULER("DPMSolverMultistepScheduler", dpmpp_keys),                                      \
        SCHEDULER("HeunDiscreteScheduler", heun_keys),                                             \
        SCHEDULER("EulerDiscreteScheduler", euler_keys),                                           \
        SCHEDULER("EulerAncestralDiscreteScheduler", euler_ancestral_keys)

const struct kiln_exchange_file diffusers_parts[] = {PARTS, {0}};
const struct kiln_exchange_file diffusers_pipeline[] = {
    PARTS,
    {"model_index.json", NULL, NULL, index_keys, true},
    {0},
};

const struct kiln_exchange_alias diffusers_aliases[] = {
    {"to_q", "query"}, {"to_k", "key"}, {"to_v", "value"}, {"to_out.0", "proj_attn"}, {0},
};

static void write_types(const bool *attention, int n, const char *plain, char *text, size_t size)
{
    size_t used = 0;
    for (int i = 0; i < n && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%s%s", i ? ", " : "",
                                 attention[i] ? "Attn" : "", plain);
}

bool diffusers_value(const struct unet2d *net, const char *section, const char *key, char *text,
                     size_t size)
{
    if (strcmp(section, "network") != 0)
        return false;
    if (!strcmp(key, "down_block_types"))
        write_types(net->attention_down, net->n_levels, "DownBlock2D", text, size);
    else if (!strcmp(key, "up_block_types"))
        write_types(net->attention_up, net->n_levels, "UpBlock2D", text, size);
    else if (!strcmp(key, "resnet_time_scale_shift"))
        snprintf(text, size, "%s", net->scale_shift ? "scale_shift" : "default");
    else
        return false;
    return true;
}
