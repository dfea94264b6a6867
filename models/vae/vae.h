/*
 * The parts of the variational autoencoder: options, networks, prior, objective.
 */
#ifndef KILN_MODELS_VAE_H
#define KILN_MODELS_VAE_H

#include "core/api/model.h"

#define VAE_MAX_STAGES 6

/* Random streams of the model's rng nodes. */
enum vae_stream { VAE_STREAM_LATENT = 1, VAE_STREAM_COMPONENT };

enum vae_arch { VAE_MLP, VAE_CONV, VAE_RESNET };

enum vae_prior { VAE_NORMAL, VAE_MIXTURE };

enum vae_likelihood { VAE_BERNOULLI, VAE_GAUSSIAN };

struct vae {
    enum vae_arch arch;
    int64_t channels, height, width;
    int64_t latent, hidden;
    int n_stages; /* that halve the picture */
    int64_t widths[VAE_MAX_STAGES];
    int layers_per_block, norm_num_groups; /* resnet */
    enum vae_prior prior;
    int64_t prior_components; /* mixture */
    enum vae_likelihood likelihood;
    double beta, sigma;
};

/* x [n, c, h, w] in 0..1 -> mean and log-variance of q(z|x), both [n, latent]. */
void vae_encode(const struct vae *, kiln_graph *, kiln_node x, kiln_node *mean,
                kiln_node *log_variance);
/* z [n, latent] -> logits [n, c, h, w]; the sigmoid of one is a pixel's mean. */
kiln_node vae_decode(const struct vae *, kiln_graph *, kiln_node z);

/*
 * The residual network, of the blocks and with the names of diffusers'
 * AutoencoderKL, but without attention and with a latent vector instead of a
 * map. x [n, c, h, w] -> features [n, f]; z [n, latent] -> logits [n, c, h, w].
 */
kiln_node vae_resnet_features(const struct vae *, kiln_graph *, kiln_node x);
kiln_node vae_resnet_decode(const struct vae *, kiln_graph *, kiln_node z);

/*
 * KL(q(z|x) || p(z)) in nats, [n]: exact for N(0, 1); for the mixture
 * log q - log p at the one z drawn, with the exact entropy of q. mean,
 * log_variance and z [n, latent].
 * Source of the mixture: Tomczak & Welling 2018, section 3.2 (MoG).
 */
kiln_node vae_divergence(const struct vae *, kiln_graph *, kiln_node mean, kiln_node log_variance,
                         kiln_node z);
/* z [n, latent] of the prior from noise N(0, 1) [n, latent]. */
kiln_node vae_draw_prior(const struct vae *, kiln_graph *, kiln_node noise,
                         const struct kiln_sample_request *);

/* Per-sample figures [n] in nats of one draw of z from q(z|x). */
struct vae_terms {
    kiln_node reconstruction; /* -log p(x|z) */
    kiln_node divergence;     /* KL(q(z|x) || p(z)) */
};
void vae_terms(const struct vae *, kiln_graph *, kiln_node x, struct vae_terms *);

#endif
