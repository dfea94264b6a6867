/* Panels of an operand of a matrix product, [k][width], from rows along k. */
#ifndef KILN_CPU_SIMD_PACK_H
#define KILN_CPU_SIMD_PACK_H

#include "backends/cpu/simd_transpose.h"

/* out[p][i] = in[i][p] for n <= LANES rows of which LANES columns are read; rows
 * of out are width apart, a multiple of LANES or less than LANES: then each is
 * stored whole, and the next one overwrites what is too much. */
static inline void pack_square(float *out, int width, const float *in, int64_t stride, int n)
{
    lanes v[LANES];
    for (int i = 0; i < LANES; i++)
        v[i] = i < n ? lanes_at(in + i * stride) : (lanes){0};
    transpose_lanes(v);
    for (int i = 0; i < LANES; i++)
        lanes_put(out + i * width, v[i]);
}

/* One panel [k][width] of n <= width rows with unit columns. */
static inline void pack_rows(float *out, int width, const float *in, int64_t stride, int n,
                             int64_t k)
{
    int64_t p = 0;
    for (; p + LANES <= k; p += LANES)
        for (int i = 0; i < width; i += LANES)
            pack_square(out + p * width + i, width, in + i * stride + p, stride, n - i);
    for (; p < k; p++)
        for (int i = 0; i < width; i++)
            out[p * width + i] = i < n ? in[i * stride + p] : 0;
}

#endif
