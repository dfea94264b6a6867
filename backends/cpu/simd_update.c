/* The optimiser step, one pass over the flat arenas. */
#include "backends/cpu/simd.h"

#include <math.h>

#if defined(__clang__)
#define INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define INDEPENDENT _Pragma("GCC ivdep")
#endif

/* 0 / 0 is 0, so that gaps stay zero also with an epsilon of 0. */
static inline float ratio(float a, float b)
{
    return a / (b == 0.0f ? 1.0f : b);
}

/* Clamps, stores and averages a new parameter. */
#define FINISH(with_ema)                                                                           \
    p = p < -clamp ? -clamp : p;                                                                   \
    p = p > clamp ? clamp : p;                                                                     \
    parameter[i] = p;                                                                              \
    if (with_ema)                                                                                  \
        ema[i] += ema_rate * (p - ema[i]);

/* A loop over n parameters: STEP makes p from p, g and the moments. */
#define UPDATE(name, with_ema, STEP)                                                               \
    static void name(const struct cpu_update *u, int64_t first, int64_t n)                         \
    {                                                                                              \
        float *parameter = u->parameter + first, *ema = u->ema + first;                            \
        float *moment1 = u->moment1 + first, *moment2 = u->moment2 + first;                        \
        const float *gradient = u->gradient + first;                                               \
        const float scale = u->scale, decay = u->decay, rate = u->rate, clamp = u->clamp;          \
        const float beta1 = u->beta1, beta2 = u->beta2, epsilon = u->epsilon;                      \
        const float rest1 = 1.0f - beta1, rest2 = 1.0f - beta2, shrink = u->shrink;                \
        const float correction = u->correction, ema_rate = u->ema_rate;                            \
        (void)moment1, (void)moment2, (void)beta1, (void)beta2, (void)epsilon, (void)rest1,        \
            (void)rest2;                                                                           \
        (void)correction, (void)ema, (void)ema_rate, (void)shrink, (void)decay;                    \
        INDEPENDENT for (int64_t i = 0; i < n; i++)                                                \
        {                                                                                          \
            float p = parameter[i], g = gradient[i] * scale;                                       \
            STEP FINISH(with_ema)                                                                  \
        }                                                                                          \
    }

#define SGD                                                                                        \
    g += decay * p;                                                                                \
    float m = beta1 * moment1[i] + g;                                                              \
    moment1[i] = m;                                                                                \
    p -= rate * m;

#define ADAM_MOMENTS                                                                               \
    float m = beta1 * moment1[i] + rest1 * g, v = beta2 * moment2[i] + rest2 * g * g;              \
    moment1[i] = m;                                                                                \
    moment2[i] = v;                                                                                \
    p -= rate * ratio(m, sqrtf(v * correction) + epsilon);

#define ADAM                                                                                       \
    g += decay * p;                                                                                \
    ADAM_MOMENTS

#define ADAMW                                                                                      \
    p *= shrink;                                                                                   \
    ADAM_MOMENTS

#define RMSPROP                                                                                    \
    g += decay * p;                                                                                \
    float v = beta2 * moment2[i] + rest2 * g * g;                                                  \
    moment2[i] = v;                                                                                \
    p -= rate * ratio(g, sqrtf(v) + epsilon);

UPDATE(sgd, false, SGD)
UPDATE(sgd_ema, true, SGD)
UPDATE(adam, false, ADAM)
UPDATE(adam_ema, true, ADAM)
UPDATE(adamw, false, ADAMW)
UPDATE(adamw_ema, true, ADAMW)
UPDATE(rmsprop, false, RMSPROP)
UPDATE(rmsprop_ema, true, RMSPROP)

cpu_update_fn *const SIMD(cpu_simd_update)[KILN_OPTIMIZER_COUNT][2] = {
    [KILN_OPTIMIZER_SGD] = {sgd, sgd_ema},
    [KILN_OPTIMIZER_ADAM] = {adam, adam_ema},
    [KILN_OPTIMIZER_ADAMW] = {adamw, adamw_ema},
    [KILN_OPTIMIZER_RMSPROP] = {rmsprop, rmsprop_ema},
};
