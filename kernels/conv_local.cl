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
#include "lib/local.clh"

enum {
    IMAGES,
    CHANNELS,
    HEIGHT,
    WIDTH,
    OUTPUTS,
    OUT_H,
    OUT_W,
    STRIDE_H,
    STRIDE_W,
    TOP,
    LEFT_PAD,
    KERNEL,
    SHAPE_WORDS
};

#define PARAMETERS                                                                                 \
    __global const int *shape, __global const int *taps, int rows, int columns, int depth
#define READ_SHAPE                                                                                 \
    const int channels = shape[CHANNELS], height = shape[HEIGHT], width = shape[WIDTH];            \
    const int outputs = shape[OUTPUTS], out_h = shape[OUT_H], out_w = shape[OUT_W];                \
    const int stride_h = shape[STRIDE_H], stride_w = shape[STRIDE_W];                              \
    const int top = shape[TOP], left = shape[LEFT_PAD], kernel_size = shape[KERNEL];               \
    const int column0 = (int)get_group_id(0) * SIDE, row0 = (int)get_group_id(1) * SIDE;

/* x under tap k of output pixel (p, q), 0 outside of the map */
inline float kiln_window(__global const float *image, __global const int *tap, int p, int q,
                         int stride_h, int stride_w, int top, int left, int height, int width)
{
    const int row = p * stride_h + tap[1] - top, column = q * stride_w + tap[2] - left;
    const bool inside = row >= 0 && row < height && column >= 0 && column < width;
    return inside ? image[tap[0] + row * width + column] : 0.0f;
}

/* dy under tap k of input pixel (y, x), 0 where no output reads it */
inline float kiln_reader(__global const float *image, __global const int *tap, int y, int x,
                         int stride_h, int stride_w, int top, int left, int out_h, int out_w)
{
    const int p = y + top - tap[1], q = x + left - tap[2];
    const bool inside = p >= 0 && q >= 0 && p % stride_h == 0 && q % stride_w == 0 &&
                        p / stride_h < out_h && q / stride_w < out_w;
    return inside ? image[tap[0] + p / stride_h * out_w + q / stride_w] : 0.0f;
}

/* Stores a row of the result per channel and a column per pixel of all images. */
#define STORE_MAPS(target, maps, map)                                                              \
    UNROLL for (int i = 0; i < PART; i++)                                                          \
        UNROLL for (int j = 0; j < PART; j++) {                                                    \
            const int row = row0 + TILE_ROW(i, j), column = column0 + TILE_COLUMN(i, j);           \
            if (row < rows && column < columns)                                                    \
                (target)[((long)(column / (map)) * (maps) + row) * (map) + column % (map)] =       \
                    sum[AT(i, j)];                                                                 \
        }

#define LEFT(i, p) (row0 + (i) < rows ? weight[(long)(row0 + (i)) * depth + (p)] : 0.0f)
#define RIGHT(p, j)                                                                                \
    (column0 + (j) < columns                                                                       \
         ? kiln_window(x + (long)((column0 + (j)) / map) * channels * height * width,              \
                       taps + (p) * 3, (column0 + (j)) % map / out_w,                              \
                       (column0 + (j)) % map % out_w, stride_h, stride_w, top, left, height,       \
                       width)                                                                      \
         : 0.0f)

KILN_LOCAL_KERNEL void conv_local(__global const float *x, long x_offset,
                                  __global const float *weight, long w_offset, __global float *y,
                                  long y_offset, PARAMETERS)
{
    READ_SHAPE
    const int map = out_h * out_w;
    x += x_offset;
    weight += w_offset;
    y += y_offset;
    LOCAL_SLICES
    float sum[PART * PART];
    CLEAR(sum)
    LOCAL_ADD(sum, 0, depth, LEFT, true, RIGHT, false)
    STORE_MAPS(y, outputs, map)
}

#undef LEFT
#undef RIGHT
#define LEFT(i, p)                                                                                 \
    (row0 + (i) < rows                                                                             \
         ? weight[((long)((p) / kernel_size) * channels + row0 + (i)) * kernel_size +              \
                  (p) % kernel_size]                                                               \
         : 0.0f)
#define RIGHT(p, j)                                                                                \
    (column0 + (j) < columns                                                                       \
         ? kiln_reader(dy + (long)((column0 + (j)) / map) * outputs * out_h * out_w,               \
                       taps + (p) * 3, (column0 + (j)) % map / width,                              \
                       (column0 + (j)) % map % width, stride_h, stride_w, top, left, out_h, out_w) \
         : 0.0f)

KILN_LOCAL_KERNEL void conv_input_grad_local(__global float *x, long x_offset,
                                             __global const float *weight, long w_offset,
                                             __global const float *dy, long y_offset, PARAMETERS)
{
    READ_SHAPE
    const int map = height * width;
    x += x_offset;
    weight += w_offset;
    dy += y_offset;
    LOCAL_SLICES
    float sum[PART * PART];
    CLEAR(sum)
    LOCAL_ADD(sum, 0, depth, LEFT, true, RIGHT, false)
    STORE_MAPS(x, channels, map)
}

#undef LEFT
#undef RIGHT
#define LEFT(i, p)                                                                                 \
    (row0 + (i) < rows                                                                             \
         ? dy[((long)((p) / map) * outputs + row0 + (i)) * map + (p) % map]                        \
         : 0.0f)
#define RIGHT(p, j)                                                                                \
    (column0 + (j) < columns                                                                       \
         ? kiln_window(x + (long)((p) / map) * channels * height * width,                          \
                       taps + (column0 + (j)) * 3, (p) % map / out_w, (p) % map % out_w, stride_h, \
                       stride_w, top, left, height, width)                                         \
         : 0.0f)

/* share: images of a part */
KILN_LOCAL_KERNEL void conv_weight_grad_local(__global const float *x, long x_offset,
                                              __global float *dw, long w_offset,
                                              __global const float *dy, long y_offset, PARAMETERS,
                                              int share)
{
    READ_SHAPE
    const int map = out_h * out_w, part = get_group_id(2);
    x += x_offset;
    dy += y_offset;
    const int last = min((part + 1) * share * map, depth);
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
