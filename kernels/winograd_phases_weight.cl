/*
 * The gradient of a 4x4 convolution of stride 2 with respect to its weights by
 * Winograd's F(2x2,4x4), or with KERNEL 5 that of 5x5 by F(3x3,4x4), for
 * processors, maps in blocks of 16 channels. The four phases of x
 * (winograd_phases.cl) are so many more channels, [phase][channel]; otherwise as
 * winograd_weight.cl, with all elements at once.
 */
#include "lib/items.clh"
#include "lib/tile.clh"
#include "lib/winograd_phase.clh"
#include "lib/winograd_sums.clh"

enum { X_ROWS, X_COLUMNS, Y_ROWS, Y_COLUMNS, TOP, LEFT, TILE_ROWS, TILE_COLUMNS, TILES };

/* Of dy's at most 4x4 pixels from (row0, column0) on. */
inline void kiln_phase_dy(__global const float *map, int rows, int columns, int row0, int column0,
                          __local float16 *to, int apart)
{
    float16 t[SIDE][4], g[4], r[SIDE];
    UNROLL
    for (int j = 0; j < 4; j++) {
        UNROLL
        for (int i = 0; i < 4; i++) {
            const bool inside = column0 + j < columns && row0 + i < rows;
            g[i] = inside ? LOAD16(map + ((long)(row0 + i) * columns + column0 + j) * 16)
                          : (float16)(0.0f);
        }
        UNROLL
        for (int i = 4; i < 8; i++)
            PREFETCH(map + ((long)(row0 + i) * columns + column0 + j) * 16);
        TRANSFORM(outputs)(g, r);
        UNROLL
        for (int i = 0; i < SIDE; i++)
            t[i][j] = r[i];
    }
    UNROLL
    for (int i = 0; i < SIDE; i++) {
        TRANSFORM(outputs)(t[i], r);
        UNROLL
        for (int j = 0; j < SIDE; j++)
            to[(i * SIDE + j) * apart] = r[j];
    }
}

/* x_channels: with the phases; share: tiles of a part; chunk: tiles at a time; x_group, y_group:
 * channels of a work-item */
KILN_TILE_KERNEL void winograd_phase_weight(__global const float *x, long x_offset,
                                            __global const float *dy, long y_offset,
                                            __global float *sums, long sums_offset,
                                            __global const int *geometry, int x_channels,
                                            int y_channels, int x_group, int y_group, int share,
                                            int chunk, __local float16 *x_part)
{
    const int x_groups = (x_channels + x_group - 1) / x_group, group = get_global_id(0);
    const int part = get_global_id(1), map_channels = x_channels / 4;
    const int c0 = group % x_groups * x_group, x_size = min(x_group, x_channels - c0);
    const int o0 = group / x_groups * y_group, y_size = min(y_group, y_channels - o0);
    const int tile_columns = geometry[TILE_COLUMNS], map_tiles = geometry[TILE_ROWS] * tile_columns;
    const int x_pixels = geometry[X_ROWS] * geometry[X_COLUMNS];
    const int y_pixels = geometry[Y_ROWS] * geometry[Y_COLUMNS];
    const int from = part * share, to = min(from + share, geometry[TILES]);
    /* one more than it needs: planes that share few sets of a cache would be slow */
    const int x_plane = x_group / 16 * chunk + 1, y_plane = y_group / 16 * chunk + 1;
    __local float16 *y_part = x_part + ELEMENTS * x_plane;
    x += x_offset;
    dy += y_offset;
    sums += sums_offset + (long)part * ELEMENTS * x_channels * y_channels;

    for (int first = from; first < to; first += chunk) {
        const int count = min(chunk, to - first);
        const bool begin = first == from;
        for (int t = 0; t < count; t++) {
            const int image = (first + t) / map_tiles, tile = (first + t) % map_tiles;
            const int row = tile / tile_columns * 4, column = tile % tile_columns * 4;
            for (int c = 0; c < x_size; c += 16) {
                const int phase = (c0 + c) / map_channels, channel = (c0 + c) % map_channels;
                kiln_phase_source(x + ((long)image * map_channels + channel) * x_pixels,
                                  geometry[X_ROWS], geometry[X_COLUMNS],
                                  row * 2 + phase / 2 - geometry[TOP],
                                  column * 2 + phase % 2 - geometry[LEFT], 2,
                                  x_part + (t * x_size + c) / 16, x_plane);
            }
            for (int o = 0; o < y_size; o += 16)
                kiln_phase_dy(dy + ((long)image * y_channels + o0 + o) * y_pixels, geometry[Y_ROWS],
                              geometry[Y_COLUMNS], row, column, y_part + (t * y_size + o) / 16,
                              y_plane);
        }
        for (int e = 0; e < ELEMENTS; e++) {
            const int element = e;
            ADD_CHANNELS
        }
    }
}

/* dw, OIhw16i16o, from the parts of the sums; an item is 16 outputs of one
 * channel of x in one phase. */
KILN_TILE_KERNEL void winograd_phase_weight_taps(__global const float *sums, long sums_offset,
                                                 __global float *dw, long w_offset, int x_channels,
                                                 int y_channels, int parts, long n, long chunk)
{
    const long plane = (long)x_channels * y_channels;
    const int map_channels = x_channels / 4;
    KILN_ITEMS(item)
    {
        const int c = (int)(item % x_channels), o = (int)(item / x_channels);
        const int phase = c / map_channels, channel = c % map_channels;
        __global const float *from = sums + sums_offset + (long)c * y_channels + o * 16;
        __global float *to = dw + w_offset +
                             ((long)o * (map_channels / 16) + channel / 16) * TAPS * SQUARE +
                             channel % 16 * 16;
        float16 t[PHASE_TAPS][SIDE], m[SIDE], y[PHASE_TAPS];
        UNROLL
        for (int j = 0; j < SIDE; j++) {
            UNROLL
            for (int i = 0; i < SIDE; i++) {
                m[i] = 0.0f;
                for (int part = 0; part < parts; part++)
                    m[i] += LOAD16(from + ((long)part * ELEMENTS + i * SIDE + j) * plane);
            }
            TRANSFORM(gradient)(m, y);
            UNROLL
            for (int i = 0; i < PHASE_TAPS; i++)
                t[i][j] = y[i];
        }
        UNROLL
        for (int i = 0; i < PHASE_TAPS; i++) {
            TRANSFORM(gradient)(t[i], y);
            UNROLL
            for (int j = 0; j < PHASE_TAPS; j++)
                if (kiln_phase_has_tap(phase, i, j))
                    STORE16(y[j], to + kiln_phase_tap(phase, i, j) * SQUARE);
        }
    }
}
