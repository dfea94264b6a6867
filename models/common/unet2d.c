/* The U-Net of diffusers' UNet2DModel, as a graph. */
#include "models/common/unet2d.h"

#include <math.h>

#include "models/common/unet_blocks.h"

enum { MAX_SKIPS = 160 };

/* [n, hw, heads d] -> [n heads, hw, d] */
static kiln_node split_heads(kiln_graph *g, kiln_node x, int64_t heads)
{
    struct kiln_shape s = kiln_shape(g, x);
    int64_t d = s.d[2] / heads;
    x = kiln_reshape(g, x, KILN_SHAPE(s.d[0], s.d[1], heads, d));
    x = kiln_permute(g, x, (const int[]){0, 2, 1, 3});
    return kiln_reshape(g, x, KILN_SHAPE(s.d[0] * heads, s.d[1], d));
}

static kiln_node merge_heads(kiln_graph *g, kiln_node x, int64_t heads)
{
    struct kiln_shape s = kiln_shape(g, x);
    x = kiln_reshape(g, x, KILN_SHAPE(s.d[0] / heads, heads, s.d[1], s.d[2]));
    x = kiln_permute(g, x, (const int[]){0, 2, 1, 3});
    return kiln_reshape(g, x, KILN_SHAPE(s.d[0] / heads, s.d[1], heads * s.d[2]));
}

/* Attention over pixels with a residual; groups 0 = no norm. */
static kiln_node attention(struct unet_builder *b, const struct unet2d *net, const char *prefix,
                           kiln_node x, int groups, double scale)
{
    kiln_graph *g = b->g;
    struct kiln_shape s = kiln_shape(g, x);
    int64_t c = s.d[1], pixels = s.d[2] * s.d[3];
    int64_t width = net->attention_head_dim ? net->attention_head_dim : c, heads = c / width;
    kiln_graph_label(g, prefix);
    kiln_node h = groups ? unet_norm(b, prefix, "group_norm", x, groups) : x;
    h = kiln_transpose(g, kiln_reshape(g, h, KILN_SHAPE(s.d[0], c, pixels)), 1, 2);
    kiln_node q = split_heads(g, kiln_linear(g, unet_join(prefix, "to_q").text, h, c, true), heads);
    kiln_node k = split_heads(g, kiln_linear(g, unet_join(prefix, "to_k").text, h, c, true), heads);
    kiln_node v = split_heads(g, kiln_linear(g, unet_join(prefix, "to_v").text, h, c, true), heads);
    h = kiln_scaled_attention(g, q, k, v, (float)(1 / sqrt((double)width)));
    h = kiln_linear(g, unet_join(prefix, "to_out.0").text, merge_heads(g, h, heads), c, true);
    h = kiln_reshape(g, kiln_transpose(g, h, 1, 2), KILN_SHAPE(s.d[0], c, s.d[2], s.d[3]));
    h = kiln_add(g, h, x);
    return scale == 1 ? h : kiln_mul_scalar(g, h, 1 / scale);
}

/* Only attention blocks know another way than a convolution, as in diffusers. */
static kiln_node shrink(struct unet_builder *b, const struct unet2d *net, const char *prefix,
                        kiln_node x, int64_t c, bool by_conv)
{
    if (!by_conv)
        return unet_residual(b, unet_join(prefix, "downsamplers.0.").text, x, c, 1, UNET_HALVE);
    return unet_shrink(b, prefix, "downsamplers.0.conv", x, c, net->downsample_padding);
}

static kiln_node grow(struct unet_builder *b, const char *prefix, kiln_node x, int64_t c,
                      bool by_conv)
{
    if (!by_conv)
        return unet_residual(b, unet_join(prefix, "upsamplers.0.").text, x, c, 1, UNET_DOUBLE);
    return unet_grow(b, prefix, "upsamplers.0.conv", x, c);
}

static kiln_node middle(struct unet_builder *b, const struct unet2d *net, const char *prefix,
                        kiln_node x)
{
    struct unet_name root = unet_join(prefix, "mid_block.");
    int64_t c = kiln_shape(b->g, x).d[1];
    double scale = net->mid_block_scale_factor;
    int groups = net->attn_norm_num_groups ? net->attn_norm_num_groups
                 : net->scale_shift        ? 0
                                           : net->norm_num_groups;
    x = unet_residual(b, unet_numbered(root.text, "resnets", 0).text, x, c, scale, UNET_KEEP);
    if (net->add_attention)
        x = attention(b, net, unet_numbered(root.text, "attentions", 0).text, x, groups, scale);
    return unet_residual(b, unet_numbered(root.text, "resnets", 1).text, x, c, scale, UNET_KEEP);
}

