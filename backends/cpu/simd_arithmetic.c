/* Arithmetic alone, in registers: what the processor can do at most. */
#include "backends/cpu/simd.h"
#include "backends/cpu/simd_lanes.h"

/* Enough independent chains to hide a multiply-add's latency on two ports. */
enum { CHAINS = 12 };

int64_t SIMD(cpu_simd_arithmetic)(int64_t rounds, float *sink)
{
    lanes chain[CHAINS];
    lanes a = lanes_at(sink), b = a * 0.5f;
    for (int k = 0; k < CHAINS; k++)
        chain[k] = a + (float)k;
    for (int64_t i = 0; i < rounds; i++)
        for (int k = 0; k < CHAINS; k++)
            chain[k] = chain[k] * a + b;
    for (int k = 0; k < CHAINS; k++)
        b += chain[k];
    lanes_put(sink, b);
    return 2 * rounds * CHAINS * LANES;
}
