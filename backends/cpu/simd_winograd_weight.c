/* Winograd's transforms for the weight gradient, two rows of elements at a
 * time, and the sums over tiles: the kernels of conv_winograd_weight.c. */
#include "backends/cpu/simd.h"
#include "backends/cpu/simd_winograd.h"

#include <stdbool.h>

/* The register tile of the sums: channels of x by two vectors of channels of dy. */
#define ROWS (LANES == 16 ? 8 : 4)

static void put_rows(float *to, int64_t apart, lanes t[2][6],
                     void (*transform)(const lanes *, lanes *))
{
    lanes r[6];
    for (int i = 0; i < 2; i++) {
        transform(t[i], r);
        for (int j = 0; j < 6; j++)
            lanes_put(to + (i * 6 + j) * apart, r[j]);
    }
}

static void source_row(const lanes *d, lanes *r)
{
    winograd_source(d, r);
}

static void outputs_row(const lanes *d, lanes *r)
{
    winograd_outputs(d, r);
}

/* Pixels 0 .. n - 1 of column j of the tile; false if all are outside. */
static inline bool column(const struct cpu_winograd_map *map, int64_t j, int n, lanes *d)
{
    int64_t at = map->column + j;
    if (at < 0 || at >= map->columns)
        return false;
    for (int i = 0; i < n; i++) {
        int64_t row = map->row + i;
        bool inside = row >= 0 && row < map->rows;
        d[i] = inside ? lanes_at(map->data + (row * map->columns + at) * map->pixel) : (lanes){0};
    }
    return true;
}

/* pair 0: the points A and -A, 1: B and -B, 2: 0 and infinity */
static void source(const struct cpu_winograd_map *map, int pair, float *to, int64_t apart)
{
    lanes t[2][6], d[6];
    for (int j = 0; j < 6; j++) {
        winograd_prefetch(map, 6, j, 1);
        if (!column(map, j, 6, d)) {
            t[0][j] = t[1][j] = (lanes){0};
        } else if (pair == 2) {
            t[0][j] = A2 * B2 * d[0] + (d[4] - (A2 + B2) * d[2]);
            t[1][j] = A2 * B2 * d[1] + (d[5] - (A2 + B2) * d[3]);
        } else {
            float other = pair ? A2 : B2;
            lanes u = d[4] - other * d[2], v = (pair ? POINT_B : POINT_A) * (d[3] - other * d[1]);
            t[0][j] = u + v;
            t[1][j] = u - v;
        }
    }
    put_rows(to, apart, t, source_row);
}

static void outputs(const struct cpu_winograd_map *map, int pair, float *to, int64_t apart)
{
    lanes t[2][6], g[4];
    for (int j = 0; j < 4; j++) {
        winograd_prefetch(map, 4, j, 1);
        if (!column(map, j, 4, g)) {
            t[0][j] = t[1][j] = (lanes){0};
        } else if (pair == 2) {
            t[0][j] = g[0] * (1 / (A2 * B2));
            t[1][j] = g[3];
        } else {
            float point2 = pair ? B2 : A2, scale = pair ? 1 / NB : 1 / NA;
            float odd = pair ? POINT_B / NB : POINT_A / NA;
            lanes u = (g[0] + point2 * g[2]) * scale, v = odd * (g[1] + point2 * g[3]);
            t[0][j] = u + v;
            t[1][j] = u - v;
        }
    }
    put_rows(to, apart, t, outputs_row);
}

/* ROWS channels of x by `vectors` vectors of dy */
static inline __attribute__((always_inline)) void sum_tile(const struct cpu_winograd_sums *s,
                                                           const float *x, const float *y,
                                                           float *out, const int vectors)
{
    lanes sum[ROWS][2];
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < vectors; j++)
            sum[i][j] = s->begin ? (lanes){0} : lanes_at(out + i * s->row + j * LANES);
    for (int64_t t = 0; t < s->tiles; t++, x += s->x_channels, y += s->y_channels) {
        lanes d[2];
        for (int j = 0; j < vectors; j++)
            d[j] = lanes_at(y + j * LANES);
        for (int i = 0; i < ROWS; i++)
            for (int j = 0; j < vectors; j++)
                sum[i][j] += d[j] * x[i];
    }
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < vectors; j++)
            lanes_put(out + i * s->row + j * LANES, sum[i][j]);
}

void SIMD(cpu_winograd_add)(const struct cpu_winograd_sums *s)
{
    for (int64_t o = 0; o < s->y_channels; o += 2 * LANES)
        for (int64_t c = 0; c < s->x_channels; c += ROWS)
            if (s->y_channels - o >= 2 * LANES)
                sum_tile(s, s->x + c, s->y + o, s->sums + c * s->row + o, 2);
            else
                sum_tile(s, s->x + c, s->y + o, s->sums + c * s->row + o, 1);
}

static void taps(const float *sums, int64_t apart, int64_t parts, float *out, int64_t tap)
{
    lanes t[3][6], m[6], y[3];
    for (int j = 0; j < 6; j++) {
        for (int i = 0; i < 6; i++) {
            m[i] = lanes_at(sums + (i * 6 + j) * apart);
            for (int64_t part = 1; part < parts; part++)
                m[i] += lanes_at(sums + (part * 36 + i * 6 + j) * apart);
        }
        winograd_gradient(m, y);
        for (int i = 0; i < 3; i++)
            t[i][j] = y[i];
    }
    for (int i = 0; i < 3; i++) {
        winograd_gradient(t[i], y);
        for (int j = 0; j < 3; j++)
            lanes_put(out + (i * 3 + j) * tap, y[j]);
    }
}

const struct cpu_simd_winograd_weight SIMD(cpu_simd_winograd_weight) = {
    .lanes = LANES,
    .side = 6,
    .pairs = 3,
    .source = source,
    .outputs = outputs,
    .add = SIMD(cpu_winograd_add),
    .taps = taps};
