/*
 * The Frechet distance between two sets of features, each taken as a normal
 * distribution (Dowson & Landau 1982; Heusel et al. 2017).
 */
#ifndef MODELS_COMMON_FRECHET_H
#define MODELS_COMMON_FRECHET_H

#include <stdint.h>

/*
 * |m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a^1/2 C_b C_a^1/2)^1/2) in double
 * precision; d up to a few hundred.
 *
 * a  [n_a, d], b  [n_b, d], n >= 2
 *
 * Returns a negative number when out of memory.
 */
double frechet_distance(int64_t n_a, const float *a, int64_t n_b, const float *b, int d);

#endif
