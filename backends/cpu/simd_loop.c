/* Elementwise kernels of the loop executor. */
#include "backends/cpu/simd.h"
#include "backends/cpu/simd_math.h"
#include "backends/cpu/simd_move.h"

/* Operands may equal the output, never overlap it otherwise. */
#if defined(__clang__)
#define INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#define ROLLED
#else
#define INDEPENDENT _Pragma("GCC ivdep")
#define ROLLED      _Pragma("GCC unroll 1")
#endif

#define UNARY(name, in, out_type, expression)                                                      \
    static void name(void *out, const void *a, const void *b, const void *c, int64_t n)            \
    {                                                                                              \
        out_type *y = out;                                                                         \
        const in *p = a;                                                                           \
        (void)b;                                                                                   \
        (void)c;                                                                                   \
        INDEPENDENT for (int64_t i = 0; i < n; i++)                                                \
        {                                                                                          \
            in x = p[i];                                                                           \
            y[i] = (expression);                                                                   \
        }                                                                                          \
    }

/* The body for every element i + j, by blocks of a short operand's length. Rolled: the vectors are
 * to go along a block, not across blocks, and one load a step is what prefetchers follow best. */
#define BLOCKS(...)                                                                                \
    int64_t i = 0;                                                                                 \
    for (; i + CPU_SHORT <= n; i += CPU_SHORT) {                                                   \
        INDEPENDENT ROLLED for (int64_t j = 0; j < CPU_SHORT; j++)                                 \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }                                                                                              \
    for (int64_t j = 0; i + j < n; j++) {                                                          \
        __VA_ARGS__                                                                                \
    }

/* An operand LONG or SHORT: nothing is stored to a short one meanwhile, so that it stays in a
 * register. */
#define LONG_QUALIFIER
#define LONG_AT         i + j
#define SHORT_QUALIFIER restrict
#define SHORT_AT        j

