/* ContextUnet of TeaPearce/Conditional_Diffusion_MNIST. */
#include <stdio.h>

#include "models/cdiff/cdiff.h"

struct name {
    char text[96];
};

static struct name join(const char *prefix, const char *suffix)
{
    struct name name;
    snprintf(name.text, sizeof name.text, "%s%s", prefix, suffix);
    return name;
}

/* conv 3x3, batch norm, GELU */
static kiln_node conv_block(kiln_graph *g, const char *prefix, kiln_node x, int64_t out,
                            bool training)
{
    x = kiln_conv2d(g, join(prefix, ".0").text, x, out, 3, kiln_conv_params(1, 1, 1), true);
    return kiln_gelu(g, kiln_batch_norm(g, join(prefix, ".1").text, x, 1e-5, 0.1, training));
}

/* ResidualConvBlock; 1.414 is the author's number, not the root of 2. */
static kiln_node double_conv(kiln_graph *g, const char *prefix, kiln_node x, int64_t out,
                             bool residual, bool training)
{
    kiln_graph_label(g, prefix);
    kiln_node first = conv_block(g, join(prefix, ".conv1").text, x, out, training);
    kiln_node second = conv_block(g, join(prefix, ".conv2").text, first, out, training);
    if (!residual)
        return second;
    kiln_node base = kiln_shape(g, x).d[1] == out ? x : first;
    return kiln_mul_scalar(g, kiln_add(g, base, second), 1 / 1.414);
}

static kiln_node down(kiln_graph *g, const char *prefix, kiln_node x, int64_t out, bool training)
{
    struct kiln_window halve = {.size = {2, 2}, .stride = {2, 2}};
    return kiln_max_pool(g, double_conv(g, join(prefix, ".model.0").text, x, out, false, training),
                         halve);
}

static kiln_node up(kiln_graph *g, const char *prefix, kiln_node x, kiln_node skip, int64_t out,
                    bool training)
{
    x = kiln_concat(g, 2, (const kiln_node[]){x, skip}, 1);
    x = kiln_conv_transpose2d(g, join(prefix, ".model.0").text, x, out, 2, 2, 0, 0, true);
    x = double_conv(g, join(prefix, ".model.1").text, x, out, false, training);
    return double_conv(g, join(prefix, ".model.2").text, x, out, false, training);
}

/* linear, GELU, linear -> [n, width, 1, 1] */
static kiln_node embed(kiln_graph *g, const char *prefix, kiln_node x, int64_t width)
{
    x = kiln_gelu(g, kiln_linear(g, join(prefix, ".model.0").text, x, width, true));
    x = kiln_linear(g, join(prefix, ".model.2").text, x, width, true);
    return kiln_reshape(g, x, KILN_SHAPE(kiln_shape(g, x).d[0], width, 1, 1));
}

kiln_node context_unet_build(const struct cdiff *net, kiln_graph *g, kiln_node x, kiln_node t,
                             kiln_node label, bool training)
{
    int64_t f = net->n_feat, n = kiln_shape(g, x).d[0], channels = kiln_shape(g, x).d[1];
    double last = net->diffusion.schedule.n - 1;
    x = double_conv(g, "init_conv", x, f, true, training);
    kiln_node down1 = down(g, "down1", x, f, training);
    kiln_node down2 = down(g, "down2", down1, 2 * f, training);
    kiln_node vector = kiln_gelu(g, kiln_avg_pool(g, down2, 7));

    kiln_graph_label(g, "embeddings");
    kiln_node context = kiln_neg(g, kiln_one_hot(g, label, net->diffusion.data.n_classes));
    kiln_node time = kiln_reshape(g, kiln_mul_scalar(g, t, 1 / last), KILN_SHAPE(n, 1));
    kiln_node context1 = embed(g, "contextembed1", context, 2 * f),
              time1 = embed(g, "timeembed1", time, 2 * f);
    kiln_node context2 = embed(g, "contextembed2", context, f),
              time2 = embed(g, "timeembed2", time, f);

    kiln_node u = kiln_conv_transpose2d(g, "up0.0", vector, 2 * f, 7, 7, 0, 0, true);
    u = kiln_relu(g, kiln_group_norm(g, "up0.1", u, 8, 1e-5));
    u = up(g, "up1", kiln_add(g, kiln_mul(g, context1, u), time1), down2, f, training);
    u = up(g, "up2", kiln_add(g, kiln_mul(g, context2, u), time2), down1, f, training);

    kiln_graph_label(g, "out");
    u = kiln_concat(g, 2, (const kiln_node[]){u, x}, 1);
    u = kiln_conv2d(g, "out.0", u, f, 3, kiln_conv_params(1, 1, 1), true);
    u = kiln_relu(g, kiln_group_norm(g, "out.1", u, 8, 1e-5));
    u = kiln_conv2d(g, "out.3", u, channels, 3, kiln_conv_params(1, 1, 1), true);
    kiln_graph_label(g, "");
    return u;
}
