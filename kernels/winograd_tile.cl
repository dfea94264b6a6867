/*
 * Convolution 3x3 of stride 1 and its input gradient by Winograd's F(4x4,3x3)
 * for processors, maps in blocks of 16 channels:
 *
 *   target tile = At [sum over i of (G w[i] Gt) * (Bt source tile[i] B)] A
 *
 * A tile is 4x4 pixels of the target from 6x6 of the source, zeros outside, all
 * DILATION apart: a map has DILATION squared submaps, which have tiles of their
 * own.
 * The sums over channels are 36 products of matrices, one for each element e
 * of the transforms.
 *
 * Transformed weights: [panel of 32 target channels][e][source channel][32].
 * Work-item (chunk of tiles, group of panels): it transforms its tiles' source
 * into local memory, [e][block][tile][16]; then for each panel multiplies 14
 * (last: 7) tiles by 32 channels at a time in 28 vector registers, for all e
 * into local memory, [e][tile][32], and transforms that back.
 */
#include "lib/tile.clh"
#include "lib/transpose.clh"
#include "lib/winograd.clh"
#include "lib/winograd_product.clh"

#ifndef DILATION
#define DILATION 1
#endif

enum { ELEMENTS = 36, TAPS = 9, SQUARE = 256 };

/* --- weights ------------------------------------------------------------------- */

/* G g Gt of taps g(0) .. g(8), stored apart elements away from each other. */
#define WEIGHTS_COLUMN(g, j)                                                                       \
    {                                                                                              \
        const float16 c0 = g(j), c1 = g(3 + j), c2 = g(6 + j);                                     \
        WINOGRAD_TAPS(c, r)                                                                        \
        t[j] = r0, t[3 + j] = r1, t[6 + j] = r2, t[9 + j] = r3, t[12 + j] = r4, t[15 + j] = r5;    \
    }
#define TRANSFORM_WEIGHTS(g, to, apart)                                                            \
    {                                                                                              \
        float16 t[18];                                                                             \
        WEIGHTS_COLUMN(g, 0)                                                                       \
        WEIGHTS_COLUMN(g, 1)                                                                       \
        WEIGHTS_COLUMN(g, 2)                                                                       \
        for (int i = 0; i < 6; i++) {                                                              \
            const float16 c0 = t[i * 3], c1 = t[i * 3 + 1], c2 = t[i * 3 + 2];                     \
            __global float *row = (to) + (long)i * 6 * (apart);                                    \
            WINOGRAD_TAPS(c, r)                                                                    \
            STORE16(r0, row);                                                                      \
            STORE16(r1, row + (apart));                                                            \
            STORE16(r2, row + 2 * (apart));                                                        \
            STORE16(r3, row + 3 * (apart));                                                        \
            STORE16(r4, row + 4 * (apart));                                                        \
            STORE16(r5, row + 5 * (apart));                                                        \
        }                                                                                          \
    }
#define ZERO_WEIGHTS(to, apart)                                                                    \
    for (int e = 0; e < ELEMENTS; e++)                                                             \
        STORE16((float16)(0.0f), (to) + (long)e * (apart));

/* Weights OIhw16i16o; work-item (panel, source block). The convolution's own: a
 * vector is 16 outputs. */
#define FORWARD(tap) LOAD16(from + ((tap)*16 + channel) * 16)
KILN_TILE_KERNEL void winograd_weights(__global const float *weight, long weight_offset,
                                       __global float *out, long out_offset, int source_blocks,
                                       int target_blocks)
{
    const int panel = get_global_id(0), block = get_global_id(1);
    const long apart = (long)source_blocks * 16 * 32;
    out += out_offset + panel * ELEMENTS * apart + block * 16 * 32;
    for (int half_panel = 0; half_panel < 2; half_panel++) {
        const int o = panel * 2 + half_panel;
        __global const float *from =
            weight + weight_offset + ((long)o * source_blocks + block) * TAPS * SQUARE;
        for (int channel = 0; channel < 16; channel++) {
            __global float *to = out + channel * 32 + half_panel * 16;
            if (o < target_blocks)
                TRANSFORM_WEIGHTS(FORWARD, to, apart)
            else
                ZERO_WEIGHTS(to, apart)
        }
    }
}

