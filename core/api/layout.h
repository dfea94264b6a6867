/*
 * Physical layouts. The graph and the models see logical shapes only; a layout
 * says how a materialised tensor's elements lie in memory: an order of the
 * outer axes and up to two inner blocks, as oneDNN's blocking descriptor.
 *
 * Kiln never pads: an axis is blocked only where the block divides its extent,
 * so every layout is a permutation of the elements, a tensor has the same
 * bytes in each, and flat operations (optimiser, norms of gradients) do not
 * care. Channels that no block divides stay in a plain layout.
 */
#ifndef KILN_LAYOUT_H
#define KILN_LAYOUT_H

#include "types.h"

#ifdef __cplusplus
extern "C" {
#endif

enum kiln_layout {
    KILN_LAYOUT_DENSE,    /* row-major: nchw, oihw, any rank */
    KILN_LAYOUT_NHWC,     /* feature maps; for weights o,h,w,i (ohwi) */
    KILN_LAYOUT_NCHW8C,   /* [n][c/8][h][w][8] */
    KILN_LAYOUT_NCHW16C,  /* [n][c/16][h][w][16] */
    KILN_LAYOUT_OIHW8I8O, /* [o/8][i/8][h][w][8i][8o] */
    KILN_LAYOUT_OIHW8O8I,
    KILN_LAYOUT_OIHW16I16O,
    KILN_LAYOUT_OIHW16O16I,
    KILN_LAYOUT_OHWI16O, /* [o/16][h][w][i][16o] (oneDNN Ohwi16o) */
    KILN_LAYOUT_OHWI32O,
    KILN_LAYOUT_OHWI64O,
    KILN_LAYOUT_HWIO, /* [h][w][i][o] */
    KILN_LAYOUT_COUNT
};

/* "nchw" style name, e.g. "nChw16c", "OIhw16i16o", "dense". */
KILN_API const char *kiln_layout_name(enum kiln_layout layout);
/* True if the layout can hold the shape: rank 4 and divisible blocks, or
 * dense. */
KILN_API bool kiln_layout_fits(enum kiln_layout layout, const struct kiln_shape *shape);

/* One digit of an axis' mixed-radix index: extent values, stride elements. */
struct kiln_digit {
    int64_t extent, stride;
};

#define KILN_MAX_DIGITS 4

/*
 * A view: where the element at a logical index lies. Each axis' index is
 * split into digits, the most significant first (an axis of extent 1 may have
 * none); the element offset is offset + the sum of digit * stride. Broadcast
 * axes have stride 0; strides may be negative.
 */
struct kiln_view {
    int64_t offset; /* elements */
    int n;
    int n_digits[KILN_MAX_DIMS];
    struct kiln_digit digits[KILN_MAX_DIMS][KILN_MAX_DIGITS];
};

/* The view of a whole tensor stored in the layout; layout must fit. */
KILN_API struct kiln_view kiln_layout_view(enum kiln_layout layout, const struct kiln_shape *shape);
/* Element offset of a dense row-major logical element number. */
KILN_API int64_t kiln_view_at(const struct kiln_view *view, int64_t element);
/* Copies count elements of element_bytes, all of the view's, between a dense
 * row-major host array and where the view has them in stored. The arrays must
 * not overlap. */
KILN_API void kiln_view_pack(const struct kiln_view *view, int64_t count, size_t element_bytes,
                             const void *dense, void *stored);
KILN_API void kiln_view_unpack(const struct kiln_view *view, int64_t count, size_t element_bytes,
                               const void *stored, void *dense);
/* Copies count(shape) elements of element_bytes between a dense row-major host
 * array and its stored form. source and target must not overlap. */
KILN_API void kiln_layout_pack(enum kiln_layout layout, const struct kiln_shape *shape,
                               size_t element_bytes, const void *dense, void *stored);
KILN_API void kiln_layout_unpack(enum kiln_layout layout, const struct kiln_shape *shape,
                                 size_t element_bytes, const void *stored, void *dense);

#ifdef __cplusplus
}
#endif
#endif
