/* RefineNet of ermongroup/ncsnv2, and of ermongroup/ncsn when conditional. */
#include <stdio.h>

#include "models/ncsn/ncsn.h"

struct builder {
    const struct ncsn *net;
    kiln_graph *g;
    kiln_node level; /* conditional only */
};

struct name {
    char text[128];
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
    snprintf(name.text, sizeof name.text, "%s%s%d", prefix, what, i);
    return name;
}

static kiln_node activate(struct builder *b, kiln_node x)
{
    return kiln_elu(b->g, x, 1);
}

static kiln_node conv(struct builder *b, const char *name, kiln_node x, int64_t out, int kernel,
                      int dilation, bool bias)
{
    return kiln_conv2d(b->g, name, x, out, kernel,
                       kiln_conv_params(1, kernel / 2 * dilation, dilation), bias);
}

/* --- InstanceNorm++ --------------------------------------------------------- */

static kiln_node channel(kiln_graph *g, kiln_node x, int64_t n, int64_t c)
{
    return kiln_reshape(g, x, KILN_SHAPE(n, c, 1, 1));
}

static kiln_node scale(struct builder *b, const char *prefix, const char *what, int64_t c,
                       struct kiln_init init)
{
    return channel(b->g, kiln_parameter(b->g, join(prefix, what).text, KILN_SHAPE(c), init), 1, c);
}

/* gamma (IN(x) + alpha m) + beta, with m the channel means standardised over
 * the channels of each sample. */
static kiln_node norm(struct builder *b, const char *prefix, kiln_node x)
{
    kiln_graph *g = b->g;
    struct kiln_shape s = kiln_shape(g, x);
    int64_t n = s.d[0], c = s.d[1];
    kiln_node means = kiln_mean(g, x, 1u << 2 | 1u << 3);
    kiln_node centred = kiln_sub(g, means, kiln_mean(g, means, 1u << 1));
    kiln_node variance = kiln_mul_scalar(g, kiln_reduce_sum(g, kiln_square(g, centred), 1u << 1),
                                         1.0 / (double)(c > 1 ? c - 1 : 1));
    kiln_node m = kiln_div(g, centred, kiln_sqrt(g, kiln_add_scalar(g, variance, 1e-5)));
    kiln_node alpha, gamma, beta;
    if (b->net->conditional) {
        kiln_node rows = kiln_gather_rows(
            g,
            kiln_parameter(g, join(prefix, ".embed.weight").text,
                           KILN_SHAPE(b->net->ladder.num_scales, 3 * c),
                           (struct kiln_init){KILN_INIT_NORMAL, 1, 0.02f, 1.0f / 3}),
            b->level);
        gamma = channel(g, kiln_narrow(g, rows, 1, 0, c), n, c);
        alpha = channel(g, kiln_narrow(g, rows, 1, c, c), n, c);
        beta = channel(g, kiln_narrow(g, rows, 1, 2 * c, c), n, c);
    } else {
        struct kiln_init one = {KILN_INIT_NORMAL, 1, 0.02f};
        alpha = scale(b, prefix, ".alpha", c, one);
        gamma = scale(b, prefix, ".gamma", c, one);
        beta = scale(b, prefix, ".beta", c, (struct kiln_init){KILN_INIT_CONSTANT, 0, 0});
    }
    kiln_node h = kiln_add(g, kiln_instance_norm(g, x, 1e-5), kiln_mul(g, m, alpha));
    return kiln_add(g, kiln_mul(g, gamma, h), beta);
}

/* --- residual blocks ---------------------------------------------------------- */

static kiln_node conv_mean_pool(struct builder *b, const char *prefix, kiln_node x, int64_t out,
                                int kernel)
{
    return kiln_avg_pool(b->g, conv(b, join(prefix, ".conv").text, x, out, kernel, 1, true), 2);
}

/* down without dilation halves the map; with dilation it only dilates. */
static kiln_node residual(struct builder *b, const char *prefix, kiln_node x, int64_t out,
                          bool down, int dilation)
{
    kiln_graph *g = b->g;
    int64_t in = kiln_shape(g, x).d[1], inner = down ? in : out;
    bool pools = down && dilation == 1;
    kiln_graph_label(g, prefix);
    struct name conv1 = join(prefix, ".conv1"), conv2 = join(prefix, ".conv2"),
                side = join(prefix, ".shortcut");
    kiln_node h = activate(b, norm(b, join(prefix, ".normalize1").text, x));
    h = conv(b, conv1.text, h, inner, 3, dilation, true);
    h = activate(b, norm(b, join(prefix, ".normalize2").text, h));
    h = pools ? conv_mean_pool(b, conv2.text, h, out, 3)
              : conv(b, conv2.text, h, out, 3, dilation, true);
    if (in == out && !down)
        return kiln_add(g, x, h);
    if (pools)
        return kiln_add(g, conv_mean_pool(b, side.text, x, out, 1), h);
    /* a plain change of width has a 1x1 shortcut, a dilated one a 3x3 */
    return kiln_add(g, conv(b, side.text, x, out, dilation > 1 ? 3 : 1, dilation, true), h);
}

