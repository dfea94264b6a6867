/*
 * Pooling windows over feature maps [outer][h][w][inner]. ARGMAX: the plane
 * index y w + x of the first largest element of each window (padding is
 * -infinity). GATHER reads x at the index; SCATTER is its adjoint: every x
 * gathers from the windows that cover it, in row-major order.
 *
 * argmax16 is for maps of 16 (or a multiple) inner elements: an item is a
 * vector. The first NaN counts as the largest.
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
                if (!(value <= largest || isnan(largest))) {
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
        int16 best = max(row0, 0) * width + max(column0, 0), unordered = 0;
        float16 largest = -INFINITY;
        for (int row = max(row0, 0); row < row1; row++)
            for (int column = max(column0, 0); column < column1; column++) {
                const int at = row * width + column;
                const float16 value = vload16(0, map + (long)at * inner);
                best = select(best, (int16)(at), value > largest);
                largest = select(largest, value, value > largest);
                unordered |= isnan(value);
            }
        if (any(unordered)) /* once more, backwards: the first of them stays */
            for (int row = row1 - 1; row >= max(row0, 0); row--)
                for (int column = column1 - 1; column >= max(column0, 0); column--) {
                    const int at = row * width + column;
                    const float16 value = vload16(0, map + (long)at * inner);
                    best = select(best, (int16)(at), isnan(value));
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

/* Whole planes, one an item: for processors. Windows in order, as above. */
__kernel void window_gather_planes(__global const float *x, long x_offset,
                                   __global const int *index, long index_offset,
                                   __global float *y, long y_offset, int inner, int height,
                                   int width, int out_h, int out_w, long n, long chunk)
{
    const int last = height * width - 1;
    const long windows = (long)out_h * out_w;
    KILN_ITEMS(outer)
    {
        __global const float *map = x + x_offset + outer * height * width * inner;
        __global const int *from = index + index_offset + outer * windows * inner;
        __global float *to = y + y_offset + outer * windows * inner;
        for (long at = 0; at < windows * inner; at += inner)
            for (int c = 0; c < inner; c++)
                to[at + c] = map[(long)clamp(from[at + c], 0, last) * inner + c];
    }
}

__kernel void window_scatter_planes(__global float *x, long x_offset, __global const int *index,
                                    long index_offset, __global const float *y, long y_offset,
                                    int inner, int height, int width, int out_h, int out_w, long n,
                                    long chunk)
{
    const int last = height * width - 1;
    const long windows = (long)out_h * out_w, plane = (long)height * width * inner;
    KILN_ITEMS(outer)
    {
        __global float *map = x + x_offset + outer * plane;
        __global const int *to = index + index_offset + outer * windows * inner;
        __global const float *from = y + y_offset + outer * windows * inner;
        for (long i = 0; i < plane; i++)
            map[i] = 0.0f;
        for (long at = 0; at < windows * inner; at += inner)
            for (int c = 0; c < inner; c++)
                map[(long)clamp(to[at + c], 0, last) * inner + c] += from[at + c];
    }
}
