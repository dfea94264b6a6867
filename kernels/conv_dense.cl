/*
 * Convolution and its input gradient for processors where the target is dense
 * and has few channels (the last layer): as conv_tile.cl, but the vectors run
 * over the 16 channels of a source block, and each sum is added up over its
 * lanes at the end. Weights are [target channel][tap][16 source channels] in
 * some order given by strides.
 *
 * Work-item (group of target channels, band of rows, image); 14 pixels of one
 * target channel at a time.
 */
#define INNER 16

#include "lib/tile.clh"
#include "lib/patch.clh"

enum { TARGET_ROWS, TARGET_COLUMNS, ROW_STEP, ROW_FIRST, COLUMN_STEP, COLUMN_FIRST };

inline float kiln_lanes(float16 v)
{
    const float8 a = v.lo + v.hi;
    const float4 b = a.lo + a.hi;
    const float2 c = b.lo + b.hi;
    return c.x + c.y;
}

#define DECLARE(r) float16 x##r = 0.0f;
#define STEP(r) x##r = fma(LOAD16(p + r * 16), w, x##r);
#define FINISH(r)                                                                                  \
    if (r < count) {                                                                               \
        const int at = pixel + r, t = t0 + at / width, u = at % width;                             \
        __global float *out = to + (t * placing[ROW_STEP] + placing[ROW_FIRST]) *                  \
                                       placing[TARGET_COLUMNS] +                                   \
                              u * placing[COLUMN_STEP] + placing[COLUMN_FIRST];                    \
        const float sum = kiln_lanes(x##r);                                                        \
        *out = block0 > 0 ? *out + sum : sum;                                                      \
    }

KILN_TILE_KERNEL void conv_dense(__global const float *source, long source_offset,
                                 __global const float *weight, long weight_offset,
                                 __global float *target, long target_offset,
                                 __global const int *geometry, __global const int *placing,
                                 int source_blocks, int chunk, int targets, int group, int w_out,
                                 int w_in, __local float *patch)
{
    const int band = get_global_id(1), image = get_global_id(2);
    const int first = (int)get_global_id(0) * group, last = min(first + group, targets);
    const int width = geometry[GRID_COLUMNS], t0 = band * geometry[BAND_ROWS];
    const int pixels = min(geometry[BAND_ROWS], geometry[GRID_ROWS] - t0) * width;
    const int taps = geometry[TAPS], patch_pixels = geometry[PATCH_PIXELS];
    __global const int *distance = TAP_DISTANCE, *tap_weight = TAP_WEIGHT;
    const long source_map = (long)geometry[SOURCE_ROWS] * geometry[SOURCE_COLUMNS] * 16;
    const long map = (long)placing[TARGET_ROWS] * placing[TARGET_COLUMNS];
    source += source_offset + image * source_blocks * source_map;
    target += target_offset + image * targets * map;

    for (int block0 = 0; block0 < source_blocks; block0 += chunk) {
        const int blocks = min(chunk, source_blocks - block0);
        for (int b = 0; b < blocks; b++)
            kiln_fill_patch(source + (block0 + b) * source_map, patch + b * patch_pixels * 16,
                            geometry, t0);
        for (int o = first; o < last; o++) {
            __global float *to = target + o * map;
            __global const float *weights =
                weight + weight_offset + (long)o * w_out + (long)block0 * w_in;
            for (int pixel = 0; pixel < pixels; pixel += 14) {
                const int count = min(pixels - pixel, 14);
                ROWS14(DECLARE)
                for (int b = 0; b < blocks; b++)
                    for (int e = 0; e < taps; e++) {
                        __local const float *p =
                            patch + (b * patch_pixels + distance[e] + pixel) * 16;
                        const float16 w = LOAD16(weights + b * w_in + tap_weight[e]);
                        ROWS14(STEP)
                    }
                ROWS14(FINISH)
            }
        }
    }
}
