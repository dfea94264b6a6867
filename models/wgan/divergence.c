/* Distances between two normals. */
#include "models/wgan/divergence.h"

#include <math.h>

enum { STEPS = 4000, SHARES = 400 };

static const double log_2 = 0.69314718055994531, root_2pi = 2.5066282746310002;

double normal_density(double x, double mean, double sigma)
{
    double z = (x - mean) / sigma;
    return exp(-0.5 * z * z) / (sigma * root_2pi);
}

static double distribution(double x, double mean, double sigma)
{
    return 0.5 * erfc((mean - x) / (sigma * sqrt(2)));
}

static double softplus(double x)
{
    return fmax(x, 0) + log1p(exp(-fabs(x)));
}

double pair_kl(const struct normal_pair *pair, double *slope)
{
    double variance = pair->sigma * pair->sigma;
    *slope = pair->distance / variance;
    return 0.5 * pair->distance * *slope;
}

/*
 * JS = ln 2 - (E_p softplus(log q - log p) + E_q softplus(log p - log q)) / 2,
 * and by symmetry both means are equal. The derivative moves q alone:
 * 1/2 integral of dq/dd (ln 2 - softplus(log p - log q)), whose first part is
 * 0 because q keeps its mass.
 */
double pair_js(const struct normal_pair *pair, double *slope)
{
    double s = pair->sigma, d = pair->distance, low = -12 * s, high = d + 12 * s;
    double step = (high - low) / STEPS, gap = 0;
    *slope = 0;
    for (int i = 0; i < STEPS; i++) {
        double x = low + (i + 0.5) * step;
        double log_ratio = d * (0.5 * d - x) / (s * s); /* log p - log q */
        double q = normal_density(x, d, s), overlap = softplus(log_ratio);
        gap += q * overlap * step;
        *slope -= 0.5 * q * (x - d) / (s * s) * overlap * step;
    }
    return log_2 - gap;
}

/* Density of (1 - a) x + a y, x of p, y of q, a uniform in 0..1. */
static double between(const struct normal_pair *pair, double x)
{
    double sum = 0;
    for (int i = 0; i < SHARES; i++) {
        double a = (i + 0.5) / SHARES;
        sum += normal_density(x, a * pair->distance, pair->sigma * hypot(1 - a, a)) / SHARES;
    }
    return sum;
}

double pair_penalised(const struct normal_pair *pair, double gp_weight)
{
    double low = -8 * pair->sigma, high = pair->distance + 8 * pair->sigma;
    double step = (high - low) / STEPS, sum = 0;
    for (int i = 0; i < STEPS; i++) {
        double x = low + (i + 0.5) * step, density = between(pair, x);
        double difference =
            distribution(x, 0, pair->sigma) - distribution(x, pair->distance, pair->sigma);
        if (density > 1e-280)
            sum += difference * difference / (2 * gp_weight * density) * step;
    }
    return pair->distance + sum;
}

double pair_estimate(const struct normal_pair *pair, int n, const float *x, const float *values)
{
    double sum = 0;
    for (int i = 0; i + 1 < n; i++) {
        double middle = 0.5 * ((double)x[i] + x[i + 1]), step = (double)x[i + 1] - x[i];
        double mass = (normal_density(middle, pair->distance, pair->sigma) -
                       normal_density(middle, 0, pair->sigma)) *
                      step;
        sum += mass * 0.5 * ((double)values[i] + values[i + 1]);
    }
    return sum;
}
