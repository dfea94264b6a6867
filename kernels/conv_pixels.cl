/*
 * The convolution triple for processors where both maps are dense: vectors run
 * over pixels, which follow each other in a patch (lib/patch.clh). Entries of
 * the table are (channel, tap) of the source.
 *
 *   conv_pixels         target[o,pixel] = sum over entries of w[o,entry] source[entry,pixel]
 *   conv_pixels_weight  dw[o,entry] = sum over pixels of dy[o,pixel] x[entry,pixel]
 *
 * conv_pixels: work-item (group of target channels, band of rows, image), 32
 * pixels of N_ROWS (14, 4 or 1) target channels at a time. Their weights were
 * packed as [rows of a tile][entry][row of the tile], with zeros at the end.
 * `chunk` source channels fit a patch; sums over more continue from the target.
 */
#define INNER 1

#ifndef N_ROWS
#define N_ROWS 14
#endif

#include "lib/tile.clh"
#include "lib/patch.clh"

enum { TARGET_ROWS, TARGET_COLUMNS, ROW_STEP, ROW_FIRST, COLUMN_STEP, COLUMN_FIRST };

#if N_ROWS == 14
#define ROWS ROWS14
#elif N_ROWS == 4
#define ROWS ROWS4
#else
#define ROWS(X) X(0)
#endif

/* Lanes of the target's grid that do not follow each other, or a part of them,
 * or sums to be continued. */
inline void kiln_place(float16 v, __global float *map, __global const int *placing, int width,
                       int pixel, int count, bool resume)
{
    float lanes[16];
    vstore16(v, 0, lanes);
    for (int i = 0; i < count; i++) {
        const int t = (pixel + i) / width, u = (pixel + i) % width;
        __global float *to =
            map + (t * placing[ROW_STEP] + placing[ROW_FIRST]) * placing[TARGET_COLUMNS] +
            u * placing[COLUMN_STEP] + placing[COLUMN_FIRST];
        *to = resume ? *to + lanes[i] : lanes[i];
    }
}

#define DECLARE(r) float16 x##r = 0.0f, y##r = 0.0f;
#define MULTIPLY(r)                                                                                \
    {                                                                                              \
        const float16 t = (float16)(w[r]);                                                         \
        x##r = fma(t, b0, x##r);                                                                   \
        y##r = fma(t, b1, y##r);                                                                   \
    }
