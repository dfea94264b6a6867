/*
 * The points data set: a mixture of 2-D Gaussians.
 */
#ifndef KILN_RUN_POINTS_H
#define KILN_RUN_POINTS_H

#include "core/api/mixture.h"

/*
 * Draws points first .. first + n - 1 of the seed's sequence: each depends on
 * the seed and its own index only.
 *
 * points [n, 2] f32, component [n] i32 (may be NULL)
 */
void kiln_mixture_draw(const struct kiln_mixture *, uint64_t seed, int64_t first, int64_t n,
                       float *points, int32_t *component);

#endif
