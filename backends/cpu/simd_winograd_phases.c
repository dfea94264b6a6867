/* Winograd's transforms for the phases of a 4x4 convolution of stride 2: the
 * kernels of conv_winograd.c and conv_winograd_weight.c for F(4x4,2x2). */
#include "backends/cpu/simd.h"
#include "backends/cpu/simd_transpose.h"
#include "backends/cpu/simd_winograd.h"

#include <stdbool.h>

/* Taps of a phase are two apart in a kernel of 4x4. */
#define TAP(i, j) (8 * (i) + 2 * (j))

static inline void put_row(float *to, int64_t apart, const lanes r[5])
{
    for (int j = 0; j < 5; j++)
        lanes_put(to + j * apart, r[j]);
}

/* Pixels (0, j) .. (n - 1, j) of the tile, zero outside of the map; false if all are outside. */
static inline bool column(const struct cpu_winograd_map *map, int64_t j, int n, lanes *d)
{
    int64_t at = map->column + j * map->step;
    if (at < 0 || at >= map->columns)
        return false;
    for (int i = 0; i < n; i++) {
        int64_t row = map->row + i * map->step;
        bool inside = row >= 0 && row < map->rows;
        d[i] = inside ? lanes_at(map->data + (row * map->columns + at) * map->pixel) : (lanes){0};
    }
    return true;
}

static void source(const struct cpu_winograd_map *map, float *to, int64_t apart)
{
    lanes t[5][5], d[5], r[5];
    for (int j = 0; j < 5; j++) {
        winograd_prefetch(map, 5, j, map->step);
        if (!column(map, j, 5, d))
            for (int i = 0; i < 5; i++)
                d[i] = (lanes){0};
        winograd_source_2(d, r);
        for (int i = 0; i < 5; i++)
            t[i][j] = r[i];
    }
    for (int i = 0; i < 5; i++) {
        winograd_source_2(t[i], r);
        put_row(to + i * 5 * apart, apart, r);
    }
}

static void target(const float *from, int64_t apart, const struct cpu_winograd_map *map)
{
    lanes t[4][5], m[5], y[4];
    for (int j = 0; j < 5; j++) {
        for (int i = 0; i < 5; i++)
            m[i] = lanes_at(from + (i * 5 + j) * apart);
        winograd_target_2(m, y);
        for (int i = 0; i < 4; i++)
            t[i][j] = y[i];
    }
    for (int i = 0; i < 4 && map->row + i * map->step < map->rows; i++) {
        float *line =
            map->data + ((map->row + i * map->step) * map->columns + map->column) * map->pixel;
        winograd_target_2(t[i], y);
        for (int j = 0; j < 4 && map->column + j * map->step < map->columns; j++)
            lanes_put(line + j * map->step * map->pixel, y[j]);
    }
}

/* The taps of one source channel for LANES target channels. */
static void transform_weights(const float *taps, int64_t tap, float *to, int64_t apart,
                              bool reverse)
{
    lanes t[5][2], g[2], r[5];
    for (int j = 0; j < 2; j++) {
        for (int i = 0; i < 2; i++)
            g[i] = lanes_at(taps + (reverse ? TAP(1 - i, 1 - j) : TAP(i, j)) * tap);
        winograd_taps_2(g, r);
        for (int i = 0; i < 5; i++)
            t[i][j] = r[i];
    }
    for (int i = 0; i < 5; i++) {
        winograd_taps_2(t[i], r);
        put_row(to + i * 5 * apart, apart, r);
    }
}

static void weights(const float *taps, int64_t tap, int64_t row, bool back, float *to,
                    int64_t apart)
{
    enum { SQUARE = LANES * LANES };
    float turned[(TAP(1, 1) + 1) * SQUARE];
    for (int i = 0; i < 4 && back; i++)
        transpose_square(turned + TAP(i / 2, i % 2) * SQUARE, LANES, taps + TAP(i / 2, i % 2) * tap,
                         row);
    for (int c = 0; c < LANES; c++)
        transform_weights(back ? turned + c * LANES : taps + c * row, back ? SQUARE : tap,
                          to + c * 2 * LANES, apart, back);
}

const struct cpu_simd_winograd SIMD(cpu_simd_winograd_phases) = {
    .lanes = LANES,
    .rows = WINOGRAD_ROWS,
    .elements = 25,
    .source = source,
    .target = target,
    .weights = weights,
    .multiply = SIMD(cpu_winograd_multiply)};

/* --- the weight gradient ---------------------------------------------------- */

static void outputs(const struct cpu_winograd_map *map, float *to, int64_t apart)
{
    lanes t[5][4], g[4], r[5];
    for (int j = 0; j < 4; j++) {
        winograd_prefetch(map, 4, j, map->step);
        if (!column(map, j, 4, g))
            for (int i = 0; i < 4; i++)
                g[i] = (lanes){0};
        winograd_outputs_2(g, r);
        for (int i = 0; i < 5; i++)
            t[i][j] = r[i];
    }
    for (int i = 0; i < 5; i++) {
        winograd_outputs_2(t[i], r);
        put_row(to + i * 5 * apart, apart, r);
    }
}

static void taps(const float *sums, int64_t apart, int64_t parts, float *out, int64_t tap)
{
    lanes t[2][5], m[5], y[2];
    for (int j = 0; j < 5; j++) {
        for (int i = 0; i < 5; i++) {
            m[i] = lanes_at(sums + (i * 5 + j) * apart);
            for (int64_t part = 1; part < parts; part++)
                m[i] += lanes_at(sums + (part * 25 + i * 5 + j) * apart);
        }
        winograd_gradient_2(m, y);
        for (int i = 0; i < 2; i++)
            t[i][j] = y[i];
    }
    for (int i = 0; i < 2; i++) {
        winograd_gradient_2(t[i], y);
        for (int j = 0; j < 2; j++)
            lanes_put(out + TAP(i, j) * tap, y[j]);
    }
}

const struct cpu_simd_winograd_weight SIMD(cpu_simd_winograd_phases_weight) = {
    .lanes = LANES,
    .elements = 25,
    .source = source,
    .outputs = outputs,
    .add = SIMD(cpu_winograd_add),
    .taps = taps};
