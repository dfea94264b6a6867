/*
 * Dynamic thresholding of a predicted picture.
 */
#ifndef MODELS_COMMON_THRESHOLDING_H
#define MODELS_COMMON_THRESHOLDING_H

#include "core/api/graph.h"

/*
 * Clamps each sample of x [n, ...] to +- s and divides it by s, where s is the
 * ratio-quantile of the sample's |x|, interpolated between neighbours, and
 * within 1 .. max: Saharia et al. 2022, section 2.3, as diffusers' schedulers
 * do with thresholding. ratio in 0..1, max >= 1.
 */
kiln_node dynamic_threshold(kiln_graph *, kiln_node x, double ratio, double max);
/* The quantile alone, f32 [n, 1, 1]: of the values of a row of a [n, 1, m], all
 * >= 0, exactly one of them or between two neighbours. */
kiln_node row_quantile(kiln_graph *, kiln_node a, double ratio);

#endif
