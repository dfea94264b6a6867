/* Diffusion samplers as tables of coefficients. */
#include "models/common/sampler_table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/common/timesteps.h"

const char *const sampler_names[SAMPLER_COUNT + 1] = {
    "ddpm", "ddim", "dpmpp_2m", "heun", "euler", "euler_ancestral", "pndm", NULL,
};

int sampler_find(const char *name)
{
    for (int i = 0; i < SAMPLER_COUNT; i++)
        if (!strcmp(name, sampler_names[i]))
            return i;
    return -1;
}

int sampler_row_index(const struct sampler_table *table, int k, int source)
{
    return ROW_NEXT + k * (SOURCE_H + table->n_history) + source;
}

/* What the fillers share. */
struct filler {
    const struct noise_schedule *schedule;
    const struct sampler_options *options;
    struct sampler_table *table;
    double *t, *sigmas;
};

static float *row_at(const struct filler *f, int i)
{
    return f->table->rows + (size_t)i * f->table->row_words;
}

static void set(const struct filler *f, int i, int k, int source, double value)
{
    row_at(f, i)[sampler_row_index(f->table, k, source)] = (float)value;
}

/* Row head in the variance-preserving form: x = a x0 + s e. */
static void head_vp(const struct filler *f, int i, double t, double a, double s)
{
    float *row = row_at(f, i);
    row[ROW_T] = (float)t;
    row[ROW_IN_SCALE] = 1;
    switch (f->options->prediction) {
    case PREDICT_EPSILON:
        row[ROW_X0_X] = (float)(1 / a);
        row[ROW_X0_OUT] = (float)(-s / a);
        row[ROW_E_OUT] = 1;
        break;
    case PREDICT_SAMPLE:
        row[ROW_X0_OUT] = 1;
        row[ROW_E_X] = (float)(1 / s);
        row[ROW_E_OUT] = (float)(-a / s);
        break;
    case PREDICT_V:
        row[ROW_X0_X] = (float)a;
        row[ROW_X0_OUT] = (float)-s;
        row[ROW_E_X] = (float)s;
        row[ROW_E_OUT] = (float)a;
        break;
    }
}

/* Row head in the variance-exploding form: x = x0 + sigma e. */
static void head_ve(const struct filler *f, int i, double t, double sigma)
{
    float *row = row_at(f, i);
    double norm = sigma * sigma + 1;
    row[ROW_T] = (float)t;
    row[ROW_IN_SCALE] = (float)(1 / sqrt(norm));
    switch (f->options->prediction) {
    case PREDICT_EPSILON:
        row[ROW_X0_X] = 1;
        row[ROW_X0_OUT] = (float)-sigma;
        break;
    case PREDICT_SAMPLE:
        row[ROW_X0_OUT] = 1;
        break;
    case PREDICT_V:
        row[ROW_X0_X] = (float)(1 / norm);
        row[ROW_X0_OUT] = (float)(-sigma / sqrt(norm));
        break;
    }
}

static double alpha_bar(const struct filler *f, double t, double beyond)
{
    return t >= 0 ? f->schedule->alphas_cumprod[(int)t] : beyond;
}

/* alpha_bar beyond the last timestep */
static double final_alpha_bar(const struct filler *f)
{
    enum alpha_to_one choice = f->options->alpha_to_one;
    if (choice == ALPHA_TO_ONE_DEFAULT)
        choice = f->options->kind == SAMPLER_PNDM ? ALPHA_TO_ONE_NO : ALPHA_TO_ONE_YES;
    return choice == ALPHA_TO_ONE_YES ? 1 : f->schedule->alphas_cumprod[0];
}

static void fill_ddpm(const struct filler *f)
{
    int n = f->options->steps;
    double final = final_alpha_bar(f);
    timesteps_spaced(f->schedule, f->options, f->t);
    for (int i = 0; i < n; i++) {
        double a = alpha_bar(f, f->t[i], 1),
               previous = i + 1 < n ? alpha_bar(f, f->t[i + 1], 1) : final;
        double alpha = a / previous, beta = 1 - alpha;
        double variance =
            f->options->variance_large ? beta : fmax((1 - previous) / (1 - a) * beta, 1e-20);
        head_vp(f, i, f->t[i], sqrt(a), sqrt(1 - a));
        set(f, i, 0, SOURCE_X0, sqrt(previous) * beta / (1 - a));
        set(f, i, 0, SOURCE_X, sqrt(alpha) * (1 - previous) / (1 - a));
        bool last = i == n - 1 && final != 1;
        if (f->t[i] > 0 && !last)
            set(f, i, 0, SOURCE_Z, f->options->noise_scale * sqrt(variance));
    }
}

