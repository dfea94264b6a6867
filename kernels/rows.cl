/*
 * Rows of a table by index. GATHER copies rows in units of 4, 2 or 1 bytes: an
 * item is a unit, or (WHOLE, for processors) a row. SCATTER_ADD zeroes the table, then adds the rows in order: an item is
 * one column, which it walks alone, so that equal indices need no atomics.
 */
#include "lib/items.clh"

#define GATHER(name, type)                                                                         \
    __kernel void name(__global const type *table, long table_offset, __global const int *index,   \
                       long index_offset, __global type *out, long out_offset, int rows,           \
                       int row_units, long n, long chunk)                                          \
    {                                                                                              \
        KILN_ITEMS(item)                                                                           \
        {                                                                                          \
            const long i = item / row_units, unit = item % row_units;                              \
            const int row = clamp(index[index_offset + i], 0, rows - 1);                           \
            out[out_offset + item] = table[table_offset + (long)row * row_units + unit];           \
        }                                                                                          \
    }

GATHER(gather_rows1, uchar)
GATHER(gather_rows2, ushort)
GATHER(gather_rows4, uint)

#define WHOLE(name, type)                                                                          \
    __kernel void name(__global const type *table, long table_offset, __global const int *index,   \
                       long index_offset, __global type *out, long out_offset, int rows,           \
                       int row_units, long n, long chunk)                                          \
    {                                                                                              \
        KILN_ITEMS(i)                                                                              \
        {                                                                                          \
            const int row = clamp(index[index_offset + i], 0, rows - 1);                           \
            __global const type *from = table + table_offset + (long)row * row_units;              \
            __global type *to = out + out_offset + i * row_units;                                  \
            int unit = 0;                                                                          \
            for (; unit + 16 <= row_units; unit += 16)                                             \
                vstore16(vload16(0, from + unit), 0, to + unit);                                   \
            for (; unit < row_units; unit++)                                                       \
                to[unit] = from[unit];                                                             \
        }                                                                                          \
    }

WHOLE(gather_whole_rows1, uchar)
WHOLE(gather_whole_rows2, ushort)
WHOLE(gather_whole_rows4, uint)

__kernel void zero(__global float *out, long out_offset, long n, long chunk)
{
    KILN_ITEMS(item)
    {
        out[out_offset + item] = 0.0f;
    }
}

__kernel void scatter_add_rows(__global float *table, long table_offset, __global const int *index,
                               long index_offset, __global const float *values,
                               long values_offset, int rows, int row_elements, int count, long n,
                               long chunk)
{
    KILN_ITEMS(item)
    {
        for (int i = 0; i < count; i++) {
            const int row = clamp(index[index_offset + i], 0, rows - 1);
            table[table_offset + (long)row * row_elements + item] +=
                values[values_offset + (long)i * row_elements + item];
        }
    }
}
