/* Discrete-time diffusion: options, training loss and figures. */
#include "models/common/diffusion_noisy.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char section[] = "scheduler";

static bool is(const kiln_config *config, const char *key, const char *value)
{
    return !strcmp(kiln_config_string(config, section, key), value);
}

static enum prediction_type prediction_of(const kiln_config *config)
{
    if (is(config, "prediction_type", "sample"))
        return PREDICT_SAMPLE;
    return is(config, "prediction_type", "v_prediction") ? PREDICT_V : PREDICT_EPSILON;
}

static enum timestep_spacing spacing_of(const kiln_config *config)
{
    if (is(config, "timestep_spacing", "linspace"))
        return SPACING_LINSPACE;
    if (is(config, "timestep_spacing", "leading"))
        return SPACING_LEADING;
    return is(config, "timestep_spacing", "trailing") ? SPACING_TRAILING : SPACING_DEFAULT;
}

enum kiln_status diffusion_init(struct diffusion *d, diffusion_network_fn *network,
                                const kiln_config *config, const struct kiln_data_info *data,
                                struct kiln_error *error)
{
    bool zero_snr = kiln_config_bool(config, section, "rescale_betas_zero_snr");
    *d = (struct diffusion){.network = network, .data = *data};
    d->sampling = (struct sampler_options){
        .prediction = prediction_of(config),
        .spacing = spacing_of(config),
        .steps_offset = (int)kiln_config_int(config, section, "steps_offset"),
        .alpha_to_one = is(config, "set_alpha_to_one", "true")    ? ALPHA_TO_ONE_YES
                        : is(config, "set_alpha_to_one", "false") ? ALPHA_TO_ONE_NO
                                                                  : ALPHA_TO_ONE_DEFAULT,
        .variance_large = is(config, "variance_type", "fixed_large"),
        .final_sigma_min = is(config, "final_sigmas_type", "sigma_min"),
        .karras = kiln_config_bool(config, section, "use_karras_sigmas"),
        .skip_prk_steps = kiln_config_bool(config, section, "skip_prk_steps"),
        .round_karras_timesteps = !is(config, "beta_schedule", "squaredcos_cap_v2"),
    };
    if (zero_snr && d->sampling.prediction == PREDICT_EPSILON)
        return kiln_fail(
            error, KILN_INPUT,
            "[scheduler] rescale_betas_zero_snr: noise cannot be predicted from pure noise (set "
            "prediction_type = v_prediction)");
    if (kiln_config_bool(config, section, "thresholding")) {
        d->threshold_ratio =
            fmax(kiln_config_float(config, section, "dynamic_thresholding_ratio"), 1e-12);
        d->sample_max_value = kiln_config_float(config, section, "sample_max_value");
    }
    if (kiln_config_bool(config, section, "clip_sample"))
        d->clip = kiln_config_float(config, section, "clip_sample_range");
    if (!strcmp(kiln_config_string(config, "train", "loss_weighting"), "min_snr"))
        d->snr_gamma = kiln_config_float(config, "train", "snr_gamma");
    return diffusion_set_timesteps(
        d, config, (int)kiln_config_int(config, section, "num_train_timesteps"), error);
}

enum kiln_status diffusion_set_timesteps(struct diffusion *d, const kiln_config *config, int n,
                                         struct kiln_error *error)
{
    struct noise_schedule schedule;
    enum kiln_status status =
        noise_schedule_init(&schedule, kiln_config_string(config, section, "beta_schedule"), n,
                            kiln_config_float(config, section, "beta_start"),
                            kiln_config_float(config, section, "beta_end"),
                            kiln_config_bool(config, section, "rescale_betas_zero_snr"), error);
    if (status)
        return status;
    noise_schedule_finish(&d->schedule);
    d->schedule = schedule;
    return KILN_OK;
}

void diffusion_finish(struct diffusion *d)
{
    noise_schedule_finish(&d->schedule);
}

int diffusion_phases(void *model, struct kiln_phase phases[KILN_MAX_PHASES])
{
    (void)model;
    phases[0] = (struct kiln_phase){.name = "denoise", .group = "", .repeats = 1};
    return 1;
}

/* --- tables over timesteps ------------------------------------------------- */

/* Loss weight of a timestep with signal-to-noise ratio snr: min-SNR. */
static double loss_weight(const struct diffusion *d, double alpha_bar)
{
    if (!d->snr_gamma)
        return 1;
    double snr = alpha_bar / (1 - alpha_bar), capped = fmin(snr, d->snr_gamma);
    if (d->sampling.prediction == PREDICT_SAMPLE)
        return capped;
    return d->sampling.prediction == PREDICT_V ? capped / (snr + 1) : capped / snr;
}

enum { TABLE_SIGNAL, TABLE_NOISE, TABLE_WEIGHT, TABLE_COLUMNS };

