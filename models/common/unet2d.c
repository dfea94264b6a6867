/* The U-Net of diffusers' UNet2DModel, as a graph. */
#include "models/common/unet2d.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_NAME = 192, MAX_SKIPS = 160 };

/* What every block needs. */
struct builder {
    const struct unet2d *net;
    kiln_graph *g;
    bool training;
    uint32_t stream;     /* next random stream */
    kiln_node embedding; /* activated time (and class) embedding [n, 4 c0] */
};

struct name {
    char text[MAX_NAME];
};

static struct name join(const char *prefix, const char *suffix)
{
    struct name name;
    snprintf(name.text, sizeof name.text, "%s%s", prefix, suffix);
    return name;
}

static struct name numbered(const char *prefix, const char *what, int i)
{
    struct name name;
    snprintf(name.text, sizeof name.text, "%s%s.%d.", prefix, what, i);
    return name;
}

static kiln_node activate(const struct builder *b, kiln_node x)
{
    const char *act = b->net->act_fn;
    if (!strcmp(act, "relu"))
        return kiln_relu(b->g, x);
    if (!strcmp(act, "gelu"))
        return kiln_gelu(b->g, x);
    if (!strcmp(act, "mish"))
        return kiln_mul(b->g, x, kiln_tanh(b->g, kiln_softplus(b->g, x)));
    return kiln_silu(b->g, x);
}

/* [n, c] -> [n, c, 1, 1] */
static kiln_node as_map(kiln_graph *g, kiln_node x)
{
    struct kiln_shape shape = kiln_shape(g, x);
    return kiln_reshape(g, x, KILN_SHAPE(shape.d[0], shape.d[1], 1, 1));
}

static kiln_node norm(struct builder *b, const char *prefix, const char *name, kiln_node x,
                      int groups)
{
    return kiln_group_norm(b->g, join(prefix, name).text, x, groups, b->net->norm_eps);
}

static kiln_node conv(struct builder *b, const char *prefix, const char *name, kiln_node x,
                      int64_t out, int kernel)
{
    return kiln_conv2d(b->g, join(prefix, name).text, x, out, kernel,
                       kiln_conv_params(1, kernel / 2, 1), true);
}

enum resample { KEEP, HALVE, DOUBLE };

static kiln_node resampled(struct builder *b, kiln_node x, enum resample how)
{
    if (how == HALVE)
        return kiln_avg_pool(b->g, x, 2);
    return how == DOUBLE ? kiln_upsample_nearest(b->g, x, 2) : x;
}

/* ResnetBlock2D: norm, act, conv, + time, norm, act, conv, + shortcut. */
static kiln_node residual(struct builder *b, const char *prefix, kiln_node x, int64_t out,
                          double scale, enum resample how)
{
    kiln_graph *g = b->g;
    const struct unet2d *net = b->net;
    int64_t in = kiln_shape(g, x).d[1];
    kiln_graph_label(g, prefix);
    kiln_node h = activate(b, norm(b, prefix, "norm1", x, net->norm_num_groups));
    h = resampled(b, h, how);
    x = resampled(b, x, how);
    h = conv(b, prefix, "conv1", h, out, 3);
    int64_t width = net->scale_shift ? 2 * out : out;
    kiln_node time =
        as_map(g, kiln_linear(g, join(prefix, "time_emb_proj").text, b->embedding, width, true));
    if (net->scale_shift) {
        h = norm(b, prefix, "norm2", h, net->norm_num_groups);
        kiln_node factor = kiln_add_scalar(g, kiln_narrow(g, time, 1, 0, out), 1);
        h = kiln_add(g, kiln_mul(g, h, factor), kiln_narrow(g, time, 1, out, out));
    } else {
        h = norm(b, prefix, "norm2", kiln_add(g, h, time), net->norm_num_groups);
    }
    h = activate(b, h);
    if (b->training && net->dropout > 0)
        h = kiln_dropout(g, h, net->dropout, b->stream++);
    h = conv(b, prefix, "conv2", h, out, 3);
    if (in != out)
        x = conv(b, prefix, "conv_shortcut", x, out, 1);
    h = kiln_add(g, x, h);
    return scale == 1 ? h : kiln_mul_scalar(g, h, 1 / scale);
}

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
static kiln_node attention(struct builder *b, const char *prefix, kiln_node x, int groups,
                           double scale)
{
    kiln_graph *g = b->g;
    struct kiln_shape s = kiln_shape(g, x);
    int64_t c = s.d[1], pixels = s.d[2] * s.d[3];
    int64_t width = b->net->attention_head_dim ? b->net->attention_head_dim : c, heads = c / width;
    kiln_graph_label(g, prefix);
    kiln_node h = groups ? norm(b, prefix, "group_norm", x, groups) : x;
    h = kiln_transpose(g, kiln_reshape(g, h, KILN_SHAPE(s.d[0], c, pixels)), 1, 2);
    kiln_node q = split_heads(g, kiln_linear(g, join(prefix, "to_q").text, h, c, true), heads);
    kiln_node k = split_heads(g, kiln_linear(g, join(prefix, "to_k").text, h, c, true), heads);
    kiln_node v = split_heads(g, kiln_linear(g, join(prefix, "to_v").text, h, c, true), heads);
    h = kiln_scaled_attention(g, q, k, v, (float)(1 / sqrt((double)width)));
    h = kiln_linear(g, join(prefix, "to_out.0").text, merge_heads(g, h, heads), c, true);
    h = kiln_reshape(g, kiln_transpose(g, h, 1, 2), KILN_SHAPE(s.d[0], c, s.d[2], s.d[3]));
    h = kiln_add(g, h, x);
    return scale == 1 ? h : kiln_mul_scalar(g, h, 1 / scale);
}

