/*
 * out = softmax(scale q k^T) v and the log-sum-exp of each row of scores; the
 * score matrix is never stored. An item is one query (FORWARD, d_q) or one key
 * (d_k, d_v), which walks the other side in order, for every width.
 *
 * FORWARD takes two passes over the keys: the maximum, then sums. GRADIENT
 * recomputes p = exp(s - log_sum_exp); with delta = sum d_out out,
 * d_s = p (d_out v^T - delta), d_q = scale d_s k, d_k = scale d_s^T q,
 * d_v = p^T d_out (Dao et al. 2022).
 */
#include "lib/items.clh"

#define ROW(x, batch, i) ((x) + (batch) * x##_batch + (i) * x##_row)

inline float kiln_dot(__global const float *a, long a_column, __global const float *b,
                      long b_column, int n)
{
    float sum = 0.0f;
    for (int e = 0; e < n; e++)
        sum = fma(a[e * a_column], b[e * b_column], sum);
    return sum;
}

#define STRIDES(x) long x##_offset, long x##_batch, long x##_row, long x##_column

__kernel void attention_plain(__global const float *q, STRIDES(q), __global const float *k,
                              STRIDES(k), __global const float *v, STRIDES(v), __global float *out,
                              long out_offset, __global float *log_sum_exp, long l_offset, int n_q,
                              int n_k, int width, int v_width, float scale, long n, long chunk)
{
    q += q_offset;
    k += k_offset;
    v += v_offset;
    KILN_ITEMS(item)
    {
        const long batch = item / n_q;
        const int i = (int)(item % n_q);
        __global const float *query = ROW(q, batch, i);
        __global float *to = out + out_offset + item * v_width;
        float largest = -INFINITY, sum = 0.0f;
        for (int j = 0; j < n_k; j++)
            largest = fmax(largest, scale * kiln_dot(query, q_column, ROW(k, batch, j), k_column,
                                                     width));
        for (int e = 0; e < v_width; e++)
            to[e] = 0.0f;
        for (int j = 0; j < n_k; j++) {
            const float p =
                exp(scale * kiln_dot(query, q_column, ROW(k, batch, j), k_column, width) - largest);
            __global const float *value = ROW(v, batch, j);
            sum += p;
            for (int e = 0; e < v_width; e++)
                to[e] = fma(p, value[e * v_column], to[e]);
        }
        for (int e = 0; e < v_width; e++)
            to[e] /= sum;
        log_sum_exp[l_offset + item] = largest + log(sum);
    }
}

#define GRADIENT_PARAMETERS                                                                        \
    __global const float *q, STRIDES(q), __global const float *k, STRIDES(k),                      \
        __global const float *v, STRIDES(v), __global const float *d_out, STRIDES(d_out),          \
        __global const float *out, long out_offset, __global const float *log_sum_exp,             \
        long l_offset, int n_q, int n_k, int width, int v_width, float scale

#define GRADIENT_OFFSETS                                                                           \
    q += q_offset;                                                                                 \
    k += k_offset;                                                                                 \
    v += v_offset;                                                                                 \
    d_out += d_out_offset;                                                                         \
    out += out_offset;                                                                             \
    log_sum_exp += l_offset;

__kernel void attention_grad_q_plain(GRADIENT_PARAMETERS, __global float *d_q, long d_q_offset,
                                     long n, long chunk)
{
    GRADIENT_OFFSETS
    KILN_ITEMS(item)
    {
        const long batch = item / n_q;
        const int i = (int)(item % n_q);
        __global const float *query = ROW(q, batch, i);
        __global const float *d_row = ROW(d_out, batch, i);
        __global float *to = d_q + d_q_offset + item * width;
        const float delta = kiln_dot(d_row, d_out_column, out + item * v_width, 1, v_width);
        for (int e = 0; e < width; e++)
            to[e] = 0.0f;
        for (int j = 0; j < n_k; j++) {
            __global const float *key = ROW(k, batch, j);
            const float p =
                exp(scale * kiln_dot(query, q_column, key, k_column, width) - log_sum_exp[item]);
            const float d_p =
                kiln_dot(d_row, d_out_column, ROW(v, batch, j), v_column, v_width) - delta;
            const float d_s = scale * p * d_p;
            for (int e = 0; e < width; e++)
                to[e] = fma(d_s, key[e * k_column], to[e]);
        }
    }
}

__kernel void attention_grad_kv_plain(GRADIENT_PARAMETERS, __global float *d_k, long d_k_offset,
                                      __global float *d_v, long d_v_offset, long n, long chunk)
{
    GRADIENT_OFFSETS
    KILN_ITEMS(item)
    {
        const long batch = item / n_k;
        const int j = (int)(item % n_k);
        __global const float *key = ROW(k, batch, j);
        __global const float *value = ROW(v, batch, j);
        __global float *to_k = d_k + d_k_offset + item * width;
        __global float *to_v = d_v + d_v_offset + item * v_width;
        for (int e = 0; e < width; e++)
            to_k[e] = 0.0f;
        for (int e = 0; e < v_width; e++)
            to_v[e] = 0.0f;
        for (int i = 0; i < n_q; i++) {
            const long row = batch * n_q + i;
            __global const float *query = ROW(q, batch, i);
            __global const float *d_row = ROW(d_out, batch, i);
            const float delta = kiln_dot(d_row, d_out_column, out + row * v_width, 1, v_width);
            const float p =
                exp(scale * kiln_dot(query, q_column, key, k_column, width) - log_sum_exp[row]);
            const float d_p = kiln_dot(d_row, d_out_column, value, v_column, v_width) - delta;
            const float d_s = scale * p * d_p;
            for (int e = 0; e < width; e++)
                to_k[e] = fma(d_s, query[e * q_column], to_k[e]);
            for (int e = 0; e < v_width; e++)
                to_v[e] = fma(p, d_row[e * d_out_column], to_v[e]);
        }
    }
}