#define FINISH(r)                                                                                  \
    if (o + r < last) {                                                                            \
        __global float *map = target + (o + r) * map_size;                                         \
        if (in_a_row && left >= 32) {                                                              \
            STORE16(x##r, map + pixel0 + pixel);                                                   \
            STORE16(y##r, map + pixel0 + pixel + 16);                                              \
        } else {                                                                                   \
            kiln_place(x##r, map, placing, width, pixel0 + pixel, min(left, 16), channel0 > 0);    \
            if (left > 16)                                                                         \
                kiln_place(y##r, map, placing, width, pixel0 + pixel + 16, min(left - 16, 16),     \
                           channel0 > 0);                                                          \
        }                                                                                          \
    }

/* Work-item (tile of rows). */
KILN_TILE_KERNEL void conv_pixels_pack(__global const float *weight, long weight_offset,
                                       __global float *packed, long packed_offset,
                                       __global const int *geometry, int targets, int row_stride)
{
    const int o = (int)get_global_id(0) * N_ROWS, entries = geometry[TAPS];
    __global const int *tap_weight = TAP_WEIGHT;
    weight += weight_offset;
    packed += packed_offset + (long)o * entries;
    for (int e = 0; e < entries; e++)
        for (int r = 0; r < N_ROWS; r++)
            packed[e * N_ROWS + r] =
                o + r < targets ? weight[(long)(o + r) * row_stride + tap_weight[e]] : 0.0f;
}

KILN_TILE_KERNEL void conv_pixels(__global const float *source, long source_offset,
                                  __global const float *weight, long weight_offset,
                                  __global float *target, long target_offset,
                                  __global const int *geometry, __global const int *placing,
                                  int channels, int chunk, int targets, int group,
                                  int channel_taps, __local float *patch)
{
    const int band = get_global_id(1), image = get_global_id(2);
    const int first = (int)get_global_id(0) * group, last = min(first + group, targets);
    const int width = geometry[GRID_COLUMNS], t0 = band * geometry[BAND_ROWS];
    const int pixels = min(geometry[BAND_ROWS], geometry[GRID_ROWS] - t0) * width;
    const int pixel0 = t0 * width, patch_pixels = geometry[PATCH_PIXELS];
    __global const int *distance = TAP_DISTANCE;
    const long source_map = (long)geometry[SOURCE_ROWS] * geometry[SOURCE_COLUMNS];
    const long map_size = (long)placing[TARGET_ROWS] * placing[TARGET_COLUMNS];
    const bool steps = placing[ROW_STEP] != 1 || placing[COLUMN_STEP] != 1;
    source += source_offset + image * channels * source_map;
    target += target_offset + image * targets * map_size;

    for (int channel0 = 0; channel0 < channels; channel0 += chunk) {
        const int n = min(chunk, channels - channel0);
        const bool in_a_row = !steps && channel0 == 0;
        for (int c = 0; c < n; c++)
            kiln_fill_patch(source + (channel0 + c) * source_map, patch + c * patch_pixels,
                            geometry, t0);
        __local const float *base = patch - channel0 * patch_pixels;
        for (int o = first; o < last; o += N_ROWS) {
            __global const float *tile =
                weight + weight_offset + (long)o * channels * channel_taps;
            for (int pixel = 0; pixel < pixels; pixel += 32) {
                const int left = pixels - pixel, second = left > 16 ? 16 : 0;
                ROWS(DECLARE)
                for (int e = channel0 * channel_taps; e < (channel0 + n) * channel_taps; e++) {
                    __local const float *p = base + distance[e] + pixel;
                    const float16 b0 = LOAD16(p), b1 = LOAD16(p + second);
                    __global const float *w = tile + e * N_ROWS;
                    ROWS(MULTIPLY)
                }
                ROWS(FINISH)
            }
        }
    }
}

/* --- the weight gradient -------------------------------------------------------- */

/*
 * Work-item (chunk of x channels, group of dy channels, part of the images):
 * 4 channels of dy by 6 entries at a time, 24 vectors of sums over pixels.
 */
inline float kiln_lanes(float16 v)
{
    const float8 a = v.lo + v.hi;
    const float4 b = a.lo + a.hi;
    const float2 c = b.lo + b.hi;
    return c.x + c.y;
}

#define COLUMNS6(X, r) X(r, 0) X(r, 1) X(r, 2) X(r, 3) X(r, 4) X(r, 5)
#define TILE46(X) COLUMNS6(X, 0) COLUMNS6(X, 1) COLUMNS6(X, 2) COLUMNS6(X, 3)
#define SUM_DECLARE(r, c) float16 s##r##c = 0.0f;
#define SUM_STEP(r, c) s##r##c = fma(d##r, v##c, s##r##c);
#define SUM_FINISH(r, c)                                                                           \
    if (o + r < last && start + c < end) {                                                         \
        __global float *to = out + (long)(o + r) * entries + tap_weight[start + c];                \
        const float sum = kiln_lanes(s##r##c);                                                     \
        *to = begin ? sum : *to + sum;                                                             \
    }
#define SOURCE(r) __global const float *y##r = dy_map + min(o + r, last - 1) * y_map;
#define ENTRY(c) __local const float *p##c = base + m * n * patch_pixels + distance[min(start + c, end - 1)];
#define VECTORS                                                                                    \
    const float16 v0 = LOAD16(p0 + pixel), v1 = LOAD16(p1 + pixel), v2 = LOAD16(p2 + pixel);       \
    const float16 v3 = LOAD16(p3 + pixel), v4 = LOAD16(p4 + pixel), v5 = LOAD16(p5 + pixel);

/* The last pixels of a band, with zeros behind them. */
inline float16 kiln_load_part(__global const float *p, int count)
{
    float lanes[16];
    for (int i = 0; i < 16; i++)
        lanes[i] = i < count ? p[i] : 0.0f;
    return vload16(0, lanes);
}

/* Beyond the patch's rows local memory may hold anything, even NaN. */
inline float16 kiln_clean(float16 v, float16 mask)
{
    return select((float16)(0.0f), v, mask > 0.0f);
}

KILN_TILE_KERNEL void conv_pixels_weight(__global const float *x, long x_offset,
                                         __global const float *dy, long y_offset,
                                         __global float *dw, long w_offset,
                                         __global const int *geometry, int images, int share,
                                         int together, int channels, int chunk, int outputs,
                                         int group, int channel_taps, __local float *patch)
{
    const int part = get_global_id(2);
    const int from = part * share, to_image = min(from + share, images);
    const int first = (int)get_global_id(1) * group, last = min(first + group, outputs);
    const int channel0 = (int)get_global_id(0) * chunk, n = min(chunk, channels - channel0);
    const int width = geometry[GRID_COLUMNS], band = geometry[BAND_ROWS];
    const int grid_rows = geometry[GRID_ROWS], patch_pixels = geometry[PATCH_PIXELS];
    __global const int *distance = TAP_DISTANCE, *tap_weight = TAP_WEIGHT;
    const long x_map = (long)geometry[SOURCE_ROWS] * geometry[SOURCE_COLUMNS];
    const long y_map = (long)grid_rows * width;
    const int entries = channels * channel_taps, end = (channel0 + n) * channel_taps;
    __global float *out = dw + w_offset + (long)part * outputs * entries;
    const float16 lane =
        (float16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    x += x_offset;
    dy += y_offset;
    for (int image0 = from; image0 < to_image; image0 += together)
        for (int t0 = 0; t0 < grid_rows; t0 += band) {
            const bool begin = image0 == from && t0 == 0;
            const int n_images = min(together, to_image - image0);
            const int pixels = min(band, grid_rows - t0) * width;
            for (int m = 0; m < n_images; m++)
                for (int c = 0; c < n; c++)
                    kiln_fill_patch(x + ((long)(image0 + m) * channels + channel0 + c) * x_map,
                                    patch + (m * n + c) * patch_pixels, geometry, t0);
            __local const float *base = patch - channel0 * patch_pixels;
            for (int o = first; o < last; o += 4)
                for (int start = channel0 * channel_taps; start < end; start += 6) {
                    TILE46(SUM_DECLARE)
                    for (int m = 0; m < n_images; m++) {
                        __global const float *dy_map =
                            dy + (long)(image0 + m) * outputs * y_map + t0 * width;
                        SOURCE(0) SOURCE(1) SOURCE(2) SOURCE(3)
                        ENTRY(0) ENTRY(1) ENTRY(2) ENTRY(3) ENTRY(4) ENTRY(5)
                        int pixel = 0;
                        for (; pixel + 16 <= pixels; pixel += 16) {
                            const float16 d0 = LOAD16(y0 + pixel), d1 = LOAD16(y1 + pixel);
                            const float16 d2 = LOAD16(y2 + pixel), d3 = LOAD16(y3 + pixel);
                            VECTORS
                            TILE46(SUM_STEP)
                        }
                        if (pixel < pixels) {
                            const int left = pixels - pixel;
                            const float16 mask = (float16)((float)left) - lane;
                            const float16 d0 = kiln_load_part(y0 + pixel, left);
                            const float16 d1 = kiln_load_part(y1 + pixel, left);
                            const float16 d2 = kiln_load_part(y2 + pixel, left);
                            const float16 d3 = kiln_load_part(y3 + pixel, left);
#define CLEAN(c) const float16 v##c = kiln_clean(LOAD16(p##c + pixel), mask);
                            CLEAN(0) CLEAN(1) CLEAN(2) CLEAN(3) CLEAN(4) CLEAN(5)
                            TILE46(SUM_STEP)
                        }
                    }
                    TILE46(SUM_FINISH)
                }
        }
}
