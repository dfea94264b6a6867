/* Samplers in the variance-exploding form: Euler, ancestral Euler, Heun. */
#include <math.h>

#include "models/common/sampler_fill.h"
#include "models/common/timesteps.h"

void sampler_fill_euler(const struct sampler_filler *f, bool ancestral)
{
    timesteps_sigmas(f->schedule, f->options, f->t, f->sigmas);
    for (int i = 0; i < f->options->steps; i++) {
        double sigma = f->sigmas[i], next = f->sigmas[i + 1], target = next, up = 0;
        if (ancestral) {
            up = sqrt(fmax(next * next * (sigma * sigma - next * next) / (sigma * sigma), 0));
            target = sqrt(fmax(next * next - up * up, 0));
        }
        /* x + (x - x0) / sigma * (target - sigma) */
        sampler_head_ve(f, i, f->t[i], sigma);
        sampler_set(f, i, 0, SOURCE_X, target / sigma);
        sampler_set(f, i, 0, SOURCE_X0, 1 - target / sigma);
        sampler_set(f, i, 0, SOURCE_Z, f->options->noise_scale * up);
    }
}

/* Two evaluations a step but for the last: h0 keeps x, h1 the derivative. */
void sampler_fill_heun(const struct sampler_filler *f)
{
    int n = f->options->steps, row = 0;
    timesteps_sigmas(f->schedule, f->options, f->t, f->sigmas);
    for (int i = 0; i < n; i++) {
        double sigma = f->sigmas[i], next = f->sigmas[i + 1], change = next - sigma;
        sampler_head_ve(f, row, f->t[i], sigma);
        sampler_set(f, row, 0, SOURCE_X, next / sigma);
        sampler_set(f, row, 0, SOURCE_X0, 1 - next / sigma);
        sampler_set(f, row, 1, SOURCE_X, 1);
        sampler_set(f, row, 2, SOURCE_X, 1 / sigma);
        sampler_set(f, row, 2, SOURCE_X0, -1 / sigma);
        row++;
        if (i == n - 1)
            break;
        sampler_head_ve(f, row, f->t[i + 1], next);
        sampler_set(f, row, 0, SOURCE_H, 1);
        sampler_set(f, row, 0, SOURCE_H + 1, change / 2);
        sampler_set(f, row, 0, SOURCE_X, change / 2 / next);
        sampler_set(f, row, 0, SOURCE_X0, -change / 2 / next);
        row++;
    }
}
