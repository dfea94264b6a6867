/*
 * The gradient of a convolution with respect to its weights, for processors:
 *
 *   dw[o,i,tap] = sum over images, pixels of x[i,pixel + tap] dy[o,pixel]
 *
 * Work-item (source block, group of output blocks, part of the images): for
 * some images and a band of rows at a time it copies the patch of x
 * (lib/patch.clh), then adds to tiles of dw that stay in registers over all
 * those pixels. Each part of the images has partial sums of its own, added up
 * in order afterwards: no result depends on the number of threads.
 *
 * INNER 16, BLOCKS 1 or 2: x and dy in blocks of 16 channels; a tile is 8
 * channels of x by 32 of dy, or 16 by 16. INNER 1 (conv_weight_first): x is
 * dense, a tile is 8 (tap, channel) entries by 16 channels of dy.
 * conv_weight_last: dy is dense, a tile is 8 taps by 16 channels of x.
 */
#ifndef INNER
#define INNER 16
#endif
#ifndef BLOCKS
#define BLOCKS 2
#endif

#include "lib/tile.clh"
#include "lib/patch.clh"

#define PARAMETERS                                                                                 \
    __global const float *x, long x_offset, __global const float *dy, long y_offset,               \
        __global float *dw, long w_offset, __global const int *geometry, int images, int share,    \
        int together, int x_maps, int y_maps, int group, long part_size, int w_out, int w_in,      \
        __local float *patch

#define START                                                                                      \
    const int part = get_global_id(2);                                                             \
    const int from = part * share, to = min(from + share, images);                                 \
    const int width = geometry[GRID_COLUMNS], band = geometry[BAND_ROWS];                          \
    const int grid_rows = geometry[GRID_ROWS];                                                     \
    const int taps = geometry[TAPS], patch_pixels = geometry[PATCH_PIXELS];                        \
    __global const int *distance = TAP_DISTANCE, *tap_weight = TAP_WEIGHT;                         \
    const long x_map = (long)geometry[SOURCE_ROWS] * geometry[SOURCE_COLUMNS] * INNER;             \
    const int y_pixels = grid_rows * width;                                                        \
    x += x_offset;                                                                                 \
    dy += y_offset;                                                                                \
    dw += w_offset + part * part_size;

/* Loops over images `together` at a time and over bands of rows. */
#define FOR_PARTS                                                                                  \
    for (int image0 = from; image0 < to; image0 += together)                                       \
        for (int t0 = 0; t0 < grid_rows; t0 += band)
#define PART_SIZES                                                                                 \
    const bool begin = image0 == from && t0 == 0;                                                  \
    const int n = min(together, to - image0);                                                      \
    const int pixels = min(band, grid_rows - t0) * width, pixel0 = t0 * width;

