/*
 * The ladder of noise levels and its step size: techniques 1, 2 and 4 of Song
 * & Ermon 2020.
 */
#ifndef MODELS_NCSN_LADDER_H
#define MODELS_NCSN_LADDER_H

#include "core/api/status.h"
#include <stdbool.h>
#include <stdint.h>

struct ladder {
    double sigma_begin, sigma_end;
    int num_scales;
    double gamma;   /* ratio of neighbours, > 1 (1 if there is one level) */
    double overlap; /* C(gamma) */
    int steps_per_scale;
    double step_size;      /* epsilon: level i takes epsilon (sigma_i / sigma_end)^2 */
    double variance_ratio; /* of equation 7 at step_size; 1 is ideal */
};

/* C(gamma) = Phi(sqrt(2 D)(gamma - 1) + 3 gamma) - Phi(sqrt(2 D)(gamma - 1) - 3 gamma). */
double ladder_overlap(double dimensions, double gamma);
/* The gamma > 1 with the given overlap; 0 if there is none (few dimensions). */
double ladder_gamma(double dimensions, double overlap);
/* The epsilon that brings equation 7 nearest to 1, for T steps a level. */
double ladder_step_size(double sigma_end, double gamma, int steps_per_scale,
                        double *variance_ratio);
/* sigma_i, i = 0 .. num_scales - 1, the largest first. */
double ladder_sigma(const struct ladder *, int i);

/*
 * Technique 1: the largest Euclidean distance between two of n rows of d
 * numbers, exactly. Rows are bytes scaled by 1/255, or floats if bytes is
 * false. Negative when out of memory.
 */
double largest_distance(const void *rows, bool bytes, int64_t n, int64_t d);

#endif
