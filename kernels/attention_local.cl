/*
 * out = softmax(scale q k^T) v, the log-sum-exp of each row of scores and the
 * gradient (formulas in attention_plain.cl) for GPUs, by products of tiles
 * (lib/local.clh). A work-group has SIDE queries and walks over the keys, SIDE
 * at a time, whose scores pass through local memory (SIDE (SIDE + 1) floats and
 * 6 SIDE more); the group of d_k and d_v has SIDE keys and walks over the
 * queries. Sums of each row are corrected when its maximum grows (Milakov &
 * Gimelshein 2018).
 *
 * WIDTH_PARTS, VALUE_PARTS: the widths in units of SIDE, rounded up.
 *
 * Work-group (block of rows, batch).
 */
#define SIDE 64
#include "lib/items.clh"
#include "lib/local.clh"

#ifndef WIDTH_PARTS
#define WIDTH_PARTS 1
#endif
#ifndef VALUE_PARTS
#define VALUE_PARTS 1
#endif

#define SCORE_PITCH (SIDE + 1)
#define SHARES (ITEMS / SIDE) /* work-items that look at one row */
#define SHARE (SIDE / SHARES) /* columns of each */

#define STRIDES(x) long x##_offset, long x##_batch, long x##_row, long x##_column
#define SIZES int n_q, int n_k, int width, int v_width, float scale

