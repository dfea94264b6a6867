/* The forward process of discrete-time diffusion. */
#include "models/common/noise_schedule.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static double cosine_alpha_bar(double u)
{
    const double quarter_turn = 1.57079632679489661923;
    double c = cos((u + 0.008) / 1.008 * quarter_turn);
    return c * c;
}

/* i-th of n values evenly spaced from start to end */
static double spaced(double start, double end, int i, int n)
{
    return n > 1 ? start + (end - start) * i / (n - 1) : start;
}

static bool fill_betas(double *betas, const char *name, int n, double start, double end)
{
    for (int i = 0; i < n; i++) {
        if (!strcmp(name, "linear")) {
            betas[i] = spaced(start, end, i, n);
        } else if (!strcmp(name, "scaled_linear")) {
            double root = spaced(sqrt(start), sqrt(end), i, n);
            betas[i] = root * root;
        } else if (!strcmp(name, "squaredcos_cap_v2")) {
            double next = cosine_alpha_bar((i + 1.0) / n), now = cosine_alpha_bar((double)i / n);
            betas[i] = fmin(1 - next / now, 0.999);
        } else {
            return false;
        }
    }
    return true;
}

/* Shifts and scales sqrt(alpha_bar) so that it ends at 0 and starts as before. */
static void rescale_to_zero_snr(double *alphas_cumprod, int n)
{
    double first = sqrt(alphas_cumprod[0]), last = sqrt(alphas_cumprod[n - 1]);
    if (first == last)
        return;
    for (int i = 0; i < n; i++) {
        double root = (sqrt(alphas_cumprod[i]) - last) * first / (first - last);
        alphas_cumprod[i] = root * root;
    }
    alphas_cumprod[n - 1] = 0;
}

enum kiln_status noise_schedule_init(struct noise_schedule *schedule, const char *beta_schedule,
                                     int n, double beta_start, double beta_end, int zero_snr,
                                     struct kiln_error *error)
{
    *schedule = (struct noise_schedule){.n = n};
    if (n < 1 || n > 100000)
        return kiln_fail(error, KILN_INPUT, "num_train_timesteps: %d is not in 1 .. 100000", n);
    if (!(beta_start > 0 && beta_start < 1 && beta_end > 0 && beta_end < 1))
        return kiln_fail(error, KILN_INPUT,
                         "beta_start and beta_end: %g and %g are not both in 0 .. 1", beta_start,
                         beta_end);
    double *values = malloc((size_t)n * sizeof *values);
    if (!values)
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    if (!fill_betas(values, beta_schedule, n, beta_start, beta_end)) {
        free(values);
        return kiln_fail(error, KILN_INPUT,
                         "beta_schedule: '%s' is none of linear, scaled_linear, squaredcos_cap_v2",
                         beta_schedule);
    }
    double product = 1;
    for (int i = 0; i < n; i++)
        values[i] = product *= 1 - values[i];
    if (zero_snr)
        rescale_to_zero_snr(values, n);
    schedule->alphas_cumprod = values;
    return KILN_OK;
}

void noise_schedule_finish(struct noise_schedule *schedule)
{
    free(schedule->alphas_cumprod);
    *schedule = (struct noise_schedule){0};
}
