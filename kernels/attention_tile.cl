/*
 * Attention for processors without the score matrix (Dao et al. 2022): a
 * work-item keeps 32 rows of one side (queries, or keys for d_k and d_v) in
 * vector lanes, transposed in local memory, and meets the other side in packed
 * blocks of 14 rows: 28 vectors of scores in registers at a time.
 *
 * Packed: [batch][block of 14 rows][column][row of the block], zeros at the end.
 *
 * FORWARD, a running maximum m and sum l per lane, o rescaled by exp(m - m').
 * GRADIENT recomputes p = exp(s - log_sum_exp); with delta = sum d_out out,
 * d_s = scale p (d_out v^T - delta), d_q = d_s k, d_k = d_s^T q, d_v = p^T d_out.
 *
 * Work-item (block of 32 lanes, batch).
 */
#include "lib/tile.clh"

#define BLOCK 14
#define LANES 32

/* Work-item (block, batch): 14 rows of a [rows][columns] operand. */
KILN_TILE_KERNEL void attention_pack(__global const float *x, long x_offset, long x_batch,
                                     long x_row, long x_column, __global float *packed,
                                     long packed_offset, int rows, int columns)
{
    const int block = get_global_id(0), blocks = get_global_size(0);
    const long batch = get_global_id(1);
    const int count = min(rows - block * BLOCK, BLOCK);
    x += x_offset + batch * x_batch + (long)block * BLOCK * x_row;
    packed += packed_offset + (batch * blocks + block) * columns * BLOCK;
    for (int e = 0; e < columns; e++)
        for (int r = 0; r < BLOCK; r++)
            packed[e * BLOCK + r] = r < count ? x[r * x_row + e * x_column] : 0.0f;
}

/* delta[b,q] = sum over e of d_out[b,q,e] out[b,q,e]; work-item (batch). */
KILN_TILE_KERNEL void attention_delta(__global const float *d_out, long d_offset, long d_batch,
                                      long d_row, long d_column, __global const float *out,
                                      long out_offset, __global float *delta, long delta_offset,
                                      int n_q, int v_width)
{
    const long batch = get_global_id(0);
    d_out += d_offset + batch * d_batch;
    out += out_offset + batch * n_q * v_width;
    for (int i = 0; i < n_q; i++) {
        float sum = 0.0f;
        for (int e = 0; e < v_width; e++)
            sum = fma(d_out[i * d_row + e * d_column], out[(long)i * v_width + e], sum);
        delta[delta_offset + batch * n_q + i] = sum;
    }
}

/* 32 rows as [columns][32], zeros beyond the last. */
inline void kiln_lanes_in(__global const float *x, long x_row, long x_column, int count,
                          int columns, __local float *lanes)
{
    for (int e = 0; e < columns; e++)
        for (int i = 0; i < LANES; i++)
            lanes[e * LANES + i] = i < count ? x[i * x_row + e * x_column] : 0.0f;
}

/* [columns][32] to dense rows. */
inline void kiln_lanes_out(__local const float *lanes, __global float *x, int count, int columns)
{
    for (int i = 0; i < count; i++)
        for (int e = 0; e < columns; e++)
            x[(long)i * columns + e] = lanes[e * LANES + i];
}

inline void kiln_lanes_clear(__local float *lanes, int columns)
{
    for (int e = 0; e < columns * 2; e++)
        STORE16((float16)(0.0f), lanes + e * 16);
}

/* A [n] vector in lanes, `other` beyond its end. */
inline float16 kiln_load_lanes(__global const float *x, int count, float other)
{
    float lanes[16];
    for (int i = 0; i < 16; i++)
        lanes[i] = i < count ? x[i] : other;
    return vload16(0, lanes);
}

#define DECLARE(r) float16 x##r = 0.0f, y##r = 0.0f;
#define MULTIPLY(r)                                                                                \
    {                                                                                              \
        const float16 t = (float16)(w[r]);                                                         \
        x##r = fma(t, b0, x##r);                                                                   \
        y##r = fma(t, b1, y##r);                                                                   \
    }
/* x, y [14] = sum over columns of lanes[column] packed[column] */
#define CONTRACT(lanes, packed, columns)                                                           \
    {                                                                                              \
        __global const float *w = packed;                                                          \
        for (int e = 0; e < columns; e++, w += BLOCK) {                                            \
            const float16 b0 = LOAD16(lanes + e * LANES), b1 = LOAD16(lanes + e * LANES + 16);     \
            ROWS14(MULTIPLY)                                                                       \
        }                                                                                          \
    }