/* Only attention blocks know another way than a convolution, as in diffusers. */
static kiln_node shrink(struct builder *b, const char *prefix, kiln_node x, int64_t c, bool by_conv)
{
    if (!by_conv)
        return residual(b, join(prefix, "downsamplers.0.").text, x, c, 1, HALVE);
    struct kiln_conv geometry = kiln_conv_params(2, 1, 1);
    if (b->net->downsample_padding == 0)
        geometry.pad[0] = geometry.pad[2] = 0;
    return kiln_conv2d(b->g, join(prefix, "downsamplers.0.conv").text, x, c, 3, geometry, true);
}

static kiln_node grow(struct builder *b, const char *prefix, kiln_node x, int64_t c, bool by_conv)
{
    if (!by_conv)
        return residual(b, join(prefix, "upsamplers.0.").text, x, c, 1, DOUBLE);
    return conv(b, prefix, "upsamplers.0.conv", kiln_upsample_nearest(b->g, x, 2), c, 3);
}

static kiln_node middle(struct builder *b, const char *prefix, kiln_node x)
{
    const struct unet2d *net = b->net;
    struct name root = join(prefix, "mid_block.");
    int64_t c = kiln_shape(b->g, x).d[1];
    double scale = net->mid_block_scale_factor;
    int groups = net->attn_norm_num_groups ? net->attn_norm_num_groups
                 : net->scale_shift        ? 0
                                           : net->norm_num_groups;
    x = residual(b, numbered(root.text, "resnets", 0).text, x, c, scale, KEEP);
    if (net->add_attention)
        x = attention(b, numbered(root.text, "attentions", 0).text, x, groups, scale);
    return residual(b, numbered(root.text, "resnets", 1).text, x, c, scale, KEEP);
}

/* linear, SiLU, linear */
static kiln_node embed(kiln_graph *g, const char *prefix, const char *name, kiln_node x,
                       int64_t width)
{
    struct name root = join(prefix, name);
    x = kiln_silu(g, kiln_linear(g, join(root.text, ".linear_1").text, x, width, true));
    return kiln_linear(g, join(root.text, ".linear_2").text, x, width, true);
}

static kiln_node time_embedding(struct builder *b, const char *prefix, kiln_node t, kiln_node label)
{
    const struct unet2d *net = b->net;
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
                     kiln_embedding(g, join(prefix, "class_embedding").text, label,
                                    net->num_class_embeds, width));
    }
    return e;
}

/* Down the levels, pushing every output that an up block will read. */
static kiln_node descend(struct builder *b, const char *prefix, kiln_node x, kiln_node *skips,
                         int *n_skips)
{
    const struct unet2d *net = b->net;
    for (int level = 0; level < net->n_levels; level++) {
        struct name root = numbered(prefix, "down_blocks", level);
        int64_t c = net->block_out_channels[level];
        for (int i = 0; i < net->layers_per_block; i++) {
            x = residual(b, numbered(root.text, "resnets", i).text, x, c, 1, KEEP);
            if (net->attention_down[level])
                x = attention(b, numbered(root.text, "attentions", i).text, x, net->norm_num_groups,
                              1);
            skips[(*n_skips)++] = x;
        }
        if (level < net->n_levels - 1)
            skips[(*n_skips)++] = x =
                shrink(b, root.text, x, c, net->downsample_conv || !net->attention_down[level]);
    }
    return x;
}

static kiln_node ascend(struct builder *b, const char *prefix, kiln_node x, const kiln_node *skips,
                        int n_skips)
{
    const struct unet2d *net = b->net;
    for (int i = 0; i < net->n_levels; i++) {
        struct name root = numbered(prefix, "up_blocks", i);
        int64_t c = net->block_out_channels[net->n_levels - 1 - i];
        for (int j = 0; j <= net->layers_per_block; j++) {
            x = kiln_concat(b->g, 2, (const kiln_node[]){x, skips[--n_skips]}, 1);
            x = residual(b, numbered(root.text, "resnets", j).text, x, c, 1, KEEP);
            if (net->attention_up[i])
                x = attention(b, numbered(root.text, "attentions", j).text, x, net->norm_num_groups,
                              1);
        }
        if (i < net->n_levels - 1)
            x = grow(b, root.text, x, c, net->upsample_conv || !net->attention_up[i]);
    }
    return x;
}

kiln_node unet2d_build(const struct unet2d *net, kiln_graph *g, const char *prefix, kiln_node x,
                       kiln_node t, kiln_node label, bool training, uint32_t first_stream)
{
    struct builder b = {.net = net, .g = g, .training = training, .stream = first_stream};
    kiln_node skips[MAX_SKIPS];
    int n_skips = 0;
    kiln_graph_label(g, "time_embedding");
    b.embedding = activate(&b, time_embedding(&b, prefix, t, label));
    if (net->center_input_sample)
        x = kiln_add_scalar(g, kiln_mul_scalar(g, x, 2), -1);
    x = conv(&b, prefix, "conv_in", x, net->block_out_channels[0], 3);
    skips[n_skips++] = x;
    x = descend(&b, prefix, x, skips, &n_skips);
    if (net->mid_block)
        x = middle(&b, prefix, x);
    x = ascend(&b, prefix, x, skips, n_skips);
    kiln_graph_label(g, "conv_out");
    x = kiln_silu(g, norm(&b, prefix, "conv_norm_out", x, net->norm_num_groups));
    x = conv(&b, prefix, "conv_out", x, net->out_channels, 3);
    kiln_graph_label(g, "");
    return x;
}
