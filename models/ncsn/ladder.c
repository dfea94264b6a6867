/* The ladder of noise levels: techniques 2 and 4 of Song & Ermon 2020. */
#include "models/ncsn/ladder.h"

#include <math.h>

static double normal_cdf(double x)
{
    return 0.5 * erfc(-x / sqrt(2.0));
}

double ladder_overlap(double dimensions, double gamma)
{
    double shift = sqrt(2 * dimensions) * (gamma - 1);
    return normal_cdf(shift + 3 * gamma) - normal_cdf(shift - 3 * gamma);
}

/*
 * The overlap starts near 1 at gamma = 1 and falls as long as the shift grows
 * faster than the window, that is for sqrt(2 D) > 3 or so; otherwise it never
 * gets down to the target.
 */
double ladder_gamma(double dimensions, double overlap)
{
    double low = 1, high = 1;
    do {
        high = 1 + 2 * (high - 1) + 1e-6;
        if (high > 1e6)
            return 0;
    } while (ladder_overlap(dimensions, high) > overlap);
    for (int i = 0; i < 200; i++) {
        double middle = 0.5 * (low + high);
        if (ladder_overlap(dimensions, middle) > overlap)
            low = middle;
        else
            high = middle;
    }
    return 0.5 * (low + high);
}

/* s_T^2 / sigma^2 after T steps, with x = epsilon / sigma_end^2 (equation 7) */
static double ratio(double x, double gamma, int steps)
{
    double q = 2 / (2 - x);
    return pow(1 - x, 2.0 * steps) * (gamma * gamma - q) + q;
}

double ladder_step_size(double sigma_end, double gamma, int steps, double *variance_ratio)
{
    /* the distance from 1 is unimodal in x; golden section on its logarithm */
    const double golden = 0.61803398874989485;
    double low = log(1e-12), high = log(1.0);
    double a = high - golden * (high - low), b = low + golden * (high - low);
    for (int i = 0; i < 200; i++) {
        if (fabs(ratio(exp(a), gamma, steps) - 1) < fabs(ratio(exp(b), gamma, steps) - 1))
            high = b;
        else
            low = a;
        a = high - golden * (high - low);
        b = low + golden * (high - low);
    }
    double x = exp(0.5 * (low + high));
    *variance_ratio = ratio(x, gamma, steps);
    return x * sigma_end * sigma_end;
}

double ladder_sigma(const struct ladder *ladder, int i)
{
    if (ladder->num_scales < 2)
        return ladder->sigma_begin;
    double share = (double)i / (ladder->num_scales - 1);
    return exp(log(ladder->sigma_begin) +
               share * (log(ladder->sigma_end) - log(ladder->sigma_begin)));
}
