/*
 * PNDM (Liu et al. 2022): raw outputs are e; h0 .. h2 the last three, newest
 * first, h3 the sample at the start of a Runge-Kutta step, h4 its weighted sum
 * of outputs.
 */
#include <math.h>

#include "models/common/sampler_fill.h"
#include "models/common/timesteps.h"

enum { H_SAMPLE = 3, H_SUM = 4 };

static void shift_history(const struct sampler_filler *f, int i, bool push)
{
    for (int k = 0; k < 3; k++) {
        if (!push)
            sampler_set(f, i, 1 + k, SOURCE_H + k, 1);
        else if (k == 0)
            sampler_set(f, i, 1, SOURCE_E, 1);
        else
            sampler_set(f, i, 1 + k, SOURCE_H + k - 1, 1);
    }
}

/*
 * Liu et al. 2022, eq. 9: next = c s - d m from t to previous, where s is
 * the source base and m the mix (weights over e, h0, h1, h2, sum).
 */
static void pndm_transfer(const struct sampler_filler *f, int i, int base, double t,
                          double previous, const double mix[5])
{
    double beyond = sampler_final_alpha_bar(f);
    double a = sampler_alpha_bar(f, t, beyond), b = sampler_alpha_bar(f, previous, beyond);
    double c = sqrt(b / a);
    double d = (b - a) / (a * sqrt(1 - b) + sqrt(a * (1 - a) * b));
    if (f->options->prediction == PREDICT_V) {
        /* m becomes sqrt(a) m + sqrt(1 - a) s */
        c -= d * sqrt(1 - a);
        d *= sqrt(a);
    }
    static const int sources[5] = {SOURCE_E, SOURCE_H, SOURCE_H + 1, SOURCE_H + 2,
                                   SOURCE_H + H_SUM};
    for (int k = 0; k < 5; k++)
        sampler_set(f, i, 0, sources[k], -d * mix[k]);
    sampler_set(f, i, 0, base, c);
}

static void pndm_head(const struct sampler_filler *f, int i, double t)
{
    float *row = sampler_row_at(f, i);
    row[ROW_T] = (float)t;
    row[ROW_IN_SCALE] = 1;
    row[ROW_E_OUT] = 1;
    double a = sampler_alpha_bar(f, t, 1);
    row[ROW_SIGNAL] = (float)sqrt(a);
    row[ROW_NOISE] = (float)sqrt(1 - a);
    /* x0 is only for pictures along the way */
    bool v = f->options->prediction == PREDICT_V;
    row[ROW_X0_X] = (float)(v ? sqrt(a) : 1 / sqrt(a));
    row[ROW_X0_OUT] = (float)(v ? -sqrt(1 - a) : -sqrt(1 - a) / sqrt(a));
}

/* Three Runge-Kutta steps of four evaluations; returns the rows used. */
static int fill_pndm_prk(const struct sampler_filler *f)
{
    int half = f->schedule->n / f->options->steps / 2;
    static const double weight[4] = {1 / 6.0, 1 / 3.0, 1 / 3.0, 1 / 6.0};
    for (int i = 0; i < 12; i++) {
        /* times of evaluations: t0, mid, mid, t1, each step */
        int step = i / 4, part = i % 4;
        double start = f->t[step], end = f->t[step + 1], middle = end + half;
        double t = part == 0 ? start : part == 3 ? end : middle;
        double target = part % 2 ? t : t - half;
        double mix[5] = {1, 0, 0, 0, 0};
        if (part == 3) {
            mix[0] = weight[3];
            mix[4] = 1;
        }
        pndm_head(f, i, t);
        pndm_transfer(f, i, part == 0 ? SOURCE_X : SOURCE_H + H_SAMPLE, start, target, mix);
        shift_history(f, i, part == 0);
        sampler_set(f, i, 1 + H_SAMPLE, part == 0 ? SOURCE_X : SOURCE_H + H_SAMPLE, 1);
        if (part < 3) {
            sampler_set(f, i, 1 + H_SUM, SOURCE_E, weight[part]);
            if (part > 0)
                sampler_set(f, i, 1 + H_SUM, SOURCE_H + H_SUM, 1);
        }
    }
    return 12;
}

void sampler_fill_pndm(const struct sampler_filler *f)
{
    static const double mixes[5][5] = {
        {1, 0, 0, 0, 0},
        {1 / 2.0, 1 / 2.0, 0, 0, 0}, /* the repeated second evaluation */
        {3 / 2.0, -1 / 2.0, 0, 0, 0},
        {23 / 12.0, -16 / 12.0, 5 / 12.0, 0, 0},
        {55 / 24.0, -59 / 24.0, 37 / 24.0, -9 / 24.0, 0},
    };
    int stride = f->schedule->n / f->options->steps;
    timesteps_spaced(f->schedule, f->options, f->t);
    bool skip = f->options->skip_prk_steps;
    int first = skip ? 0 : fill_pndm_prk(f);
    int known = skip ? 0 : 3; /* outputs in the history */
    for (int row = first; row < f->table->n_rows; row++) {
        /* with Runge-Kutta the multistep part starts at the fourth timestep,
         * without it the second timestep comes twice */
        int k = row - first;
        double t = f->t[!skip ? k + 3 : k <= 1 ? k : k - 1];
        pndm_head(f, row, t);
        if (skip && k == 1) {
            /* from the first timestep's sample again, by the mean of both outputs */
            pndm_transfer(f, row, SOURCE_H + H_SAMPLE, t + stride, t, mixes[1]);
            shift_history(f, row, false);
            continue;
        }
        pndm_transfer(f, row, SOURCE_X, t, t - stride,
                      mixes[known == 0  ? 0
                            : known < 3 ? known + 1
                                        : 4]);
        shift_history(f, row, true);
        if (k == 0)
            sampler_set(f, row, 1 + H_SAMPLE, SOURCE_X, 1);
        known++;
    }
}
