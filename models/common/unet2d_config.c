/* The U-Net's options, read and checked. */
#include <stdio.h>
#include <string.h>

#include "models/common/unet2d.h"

static const char section[] = "network";

/*
 * Reads a comma-separated list of block types into flags: plain or attention.
 * Returns false with the message set if a name is unknown or the number is not
 * n_levels.
 */
static bool read_blocks(const char *key, const char *text, const char *plain, const char *attention,
                        int n_levels, bool *flags, struct kiln_error *error)
{
    int n = 0;
    for (const char *p = text; *p;) {
        p += strspn(p, " \t,\"()[]'");
        size_t length = strcspn(p, " \t,\"()[]'");
        if (!length)
            break;
        bool is_attention = length == strlen(attention) && !strncmp(p, attention, length);
        bool is_plain = length == strlen(plain) && !strncmp(p, plain, length);
        if (!is_attention && !is_plain) {
            kiln_fail(error, KILN_INPUT, "[network] %s: '%.*s' is neither %s nor %s", key,
                      (int)length, p, plain, attention);
            return false;
        }
        if (n < n_levels)
            flags[n] = is_attention;
        n++;
        p += length;
    }
    if (n != n_levels) {
        kiln_fail(error, KILN_INPUT, "[network] %s: %d types for %d levels of block_out_channels",
                  key, n, n_levels);
        return false;
    }
    return true;
}

static bool read_types(struct unet2d *net, const kiln_config *config, struct kiln_error *error)
{
    const char *down = kiln_config_string(config, section, "down_block_types");
    const char *up = kiln_config_string(config, section, "up_block_types");
    if (*down) {
        if (!read_blocks("down_block_types", down, "DownBlock2D", "AttnDownBlock2D", net->n_levels,
                         net->attention_down, error))
            return false;
    } else {
        net->attention_down[net->n_levels - 1] = true;
    }
    if (*up)
        return read_blocks("up_block_types", up, "UpBlock2D", "AttnUpBlock2D", net->n_levels,
                           net->attention_up, error);
    for (int i = 0; i < net->n_levels; i++)
        net->attention_up[i] = net->attention_down[net->n_levels - 1 - i];
    return true;
}

static enum kiln_status check(const struct unet2d *net, int64_t height, int64_t width,
                              struct kiln_error *error)
{
    int64_t factor = (int64_t)1 << (net->n_levels - 1);
    if (height % factor || width % factor)
        return kiln_fail(error, KILN_INPUT,
                         "[network] block_out_channels: %d levels need a picture size divisible by "
                         "%lld, not %lld x "
                         "%lld (set [data] image_size)",
                         net->n_levels, (long long)factor, (long long)height, (long long)width);
    for (int i = 0; i < net->n_levels; i++) {
        int64_t c = net->block_out_channels[i];
        if (c % net->norm_num_groups)
            return kiln_fail(
                error, KILN_INPUT,
                "[network] block_out_channels: %lld is not a multiple of norm_num_groups = %d",
                (long long)c, net->norm_num_groups);
        if (net->attention_head_dim && c % net->attention_head_dim &&
            (net->attention_down[i] || net->attention_up[net->n_levels - 1 - i] ||
             (i == net->n_levels - 1 && net->add_attention)))
            return kiln_fail(
                error, KILN_INPUT,
                "[network] attention_head_dim: %lld does not divide the %lld features of level %d",
                (long long)net->attention_head_dim, (long long)c, i);
    }
    int64_t deepest = net->block_out_channels[net->n_levels - 1];
    if (net->attn_norm_num_groups && deepest % net->attn_norm_num_groups)
        return kiln_fail(error, KILN_INPUT,
                         "[network] attn_norm_num_groups: %d does not divide %lld features",
                         net->attn_norm_num_groups, (long long)deepest);
    return KILN_OK;
}

enum kiln_status unet2d_init(struct unet2d *net, const kiln_config *config, int64_t in_channels,
                             int64_t out_channels, int64_t height, int64_t width,
                             int64_t num_class_embeds, struct kiln_error *error)
{
    *net = (struct unet2d){
        .in_channels = in_channels,
        .out_channels = out_channels,
        .layers_per_block = (int)kiln_config_int(config, section, "layers_per_block"),
        .mid_block =
            !strcmp(kiln_config_string(config, section, "mid_block_type"), "UNetMidBlock2D"),
        .add_attention = kiln_config_bool(config, section, "add_attention"),
        .attention_head_dim = kiln_config_int(config, section, "attention_head_dim"),
        .norm_num_groups = (int)kiln_config_int(config, section, "norm_num_groups"),
        .attn_norm_num_groups = (int)kiln_config_int(config, section, "attn_norm_num_groups"),
        .norm_eps = kiln_config_float(config, section, "norm_eps"),
        .dropout = kiln_config_float(config, section, "dropout"),
        .mid_block_scale_factor = kiln_config_float(config, section, "mid_block_scale_factor"),
        .scale_shift =
            !strcmp(kiln_config_string(config, section, "resnet_time_scale_shift"), "scale_shift"),
        .downsample_padding = (int)kiln_config_int(config, section, "downsample_padding"),
        .downsample_conv = !strcmp(kiln_config_string(config, section, "downsample_type"), "conv"),
        .upsample_conv = !strcmp(kiln_config_string(config, section, "upsample_type"), "conv"),
        .center_input_sample = kiln_config_bool(config, section, "center_input_sample"),
        .flip_sin_to_cos = kiln_config_bool(config, section, "flip_sin_to_cos"),
        .freq_shift = kiln_config_float(config, section, "freq_shift"),
        .class_embed_timestep =
            !strcmp(kiln_config_string(config, section, "class_embed_type"), "timestep"),
        .num_class_embeds = num_class_embeds,
    };
    snprintf(net->act_fn, sizeof net->act_fn, "%s", kiln_config_string(config, section, "act_fn"));
    double channels[UNET2D_MAX_LEVELS + 1];
    int n =
        kiln_config_list(config, section, "block_out_channels", UNET2D_MAX_LEVELS + 1, channels);
    if (n < 1 || n > UNET2D_MAX_LEVELS)
        return kiln_fail(error, KILN_INPUT, "[network] block_out_channels: %d levels, not 1 to %d",
                         n, UNET2D_MAX_LEVELS);
    net->n_levels = n;
    for (int i = 0; i < n; i++)
        net->block_out_channels[i] = (int64_t)channels[i];
    if (!read_types(net, config, error))
        return KILN_INPUT;
    return check(net, height, width, error);
}
