/* Winograd's transforms of tiles and weights, and the products between them:
 * the kernels of conv_winograd.c. */
#include "backends/cpu/simd.h"
#include "backends/cpu/simd_transpose.h"
#include "backends/cpu/simd_winograd.h"

#define ROWS    WINOGRAD_ROWS
#define COLUMNS (2 * LANES)

#define INLINE static inline __attribute__((always_inline))

INLINE void source(const struct cpu_winograd_map *map, float *to, int64_t apart, const int64_t step)
{
    lanes t[6][6], d[6], r[6];
    UNROLL
    for (int j = 0; j < 6; j++) {
        winograd_column(map, j, 6, step, d);
        winograd_prefetch(map, 6, j, step);
        winograd_source(d, r);
        UNROLL
        for (int i = 0; i < 6; i++)
            t[i][j] = r[i];
    }
    UNROLL
    for (int i = 0; i < 6; i++) {
        winograd_source(t[i], r);
        winograd_put_row(to + i * 6 * apart, apart, r, 6);
    }
}

void SIMD(cpu_winograd_source)(const struct cpu_winograd_map *map, float *to, int64_t apart)
{
    source(map, to, apart, 1);
}

static void source_dilated(const struct cpu_winograd_map *map, float *to, int64_t apart)
{
    source(map, to, apart, map->step);
}

INLINE void target(const float *from, int64_t apart, const struct cpu_winograd_map *map,
                   const int64_t step)
{
    lanes t[4][6], m[6], y[4];
    UNROLL
    for (int j = 0; j < 6; j++) {
        UNROLL
        for (int i = 0; i < 6; i++)
            m[i] = lanes_at(from + (i * 6 + j) * apart);
        winograd_target(m, y);
        UNROLL
        for (int i = 0; i < 4; i++)
            t[i][j] = y[i];
    }
    UNROLL
    for (int i = 0; i < 4; i++) {
        winograd_target(t[i], y);
        winograd_put_target(map, i, step, y);
    }
}

static void target_dense(const float *from, int64_t apart, const struct cpu_winograd_map *map)
{
    target(from, apart, map, 1);
}

static void target_dilated(const float *from, int64_t apart, const struct cpu_winograd_map *map)
{
    target(from, apart, map, map->step);
}

/* The taps of one source channel for LANES target channels. */
static void transform_weights(const float *taps, int64_t tap, float *to, int64_t apart,
                              bool reverse)
{
    lanes t[6][3], g[3], r[6];
    UNROLL
    for (int j = 0; j < 3; j++) {
        UNROLL
        for (int i = 0; i < 3; i++)
            g[i] = lanes_at(taps + (reverse ? 8 - i * 3 - j : i * 3 + j) * tap);
        winograd_taps(g, r);
        UNROLL
        for (int i = 0; i < 6; i++)
            t[i][j] = r[i];
    }
    UNROLL
    for (int i = 0; i < 6; i++) {
        winograd_taps(t[i], r);
        winograd_put_row(to + i * 6 * apart, apart, r, 6);
    }
}

static void weights(const float *taps, int64_t tap, int64_t row, int phase, bool back, float *to,
                    int64_t apart)
{
    (void)phase;
    float turned[9 * LANES * LANES];
    if (back)
        for (int i = 0; i < 9; i++)
            transpose_square(turned + i * LANES * LANES, LANES, taps + i * tap, row);
    for (int c = 0; c < LANES; c++)
        transform_weights(back ? turned + c * LANES : taps + c * row, back ? LANES * LANES : tap,
                          to + c * COLUMNS, apart, back);
}

/* m [rows][COLUMNS] of one element */
INLINE void multiply_tile(const struct cpu_winograd_product *p, const float *v, float *m,
                          const int rows)
{
    lanes sum[ROWS][2];
    const float *u = p->u;
    for (int i = 0; i < rows; i++)
        sum[i][0] = sum[i][1] = (lanes){0};
    for (int64_t block = 0; block < p->blocks; block++, v += p->v_block)
        for (int c = 0; c < LANES; c++, u += COLUMNS) {
            lanes u0 = lanes_at(u), u1 = lanes_at(u + LANES);
            for (int i = 0; i < rows; i++) {
                sum[i][0] += u0 * v[i * LANES + c];
                sum[i][1] += u1 * v[i * LANES + c];
            }
        }
    for (int i = 0; i < rows; i++) {
        lanes_put(m + i * COLUMNS, sum[i][0]);
        lanes_put(m + i * COLUMNS + LANES, sum[i][1]);
    }
}

void SIMD(cpu_winograd_multiply)(const struct cpu_winograd_product *p)
{
    int64_t t = 0;
    for (; p->tiles - t > ROWS / 2; t += ROWS)
        multiply_tile(p, p->v + t * LANES, p->m + t * COLUMNS, ROWS);
    if (t < p->tiles)
        multiply_tile(p, p->v + t * LANES, p->m + t * COLUMNS, ROWS / 2);
}

const struct cpu_simd_winograd SIMD(cpu_simd_winograd) = {.lanes = LANES,
                                                          .rows = ROWS,
                                                          .elements = 36,
                                                          .source = SIMD(cpu_winograd_source),
                                                          .target = target_dense,
                                                          .weights = weights,
                                                          .multiply = SIMD(cpu_winograd_multiply)};

const struct cpu_simd_winograd SIMD(cpu_simd_winograd_dilated) = {
    .lanes = LANES,
    .rows = ROWS,
    .elements = 36,
    .source = source_dilated,
    .target = target_dilated,
    .weights = weights,
    .multiply = SIMD(cpu_winograd_multiply)};
