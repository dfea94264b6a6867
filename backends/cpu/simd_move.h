/* Moving rows between memory and registers, and reducing them. */
#ifndef KILN_CPU_SIMD_MOVE_H
#define KILN_CPU_SIMD_MOVE_H

#include "backends/cpu/simd.h"

#define SIMD_MOVE_DECLARE(kind)                                                                    \
    void SIMD(cpu_load_##kind)(void *, const void *, int64_t, int64_t, int64_t, int64_t);          \
    void SIMD(cpu_store_##kind)(void *, const void *, int64_t, int64_t, int64_t, int64_t);

SIMD_MOVE_DECLARE(move)
SIMD_MOVE_DECLARE(plain_move)
SIMD_MOVE_DECLARE(u8_f32)
SIMD_MOVE_DECLARE(u8_i32)
SIMD_MOVE_DECLARE(f16_f32)
SIMD_MOVE_DECLARE(i32_f32)
SIMD_MOVE_DECLARE(f32_i32)
SIMD_MOVE_DECLARE(f32_u8)
SIMD_MOVE_DECLARE(i32_u8)
SIMD_MOVE_DECLARE(f32_f16)

#define SIMD_MOVE_LOADS                                                                            \
    {                                                                                              \
        [CPU_MOVE] = SIMD(cpu_load_move), [CPU_U8_F32] = SIMD(cpu_load_u8_f32),                    \
        [CPU_U8_I32] = SIMD(cpu_load_u8_i32), [CPU_F16_F32] = SIMD(cpu_load_f16_f32),              \
        [CPU_I32_F32] = SIMD(cpu_load_i32_f32), [CPU_F32_I32] = SIMD(cpu_load_f32_i32)             \
    }
#define SIMD_MOVE_STORES                                                                           \
    {                                                                                              \
        [CPU_MOVE] = SIMD(cpu_store_move), [CPU_I32_F32] = SIMD(cpu_store_i32_f32),                \
        [CPU_F32_I32] = SIMD(cpu_store_f32_i32), [CPU_F32_U8] = SIMD(cpu_store_f32_u8),            \
        [CPU_I32_U8] = SIMD(cpu_store_i32_u8), [CPU_F32_F16] = SIMD(cpu_store_f32_f16)             \
    }

void SIMD(cpu_simd_sum)(double *acc, const float *values, int64_t u, int64_t r, int64_t w);
void SIMD(cpu_simd_max)(float *acc, const float *values, int64_t u, int64_t r, int64_t w);

#endif
