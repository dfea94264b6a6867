/*
 * c = a b for processors: tiles of 14 rows by 32 columns in 28 vector
 * registers; for each p, two vectors of b meet 14 scalars of a.
 *
 * Work-item (i, j, batch): rows from 14 i on (the last tile starts at m - 14
 * and stores only its own rows), columns from 32 j on. b is read in panels of
 * 32 columns: in place where its columns are dense and 16 divides n, else
 * packed with zeros at the end. a with dense columns is read in place by 14
 * broadcasts, five pointers for three rows each; with dense rows (or packed,
 * where m < 14) by one pointer.
 */
#include "lib/tile.clh"
#include "lib/transpose.clh"

#define TILE_ROWS 14

/* --- packing ------------------------------------------------------------------ */

/* Work-item (part of k, panel, batch): rows of b with dense columns. */
KILN_TILE_KERNEL void matmul_pack_rows(__global const float *b, long b_offset,
                                       __global float *packed, long packed_offset, long b_batch,
                                       long b_row, int columns, int depth, int part)
{
    const int panel = get_global_id(1), panels = get_global_size(1);
    const long batch = get_global_id(2);
    const int first = (int)get_global_id(0) * part, last = min(first + part, depth);
    const int left = columns - panel * 32;
    __global const float *from = b + b_offset + batch * b_batch + first * b_row + panel * 32;
    __global float *to = packed + packed_offset + ((batch * panels + panel) * depth + first) * 32;
    for (int p = first; p < last; p++, from += b_row, to += 32) {
        if (left >= 32) {
            STORE16(LOAD16(from), to);
            STORE16(LOAD16(from + 16), to + 16);
        } else {
            for (int q = 0; q < 32; q++)
                to[q] = q < left ? from[q] : 0.0f;
        }
    }
}

/* As above for b with dense rows: 16 columns at a time, transposed in squares. */
KILN_TILE_KERNEL void matmul_pack_columns(__global const float *b, long b_offset,
                                          __global float *packed, long packed_offset, long b_batch,
                                          long b_column, int columns, int depth, int part)
{
    const int panel = get_global_id(1), panels = get_global_size(1);
    const long batch = get_global_id(2);
    const int first = (int)get_global_id(0) * part, last = min(first + part, depth);
    __global float *to = packed + packed_offset + (batch * panels + panel) * depth * 32;
    for (int half_panel = 0; half_panel < 32; half_panel += 16) {
        const int column = panel * 32 + half_panel;
        __global const float *from = b + b_offset + batch * b_batch + column * b_column;
        int p = first;
        if (column + 16 <= columns)
            for (; p + 16 <= last; p += 16) {
#define LOAD_COLUMN(r) const float16 u##r = LOAD16(from + r * b_column + p);
                ROWS16(LOAD_COLUMN)
                TRANSPOSE16(u, y)
#define STORE_ROW(r) STORE16(y##r, to + (p + r) * 32 + half_panel);
                ROWS16(STORE_ROW)
            }
        for (; p < last; p++)
            for (int q = 0; q < 16; q++)
                to[p * 32 + half_panel + q] = column + q < columns ? from[q * b_column + p] : 0.0f;
    }
}

/* a of fewer than 14 rows as [batch][k][14]; work-item (batch). */
KILN_TILE_KERNEL void matmul_pack_a(__global const float *a, long a_offset, __global float *packed,
                                    long packed_offset, long a_batch, long a_row, long a_column,
                                    int rows, int depth)
{
    const long batch = get_global_id(0);
    __global const float *from = a + a_offset + batch * a_batch;
    __global float *to = packed + packed_offset + batch * depth * TILE_ROWS;
    for (int p = 0; p < depth; p++)
        for (int r = 0; r < TILE_ROWS; r++)
            to[p * TILE_ROWS + r] = r < rows ? from[r * a_row + p * a_column] : 0.0f;
}

/* --- the tile --------------------------------------------------------------------- */

