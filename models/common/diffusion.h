/*
 * Discrete-time diffusion around any network: the training loss, its figures
 * and the samplers. Used by every diffusion plugin.
 */
#ifndef MODELS_COMMON_DIFFUSION_H
#define MODELS_COMMON_DIFFUSION_H

#include "core/api/model.h"
#include "models/common/sampler_table.h"

/* Random streams of a diffusion graph; a network's own start at the last. */
enum { STREAM_TIMESTEP = 1, STREAM_NOISE, STREAM_SAMPLER, STREAM_LABEL, STREAM_NETWORK };

/* The network: x [n, c, h, w] in -1..1 plus noise, t f32 [n], label i32 [n] or
 * 0 -> output of x's shape, of the configured prediction_type. */
typedef kiln_node diffusion_network_fn(const void *model, kiln_graph *, kiln_node x, kiln_node t,
                                       kiln_node label, bool training);

/* The first member of a plugin's state, so that functions here serve as the
 * plugin's own. */
struct diffusion {
    diffusion_network_fn *network; /* called with the plugin's state */
    int64_t null_label;            /* the label that is no condition; 0 = the network takes none */
    struct noise_schedule schedule;
    struct sampler_options sampling; /* kind, steps, eta and noise_scale by request */
    double clip;                     /* largest |x0| when sampling, 0 = unclipped */
    double threshold_ratio;          /* quantile of dynamic thresholding, 0 = none */
    double sample_max_value;         /* largest threshold */
    double snr_gamma;                /* min-SNR weighting, 0 = simple loss */
    bool unit_range;                 /* the network sees pictures in 0..1, not -1..1 */
    int first_timestep;              /* the smallest one trained: 0, or 1 */
    struct kiln_data_info data;
};

/* Rows of a plugin's option table: [scheduler] with the keys of diffusers'
 * schedulers, and the loss weighting. */
/* clang-format off */
#define DIFFUSION_OPTIONS                                                                          \
    {"scheduler", "num_train_timesteps", KILN_OPTION_INT, "1000", 1, 100000, NULL,                 \
     "steps of the forward process"},                                                              \
    {"scheduler", "beta_schedule", KILN_OPTION_CHOICE, "linear", 0, 0,                             \
     "linear|scaled_linear|squaredcos_cap_v2", "how the noise grows"},                             \
    {"scheduler", "beta_start", KILN_OPTION_FLOAT, "0.0001", 1e-9, 0.999, NULL, "first beta"       \
    },                                                                                             \
    {"scheduler", "beta_end", KILN_OPTION_FLOAT, "0.02", 1e-9, 0.999, NULL, "last beta"},          \
    {"scheduler", "rescale_betas_zero_snr", KILN_OPTION_BOOL, "false", 0, 0, NULL,                 \
     "end in pure noise"},                                                                         \
    {"scheduler", "prediction_type", KILN_OPTION_CHOICE, "epsilon", 0, 0,                          \
     "epsilon|sample|v_prediction", "what the network predicts"},                                  \
    {"scheduler", "variance_type", KILN_OPTION_CHOICE, "fixed_small", 0, 0,                        \
     "fixed_small|fixed_large", "variance of the ancestral steps"},                                \
    {"scheduler", "clip_sample", KILN_OPTION_BOOL, "true", 0, 0, NULL,                             \
     "clip the predicted picture (ddpm, ddim)"},                                                   \
    {"scheduler", "clip_sample_range", KILN_OPTION_FLOAT, "1", 1e-6, 1e6, NULL, "to +- this"       \
    },                                                                                             \
    {"scheduler", "thresholding", KILN_OPTION_BOOL, "false", 0, 0, NULL,                           \
     "dynamic thresholding of the predicted picture instead (ddpm, ddim, dpmpp_2m)"},              \
    {"scheduler", "dynamic_thresholding_ratio", KILN_OPTION_FLOAT, "0.995", 0, 1, NULL,            \
     "thresholding: quantile of a sample's values that becomes 1"},                                \
    {"scheduler", "sample_max_value", KILN_OPTION_FLOAT, "1", 1, 1e6, NULL,                        \
     "thresholding: the largest threshold"},                                                       \
    {"scheduler", "timestep_spacing", KILN_OPTION_CHOICE, "default", 0, 0,                         \
     "default|linspace|leading|trailing",                                                          \
     "which timesteps a shorter sampling visits; default = the sampler's"},                        \
    {"scheduler", "steps_offset", KILN_OPTION_INT, "0", 0, 1000, NULL,                             \
     "added to leading timesteps"},                                                                \
    {"scheduler", "set_alpha_to_one", KILN_OPTION_CHOICE, "default", 0, 0,                         \
     "default|true|false", "the last step ends without noise; default = the sampler's"},           \
    {"scheduler", "use_karras_sigmas", KILN_OPTION_BOOL, "false", 0, 0, NULL,                      \
     "Karras' noise levels (dpmpp_2m, heun, euler)"},                                              \
    {"scheduler", "final_sigmas_type", KILN_OPTION_CHOICE, "zero", 0, 0, "zero|sigma_min",         \
     "last noise level"},                                                                          \
    {"scheduler", "skip_prk_steps", KILN_OPTION_BOOL, "false", 0, 0, NULL,                         \
     "pndm without Runge-Kutta steps"},                                                            \
    {"train", "loss_weighting", KILN_OPTION_CHOICE, "simple", 0, 0, "simple|min_snr",              \
     "weight of a timestep's loss (min_snr: Hang et al. 2023)"},                                   \
    {"train", "snr_gamma", KILN_OPTION_FLOAT, "5", 1e-3, 1e6, NULL,                                \
     "largest signal-to-noise weight of min_snr" }
