/*
 * Diffusion samplers as tables.
 *
 * Every sampler here is linear in what it keeps: an iteration evaluates the
 * network once, at time t on in_scale * x, and forms
 *
 *     x0 = x0_x x + x0_out out          (then clipped, if the model clips)
 *     e  = e_x x + e_out out            (from the network's own output)
 *
 * and every carried tensor's next value is a row of coefficients over the
 * sources x, x0, e, fresh noise z and the history tensors h0 .. h4. So one
 * graph serves all samplers, and a sampler is a list of rows, computed here on
 * the host. Each equals diffusers' scheduler of that name, with its own
 * timestep spacing, rounding and defaults.
 */
#ifndef MODELS_COMMON_SAMPLER_TABLE_H
#define MODELS_COMMON_SAMPLER_TABLE_H

#include <stdbool.h>

#include "models/common/noise_schedule.h"

enum sampler_kind {
    SAMPLER_DDPM,            /* DDPMScheduler: Ho et al. 2020, algorithm 2 */
    SAMPLER_DDIM,            /* DDIMScheduler: Song et al. 2021, eq. 12 */
    SAMPLER_DPMPP_2M,        /* DPMSolverMultistepScheduler: Lu et al. 2022, algorithm 2 */
    SAMPLER_HEUN,            /* HeunDiscreteScheduler: Karras et al. 2022, algorithm 1 */
    SAMPLER_EULER,           /* EulerDiscreteScheduler */
    SAMPLER_EULER_ANCESTRAL, /* EulerAncestralDiscreteScheduler */
    SAMPLER_PNDM,            /* PNDMScheduler: Liu et al. 2022 */
    SAMPLER_COUNT
};

/* "ddpm", "ddim", "dpmpp_2m", "heun", "euler", "euler_ancestral", "pndm" */
extern const char *const sampler_names[SAMPLER_COUNT + 1];
/* -1 if unknown. */
int sampler_find(const char *name);

enum prediction_type { PREDICT_EPSILON, PREDICT_SAMPLE, PREDICT_V };

/* default: false for pndm, else true, as in diffusers (whose ddpm has no such
 * choice: false there means that alpha_bar ends at entry 0, without noise) */
enum alpha_to_one { ALPHA_TO_ONE_DEFAULT, ALPHA_TO_ONE_YES, ALPHA_TO_ONE_NO };

enum timestep_spacing { SPACING_DEFAULT, SPACING_LINSPACE, SPACING_LEADING, SPACING_TRAILING };

struct sampler_options {
    enum sampler_kind kind;
    int steps; /* num_inference_steps, 1 .. num_train_timesteps */
    enum prediction_type prediction;
    enum timestep_spacing spacing;
    int steps_offset;
    double eta;                     /* ddim: share of the ancestral noise */
    double noise_scale;             /* factor of all injected noise */
    enum alpha_to_one alpha_to_one; /* set_alpha_to_one: ddpm, ddim, pndm */
    bool variance_large;            /* ddpm: fixed_large instead of fixed_small */
    bool final_sigma_min;           /* final_sigmas_type = sigma_min instead of zero */
    bool karras;                    /* use_karras_sigmas: dpmpp_2m, heun, euler */
    bool skip_prk_steps;            /* pndm */
    bool round_karras_timesteps;    /* dpmpp_2m: beta_schedule is not squaredcos_cap_v2 */
};

/* Words at the start of a row. */
enum {
    ROW_T,
    ROW_IN_SCALE,
    ROW_SIGNAL, /* x at the start of the iteration is signal x0 + noise epsilon */
    ROW_NOISE,
    ROW_X0_X,
    ROW_X0_OUT,
    ROW_E_X,
    ROW_E_OUT,
    ROW_NEXT
};
/* Sources of a carried tensor's next value; histories follow SOURCE_H. */
enum { SOURCE_X, SOURCE_X0, SOURCE_E, SOURCE_Z, SOURCE_H };
enum { SAMPLER_MAX_HISTORY = 5 };

struct sampler_table {
    int n_rows, n_history;
    int row_words;     /* ROW_NEXT + (1 + n_history)(SOURCE_H + n_history) */
    double init_scale; /* the start is this times N(0, 1) (init_noise_sigma) */
    float *rows;       /* [n_rows][row_words], owned */
};

/* KILN_INPUT for a combination that makes no sense, KILN_MACHINE when out of
 * memory. sampler_table_finish frees. */
enum kiln_status sampler_table_init(struct sampler_table *, const struct noise_schedule *,
                                    const struct sampler_options *, struct kiln_error *);
void sampler_table_finish(struct sampler_table *);
/* The coefficient of a source in carried tensor k's next value (0 = x, 1 .. =
 * history), as an index into a row. */
int sampler_row_index(const struct sampler_table *, int k, int source);

#endif
