/*
 * Attention by tiles of queries and keys: matrix products on one thread each,
 * softmax on the way (Dao et al. 2022), no score matrix.
 */
#include "backends/cpu/attention.h"

#include <math.h>
#include <omp.h>

#define TILE_Q 96
#define TILE_K 256
/* From so many batch elements on a thread does all of one; below, queries and
 * keys are divided too. */
#define WHOLE_BATCH 8

/* A thread's memory: scores, their gradient, and what products pack into. */
#define SCORE_FLOATS (TILE_Q * TILE_K)
#define THREAD_BYTES                                                                               \
    ((2 * SCORE_FLOATS + 2 * TILE_Q) * (int64_t)sizeof(float) + CPU_GEMM_BUFFER_BYTES)

struct buffers {
    float *scores, *d_weights, *largest, *sum, *gemm;
};

static struct buffers buffers_of(const kiln_device_state *device)
{
    float *memory =
        (float *)(void *)(device->thread_memory + omp_get_thread_num() * device->thread_bytes);
    return (struct buffers){memory, memory + SCORE_FLOATS, memory + 2 * SCORE_FLOATS,
                            memory + 2 * SCORE_FLOATS + TILE_Q,
                            memory + 2 * SCORE_FLOATS + 2 * TILE_Q};
}

/* Rows first .. of batch element b of an operand. */
static const float *rows_at(const struct attention_operand *o, int64_t b, int64_t first)
{
    return o->data + b * o->stride[0] + first * o->stride[1];
}

/* out [m, n] = x [m, k] y[n, k]^T of operands' rows. */
static void scores_of(const kiln_device_state *device, const struct attention_operand *x,
                      const float *x_rows, const struct attention_operand *y, const float *y_rows,
                      int64_t m, int64_t n, int64_t k, float *out, float *buffer)
{
    const struct cpu_gemm gemm = {.m = m,
                                  .n = n,
                                  .k = k,
                                  .a = x_rows,
                                  .a_row = x->stride[1],
                                  .a_column = x->stride[2],
                                  .b = y_rows,
                                  .b_row = y->stride[2],
                                  .b_column = y->stride[1],
                                  .c = out,
                                  .ldc = n};
    cpu_gemm(device, &gemm, buffer);
}

/* out [m, width] (+)= s y, s [m, n] or its transpose's storage, y [n, width]. */
static void weighted_rows(const kiln_device_state *device, const float *s, int64_t s_row,
                          int64_t s_column, const struct attention_operand *y, const float *y_rows,
                          int64_t m, int64_t n, int64_t width, float *out, bool add, float *buffer)
{
    const struct cpu_gemm gemm = {.m = m,
                                  .n = width,
                                  .k = n,
                                  .a = s,
                                  .a_row = s_row,
                                  .a_column = s_column,
                                  .b = y_rows,
                                  .b_row = y->stride[1],
                                  .b_column = y->stride[2],
                                  .c = out,
                                  .ldc = width,
                                  .add = add};
    cpu_gemm(device, &gemm, buffer);
}

static void forward_tile(const kiln_device_state *device, const struct attention *a, int64_t b,
                         int64_t i)
{
    const struct kiln_step_attention *s = a->s;
    struct buffers t = buffers_of(device);
    int64_t rows = cpu_min(TILE_Q, s->n_q - i), row = b * s->n_q + i;
    struct cpu_attention_rows r = {.rows = rows,
                                   .width = s->v_width,
                                   .scale = s->scale,
                                   .scores = t.scores,
                                   .out = a->out + row * s->v_width,
                                   .largest = t.largest,
                                   .sum = t.sum,
                                   .log_sum_exp = a->log_sum_exp + row};
    for (int64_t j = 0; j < rows; j++) {
        t.largest[j] = -INFINITY;
        t.sum[j] = 0;
    }
    for (int64_t j = 0; j < rows * s->v_width; j++)
        r.out[j] = 0;
    for (int64_t j = 0; j < s->n_k; j += TILE_K) {
        r.columns = cpu_min(TILE_K, s->n_k - j);
        scores_of(device, &a->q, rows_at(&a->q, b, i), &a->k, rows_at(&a->k, b, j), rows, r.columns,
                  s->width, t.scores, t.gemm);
        device->simd->attention->softmax(&r);
        weighted_rows(device, t.scores, r.columns, 1, &a->v, rows_at(&a->v, b, j), rows, r.columns,
                      s->v_width, r.out, true, t.gemm);
    }
    device->simd->attention->finish(&r);
}

