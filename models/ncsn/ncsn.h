/*
 * Noise-conditional score networks (Song & Ermon 2019, 2020): what the
 * plugin's files share.
 */
#ifndef MODELS_NCSN_NCSN_H
#define MODELS_NCSN_NCSN_H

#include "core/api/mixture.h"
#include "core/api/study.h"
#include "models/common/unet2d.h"
#include "models/ncsn/ladder.h"

/* ARCH_EXACT is no network: the score of a known mixture, for studies. */
enum score_arch { ARCH_REFINENET, ARCH_UNET, ARCH_MLP, ARCH_EXACT };

struct ncsn {
    struct kiln_data_info data;
    enum score_arch arch;
    bool conditional;     /* refinenet of NCSN v1: norms conditioned on the level */
    bool divide_by_sigma; /* technique 3: s(x, sigma) = f(x) / sigma */
    bool dequantise;      /* NCSN v1: uniform noise of one grey level */
    int64_t ngf;          /* refinenet's features; mlp's width */
    struct unet2d unet;
    struct ladder ladder;
    double snr; /* of the predictor-corrector sampler */
    bool denoise;
    int langevin_steps;
    double langevin_sigma, langevin_step_size;
    const struct kiln_mixture *mixture; /* of ARCH_EXACT */
};

/* Reads the configuration. Nothing is to be freed. */
enum kiln_status ncsn_init(struct ncsn *, const kiln_config *, const struct kiln_data_info *,
                           struct kiln_error *);
extern const struct kiln_model ncsn_model;

/*
 * NCSNv2 of ermongroup/ncsnv2 (state_dict names unchanged): x [n, c, h, w] in
 * 0..1 plus noise -> [n, c, h, w]. conditional: CondRefineNetDilated of
 * ermongroup/ncsn, with level i32 [n].
 */
kiln_node refinenet_build(const struct ncsn *, kiln_graph *, kiln_node x, kiln_node level);

/* The score s(x, sigma) of any architecture. level i32 [n], sigma f32 [n]. */
kiln_node ncsn_score(const struct ncsn *, kiln_graph *, kiln_node x, kiln_node level,
                     kiln_node sigma, bool training);
/* The score of the mixture with noise of sigma f32 [n] at x [n, 2]. */
kiln_node mixture_score(const struct kiln_mixture *, kiln_graph *, kiln_node x, kiln_node sigma);
/* The levels f32 [L]: the buffer "sigmas" of NCSNv2, constants elsewhere. */
kiln_node ncsn_sigmas(const struct ncsn *, kiln_graph *);

/* The sampling functions of struct kiln_model; samplers: ald, pc, langevin. */
extern const char *const ncsn_samplers[];
enum kiln_status ncsn_sample_plan(void *model, const struct kiln_sample_request *,
                                  struct kiln_sample_plan *, struct kiln_error *);
void ncsn_sample_start(void *model, kiln_graph *, const struct kiln_sample_request *,
                       kiln_node noise, kiln_node *carried);
void ncsn_sample_step(void *model, kiln_graph *, const struct kiln_sample_request *,
                      const kiln_node *carried, kiln_node coefficients, kiln_node label,
                      kiln_node *next);
kiln_node ncsn_sample_finish(void *model, kiln_graph *, const struct kiln_sample_request *,
                             const kiln_node *carried, kiln_node label);
kiln_node ncsn_sample_noised(void *model, kiln_graph *, const struct kiln_sample_request *,
                             kiln_node coefficients, kiln_node pictures);

/* Plain and annealed Langevin dynamics on a mixture. */
extern const struct kiln_study ncsn_study_langevin;
/* Score matching without denoising, on a circle. */
extern const struct kiln_study ncsn_study_manifold;

#endif
