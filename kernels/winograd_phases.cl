/*
 * Convolution 4x4 of stride 2 and its input gradient by Winograd's F(4x4,2x2), or
 * with KERNEL 5 those of 5x5 by F(4x4,3x3), for processors, maps in blocks of 16
 * channels.
 *
 * A phase is the pixels of x with the same (row + top pad) % 2 and (column +
 * left pad) % 2; it meets 2x2 of the taps, or at most 3x3. Forward, the phases of
 * x are four times as many source channels, [phase][channel]; backward, each phase
 * of x is a target of its own, the third dimension of work-items.
 *
 * Otherwise as winograd_tile.cl, with the elements of 5x5 or 6x6 source pixels:
 * weights [target phase][panel of 32 target channels][e][source channel][32].
 */
#include "lib/tile.clh"
#include "lib/transpose.clh"
#include "lib/winograd_phase.clh"
#include "lib/winograd_product.clh"

/* --- weights ------------------------------------------------------------------- */

/* G g Gt of the taps of a phase, elements apart floats away from each other. */
inline void kiln_phase_weights(const float16 *g, __global float *to, long apart)
{
    float16 t[SIDE][PHASE_TAPS], c[PHASE_TAPS], r[SIDE];
    UNROLL
    for (int j = 0; j < PHASE_TAPS; j++) {
        UNROLL
        for (int i = 0; i < PHASE_TAPS; i++)
            c[i] = g[i * PHASE_TAPS + j];
        TRANSFORM(taps)(c, r);
        UNROLL
        for (int i = 0; i < SIDE; i++)
            t[i][j] = r[i];
    }
    UNROLL
    for (int i = 0; i < SIDE; i++) {
        TRANSFORM(taps)(t[i], r);
        UNROLL
        for (int j = 0; j < SIDE; j++)
            STORE16(r[j], to + (i * SIDE + j) * apart);
    }
}

/* Weights OIhw16i16o; work-item (panel, source block, phase). */
KILN_TILE_KERNEL void winograd_phase_weights(__global const float *weight, long weight_offset,
                                             __global float *out, long out_offset,
                                             int source_blocks, int target_blocks)
{
    const int panel = get_global_id(0), block = get_global_id(1), phase = get_global_id(2);
    const long apart = 4L * source_blocks * 16 * 32;
    out += out_offset + panel * ELEMENTS * apart + (phase * source_blocks + block) * 16 * 32;
    for (int half_panel = 0; half_panel < 2; half_panel++) {
        const int o = panel * 2 + half_panel;
        __global const float *from =
            weight + weight_offset + ((long)o * source_blocks + block) * TAPS * SQUARE;
        for (int channel = 0; channel < 16; channel++) {
            float16 g[PHASE_TAPS * PHASE_TAPS];
            UNROLL
            for (int t = 0; t < PHASE_TAPS * PHASE_TAPS; t++) {
                const int i = t / PHASE_TAPS, j = t % PHASE_TAPS;
                g[t] = o < target_blocks && kiln_phase_has_tap(phase, i, j)
                           ? LOAD16(from + (kiln_phase_tap(phase, i, j) * 16 + channel) * 16)
                           : (float16)(0.0f);
            }
            kiln_phase_weights(g, out + channel * 32 + half_panel * 16, apart);
        }
    }
}

/* Those of the input gradient: source channels are outputs, taps in reverse. */
#define LOAD_ROW(r)    const float16 u##r = LOAD16(p + r * 16);
#define KEEP_COLUMN(r) turned[t][r] = v##r;
KILN_TILE_KERNEL void winograd_phase_weights_back(__global const float *weight, long weight_offset,
                                                  __global float *out, long out_offset,
                                                  int source_blocks, int target_blocks)
{
    const int panel = get_global_id(0), block = get_global_id(1), phase = get_global_id(2);
    const long apart = (long)source_blocks * 16 * 32;
    out += out_offset + ((long)phase * get_global_size(0) + panel) * ELEMENTS * apart +
           block * 16 * 32;
    for (int half_panel = 0; half_panel < 2; half_panel++) {
        const int c = panel * 2 + half_panel;
        float16 turned[PHASE_TAPS * PHASE_TAPS][16];
        __global const float *from =
            weight + weight_offset + ((long)block * target_blocks + c) * TAPS * SQUARE;
        UNROLL
        for (int t = 0; t < PHASE_TAPS * PHASE_TAPS; t++) {
            const int i = t / PHASE_TAPS, j = t % PHASE_TAPS;
            if (c >= target_blocks || !kiln_phase_has_tap(phase, i, j)) {
                for (int channel = 0; channel < 16; channel++)
                    turned[t][channel] = 0.0f;
                continue;
            }
            __global const float *p = from + kiln_phase_tap(phase, i, j) * SQUARE;
            ROWS16(LOAD_ROW)
            TRANSPOSE16(u, v)
            ROWS16(KEEP_COLUMN)
        }
        for (int channel = 0; channel < 16; channel++) {
            float16 g[PHASE_TAPS * PHASE_TAPS];
            UNROLL
            for (int t = 0; t < PHASE_TAPS * PHASE_TAPS; t++)
                g[t] = turned[PHASE_TAPS * PHASE_TAPS - 1 - t][channel];
            kiln_phase_weights(g, out + channel * 32 + half_panel * 16, apart);
        }
    }
}