/* clang-format on */

/* Names for struct kiln_model.samplers; ddim first. */
extern const char *const diffusion_samplers[];

/* KILN_INPUT names the key. diffusion_finish frees. */
enum kiln_status diffusion_init(struct diffusion *, diffusion_network_fn *, const kiln_config *,
                                const struct kiln_data_info *, struct kiln_error *);
void diffusion_finish(struct diffusion *);
/* Takes another number of noise steps than [scheduler] num_train_timesteps; on
 * failure the old one stays. */
enum kiln_status diffusion_set_timesteps(struct diffusion *, const kiln_config *, int n,
                                         struct kiln_error *);

/* i32 [n], each the null label. */
kiln_node diffusion_null_label(const struct diffusion *, kiln_graph *, int64_t n);

/*
 * The loss of Ho et al. 2020, eq. 14 (mean over pixels and batch), for the
 * configured prediction, at a random timestep per sample. label goes to the
 * network as it is.
 */
kiln_node diffusion_loss(const struct diffusion *, kiln_graph *, const struct kiln_batch *,
                         kiln_node label);
/*
 * Per-sample figures:
 *
 * epsilon_error      squared error of the predicted noise per number, the mean
 *                    over all timesteps
 * epsilon_error_t05 ..  the same for a tenth of the timesteps each, named by
 *                    its middle in per cent
 * bits_per_dim       the variational bound of -log2 p(x) per number, Ho et al.
 *                    2020, eq. 5: the sum of the three that follow
 * bits_prior         L_T: KL(q(x_T | x_0) || N(0, 1))
 * bits_kl            the sum of L_t: KL(q(x_t-1 | x_t, x_0) || p), with the
 *                    ancestral sampler's variance and clipping
 * bits_decoder       L_0: -log p(x_0 | x_1) of a Gaussian, integrated over each
 *                    of 256 grey levels
 *
 * A sample is evaluated at one random timestep of each tenth and at the first,
 * so the means over the test set are unbiased.
 */
void diffusion_figures(const struct diffusion *, kiln_graph *, const struct kiln_batch *,
                       kiln_node label, struct kiln_figures *);

/*
 * The phases and samplers of struct kiln_model. Where the network takes a
 * label, sampling is guided (Ho & Salimans 2022): out = null + w (on_label -
 * null) with w = request->guidance, both from one doubled batch; w = 1 and
 * sampling without a label evaluate once.
 */
/* clang-format off */
#define DIFFUSION_FUNCTIONS                                                                        \
    .phases = diffusion_phases,                                                                    \
    .samplers = diffusion_samplers,                                                                \
    .sample_plan = diffusion_sample_plan,                                                          \
    .sample_start = diffusion_sample_start,                                                        \
    .sample_step = diffusion_sample_step,                                                          \
    .sample_finish = diffusion_sample_finish,                                                      \
    .sample_noised = diffusion_sample_noised
/* clang-format on */

int diffusion_phases(void *model, struct kiln_phase phases[KILN_MAX_PHASES]);
enum kiln_status diffusion_sample_plan(void *model, const struct kiln_sample_request *,
                                       struct kiln_sample_plan *, struct kiln_error *);
void diffusion_sample_start(void *model, kiln_graph *, const struct kiln_sample_request *,
                            kiln_node noise, kiln_node *carried);
void diffusion_sample_step(void *model, kiln_graph *, const struct kiln_sample_request *,
                           const kiln_node *carried, kiln_node coefficients, kiln_node label,
                           kiln_node *next);
kiln_node diffusion_sample_finish(void *model, kiln_graph *, const struct kiln_sample_request *,
                                  const kiln_node *carried, kiln_node label);
kiln_node diffusion_sample_noised(void *model, kiln_graph *, const struct kiln_sample_request *,
                                  kiln_node coefficients, kiln_node pictures);

#endif
