/* Timesteps and noise levels of samplers. */
#include "models/common/timesteps.h"

#include <math.h>

/* NumPy's round: half to even */
static double round_even(double x)
{
    return nearbyint(x);
}

static bool in_sigma(enum sampler_kind kind)
{
    return kind == SAMPLER_EULER || kind == SAMPLER_EULER_ANCESTRAL || kind == SAMPLER_HEUN;
}

static enum timestep_spacing default_spacing(enum sampler_kind kind)
{
    bool leading = kind == SAMPLER_DDPM || kind == SAMPLER_DDIM || kind == SAMPLER_PNDM;
    return leading ? SPACING_LEADING : SPACING_LINSPACE;
}

void timesteps_spaced(const struct noise_schedule *schedule, const struct sampler_options *options,
                      double *t)
{
    int n = options->steps, total = schedule->n;
    enum timestep_spacing spacing = options->spacing;
    if (spacing == SPACING_DEFAULT)
        spacing = default_spacing(options->kind);
    /* DPM-Solver spaces n + 1 values and drops the last, which is 0 */
    int spaced = options->kind == SAMPLER_DPMPP_2M ? n + 1 : n;
    for (int i = 0; i < n; i++) {
        int from_end = spaced - 1 - i;
        double value;
        if (spacing == SPACING_LINSPACE) {
            value = spaced > 1 ? (double)(total - 1) * from_end / (spaced - 1) : 0;
            if (!in_sigma(options->kind))
                value = round_even(value);
        } else if (spacing == SPACING_LEADING) {
            value = (double)from_end * (total / spaced) + options->steps_offset;
        } else {
            value = round_even(total - i * ((double)total / n)) - 1;
        }
        t[i] = value < 0 ? 0 : value > total - 1 ? total - 1 : value;
    }
}

/* An alpha_bar of 0 counts as 2^-24, as in diffusers, so that sigma is finite. */
static double training_sigma(const struct noise_schedule *schedule, int t)
{
    double a = fmax(schedule->alphas_cumprod[t], 0x1p-24);
    return sqrt((1 - a) / a);
}

double timesteps_sigma(const struct noise_schedule *schedule, double t)
{
    int low = (int)t;
    if (low >= schedule->n - 1)
        return training_sigma(schedule, schedule->n - 1);
    double share = t - low;
    double a = training_sigma(schedule, low), b = training_sigma(schedule, low + 1);
    return a + (b - a) * share;
}

/* The real timestep whose training sigma is sigma, by interpolating logs. */
static double timestep_of_sigma(const struct noise_schedule *schedule, double sigma)
{
    double log_sigma = log(fmax(sigma, 1e-10));
    int low = 0;
    while (low < schedule->n - 2 && log(training_sigma(schedule, low + 1)) <= log_sigma)
        low++;
    if (schedule->n < 2)
        return 0;
    double a = log(training_sigma(schedule, low)), b = log(training_sigma(schedule, low + 1));
    double share = fmin(fmax((a - log_sigma) / (a - b), 0), 1);
    return (1 - share) * low + share * (low + 1);
}

/* Karras et al. 2022, eq. 5 with rho = 7. */
static void karras(const struct noise_schedule *schedule, const struct sampler_options *options,
                   double first, double last, double *t, double *sigmas)
{
    const double rho = 7;
    double a = pow(first, 1 / rho), b = pow(last, 1 / rho);
    int n = options->steps;
    for (int i = 0; i < n; i++) {
        double ramp = n > 1 ? (double)i / (n - 1) : 0;
        sigmas[i] = pow(a + ramp * (b - a), rho);
        t[i] = timestep_of_sigma(schedule, sigmas[i]);
        if (options->kind == SAMPLER_DPMPP_2M)
            t[i] = options->round_karras_timesteps ? round_even(t[i]) : floor(t[i]);
    }
}

void timesteps_sigmas(const struct noise_schedule *schedule, const struct sampler_options *options,
                      double *t, double *sigmas)
{
    int n = options->steps;
    timesteps_spaced(schedule, options, t);
    for (int i = 0; i < n; i++)
        sigmas[i] = timesteps_sigma(schedule, t[i]);
    if (options->karras) {
        /* DPM-Solver takes the ends of the training schedule, the others those
         * of the chosen timesteps */
        bool whole = options->kind == SAMPLER_DPMPP_2M;
        double first = whole ? training_sigma(schedule, schedule->n - 1) : sigmas[0];
        double last = whole ? training_sigma(schedule, 0) : sigmas[n - 1];
        karras(schedule, options, first, last, t, sigmas);
    }
    sigmas[n] = options->final_sigma_min ? training_sigma(schedule, 0) : 0;
}