#define SPREAD(r)                                                                                  \
    {                                                                                              \
        const float16 t = (float16)(w[r]);                                                         \
        o0 = fma(t, x##r, o0);                                                                     \
        o1 = fma(t, y##r, o1);                                                                     \
    }
/* out[column] = out[column] (f0, f1) + sum over the block of x, y packed[column] */
#define ADD_SPREAD(out, packed, columns, f0, f1)                                                   \
    {                                                                                              \
        __global const float *w = packed;                                                          \
        for (int e = 0; e < columns; e++, w += BLOCK) {                                            \
            float16 o0 = LOAD16(out + e * LANES) f0, o1 = LOAD16(out + e * LANES + 16) f1;         \
            ROWS14(SPREAD)                                                                         \
            STORE16(o0, out + e * LANES);                                                          \
            STORE16(o1, out + e * LANES + 16);                                                     \
        }                                                                                          \
    }

#define MASK(r)                                                                                    \
    x##r = r < count ? scale * x##r : (float16)(-INFINITY);                                        \
    y##r = r < count ? scale * y##r : (float16)(-INFINITY);
#define LARGEST(r)                                                                                 \
    n0 = fmax(n0, x##r);                                                                           \
    n1 = fmax(n1, y##r);
#define WEIGH(r)                                                                                   \
    x##r = exp(x##r - n0);                                                                         \
    y##r = exp(y##r - n1);                                                                         \
    l0 += x##r;                                                                                    \
    l1 += y##r;

KILN_TILE_KERNEL void attention_tile(__global const float *q, long q_offset, long q_batch,
                                     long q_row, long q_column, __global const float *packed,
                                     long k_offset, long v_offset, __global float *out,
                                     long out_offset, __global float *log_sum_exp, long l_offset,
                                     int n_q, int n_k, int width, int v_width, float scale,
                                     __local float *lanes)
{
    const int first = (int)get_global_id(0) * LANES, lanes_used = min(n_q - first, LANES);
    const long batch = get_global_id(1);
    const int blocks = (n_k + BLOCK - 1) / BLOCK;
    __local float *query = lanes, *sums = lanes + width * LANES;
    kiln_lanes_in(q + q_offset + batch * q_batch + first * q_row, q_row, q_column, lanes_used, width,
                  query);
    kiln_lanes_clear(sums, v_width);
    float16 m0 = -INFINITY, m1 = -INFINITY, l0 = 0.0f, l1 = 0.0f;
    for (int block = 0; block < blocks; block++) {
        const int count = min(n_k - block * BLOCK, BLOCK);
        const long at = (batch * blocks + block) * BLOCK;
        ROWS14(DECLARE)
        CONTRACT(query, packed + k_offset + at * width, width)
        float16 n0 = m0, n1 = m1;
        ROWS14(MASK)
        ROWS14(LARGEST)
        const float16 f0 = exp(m0 - n0), f1 = exp(m1 - n1);
        m0 = n0;
        m1 = n1;
        l0 *= f0;
        l1 *= f1;
        ROWS14(WEIGH)
        ADD_SPREAD(sums, packed + v_offset + at * v_width, v_width, *f0, *f1)
    }
    for (int e = 0; e < v_width; e++) {
        STORE16(LOAD16(sums + e * LANES) / l0, sums + e * LANES);
        STORE16(LOAD16(sums + e * LANES + 16) / l1, sums + e * LANES + 16);
    }
    kiln_lanes_out(sums, out + out_offset + (batch * n_q + first) * v_width, lanes_used, v_width);
    __global float *l = log_sum_exp + l_offset + batch * n_q + first;
    kiln_store_part(m0 + log(l0), l, min(lanes_used, 16));
    if (lanes_used > 16)
        kiln_store_part(m1 + log(l1), l + 16, lanes_used - 16);
}

/* --- gradients -------------------------------------------------------------------- */

#define KEEP(r)                                                                                    \
    STORE16(x##r, kept + r * LANES);                                                               \
    STORE16(y##r, kept + r * LANES + 16);
#define CLEAR(r)                                                                                   \
    x##r = 0.0f;                                                                                   \
    y##r = 0.0f;
/* d_s from d_p in x, y and the kept p */
#define SCORE_GRADIENT(r, delta0, delta1)                                                          \
    x##r = scale * LOAD16(kept + r * LANES) * (x##r - (delta0));                                   \
    y##r = scale * LOAD16(kept + r * LANES + 16) * (y##r - (delta1));

/* keys beyond the last have p = 0 */
#define QUERY_P(r)                                                                                 \
    x##r = r < count ? exp(scale * x##r - l0) : (float16)(0.0f);                                   \
    y##r = r < count ? exp(scale * y##r - l1) : (float16)(0.0f);
#define QUERY_D_S(r) SCORE_GRADIENT(r, delta0, delta1)

KILN_TILE_KERNEL void attention_grad_q_tile(
    __global const float *q, long q_offset, long q_batch, long q_row, long q_column,
    __global const float *d_out, long d_offset, long d_batch, long d_row, long d_column,
    __global const float *log_sum_exp, long l_offset, __global const float *packed, long k_offset,
    long v_offset, long delta_offset, __global float *d_q, long d_q_offset, int n_q, int n_k,
    int width, int v_width, float scale, __local float *lanes)
{
    const int first = (int)get_global_id(0) * LANES, lanes_used = min(n_q - first, LANES);
    const long batch = get_global_id(1);
    const int blocks = (n_k + BLOCK - 1) / BLOCK, second = lanes_used - 16;
    __local float *query = lanes, *d_lanes = query + width * LANES;
    __local float *sums = d_lanes + v_width * LANES, *kept = sums + width * LANES;
    kiln_lanes_in(q + q_offset + batch * q_batch + first * q_row, q_row, q_column, lanes_used, width,
                  query);
    kiln_lanes_in(d_out + d_offset + batch * d_batch + first * d_row, d_row, d_column, lanes_used,
                  v_width, d_lanes);
    kiln_lanes_clear(sums, width);
    __global const float *l = log_sum_exp + l_offset + batch * n_q + first;
    __global const float *delta = packed + delta_offset + batch * n_q + first;
    const float16 l0 = kiln_load_lanes(l, lanes_used, 0.0f);
    const float16 l1 = kiln_load_lanes(l + 16, second, 0.0f);
    const float16 delta0 = kiln_load_lanes(delta, lanes_used, 0.0f);
    const float16 delta1 = kiln_load_lanes(delta + 16, second, 0.0f);
    for (int block = 0; block < blocks; block++) {
        const int count = min(n_k - block * BLOCK, BLOCK);
        const long at = (batch * blocks + block) * BLOCK;
        ROWS14(DECLARE)
        CONTRACT(query, packed + k_offset + at * width, width)
        ROWS14(QUERY_P)
        ROWS14(KEEP)
        ROWS14(CLEAR)
        CONTRACT(d_lanes, packed + v_offset + at * v_width, v_width)
        ROWS14(QUERY_D_S)
        ADD_SPREAD(sums, packed + k_offset + at * width, width, , )
    }
    kiln_lanes_out(sums, d_q + d_q_offset + (batch * n_q + first) * width, lanes_used, width);
}

/* queries beyond the last have p = 0 */
#define KEY_P(r)                                                                                   \
    x##r = r < count ? exp(scale * x##r - l[min(r, count - 1)]) : (float16)(0.0f);                 \
    y##r = r < count ? exp(scale * y##r - l[min(r, count - 1)]) : (float16)(0.0f);
#define KEY_D_S(r) SCORE_GRADIENT(r, delta[min(r, count - 1)], delta[min(r, count - 1)])

KILN_TILE_KERNEL void attention_grad_kv_tile(
    __global const float *k, long k_offset, long k_batch, long k_row, long k_column,
    __global const float *v, long v_offset, long v_batch, long v_row, long v_column,
    __global const float *log_sum_exp, long l_offset, __global const float *packed, long q_offset,
    long d_offset, long delta_offset, __global float *d_k, long d_k_offset, __global float *d_v,
    long d_v_offset, int n_q, int n_k, int width, int v_width, float scale, __local float *lanes)
{
    const int first = (int)get_global_id(0) * LANES, lanes_used = min(n_k - first, LANES);
    const long batch = get_global_id(1);
    const int blocks = (n_q + BLOCK - 1) / BLOCK;
    __local float *key = lanes, *value = key + width * LANES;
    __local float *key_sums = value + v_width * LANES, *value_sums = key_sums + width * LANES;
    __local float *kept = value_sums + v_width * LANES;
    kiln_lanes_in(k + k_offset + batch * k_batch + first * k_row, k_row, k_column, lanes_used, width,
                  key);
    kiln_lanes_in(v + v_offset + batch * v_batch + first * v_row, v_row, v_column, lanes_used,
                  v_width, value);
    kiln_lanes_clear(key_sums, width);
    kiln_lanes_clear(value_sums, v_width);
    for (int block = 0; block < blocks; block++) {
        const int count = min(n_q - block * BLOCK, BLOCK);
        const long at = (batch * blocks + block) * BLOCK;
        __global const float *l = log_sum_exp + l_offset + batch * n_q + block * BLOCK;
        __global const float *delta = packed + delta_offset + batch * n_q + block * BLOCK;
        ROWS14(DECLARE)
        CONTRACT(key, packed + q_offset + at * width, width)
        ROWS14(KEY_P)
        ROWS14(KEEP)
        ADD_SPREAD(value_sums, packed + d_offset + at * v_width, v_width, , )
        ROWS14(CLEAR)
        CONTRACT(value, packed + d_offset + at * v_width, v_width)
        ROWS14(KEY_D_S)
        ADD_SPREAD(key_sums, packed + q_offset + at * width, width, , )
    }
    kiln_lanes_out(key_sums, d_k + d_k_offset + (batch * n_k + first) * width, lanes_used, width);
    kiln_lanes_out(value_sums, d_v + d_v_offset + (batch * n_k + first) * v_width, lanes_used,
                   v_width);
}
