/*
 * The convolution triple for GPUs in the dense layout as implicit products
 * (lib/local.clh): the matrix of windows is never stored, its elements are
 * read where they lie.
 *
 *   conv_local               y [o][n,p,q]     = w [o][i,r,s]    x [i,r,s][n,p,q]
 *   conv_input_grad_local    dx [i][n,y,x]    = w [i][o,r,s]    dy [o,r,s][n,y,x]
 *   conv_weight_grad_local   dw [o][i,r,s]    = dy [o][n,p,q]   x [n,p,q][i,r,s]
 *
 * Taps: for each (channel, r, s) the plane's offset, r times the dilation and
 * s times the dilation. The weight gradient's sum is divided into parts of
 * whole images, which are added up in order by a second kernel.
 *
 * Work-group (column tile, row tile, part).
 */
#include "lib/divide.clh"
#include "lib/local.clh"

enum { /* words of shape; each divisor is followed by its multiplier and shift */
    CHANNELS,
    HEIGHT,
    WIDTH, /* divisor */
    OUTPUTS = WIDTH + 3,
    OUT_H,
    OUT_W, /* divisor */
    STRIDE_H = OUT_W + 3, /* divisor */
    STRIDE_W = STRIDE_H + 3, /* divisor */
    TOP = STRIDE_W + 3,
    LEFT_PAD,
    KERNEL, /* divisor */
    MAP = KERNEL + 3 /* divisor: pixels of an input or output map, of the one that is counted */
};

#define PARAMETERS                                                                                 \
    __global const int *shape, __global const int *taps, int rows, int columns, int depth
#define READ_SHAPE                                                                                 \
    const int channels = shape[CHANNELS], height = shape[HEIGHT];                                  \
    const int outputs = shape[OUTPUTS], out_h = shape[OUT_H], top = shape[TOP];                    \
    const int left = shape[LEFT_PAD];                                                              \
    READ_DIVISOR(width, WIDTH)                                                                     \
    READ_DIVISOR(out_w, OUT_W)                                                                     \
    READ_DIVISOR(stride_h, STRIDE_H)                                                               \
    READ_DIVISOR(stride_w, STRIDE_W)                                                               \
    READ_DIVISOR(kernel_size, KERNEL)                                                              \
    READ_DIVISOR(map, MAP)                                                                         \
    const int column0 = (int)get_group_id(0) * SIDE, row0 = (int)get_group_id(1) * SIDE;

#define READ_DIVISOR(name, word)                                                                   \
    const int name = shape[word], name##_shift = shape[(word) + 2];                                \
    const uint name##_multiplier = shape[(word) + 1];
#define DIVIDE(n, divisor) kiln_quotient(n, divisor##_multiplier, divisor##_shift)
#define REMAINDER(n, divisor) ((n)-DIVIDE(n, divisor) * (divisor))

/* x under a tap of the output pixel whose window begins at (y, x), 0 outside of the map */
inline float kiln_window(__global const float *image, __global const int *tap, int y, int x,
                         int height, int width)
{
    const int row = y + tap[1], column = x + tap[2];
    const bool inside = row >= 0 && row < height && column >= 0 && column < width;
    return inside ? image[tap[0] + row * width + column] : 0.0f;
}

/* Stores a row of the result per channel and a column per pixel of all images. */
#define STORE_MAPS(target, maps)                                                                   \
    UNROLL for (int i = 0; i < PART; i++)                                                          \
        UNROLL for (int j = 0; j < PART; j++) {                                                    \
            const int row = row0 + TILE_ROW(i, j), column = column0 + TILE_COLUMN(i, j);           \
            if (row < rows && column < columns)                                                    \
                (target)[((long)DIVIDE(column, map) * (maps) + row) * map +                        \
                         REMAINDER(column, map)] = sum[AT(i, j)];                                  \
        }

#define LEFT(i, p) (row0 + (i) < rows ? weight[(long)(row0 + (i)) * depth + (p)] : 0.0f)
/* x under tap k for the output pixel of that number in its map */
#define WINDOW(image, k, pixel)                                                                    \
    kiln_window(x + (long)(image) * channels * height * width, taps + (k)*3,                       \
                DIVIDE(pixel, out_w) * stride_h - top, REMAINDER(pixel, out_w) * stride_w - left,  \
                height, width)
