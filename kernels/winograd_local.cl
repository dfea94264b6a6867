/*
 * The transforms of Winograd's F(4x4,3x3) and F(3x3,4x4) for GPUs, in the
 * dense layout (lib/winograd.clh; winograd_tile.cl says what they are for).
 * Between them stand 36 products of matrices by matmul_local.cl, one for each
 * element e of the transforms:
 *
 *   convolution      M[e] [target][tile]   = U[e] [target][source] V[e] [source][tile]
 *   weight gradient  S[e] [output][input]  = D[e] [output][tile]   V[e] [tile][input]
 *
 * Tiles are divided into parts of `share` (one part for a convolution), whose
 * products are added up at the end: V [part][e][channel][share], zeros beyond
 * the last tile. Neighbouring items are neighbouring tiles.
 */
#define VALUE float
#include "lib/items.clh"
#include "lib/unroll.clh"
#include "lib/winograd.clh"

#pragma OPENCL FP_CONTRACT OFF

enum { ELEMENTS = 36, TAPS = 9 };
enum { ROWS, COLUMNS, TOP, LEFT, TILE_ROWS, TILE_COLUMNS, TILES, SHARE };

/* What item number `item` of [part][channel][share] stands for. */
#define TILE_OF(item)                                                                              \
    const int share = geometry[SHARE], rows = geometry[ROWS], columns = geometry[COLUMNS];         \
    const int inside = (int)((item) % share), channel = (int)((item) / share % channels);          \
    const int part = (int)((item) / share / channels), number = part * share + inside;             \
    const int tile_columns = geometry[TILE_COLUMNS];                                               \
    const int map_tiles = geometry[TILE_ROWS] * tile_columns;                                      \
    const int image = number / map_tiles, tile = number % map_tiles;                               \
    const int row0 = tile / tile_columns * 4 - geometry[TOP];                                      \
    const int column0 = tile % tile_columns * 4 - geometry[LEFT];                                  \
    const bool exists = number < geometry[TILES];                                                  \
    const long map = ((long)image * channels + channel) * rows * columns;                          \
    const long apart = (long)channels * share;                                                     \
    const long spectrum = (long)part * ELEMENTS * apart + (long)channel * share + inside;

#define PIXEL(i, j)                                                                                \
    (exists && row0 + (i) >= 0 && row0 + (i) < rows && column0 + (j) >= 0 &&                       \
             column0 + (j) < columns                                                               \
         ? from[map + (long)(row0 + (i)) * columns + column0 + (j)]                                \
         : 0.0f)
#define STORE_ROW(i)                                                                               \
    to[spectrum + ((i)*6 + 0) * apart] = r0;                                                       \
    to[spectrum + ((i)*6 + 1) * apart] = r1;                                                       \
    to[spectrum + ((i)*6 + 2) * apart] = r2;                                                       \
    to[spectrum + ((i)*6 + 3) * apart] = r3;                                                       \
    to[spectrum + ((i)*6 + 4) * apart] = r4;                                                       \
    to[spectrum + ((i)*6 + 5) * apart] = r5;

/* V = Bt d B of the 6x6 pixels of each tile. */
__kernel void winograd_source(__global const float *from, long from_offset, __global float *to,
                              long to_offset, __global const int *geometry, int channels, long n,
                              long chunk)
{
    from += from_offset;
    to += to_offset;
    KILN_ITEMS(item)
    {
        TILE_OF(item)
        float t[ELEMENTS];
        UNROLL for (int j = 0; j < 6; j++) {
            const float d0 = PIXEL(0, j), d1 = PIXEL(1, j), d2 = PIXEL(2, j);
            const float d3 = PIXEL(3, j), d4 = PIXEL(4, j), d5 = PIXEL(5, j);
            WINOGRAD_SOURCE(d, r)
            t[j] = r0, t[6 + j] = r1, t[12 + j] = r2, t[18 + j] = r3, t[24 + j] = r4;
            t[30 + j] = r5;
        }
        UNROLL for (int i = 0; i < 6; i++) {
            const float d0 = t[i * 6], d1 = t[i * 6 + 1], d2 = t[i * 6 + 2];
            const float d3 = t[i * 6 + 3], d4 = t[i * 6 + 4], d5 = t[i * 6 + 5];
            WINOGRAD_SOURCE(d, r)
            STORE_ROW(i)
        }
    }
}

/* D = G' dy G't of the 4x4 pixels of each tile. */
__kernel void winograd_outputs(__global const float *from, long from_offset, __global float *to,
                               long to_offset, __global const int *geometry, int channels, long n,
                               long chunk)
{
    from += from_offset;
    to += to_offset;
    KILN_ITEMS(item)
    {
        TILE_OF(item)
        float t[24];
        UNROLL for (int j = 0; j < 4; j++) {
            const float g0 = PIXEL(0, j), g1 = PIXEL(1, j), g2 = PIXEL(2, j), g3 = PIXEL(3, j);
            WINOGRAD_OUTPUTS(g, r)
            t[j] = r0, t[4 + j] = r1, t[8 + j] = r2, t[12 + j] = r3, t[16 + j] = r4;
            t[20 + j] = r5;
        }
        UNROLL for (int i = 0; i < 6; i++) {
            const float g0 = t[i * 4], g1 = t[i * 4 + 1], g2 = t[i * 4 + 2], g3 = t[i * 4 + 3];
            WINOGRAD_OUTPUTS(g, r)
            STORE_ROW(i)
        }
    }
}

