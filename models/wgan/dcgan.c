/* DCGAN_G and DCGAN_D of martinarjovsky/WassersteinGAN. */
#include <stdarg.h>
#include <stdio.h>

#include "models/wgan/wgan.h"

static const double slope = 0.2, norm_epsilon = 1e-5, norm_momentum = 0.1;

struct name {
    char text[128];
};

static struct name named(const char *format, ...) KILN_PRINTF(1, 2);
static struct name named(const char *format, ...)
{
    struct name name;
    va_list args;
    va_start(args, format);
    vsnprintf(name.text, sizeof name.text, format, args);
    va_end(args);
    return name;
}

/* Declares module.weight with DCGAN's own first values before the module does. */
static void declare(kiln_graph *g, const char *module, struct kiln_shape shape, double mean)
{
    kiln_parameter(g, named("%s.weight", module).text, shape,
                   (struct kiln_init){KILN_INIT_NORMAL, (float)mean, 0.02f});
}

static kiln_node conv(kiln_graph *g, const char *module, kiln_node x, int64_t out, int kernel,
                      int stride, int padding)
{
    declare(g, module, KILN_SHAPE(out, kiln_shape(g, x).d[1], kernel, kernel), 0);
    return kiln_conv2d(g, module, x, out, kernel, kiln_conv_params(stride, padding, 1), false);
}

static kiln_node deconv(kiln_graph *g, const char *module, kiln_node x, int64_t out, int stride,
                        int padding)
{
    declare(g, module, KILN_SHAPE(kiln_shape(g, x).d[1], out, 4, 4), 0);
    return kiln_conv_transpose2d(g, module, x, out, 4, stride, padding, 0, false);
}

static kiln_node norm(kiln_graph *g, const char *module, kiln_node x, bool training)
{
    declare(g, module, KILN_SHAPE(kiln_shape(g, x).d[1]), 1);
    return kiln_batch_norm(g, module, x, norm_epsilon, norm_momentum, training);
}

kiln_node dcgan_generator(const struct wgan *net, kiln_graph *g, kiln_node z, bool training)
{
    static const char root[] = "generator.main";
    long long c = net->features / 2;
    for (int64_t size = 4; size < net->data.height; size *= 2)
        c *= 2;
    kiln_graph_label(g, "generator");
    kiln_node x = kiln_reshape(g, z, KILN_SHAPE(kiln_shape(g, z).d[0], net->latent_size, 1, 1));
    x = deconv(g, named("%s.initial:%lld-%lld:convt", root, (long long)net->latent_size, c).text, x,
               c, 1, 0);
    x = kiln_relu(g, norm(g, named("%s.initial:%lld:batchnorm", root, c).text, x, training));
    for (int64_t size = 4; size < net->data.height / 2; size *= 2, c /= 2) {
        x = deconv(g, named("%s.pyramid:%lld-%lld:convt", root, c, c / 2).text, x, c / 2, 2, 1);
        x = kiln_relu(g,
                      norm(g, named("%s.pyramid:%lld:batchnorm", root, c / 2).text, x, training));
    }
    for (int t = 0; t < net->extra_layers; t++) {
        x = conv(g, named("%s.extra-layers-%d:%lld:conv", root, t, c).text, x, c, 3, 1, 1);
        x = kiln_relu(
            g, norm(g, named("%s.extra-layers-%d:%lld:batchnorm", root, t, c).text, x, training));
    }
    long long channels = net->data.channels;
    x = deconv(g, named("%s.final:%lld-%lld:convt", root, c, channels).text, x, channels, 2, 1);
    kiln_graph_label(g, "");
    return kiln_tanh(g, x);
}

kiln_node dcgan_critic(const struct wgan *net, kiln_graph *g, kiln_node x, bool training)
{
    static const char root[] = "critic.main";
    long long c = net->features, channels = net->data.channels;
    kiln_graph_label(g, "critic");
    x = kiln_leaky_relu(
        g, conv(g, named("%s.initial:%lld-%lld:conv", root, channels, c).text, x, c, 4, 2, 1),
        slope);
    for (int t = 0; t < net->extra_layers; t++) {
        x = conv(g, named("%s.extra-layers-%d:%lld:conv", root, t, c).text, x, c, 3, 1, 1);
        if (net->critic_norm)
            x = norm(g, named("%s.extra-layers-%d:%lld:batchnorm", root, t, c).text, x, training);
        x = kiln_leaky_relu(g, x, slope);
    }
    for (int64_t size = net->data.height / 2; size > 4; size /= 2, c *= 2) {
        x = conv(g, named("%s.pyramid:%lld-%lld:conv", root, c, 2 * c).text, x, 2 * c, 4, 2, 1);
        if (net->critic_norm)
            x = norm(g, named("%s.pyramid:%lld:batchnorm", root, 2 * c).text, x, training);
        x = kiln_leaky_relu(g, x, slope);
    }
    x = conv(g, named("%s.final:%lld-1:conv", root, c).text, x, 1, 4, 1, 0);
    kiln_graph_label(g, "");
    return kiln_reshape(g, x, KILN_SHAPE(kiln_shape(g, x).d[0]));
}
