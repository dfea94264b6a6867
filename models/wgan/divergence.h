/*
 * Distances between two normals of one deviation whose means are apart, by
 * closed form or by quadrature in double precision.
 */
#ifndef MODELS_WGAN_DIVERGENCE_H
#define MODELS_WGAN_DIVERGENCE_H

/* N(0, sigma^2) and N(distance, sigma^2). */
struct normal_pair {
    double sigma, distance;
};

double normal_density(double x, double mean, double sigma);

/* KL(p || q) = d^2 / (2 sigma^2), and its derivative by the distance. */
double pair_kl(const struct normal_pair *, double *slope);
/* Jensen-Shannon divergence in nats, at most ln 2, and its derivative; both
 * integrated with logarithms of densities, so that they stay right where the
 * densities do not overlap. */
double pair_js(const struct normal_pair *, double *slope);
/*
 * What the best critic of WGAN-GP says of the pair. With weight L of the
 * penalty, the difference D of the distribution functions and the density r of
 * the points between real and fake, its slope is 1 + D / (2 L r), so that the
 * estimate is the distance + the integral of D^2 / (2 L r).
 */
double pair_penalised(const struct normal_pair *, double gp_weight);
/* Mean of a function at points x[n] (ascending, dense) under q less under p:
 * the Wasserstein estimate of a critic that is given by its values. */
double pair_estimate(const struct normal_pair *, int n, const float *x, const float *values);

#endif
