/*
 * Elementary functions in f32 without branches, so that loops over them
 * vectorise. Errors are below 4 units in the last place; infinities, zeros and
 * not-a-numbers come out as in C. Denormal arguments and results may be
 * flushed to zero. Polynomials are near-minimax fits on the reduced range.
 */
#ifndef KILN_CPU_SIMD_MATH_H
#define KILN_CPU_SIMD_MATH_H

#include "backends/cpu/convert.h"

#include <math.h>

/* Adding it rounds to an integer, which is then in the low bits. */
#define ROUNDING 12582912.0f /* 1.5 2^23 */
#define LOG2_E   1.44269504088896341f
#define LN2_HIGH 0.693359375f /* 9 bits */
#define LN2_LOW  -2.12194440e-4f

/* x = n ln2 + r, |r| <= ln2 / 2; n is returned as integer */
static inline int32_t simd_reduce_exp(float x, float *r)
{
    float shifted = x * LOG2_E + ROUNDING;
    float n = shifted - ROUNDING;
    *r = (x - n * LN2_HIGH) - n * LN2_LOW;
    return (int32_t)(cpu_bits(shifted) - cpu_bits(ROUNDING));
}

/* (exp(r) - 1 - r) / r^2 */
static inline float simd_exp_tail(float r)
{
    float q = 1.3926926614e-03f;
    q = q * r + 8.3637738744e-03f;
    q = q * r + 4.1666550110e-02f;
    q = q * r + 1.6666573382e-01f;
    return q * r + 5.0000000000e-01f;
}

/* 2^n for -126 <= n <= 127 */
static inline float simd_power_of_2(int32_t n)
{
    return cpu_float((uint32_t)(n + 127) << 23);
}

static inline float simd_exp(float x)
{
    x = x < -104.0f ? -104.0f : x;
    x = x > 89.0f ? 89.0f : x;
    float r;
    int32_t n = simd_reduce_exp(x, &r), half = n >> 1;
    float p = (r * r) * simd_exp_tail(r) + r + 1.0f;
    /* in two factors, so that neither leaves the range of exponents */
    return p * simd_power_of_2(half) * simd_power_of_2(n - half);
}

static inline float simd_expm1(float x)
{
    float low = x < -18.0f ? -18.0f : x;
    low = low > 89.0f ? 89.0f : low;
    float r;
    int32_t n = simd_reduce_exp(low, &r);
    float p = (r * r) * simd_exp_tail(r) + r;
    float half = simd_power_of_2(n - 1); /* of 2^n, which may overflow */
    float y = (half * p + (half - 0.5f)) * 2.0f;
    return n == 0 ? p : y;
}

/* log(u) + c with the exponent and the remainder kept apart */
static inline float simd_log_plus(float u, float c)
{
    int32_t shifted = (int32_t)(cpu_bits(u) - 0x3f3504f3u); /* 0x3f3504f3 = sqrt(1/2) */
    float e = (float)(shifted >> 23);
    float f = cpu_float(((uint32_t)shifted & 0x7fffffu) + 0x3f3504f3u) - 1.0f;
    float q = 6.9716114715e-02f;
    q = q * f + -1.1479733847e-01f;
    q = q * f + 1.1685419923e-01f;
    q = q * f + -1.2425687331e-01f;
    q = q * f + 1.4249057646e-01f;
    q = q * f + -1.6667802320e-01f;
    q = q * f + 2.0000715749e-01f;
    q = q * f + -2.4999996958e-01f;
    q = q * f + 3.3333331180e-01f;
    float z = f * f;
    float tail = (z * f) * q + (e * LN2_LOW + c) - 0.5f * z;
    float y = e * LN2_HIGH + (f + tail);
    y = u == INFINITY ? INFINITY : y;
    y = u < 1.17549435e-38f ? -INFINITY : y; /* zero and denormals */
    return u < 0.0f || u != u ? NAN : y;
}

static inline float simd_log(float x)
{
    return simd_log_plus(x, 0.0f);
}

static inline float simd_log1p(float x)
{
    float u = 1.0f + x;
    float lost = x - (u - 1.0f); /* what rounding took from 1 + x */
    lost = u > 0.0f && u < INFINITY ? lost / u : 0.0f;
    float y = simd_log_plus(u, lost);
    return u == 1.0f ? x : y;
}

/* Beyond the limits 1 + exp(-x) is 1, or its inverse denormal; within them 2^n is one factor. */
static inline float simd_sigmoid(float x)
{
    float z = x > 87.0f ? -87.0f : -x;
    z = z > 88.0f ? 88.0f : z;
    float r;
    int32_t n = simd_reduce_exp(z, &r);
    float p = (r * r) * simd_exp_tail(r) + r + 1.0f;
    return 1.0f / (1.0f + p * simd_power_of_2(n));
}

static inline float simd_tanh(float x)
{
    float size = fabsf(x);
    float t = simd_expm1(2.0f * (size > 10.0f ? 10.0f : size));
    return copysignf(t / (t + 2.0f), x);
}

