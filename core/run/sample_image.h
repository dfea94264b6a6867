/*
 * Samples as files: a PNG grid of pictures or plot of points, and the raw
 * values.
 */
#ifndef KILN_RUN_SAMPLE_IMAGE_H
#define KILN_RUN_SAMPLE_IMAGE_H

#include "core/run/png_write.h"
#include "core/run/safetensors.h"

/* One image of samples: f32 [n, c, h, w] in 0..1 as a grid, or points [n, 2] as
 * a plot of range x_min, x_max, y_min, y_max; NULL = the points'. columns 0:
 * near-square (pictures only). *image belongs to the caller. */
enum kiln_status kiln_samples_draw(const float *samples, const struct kiln_shape *shape,
                                   int columns, const double range[4], struct kiln_image *image,
                                   struct kiln_error *);
/* The same as a PNG file. */
enum kiln_status kiln_samples_write_png(const char *path, const float *samples,
                                        const struct kiln_shape *shape, int columns, int n_texts,
                                        const struct kiln_png_text *, struct kiln_error *);
/* An animated PNG: n_frames frames, each of the samples' shape, then the samples
 * for longer. Points have the same axes throughout. */
enum kiln_status kiln_samples_write_animation(const char *path, int n_frames, const float *frames,
                                              const float *samples, const struct kiln_shape *shape,
                                              int columns, int n_texts,
                                              const struct kiln_png_text *, struct kiln_error *);
/* Begins a safetensors file with, where label is not NULL, int64 "labels" [n] and
 * f32 "samples" of the shape, which the caller hands to the writer in order. */
enum kiln_status kiln_samples_begin_raw(const char *path, const struct kiln_shape *shape,
                                        const int32_t *label, kiln_safetensors_writer **,
                                        struct kiln_error *);
/*
 * Reads the tensor "noise" of a safetensors file: f32 [n, ...] with n >= 1 and
 * the other extents of shape (whose first is ignored). *noise is malloc'd; *n
 * its number of samples.
 */
enum kiln_status kiln_noise_read(const char *path, const struct kiln_shape *shape, float **noise,
                                 int64_t *n, struct kiln_error *);

#endif
