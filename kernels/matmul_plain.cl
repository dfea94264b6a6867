/*
 * c[b,i,j] = sum over p of a[b,i,p] b[b,p,j], for every size and every stride.
 * An item is one element of c; the sum is taken in order of p.
 */
#include "lib/items.clh"

__kernel void matmul_plain(__global const float *a, long a_offset, __global const float *b,
                           long b_offset, __global float *c, long c_offset, long a_batch,
                           long a_row, long a_column, long b_batch, long b_row, long b_column,
                           long c_batch, long c_row, int rows, int columns, int depth, long n,
                           long chunk)
{
    KILN_ITEMS(item)
    {
        const int j = (int)(item % columns);
        const int i = (int)(item / columns % rows);
        const long batch = item / columns / rows;
        __global const float *left = a + a_offset + batch * a_batch + i * a_row;
        __global const float *right = b + b_offset + batch * b_batch + j * b_column;
        float sum = 0.0f;
        for (int p = 0; p < depth; p++)
            sum = fma(left[p * a_column], right[p * b_row], sum);
        c[c_offset + batch * c_batch + i * c_row + j] = sum;
    }
}
