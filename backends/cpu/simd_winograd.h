/*
 * Winograd's minimal filtering in one dimension (Lavin & Gray 2016; Toom-Cook
 * over the points 0, A, -A, B, -B and infinity), on vectors of channels. Six
 * products give
 *
 *   F(4,3): 4 outputs of a filter of 3 taps     y = At [(G g) * (Bt d)]
 *   F(3,4): its gradient, 3 taps from 4 outputs
 *
 * A = 5/8 and B = 3/2 make the errors half of those of 1 and 2; all constants
 * but the quotients are exact. Arrays may not overlap; r gets the results.
 *
 * The functions whose names end in 2 have filters of 2 taps, F(4,2) and its
 * gradient F(2,4), over 0, C, -C, D and infinity: five products.
 */
#ifndef KILN_CPU_SIMD_WINOGRAD_H
#define KILN_CPU_SIMD_WINOGRAD_H

#include "backends/cpu/simd.h"
#include "backends/cpu/simd_lanes.h"

#include <stdbool.h>

#define POINT_A 0.625f
#define POINT_B 1.5f
#define A2      (POINT_A * POINT_A)
#define B2      (POINT_B * POINT_B)
#define NA      (2 * A2 * (A2 - B2))
#define NB      (2 * B2 * (B2 - A2))

/* The register tile of the products: vectors of tiles by two of channels. */
#define WINOGRAD_ROWS (LANES == 16 ? 14 : LANES == 8 ? 6 : 4)

void SIMD(cpu_winograd_source)(const struct cpu_winograd_map *, float *to, int64_t apart);
void SIMD(cpu_winograd_multiply)(const struct cpu_winograd_product *);
void SIMD(cpu_winograd_add)(const struct cpu_winograd_sums *);

/* Asks for the pixels of column j in rows first .. first + 3 of a tile, which the
 * tile below will read; step is the map's. They may lie outside of the map:
 * numbers, not pointers. */
static inline void winograd_prefetch(const struct cpu_winograd_map *map, int64_t first, int64_t j,
                                     int64_t step)
{
    uintptr_t pixel = (uintptr_t)map->pixel * sizeof(float), line = (uintptr_t)map->columns * pixel;
    uintptr_t at = (uintptr_t)map->data + (uintptr_t)(map->row + first * step) * line +
                   (uintptr_t)(map->column + j * step) * pixel;
    for (int i = 0; i < 4; i++)
        __builtin_prefetch((const void *)(at + (uintptr_t)(i * step) * line));
}

/* The loops of a transform, whose arrays are registers then. */
#ifdef __clang__
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif

/* Pixels (0, j) .. (n - 1, j) of a tile, step apart; zero outside of the map. The
 * first may lie outside: a number, not a pointer. */
static inline void winograd_column(const struct cpu_winograd_map *map, int64_t j, int n,
                                   int64_t step, lanes *d)
{
    int64_t at = map->column + j * step, line = step * map->columns * map->pixel;
    uintptr_t from = (uintptr_t)map->data +
                     (uintptr_t)((map->row * map->columns + at) * map->pixel) * sizeof(float);
    if (at < 0 || at >= map->columns) {
        UNROLL
        for (int i = 0; i < n; i++)
            d[i] = (lanes){0};
    } else {
        UNROLL
        for (int i = 0; i < n; i++) {
            int64_t row = map->row + i * step;
            bool inside = row >= 0 && row < map->rows;
            const void *pixel = (const void *)(from + (uintptr_t)(i * line) * sizeof(float));
            d[i] = inside ? lanes_at(pixel) : (lanes){0};
        }
    }
}

/* Row i of a tile's four, step apart, as far as the map goes. */
static inline void winograd_put_target(const struct cpu_winograd_map *map, int64_t i, int64_t step,
                                       const lanes y[4])
{
    int64_t row = map->row + i * step;
    if (row >= map->rows)
        return;
    float *line = map->data + (row * map->columns + map->column) * map->pixel;
    UNROLL
    for (int j = 0; j < 4; j++)
        if (map->column + j * step < map->columns)
            lanes_put(line + j * step * map->pixel, y[j]);
}

static inline void winograd_put_row(float *to, int64_t apart, const lanes *r, int n)
{
    UNROLL
    for (int j = 0; j < n; j++)
        lanes_put(to + j * apart, r[j]);
}

/* Bt d, six pixels */
static inline void winograd_source(const lanes d[6], lanes r[6])
{
    lanes ua = d[4] - B2 * d[2], va = POINT_A * (d[3] - B2 * d[1]);
    lanes ub = d[4] - A2 * d[2], vb = POINT_B * (d[3] - A2 * d[1]);
    r[0] = A2 * B2 * d[0] + (d[4] - (A2 + B2) * d[2]);
    r[1] = ua + va;
    r[2] = ua - va;
    r[3] = ub + vb;
    r[4] = ub - vb;
    r[5] = A2 * B2 * d[1] + (d[5] - (A2 + B2) * d[3]);
}