#define ZERO(r)                                                                                    \
    x##r = 0.0f;                                                                                   \
    SECOND(y##r = 0.0f;)
#define DECLARE(r) float16 x##r; SECOND(float16 y##r;)

#if INNER == 16

#if BLOCKS == 2
#define SECOND(...) __VA_ARGS__
#define ROWS ROWS8
#define N_ROWS 8
#else
#define SECOND(...)
#define ROWS ROWS16
#define N_ROWS 16
#endif

#define RESUME(r)                                                                                  \
    x##r = LOAD16(out + r * 16);                                                                   \
    SECOND(y##r = LOAD16(out + w_out + r * 16);)
#define STEP(r)                                                                                    \
    {                                                                                              \
        const float16 t = (float16)(p[r]);                                                         \
        x##r = fma(t, d0, x##r);                                                                   \
        SECOND(y##r = fma(t, d1, y##r);)                                                           \
    }
#define FINISH(r)                                                                                  \
    STORE16(x##r, out + r * 16);                                                                   \
    SECOND(STORE16(y##r, out + w_out + r * 16);)

KILN_TILE_KERNEL void conv_weight(PARAMETERS)
{
    START
    const int block = get_global_id(0);
    const int first = (int)get_global_id(1) * group, last = min(first + group, y_maps);
    const long y_map = (long)y_pixels * 16;
    FOR_PARTS
    {
        PART_SIZES
        for (int m = 0; m < n; m++)
            kiln_fill_patch(x + ((long)(image0 + m) * x_maps + block) * x_map,
                            patch + m * patch_pixels * 16, geometry, t0);
        for (int o = first; o < last; o += BLOCKS)
            for (int e = 0; e < taps; e++)
                for (int rows = 0; rows < 16; rows += N_ROWS) {
                    __global float *out =
                        dw + (long)o * w_out + (long)block * w_in + tap_weight[e] + rows * 16;
                    ROWS(DECLARE)
                    if (begin) {
                        ROWS(ZERO)
                    } else {
                        ROWS(RESUME)
                    }
                    for (int m = 0; m < n; m++) {
                        __local const float *p =
                            patch + (m * patch_pixels + distance[e]) * 16 + rows;
                        __global const float *d =
                            dy + ((long)(image0 + m) * y_maps + o) * y_map + pixel0 * 16;
                        for (int pixel = 0; pixel < pixels; pixel++, p += 16, d += 16) {
                            const float16 d0 = LOAD16(d);
                            SECOND(const float16 d1 = LOAD16(d + y_map);)
                            ROWS(STEP)
                        }
                    }
                    ROWS(FINISH)
                }
    }
}

/* Vectors of x channels; dy is dense, its channels are looped over. */
#define TAP(r)                                                                                     \
    const int e##r = min(start + r, taps - 1), a##r = distance[e##r] * 16;                         \
    float16 z##r = 0.0f;
#define TAP_RESUME(r) z##r = LOAD16(out + tap_weight[e##r]);
#define TAP_STEP(r) z##r = fma(d, LOAD16(p + a##r), z##r);
#define TAP_FINISH(r)                                                                              \
    if (start + r < taps)                                                                          \
        STORE16(z##r, out + tap_weight[e##r]);

KILN_TILE_KERNEL void conv_weight_last(PARAMETERS)
{
    START
    const int block = get_global_id(0);
    const int first = (int)get_global_id(1) * group, last = min(first + group, y_maps);
    FOR_PARTS
    {
        PART_SIZES
        for (int m = 0; m < n; m++)
            kiln_fill_patch(x + ((long)(image0 + m) * x_maps + block) * x_map,
                            patch + m * patch_pixels * 16, geometry, t0);
        for (int o = first; o < last; o++)
            for (int start = 0; start < taps; start += 8) {
                __global float *out = dw + (long)o * w_out + (long)block * w_in;
                ROWS8(TAP)
                if (!begin) {
                    ROWS8(TAP_RESUME)
                }
                for (int m = 0; m < n; m++) {
                    __local const float *p = patch + m * patch_pixels * 16;
                    __global const float *from_y =
                        dy + ((long)(image0 + m) * y_maps + o) * y_pixels + pixel0;
                    for (int pixel = 0; pixel < pixels; pixel++, p += 16) {
                        const float16 d = (float16)(from_y[pixel]);
                        ROWS8(TAP_STEP)
                    }
                }
                ROWS8(TAP_FINISH)
            }
    }
}

#else

/* Vectors of dy channels; entries of the table are (channel, tap) of x. */
#define ENTRY(r)                                                                                   \
    const int e##r = min(start + r, taps - 1), a##r = distance[e##r];                              \
    float16 z##r = 0.0f;
#define ENTRY_RESUME(r) z##r = LOAD16(out + tap_weight[e##r]);
#define ENTRY_STEP(r) z##r = fma((float16)(p[a##r]), d, z##r);
#define ENTRY_FINISH(r)                                                                            \
    if (start + r < taps)                                                                          \
        STORE16(z##r, out + tap_weight[e##r]);

KILN_TILE_KERNEL void conv_weight_first(PARAMETERS)
{
    START
    const int first = (int)get_global_id(1) * group, last = min(first + group, y_maps);
    const long y_map = (long)y_pixels * 16;
    FOR_PARTS
    {
        PART_SIZES
        for (int m = 0; m < n; m++)
            for (int c = 0; c < x_maps; c++)
                kiln_fill_patch(x + ((long)(image0 + m) * x_maps + c) * x_map,
                                patch + (m * x_maps + c) * patch_pixels, geometry, t0);
        for (int o = first; o < last; o++)
            for (int start = 0; start < taps; start += 8) {
                __global float *out = dw + (long)o * w_out;
                ROWS8(ENTRY)
                if (!begin) {
                    ROWS8(ENTRY_RESUME)
                }
                for (int m = 0; m < n; m++) {
                    __local const float *p = patch + m * x_maps * patch_pixels;
                    __global const float *from_y =
                        dy + ((long)(image0 + m) * y_maps + o) * y_map + pixel0 * 16;
                    for (int pixel = 0; pixel < pixels; pixel++, p++) {
                        const float16 d = LOAD16(from_y + pixel * 16);
                        ROWS8(ENTRY_STEP)
                    }
                }
                ROWS8(ENTRY_FINISH)
            }
    }
}

#endif

/* dw[i] = the sum of the parts in order; 16 elements an item, fewer at the end. */
#include "lib/items.clh"

__kernel void conv_weight_sum(__global const float *parts, long parts_offset, __global float *dw,
                              long w_offset, int n_parts, long part_size, long n, long chunk)
{
    parts += parts_offset;
    dw += w_offset;
    KILN_ITEMS(item)
    {
        __global const float *from = parts + item * 16;
        if (item * 16 + 16 > part_size) {
            for (long i = item * 16; i < part_size; i++) {
                float sum = parts[i];
                for (int part = 1; part < n_parts; part++)
                    sum += parts[part * part_size + i];
                dw[i] = sum;
            }
            continue;
        }
        float16 sum = LOAD16(from);
        for (int part = 1; part < n_parts; part++)
            sum += LOAD16(from + part * part_size);
        STORE16(sum, dw + item * 16);
    }
}