#define RIGHT(p, j)                                                                                \
    (column0 + (j) < columns                                                                       \
         ? WINDOW(DIVIDE(column0 + (j), map), p, REMAINDER(column0 + (j), map))                    \
         : 0.0f)

KILN_LOCAL_KERNEL void conv_local(__global const float *x, long x_offset,
                                  __global const float *weight, long w_offset, __global float *y,
                                  long y_offset, PARAMETERS)
{
    READ_SHAPE
    x += x_offset;
    weight += w_offset;
    y += y_offset;
    LOCAL_SLICES
    float sum[PART * PART];
    CLEAR(sum)
    LOCAL_ADD(sum, 0, depth, LEFT, true, RIGHT, false)
    STORE_MAPS(y, outputs)
}

#undef LEFT
#undef RIGHT
#define LEFT(i, p)                                                                                 \
    (row0 + (i) < rows                                                                             \
         ? weight[((long)DIVIDE(p, kernel_size) * channels + row0 + (i)) * kernel_size +           \
                  REMAINDER(p, kernel_size)]                                                       \
         : 0.0f)
/* dy under tap k for the input pixel of that number in its map, 0 where no output reads it */
#define READER(image, k, pixel)                                                                    \
    kiln_reader(dy + (long)(image) * outputs * out_h * out_w, taps + (k)*3,                        \
                DIVIDE(pixel, width) + top, REMAINDER(pixel, width) + left, stride_h,              \
                stride_h_multiplier, stride_h_shift, stride_w, stride_w_multiplier,                \
                stride_w_shift, out_h, out_w)
#define RIGHT(p, j)                                                                                \
    (column0 + (j) < columns                                                                       \
         ? READER(DIVIDE(column0 + (j), map), p, REMAINDER(column0 + (j), map))                    \
         : 0.0f)

inline float kiln_reader(__global const float *image, __global const int *tap, int y, int x,
                         int stride_h, uint stride_h_multiplier, int stride_h_shift, int stride_w,
                         uint stride_w_multiplier, int stride_w_shift, int out_h, int out_w)
{
    const int p = y - tap[1], q = x - tap[2];
    const int row = DIVIDE(max(p, 0), stride_h), column = DIVIDE(max(q, 0), stride_w);
    const bool inside = row * stride_h == p && column * stride_w == q && row < out_h &&
                        column < out_w;
    return inside ? image[tap[0] + row * out_w + column] : 0.0f;
}

KILN_LOCAL_KERNEL void conv_input_grad_local(__global float *x, long x_offset,
                                             __global const float *weight, long w_offset,
                                             __global const float *dy, long y_offset, PARAMETERS)
{
    READ_SHAPE
    x += x_offset;
    weight += w_offset;
    dy += y_offset;
    LOCAL_SLICES
    float sum[PART * PART];
    CLEAR(sum)
    LOCAL_ADD(sum, 0, depth, LEFT, true, RIGHT, false)
    STORE_MAPS(x, channels)
}

#undef LEFT
#undef RIGHT
#define LEFT(i, p)                                                                                 \
    (row0 + (i) < rows                                                                             \
         ? dy[((long)DIVIDE(p, map) * outputs + row0 + (i)) * map + REMAINDER(p, map)]             \
         : 0.0f)
#define RIGHT(p, j)                                                                                \
    (column0 + (j) < columns ? WINDOW(DIVIDE(p, map), column0 + (j), REMAINDER(p, map)) : 0.0f)

/* share: images of a part */
KILN_LOCAL_KERNEL void conv_weight_grad_local(__global const float *x, long x_offset,
                                              __global float *dw, long w_offset,
                                              __global const float *dy, long y_offset, PARAMETERS,
                                              int share)
{
    READ_SHAPE
    const int part = get_group_id(2), last = min((part + 1) * share * map, depth);
    x += x_offset;
    dy += y_offset;
    LOCAL_SLICES
    float sum[PART * PART];
    CLEAR(sum)
    LOCAL_ADD(sum, part * share * map, last, LEFT, true, RIGHT, true)
    __global float *to = dw + w_offset + (long)part * rows * columns;
    UNROLL for (int i = 0; i < PART; i++)
        UNROLL for (int j = 0; j < PART; j++) {
            const int row = row0 + TILE_ROW(i, j), column = column0 + TILE_COLUMN(i, j);
            if (row < rows && column < columns)
                to[(long)row * columns + column] = sum[AT(i, j)];
        }
}
