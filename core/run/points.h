/*
 * The points data set: a mixture of 2-D Gaussians.
 */
#ifndef KILN_RUN_POINTS_H
#define KILN_RUN_POINTS_H

#include "core/api/types.h"

#define KILN_MIXTURE_MAX 64

struct kiln_mixture {
    int n;
    double weight[KILN_MIXTURE_MAX]; /* sum to 1 */
    double mean[KILN_MIXTURE_MAX][2];
    double sigma[KILN_MIXTURE_MAX][2]; /* standard deviations along x and y, > 0 */
};

/*
 * Reads components separated by '|', each "weight mean_x mean_y sigma" or
 * "weight mean_x mean_y sigma_x sigma_y", as in "0.2 -5 -5 1 | 0.8 5 5 1".
 * Weights are > 0 and are normalised. KILN_INPUT says which component is bad.
 */
enum kiln_status kiln_mixture_parse(const char *text, struct kiln_mixture *, struct kiln_error *);

/*
 * Draws points first .. first + n - 1 of the seed's sequence: each depends on
 * the seed and its own index only.
 *
 * points [n, 2] f32, component [n] i32 (may be NULL)
 */
void kiln_mixture_draw(const struct kiln_mixture *, uint64_t seed, int64_t first, int64_t n,
                       float *points, int32_t *component);

#endif
