/* Conversions between storage types and f32, written without branches so that
 * loops over them vectorise. */
#ifndef KILN_CPU_CONVERT_H
#define KILN_CPU_CONVERT_H

#include <stdint.h>
#include <string.h>

static inline uint32_t cpu_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float cpu_float(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* IEEE 754 binary16 to binary32; exact, also for subnormals (which are normal
 * in f32). */
static inline float cpu_half_to_float(uint16_t half)
{
    uint32_t magnitude = half & 0x7fffu, sign = (uint32_t)(half & 0x8000u) << 16;
    uint32_t normal = (magnitude << 13) + 0x38000000u;          /* exponent bias 15 -> 127 */
    uint32_t special = (magnitude << 13) + 0x70000000u;         /* inf, nan */
    /* a subnormal is its integer times 2^-24 */
    uint32_t tiny = cpu_bits((float)(int32_t)magnitude * 0x1p-24f);
    uint32_t bits = magnitude < 0x0400u ? tiny : magnitude >= 0x7c00u ? special : normal;
    return cpu_float(bits | sign);
}

/* Rounds to nearest even; overflow gives infinity. */
static inline uint16_t cpu_float_to_half(float x)
{
    uint32_t bits = cpu_bits(x), sign = (bits >> 16) & 0x8000u, magnitude = bits & 0x7fffffffu;
    /* normal: drop 13 bits, half to even; a carry runs into the exponent as it should */
    uint32_t normal = (magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
    /* below 2^-14: adding 1/2 leaves the rounded multiple of 2^-24 in the low bits */
    uint32_t tiny = cpu_bits(cpu_float(magnitude) + 0.5f) - 0x3f000000u;
    uint32_t special = magnitude > 0x7f800000u ? 0x7e00u : 0x7c00u;
    uint32_t half = magnitude < 0x38800000u ? tiny : magnitude >= 0x477ff000u ? special : normal;
    return (uint16_t)(half | sign);
}

/* Half away from zero, clamped; not-a-number gives 0. */
static inline uint8_t cpu_float_to_u8(float x)
{
    float clamped = x > 0.0f ? x : 0.0f;
    clamped = clamped < 255.0f ? clamped : 255.0f;
    int32_t whole = (int32_t)clamped;
    whole += clamped - (float)whole >= 0.5f;
    return (uint8_t)whole;
}

/* Toward zero, clamped; not-a-number gives 0. */
static inline int32_t cpu_float_to_i32(float x)
{
    float low = x >= -2147483648.0f ? x : x != x ? 0.0f : -2147483648.0f;
    int32_t value = (int32_t)(low < 2147483648.0f ? low : 0.0f);
    return low < 2147483648.0f ? value : INT32_MAX;
}

#endif
