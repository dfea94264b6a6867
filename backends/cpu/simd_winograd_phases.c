/* Winograd's transforms for the phases of convolutions of stride 2: the kernels
 * of conv_winograd.c and conv_winograd_weight.c for 4x4, F(4x4,2x2), and for 5x5,
 * F(4x4,3x3). */
#include "backends/cpu/simd.h"
#include "backends/cpu/simd_transpose.h"
#include "backends/cpu/simd_winograd.h"

#include <stdbool.h>

static inline void put_row(int side, float *to, int64_t apart, const lanes *r)
{
    for (int j = 0; j < side; j++)
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

#define KERNEL 4
#include "backends/cpu/simd_winograd_phases.h"
#define KERNEL 5
#include "backends/cpu/simd_winograd_phases.h"

const struct cpu_simd_winograd *const SIMD(cpu_simd_winograd_phases)[2] = {&winograd_4,
                                                                           &winograd_5};
const struct cpu_simd_winograd_weight *const SIMD(cpu_simd_winograd_phases_weight)[2] = {
    &winograd_weight_4, &winograd_weight_5};
