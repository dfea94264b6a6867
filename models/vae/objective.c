/* The evidence lower bound (Kingma & Welling 2014, eq. 10). */
#include "models/vae/vae.h"

#include <math.h>

/* z = mean + exp(log_variance / 2) noise */
static kiln_node draw_latent(kiln_graph *g, kiln_node mean, kiln_node log_variance)
{
    kiln_node noise =
        kiln_random(g, kiln_shape(g, mean),
                    (struct kiln_rng){.kind = KILN_RNG_NORMAL, .stream = VAE_STREAM_LATENT});
    kiln_node deviation = kiln_exp(g, kiln_mul_scalar(g, log_variance, 0.5));
    return kiln_add(g, mean, kiln_mul(g, deviation, noise));
}

/* -log p(x|z), elementwise. */
static kiln_node negative_log_likelihood(const struct vae *vae, kiln_graph *g, kiln_node x,
                                         kiln_node logits)
{
    if (vae->likelihood == VAE_BERNOULLI)
        return kiln_bce_with_logits(g, logits, x);
    const double log_sqrt_2pi = 0.91893853320467274178;
    kiln_node error = kiln_square(g, kiln_sub(g, x, kiln_sigmoid(g, logits)));
    error = kiln_mul_scalar(g, error, 0.5 / (vae->sigma * vae->sigma));
    return kiln_add_scalar(g, error, log(vae->sigma) + log_sqrt_2pi);
}

void vae_terms(const struct vae *vae, kiln_graph *g, kiln_node x, struct vae_terms *terms)
{
    kiln_node mean, log_variance;
    vae_encode(vae, g, x, &mean, &log_variance);
    kiln_node z = draw_latent(g, mean, log_variance);
    kiln_node logits = vae_decode(vae, g, z);
    kiln_graph_label(g, "objective");
    terms->reconstruction = kiln_sum_per_sample(g, negative_log_likelihood(vae, g, x, logits));
    terms->divergence = vae_divergence(vae, g, mean, log_variance, z);
    kiln_graph_label(g, "");
}
