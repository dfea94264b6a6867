/*
 * The gradient of a 3x3 convolution of stride 1 with respect to its weights by
 * Winograd's F(3x3,4x4) for processors, maps in blocks of 16 channels:
 *
 *   dw = At' [sum over tiles of (Bt x tile B) * (G' dy tile G't)] A'
 *
 * The sums over tiles are 36 products of matrices [channels of x][tiles] by
 * [tiles][channels of dy], one for each element e = (i, j) of the transforms.
 *
 * Work-item (pair of rows i and channels, part of the tiles): for some tiles
 * at a time it makes two rows of the transforms, (1,2), (3,4) or (0,5), which
 * share their work, in local memory, [e][tile][channel]; then adds to tiles of
 * 8 channels of x by 32 (last: 16) of dy that stay in registers over all those
 * tiles. Sums: [part][e][channel of x][channel of dy].
 */
#include "lib/items.clh"
#include "lib/tile.clh"
#include "lib/winograd.clh"
#include "lib/winograd_sums.clh"

enum { X_ROWS, X_COLUMNS, Y_ROWS, Y_COLUMNS, TOP, LEFT, TILE_ROWS, TILE_COLUMNS, TILES };
enum { ELEMENTS = 36, ENDS = 2 };

/* --- two rows of a tile's transform ------------------------------------------------ */

/* of x: the points p and -p, or 0 and infinity; o2: the other point squared */
inline void kiln_winograd_x(__global const float *map, int rows, int columns, int row0, int column0,
                            int pair, __local float16 *to, int apart)
{
    const float16 zero = 0.0f;
    const float16 p = pair ? WINOGRAD_B : WINOGRAD_A, o2 = pair ? WINOGRAD_A2 : WINOGRAD_B2;
    const int step = columns * 16;
    float16 t[12];
    for (int j = 0; j < 6; j++) {
        const int column = column0 + j;
        if (column < 0 || column >= columns) {
            t[j] = t[6 + j] = zero;
            continue;
        }
        __global const float *from = map + ((long)row0 * columns + column) * 16;
#define PIXEL(i) (row0 + i >= 0 && row0 + i < rows ? LOAD16(from + i * step) : zero)
        const float16 d1 = PIXEL(1), d2 = PIXEL(2), d3 = PIXEL(3), d4 = PIXEL(4);
        PREFETCH(from + 6 * step);
        PREFETCH(from + 7 * step);
        PREFETCH(from + 8 * step);
        PREFETCH(from + 9 * step);
        if (pair == ENDS) {
            const float16 d0 = PIXEL(0), d5 = PIXEL(5);
            const float16 a2b2 = WINOGRAD_A2B2, sum = -WINOGRAD_SUM;
            t[j] = fma(a2b2, d0, fma(sum, d2, d4));
            t[6 + j] = fma(a2b2, d1, fma(sum, d3, d5));
        } else {
            const float16 u = fma(-o2, d2, d4), v = fma(-o2, d1, d3);
            t[j] = fma(p, v, u);
            t[6 + j] = fma(-p, v, u);
        }
#undef PIXEL
    }
    for (int i = 0; i < 2; i++, to += 6 * apart) {
        const float16 d0 = t[i * 6], d1 = t[i * 6 + 1], d2 = t[i * 6 + 2];
        const float16 d3 = t[i * 6 + 3], d4 = t[i * 6 + 4], d5 = t[i * 6 + 5];
        WINOGRAD_SOURCE(d, r)
        to[0] = r0;
        to[apart] = r1;
        to[2 * apart] = r2;
        to[3 * apart] = r3;
        to[4 * apart] = r4;
        to[5 * apart] = r5;
    }
}

/* of dy, whose tile may lie partly outside of the map */
inline void kiln_winograd_dy(__global const float *map, int rows, int columns, int row0,
                             int column0, int pair, __local float16 *to, int apart)
{
    const float16 zero = 0.0f;
    const float16 p = pair ? WINOGRAD_B / WINOGRAD_NB : WINOGRAD_A / WINOGRAD_NA;
    const float16 scale = pair ? 1 / WINOGRAD_NB : 1 / WINOGRAD_NA;
    const float16 p2 = pair ? WINOGRAD_B2 : WINOGRAD_A2;
    const int step = columns * 16;
    float16 t[8];
    for (int j = 0; j < 4; j++) {
        if (column0 + j >= columns) {
            t[j] = t[4 + j] = zero;
            continue;
        }
        __global const float *from = map + ((long)row0 * columns + column0 + j) * 16;
#define PIXEL(i) (row0 + i < rows ? LOAD16(from + i * step) : zero)
        const float16 g0 = LOAD16(from), g3 = PIXEL(3);
        PREFETCH(from + 4 * step);
        PREFETCH(from + 5 * step);
        PREFETCH(from + 6 * step);
        PREFETCH(from + 7 * step);
        if (pair == ENDS) {
            t[j] = g0 * (float16)(1 / WINOGRAD_A2B2);
            t[4 + j] = g3;
        } else {
            const float16 g1 = PIXEL(1), g2 = PIXEL(2);
            const float16 u = scale * fma(p2, g2, g0), v = fma(p2, g3, g1);
            t[j] = fma(p, v, u);
            t[4 + j] = fma(-p, v, u);
        }
#undef PIXEL
    }
    for (int i = 0; i < 2; i++, to += 6 * apart) {
        const float16 g0 = t[i * 4], g1 = t[i * 4 + 1], g2 = t[i * 4 + 2], g3 = t[i * 4 + 3];
        WINOGRAD_OUTPUTS(g, r)
        to[0] = r0;
        to[apart] = r1;
        to[2 * apart] = r2;
        to[3 * apart] = r3;
        to[4 * apart] = r4;
        to[5 * apart] = r5;
    }
}