#define DECLARE(r) float16 x##r = 0.0f, y##r = 0.0f;
#define MULTIPLY(r, scalar)                                                                        \
    {                                                                                              \
        const float16 t = (float16)(scalar);                                                       \
        x##r = fma(t, b0, x##r);                                                                   \
        y##r = fma(t, b1, y##r);                                                                   \
    }
#define STORE_TILE_ROW(r)                                                                          \
    if (r >= skip && r < stop) {                                                                   \
        __global float *to = target + r * c_row;                                                   \
        if (left >= 32) {                                                                          \
            STORE16(x##r, to);                                                                     \
            STORE16(y##r, to + 16);                                                                \
        } else if (left > 16) {                                                                    \
            STORE16(x##r, to);                                                                     \
            kiln_store_part(y##r, to + 16, left - 16);                                             \
        } else if (left == 16) {                                                                   \
            STORE16(x##r, to);                                                                     \
        } else {                                                                                   \
            kiln_store_part(x##r, to, left);                                                       \
        }                                                                                          \
    }

#define TILE_PARAMETERS                                                                            \
    __global const float *a, long a_offset, __global const float *b, long b_offset,                \
        __global float *c, long c_offset, long a_batch, long a_row, long b_batch, long b_panel,    \
        int b_row, long c_batch, long c_row, int rows, int columns, int depth

#define TILE_START                                                                                 \
    const int j = get_global_id(1);                                                                \
    const long batch = get_global_id(2);                                                           \
    const int tile = (int)get_global_id(0) * TILE_ROWS;                                            \
    const int row = max(min(tile, rows - TILE_ROWS), 0);                                           \
    const int skip = tile - row, stop = min(rows - row, TILE_ROWS), left = columns - j * 32;       \
    __global float *target = c + c_offset + batch * c_batch + row * c_row + j * 32;                \
    __global const float *bp = b + b_offset + batch * b_batch + j * b_panel;                       \
    __global const float *ap = a + a_offset + batch * a_batch + row * a_row;                       \
    /* the last panel of 16 columns in place: its second half is not stored */                     \
    const int second = left > 16 ? 16 : 0;                                                         \
    ROWS14(DECLARE)

/* Dense columns of a. */
KILN_TILE_KERNEL void matmul_tile_rows(TILE_PARAMETERS)
{
    TILE_START
    const long step = a_row;
    __global const float *a0 = ap, *a3 = ap + 3 * step, *a6 = ap + 6 * step;
    __global const float *a9 = ap + 9 * step, *a12 = ap + 12 * step;
    for (int p = 0; p < depth; p++, bp += b_row) {
        const float16 b0 = LOAD16(bp), b1 = LOAD16(bp + second);
        MULTIPLY(0, a0[p])
        MULTIPLY(1, a0[p + step])
        MULTIPLY(2, a0[p + 2 * step])
        MULTIPLY(3, a3[p])
        MULTIPLY(4, a3[p + step])
        MULTIPLY(5, a3[p + 2 * step])
        MULTIPLY(6, a6[p])
        MULTIPLY(7, a6[p + step])
        MULTIPLY(8, a6[p + 2 * step])
        MULTIPLY(9, a9[p])
        MULTIPLY(10, a9[p + step])
        MULTIPLY(11, a9[p + 2 * step])
        MULTIPLY(12, a12[p])
        MULTIPLY(13, a12[p + step])
    }
    ROWS14(STORE_TILE_ROW)
}

/* Dense rows of a: a_row is 1, and step the distance of its columns. */
KILN_TILE_KERNEL void matmul_tile_columns(TILE_PARAMETERS, long step)
{
    TILE_START
    for (int p = 0; p < depth; p++, bp += b_row, ap += step) {
        const float16 b0 = LOAD16(bp), b1 = LOAD16(bp + second);
#define MULTIPLY_ROW(r) MULTIPLY(r, ap[r])
        ROWS14(MULTIPLY_ROW)
    }
    ROWS14(STORE_TILE_ROW)
}
