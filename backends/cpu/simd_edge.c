/* Convolutions between few and many channels, for 16 and 8 lanes. */
#include "backends/cpu/simd.h"

#include <string.h>

struct four {
    float x __attribute__((vector_size(16)));
};

static inline struct four four_at(const float *p)
{
    struct four v;
    memcpy(&v.x, p, sizeof v.x);
    return v;
}

#define LANES 16
#define VECTOR lanes_16
#define NAMED(name) name##_16
#include "backends/cpu/simd_edge_lanes.h"
#undef LANES
#undef VECTOR
#undef NAMED

#define LANES 8
#define VECTOR lanes_8
#define NAMED(name) name##_8
#include "backends/cpu/simd_edge_lanes.h"

const struct cpu_simd_edge SIMD(cpu_simd_edge)[2] = {{spread_16, dot_16, outer_16}, {spread_8, dot_8, outer_8}};
