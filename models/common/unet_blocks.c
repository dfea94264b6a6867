/* Blocks of diffusers' networks. */
#include "models/common/unet_blocks.h"

#include <stdio.h>
#include <string.h>

struct unet_name unet_join(const char *prefix, const char *suffix)
{
    struct unet_name name;
    snprintf(name.text, sizeof name.text, "%s%s", prefix, suffix);
    return name;
}

struct unet_name unet_numbered(const char *prefix, const char *what, int i)
{
    struct unet_name name;
    snprintf(name.text, sizeof name.text, "%s%s.%d.", prefix, what, i);
    return name;
}

kiln_node unet_activate(const struct unet_builder *b, kiln_node x)
{
    if (!strcmp(b->act_fn, "relu"))
        return kiln_relu(b->g, x);
    if (!strcmp(b->act_fn, "gelu"))
        return kiln_gelu(b->g, x);
    if (!strcmp(b->act_fn, "mish"))
        return kiln_mul(b->g, x, kiln_tanh(b->g, kiln_softplus(b->g, x)));
    return kiln_silu(b->g, x);
}

kiln_node unet_norm(const struct unet_builder *b, const char *prefix, const char *name, kiln_node x,
                    int groups)
{
    return kiln_group_norm(b->g, unet_join(prefix, name).text, x, groups, b->eps);
}

kiln_node unet_conv(const struct unet_builder *b, const char *prefix, const char *name, kiln_node x,
                    int64_t out, int kernel)
{
    return kiln_conv2d(b->g, unet_join(prefix, name).text, x, out, kernel,
                       kiln_conv_params(1, kernel / 2, 1), true);
}

static kiln_node resampled(kiln_graph *g, kiln_node x, enum unet_resample how)
{
    if (how == UNET_HALVE)
        return kiln_avg_pool(g, x, 2);
    return how == UNET_DOUBLE ? kiln_upsample_nearest(g, x, 2) : x;
}

/* The second norm of a residual block, with the embedding if there is one. */
static kiln_node embedded_norm(const struct unet_builder *b, const char *prefix, kiln_node h)
{
    kiln_graph *g = b->g;
    int64_t n = kiln_shape(g, h).d[0], out = kiln_shape(g, h).d[1];
    if (!b->embedding)
        return unet_norm(b, prefix, "norm2", h, b->groups);
    int64_t width = b->scale_shift ? 2 * out : out;
    kiln_node time =
        kiln_linear(g, unet_join(prefix, "time_emb_proj").text, b->embedding, width, true);
    time = kiln_reshape(g, time, KILN_SHAPE(n, width, 1, 1));
    if (!b->scale_shift)
        return unet_norm(b, prefix, "norm2", kiln_add(g, h, time), b->groups);
    h = unet_norm(b, prefix, "norm2", h, b->groups);
    kiln_node factor = kiln_add_scalar(g, kiln_narrow(g, time, 1, 0, out), 1);
    return kiln_add(g, kiln_mul(g, h, factor), kiln_narrow(g, time, 1, out, out));
}

kiln_node unet_residual(struct unet_builder *b, const char *prefix, kiln_node x, int64_t out,
                        double scale, enum unet_resample how)
{
    kiln_graph *g = b->g;
    int64_t in = kiln_shape(g, x).d[1];
    kiln_graph_label(g, prefix);
    kiln_node h = unet_activate(b, unet_norm(b, prefix, "norm1", x, b->groups));
    h = resampled(g, h, how);
    x = resampled(g, x, how);
    h = unet_conv(b, prefix, "conv1", h, out, 3);
    h = unet_activate(b, embedded_norm(b, prefix, h));
    if (b->dropout > 0)
        h = kiln_dropout(g, h, b->dropout, b->stream++);
    h = unet_conv(b, prefix, "conv2", h, out, 3);
    if (in != out)
        x = unet_conv(b, prefix, "conv_shortcut", x, out, 1);
    h = kiln_add(g, x, h);
    return scale == 1 ? h : kiln_mul_scalar(g, h, 1 / scale);
}

kiln_node unet_shrink(const struct unet_builder *b, const char *prefix, const char *name,
                      kiln_node x, int64_t out, int padding)
{
    struct kiln_conv geometry = kiln_conv_params(2, 1, 1);
    if (padding == 0)
        geometry.pad[0] = geometry.pad[2] = 0;
    return kiln_conv2d(b->g, unet_join(prefix, name).text, x, out, 3, geometry, true);
}

kiln_node unet_grow(const struct unet_builder *b, const char *prefix, const char *name, kiln_node x,
                    int64_t out)
{
    return unet_conv(b, prefix, name, kiln_upsample_nearest(b->g, x, 2), out, 3);
}