/* Those of the input gradient: source channels are outputs, taps in reverse. */
#define BACKWARD(tap) turned[(TAPS - 1 - (tap)) * 16 + channel]
#define LOAD_ROW(r) const float16 u##r = LOAD16(from + (tap * 16 + r) * 16);
#define KEEP_COLUMN(r) turned[tap * 16 + r] = v##r;
KILN_TILE_KERNEL void winograd_weights_back(__global const float *weight, long weight_offset,
                                            __global float *out, long out_offset, int source_blocks,
                                            int target_blocks)
{
    const int panel = get_global_id(0), block = get_global_id(1);
    const long apart = (long)source_blocks * 16 * 32;
    out += out_offset + panel * ELEMENTS * apart + block * 16 * 32;
    for (int half_panel = 0; half_panel < 2; half_panel++) {
        const int i = panel * 2 + half_panel;
        float16 turned[TAPS * 16];
        __global const float *from =
            weight + weight_offset + ((long)block * target_blocks + i) * TAPS * SQUARE;
        for (int tap = 0; tap < TAPS && i < target_blocks; tap++) {
            ROWS16(LOAD_ROW)
            TRANSPOSE16(u, v)
            ROWS16(KEEP_COLUMN)
        }
        for (int channel = 0; channel < 16; channel++) {
            __global float *to = out + channel * 32 + half_panel * 16;
            if (i < target_blocks)
                TRANSFORM_WEIGHTS(BACKWARD, to, apart)
            else
                ZERO_WEIGHTS(to, apart)
        }
    }
}

/* --- tiles --------------------------------------------------------------------- */

/* tile rows and columns: of a submap */
enum { ROWS, COLUMNS, TARGET_ROWS, TARGET_COLUMNS, TOP, LEFT, TILE_ROWS, TILE_COLUMNS, TILES };

/* The image of a tile, and its first pixel. */
#define FIND_TILE(i)                                                                               \
    const int image = (i) / (DILATION * DILATION) / map_tiles;                                     \
    const int submap = (i) / map_tiles % (DILATION * DILATION), tile = (i) % map_tiles;            \
    const int row = submap / DILATION + tile / tile_columns * 4 * DILATION;                        \
    const int column = submap % DILATION + tile % tile_columns * 4 * DILATION;

