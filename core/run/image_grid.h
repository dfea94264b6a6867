/*
 * A grid of pictures as one image.
 */
#ifndef KILN_RUN_IMAGE_GRID_H
#define KILN_RUN_IMAGE_GRID_H

#include "core/run/image.h"

/* Zeros take the defaults. */
struct kiln_grid_options {
    int columns; /* 0: near-square, ceil(sqrt(n)) */
    int scale;   /* integer factor of every pixel; 0: the least that makes a
                    picture at least 56 pixels high, at most 8 */
    int padding; /* pixels round each picture; 0: 2, negative: none */
    uint8_t background;
};

/*
 * pictures  [n, c, h, w] f32 in 0..1, c 1 or 3, row by row into the grid
 *
 * Values are clamped and rounded to the nearest of 0..255; NaN becomes 0. A
 * grid beyond KILN_IMAGE_MAX_* is KILN_INPUT. *image belongs to the caller.
 */
enum kiln_status kiln_image_grid(const float *pictures, int64_t n, int64_t c, int64_t h, int64_t w,
                                 const struct kiln_grid_options *, struct kiln_image *,
                                 struct kiln_error *);

/* The byte of a value in 0..1. */
uint8_t kiln_image_byte(float value);

#endif