static void fill_ddim(const struct filler *f)
{
    int n = f->options->steps, stride = f->schedule->n / n;
    double beyond = final_alpha_bar(f);
    timesteps_spaced(f->schedule, f->options, f->t);
    for (int i = 0; i < n; i++) {
        double a = alpha_bar(f, f->t[i], 1), previous = alpha_bar(f, f->t[i] - stride, beyond);
        double variance = (1 - previous) / (1 - a) * (1 - a / previous);
        double deviation = f->options->eta * sqrt(fmax(variance, 0));
        head_vp(f, i, f->t[i], sqrt(a), sqrt(1 - a));
        set(f, i, 0, SOURCE_X0, sqrt(previous));
        set(f, i, 0, SOURCE_E, sqrt(fmax(1 - previous - deviation * deviation, 0)));
        set(f, i, 0, SOURCE_Z, f->options->noise_scale * deviation);
    }
}

/* alpha and sigma of the VP process at the VE level sigma */
static void vp_of_sigma(double level, double *alpha, double *sigma)
{
    *alpha = 1 / sqrt(level * level + 1);
    *sigma = level * *alpha;
}

static void fill_dpmpp_2m(const struct filler *f)
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
        head_vp(f, i, f->t[i], a, s);
        set(f, i, 0, SOURCE_X, s_next / s);
        set(f, i, 0, SOURCE_X0, gain);
        set(f, i, 1, SOURCE_X0, 1); /* h0: the previous x0 */
        if (first_order)
            continue;
        double h = -log(decay), h_last = log(f->sigmas[i - 1] / f->sigmas[i]);
        double extrapolate = 0.5 * h / h_last;
        set(f, i, 0, SOURCE_X0, gain * (1 + extrapolate));
        set(f, i, 0, SOURCE_H, -gain * extrapolate);
    }
}

static void fill_euler(const struct filler *f, bool ancestral)
{
    timesteps_sigmas(f->schedule, f->options, f->t, f->sigmas);
    for (int i = 0; i < f->options->steps; i++) {
        double sigma = f->sigmas[i], next = f->sigmas[i + 1], target = next, up = 0;
        if (ancestral) {
            up = sqrt(fmax(next * next * (sigma * sigma - next * next) / (sigma * sigma), 0));
            target = sqrt(fmax(next * next - up * up, 0));
        }
        /* x + (x - x0) / sigma * (target - sigma) */
        head_ve(f, i, f->t[i], sigma);
        set(f, i, 0, SOURCE_X, target / sigma);
        set(f, i, 0, SOURCE_X0, 1 - target / sigma);
        set(f, i, 0, SOURCE_Z, f->options->noise_scale * up);
    }
}

/* Two evaluations a step but for the last: h0 keeps x, h1 the derivative. */
static void fill_heun(const struct filler *f)
{
    int n = f->options->steps, row = 0;
    timesteps_sigmas(f->schedule, f->options, f->t, f->sigmas);
    for (int i = 0; i < n; i++) {
        double sigma = f->sigmas[i], next = f->sigmas[i + 1], change = next - sigma;
        head_ve(f, row, f->t[i], sigma);
        set(f, row, 0, SOURCE_X, next / sigma);
        set(f, row, 0, SOURCE_X0, 1 - next / sigma);
        set(f, row, 1, SOURCE_X, 1);
        set(f, row, 2, SOURCE_X, 1 / sigma);
        set(f, row, 2, SOURCE_X0, -1 / sigma);
        row++;
        if (i == n - 1)
            break;
        head_ve(f, row, f->t[i + 1], next);
        set(f, row, 0, SOURCE_H, 1);
        set(f, row, 0, SOURCE_H + 1, change / 2);
        set(f, row, 0, SOURCE_X, change / 2 / next);
        set(f, row, 0, SOURCE_X0, -change / 2 / next);
        row++;
    }
}

/* --- PNDM: raw outputs are e; h0 .. h2 the last three, newest first, h3 the
 * sample at the start of a Runge-Kutta step, h4 its weighted sum of outputs --- */

enum { H_SAMPLE = 3, H_SUM = 4 };

static void shift_history(const struct filler *f, int i, bool push)
{
    for (int k = 0; k < 3; k++) {
        if (!push)
            set(f, i, 1 + k, SOURCE_H + k, 1);
        else if (k == 0)
            set(f, i, 1, SOURCE_E, 1);
        else
            set(f, i, 1 + k, SOURCE_H + k - 1, 1);
    }
}

/*
 * Liu et al. 2022, eq. 9: next = c s - d m from t to previous, where s is
 * the source base and m the mix (weights over e, h0, h1, h2, sum).
 */
static void pndm_transfer(const struct filler *f, int i, int base, double t, double previous,
                          const double mix[5])
{
    double beyond = final_alpha_bar(f);
    double a = alpha_bar(f, t, beyond), b = alpha_bar(f, previous, beyond);
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
        set(f, i, 0, sources[k], -d * mix[k]);
    set(f, i, 0, base, c);
}

static void pndm_head(const struct filler *f, int i, double t)
{
    float *row = row_at(f, i);
    row[ROW_T] = (float)t;
    row[ROW_IN_SCALE] = 1;
    row[ROW_E_OUT] = 1;
    /* x0 is only for pictures along the way */
    double a = alpha_bar(f, t, 1);
    bool v = f->options->prediction == PREDICT_V;
    row[ROW_X0_X] = (float)(v ? sqrt(a) : 1 / sqrt(a));
    row[ROW_X0_OUT] = (float)(v ? -sqrt(1 - a) : -sqrt(1 - a) / sqrt(a));
}