/* The three variants of a binary op of u and v. */
#define BINARY_VARIANT(name, in, out_type, A, B, expression)                                       \
    static void name(void *out, const void *A##_QUALIFIER a, const void *B##_QUALIFIER b,          \
                     const void *c, int64_t n)                                                     \
    {                                                                                              \
        out_type *y = out;                                                                         \
        const in *p = a;                                                                           \
        const in *q = b;                                                                           \
        (void)c;                                                                                   \
        BLOCKS(in u = p[A##_AT], v = q[B##_AT]; y[i + j] = (expression);)                          \
    }
#define BINARY(name, in, out_type, expression)                                                     \
    BINARY_VARIANT(name##_vv, in, out_type, LONG, LONG, expression)                                \
    BINARY_VARIANT(name##_vs, in, out_type, LONG, SHORT, expression)                               \
    BINARY_VARIANT(name##_sv, in, out_type, SHORT, LONG, expression)

/* A ternary op of u, v, w, the first LONG. */
#define TERNARY_VARIANT(name, in, rest, B, C, expression)                                          \
    static void name(void *out, const void *a, const void *B##_QUALIFIER b,                        \
                     const void *C##_QUALIFIER c, int64_t n)                                       \
    {                                                                                              \
        rest *y = out;                                                                             \
        const in *p = a;                                                                           \
        const rest *q = b;                                                                         \
        const rest *r = c;                                                                         \
        BLOCKS(in u = p[i + j]; rest v = q[B##_AT], w = r[C##_AT]; y[i + j] = (expression);)       \
    }
#define TERNARY(name, in, rest, expression)                                                        \
    TERNARY_VARIANT(name##_vv, in, rest, LONG, LONG, expression)                                   \
    TERNARY_VARIANT(name##_vs, in, rest, LONG, SHORT, expression)                                  \
    TERNARY_VARIANT(name##_sv, in, rest, SHORT, LONG, expression)                                  \
    TERNARY_VARIANT(name##_ss, in, rest, SHORT, SHORT, expression)

UNARY(neg, float, float, -x)
UNARY(absolute, float, float, fabsf(x))
UNARY(exponential, float, float, simd_exp(x))
UNARY(exponential_m1, float, float, simd_expm1(x))
UNARY(logarithm, float, float, simd_log(x))
UNARY(logarithm_1p, float, float, simd_log1p(x))
UNARY(root, float, float, sqrtf(x))
UNARY(hyperbolic_tangent, float, float, simd_tanh(x))
UNARY(error_function, float, float, simd_erf(x))
UNARY(logistic, float, float, simd_sigmoid(x))
UNARY(round_down, float, float, floorf(x))
UNARY(small_sine, float, float, simd_sin_quarters(x, 0))
UNARY(small_cosine, float, float, simd_sin_quarters(x, 1))
BINARY(add, float, float, u + v)
BINARY(sub, float, float, u - v)
BINARY(mul, float, float, u *v)
BINARY(divide, float, float, u / v)
BINARY(power, float, float, simd_pow(u, v))
BINARY(larger, float, float, u >= v || u != u ? u : v)
BINARY(smaller, float, float, u <= v || u != u ? u : v)
BINARY(less, float, float, u < v ? 1.0f : 0.0f)
BINARY(less_equal, float, float, u <= v ? 1.0f : 0.0f)
BINARY(equal, float, float, u == v ? 1.0f : 0.0f)

#define WRAP(x) ((int32_t)(x))
UNARY(neg_i, int32_t, int32_t, WRAP(0u - (uint32_t)x))
UNARY(absolute_i, int32_t, int32_t, x < 0 ? WRAP(0u - (uint32_t)x) : x)
BINARY(add_i, int32_t, int32_t, WRAP((uint32_t)u + (uint32_t)v))
BINARY(sub_i, int32_t, int32_t, WRAP((uint32_t)u - (uint32_t)v))
BINARY(mul_i, int32_t, int32_t, WRAP((uint32_t)u *(uint32_t)v))
BINARY(larger_i, int32_t, int32_t, u > v ? u : v)
BINARY(smaller_i, int32_t, int32_t, u < v ? u : v)
BINARY(less_i, int32_t, float, u < v ? 1.0f : 0.0f)
BINARY(less_equal_i, int32_t, float, u <= v ? 1.0f : 0.0f)
BINARY(equal_i, int32_t, float, u == v ? 1.0f : 0.0f)

TERNARY(choose_f, float, int32_t, u != 0.0f ? v : w)
TERNARY(choose_i, int32_t, int32_t, u != 0 ? v : w)
UNARY(to_i32, float, int32_t, cpu_float_to_i32(x))
UNARY(to_f32, int32_t, float, (float)x)
UNARY(copy, int32_t, int32_t, x)

/* Chains: t = a inner b, then t outer c. */
#define CHAIN_VARIANT(name, A, B, C, inner, outer)                                                 \
    static void name(void *out, const void *A##_QUALIFIER a, const void *B##_QUALIFIER b,          \
                     const void *C##_QUALIFIER c, int64_t n)                                       \
    {                                                                                              \
        float *y = out;                                                                            \
        const float *p = a;                                                                        \
        const float *q = b;                                                                        \
        const float *r = c;                                                                        \
        BLOCKS(float u = p[A##_AT], v = q[B##_AT], w = r[C##_AT], t = (inner);                     \
               y[i + j] = (outer);)                                                                \
    }
#define CHAIN(name, inner, outer)                                                                  \
    CHAIN_VARIANT(name##_vvv, LONG, LONG, LONG, inner, outer)                                      \
    CHAIN_VARIANT(name##_vvs, LONG, LONG, SHORT, inner, outer)                                     \
    CHAIN_VARIANT(name##_vsv, LONG, SHORT, LONG, inner, outer)                                     \
    CHAIN_VARIANT(name##_vss, LONG, SHORT, SHORT, inner, outer)                                    \
    CHAIN_VARIANT(name##_svv, SHORT, LONG, LONG, inner, outer)                                     \
    CHAIN_VARIANT(name##_svs, SHORT, LONG, SHORT, inner, outer)
#define CHAINS(name, inner)                                                                        \
    CHAIN(name##_add, inner, t + w)                                                                \
    CHAIN(name##_sub, inner, t - w)                                                                \
    CHAIN(name##_mul, inner, t *w)                                                                 \
    CHAIN(name##_rsub, inner, w - t)

CHAINS(add, u + v)
CHAINS(sub, u - v)
CHAINS(mul, u *v)

static void repeat(void *out, const void *a, const void *b, const void *c, int64_t n)
{
    int32_t *y = out;
    const int32_t *p = a;
    (void)b;
    (void)c;
    BLOCKS(y[i + j] = p[j];)
}

/* True if all arguments are small enough for the vector form. */
static bool all_small(const float *x, int64_t n)
{
    int large = 0;
    for (int64_t i = 0; i < n; i++)
        large |= !(fabsf(x[i]) <= SIMD_ANGLE_LIMIT);
    return !large;
}

static void sine(void *out, const void *a, const void *b, const void *c, int64_t n)
{
    if (all_small(a, n))
        small_sine(out, a, b, c, n);
    else
        for (int64_t i = 0; i < n; i++)
            ((float *)out)[i] = sinf(((const float *)a)[i]);
}

static void cosine(void *out, const void *a, const void *b, const void *c, int64_t n)
{
    if (all_small(a, n))
        small_cosine(out, a, b, c, n);
    else
        for (int64_t i = 0; i < n; i++)
            ((float *)out)[i] = cosf(((const float *)a)[i]);
}

#define CHAIN_ROW(name)                                                                            \
    {                                                                                              \
        name##_vvv, name##_vvs, name##_vsv, name##_vss, name##_svv, name##_svs                     \
    }
#define CHAIN_ROWS(name)                                                                           \
    {                                                                                              \
        CHAIN_ROW(name##_add), CHAIN_ROW(name##_sub), CHAIN_ROW(name##_mul),                       \
            CHAIN_ROW(name##_rsub)                                                                 \
    }
#define BINARY_ROW(name)                                                                           \
    {                                                                                              \
        name##_vv, name##_vs, name##_sv                                                            \
    }
#define TERNARY_ROW(name)                                                                          \
    {                                                                                              \
        name##_vv, name##_vs, name##_sv, name##_ss                                                 \
    }

const struct cpu_simd_loop SIMD(cpu_simd_loop) = {
    .f32 =
        {
            [KILN_OP_NEG] = {neg},
            [KILN_OP_ABS] = {absolute},
            [KILN_OP_EXP] = {exponential},
            [KILN_OP_EXPM1] = {exponential_m1},
            [KILN_OP_LOG] = {logarithm},
            [KILN_OP_LOG1P] = {logarithm_1p},
            [KILN_OP_SQRT] = {root},
            [KILN_OP_SIN] = {sine},
            [KILN_OP_COS] = {cosine},
            [KILN_OP_TANH] = {hyperbolic_tangent},
            [KILN_OP_ERF] = {error_function},
            [KILN_OP_SIGMOID] = {logistic},
            [KILN_OP_FLOOR] = {round_down},
            [KILN_OP_ADD] = BINARY_ROW(add),
            [KILN_OP_SUB] = BINARY_ROW(sub),
            [KILN_OP_MUL] = BINARY_ROW(mul),
            [KILN_OP_DIV] = BINARY_ROW(divide),
            [KILN_OP_POW] = BINARY_ROW(power),
            [KILN_OP_MAX] = BINARY_ROW(larger),
            [KILN_OP_MIN] = BINARY_ROW(smaller),
            [KILN_OP_LESS] = BINARY_ROW(less),
            [KILN_OP_LESS_EQUAL] = BINARY_ROW(less_equal),
            [KILN_OP_EQUAL] = BINARY_ROW(equal),
        },
    .i32 =
        {
            [KILN_OP_NEG] = {neg_i},
            [KILN_OP_ABS] = {absolute_i},
            [KILN_OP_ADD] = BINARY_ROW(add_i),
            [KILN_OP_SUB] = BINARY_ROW(sub_i),
            [KILN_OP_MUL] = BINARY_ROW(mul_i),
            [KILN_OP_MAX] = BINARY_ROW(larger_i),
            [KILN_OP_MIN] = BINARY_ROW(smaller_i),
            [KILN_OP_LESS] = BINARY_ROW(less_i),
            [KILN_OP_LESS_EQUAL] = BINARY_ROW(less_equal_i),
            [KILN_OP_EQUAL] = BINARY_ROW(equal_i),
        },
    .chain = {CHAIN_ROWS(add), CHAIN_ROWS(sub), CHAIN_ROWS(mul)},
    .select_f32 = TERNARY_ROW(choose_f),
    .select_i32 = TERNARY_ROW(choose_i),
    .cast_f32_i32 = to_i32,
    .cast_i32_f32 = to_f32,
    .copy = copy,
    .repeat = repeat,
    .load = SIMD_MOVE_LOADS,
    .store = SIMD_MOVE_STORES,
    .sum = SIMD(cpu_simd_sum),
    .max = SIMD(cpu_simd_max),
};
