/*
 * A small classifier whose features measure how near two sets of pictures are.
 * It is trained where it is used: distances are comparable within one study
 * only, and never with published ones.
 */
#ifndef MODELS_DDPM_STUDY_FEATURES_H
#define MODELS_DDPM_STUDY_FEATURES_H

#include "core/api/study.h"

enum { FEATURES = 48 };

/* A network for pictures of this kind is its own state. */
struct feature_net {
    int64_t n_classes; /* 0: it cannot be trained, its features are random ones */
};

/* Phase "classify": cross-entropy on the batch's labels, metric "accuracy". */
extern const struct kiln_model feature_model;
/* x [n, c, h, w] in 0..1 -> [n, FEATURES] */
kiln_node feature_build(const struct feature_net *, kiln_graph *, kiln_node x);

#endif
