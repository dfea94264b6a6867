/*
 * The parts of the variational autoencoder: options, networks, objective.
 */
#ifndef KILN_MODELS_VAE_H
#define KILN_MODELS_VAE_H

#include "core/api/model.h"

#define VAE_MAX_STAGES 6

/* Random streams of the model's rng nodes. */
enum vae_stream { VAE_STREAM_LATENT = 1 };

enum vae_arch { VAE_MLP, VAE_CONV, VAE_RESNET };

enum vae_likelihood { VAE_BERNOULLI, VAE_GAUSSIAN };

struct vae {
    enum vae_arch arch;
    int64_t channels, height, width;
    int64_t latent, hidden;
    int n_stages; /* that halve the picture */
    int64_t widths[VAE_MAX_STAGES];
    int layers_per_block, norm_num_groups; /* resnet */
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

/* Per-sample figures [n] in nats of one draw of z from q(z|x). */
struct vae_terms {
    kiln_node reconstruction; /* -log p(x|z) */
    kiln_node divergence;     /* KL(q(z|x) || N(0, 1)) */
};
void vae_terms(const struct vae *, kiln_graph *, kiln_node x, struct vae_terms *);

#endif
