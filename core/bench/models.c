/* The suite of models. The references are the losses of the cpu device, with
 * one and with two threads. A config that changes its loss here, or its work,
 * asks for new references and a new KILN_SUITE_VERSION. */
#include "core/bench/models.h"

#include <stddef.h>

const char *const kiln_model_case_sets[] = {
    "data.source=shapes",
    "data.n_train=2048",
    "data.n_test=64",
    "train.steps=100000",
    "train.checkpoint_every=0",
    "train.log_every=1000000",
    "train.epochs=0",
    "train.sample_every=1000000",
    "sample.n=16",
    "run.seed=0",
    "run.threads=0",
    NULL,
};

#define SIDE28 "data.image_size=28"
#define SIDE32 "data.image_size=32"

/* clang-format off */
const struct kiln_model_case kiln_model_cases[] = {
    {"vae", "vae.ini", {SIDE28}, 20, 283.921, 0.01, true},
    {"vae-conv", "vae-conv.ini", {SIDE28}, 20, 358.955, 0.01, true},
    {"wgan", "wgan.ini", {SIDE32}, 3, -0.106882, 0.05, false},
    {"wgan-gp", "wgan-gp.ini", {SIDE28}, 3, 3.11369, 0.05, false},
    {"gan", "gan.ini", {SIDE32}, 3, 0.565836, 0.05, false},
    {"ddpm", "ddpm.ini", {SIDE28, "sample.sampler=ddim", "sample.steps=10"}, 4, 1.06424, 0.02, false},
    {"ncsn", "ncsn.ini",
     {SIDE28, "noise.num_scales=10", "noise.steps_per_scale=1"}, 4, 502.06, 0.05, false},
    {"ncsn-points", "ncsn-points.ini",
     {"data.source=points", "noise.steps_per_scale=1"}, 20, 0.653084, 0.02, true},
    {"cdiff", "cdiff.ini", {SIDE28, "sample.sampler=ddim", "sample.steps=10"}, 4, 1.00799, 0.02, false},
    {"cdiff-context", "cdiff-context.ini",
     {SIDE28, "sample.sampler=ddim", "sample.steps=10"}, 3, 1.17326, 0.02, false},
};
/* clang-format on */
const int kiln_n_model_cases = sizeof kiln_model_cases / sizeof *kiln_model_cases;
