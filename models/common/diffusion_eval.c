/* Figures of a diffusion model: error by timestep, variational bound. */
#include <math.h>
#include <stdlib.h>

#include "models/common/diffusion_noisy.h"

/* Two random streams for each tenth, from here on. */
enum { STREAM_FIGURES = 0x4000, BINS = 10 };

/* A part of the timesteps. */
struct bin {
    int first, count;
};

static void add_figure(struct kiln_figures *figures, const char *name, kiln_node value)
{
    figures->figures[figures->n++] = (struct kiln_metric){name, value};
}

static kiln_node mean_per_sample(kiln_graph *g, kiln_node x)
{
    struct kiln_shape shape = kiln_shape(g, x);
    double each = (double)(kiln_shape_count(&shape) / shape.d[0]);
    return kiln_mul_scalar(g, kiln_sum_per_sample(g, x), 1 / each);
}

/* --- the bound ------------------------------------------------------------------ */

/* Variances of q(x_t-1 | x_t, x_0) and of p, t > first_timestep. */
static void variances(const struct diffusion *d, int t, double *q, double *p)
{
    double a = d->schedule.alphas_cumprod[t], previous = d->schedule.alphas_cumprod[t - 1];
    double beta = 1 - a / previous;
    *q = (1 - previous) / (1 - a) * beta;
    *p = d->sampling.variance_large ? beta : *q;
}

/* L_t = constant + factor (x0 - x0_out)^2 per number, in nats: Gaussians with
 * variances q and p whose means differ by sqrt(abar_t-1) beta / (1 - abar_t). */
static kiln_node divergence_table(const struct diffusion *d, kiln_graph *g)
{
    int n = d->schedule.n;
    float *table = calloc((size_t)n, 2 * sizeof *table);
    if (!table) {
        kiln_graph_fail(g, "out of memory");
        return 0;
    }
    for (int t = d->first_timestep + 1; t < n; t++) {
        double a = d->schedule.alphas_cumprod[t], previous = d->schedule.alphas_cumprod[t - 1];
        double scale = sqrt(previous) * (1 - a / previous) / (1 - a), q, p;
        variances(d, t, &q, &p);
        table[2 * t] = (float)(0.5 * (log(p / q) + q / p - 1));
        table[2 * t + 1] = (float)(scale * scale / (2 * p));
    }
    kiln_node node = kiln_constant(g, KILN_F32, KILN_SHAPE(n, 2), table);
    free(table);
    return node;
}

/* The predicted picture as the ancestral sampler takes it. */
static kiln_node clipped(const struct diffusion *d, kiln_graph *g, kiln_node x0)
{
    return d->clip > 0 ? kiln_clamp(g, x0, -d->clip, d->clip) : x0;
}

/* Mean over the numbers of L_t, in nats, f32 [n]. */
static kiln_node divergence(const struct diffusion *d, kiln_graph *g, kiln_node t,
                            const struct diffusion_noisy *at)
{
    int64_t n = kiln_shape(g, at->x).d[0];
    kiln_node row = kiln_gather_rows(g, divergence_table(d, g), t);
    kiln_node constant = kiln_reshape(g, kiln_narrow(g, row, 1, 0, 1), KILN_SHAPE(n));
    kiln_node factor = kiln_reshape(g, kiln_narrow(g, row, 1, 1, 1), KILN_SHAPE(n));
    kiln_node error = kiln_square(g, kiln_sub(g, at->x, clipped(d, g, at->x0_out)));
    return kiln_add(g, constant, kiln_mul(g, factor, mean_per_sample(g, error)));
}

/* Phi(factor x), the normal distribution function. */
static kiln_node normal_cdf(kiln_graph *g, kiln_node x, double factor)
{
    kiln_node erf = kiln_erf(g, kiln_mul_scalar(g, x, factor / sqrt(2)));
    return kiln_add_scalar(g, kiln_mul_scalar(g, erf, 0.5), 0.5);
}

/*
 * Mean over the numbers of L_0: the Gaussian round the predicted picture, with
 * the variance of the second step, integrated over a grey level's bin, which is
 * open at black and white (Ho et al. 2020, eq. 13). Probabilities are at least
 * 1e-12, as in improved-diffusion.
 */
