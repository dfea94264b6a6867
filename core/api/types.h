/*
 * Element types and shapes.
 */
#ifndef KILN_TYPES_H
#define KILN_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Storage types. Arithmetic is in f32 or i32; u8 and f16 are storage only. */
enum kiln_dtype { KILN_F32, KILN_I32, KILN_U8, KILN_F16, KILN_DTYPE_COUNT };

#define KILN_MAX_DIMS 6

/* Logical row-major shape; n = 0 is a scalar. Every extent is >= 1. */
struct kiln_shape {
    int n;
    int64_t d[KILN_MAX_DIMS];
};

#define KILN_SHAPE(...)                                                                            \
    kiln_shape_make((int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)),                     \
                    (const int64_t[]){__VA_ARGS__})

/* A shape of n extents; more than KILN_MAX_DIMS give an invalid shape (first
 * extent 0), which every builder refuses. */
KILN_API struct kiln_shape kiln_shape_make(int n, const int64_t *extents);
/* Number of elements; -1 if an extent is < 1, the product exceeds 2^47 or the
 * rank is not in 0 .. KILN_MAX_DIMS. */
KILN_API int64_t kiln_shape_count(const struct kiln_shape *shape);
KILN_API bool kiln_shape_equal(const struct kiln_shape *a, const struct kiln_shape *b);
/* Writes "[2, 3]" into text of the given size; returns text. */
KILN_API char *kiln_shape_text(const struct kiln_shape *shape, char *text, size_t size);

/* Bytes of an element: 4, 4, 1, 2. */
KILN_API size_t kiln_dtype_bytes(enum kiln_dtype dtype);
/* "f32", "i32", "u8", "f16". */
KILN_API const char *kiln_dtype_name(enum kiln_dtype dtype);

#ifdef __cplusplus
}
#endif
#endif
