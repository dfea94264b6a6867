/*
 * Transposing: squares of LANES x LANES elements in registers, by exchanging
 * halves of growing blocks between pairs of rows (Eklundh 1972).
 */
#ifndef KILN_CPU_SIMD_TRANSPOSE_H
#define KILN_CPU_SIMD_TRANSPOSE_H

#include "backends/cpu/simd_lanes.h"

/* Pairs exchange blocks of 1, 2, 4, ...: the first vector keeps its even
 * blocks and takes the other's, and the reverse. */
#if LANES == 16
#define BLEND_1(a, b)                                                                              \
    __builtin_shufflevector(a, b, 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30)
#define BLEND_1H(a, b)                                                                             \
    __builtin_shufflevector(a, b, 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31)
#define BLEND_2(a, b)                                                                              \
    __builtin_shufflevector(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29)
#define BLEND_2H(a, b)                                                                             \
    __builtin_shufflevector(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31)
#define BLEND_4(a, b)                                                                              \
    __builtin_shufflevector(a, b, 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27)
#define BLEND_4H(a, b)                                                                             \
    __builtin_shufflevector(a, b, 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31)
#define BLEND_8(a, b)                                                                              \
    __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23)
#define BLEND_8H(a, b)                                                                             \
    __builtin_shufflevector(a, b, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31)
#elif LANES == 8
#define BLEND_1(a, b)  __builtin_shufflevector(a, b, 0, 8, 2, 10, 4, 12, 6, 14)
#define BLEND_1H(a, b) __builtin_shufflevector(a, b, 1, 9, 3, 11, 5, 13, 7, 15)
#define BLEND_2(a, b)  __builtin_shufflevector(a, b, 0, 1, 8, 9, 4, 5, 12, 13)
#define BLEND_2H(a, b) __builtin_shufflevector(a, b, 2, 3, 10, 11, 6, 7, 14, 15)
#define BLEND_4(a, b)  __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11)
#define BLEND_4H(a, b) __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15)
#else
#define BLEND_1(a, b)  __builtin_shufflevector(a, b, 0, 4, 2, 6)
#define BLEND_1H(a, b) __builtin_shufflevector(a, b, 1, 5, 3, 7)
#define BLEND_2(a, b)  __builtin_shufflevector(a, b, 0, 1, 4, 5)
#define BLEND_2H(a, b) __builtin_shufflevector(a, b, 2, 3, 6, 7)
#endif

/* The pairs i, i + block of one stage. */
#define STAGE(v, block, low, high)                                                                 \
    for (int i = 0; i < LANES; i++)                                                                \
        if (!(i & (block))) {                                                                      \
            lanes a = (v)[i], b = (v)[i + (block)];                                                \
            (v)[i] = low(a, b);                                                                    \
            (v)[i + (block)] = high(a, b);                                                         \
        }

/* v[c][r] = v[r][c] */
static inline void transpose_lanes(lanes v[LANES])
{
    STAGE(v, 1, BLEND_1, BLEND_1H)
    STAGE(v, 2, BLEND_2, BLEND_2H)
#if LANES >= 8
    STAGE(v, 4, BLEND_4, BLEND_4H)
#endif
#if LANES >= 16
    STAGE(v, 8, BLEND_8, BLEND_8H)
#endif
}

/* out[c][r] = in[r][c] for one square; rows in_stride and out_stride apart. */
static inline void transpose_square(float *out, int64_t out_stride, const float *in,
                                    int64_t in_stride)
{
    lanes v[LANES];
    for (int i = 0; i < LANES; i++)
        v[i] = lanes_at(in + i * in_stride);
    transpose_lanes(v);
    for (int i = 0; i < LANES; i++)
        lanes_put(out + i * out_stride, v[i]);
}

/* out[c][r] = in[r][c], any sizes. */
static inline void transpose(float *out, int64_t out_stride, const float *in, int64_t in_stride,
                             int64_t rows, int64_t columns)
{
    int64_t whole_rows = rows / LANES * LANES, whole_columns = columns / LANES * LANES;
    for (int64_t r = 0; r < whole_rows; r += LANES)
        for (int64_t c = 0; c < whole_columns; c += LANES)
            transpose_square(out + c * out_stride + r, out_stride, in + r * in_stride + c,
                             in_stride);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = r < whole_rows ? whole_columns : 0; c < columns; c++)
            out[c * out_stride + r] = in[r * in_stride + c];
}

#endif
