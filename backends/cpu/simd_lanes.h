/* The vector that the instruction set has registers for. Wider ones would be
 * taken apart by the compiler, element by element. */
#ifndef KILN_CPU_SIMD_LANES_H
#define KILN_CPU_SIMD_LANES_H

#include <stdint.h>

#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX2__)
#define LANES 8
#else
#define LANES 4
#endif

/* Any address that a float may have will do. */
typedef float lanes __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t lanes_i __attribute__((vector_size(4 * LANES)));

static inline lanes lanes_at(const float *p)
{
    return *(const lanes *)(const void *)p;
}

static inline void lanes_put(float *p, lanes x)
{
    *(lanes *)(void *)p = x;
}

#endif
