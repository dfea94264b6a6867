/*
 * Pooling windows over feature maps [outer][h][w][inner]. ARGMAX: the plane
 * index y w + x of the first largest element of each window (padding is
 * -infinity). GATHER reads x at the index; SCATTER is its adjoint: every x
 * gathers from the windows that cover it, in row-major order.
 *
 * The kernels in 16 are for maps of 16 (or a multiple) inner elements: an item
 * is a vector.
 */
#include "lib/items.clh"

#define OUTPUT_INDICES                                                                             \
    const int c = (int)(item % inner);                                                             \
    const int q = (int)(item / inner % out_w);                                                     \
    const int p = (int)(item / inner / out_w % out_h);                                             \
    const long plane = item / inner / out_w / out_h * height * width * inner;

__kernel void window_argmax(__global const float *x, long x_offset, __global int *index,
                            long index_offset, int inner, int height, int width, int out_h,
                            int out_w, int size_h, int size_w, int stride_h, int stride_w, int top,
                            int left, long n, long chunk)
{
    x += x_offset;
    index += index_offset;
    KILN_ITEMS(item)
    {
        OUTPUT_INDICES
        const int row0 = p * stride_h - top, column0 = q * stride_w - left;
        const int row1 = min(row0 + size_h, height), column1 = min(column0 + size_w, width);
        int best = max(row0, 0) * width + max(column0, 0);
        float largest = -INFINITY;
        for (int row = max(row0, 0); row < row1; row++)
            for (int column = max(column0, 0); column < column1; column++) {
                const int at = row * width + column;
                const float value = x[plane + (long)at * inner + c];
                if (value > largest) {
                    largest = value;
                    best = at;
                }
            }
        index[item] = best;
    }
}

__kernel void window_argmax16(__global const float *x, long x_offset, __global int *index,
                              long index_offset, int inner, int height, int width, int out_h,
                              int out_w, int size_h, int size_w, int stride_h, int stride_w,
                              int top, int left, long n, long chunk)
{
    const int vectors = inner / 16;
    x += x_offset;
    index += index_offset;
    KILN_ITEMS(item)
    {
        const int q = (int)(item / vectors % out_w);
        const int p = (int)(item / vectors / out_w % out_h);
        __global const float *map = x + item / vectors / out_w / out_h * height * width * inner +
                                    item % vectors * 16;
        const int row0 = p * stride_h - top, column0 = q * stride_w - left;
        const int row1 = min(row0 + size_h, height), column1 = min(column0 + size_w, width);
        int16 best = max(row0, 0) * width + max(column0, 0);
        float16 largest = -INFINITY;
        for (int row = max(row0, 0); row < row1; row++)
            for (int column = max(column0, 0); column < column1; column++) {
                const int at = row * width + column;
                const float16 value = vload16(0, map + (long)at * inner);
                best = select(best, (int16)(at), value > largest);
                largest = select(largest, value, value > largest);
            }
        vstore16(best, 0, index + item * 16);
    }
}

__kernel void window_gather(__global const float *x, long x_offset, __global const int *index,
                            long index_offset, __global float *y, long y_offset, int inner,
                            int height, int width, int out_h, int out_w, long n, long chunk)
{
    x += x_offset;
    index += index_offset;
    y += y_offset;
    KILN_ITEMS(item)
    {
        const int c = (int)(item % inner);
        const long plane = item / inner / out_w / out_h * height * width * inner;
        const int at = clamp(index[item], 0, height * width - 1);
        y[item] = x[plane + (long)at * inner + c];
    }
}

/* First window whose last element is not before the coordinate. */
inline int kiln_first_window(int at, int pad, int size, int stride)
{
    const int reach = at + pad - size + 1;
    return reach <= 0 ? 0 : (reach + stride - 1) / stride;
}

__kernel void window_scatter(__global float *x, long x_offset, __global const int *index,
                             long index_offset, __global const float *y, long y_offset, int inner,
                             int height, int width, int out_h, int out_w, int size_h, int size_w,
                             int stride_h, int stride_w, int top, int left, long n, long chunk)
{
    x += x_offset;
    index += index_offset;
    y += y_offset;
    KILN_ITEMS(item)
    {
        const int c = (int)(item % inner);
        const int column = (int)(item / inner % width);
        const int row = (int)(item / inner / width % height);
        const long outer = item / inner / width / height;
        const int at = row * width + column;
        const int p0 = kiln_first_window(row, top, size_h, stride_h);
        const int q0 = kiln_first_window(column, left, size_w, stride_w);
        const int p1 = min((row + top) / stride_h + 1, out_h);
        const int q1 = min((column + left) / stride_w + 1, out_w);
        float sum = 0.0f;
        for (int p = p0; p < p1; p++)
            for (int q = q0; q < q1; q++) {
                const long from = ((outer * out_h + p) * out_w + q) * inner + c;
                if (index[from] == at)
                    sum += y[from];
            }
        x[item] = sum;
    }
}

__kernel void window_scatter16(__global float *x, long x_offset, __global const int *index,
                               long index_offset, __global const float *y, long y_offset,
                               int inner, int height, int width, int out_h, int out_w, int size_h,
                               int size_w, int stride_h, int stride_w, int top, int left, long n,
                               long chunk)
{
    const int vectors = inner / 16;
    x += x_offset;
    index += index_offset;
    y += y_offset;
    KILN_ITEMS(item)
    {
        const int c = (int)(item % vectors) * 16;
        const int column = (int)(item / vectors % width);
        const int row = (int)(item / vectors / width % height);
        const long outer = item / vectors / width / height;
        const int at = row * width + column;
        const int p0 = kiln_first_window(row, top, size_h, stride_h);
        const int q0 = kiln_first_window(column, left, size_w, stride_w);
        const int p1 = min((row + top) / stride_h + 1, out_h);
        const int q1 = min((column + left) / stride_w + 1, out_w);
        float16 sum = 0.0f;
        for (int p = p0; p < p1; p++)
            for (int q = q0; q < q1; q++) {
                const long from = ((outer * out_h + p) * out_w + q) * inner + c;
                const int16 chosen = vload16(0, index + from) == at;
                sum += select((float16)(0.0f), vload16(0, y + from), chosen);
            }
        vstore16(sum, 0, x + item * 16);
    }
}