/* Operands of a batch; element e of row i, 0 beyond the ends. */
#define OF_BATCH(x) x += x##_offset + (long)get_group_id(1) * x##_batch;
#define ELEMENT(x, i, e, rows, columns)                                                            \
    ((i) < (rows) && (e) < (columns) ? x[(i) * x##_row + (long)(e)*x##_column] : 0.0f)

/* Operands of products: rows of the group's own block, or of the block that it
 * is at. */
#define OWN_QUERY(i, p) ELEMENT(q, block + (i), p, n_q, width)
#define OWN_D_OUT(i, p) ELEMENT(d_out, block + (i), p, n_q, v_width)
#define KEY(p, j) ELEMENT(k, at + (j), p, n_k, width)
#define VALUE(p, j) ELEMENT(v, at + (j), p, n_k, v_width)
#define KEY_PART(p, j) ELEMENT(k, at + (p), part *SIDE + (j), n_k, width)
#define VALUE_PART(p, j) ELEMENT(v, at + (p), part *SIDE + (j), n_k, v_width)
#define SCORE(i, p) score[(i)*SCORE_PITCH + (p)]
#define SCORE_TURNED(i, p) score[(p)*SCORE_PITCH + (i)]

/* What an item holds of a result, one part of SIDE columns after the other. */
#define PARTS(n) for (int part = 0; part < (n); part++)
#define EACH_ELEMENT                                                                               \
    UNROLL for (int i = 0; i < PART; i++)                                                          \
        UNROLL for (int j = 0; j < PART; j++)

#define STORE_PARTS(to, sums, parts, rows, columns, factor)                                        \
    UNROLL PARTS(parts) EACH_ELEMENT                                                               \
    {                                                                                              \
        const int row = block + TILE_ROW(i, j), column = part * SIDE + TILE_COLUMN(i, j);          \
        if (row < (rows) && column < (columns))                                                    \
            (to)[(long)row * (columns) + column] = sums[part][AT(i, j)] * (factor);                \
    }

KILN_LOCAL_KERNEL void attention_local(__global const float *q, STRIDES(q), __global const float *k,
                                       STRIDES(k), __global const float *v, STRIDES(v),
                                       __global float *out, long out_offset,
                                       __global float *log_sum_exp, long l_offset, SIZES)
{
    __local float score[SIDE * SCORE_PITCH], share[ITEMS];
    __local float row_largest[SIDE], row_sum[SIDE], row_factor[SIDE];
    LOCAL_SLICES
    const int block = (int)get_group_id(0) * SIDE;
    const long batch = get_group_id(1);
    const int my_row = me / SHARES, my_share = me % SHARES * SHARE;
    __local float *mine = score + my_row * SCORE_PITCH + my_share;
    float sum[PART * PART], result[VALUE_PARTS][PART * PART];
    OF_BATCH(q)
    OF_BATCH(k)
    OF_BATCH(v)
    UNROLL PARTS(VALUE_PARTS) CLEAR(result[part])
    if (me < SIDE) {
        row_largest[me] = -INFINITY;
        row_sum[me] = 0.0f;
    }
    for (int at = 0; at < n_k; at += SIDE) {
        CLEAR(sum)
        LOCAL_ADD(sum, 0, width, OWN_QUERY, q_column == 1, KEY, k_column == 1)
        EACH_ELEMENT SCORE(TILE_ROW(i, j), TILE_COLUMN(i, j)) = scale * sum[AT(i, j)];
        barrier(CLK_LOCAL_MEM_FENCE);

        const int keys = min(n_k - at - my_share, SHARE); /* of this item's share */
        float largest = -INFINITY, total = 0.0f;
        for (int c = 0; c < keys; c++)
            largest = fmax(largest, mine[c]);
        share[me] = largest;
        barrier(CLK_LOCAL_MEM_FENCE);
        const float before = row_largest[my_row];
        largest = before;
        for (int s = 0; s < SHARES; s++)
            largest = fmax(largest, share[me - me % SHARES + s]);
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int c = 0; c < SHARE; c++) {
            mine[c] = c < keys ? exp(mine[c] - largest) : 0.0f;
            total += mine[c];
        }
        share[me] = total;
        barrier(CLK_LOCAL_MEM_FENCE);
        if (me % SHARES == 0) {
            const float factor = exp(before - largest);
            total = row_sum[my_row] * factor;
            for (int s = 0; s < SHARES; s++)
                total += share[me + s];
            row_sum[my_row] = total;
            row_largest[my_row] = largest;
            row_factor[my_row] = factor;
        }
        barrier(CLK_LOCAL_MEM_FENCE);

        const int block_keys = min(n_k - at, SIDE);
        UNROLL PARTS(VALUE_PARTS)
        {
            EACH_ELEMENT result[part][AT(i, j)] *= row_factor[TILE_ROW(i, j)];
            LOCAL_ADD(result[part], 0, block_keys, SCORE, true, VALUE_PART, v_column != 1)
        }
    }
    out += out_offset + batch * n_q * v_width;
    STORE_PARTS(out, result, VALUE_PARTS, n_q, v_width, 1.0f / row_sum[TILE_ROW(i, j)])
    if (me < SIDE && block + me < n_q)
        log_sum_exp[l_offset + batch * n_q + block + me] = row_largest[me] + log(row_sum[me]);
}

/* delta [batch, n_q] = the sum of d_out times out over the width. */
__kernel void attention_delta_local(__global const float *d_out, STRIDES(d_out),
                                    __global const float *out, long out_offset,
                                    __global float *delta, long delta_offset, int n_q, int v_width,
                                    long n, long chunk)
{
    KILN_ITEMS(item)
    {
        __global const float *a =
            d_out + d_out_offset + item / n_q * d_out_batch + item % n_q * d_out_row;
        __global const float *b = out + out_offset + item * v_width;
        float sum = 0.0f;
        for (int e = 0; e < v_width; e++)
            sum = fma(a[e * d_out_column], b[e], sum);
        delta[delta_offset + item] = sum;
    }
}

#define GRADIENT_PARAMETERS                                                                        \
    __global const float *q, STRIDES(q), __global const float *k, STRIDES(k),                      \
        __global const float *v, STRIDES(v), __global const float *d_out, STRIDES(d_out),          \
        __global const float *log_sum_exp, long l_offset, __global const float *delta,             \
        long delta_offset, SIZES

#define GRADIENT_OFFSETS                                                                           \
    OF_BATCH(q)                                                                                    \
    OF_BATCH(k)                                                                                    \
    OF_BATCH(v)                                                                                    \
    OF_BATCH(d_out)                                                                                \
    log_sum_exp += l_offset + batch * n_q;                                                         \
    delta += delta_offset + batch * n_q;

/* For a tile of scores in sum and of d_out v^T in d_sum: probabilities into sum,
 * d_scores into d_sum. */
#define TO_GRADIENTS(query0, key0)                                                                 \
    EACH_ELEMENT                                                                                   \
    {                                                                                              \
        const int query = (query0) + TILE_ROW(i, j), key = (key0) + TILE_COLUMN(i, j);             \
        const bool inside = query < n_q && key < n_k;                                              \
        const float p = inside ? exp(scale * sum[AT(i, j)] - log_sum_exp[query]) : 0.0f;           \
        d_sum[AT(i, j)] = inside ? p * (d_sum[AT(i, j)] - delta[query]) : 0.0f;                    \
        sum[AT(i, j)] = p;                                                                         \
    }

/* Puts a tile where products find it; all have done with what was there. */
#define SHOW(sums)                                                                                 \
    EACH_ELEMENT SCORE(TILE_ROW(i, j), TILE_COLUMN(i, j)) = (sums)[AT(i, j)];                      \
    barrier(CLK_LOCAL_MEM_FENCE);

KILN_LOCAL_KERNEL void attention_grad_q_local(GRADIENT_PARAMETERS, __global float *d_q,
                                              long d_q_offset)
{
    __local float score[SIDE * SCORE_PITCH];
    LOCAL_SLICES
    const int block = (int)get_group_id(0) * SIDE;
    const long batch = get_group_id(1);
    float sum[PART * PART], d_sum[PART * PART], result[WIDTH_PARTS][PART * PART];
    GRADIENT_OFFSETS
    UNROLL PARTS(WIDTH_PARTS) CLEAR(result[part])
    for (int at = 0; at < n_k; at += SIDE) {
        CLEAR(sum)
        CLEAR(d_sum)
        LOCAL_ADD(sum, 0, width, OWN_QUERY, q_column == 1, KEY, k_column == 1)
        LOCAL_ADD(d_sum, 0, v_width, OWN_D_OUT, d_out_column == 1, VALUE, v_column == 1)
        TO_GRADIENTS(block, at)
        SHOW(d_sum)
        const int block_keys = min(n_k - at, SIDE);
        UNROLL PARTS(WIDTH_PARTS)
            LOCAL_ADD(result[part], 0, block_keys, SCORE, true, KEY_PART, k_column != 1)
    }
    d_q += d_q_offset + batch * n_q * width;
    STORE_PARTS(d_q, result, WIDTH_PARTS, n_q, width, scale)
}

#define QUERY(i, p) ELEMENT(q, at + (i), p, n_q, width)
#define D_OUT(i, p) ELEMENT(d_out, at + (i), p, n_q, v_width)
#define OWN_KEY(p, j) ELEMENT(k, block + (j), p, n_k, width)
#define OWN_VALUE(p, j) ELEMENT(v, block + (j), p, n_k, v_width)
#define QUERY_PART(p, j) ELEMENT(q, at + (p), part *SIDE + (j), n_q, width)
#define D_OUT_PART(p, j) ELEMENT(d_out, at + (p), part *SIDE + (j), n_q, v_width)

KILN_LOCAL_KERNEL void attention_grad_kv_local(GRADIENT_PARAMETERS, __global float *d_k,
                                               long d_k_offset, __global float *d_v,
                                               long d_v_offset)
{
    __local float score[SIDE * SCORE_PITCH];
    LOCAL_SLICES
    const int block = (int)get_group_id(0) * SIDE;
    const long batch = get_group_id(1);
    float sum[PART * PART], d_sum[PART * PART];
    float result_k[WIDTH_PARTS][PART * PART], result_v[VALUE_PARTS][PART * PART];
    GRADIENT_OFFSETS
    UNROLL PARTS(WIDTH_PARTS) CLEAR(result_k[part])
    UNROLL PARTS(VALUE_PARTS) CLEAR(result_v[part])
    for (int at = 0; at < n_q; at += SIDE) {
        CLEAR(sum)
        CLEAR(d_sum)
        LOCAL_ADD(sum, 0, width, QUERY, q_column == 1, OWN_KEY, k_column == 1)
        LOCAL_ADD(d_sum, 0, v_width, D_OUT, d_out_column == 1, OWN_VALUE, v_column == 1)
        TO_GRADIENTS(at, block)
        const int block_queries = min(n_q - at, SIDE);
        SHOW(sum)
        UNROLL PARTS(VALUE_PARTS)
            LOCAL_ADD(result_v[part], 0, block_queries, SCORE_TURNED, false, D_OUT_PART,
                      d_out_column != 1)
        SHOW(d_sum)
        UNROLL PARTS(WIDTH_PARTS)
            LOCAL_ADD(result_k[part], 0, block_queries, SCORE_TURNED, false, QUERY_PART,
                      q_column != 1)
    }
    d_k += d_k_offset + batch * n_k * width;
    d_v += d_v_offset + batch * n_k * v_width;
    STORE_PARTS(d_k, result_k, WIDTH_PARTS, n_k, width, scale)
    STORE_PARTS(d_v, result_v, VALUE_PARTS, n_k, v_width, 1.0f)
}
