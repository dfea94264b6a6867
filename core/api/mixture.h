/*
 * Mixtures of 2-D Gaussians: what [data] mixture describes.
 */
#ifndef KILN_MIXTURE_H
#define KILN_MIXTURE_H

#include "types.h"

#ifdef __cplusplus
extern "C" {
#endif

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
KILN_API enum kiln_status kiln_mixture_parse(const char *text, struct kiln_mixture *,
                                             struct kiln_error *);

#ifdef __cplusplus
}
#endif
#endif
