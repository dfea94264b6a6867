/*
 * The forward process of discrete-time diffusion: x_t = sqrt(abar_t) x_0 +
 * sqrt(1 - abar_t) epsilon (Ho et al. 2020, eq. 4), t = 0 .. T - 1.
 *
 * Names are those of diffusers' schedulers.
 */
#ifndef MODELS_COMMON_NOISE_SCHEDULE_H
#define MODELS_COMMON_NOISE_SCHEDULE_H

#include "core/api/status.h"

struct noise_schedule {
    int n;                  /* num_train_timesteps */
    double *alphas_cumprod; /* [n], owned */
};

/*
 * beta_schedule: "linear" (betas evenly spaced), "scaled_linear" (their roots
 * evenly spaced), "squaredcos_cap_v2" (Nichol & Dhariwal 2021; ignores start
 * and end, betas capped at 0.999). zero_snr rescales the betas so that the
 * last alpha_bar is 0 (Lin et al. 2023, algorithm 1).
 *
 * n in 1 .. 100000, 0 < beta < 1. KILN_INPUT for an unknown name or a value
 * out of range, KILN_MACHINE when out of memory. noise_schedule_finish frees.
 */
enum kiln_status noise_schedule_init(struct noise_schedule *, const char *beta_schedule, int n,
                                     double beta_start, double beta_end, int zero_snr,
                                     struct kiln_error *);
void noise_schedule_finish(struct noise_schedule *);

#endif
