/* The argmax of pooling windows, vectors over neighbouring channels. */
#include "backends/cpu/simd.h"

#include <math.h>
#include <string.h>

#include "backends/cpu/simd_lanes.h"

typedef int32_t lanes_index __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

/* mask ? a : b */
static inline lanes_i choose(lanes_i mask, lanes_i a, lanes_i b)
{
    return (mask & a) | (~mask & b);
}

static void argmax_lanes(const struct cpu_window_place *p, const float *plane, int32_t *out)
{
    lanes best = (lanes){0} - INFINITY;
    lanes_i index = (lanes_i){0} + (int32_t)(p->y0 * p->w + p->x0);
    for (int64_t y = p->y0; y < p->y1; y++)
        for (int64_t x = p->x0; x < p->x1; x++) {
            int64_t at = y * p->w + x;
            lanes value = lanes_at(plane + at * p->inner);
            lanes_i better = (value > best) | ((value != value) & (best == best));
            best = (lanes)choose(better, (lanes_i)value, (lanes_i)best);
            index = choose(better, (lanes_i){0} + (int32_t)at, index);
        }
    *(lanes_index *)(void *)out = index;
}

static void argmax_one(const struct cpu_window_place *p, const float *plane, int32_t *out)
{
    float best = -INFINITY;
    int64_t index = p->y0 * p->w + p->x0;
    for (int64_t y = p->y0; y < p->y1; y++)
        for (int64_t x = p->x0; x < p->x1; x++) {
            float value = plane[(y * p->w + x) * p->inner];
            bool better = value > best || (value != value && best == best);
            best = better ? value : best;
            index = better ? y * p->w + x : index;
        }
    *out = (int32_t)index;
}

void SIMD(cpu_simd_argmax)(const struct cpu_window_place *p, const float *plane, int32_t *out)
{
    int64_t i = 0;
    for (; i + LANES <= p->inner; i += LANES)
        argmax_lanes(p, plane + i, out + i);
    for (; i < p->inner; i++)
        argmax_one(p, plane + i, out + i);
}