/* Three Runge-Kutta steps of four evaluations; returns the rows used. */
static int fill_pndm_prk(const struct filler *f)
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
        set(f, i, 1 + H_SAMPLE, part == 0 ? SOURCE_X : SOURCE_H + H_SAMPLE, 1);
        if (part < 3) {
            set(f, i, 1 + H_SUM, SOURCE_E, weight[part]);
            if (part > 0)
                set(f, i, 1 + H_SUM, SOURCE_H + H_SUM, 1);
        }
    }
    return 12;
}

static void fill_pndm(const struct filler *f)
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
            set(f, row, 1 + H_SAMPLE, SOURCE_X, 1);
        known++;
    }
}

static int count_rows(const struct sampler_options *options)
{
    if (options->kind == SAMPLER_HEUN)
        return 2 * options->steps - 1;
    if (options->kind == SAMPLER_PNDM)
        return options->skip_prk_steps ? options->steps + 1 : options->steps + 9;
    return options->steps;
}

static int count_history(enum sampler_kind kind)
{
    switch (kind) {
    case SAMPLER_DPMPP_2M:
        return 1;
    case SAMPLER_HEUN:
        return 2;
    case SAMPLER_PNDM:
        return 5;
    default:
        return 0;
    }
}

static enum kiln_status check(const struct noise_schedule *schedule,
                              const struct sampler_options *o, struct kiln_error *error)
{
    const char *name = sampler_names[o->kind];
    if (o->steps < 1 || o->steps > schedule->n)
        return kiln_fail(error, KILN_INPUT, "%d steps: not in 1 .. num_train_timesteps = %d",
                         o->steps, schedule->n);
    if (o->kind == SAMPLER_DPMPP_2M && o->spacing == SPACING_LEADING && o->steps >= schedule->n)
        return kiln_fail(error, KILN_INPUT, "%s with leading spacing needs fewer than %d steps",
                         name, schedule->n);
    if (o->kind == SAMPLER_PNDM && o->prediction == PREDICT_SAMPLE)
        return kiln_fail(error, KILN_INPUT, "%s does not sample from prediction_type = sample",
                         name);
    if (o->kind == SAMPLER_PNDM && o->steps < (o->skip_prk_steps ? 2 : 4))
        return kiln_fail(error, KILN_INPUT, "%s needs at least %d steps", name,
                         o->skip_prk_steps ? 2 : 4);
    if (o->kind == SAMPLER_EULER_ANCESTRAL && o->prediction == PREDICT_SAMPLE)
        return kiln_fail(error, KILN_INPUT, "%s does not sample from prediction_type = sample",
                         name);
    return KILN_OK;
}

static void fill(const struct filler *f)
{
    switch (f->options->kind) {
    case SAMPLER_DDPM:
        fill_ddpm(f);
        break;
    case SAMPLER_DDIM:
        fill_ddim(f);
        break;
    case SAMPLER_DPMPP_2M:
        fill_dpmpp_2m(f);
        break;
    case SAMPLER_HEUN:
        fill_heun(f);
        break;
    case SAMPLER_EULER:
    case SAMPLER_EULER_ANCESTRAL:
        fill_euler(f, f->options->kind == SAMPLER_EULER_ANCESTRAL);
        break;
    case SAMPLER_PNDM:
        fill_pndm(f);
        break;
    case SAMPLER_COUNT:
        break;
    }
}

/* init_noise_sigma: the largest sigma, or sqrt(sigma^2 + 1) with leading spacing */
static double init_scale(const struct filler *f)
{
    enum sampler_kind kind = f->options->kind;
    if (kind != SAMPLER_EULER && kind != SAMPLER_EULER_ANCESTRAL && kind != SAMPLER_HEUN)
        return 1;
    double sigma = f->sigmas[0];
    return f->options->spacing == SPACING_LEADING ? sqrt(sigma * sigma + 1) : sigma;
}

enum kiln_status sampler_table_init(struct sampler_table *table,
                                    const struct noise_schedule *schedule,
                                    const struct sampler_options *options, struct kiln_error *error)
{
    *table = (struct sampler_table){0};
    enum kiln_status status = check(schedule, options, error);
    if (status)
        return status;
    table->n_rows = count_rows(options);
    table->n_history = count_history(options->kind);
    table->row_words = ROW_NEXT + (1 + table->n_history) * (SOURCE_H + table->n_history);
    table->rows = calloc((size_t)table->n_rows, (size_t)table->row_words * sizeof(float));
    double *levels = calloc(2 * (size_t)options->steps + 2, sizeof *levels);
    if (!table->rows || !levels) {
        free(levels);
        sampler_table_finish(table);
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    }
    struct filler f = {schedule, options, table, levels, levels + options->steps};
    fill(&f);
    table->init_scale = init_scale(&f);
    free(levels);
    return KILN_OK;
}

void sampler_table_finish(struct sampler_table *table)
{
    free(table->rows);
    *table = (struct sampler_table){0};
}