static kiln_node decoder(const struct diffusion *d, kiln_graph *g, const struct diffusion_noisy *at)
{
    double range = d->unit_range ? 1 : 2, half = range / 2 / 255, q = 1e-4, p;
    double low = d->unit_range ? 0 : -1, edge = range * 0.0005;
    if (d->first_timestep + 1 < d->schedule.n)
        variances(d, d->first_timestep + 1, &q, &p);
    kiln_node x = at->x, away = kiln_sub(g, x, clipped(d, g, at->x0_out));
    kiln_node upper = normal_cdf(g, kiln_add_scalar(g, away, half), 1 / sqrt(q));
    kiln_node lower = normal_cdf(g, kiln_add_scalar(g, away, -half), 1 / sqrt(q));
    kiln_node white = kiln_less(g, kiln_full(g, kiln_shape(g, x), low + range - edge), x);
    kiln_node black = kiln_less(g, x, kiln_full(g, kiln_shape(g, x), low + edge));
    kiln_node one = kiln_full(g, kiln_shape(g, x), 1), none = kiln_full(g, kiln_shape(g, x), 0);
    kiln_node inside =
        kiln_sub(g, kiln_select(g, white, one, upper), kiln_select(g, black, none, lower));
    inside = kiln_max(g, inside, kiln_scalar(g, 1e-12));
    return kiln_neg(g, mean_per_sample(g, kiln_log(g, inside)));
}

/* Mean over the numbers of L_T. */
static kiln_node prior(const struct diffusion *d, kiln_graph *g, kiln_node x)
{
    double a = d->schedule.alphas_cumprod[d->schedule.n - 1];
    kiln_node squares = mean_per_sample(g, kiln_square(g, x));
    return kiln_add_scalar(g, kiln_mul_scalar(g, squares, a / 2), 0.5 * (-a - log1p(-a)));
}

/* --- figures ----------------------------------------------------------------------- */

static kiln_node epsilon_error(kiln_graph *g, const struct diffusion_noisy *at)
{
    return mean_per_sample(g, kiln_square(g, kiln_sub(g, at->epsilon_out, at->epsilon)));
}

/* Divides the timesteps after the first into at most BINS parts. */
static int divide(const struct diffusion *d, struct bin bins[BINS])
{
    int from = d->first_timestep + 1, count = d->schedule.n - from;
    int n = count < BINS ? count : BINS;
    for (int i = 0; i < n; i++) {
        int first = (int)((int64_t)count * i / n), end = (int)((int64_t)count * (i + 1) / n);
        bins[i] = (struct bin){from + first, end - first};
    }
    return n;
}

static void add_bits(kiln_graph *g, struct kiln_figures *figures, kiln_node prior, kiln_node kl,
                     kiln_node decoder)
{
    double bits = 1 / log(2);
    kiln_node sum = kiln_add(g, kiln_add(g, prior, kl), decoder);
    add_figure(figures, "bits_per_dim", kiln_mul_scalar(g, sum, bits));
    add_figure(figures, "bits_prior", kiln_mul_scalar(g, prior, bits));
    add_figure(figures, "bits_kl", kiln_mul_scalar(g, kl, bits));
    add_figure(figures, "bits_decoder", kiln_mul_scalar(g, decoder, bits));
}

void diffusion_figures(const struct diffusion *d, kiln_graph *g, const struct kiln_batch *batch,
                       kiln_node label, struct kiln_figures *figures)
{
    static const char *const names[BINS] = {
        "epsilon_error_t05", "epsilon_error_t15", "epsilon_error_t25", "epsilon_error_t35",
        "epsilon_error_t45", "epsilon_error_t55", "epsilon_error_t65", "epsilon_error_t75",
        "epsilon_error_t85", "epsilon_error_t95"};
    struct bin bins[BINS];
    kiln_node errors[BINS];
    int n = divide(d, bins);
    double total = d->schedule.n - d->first_timestep;
    kiln_node t = diffusion_random_timesteps(g, batch->size, d->first_timestep, 1, STREAM_FIGURES);
    struct diffusion_noisy at = diffusion_noisy(d, g, batch, label, t, STREAM_FIGURES + 1);
    kiln_node at_first = decoder(d, g, &at), at_last = prior(d, g, at.x);
    kiln_node error = kiln_mul_scalar(g, epsilon_error(g, &at), 1 / total);
    kiln_node kl = kiln_full(g, KILN_SHAPE(batch->size), 0);
    for (int i = 0; i < n; i++) {
        uint32_t stream = STREAM_FIGURES + 2 * (uint32_t)(i + 1);
        t = diffusion_random_timesteps(g, batch->size, bins[i].first, bins[i].count, stream);
        at = diffusion_noisy(d, g, batch, label, t, stream + 1);
        errors[i] = epsilon_error(g, &at);
        error = kiln_add(g, error, kiln_mul_scalar(g, errors[i], bins[i].count / total));
        kl = kiln_add(g, kl, kiln_mul_scalar(g, divergence(d, g, t, &at), bins[i].count));
    }
    add_figure(figures, "epsilon_error", error);
    for (int i = 0; i < n; i++)
        add_figure(figures, names[BINS * (2 * i + 1) / (2 * n)], errors[i]);
    add_bits(g, figures, at_last, kl, at_first);
}