/* U[e][source][target] = G g Gt of dense weights [output][input][3][3]; those
 * of the input gradient (back) go from outputs to inputs, taps in reverse. */
__kernel void winograd_weights(__global const float *weight, long weight_offset, __global float *to,
                               long to_offset, int sources, int targets, int back, long n,
                               long chunk)
{
    const long apart = (long)sources * targets;
    to += to_offset;
    KILN_ITEMS(item)
    {
        const int target = (int)(item % targets), source = (int)(item / targets);
        __global const float *from =
            weight + weight_offset +
            (back ? (long)source * targets + target : (long)target * sources + source) * TAPS;
        const long spectrum = item;
        float t[18];
        UNROLL for (int j = 0; j < 3; j++) {
            const float c0 = from[back ? 8 - j : j];
            const float c1 = from[back ? 5 - j : 3 + j];
            const float c2 = from[back ? 2 - j : 6 + j];
            WINOGRAD_TAPS(c, r)
            t[j] = r0, t[3 + j] = r1, t[6 + j] = r2, t[9 + j] = r3, t[12 + j] = r4, t[15 + j] = r5;
        }
        UNROLL for (int i = 0; i < 6; i++) {
            const float c0 = t[i * 3], c1 = t[i * 3 + 1], c2 = t[i * 3 + 2];
            WINOGRAD_TAPS(c, r)
            STORE_ROW(i)
        }
    }
}

/* At M A into the at most 4x4 pixels of each tile. */
__kernel void winograd_target(__global const float *from, long from_offset, __global float *to,
                              long to_offset, __global const int *geometry, int channels, long n,
                              long chunk)
{
    from += from_offset;
    to += to_offset;
    KILN_ITEMS(item)
    {
        TILE_OF(item)
        float t[24];
        UNROLL for (int j = 0; j < 6; j++) {
#define PRODUCT(i) from[spectrum + ((i)*6 + j) * apart]
            const float m0 = PRODUCT(0), m1 = PRODUCT(1), m2 = PRODUCT(2);
            const float m3 = PRODUCT(3), m4 = PRODUCT(4), m5 = PRODUCT(5);
            WINOGRAD_TARGET(m, y)
            t[j] = y0, t[6 + j] = y1, t[12 + j] = y2, t[18 + j] = y3;
        }
        UNROLL for (int i = 0; i < 4 && exists && row0 + i < rows; i++) {
            const float m0 = t[i * 6], m1 = t[i * 6 + 1], m2 = t[i * 6 + 2];
            const float m3 = t[i * 6 + 3], m4 = t[i * 6 + 4], m5 = t[i * 6 + 5];
            __global float *line = to + map + (long)(row0 + i) * columns + column0;
            WINOGRAD_TARGET(m, y)
            line[0] = y0;
            if (column0 + 1 < columns)
                line[1] = y1;
            if (column0 + 2 < columns)
                line[2] = y2;
            if (column0 + 3 < columns)
                line[3] = y3;
        }
    }
}

/* dw [output][input][3][3] = At' (sum of the parts of S) A'. */
__kernel void winograd_taps(__global const float *sums, long sums_offset, __global float *weight,
                            long weight_offset, int parts, long n, long chunk)
{
    KILN_ITEMS(item)
    {
        __global const float *from = sums + sums_offset + item;
        __global float *to = weight + weight_offset + item * TAPS;
        float t[18];
        UNROLL for (int j = 0; j < 6; j++) {
            float m0 = 0.0f, m1 = 0.0f, m2 = 0.0f, m3 = 0.0f, m4 = 0.0f, m5 = 0.0f;
            for (int part = 0; part < parts; part++) {
                __global const float *p = from + ((long)part * ELEMENTS + j) * n;
                m0 += p[0];
                m1 += p[6 * n];
                m2 += p[12 * n];
                m3 += p[18 * n];
                m4 += p[24 * n];
                m5 += p[30 * n];
            }
            WINOGRAD_GRADIENT(m, y)
            t[j] = y0, t[6 + j] = y1, t[12 + j] = y2;
        }
        UNROLL for (int i = 0; i < 3; i++) {
            const float m0 = t[i * 6], m1 = t[i * 6 + 1], m2 = t[i * 6 + 2];
            const float m3 = t[i * 6 + 3], m4 = t[i * 6 + 4], m5 = t[i * 6 + 5];
            WINOGRAD_GRADIENT(m, y)
            to[i * 3] = y0;
            to[i * 3 + 1] = y1;
            to[i * 3 + 2] = y2;
        }
    }
}