/* Bt d B of the 6x6 pixels from (row0, column0) on. */
inline void kiln_winograd_source(__global const float *map, int rows, int columns, int row0,
                                 int column0, __local float16 *to, int apart)
{
    const float16 zero = 0.0f;
    const int step = columns * DILATION * 16;
    const bool whole = row0 >= 0 && row0 + 5 * DILATION < rows;
    float16 t[ELEMENTS];
    for (int j = 0; j < 6; j++) {
        const int column = column0 + j * DILATION;
        if (column < 0 || column >= columns) {
            for (int i = 0; i < 6; i++)
                t[i * 6 + j] = zero;
            continue;
        }
        __global const float *p = map + ((long)row0 * columns + column) * 16;
#define INSIDE(row) ((row) >= 0 && (row) < rows)
#define PIXEL(i) (whole || INSIDE(row0 + i * DILATION) ? LOAD16(p + i * step) : zero)
        const float16 d0 = PIXEL(0), d1 = PIXEL(1), d2 = PIXEL(2);
        const float16 d3 = PIXEL(3), d4 = PIXEL(4), d5 = PIXEL(5);
        /* the tile below reads these */
        PREFETCH(p + 6 * step);
        PREFETCH(p + 7 * step);
        PREFETCH(p + 8 * step);
        PREFETCH(p + 9 * step);
        WINOGRAD_SOURCE(d, r)
        t[j] = r0, t[6 + j] = r1, t[12 + j] = r2, t[18 + j] = r3, t[24 + j] = r4, t[30 + j] = r5;
    }
    for (int i = 0; i < 6; i++, to += 6 * apart) {
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

/* At m A into the at most 4x4 pixels from (row0, column0) on. */
inline void kiln_winograd_target(__local const float16 *from, int apart, __global float16 *map,
                                 int rows, int columns, int row0, int column0)
{
    float16 t[24];
    for (int j = 0; j < 6; j++) {
#define PRODUCT(i) from[(i * 6 + j) * apart]
        const float16 m0 = PRODUCT(0), m1 = PRODUCT(1), m2 = PRODUCT(2);
        const float16 m3 = PRODUCT(3), m4 = PRODUCT(4), m5 = PRODUCT(5);
        WINOGRAD_TARGET(m, y)
        t[j] = y0, t[6 + j] = y1, t[12 + j] = y2, t[18 + j] = y3;
    }
    const int count = (columns - column0 + DILATION - 1) / DILATION;
    for (int i = 0; i < 4 && row0 + i * DILATION < rows; i++) {
        const float16 m0 = t[i * 6], m1 = t[i * 6 + 1], m2 = t[i * 6 + 2];
        const float16 m3 = t[i * 6 + 3], m4 = t[i * 6 + 4], m5 = t[i * 6 + 5];
        __global float16 *p = map + (long)(row0 + i * DILATION) * columns + column0;
        WINOGRAD_TARGET(m, y)
        if (count > 0)
            p[0] = y0;
        if (count > 1)
            p[DILATION] = y1;
        if (count > 2)
            p[2 * DILATION] = y2;
        if (count > 3)
            p[3 * DILATION] = y3;
    }
}

/* chunk: a multiple of 7; group: panels of a work-item. */
KILN_TILE_KERNEL void winograd_tile(__global const float *source, long source_offset,
                                    __global const float *weights, long weights_offset,
                                    __global float *target, long target_offset,
                                    __global const int *geometry, int source_blocks,
                                    int target_blocks, int chunk, int group,
                                    __local float16 *spectrum)
{
    const int rows = geometry[ROWS], columns = geometry[COLUMNS];
    const int target_rows = geometry[TARGET_ROWS], target_columns = geometry[TARGET_COLUMNS];
    const int tile_columns = geometry[TILE_COLUMNS], map_tiles = geometry[TILE_ROWS] * tile_columns;
    const int first = (int)get_global_id(0) * chunk, count = min(chunk, geometry[TILES] - first);
    const int panels = (target_blocks + 1) / 2;
    const int panel0 = (int)get_global_id(1) * group, panel1 = min(panel0 + group, panels);
    /* one more than it needs: planes that share few sets of a cache would be slow */
    const int plane = source_blocks * chunk + 1, product_plane = chunk * 2 + 1;
    const long source_map = (long)rows * columns * 16;
    const long target_map = (long)target_rows * target_columns;
    __local float16 *products = spectrum + ELEMENTS * plane;

    for (int t = 0; t < count; t++)
        for (int b = 0; b < source_blocks; b++) {
            FIND_TILE(first + t)
            kiln_winograd_source(source + source_offset +
                                     ((long)image * source_blocks + b) * source_map,
                                 rows, columns, row - geometry[TOP], column - geometry[LEFT],
                                 spectrum + b * chunk + t, plane);
        }
    FILL_LAST_TILE
    for (int panel = panel0; panel < panel1; panel++) {
        __global const float *w =
            weights + weights_offset + (long)panel * ELEMENTS * source_blocks * 512;
        MULTIPLY_ELEMENTS
        for (int t = 0; t < count; t++)
            for (int o = panel * 2; o < min(panel * 2 + 2, target_blocks); o++) {
                FIND_TILE(first + t)
                kiln_winograd_target(products + t * 2 + o % 2, product_plane,
                                     (__global float16 *)(target + target_offset) +
                                         ((long)image * target_blocks + o) * target_map,
                                     target_rows, target_columns, row, column);
            }
    }
}