static kiln_node stage(struct builder *b, const char *name, kiln_node x, int64_t out, bool down,
                       int dilation)
{
    x = residual(b, numbered(name, ".", 0).text, x, out, down, dilation);
    return residual(b, numbered(name, ".", 1).text, x, out, false, dilation);
}

/* --- refinement ----------------------------------------------------------------- */

/* RCU: n blocks of two activated 3x3 convolutions with a residual. */
static kiln_node conv_unit(struct builder *b, const char *prefix, kiln_node x, int n_blocks)
{
    int64_t c = kiln_shape(b->g, x).d[1];
    for (int i = 1; i <= n_blocks; i++) {
        kiln_node residual_input = x;
        for (int j = 1; j <= 2; j++) {
            char name[160];
            if (b->net->conditional) {
                snprintf(name, sizeof name, "%s.%d_%d_norm", prefix, i, j);
                x = norm(b, name, x);
            }
            snprintf(name, sizeof name, "%s.%d_%d_conv", prefix, i, j);
            x = conv(b, name, activate(b, x), c, 3, 1, false);
        }
        x = kiln_add(b->g, x, residual_input);
    }
    return x;
}

/* MSF: each input convolved, resized to the first's size and summed. */
static kiln_node fuse(struct builder *b, const char *prefix, int n, const kiln_node *inputs,
                      int64_t features)
{
    kiln_graph *g = b->g;
    struct kiln_shape size = kiln_shape(g, inputs[0]);
    kiln_node sum = 0;
    for (int i = 0; i < n; i++) {
        kiln_node h = inputs[i];
        if (b->net->conditional)
            h = norm(b, numbered(prefix, ".norms.", i).text, h);
        h = conv(b, numbered(prefix, ".convs.", i).text, h, features, 3, 1, true);
        struct kiln_shape own = kiln_shape(g, h);
        if (own.d[2] != size.d[2] || own.d[3] != size.d[3])
            h = kiln_resize_bilinear(g, h, size.d[2], size.d[3], true);
        sum = sum ? kiln_add(g, sum, h) : h;
    }
    return sum;
}

/* CRP: a chain of 5x5 pooling and convolution, each added. */
static kiln_node pool_chain(struct builder *b, const char *prefix, kiln_node x)
{
    kiln_graph *g = b->g;
    int64_t c = kiln_shape(g, x).d[1];
    struct kiln_window window = {.size = {5, 5}, .stride = {1, 1}, .pad = {2, 2, 2, 2}};
    x = activate(b, x);
    kiln_node path = x;
    for (int i = 0; i < 2; i++) {
        if (b->net->conditional)
            path = kiln_avg_pool_same(g, norm(b, numbered(prefix, ".norms.", i).text, path), 5);
        else
            path = kiln_max_pool(g, path, window);
        path = conv(b, numbered(prefix, ".convs.", i).text, path, c, 3, 1, false);
        x = kiln_add(g, path, x);
    }
    return x;
}

static kiln_node refine(struct builder *b, const char *name, int n, const kiln_node *inputs,
                        int64_t features, bool end)
{
    kiln_node adapted[2];
    kiln_graph_label(b->g, name);
    for (int i = 0; i < n; i++)
        adapted[i] = conv_unit(b, numbered(name, ".adapt_convs.", i).text, inputs[i], 2);
    kiln_node h = n > 1 ? fuse(b, join(name, ".msf").text, n, adapted, features) : adapted[0];
    h = pool_chain(b, join(name, ".crp").text, h);
    return conv_unit(b, join(name, ".output_convs").text, h, end ? 3 : 1);
}

kiln_node refinenet_build(const struct ncsn *net, kiln_graph *g, kiln_node x, kiln_node level)
{
    struct builder b = {net, g, level};
    int64_t f = net->ngf, channels = kiln_shape(g, x).d[1];
    kiln_node h = kiln_add_scalar(g, kiln_mul_scalar(g, x, 2), -1);
    h = conv(&b, "begin_conv", h, f, 3, 1, true);
    kiln_node layer1 = stage(&b, "res1", h, f, false, 1);
    kiln_node layer2 = stage(&b, "res2", layer1, 2 * f, true, 1);
    kiln_node layer3 = stage(&b, "res3", layer2, 2 * f, true, 2);
    kiln_node layer4 = stage(&b, "res4", layer3, 2 * f, true, 4);
    h = refine(&b, "refine1", 1, &layer4, 2 * f, false);
    h = refine(&b, "refine2", 2, (const kiln_node[]){layer3, h}, 2 * f, false);
    h = refine(&b, "refine3", 2, (const kiln_node[]){layer2, h}, f, false);
    h = refine(&b, "refine4", 2, (const kiln_node[]){layer1, h}, f, true);
    kiln_graph_label(g, "end_conv");
    h = conv(&b, "end_conv", activate(&b, norm(&b, "normalizer", h)), channels, 3, 1, true);
    kiln_graph_label(g, "");
    return h;
}
