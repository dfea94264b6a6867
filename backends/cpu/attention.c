/* Attention and its gradient, plainly; neither stores the score matrix. */
#include "backends/cpu/attention.h"

#include <math.h>

static const float *row_of(const struct attention_operand *m, int64_t batch, int64_t row)
{
    return m->data + batch * m->stride[0] + row * m->stride[1];
}

struct attention cpu_attention_of(const struct cpu_task *task)
{
    const struct kiln_step_attention *s = &task->step->as.attention;
    const struct kiln_exec *exec = task->exec;
    return (struct attention){.s = s,
                              .q = {cpu_at(exec, &s->q), s->q_stride},
                              .k = {cpu_at(exec, &s->k), s->k_stride},
                              .v = {cpu_at(exec, &s->v), s->v_stride},
                              .d_out = {cpu_at(exec, &s->d_out), s->d_out_stride},
                              .out = cpu_at(exec, &s->out),
                              .log_sum_exp = cpu_at(exec, &s->log_sum_exp),
                              .d_q = cpu_at(exec, &s->d_q),
                              .d_k = cpu_at(exec, &s->d_k),
                              .d_v = cpu_at(exec, &s->d_v)};
}

static float dot(const float *a, int64_t a_step, const float *b, int64_t b_step, int64_t n)
{
    float sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += a[i * a_step] * b[i * b_step];
    return sum;
}

/* Softmax of one query's scores on the way (Milakov & Gimelshein 2018). */
static void plain_query(const struct kiln_step_attention *s, const float *q,
                        const struct attention_operand *k, const struct attention_operand *v,
                        int64_t batch, float *out, float *log_sum_exp)
{
    float largest = -INFINITY, sum = 0;
    for (int64_t c = 0; c < s->v_width; c++)
        out[c] = 0;
    for (int64_t j = 0; j < s->n_k; j++) {
        float score =
            s->scale * dot(q, s->q_stride[2], row_of(k, batch, j), k->stride[2], s->width);
        const float *value = row_of(v, batch, j);
        if (score > largest) {
            float shrink = expf(largest - score);
            largest = score;
            sum *= shrink;
            for (int64_t c = 0; c < s->v_width; c++)
                out[c] *= shrink;
        }
        float weight = expf(score - largest);
        sum += weight;
        for (int64_t c = 0; c < s->v_width; c++)
            out[c] += weight * value[c * v->stride[2]];
    }
    for (int64_t c = 0; c < s->v_width; c++)
        out[c] /= sum;
    *log_sum_exp = largest + logf(sum);
}

static enum kiln_status plain_run(struct cpu_task *task, struct kiln_error *error)
{
    (void)error;
    struct attention a = cpu_attention_of(task);
    const struct kiln_step_attention *s = a.s;
#pragma omp parallel for schedule(dynamic, 1) num_threads(task->threads)
    for (int64_t row = 0; row < s->batch * s->n_q; row++)
        plain_query(s, row_of(&a.q, row / s->n_q, row % s->n_q), &a.k, &a.v, row / s->n_q,
                    a.out + row * s->v_width, a.log_sum_exp + row);
    return KILN_OK;
}

/* Softmax weight of query i for key j, and the gradient of their score. */
static void pair(const struct attention *g, int64_t batch, int64_t i, int64_t j, float *weight,
                 float *d_score)
{
    const struct kiln_step_attention *s = g->s;
    int64_t row = batch * s->n_q + i;
    const float *d_out = row_of(&g->d_out, batch, i);
    float score = s->scale * dot(row_of(&g->q, batch, i), s->q_stride[2], row_of(&g->k, batch, j),
                                 s->k_stride[2], s->width);
    float d_weight =
        dot(d_out, s->d_out_stride[2], row_of(&g->v, batch, j), s->v_stride[2], s->v_width);
    float mean = dot(d_out, s->d_out_stride[2], g->out + row * s->v_width, 1, s->v_width);
    *weight = expf(score - g->log_sum_exp[row]);
    *d_score = s->scale * *weight * (d_weight - mean);
}

static void gradient_of_query(const struct attention *g, int64_t batch, int64_t i)
{
    const struct kiln_step_attention *s = g->s;
    float *d_q = g->d_q + (batch * s->n_q + i) * s->width;
    for (int64_t c = 0; c < s->width; c++)
        d_q[c] = 0;
    for (int64_t j = 0; j < s->n_k; j++) {
        float weight, d_score;
        pair(g, batch, i, j, &weight, &d_score);
        const float *key = row_of(&g->k, batch, j);
        for (int64_t c = 0; c < s->width; c++)
            d_q[c] += d_score * key[c * s->k_stride[2]];
    }
}

static void gradient_of_key(const struct attention *g, int64_t batch, int64_t j)
{
    const struct kiln_step_attention *s = g->s;
    float *d_k = g->d_k + (batch * s->n_k + j) * s->width,
          *d_v = g->d_v + (batch * s->n_k + j) * s->v_width;
    for (int64_t c = 0; c < s->width; c++)
        d_k[c] = 0;
    for (int64_t c = 0; c < s->v_width; c++)
        d_v[c] = 0;
    for (int64_t i = 0; i < s->n_q; i++) {
        float weight, d_score;
        pair(g, batch, i, j, &weight, &d_score);
        const float *query = row_of(&g->q, batch, i), *d_out = row_of(&g->d_out, batch, i);
        for (int64_t c = 0; c < s->width; c++)
            d_k[c] += d_score * query[c * s->q_stride[2]];
        for (int64_t c = 0; c < s->v_width; c++)
            d_v[c] += weight * d_out[c * s->d_out_stride[2]];
    }
}

static enum kiln_status plain_gradient_run(struct cpu_task *task, struct kiln_error *error)
{
    (void)error;
    struct attention g = cpu_attention_of(task);
    const struct kiln_step_attention *s = g.s;
#pragma omp parallel for schedule(dynamic, 1) num_threads(task->threads)
    for (int64_t row = 0; row < s->batch * (s->n_q + s->n_k); row++) {
        if (row < s->batch * s->n_q)
            gradient_of_query(&g, row / s->n_q, row % s->n_q);
        else
            gradient_of_key(&g, (row - s->batch * s->n_q) / s->n_k,
                            (row - s->batch * s->n_q) % s->n_k);
    }
    return KILN_OK;
}

static enum kiln_status plain_prepare(struct cpu_task *task, struct kiln_error *error)
{
    (void)error;
    const struct kiln_step_attention *s = &task->step->as.attention;
    task->run = task->step->kind == KILN_STEP_ATTENTION ? plain_run : plain_gradient_run;
    task->threads = cpu_threads(task->device, s->batch * s->n_q * s->n_k * (s->width + s->v_width));
    return KILN_OK;
}

static bool tiled_accepts(kiln_device_state *device, const struct kiln_step *step,
                          struct kiln_candidate *candidate)
{
    (void)step;
    (void)candidate;
    return !device->reference;
}

CPU_KIND(cpu_attention_kind, {CPU_PLAIN, "tiled", tiled_accepts, cpu_attention_tiled_prepare},
         {CPU_PLAIN, "plain", NULL, plain_prepare});
CPU_KIND(cpu_attention_grad_kind, {CPU_PLAIN, "tiled", tiled_accepts, cpu_attention_tiled_prepare},
         {CPU_PLAIN, "plain", NULL, plain_prepare});