/* x + x E(x^2) near 0, 1 - exp(-G(|x|)) farther out */
static inline float simd_erf(float x)
{
    float size = fabsf(x), z = x * x;
    float e = -5.8765056321e-04f;
    e = e * z + 4.9707974566e-03f;
    e = e * z + -2.6751500350e-02f;
    e = e * z + 1.1281407304e-01f;
    e = e * z + -3.7612455977e-01f;
    e = e * z + 1.2837914420e-01f;
    float t = size > 4.0f ? 4.0f : size;
    float g = -1.6430636557e-06f;
    g = g * t + 4.6163858625e-05f;
    g = g * t + -5.9758577023e-04f;
    g = g * t + 4.7626258325e-03f;
    g = g * t + -2.6427637154e-02f;
    g = g * t + 1.1008716650e-01f;
    g = g * t + 6.3182391811e-01f;
    g = g * t + 1.1302310552e+00f;
    g = g * t + -3.1853966241e-04f;
    float far = copysignf(1.0f - simd_exp(-g), x);
    return size < 0.95f ? x + x * e : far;
}

/* Above this size of the argument of sine and cosine the reduction below
 * loses digits. */
#define SIMD_ANGLE_LIMIT 1e6f

/* Sine of x + quarters pi/2, |x| <= SIMD_ANGLE_LIMIT. */
static inline float simd_sin_quarters(float x, int32_t quarters)
{
    const double rounding = 6755399441055744.0; /* 1.5 2^52 */
    double n = ((double)x * 0.63661977236758134308 + rounding) - rounding;
    /* pi/2 in two parts, the first of 23 bits, so that n times it is exact */
    double rest = (double)x - n * 1.57079625129699707031;
    float r = (float)(rest - n * 7.54978995489188193899e-08);
    int32_t quarter = (int32_t)(float)n + quarters;
    float z = r * r;
    float s = 2.7243781409e-06f;
    s = s * z + -1.9840038873e-04f;
    s = s * z + 8.3333317852e-03f;
    s = s * z + -1.6666666664e-01f;
    s = (s * z) * r + r;
    float c = -2.7295830828e-07f;
    c = c * z + 2.4800560430e-05f;
    c = c * z + -1.3888887597e-03f;
    c = c * z + 4.1666666664e-02f;
    c = (c * z) * z - 0.5f * z + 1.0f;
    float y = quarter & 1 ? c : s;
    return quarter & 2 ? -y : y;
}

/* log |a| in f64 to about 2^-40; +-1e300 stands for infinity */
static inline double simd_log_wide(float size)
{
    int32_t shifted = (int32_t)(cpu_bits(size) - 0x3f3504f3u);
    double e = (double)(shifted >> 23);
    double m = (double)cpu_float(((uint32_t)shifted & 0x7fffffu) + 0x3f3504f3u);
    double f = (m - 1.0) / (m + 1.0), z = f * f;
    double q = 1.0 / 13.0;
    q = q * z + 1.0 / 11.0;
    q = q * z + 1.0 / 9.0;
    q = q * z + 1.0 / 7.0;
    q = q * z + 1.0 / 5.0;
    q = q * z + 1.0 / 3.0;
    q = q * z + 1.0;
    double y = e * 0.69314718055994530942 + 2.0 * f * q;
    y = size < 1.17549435e-38f ? -1e300 : y;
    return size == INFINITY ? 1e300 : y;
}

static inline float simd_pow(float a, float b)
{
    float size = fabsf(a);
    double t = (double)b * simd_log_wide(size);
    t = t < -200.0 ? -200.0 : t;
    t = t > 200.0 ? 200.0 : t;
    const double rounding = 6755399441055744.0;
    double nd = (t * 1.44269504088896340736 + rounding) - rounding;
    double r = t - nd * 0.69314718055994530942;
    double p = 1.0 / 362880.0;
    p = p * r + 1.0 / 40320.0;
    p = p * r + 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    p = p * r + 1.0;
    p = p * r + 1.0;
    /* a not-a-number t would be no integer: b, a or both are, and win below */
    int32_t n = (int32_t)(t == t ? (float)nd : 0.0f);
    n = n < -160 ? -160 : n;
    n = n > 160 ? 160 : n;
    int32_t third = n / 2;
    float y = (float)p * simd_power_of_2(third) * simd_power_of_2(n - third);
    float whole = floorf(b);
    float parity = whole - 2.0f * floorf(0.5f * whole);
    bool is_whole = whole == b, is_odd = is_whole && parity == 1.0f && fabsf(b) < 16777216.0f;
    y = a < 0.0f && !is_whole ? NAN : y;
    y = signbit(a) && is_odd ? -y : y;
    y = size == 1.0f && fabsf(b) == INFINITY ? 1.0f : y;
    y = a != a || b != b ? NAN : y;
    return a == 1.0f || b == 0.0f ? 1.0f : y;
}

#endif
