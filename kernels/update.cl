/*
 * One optimiser step over a flat arena (core/api/graph.h: kiln_hyper), in
 * place: SGD, Adam (Kingma & Ba 2015), AdamW (Loshchilov & Hutter 2019),
 * RMSProp; then the clamp and the moving average. norm is { gradient norm, 1
 * if finite }: with norm[1] = 0 nothing is written. Zeros stay zeros.
 *
 * KIND: 0 SGD, 1 Adam, 2 AdamW, 3 RMSProp. An item is a vector of 16, or the
 * rest at the end.
 */
#include "lib/items.clh"

#pragma OPENCL FP_CONTRACT OFF

#ifndef KIND
#define KIND 1
#endif
#ifndef EMA
#define EMA 1
#endif

enum {
    LEARNING_RATE,
    BETA1,
    BETA2,
    EPSILON,
    WEIGHT_DECAY,
    CORRECTION1,
    CORRECTION2,
    CLIP_NORM,
    EMA_DECAY,
    CLAMP,
    LOSS_SCALE
};

/* 0 / 0 is 0, so that gaps between parameters stay zero with an epsilon of 0. */
inline float16 kiln_ratio16(float16 a, float16 b)
{
    return select(a / b, (float16)(0.0f), b == 0.0f);
}

inline float kiln_ratio1(float a, float b)
{
    return b == 0.0f ? 0.0f : a / b;
}

#define UPDATE_BODY(TYPE, LOAD, STORE, RATIO)                                                      \
    {                                                                                              \
        TYPE p = LOAD(parameter);                                                                  \
        TYPE g = LOAD(gradient) * factor;                                                          \
        if (KIND != 2)                                                                             \
            g += hyper[WEIGHT_DECAY] * p;                                                          \
        if (KIND == 0) {                                                                           \
            const TYPE m = hyper[BETA1] * LOAD(moment1) + g;                                       \
            STORE(moment1, m);                                                                     \
            p -= hyper[LEARNING_RATE] * m;                                                         \
        } else if (KIND == 3) {                                                                    \
            const TYPE v = hyper[BETA2] * LOAD(moment2) + (1.0f - hyper[BETA2]) * g * g;           \
            STORE(moment2, v);                                                                     \
            p -= hyper[LEARNING_RATE] * RATIO(g, sqrt(v) + hyper[EPSILON]);                        \
        } else {                                                                                   \
            if (KIND == 2)                                                                         \
                p -= hyper[LEARNING_RATE] * hyper[WEIGHT_DECAY] * p;                               \
            const TYPE m = hyper[BETA1] * LOAD(moment1) + (1.0f - hyper[BETA1]) * g;               \
            const TYPE v = hyper[BETA2] * LOAD(moment2) + (1.0f - hyper[BETA2]) * g * g;           \
            STORE(moment1, m);                                                                     \
            STORE(moment2, v);                                                                     \
            p -= rate * RATIO(m, sqrt(v / hyper[CORRECTION2]) + hyper[EPSILON]);                   \
        }                                                                                          \
        if (hyper[CLAMP] > 0.0f)                                                                   \
            p = clamp(p, -hyper[CLAMP], hyper[CLAMP]);                                             \
        STORE(parameter, p);                                                                       \
        if (EMA) {                                                                                 \
            const TYPE average = LOAD(ema);                                                        \
            STORE(ema, average + (1.0f - hyper[EMA_DECAY]) * (p - average));                       \
        }                                                                                          \
    }

#define LOAD16(x) vload16(0, (x) + at)
#define STORE16(x, v) vstore16(v, 0, (x) + at)
#define LOAD1(x) ((x)[at])
#define STORE1(x, v) ((x)[at] = (v))

__kernel void update(__global float *parameter, long parameter_offset,
                     __global const float *gradient, long gradient_offset, __global float *moment1,
                     long moment1_offset, __global float *moment2, long moment2_offset,
                     __global float *ema, long ema_offset, __global const float *hyper,
                     long hyper_offset, __global const float *norm, long norm_offset, long count,
                     long n, long chunk)
{
    parameter += parameter_offset;
    gradient += gradient_offset;
    moment1 += moment1_offset;
    moment2 += moment2_offset;
    ema += ema_offset;
    hyper += hyper_offset;
    norm += norm_offset;
    if (norm[1] == 0.0f)
        return;
    /* torch.nn.utils.clip_grad_norm_ divides by norm + 1e-6 */
    const float clip = hyper[CLIP_NORM], length = norm[0] + 1e-6f;
    const float factor = (clip > 0.0f && length > clip ? clip / length : 1.0f) / hyper[LOSS_SCALE];
    const float rate = hyper[LEARNING_RATE] / hyper[CORRECTION1];
    KILN_ITEMS(item)
    {
        long at = item * 16;
        if (at + 16 <= count)
            UPDATE_BODY(float16, LOAD16, STORE16, kiln_ratio16)
        else
            for (; at < count; at++)
                UPDATE_BODY(float, LOAD1, STORE1, kiln_ratio1)
    }
}