/* G g, three taps */
static inline void winograd_taps(const lanes g[3], lanes r[6])
{
    lanes ua = (g[0] + A2 * g[2]) * (1 / NA), va = POINT_A / NA * g[1];
    lanes ub = (g[0] + B2 * g[2]) * (1 / NB), vb = POINT_B / NB * g[1];
    r[0] = g[0] * (1 / (A2 * B2));
    r[1] = ua + va;
    r[2] = ua - va;
    r[3] = ub + vb;
    r[4] = ub - vb;
    r[5] = g[2];
}

/* At m, six products to four outputs */
static inline void winograd_target(const lanes m[6], lanes r[4])
{
    lanes sa = m[1] + m[2], da = m[1] - m[2], sb = m[3] + m[4], db = m[3] - m[4];
    r[0] = m[0] + sa + sb;
    r[1] = POINT_A * da + POINT_B * db;
    r[2] = A2 * sa + B2 * sb;
    r[3] = A2 * POINT_A * da + (B2 * POINT_B * db + m[5]);
}

/* The gradient's G' g, four outputs */
static inline void winograd_outputs(const lanes g[4], lanes r[6])
{
    lanes ua = (g[0] + A2 * g[2]) * (1 / NA), va = POINT_A / NA * (g[1] + A2 * g[3]);
    lanes ub = (g[0] + B2 * g[2]) * (1 / NB), vb = POINT_B / NB * (g[1] + B2 * g[3]);
    r[0] = g[0] * (1 / (A2 * B2));
    r[1] = ua + va;
    r[2] = ua - va;
    r[3] = ub + vb;
    r[4] = ub - vb;
    r[5] = g[3];
}

/* The gradient's At' m, six products to three taps */
static inline void winograd_gradient(const lanes m[6], lanes r[3])
{
    lanes sa = m[1] + m[2], da = m[1] - m[2], sb = m[3] + m[4], db = m[3] - m[4];
    r[0] = m[0] + sa + sb;
    r[1] = POINT_A * da + POINT_B * db;
    r[2] = A2 * sa + (B2 * sb + m[5]);
}

/* --- filters of two taps ------------------------------------------------------ */

#define POINT_C 0.75f
#define POINT_D -2.0f
#define C2      (POINT_C * POINT_C)
#define D2      (POINT_D * POINT_D)
/* of 0, C, -C and D: the products of their distances from the others */
#define N0 (C2 * POINT_D)
#define N1 (2 * C2 * (POINT_C - POINT_D))
#define N2 (-2 * C2 * (POINT_C + POINT_D))
#define N3 (POINT_D * (D2 - C2))

/* Bt d, five pixels */
static inline void winograd_source_2(const lanes d[5], lanes r[5])
{
    lanes p = d[3] - POINT_D * d[2], q = d[2] - POINT_D * d[1];
    r[0] = p - C2 * (d[1] - POINT_D * d[0]);
    r[1] = p + POINT_C * q;
    r[2] = p - POINT_C * q;
    r[3] = d[3] - C2 * d[1];
    r[4] = (d[4] - POINT_D * d[3]) - C2 * q;
}

/* G g, two taps */
static inline void winograd_taps_2(const lanes g[2], lanes r[5])
{
    r[0] = g[0] * (1 / N0);
    r[1] = (g[0] + POINT_C * g[1]) * (1 / N1);
    r[2] = (g[0] - POINT_C * g[1]) * (1 / N2);
    r[3] = (g[0] + POINT_D * g[1]) * (1 / N3);
    r[4] = g[1];
}

/* At m, five products to four outputs */
static inline void winograd_target_2(const lanes m[5], lanes r[4])
{
    lanes s = m[1] + m[2], d = m[1] - m[2];
    r[0] = m[0] + s + m[3];
    r[1] = POINT_C * d + POINT_D * m[3];
    r[2] = C2 * s + D2 * m[3];
    r[3] = C2 * POINT_C * d + (D2 * POINT_D * m[3] + m[4]);
}

/* The gradient's G' g, four outputs */
static inline void winograd_outputs_2(const lanes g[4], lanes r[5])
{
    lanes even = g[0] + C2 * g[2], odd = POINT_C * (g[1] + C2 * g[3]);
    r[0] = g[0] * (1 / N0);
    r[1] = (even + odd) * (1 / N1);
    r[2] = (even - odd) * (1 / N2);
    r[3] = (g[0] + POINT_D * g[1] + D2 * (g[2] + POINT_D * g[3])) * (1 / N3);
    r[4] = g[3];
}

/* The gradient's At' m, five products to two taps */
static inline void winograd_gradient_2(const lanes m[5], lanes r[2])
{
    r[0] = m[0] + (m[1] + m[2]) + m[3];
    r[1] = POINT_C * (m[1] - m[2]) + (POINT_D * m[3] + m[4]);
}

#endif
