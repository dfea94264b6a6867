/* Choice of the instruction set. */
#include "backends/cpu/simd.h"

static const struct cpu_simd baseline = {"baseline", &cpu_simd_loop_base};

#ifdef CPU_HAVE_X86
static const struct cpu_simd avx2 = {"avx2", &cpu_simd_loop_v3};
static const struct cpu_simd avx512 = {"avx512", &cpu_simd_loop_v4};

const struct cpu_simd *cpu_simd_best(void)
{
    __builtin_cpu_init();
    bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
    bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
              __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    return v4 ? &avx512 : v3 ? &avx2 : &baseline;
}
#else
const struct cpu_simd *cpu_simd_best(void)
{
    return &baseline;
}
#endif