static enum kiln_status forward_run(struct cpu_task *task, struct kiln_error *error)
{
    (void)error;
    struct attention a = cpu_attention_of(task);
    int64_t tiles = (a.s->n_q + TILE_Q - 1) / TILE_Q;
#pragma omp parallel for schedule(dynamic, 1) num_threads(task->threads)
    for (int64_t i = 0; i < a.s->batch * tiles; i++)
        forward_tile(task->device, &a, i / tiles, i % tiles * TILE_Q);
    return KILN_OK;
}

/* What a tile of queries i and keys j adds to the gradients. */
static void gradient_tile(const kiln_device_state *device, const struct attention *a, int64_t b,
                          int64_t i, int64_t j, bool with_q, bool with_k)
{
    const struct kiln_step_attention *s = a->s;
    struct buffers t = buffers_of(device);
    int64_t rows = cpu_min(TILE_Q, s->n_q - i), columns = cpu_min(TILE_K, s->n_k - j),
            row = b * s->n_q + i;
    const float *q = rows_at(&a->q, b, i), *k = rows_at(&a->k, b, j), *v = rows_at(&a->v, b, j);
    const float *d_out = rows_at(&a->d_out, b, i);
    struct cpu_attention_rows r = {.rows = rows,
                                   .columns = columns,
                                   .width = s->v_width,
                                   .scale = s->scale,
                                   .scores = t.scores,
                                   .d_weights = t.d_weights,
                                   .out = a->out + row * s->v_width,
                                   .log_sum_exp = a->log_sum_exp + row,
                                   .d_out = d_out,
                                   .d_out_row = a->d_out.stride[1],
                                   .d_out_column = a->d_out.stride[2]};
    scores_of(device, &a->q, q, &a->k, k, rows, columns, s->width, t.scores, t.gemm);
    scores_of(device, &a->d_out, d_out, &a->v, v, rows, columns, s->v_width, t.d_weights, t.gemm);
    device->simd->attention->gradient(&r);
    if (with_q)
        weighted_rows(device, t.d_weights, columns, 1, &a->k, k, rows, columns, s->width,
                      a->d_q + row * s->width, j > 0, t.gemm);
    if (!with_k)
        return;
    int64_t key = b * s->n_k + j;
    weighted_rows(device, t.d_weights, 1, columns, &a->q, q, columns, rows, s->width,
                  a->d_k + key * s->width, i > 0, t.gemm);
    weighted_rows(device, t.scores, 1, columns, &a->d_out, d_out, columns, rows, s->v_width,
                  a->d_v + key * s->v_width, i > 0, t.gemm);
}

static enum kiln_status gradient_run(struct cpu_task *task, struct kiln_error *error)
{
    (void)error;
    struct attention a = cpu_attention_of(task);
    const struct kiln_step_attention *s = a.s;
    int64_t tiles_q = (s->n_q + TILE_Q - 1) / TILE_Q, tiles_k = (s->n_k + TILE_K - 1) / TILE_K;
    if (s->batch >= WHOLE_BATCH) {
#pragma omp parallel for schedule(dynamic, 1) num_threads(task->threads)
        for (int64_t b = 0; b < s->batch; b++)
            for (int64_t i = 0; i < s->n_q; i += TILE_Q)
                for (int64_t j = 0; j < s->n_k; j += TILE_K)
                    gradient_tile(task->device, &a, b, i, j, true, true);
        return KILN_OK;
    }
#pragma omp parallel for schedule(dynamic, 1) num_threads(task->threads)
    for (int64_t part = 0; part < s->batch * (tiles_q + tiles_k); part++) {
        int64_t b = part / (tiles_q + tiles_k), tile = part % (tiles_q + tiles_k);
        if (tile < tiles_q)
            for (int64_t j = 0; j < s->n_k; j += TILE_K)
                gradient_tile(task->device, &a, b, tile * TILE_Q, j, true, false);
        else
            for (int64_t i = 0; i < s->n_q; i += TILE_Q)
                gradient_tile(task->device, &a, b, i, (tile - tiles_q) * TILE_K, false, true);
    }
    return KILN_OK;
}

enum kiln_status cpu_attention_tiled_prepare(struct cpu_task *task, struct kiln_error *error)
{
    const struct kiln_step_attention *s = &task->step->as.attention;
    if (!cpu_reserve(task->device, THREAD_BYTES))
        return kiln_fail(error, KILN_MACHINE, "cpu: no memory for step %s", task->step->label);
    task->run = task->step->kind == KILN_STEP_ATTENTION ? forward_run : gradient_run;
    task->threads = cpu_threads(task->device, s->batch * s->n_q * s->n_k * (s->width + s->v_width));
    return KILN_OK;
}
