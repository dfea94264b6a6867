/* Diffusion samplers as tables of coefficients. */
#include "models/common/sampler_table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/common/sampler_fill.h"

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
    if (o->kind == SAMPLER_PNDM && schedule->alphas_cumprod[schedule->n - 1] == 0)
        return kiln_fail(error, KILN_INPUT, "%s does not sample with rescale_betas_zero_snr", name);
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

static void fill(const struct sampler_filler *f)
{
    switch (f->options->kind) {
    case SAMPLER_DDPM:
        sampler_fill_ddpm(f);
        break;
    case SAMPLER_DDIM:
        sampler_fill_ddim(f);
        break;
    case SAMPLER_DPMPP_2M:
        sampler_fill_dpmpp_2m(f);
        break;
    case SAMPLER_HEUN:
        sampler_fill_heun(f);
        break;
    case SAMPLER_EULER:
    case SAMPLER_EULER_ANCESTRAL:
        sampler_fill_euler(f, f->options->kind == SAMPLER_EULER_ANCESTRAL);
        break;
    case SAMPLER_PNDM:
        sampler_fill_pndm(f);
        break;
    case SAMPLER_COUNT:
        break;
    }
}

/* init_noise_sigma: the largest sigma, or sqrt(sigma^2 + 1) with leading spacing */
static double init_scale(const struct sampler_filler *f)
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
    struct sampler_filler f = {schedule, options, table, levels, levels + options->steps};
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
