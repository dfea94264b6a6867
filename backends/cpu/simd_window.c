/* The argmax of pooling windows, vectors over neighbouring channels. */
#include "backends/cpu/simd.h"

#include <math.h>
#include <string.h>

#include "backends/cpu/simd_lanes.h"

enum { NEIGHBOURS = 4 };

typedef int32_t lanes_index __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

/* mask ? a : b */
static inline lanes_i choose(lanes_i mask, lanes_i a, lanes_i b)
{
    return (mask & a) | (~mask & b);
}

static bool any_lane(lanes_i mask)
{
    int32_t any = 0;
    for (int i = 0; i < LANES; i++)
        any |= mask[i];
    return any != 0;
}

/* n windows beside each other at once: each waits for its own comparisons. */
__attribute__((always_inline)) static inline void
argmax_lanes(const struct cpu_window_place *p, const float *plane, int32_t *out, int n)
{
    lanes best[NEIGHBOURS];
    lanes_i index[NEIGHBOURS], unordered = {0};
    for (int k = 0; k < n; k++) {
        best[k] = (lanes){0} - INFINITY;
        index[k] = (lanes_i){0} + (int32_t)(p->y0 * p->w + p->x0 + k * p->stride);
    }
    for (int64_t y = p->y0; y < p->y1; y++)
        for (int64_t x = p->x0; x < p->x1; x++)
            for (int k = 0; k < n; k++) {
                int64_t at = y * p->w + x + k * p->stride;
                lanes value = lanes_at(plane + at * p->inner);
                lanes_i better = value > best[k];
                best[k] = (lanes)choose(better, (lanes_i)value, (lanes_i)best[k]);
                index[k] = choose(better, (lanes_i){0} + (int32_t)at, index[k]);
                unordered |= value != value;
            }
    if (any_lane(unordered)) /* once more, backwards: the first of them stays */
        for (int64_t y = p->y1 - 1; y >= p->y0; y--)
            for (int64_t x = p->x1 - 1; x >= p->x0; x--)
                for (int k = 0; k < n; k++) {
                    int64_t at = y * p->w + x + k * p->stride;
                    lanes value = lanes_at(plane + at * p->inner);
                    index[k] = choose(value != value, (lanes_i){0} + (int32_t)at, index[k]);
                }
    for (int k = 0; k < n; k++)
        *(lanes_index *)(void *)(out + k * p->inner) = index[k];
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

static void argmax_window(const struct cpu_window_place *p, const float *plane, int32_t *out)
{
    int64_t i = 0;
    for (; i + LANES <= p->inner; i += LANES)
        argmax_lanes(p, plane + i, out + i, 1);
    for (; i < p->inner; i++)
        argmax_one(p, plane + i, out + i);
}

void SIMD(cpu_simd_argmax)(const struct cpu_window_place *p, const float *plane, int32_t *out)
{
    struct cpu_window_place rest = *p;
    if (p->inner % LANES == 0)
        for (; rest.n >= NEIGHBOURS; rest.n -= NEIGHBOURS) {
            for (int64_t i = 0; i < p->inner; i += LANES)
                argmax_lanes(&rest, plane + i, out + i, NEIGHBOURS);
            out += NEIGHBOURS * p->inner;
            rest.x0 += NEIGHBOURS * p->stride;
            rest.x1 += NEIGHBOURS * p->stride;
        }
    for (; rest.n > 0; rest.n--) {
        argmax_window(&rest, plane, out);
        out += p->inner;
        rest.x0 += p->stride;
        rest.x1 += p->stride;
    }
}
