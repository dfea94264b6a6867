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
 */
#ifndef KILN_CPU_SIMD_WINOGRAD_H
#define KILN_CPU_SIMD_WINOGRAD_H

#include "backends/cpu/simd.h"
#include "backends/cpu/simd_lanes.h"

#define POINT_A 0.625f
#define POINT_B 1.5f
#define A2      (POINT_A * POINT_A)
#define B2      (POINT_B * POINT_B)
#define NA      (2 * A2 * (A2 - B2))
#define NB      (2 * B2 * (B2 - A2))

/* Asks for the pixels of column j in rows first .. first + 3, which the tile
 * below will read. They may lie outside of the map: numbers, not pointers. */
static inline void winograd_prefetch(const struct cpu_winograd_map *map, int64_t first, int64_t j)
{
    uintptr_t pixel = (uintptr_t)map->pixel * sizeof(float), line = (uintptr_t)map->columns * pixel;
    uintptr_t at = (uintptr_t)map->data + (uintptr_t)(map->row + first) * line +
                   (uintptr_t)(map->column + j) * pixel;
    for (int i = 0; i < 4; i++)
        __builtin_prefetch((const void *)(at + (uintptr_t)i * line));
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

#endif