/* Constant [T, 3]: sqrt(abar), sqrt(1 - abar), loss weight. */
static kiln_node timestep_table(const struct diffusion *d, kiln_graph *g)
{
    int n = d->schedule.n;
    float *table = malloc((size_t)n * TABLE_COLUMNS * sizeof *table);
    if (!table)
        return kiln_graph_no_memory(g);
    for (int t = 0; t < n; t++) {
        double a = d->schedule.alphas_cumprod[t];
        table[t * TABLE_COLUMNS + TABLE_SIGNAL] = (float)sqrt(a);
        table[t * TABLE_COLUMNS + TABLE_NOISE] = (float)sqrt(1 - a);
        table[t * TABLE_COLUMNS + TABLE_WEIGHT] = (float)loss_weight(d, a);
    }
    kiln_node node = kiln_constant(g, KILN_F32, KILN_SHAPE(n, TABLE_COLUMNS), table);
    free(table);
    return node;
}

/* Column of rows [n, columns] as [n, 1, 1, 1]. */
static kiln_node column(kiln_graph *g, kiln_node rows, int which)
{
    int64_t n = kiln_shape(g, rows).d[0];
    return kiln_reshape(g, kiln_narrow(g, rows, 1, which, 1), KILN_SHAPE(n, 1, 1, 1));
}

struct diffusion_noisy diffusion_noisy(const struct diffusion *d, kiln_graph *g,
                                       const struct kiln_batch *batch, kiln_node label, kiln_node t,
                                       uint32_t stream)
{
    kiln_node rows = kiln_gather_rows(g, timestep_table(d, g), t);
    kiln_node signal = column(g, rows, TABLE_SIGNAL), noise = column(g, rows, TABLE_NOISE);
    kiln_node x = batch->x;
    if (!d->unit_range)
        x = kiln_add_scalar(g, kiln_mul_scalar(g, x, 2), -1);
    struct kiln_rng rng = {.kind = KILN_RNG_NORMAL, .stream = stream};
    kiln_node epsilon = kiln_random(g, kiln_shape(g, x), rng);
    kiln_node x_t = kiln_add(g, kiln_mul(g, signal, x), kiln_mul(g, noise, epsilon));
    kiln_node out = d->network(d, g, x_t, kiln_cast(g, t, KILN_F32), label, batch->training);
    struct diffusion_noisy result = {
        .x = x, .epsilon = epsilon, .out = out, .weight = column(g, rows, TABLE_WEIGHT)};
    switch (d->sampling.prediction) {
    case PREDICT_EPSILON:
        result.target = epsilon;
        result.epsilon_out = out;
        result.x0_out = kiln_div(g, kiln_sub(g, x_t, kiln_mul(g, noise, out)), signal);
        break;
    case PREDICT_SAMPLE:
        result.target = x;
        result.epsilon_out = kiln_div(g, kiln_sub(g, x_t, kiln_mul(g, signal, out)), noise);
        result.x0_out = out;
        break;
    case PREDICT_V:
        result.target = kiln_sub(g, kiln_mul(g, signal, epsilon), kiln_mul(g, noise, x));
        result.epsilon_out = kiln_add(g, kiln_mul(g, signal, out), kiln_mul(g, noise, x_t));
        result.x0_out = kiln_sub(g, kiln_mul(g, signal, x_t), kiln_mul(g, noise, out));
        break;
    }
    return result;
}

kiln_node diffusion_random_timesteps(kiln_graph *g, int64_t n, int first, int count,
                                     uint32_t stream)
{
    struct kiln_rng rng = {.kind = KILN_RNG_INTEGER, .stream = stream, .bound = (uint32_t)count};
    kiln_node t = kiln_random(g, KILN_SHAPE(n), rng);
    if (!first)
        return t;
    return kiln_add(g, t, kiln_constant(g, KILN_I32, KILN_SHAPE(1), (const int32_t[]){first}));
}

kiln_node diffusion_null_label(const struct diffusion *d, kiln_graph *g, int64_t n)
{
    int32_t label = (int32_t)d->null_label;
    return kiln_expand(g, kiln_constant(g, KILN_I32, KILN_SHAPE(1), &label), KILN_SHAPE(n));
}

kiln_node diffusion_loss(const struct diffusion *d, kiln_graph *g, const struct kiln_batch *batch,
                         kiln_node label)
{
    kiln_node t = diffusion_random_timesteps(g, batch->size, d->first_timestep,
                                             d->schedule.n - d->first_timestep, STREAM_TIMESTEP);
    struct diffusion_noisy at = diffusion_noisy(d, g, batch, label, t, STREAM_NOISE);
    kiln_graph_label(g, "loss");
    kiln_node error = kiln_square(g, kiln_sub(g, at.out, at.target));
    if (d->snr_gamma)
        error = kiln_mul(g, error, at.weight);
    return kiln_mean_all(g, error);
}
