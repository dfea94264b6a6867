/* Convolutions between few and many channels, for 16 and 8 lanes. */
#include "backends/cpu/simd.h"
#include "backends/cpu/simd_lanes.h"

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

/* Tiles that fill the registers: 16 or 12 sums. */
#define SPREAD_PIXELS (LANES == 16 ? 8 : 4)
#define DOT_PIXELS_4  (LANES == 16 ? 4 : 2)

#define BLOCK       16
#define VECTOR      lanes_16
#define NAMED(name) name##_16
#include "backends/cpu/simd_edge_lanes.h"
#undef BLOCK
#undef VECTOR
#undef NAMED

#define BLOCK       8
#define VECTOR      lanes_8
#define NAMED(name) name##_8
#include "backends/cpu/simd_edge_lanes.h"

const struct cpu_simd_edge SIMD(cpu_simd_edge)[2] = {{spread_16, dot_16, outer_16},
                                                     {spread_8, dot_8, outer_8}};
