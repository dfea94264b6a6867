/*
 * Timesteps and noise levels of samplers, each as diffusers' scheduler spaces
 * them.
 */
#ifndef MODELS_COMMON_TIMESTEPS_H
#define MODELS_COMMON_TIMESTEPS_H

#include "models/common/sampler_table.h"

/*
 * Writes options->steps timesteps, the largest first, to t (room for steps
 * doubles). Rounded to integers except for the Euler and Heun samplers.
 */
void timesteps_spaced(const struct noise_schedule *, const struct sampler_options *, double *t);
/* sigma = sqrt((1 - abar) / abar), linearly interpolated at a real t. */
double timesteps_sigma(const struct noise_schedule *, double t);
/*
 * For the samplers in sigma: the timesteps t[steps] and sigmas[steps + 1],
 * ending with sigma 0 or the smallest training sigma.
 */
void timesteps_sigmas(const struct noise_schedule *, const struct sampler_options *, double *t,
                      double *sigmas);

#endif
