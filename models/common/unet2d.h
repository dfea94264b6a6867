/*
 * The U-Net of Ho et al. 2020 with the structure, configuration keys and
 * state_dict names of diffusers' UNet2DModel.
 */
#ifndef MODELS_COMMON_UNET2D_H
#define MODELS_COMMON_UNET2D_H

#include "core/api/model.h"

enum { UNET2D_MAX_LEVELS = 8 };

struct unet2d {
    int64_t in_channels, out_channels;
    int n_levels;
    int64_t block_out_channels[UNET2D_MAX_LEVELS];
    bool attention_down[UNET2D_MAX_LEVELS],
        attention_up[UNET2D_MAX_LEVELS]; /* up: in order of use */
    int layers_per_block;
    bool mid_block, add_attention;
    int64_t attention_head_dim; /* 0: one head */
    int norm_num_groups;
    int attn_norm_num_groups; /* mid block; 0: as norm_num_groups */
    double norm_eps, dropout, mid_block_scale_factor;
    char act_fn[16];
    bool scale_shift;       /* resnet_time_scale_shift = scale_shift */
    int downsample_padding; /* 1, or 0: one row and column after */
    bool downsample_conv, upsample_conv;
    bool center_input_sample, flip_sin_to_cos;
    double freq_shift;
    bool class_embed_timestep; /* class_embed_type = timestep */
    int64_t num_class_embeds;  /* 0: no class embedding */
};

/* Rows of a plugin's option table; the section is [network]. */
/* clang-format off */
#define UNET2D_OPTIONS                                                                             \
    {"network", "block_out_channels", KILN_OPTION_INTS, "64, 128, 128", 1, 8192, NULL,             \
     "features of each level; multiples of norm_num_groups"},                                      \
    {"network", "down_block_types", KILN_OPTION_STRING, "", 0, 0, NULL,                            \
     "DownBlock2D or AttnDownBlock2D for each level; empty = attention at the last level"},        \
    {"network", "up_block_types", KILN_OPTION_STRING, "", 0, 0, NULL,                              \
     "UpBlock2D or AttnUpBlock2D, the deepest first; empty = mirrors down_block_types"            \
    },                                                                                             \
    {"network", "mid_block_type", KILN_OPTION_CHOICE, "UNetMidBlock2D", 0, 0,                      \
     "UNetMidBlock2D|none", "middle block"},                                                       \
    {"network", "layers_per_block", KILN_OPTION_INT, "2", 1, 16, NULL,                             \
     "residual blocks of a level (one more up)"},                                                  \
    {"network", "attention_head_dim", KILN_OPTION_INT, "8", 0, 8192, NULL,                         \
     "features of a head; 0 = one head"},                                                          \
    {"network", "norm_num_groups", KILN_OPTION_INT, "32", 1, 1024, NULL,                           \
     "groups of the group norms"},                                                                 \
    {"network", "attn_norm_num_groups", KILN_OPTION_INT, "0", 0, 1024, NULL,                       \
     "groups of the middle attention's norm; 0 = norm_num_groups"},                                \
    {"network", "norm_eps", KILN_OPTION_FLOAT, "1e-5", 1e-12, 1, NULL, "epsilon of the norms"      \
    },                                                                                             \
    {"network", "act_fn", KILN_OPTION_CHOICE, "silu", 0, 0, "silu|swish|mish|gelu|relu",           \
     "activation"},                                                                                \
    {"network", "dropout", KILN_OPTION_FLOAT, "0", 0, 0.99, NULL,                                  \
     "dropout in residual blocks"},                                                                \
    {"network", "resnet_time_scale_shift", KILN_OPTION_CHOICE, "default", 0, 0,                    \
     "default|scale_shift", "time embedding is added, or scales and shifts the second norm"},      \
    {"network", "add_attention", KILN_OPTION_BOOL, "true", 0, 0, NULL,                             \
     "attention in the middle block"},                                                             \
    {"network", "mid_block_scale_factor", KILN_OPTION_FLOAT, "1", 1e-6, 1e6, NULL,                 \
     "divides the middle block's sums"},                                                           \
    {"network", "downsample_padding", KILN_OPTION_INT, "1", 0, 1, NULL,                            \
     "1 = each side; 0 = one row and column after (TensorFlow's SAME)"},                           \
    {"network", "downsample_type", KILN_OPTION_CHOICE, "conv", 0, 0, "conv|resnet",                \
     "how levels shrink"},                                                                         \
    {"network", "upsample_type", KILN_OPTION_CHOICE, "conv", 0, 0, "conv|resnet",                  \
     "how levels grow"},                                                                           \
    {"network", "center_input_sample", KILN_OPTION_BOOL, "false", 0, 0, NULL, "2 x - 1 first"      \
    },                                                                                             \
    {"network", "flip_sin_to_cos", KILN_OPTION_BOOL, "true", 0, 0, NULL,                           \
     "cosines before sines in the time embedding"},                                                \
    {"network", "freq_shift", KILN_OPTION_FLOAT, "0", 0, 1, NULL,                                  \
     "1 = Ho et al.'s frequencies"},                                                               \
    {"network", "class_embed_type", KILN_OPTION_CHOICE, "none", 0, 0, "none|timestep",             \
     "none = a table of num_class_embeds rows; timestep = the label as a time" }
/* clang-format on */

/*
 * Reads the options above. channels are those of the data, on both ends;
 * num_class_embeds 0 = unconditional. KILN_INPUT names the key: counts that do
 * not divide, unknown block types, a picture size the levels do not halve.
 */
enum kiln_status unet2d_init(struct unet2d *, const kiln_config *, int64_t in_channels,
                             int64_t out_channels, int64_t height, int64_t width,
                             int64_t num_class_embeds, struct kiln_error *);

/*
 * x      [n, in_channels, h, w] f32
 * t      [n] f32, timesteps
 * label  [n] i32, or 0 without class embedding
 * prefix of the parameters' names, "" or "unet."
 * training: dropout, with random streams from first_stream on
 *
 * Returns [n, out_channels, h, w].
 */
kiln_node unet2d_build(const struct unet2d *, kiln_graph *, const char *prefix, kiln_node x,
                       kiln_node t, kiln_node label, bool training, uint32_t first_stream);

#endif
