/*
 * c[b,i,j] = sum over p of a[b,i,p] b[b,p,j] for GPUs (lib/local.clh), for
 * every size and every stride. Work-group (column tile, row tile, batch).
 */
#include "lib/local.clh"

#define LEFT(i, p) (row0 + (i) < rows ? ap[(i) * a_row + (long)(p) * a_column] : 0.0f)
#define RIGHT(p, j) (column0 + (j) < columns ? bp[(long)(p) * b_row + (j) * b_column] : 0.0f)

KILN_LOCAL_KERNEL void matmul_local(__global const float *a, long a_offset, __global const float *b,
                                    long b_offset, __global float *c, long c_offset, long a_batch,
                                    long a_row, long a_column, long b_batch, long b_row,
                                    long b_column, long c_batch, long c_row, int rows, int columns,
                                    int depth)
{
    const int column0 = (int)get_group_id(0) * SIDE, row0 = (int)get_group_id(1) * SIDE;
    const long batch = get_group_id(2);
    __global const float *ap = a + a_offset + batch * a_batch + row0 * a_row;
    __global const float *bp = b + b_offset + batch * b_batch + column0 * b_column;
    LOCAL_SLICES
    float sum[PART * PART];
    CLEAR(sum)
    LOCAL_ADD(sum, 0, depth, LEFT, a_column == 1, RIGHT, b_row == 1 && b_column != 1)
    __global float *to = c + c_offset + batch * c_batch;
    UNROLL for (int i = 0; i < PART; i++)
        UNROLL for (int j = 0; j < PART; j++) {
            const int row = row0 + TILE_ROW(i, j), column = column0 + TILE_COLUMN(i, j);
            if (row < rows && column < columns)
                to[row * c_row + column] = sum[AT(i, j)];
        }
}