/* --- sums ------------------------------------------------------------------------- */

/* share: tiles of a part; chunk: tiles at a time; x_group, y_group: channels of a work-item */
KILN_TILE_KERNEL void winograd_weight(__global const float *x, long x_offset,
                                      __global const float *dy, long y_offset, __global float *sums,
                                      long sums_offset, __global const int *geometry,
                                      int x_channels, int y_channels, int x_group, int y_group,
                                      int share, int chunk, __local float16 *x_part)
{
    const int x_groups = (x_channels + x_group - 1) / x_group;
    const int pair = get_global_id(0) % 3, group = get_global_id(0) / 3;
    const int part = get_global_id(1);
    const int c0 = group % x_groups * x_group, x_size = min(x_group, x_channels - c0);
    const int o0 = group / x_groups * y_group, y_size = min(y_group, y_channels - o0);
    const int tile_columns = geometry[TILE_COLUMNS], map_tiles = geometry[TILE_ROWS] * tile_columns;
    const int x_pixels = geometry[X_ROWS] * geometry[X_COLUMNS];
    const int y_pixels = geometry[Y_ROWS] * geometry[Y_COLUMNS];
    const int from = part * share, to = min(from + share, geometry[TILES]);
    /* one more than it needs: planes that share few sets of a cache would be slow */
    const int x_plane = x_group / 16 * chunk + 1, y_plane = y_group / 16 * chunk + 1;
    __local float16 *y_part = x_part + 12 * x_plane;
    x += x_offset;
    dy += y_offset;
    sums += sums_offset + (long)part * ELEMENTS * x_channels * y_channels;

    for (int first = from; first < to; first += chunk) {
        const int count = min(chunk, to - first);
        const bool begin = first == from;
        for (int t = 0; t < count; t++) {
            const int image = (first + t) / map_tiles, tile = (first + t) % map_tiles;
            const int row = tile / tile_columns * 4, column = tile % tile_columns * 4;
            for (int c = 0; c < x_size; c += 16)
                kiln_winograd_x(x + ((long)image * x_channels + c0 + c) * x_pixels,
                                geometry[X_ROWS], geometry[X_COLUMNS], row - geometry[TOP],
                                column - geometry[LEFT], pair, x_part + (t * x_size + c) / 16,
                                x_plane);
            for (int o = 0; o < y_size; o += 16)
                kiln_winograd_dy(dy + ((long)image * y_channels + o0 + o) * y_pixels,
                                 geometry[Y_ROWS], geometry[Y_COLUMNS], row, column, pair,
                                 y_part + (t * y_size + o) / 16, y_plane);
        }
        for (int e = 0; e < 12; e++) {
            const int i = pair == ENDS ? e / 6 * 5 : pair * 2 + 1 + e / 6, element = i * 6 + e % 6;
            ADD_CHANNELS
        }
    }
}

/* dw, OIhw16i16o, from the parts of the sums; an item is 16 outputs of one
 * channel of x. */
KILN_TILE_KERNEL void winograd_weight_taps(__global const float *sums, long sums_offset,
                                           __global float *dw, long w_offset, int x_channels,
                                           int y_channels, int parts, long n, long chunk)
{
    const long plane = (long)x_channels * y_channels;
    KILN_ITEMS(item)
    {
        const int c = (int)(item % x_channels), o = (int)(item / x_channels);
        __global const float *from = sums + sums_offset + (long)c * y_channels + o * 16;
        __global float *to =
            dw + w_offset + (((long)o * (x_channels / 16) + c / 16) * 9 * 16 + c % 16) * 16;
        float16 t[18];
        for (int j = 0; j < 6; j++) {
            float16 m0 = 0.0f, m1 = 0.0f, m2 = 0.0f, m3 = 0.0f, m4 = 0.0f, m5 = 0.0f;
            for (int part = 0; part < parts; part++) {
                __global const float *p = from + (part * ELEMENTS + j) * plane;
                m0 += LOAD16(p);
                m1 += LOAD16(p + 6 * plane);
                m2 += LOAD16(p + 12 * plane);
                m3 += LOAD16(p + 18 * plane);
                m4 += LOAD16(p + 24 * plane);
                m5 += LOAD16(p + 30 * plane);
            }
            WINOGRAD_GRADIENT(m, y)
            t[j] = y0, t[6 + j] = y1, t[12 + j] = y2;
        }
        for (int i = 0; i < 3; i++, to += 3 * 256) {
            const float16 m0 = t[i * 6], m1 = t[i * 6 + 1], m2 = t[i * 6 + 2];
            const float16 m3 = t[i * 6 + 3], m4 = t[i * 6 + 4], m5 = t[i * 6 + 5];
            WINOGRAD_GRADIENT(m, y)
            STORE16(y0, to);
            STORE16(y1, to + 256);
            STORE16(y2, to + 512);
        }
    }
}
