/* Adversarial losses: Wasserstein with clipping or penalty, and the classic. */
#include "models/wgan/wgan.h"

enum { STREAM_LATENT = 1, STREAM_MIX };

kiln_node wgan_generate(const struct wgan *net, kiln_graph *g, kiln_node z, bool training)
{
    return net->dcgan ? dcgan_generator(net, g, z, training) : pair28_generator(net, g, z);
}

kiln_node wgan_criticise(const struct wgan *net, kiln_graph *g, kiln_node x, bool training)
{
    return net->dcgan ? dcgan_critic(net, g, x, training) : pair28_critic(net, g, x);
}

kiln_node wgan_scale_in(const struct wgan *net, kiln_graph *g, kiln_node x)
{
    return net->dcgan ? kiln_add_scalar(g, kiln_mul_scalar(g, x, 2), -1) : x;
}

kiln_node wgan_scale_out(const struct wgan *net, kiln_graph *g, kiln_node x)
{
    return net->dcgan ? kiln_add_scalar(g, kiln_mul_scalar(g, x, 0.5), 0.5) : x;
}

kiln_node wgan_latents(const struct wgan *net, kiln_graph *g, int64_t n)
{
    struct kiln_rng rng = {.kind = KILN_RNG_NORMAL, .stream = STREAM_LATENT};
    return kiln_random(g, KILN_SHAPE(n, net->latent_size), rng);
}

kiln_node wgan_slope_penalty(kiln_graph *g, kiln_node score, kiln_node x)
{
    kiln_node slope;
    kiln_grad(g, score, 1, &x, &slope);
    kiln_graph_label(g, "penalty");
    /* the small constant keeps the root's gradient finite at slope 0 */
    kiln_node norm =
        kiln_sqrt(g, kiln_add_scalar(g, kiln_sum_per_sample(g, kiln_square(g, slope)), 1e-12));
    return kiln_mean_all(g, kiln_square(g, kiln_add_scalar(g, norm, -1)));
}

/* The penalty at points between real and fake, one random share per sample. */
static kiln_node gradient_penalty(const struct wgan *net, kiln_graph *g, kiln_node real,
                                  kiln_node fake)
{
    int64_t n = kiln_shape(g, real).d[0];
    struct kiln_rng rng = {.kind = KILN_RNG_UNIFORM, .stream = STREAM_MIX};
    kiln_node share = kiln_random(g, KILN_SHAPE(n, 1, 1, 1), rng);
    kiln_node between = kiln_add(g, real, kiln_mul(g, share, kiln_sub(g, fake, real)));
    return wgan_slope_penalty(g, wgan_criticise(net, g, between, true), between);
}

static kiln_node mean_softplus(kiln_graph *g, kiln_node x)
{
    return kiln_mean_all(g, kiln_softplus(g, x));
}

static void metric(struct kiln_loss *out, const char *name, kiln_node value)
{
    out->metrics[out->n_metrics++] = (struct kiln_metric){name, value};
}

void wgan_critic_loss(const struct wgan *net, kiln_graph *g, const struct kiln_batch *batch,
                      struct kiln_loss *out)
{
    kiln_node real = wgan_scale_in(net, g, batch->x);
    kiln_node fake =
        kiln_stop_gradient(g, wgan_generate(net, g, wgan_latents(net, g, batch->size), true));
    kiln_node on_real = wgan_criticise(net, g, real, true);
    kiln_node on_fake = wgan_criticise(net, g, fake, true);
    kiln_graph_label(g, "loss");
    kiln_node estimate = kiln_sub(g, kiln_mean_all(g, on_real), kiln_mean_all(g, on_fake));
    metric(out, "wasserstein", estimate);
    if (net->loss == LOSS_GAN || net->loss == LOSS_GAN_SATURATING) {
        out->loss = kiln_add(g, mean_softplus(g, kiln_neg(g, on_real)), mean_softplus(g, on_fake));
        return;
    }
    out->loss = kiln_neg(g, estimate);
    if (net->loss == LOSS_WGAN_GP) {
        kiln_node penalty = gradient_penalty(net, g, real, fake);
        metric(out, "penalty", penalty);
        out->loss = kiln_add(g, out->loss, kiln_mul_scalar(g, penalty, net->gp_weight));
    }
}

void wgan_generator_loss(const struct wgan *net, kiln_graph *g, const struct kiln_batch *batch,
                         struct kiln_loss *out)
{
    kiln_node fake = wgan_generate(net, g, wgan_latents(net, g, batch->size), true);
    kiln_node score = wgan_criticise(net, g, fake, true);
    kiln_graph_label(g, "loss");
    if (net->loss == LOSS_GAN)
        out->loss = mean_softplus(g, kiln_neg(g, score));
    else if (net->loss == LOSS_GAN_SATURATING)
        out->loss = kiln_neg(g, mean_softplus(g, score));
    else
        out->loss = kiln_neg(g, kiln_mean_all(g, score));
}
