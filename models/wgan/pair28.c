/* The 28x28 generator and critic of improved WGAN training (gan_mnist.py). */
#include <math.h>
#include <stdio.h>

#include "models/wgan/wgan.h"

enum { KERNEL = 5 };
static const double slope = 0.2;

/* TensorFlow's SAME padding of a 5x5 window with stride 2: more after. */
static struct kiln_conv same(int64_t large)
{
    struct kiln_conv geometry = kiln_conv_params(2, 0, 1);
    int64_t small = (large + 1) / 2;
    int total = (int)((small - 1) * 2 + KERNEL - large);
    geometry.pad[0] = geometry.pad[2] = total / 2;
    geometry.pad[1] = geometry.pad[3] = total - total / 2;
    return geometry;
}

static kiln_node parameter(kiln_graph *g, const char *module, const char *what,
                           struct kiln_shape shape, int64_t fan_in)
{
    char name[96];
    float bound = (float)(1 / sqrt((double)fan_in));
    snprintf(name, sizeof name, "%s.%s", module, what);
    return kiln_parameter(g, name, shape, (struct kiln_init){KILN_INIT_UNIFORM, -bound, bound});
}

static kiln_node add_bias(kiln_graph *g, const char *module, kiln_node x, int64_t fan_in)
{
    int64_t c = kiln_shape(g, x).d[1];
    kiln_node bias = parameter(g, module, "bias", KILN_SHAPE(c), fan_in);
    return kiln_add(g, x, kiln_reshape(g, bias, KILN_SHAPE(1, c, 1, 1)));
}

static kiln_node conv(kiln_graph *g, const char *module, kiln_node x, int64_t out)
{
    struct kiln_shape s = kiln_shape(g, x);
    int64_t fan_in = s.d[1] * KERNEL * KERNEL;
    kiln_node weight =
        parameter(g, module, "weight", KILN_SHAPE(out, s.d[1], KERNEL, KERNEL), fan_in);
    return add_bias(g, module, kiln_conv(g, x, weight, same(s.d[2])), fan_in);
}

static kiln_node deconv(kiln_graph *g, const char *module, kiln_node x, int64_t out)
{
    struct kiln_shape s = kiln_shape(g, x);
    int64_t fan_in = out * KERNEL * KERNEL, size = 2 * s.d[2];
    kiln_node weight =
        parameter(g, module, "weight", KILN_SHAPE(s.d[1], out, KERNEL, KERNEL), fan_in);
    return add_bias(g, module, kiln_conv_input_grad(g, x, weight, same(size), size, size), fan_in);
}

kiln_node pair28_generator(const struct wgan *net, kiln_graph *g, kiln_node z)
{
    int64_t n = kiln_shape(g, z).d[0], c = net->features;
    kiln_graph_label(g, "generator");
    kiln_node x = kiln_relu(g, kiln_linear(g, "generator.input", z, 4 * 4 * 4 * c, true));
    x = kiln_relu(
        g, deconv(g, "generator.deconv1", kiln_reshape(g, x, KILN_SHAPE(n, 4 * c, 4, 4)), 2 * c));
    x = kiln_narrow(g, kiln_narrow(g, x, 2, 0, 7), 3, 0, 7);
    x = kiln_relu(g, deconv(g, "generator.deconv2", x, c));
    x = kiln_sigmoid(g, deconv(g, "generator.deconv3", x, net->data.channels));
    kiln_graph_label(g, "");
    return x;
}

kiln_node pair28_critic(const struct wgan *net, kiln_graph *g, kiln_node x)
{
    int64_t n = kiln_shape(g, x).d[0], c = net->features;
    kiln_graph_label(g, "critic");
    x = kiln_leaky_relu(g, conv(g, "critic.conv1", x, c), slope);
    x = kiln_leaky_relu(g, conv(g, "critic.conv2", x, 2 * c), slope);
    x = kiln_leaky_relu(g, conv(g, "critic.conv3", x, 4 * c), slope);
    x = kiln_linear(g, "critic.output", kiln_flatten(g, x), 1, true);
    kiln_graph_label(g, "");
    return kiln_reshape(g, x, KILN_SHAPE(n));
}
