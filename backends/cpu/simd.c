/* Choice of the instruction set. */
#include "backends/cpu/simd.h"

#include <stdlib.h>
#include <string.h>

#define SET(name, set)                                                                             \
    {                                                                                              \
        name, &cpu_simd_loop_##set, cpu_simd_update_##set, cpu_simd_random_##set,                  \
            cpu_simd_edge_##set, cpu_simd_gemm_##set, cpu_simd_gemm_rows_##set,                    \
            &cpu_simd_attention_##set, cpu_simd_argmax_##set, cpu_simd_arithmetic_##set,           \
            &cpu_simd_winograd_##set, &cpu_simd_winograd_dilated_##set,                            \
            cpu_simd_winograd_phases_##set, &cpu_simd_winograd_weight_##set,                       \
            cpu_simd_winograd_phases_weight_##set                                                  \
    }

static const struct cpu_simd baseline = SET("baseline", base);

#ifdef CPU_HAVE_X86
static const struct cpu_simd avx2 = SET("avx2", v3);
static const struct cpu_simd avx512 = SET("avx512", v4);

const struct cpu_simd *cpu_simd_best(void)
{
    const char *limit = getenv("KILN_CPU_SIMD");
    bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
              __builtin_cpu_supports("bmi2");
    bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
              __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    v3 = v3 && !(limit && !strcmp(limit, "baseline"));
    v4 = v4 && v3 && !(limit && !strcmp(limit, "avx2"));
    return v4 ? &avx512 : v3 ? &avx2 : &baseline;
}
#else
const struct cpu_simd *cpu_simd_best(void)
{
    return &baseline;
}
#endif
