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
