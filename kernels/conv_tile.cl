/*
 * Convolution and its input gradient for processors, as a gather: each pixel
 * of the target's grid sums taps of the source (lib/patch.clh),
 *
 *   target[n,o,pixel] = sum over taps, i of source[n,i,pixel + tap] w[tap,i,o]
 *
 * for target maps in blocks of 16 channels. The source is blocked too
 * (INNER 16) or dense (INNER 1, the first layer: its channels are taps).
 *
 * Work-item (group of target blocks, band of rows, image): it copies the
 * patch of `chunk` source blocks, then for each pair of target blocks takes 14
 * (last: 7) pixels at a time, BLOCKS * 14 vectors in registers. Sums over more
 * source blocks than a chunk continue from the target.
 */
#ifndef INNER
#define INNER 16
#endif
#ifndef BLOCKS
#define BLOCKS 2
#endif

#include "lib/tile.clh"
#include "lib/patch.clh"

/* Where the grid's pixels lie in the target map. */
enum { TARGET_ROWS, TARGET_COLUMNS, ROW_STEP, ROW_FIRST, COLUMN_STEP, COLUMN_FIRST };

inline int kiln_target_pixel(__global const int *target, int width, int pixel)
{
    if (target[COLUMN_STEP] == 1 && target[ROW_STEP] == 1)
        return pixel;
    const int t = pixel / width, u = pixel % width;
    return (t * target[ROW_STEP] + target[ROW_FIRST]) * target[TARGET_COLUMNS] +
           u * target[COLUMN_STEP] + target[COLUMN_FIRST];
}

#if BLOCKS == 2
#define SECOND(...) __VA_ARGS__
#else
#define SECOND(...)
#endif

#define DECLARE(r) float16 x##r = 0.0f; SECOND(float16 y##r = 0.0f;)
#define AT(r) (to + kiln_target_pixel(placing, width, pixel0 + pixel + min(r, count - 1)) * 16)
#define RESUME(r)                                                                                  \
    x##r = LOAD16(AT(r));                                                                          \
    SECOND(y##r = LOAD16(AT(r) + map);)
#define STEP(r)                                                                                    \
    {                                                                                              \
        const float16 t = (float16)(p[r * INNER + c]);                                             \
        x##r = fma(t, w0, x##r);                                                                   \
        SECOND(y##r = fma(t, w1, y##r);)                                                           \
    }
#define FINISH(r)                                                                                  \
    if (r < count) {                                                                               \
        STORE16(x##r, AT(r));                                                                      \
        SECOND(STORE16(y##r, AT(r) + map);)                                                        \
    }
#define TILE(ROWS)                                                                                 \
    {                                                                                              \
        ROWS(DECLARE)                                                                              \
        if (block0 > 0) {                                                                          \
            ROWS(RESUME)                                                                           \
        }                                                                                          \
        for (int b = 0; b < blocks; b++)                                                           \
            for (int e = 0; e < taps; e++) {                                                       \
                __local const float *p = patch + (b * patch_pixels + distance[e] + pixel) * INNER; \
                __global const float *w = weights + b * w_in + tap_weight[e];                      \
                for (int c = 0; c < INNER; c++, w += 16) {                                         \
                    const float16 w0 = LOAD16(w);                                                  \
                    SECOND(const float16 w1 = LOAD16(w + w_out);)                                  \
                    ROWS(STEP)                                                                     \
                }                                                                                  \
            }                                                                                      \
        ROWS(FINISH)                                                                               \
    }

KILN_TILE_KERNEL void conv_tile(__global const float *source, long source_offset,
                                __global const float *weight, long weight_offset,
                                __global float *target, long target_offset,
                                __global const int *geometry, __global const int *placing,
                                int source_blocks, int chunk, int target_blocks, int group,
                                int w_out, int w_in, __local float *patch)
{
    const int band = get_global_id(1), image = get_global_id(2);
    const int first = (int)get_global_id(0) * group, last = min(first + group, target_blocks);
    const int width = geometry[GRID_COLUMNS], t0 = band * geometry[BAND_ROWS];
    const int rows = min(geometry[BAND_ROWS], geometry[GRID_ROWS] - t0);
    const int pixels = rows * width, pixel0 = t0 * width;
    const int taps = geometry[TAPS], patch_pixels = geometry[PATCH_PIXELS];
    __global const int *distance = TAP_DISTANCE, *tap_weight = TAP_WEIGHT;
    const long source_map = (long)geometry[SOURCE_ROWS] * geometry[SOURCE_COLUMNS] * INNER;
    const long map = (long)placing[TARGET_ROWS] * placing[TARGET_COLUMNS] * 16;
    source += source_offset + image * source_blocks * source_map;
    target += target_offset + image * target_blocks * map;

    for (int block0 = 0; block0 < source_blocks; block0 += chunk) {
        const int blocks = INNER == 1 ? 1 : min(chunk, source_blocks - block0);
        for (int b = 0; b < min(chunk, source_blocks - block0); b++)
            kiln_fill_patch(source + (block0 + b) * source_map, patch + b * patch_pixels * INNER,
                            geometry, t0);
        for (int o = first; o < last; o += BLOCKS) {
            __global const float *weights =
                weight + weight_offset + (long)o * w_out + (long)block0 * w_in;
            __global float *to = target + o * map;
            int pixel = 0;
            for (; pixels - pixel > 7; pixel += 14) {
                const int count = min(pixels - pixel, 14);
                TILE(ROWS14)
            }
            if (pixel < pixels) {
                const int count = pixels - pixel;
                TILE(ROWS7)
            }
        }
    }
}
