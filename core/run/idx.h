/*
 * IDX files (MNIST's format), plain or gzip.
 *
 * Big-endian magic 0 0 TYPE RANK, RANK extents of 4 bytes, dense data. Only
 * unsigned bytes (type 0x08). Exactly the bytes that the header declares are
 * read, so that a gzip bomb cannot grow; missing, damaged and surplus bytes
 * are KILN_INPUT, naming what was found and what was expected.
 *
 * Format: yann.lecun.com/exdb/mnist.
 */
#ifndef KILN_RUN_IDX_H
#define KILN_RUN_IDX_H

#include "core/run/image.h"

/* Largest array, in elements. */
#define KILN_IDX_MAX_ELEMENTS ((int64_t)1 << 31)

/* [N, H, W] or [N, H, W, C] with C 1 or 3; finished by the caller. */
enum kiln_status kiln_idx_read_pictures(const char *path, struct kiln_pictures *,
                                        struct kiln_error *);
/* [N] of values 0..255; *labels is malloc'd. */
enum kiln_status kiln_idx_read_labels(const char *path, int64_t *n, int32_t **labels,
                                      struct kiln_error *);

#endif
