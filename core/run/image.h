/*
 * Pictures in host memory, 8 bits a channel.
 */
#ifndef KILN_RUN_IMAGE_H
#define KILN_RUN_IMAGE_H

#include "core/api/types.h"

/* One picture for a file: interleaved rows [height, width, channels] u8,
 * channels 1 (grey) or 3 (RGB). */
struct kiln_image {
    int64_t width, height, channels;
    uint8_t *pixels; /* malloc'd */
};

/* Limits of one side and of all pixels of any picture read or written. */
#define KILN_IMAGE_MAX_SIDE 16384
#define KILN_IMAGE_MAX_PIXELS ((int64_t)1 << 26)

/* Every byte is set to fill. KILN_INPUT beyond the limits. */
enum kiln_status kiln_image_create(int64_t width, int64_t height, int64_t channels, uint8_t fill,
                                   struct kiln_image *, struct kiln_error *);
/* Frees the pixels and zeroes the struct. */
void kiln_image_finish(struct kiln_image *);

/* A set of equal pictures, dense [n, c, h, w] u8. */
struct kiln_pictures {
    int64_t n, c, h, w;
    uint8_t *data; /* malloc'd, n c h w bytes */
};

/* Largest set, in bytes. */
#define KILN_PICTURES_MAX_BYTES ((int64_t)1 << 36)

/* Zeroed. KILN_INPUT if an extent is < 1 or the whole is beyond the limit. */
enum kiln_status kiln_pictures_create(int64_t n, int64_t c, int64_t h, int64_t w,
                                      struct kiln_pictures *, struct kiln_error *);
void kiln_pictures_finish(struct kiln_pictures *);
/* Bytes of one picture. */
int64_t kiln_pictures_stride(const struct kiln_pictures *);

/*
 * Writes the picture as planes [channels, size_h, size_w] of the wanted size.
 *
 * channels  1 or 3; grey is replicated, RGB becomes Rec. 601 luma
 * height, width  if both grow by the same even amount of at most 4 pixels, the
 *           picture is centred in a border of zeros (28 -> 32 keeps every
 *           pixel); else it is cropped centred to the wanted proportions and
 *           resampled: area mean where it shrinks, bilinear (half-pixel
 *           centres) where it grows
 */
enum kiln_status kiln_image_fit(const struct kiln_image *, int64_t channels, int64_t height,
                                int64_t width, uint8_t *planes, struct kiln_error *);

/* Converts every picture of the set as kiln_image_fit does, in place of the
 * old data; 0 keeps that extent. */
enum kiln_status kiln_pictures_fit(struct kiln_pictures *, int64_t channels, int64_t height,
                                   int64_t width, struct kiln_error *);

#endif
