/*
 * Filling a sampler's table: what the families of samplers share.
 */
#ifndef MODELS_COMMON_SAMPLER_FILL_H
#define MODELS_COMMON_SAMPLER_FILL_H

#include "models/common/sampler_table.h"

struct sampler_filler {
    const struct noise_schedule *schedule;
    const struct sampler_options *options;
    struct sampler_table *table;
    double *t, *sigmas; /* room for steps timesteps and steps + 1 sigmas */
};

float *sampler_row_at(const struct sampler_filler *, int i);
/* The coefficient of a source in carried tensor k's next value, in row i. */
void sampler_set(const struct sampler_filler *, int i, int k, int source, double value);

/* Head of row i in the variance-preserving form: x = a x0 + s e. */
void sampler_head_vp(const struct sampler_filler *, int i, double t, double a, double s);
/* Head of row i in the variance-exploding form: x = x0 + sigma e. */
void sampler_head_ve(const struct sampler_filler *, int i, double t, double sigma);

/* alpha_bar at timestep t, or beyond where t is negative. */
double sampler_alpha_bar(const struct sampler_filler *, double t, double beyond);
/* alpha_bar beyond the last timestep, as set_alpha_to_one says. */
double sampler_final_alpha_bar(const struct sampler_filler *);

/* The samplers; each writes all rows of the table. */
void sampler_fill_ddpm(const struct sampler_filler *);
void sampler_fill_ddim(const struct sampler_filler *);
void sampler_fill_dpmpp_2m(const struct sampler_filler *);
void sampler_fill_euler(const struct sampler_filler *, bool ancestral);
void sampler_fill_heun(const struct sampler_filler *);
void sampler_fill_pndm(const struct sampler_filler *);

#endif
