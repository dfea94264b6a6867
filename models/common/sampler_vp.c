/* Samplers in the variance-preserving form: DDPM, DDIM, DPM-Solver++(2M). */
#include <math.h>

#include "models/common/sampler_fill.h"
#include "models/common/timesteps.h"

void sampler_fill_ddpm(const struct sampler_filler *f)
{
    int n = f->options->steps;
    double final = sampler_final_alpha_bar(f);
    timesteps_spaced(f->schedule, f->options, f->t);
    for (int i = 0; i < n; i++) {
        double a = sampler_alpha_bar(f, f->t[i], 1),
               previous = i + 1 < n ? sampler_alpha_bar(f, f->t[i + 1], 1) : final;
        double alpha = a / previous, beta = 1 - alpha;
        double variance =
            f->options->variance_large ? beta : fmax((1 - previous) / (1 - a) * beta, 1e-20);
        sampler_head_vp(f, i, f->t[i], sqrt(a), sqrt(1 - a));
        sampler_set(f, i, 0, SOURCE_X0, sqrt(previous) * beta / (1 - a));
        sampler_set(f, i, 0, SOURCE_X, sqrt(alpha) * (1 - previous) / (1 - a));
        bool last = i == n - 1 && final != 1;
        if (f->t[i] > 0 && !last)
            sampler_set(f, i, 0, SOURCE_Z, f->options->noise_scale * sqrt(variance));
    }
}

void sampler_fill_ddim(const struct sampler_filler *f)
{
    int n = f->options->steps, stride = f->schedule->n / n;
    double beyond = sampler_final_alpha_bar(f);
    timesteps_spaced(f->schedule, f->options, f->t);
    for (int i = 0; i < n; i++) {
        double a = sampler_alpha_bar(f, f->t[i], 1),
               previous = sampler_alpha_bar(f, f->t[i] - stride, beyond);
        double variance = (1 - previous) / (1 - a) * (1 - a / previous);
        double deviation = f->options->eta * sqrt(fmax(variance, 0));
        sampler_head_vp(f, i, f->t[i], sqrt(a), sqrt(1 - a));
        sampler_set(f, i, 0, SOURCE_X0, sqrt(previous));
        sampler_set(f, i, 0, SOURCE_E, sqrt(fmax(1 - previous - deviation * deviation, 0)));
        sampler_set(f, i, 0, SOURCE_Z, f->options->noise_scale * deviation);
    }
}

/* alpha and sigma of the VP process at the VE level sigma */
static void vp_of_sigma(double level, double *alpha, double *sigma)
{
    *alpha = 1 / sqrt(level * level + 1);
    *sigma = level * *alpha;
}

void sampler_fill_dpmpp_2m(const struct sampler_filler *f)
{
    int n = f->options->steps;
    timesteps_sigmas(f->schedule, f->options, f->t, f->sigmas);
    for (int i = 0; i < n; i++) {
        double a, s, a_next, s_next;
        vp_of_sigma(f->sigmas[i], &a, &s);
        vp_of_sigma(f->sigmas[i + 1], &a_next, &s_next);
        /* exp(-h) = (s_next / a_next) / (s / a), 0 at the last step */
        double decay = f->sigmas[i + 1] / f->sigmas[i];
        double gain = a_next * (1 - decay);
        bool first_order = i == 0 || (i == n - 1 && (n < 15 || !f->options->final_sigma_min));
        sampler_head_vp(f, i, f->t[i], a, s);
        sampler_set(f, i, 0, SOURCE_X, s_next / s);
        sampler_set(f, i, 0, SOURCE_X0, gain);
        sampler_set(f, i, 1, SOURCE_X0, 1); /* h0: the previous x0 */
        if (first_order)
            continue;
        double h = -log(decay), h_last = log(f->sigmas[i - 1] / f->sigmas[i]);
        double extrapolate = 0.5 * h / h_last;
        sampler_set(f, i, 0, SOURCE_X0, gain * (1 + extrapolate));
        sampler_set(f, i, 0, SOURCE_H, -gain * extrapolate);
    }
}
