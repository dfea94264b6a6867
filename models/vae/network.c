/* Encoder and decoder: fully connected, or of strided convolutions. */
#include "models/vae/vae.h"

#include <stdio.h>

/* A name of nn.Sequential's numbering, in which every second entry is a ReLU. */
static const char *stage_name(char text[32], const char *part, int stage)
{
    snprintf(text, 32, "%s.%d", part, 2 * stage);
    return text;
}

/* --- fully connected: pytorch/examples vae ------------------------------------ */

static kiln_node mlp_hidden(const struct vae *vae, kiln_graph *g, kiln_node x)
{
    return kiln_relu(g, kiln_linear(g, "fc1", kiln_flatten(g, x), vae->hidden, true));
}

static kiln_node mlp_decode(const struct vae *vae, kiln_graph *g, kiln_node z)
{
    kiln_node h = kiln_relu(g, kiln_linear(g, "fc3", z, vae->hidden, true));
    return kiln_linear(g, "fc4", h, vae->channels * vae->height * vae->width, true);
}

/* --- convolutional: each stage halves or doubles the sides ---------------------- */

enum { KERNEL = 4 }; /* with stride 2 and padding 1 every output sees equally many inputs */

static kiln_node conv_hidden(const struct vae *vae, kiln_graph *g, kiln_node x)
{
    char name[32];
    for (int i = 0; i < vae->n_stages; i++) {
        x = kiln_conv2d(g, stage_name(name, "encoder", i), x, vae->widths[i], KERNEL,
                        kiln_conv_params(2, 1, 1), true);
        x = kiln_relu(g, x);
    }
    return kiln_flatten(g, x);
}

static kiln_node conv_decode(const struct vae *vae, kiln_graph *g, kiln_node z)
{
    char name[32];
    int last = vae->n_stages - 1;
    int64_t side = vae->height >> vae->n_stages, batch = kiln_shape(g, z).d[0];
    kiln_node x = kiln_relu(g, kiln_linear(g, "fc3", z, vae->widths[last] * side * side, true));
    x = kiln_reshape(g, x, KILN_SHAPE(batch, vae->widths[last], side, side));
    for (int i = 0; i <= last; i++) {
        int64_t out = i < last ? vae->widths[last - 1 - i] : vae->channels;
        x = kiln_conv_transpose2d(g, stage_name(name, "decoder", i), x, out, KERNEL, 2, 1, 0, true);
        if (i < last)
            x = kiln_relu(g, x);
    }
    return x;
}

/* --- all --------------------------------------------------------------------------- */

void vae_encode(const struct vae *vae, kiln_graph *g, kiln_node x, kiln_node *mean,
                kiln_node *log_variance)
{
    kiln_graph_label(g, "encoder");
    kiln_node h = vae->arch == VAE_CONV     ? conv_hidden(vae, g, x)
                  : vae->arch == VAE_RESNET ? vae_resnet_features(vae, g, x)
                                            : mlp_hidden(vae, g, x);
    *mean = kiln_linear(g, "fc21", h, vae->latent, true);
    *log_variance = kiln_linear(g, "fc22", h, vae->latent, true);
    kiln_graph_label(g, "");
}

kiln_node vae_decode(const struct vae *vae, kiln_graph *g, kiln_node z)
{
    kiln_graph_label(g, "decoder");
    int64_t batch = kiln_shape(g, z).d[0];
    kiln_node logits = vae->arch == VAE_CONV     ? conv_decode(vae, g, z)
                       : vae->arch == VAE_RESNET ? vae_resnet_decode(vae, g, z)
                                                 : mlp_decode(vae, g, z);
    logits = kiln_reshape(g, logits, KILN_SHAPE(batch, vae->channels, vae->height, vae->width));
    kiln_graph_label(g, "");
    return logits;
}
