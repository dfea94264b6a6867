/*
 * Generative adversarial networks: the networks and losses that the plugin's
 * table ties together.
 */
#ifndef MODELS_WGAN_WGAN_H
#define MODELS_WGAN_WGAN_H

#include "core/api/study.h"

enum gan_loss { LOSS_WGAN, LOSS_WGAN_GP, LOSS_GAN, LOSS_GAN_SATURATING };

struct wgan {
    struct kiln_data_info data;
    bool dcgan; /* network.arch: dcgan, else the 28x28 pair */
    int64_t latent_size, features;
    int extra_layers;
    bool critic_norm; /* batch norm in DCGAN's critic */
    enum gan_loss loss;
    double gp_weight, clamp;
    int critic_steps;
    bool critic_warmup, batch_stats;
};

/*
 * DCGAN_G and DCGAN_D of martinarjovsky/WassersteinGAN, with their state_dict
 * names under prefix ("generator." or "critic."): pictures in -1..1, a square
 * size that is 4 times a power of two. training: batch statistics.
 *
 * z [n, latent_size] -> [n, c, s, s]; x [n, c, s, s] -> [n].
 */
kiln_node dcgan_generator(const struct wgan *, kiln_graph *, kiln_node z, bool training);
kiln_node dcgan_critic(const struct wgan *, kiln_graph *, kiln_node x, bool training);

/*
 * The 28x28 pair of improved WGAN training (Gulrajani et al. 2017): pictures
 * in 0..1, TensorFlow's SAME padding, no normalisation.
 */
kiln_node pair28_generator(const struct wgan *, kiln_graph *, kiln_node z);
kiln_node pair28_critic(const struct wgan *, kiln_graph *, kiln_node x);

/* z -> pictures and pictures -> scores by the configured architecture. */
kiln_node wgan_generate(const struct wgan *, kiln_graph *, kiln_node z, bool training);
kiln_node wgan_criticise(const struct wgan *, kiln_graph *, kiln_node x, bool training);
/* Pictures in 0..1 in the networks' own range, and back. */
kiln_node wgan_scale_in(const struct wgan *, kiln_graph *, kiln_node x);
kiln_node wgan_scale_out(const struct wgan *, kiln_graph *, kiln_node x);
/* Normal latents of the batch. */
kiln_node wgan_latents(const struct wgan *, kiln_graph *, int64_t n);

/* mean (||grad score(x)|| - 1)^2 over the samples of x (Gulrajani et al. 2017,
 * eq. 3); score [n] or [n, 1] of x [n, ...]. */
kiln_node wgan_slope_penalty(kiln_graph *, kiln_node score, kiln_node x);
/* Losses of the two phases; metrics are filled in. */
void wgan_critic_loss(const struct wgan *, kiln_graph *, const struct kiln_batch *,
                      struct kiln_loss *);
void wgan_generator_loss(const struct wgan *, kiln_graph *, const struct kiln_batch *,
                         struct kiln_loss *);

/* Two normals moved apart. */
extern const struct kiln_study wgan_study_divergence;

#endif
