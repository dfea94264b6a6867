/*
 * y[o,i,j,c] = sum over p, q of v[i,p] u[j,q] x[o,p,q,c]: a sparse matrix on
 * each spatial axis (row starts, columns, weights). An item is one element of
 * y; the inner sum goes over the horizontal axis.
 */
#include "lib/items.clh"

#pragma OPENCL FP_CONTRACT OFF

__kernel void resample(__global const float *x, long x_offset, __global float *y, long y_offset,
                       __global const int *v_row, __global const int *v_column,
                       __global const float *v_weight, __global const int *u_row,
                       __global const int *u_column, __global const float *u_weight, int inner,
                       int height, int width, int out_h, int out_w, long n, long chunk)
{
    x += x_offset;
    y += y_offset;
    KILN_ITEMS(item)
    {
        const int c = (int)(item % inner);
        const int j = (int)(item / inner % out_w);
        const int i = (int)(item / inner / out_w % out_h);
        __global const float *plane =
            x + item / inner / out_w / out_h * height * width * inner + c;
        const int q0 = u_row[j], q1 = u_row[j + 1];
        float sum = 0.0f;
        for (int p = v_row[i]; p < v_row[i + 1]; p++) {
            __global const float *line = plane + (long)v_column[p] * width * inner;
            float across = 0.0f;
            for (int q = q0; q < q1; q++)
                across += u_weight[q] * line[(long)u_column[q] * inner];
            sum += v_weight[p] * across;
        }
        y[item] = sum;
    }
}

/* Maps of 16 (or a multiple) inner elements: an item is a vector of 16. */
__kernel void resample16(__global const float *x, long x_offset, __global float *y, long y_offset,
                         __global const int *v_row, __global const int *v_column,
                         __global const float *v_weight, __global const int *u_row,
                         __global const int *u_column, __global const float *u_weight, int inner,
                         int height, int width, int out_h, int out_w, long n, long chunk)
{
    const int vectors = inner / 16;
    x += x_offset;
    y += y_offset;
    KILN_ITEMS(item)
    {
        const int c = (int)(item % vectors) * 16;
        const int j = (int)(item / vectors % out_w);
        const int i = (int)(item / vectors / out_w % out_h);
        __global const float *plane =
            x + item / vectors / out_w / out_h * height * width * inner + c;
        const int q0 = u_row[j], q1 = u_row[j + 1];
        float16 sum = 0.0f;
        for (int p = v_row[i]; p < v_row[i + 1]; p++) {
            __global const float *line = plane + (long)v_column[p] * width * inner;
            float16 across = 0.0f;
            for (int q = q0; q < q1; q++)
                across += u_weight[q] * vload16(0, line + (long)u_column[q] * inner);
            sum += v_weight[p] * across;
        }
        vstore16(sum, 0, y + item * 16);
    }
}