/* linear, SiLU, linear */
static kiln_node embed(kiln_graph *g, const char *prefix, const char *name, kiln_node x,
                       int64_t width)
{
    struct unet_name root = unet_join(prefix, name);
    x = kiln_silu(g, kiln_linear(g, unet_join(root.text, ".linear_1").text, x, width, true));
    return kiln_linear(g, unet_join(root.text, ".linear_2").text, x, width, true);
}

static kiln_node time_embedding(struct unet_builder *b, const struct unet2d *net,
                                const char *prefix, kiln_node t, kiln_node label)
{
    kiln_graph *g = b->g;
    int64_t c0 = net->block_out_channels[0], width = 4 * c0;
    kiln_node e = kiln_timestep_embedding(g, t, c0, net->flip_sin_to_cos, net->freq_shift, 10000);
    e = embed(g, prefix, "time_embedding", e, width);
    if (net->class_embed_timestep) {
        kiln_node c = kiln_timestep_embedding(g, kiln_cast(g, label, KILN_F32), c0,
                                              net->flip_sin_to_cos, net->freq_shift, 10000);
        e = kiln_add(g, e, embed(g, prefix, "class_embedding", c, width));
    } else if (net->num_class_embeds) {
        e = kiln_add(g, e,
                     kiln_embedding(g, unet_join(prefix, "class_embedding").text, label,
                                    net->num_class_embeds, width));
    }
    return e;
}

/* Down the levels, pushing every output that an up block will read. */
static kiln_node descend(struct unet_builder *b, const struct unet2d *net, const char *prefix,
                         kiln_node x, kiln_node *skips, int *n_skips)
{
    for (int level = 0; level < net->n_levels; level++) {
        struct unet_name root = unet_numbered(prefix, "down_blocks", level);
        int64_t c = net->block_out_channels[level];
        for (int i = 0; i < net->layers_per_block; i++) {
            x = unet_residual(b, unet_numbered(root.text, "resnets", i).text, x, c, 1, UNET_KEEP);
            if (net->attention_down[level])
                x = attention(b, net, unet_numbered(root.text, "attentions", i).text, x,
                              net->norm_num_groups, 1);
            skips[(*n_skips)++] = x;
        }
        if (level < net->n_levels - 1)
            skips[(*n_skips)++] = x = shrink(b, net, root.text, x, c,
                                             net->downsample_conv || !net->attention_down[level]);
    }
    return x;
}

static kiln_node ascend(struct unet_builder *b, const struct unet2d *net, const char *prefix,
                        kiln_node x, const kiln_node *skips, int n_skips)
{
    for (int i = 0; i < net->n_levels; i++) {
        struct unet_name root = unet_numbered(prefix, "up_blocks", i);
        int64_t c = net->block_out_channels[net->n_levels - 1 - i];
        for (int j = 0; j <= net->layers_per_block; j++) {
            x = kiln_concat(b->g, 2, (const kiln_node[]){x, skips[--n_skips]}, 1);
            x = unet_residual(b, unet_numbered(root.text, "resnets", j).text, x, c, 1, UNET_KEEP);
            if (net->attention_up[i])
                x = attention(b, net, unet_numbered(root.text, "attentions", j).text, x,
                              net->norm_num_groups, 1);
        }
        if (i < net->n_levels - 1)
            x = grow(b, root.text, x, c, net->upsample_conv || !net->attention_up[i]);
    }
    return x;
}

kiln_node unet2d_build(const struct unet2d *net, kiln_graph *g, const char *prefix, kiln_node x,
                       kiln_node t, kiln_node label, bool training, uint32_t first_stream)
{
    struct unet_builder b = {.g = g,
                             .act_fn = net->act_fn,
                             .groups = net->norm_num_groups,
                             .eps = net->norm_eps,
                             .scale_shift = net->scale_shift,
                             .dropout = training ? net->dropout : 0,
                             .stream = first_stream};
    kiln_node skips[MAX_SKIPS];
    int n_skips = 0;
    kiln_graph_label(g, "time_embedding");
    b.embedding = unet_activate(&b, time_embedding(&b, net, prefix, t, label));
    if (net->center_input_sample)
        x = kiln_add_scalar(g, kiln_mul_scalar(g, x, 2), -1);
    x = unet_conv(&b, prefix, "conv_in", x, net->block_out_channels[0], 3);
    skips[n_skips++] = x;
    x = descend(&b, net, prefix, x, skips, &n_skips);
    if (net->mid_block)
        x = middle(&b, net, prefix, x);
    x = ascend(&b, net, prefix, x, skips, n_skips);
    kiln_graph_label(g, "conv_out");
    x = kiln_silu(g, unet_norm(&b, prefix, "conv_norm_out", x, net->norm_num_groups));
    x = unet_conv(&b, prefix, "conv_out", x, net->out_channels, 3);
    kiln_graph_label(g, "");
    return x;
}