/* --- tiles --------------------------------------------------------------------- */

/* Steps: pixels of the map from one of a tile's to the next. Firsts: pixel of the
 * first tile's first for each half of a phase. */
enum {
    ROWS,
    COLUMNS,
    TARGET_ROWS,
    TARGET_COLUMNS,
    TILE_ROWS,
    TILE_COLUMNS,
    TILES,
    SOURCE_STEP,
    TARGET_STEP,
    SOURCE_TOP,                   /* 2 */
    SOURCE_LEFT = SOURCE_TOP + 2, /* 2 */
    TARGET_TOP = SOURCE_LEFT + 2, /* 2 */
    TARGET_LEFT = TARGET_TOP + 2  /* 2 */
};

/* At m A into the at most 4x4 pixels from (row0, column0) on. */
inline void kiln_phase_target(__local const float16 *from, int apart, __global float16 *map,
                              int rows, int columns, int row0, int column0, int step)
{
    float16 t[4][SIDE], m[SIDE], y[4];
    UNROLL
    for (int j = 0; j < SIDE; j++) {
        UNROLL
        for (int i = 0; i < SIDE; i++)
            m[i] = from[(i * SIDE + j) * apart];
        TRANSFORM(target)(m, y);
        UNROLL
        for (int i = 0; i < 4; i++)
            t[i][j] = y[i];
    }
    UNROLL
    for (int i = 0; i < 4; i++) {
        const int row = row0 + i * step;
        TRANSFORM(target)(t[i], y);
        UNROLL
        for (int j = 0; j < 4; j++)
            if (row < rows && column0 + j * step < columns)
                map[(long)row * columns + column0 + j * step] = y[j];
    }
}

/* source_blocks: with the phases; map_blocks: of the source's map. chunk: a multiple of 7; group:
 * panels of a work-item. */
KILN_TILE_KERNEL void winograd_phase_tile(__global const float *source, long source_offset,
                                          __global const float *weights, long weights_offset,
                                          __global float *target, long target_offset,
                                          __global const int *geometry, int map_blocks,
                                          int source_blocks, int target_blocks, int chunk,
                                          int group, __local float16 *spectrum)
{
    const int rows = geometry[ROWS], columns = geometry[COLUMNS];
    const int tile_columns = geometry[TILE_COLUMNS], map_tiles = geometry[TILE_ROWS] * tile_columns;
    const int first = (int)get_global_id(0) * chunk, count = min(chunk, geometry[TILES] - first);
    const int panels = (target_blocks + 1) / 2, pass = get_global_id(2);
    const int panel0 = (int)get_global_id(1) * group, panel1 = min(panel0 + group, panels);
    /* one more than it needs: planes that share few sets of a cache would be slow */
    const int plane = source_blocks * chunk + 1, product_plane = chunk * 2 + 1;
    const long source_map = (long)rows * columns * 16;
    const long target_map = (long)geometry[TARGET_ROWS] * geometry[TARGET_COLUMNS];
    __local float16 *products = spectrum + ELEMENTS * plane;

    for (int t = 0; t < count; t++)
        for (int b = 0; b < source_blocks; b++) {
            const int image = (first + t) / map_tiles, tile = (first + t) % map_tiles;
            const int phase = source_blocks > map_blocks ? b / map_blocks : pass;
            const int step = geometry[SOURCE_STEP];
            kiln_phase_source(
                source + source_offset + ((long)image * map_blocks + b % map_blocks) * source_map,
                rows, columns, tile / tile_columns * 4 * step + geometry[SOURCE_TOP + phase / 2],
                tile % tile_columns * 4 * step + geometry[SOURCE_LEFT + phase % 2], step,
                spectrum + b * chunk + t, plane);
        }
    FILL_LAST_TILE
    for (int panel = panel0; panel < panel1; panel++) {
        __global const float *w = weights + weights_offset +
                                  ((long)pass * panels + panel) * ELEMENTS * source_blocks * 512;
        MULTIPLY_ELEMENTS
        for (int t = 0; t < count; t++)
            for (int o = panel * 2; o < min(panel * 2 + 2, target_blocks); o++) {
                const int image = (first + t) / map_tiles, tile = (first + t) % map_tiles;
                const int step = geometry[TARGET_STEP];
                kiln_phase_target(products + t * 2 + o % 2, product_plane,
                                  (__global float16 *)(target + target_offset) +
                                      ((long)image * target_blocks + o) * target_map,
                                  geometry[TARGET_ROWS], geometry[TARGET_COLUMNS],
                                  tile / tile_columns * 4 * step + geometry[TARGET_TOP + pass / 2],
                                  tile % tile_columns * 4 * step + geometry[TARGET_LEFT + pass % 2],
                                  step);
            }
    }
}
