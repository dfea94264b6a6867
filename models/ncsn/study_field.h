/*
 * Vector fields in the plane, for the drawings of studies.
 */
#ifndef MODELS_NCSN_STUDY_FIELD_H
#define MODELS_NCSN_STUDY_FIELD_H

#include "core/api/plot.h"

/* Points of a side of the grid of a field, and of all. */
enum { FIELD_SIDE = 17, FIELD_POINTS = FIELD_SIDE * FIELD_SIDE };

/* points [FIELD_POINTS, 2], regular in the square low .. high. */
void field_grid(double low, double high, float *points);
/*
 * Arrows [FIELD_POINTS, 4] at the grid's points along vectors [FIELD_POINTS,
 * 2]: as long as the grid is wide where the vector is much longer than usual,
 * half of it at usual.
 */
void field_arrows(double low, double high, const float *points, const float *vectors, double usual,
                  float *arrows);

#endif
