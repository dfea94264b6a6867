/*
 * What the samplers of all plugins share.
 */
#ifndef MODELS_COMMON_SAMPLING_H
#define MODELS_COMMON_SAMPLING_H

#include "core/api/model.h"

/* The sampler asked for: the first of names (struct kiln_model.samplers) by default. */
const char *sampling_name(const struct kiln_sample_request *, const char *const *names);

/* Word index of a row of coefficients [n], as [1, 1, ...] of x's rank. */
kiln_node sampling_word(kiln_graph *, kiln_node row, int index, kiln_node x);
/* values f32 [n] as [n, 1, ...] of x's rank. */
kiln_node sampling_per_sample(kiln_graph *, kiln_node values, kiln_node x);

/*
 * Noise N(0, 1) like x that a sampler injects, of the random stream. Along a
 * row of an interpolation (request->columns) it is mixed of the row's first
 * and last sample's noise by cosine and sine, so that it stays N(0, 1) and the
 * samples go smoothly from one to the other, as in ncsnv2.
 */
kiln_node sampling_noise(kiln_graph *, const struct kiln_sample_request *, kiln_node x,
                         uint32_t stream);
/* values [batch, ...] of a row's first and last sample, mixed along the row in
 * proportion, for what goes straight from one to the other. */
kiln_node sampling_between(kiln_graph *, const struct kiln_sample_request *, kiln_node values);
/* signal pictures + noise epsilon: known pictures as they are at an iteration
 * whose row of coefficients has these words, for struct kiln_model.sample_noised. */
kiln_node sampling_noised(kiln_graph *, const struct kiln_sample_request *, kiln_node pictures,
                          kiln_node signal, kiln_node noise);

/*
 * The sampler of a decoder: its noise is the latent code z ~ N(0, 1), f32
 * [batch, latent_size], which finish decodes.
 */
extern const char *const sampling_prior_names[]; /* "prior" */
void sampling_prior_plan(int64_t latent_size, const struct kiln_sample_request *,
                         struct kiln_sample_plan *);
/* struct kiln_model.sample_start: the noise is carried as it is. */
void sampling_prior_start(void *model, kiln_graph *, const struct kiln_sample_request *,
                          kiln_node noise, kiln_node *carried);

#endif
