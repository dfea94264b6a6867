/* Interpreter of attention steps and optimiser updates. */
#include <math.h>
#include <stdlib.h>

#include "tests/lib/steps.h"

static double load3(struct steps_memory *memory, const struct kiln_place *place,
                    const int64_t *stride, int64_t b, int64_t i, int64_t j)
{
    return steps_load(memory, place, b * stride[0] + i * stride[1] + j * stride[2]);
}

static double score(const struct kiln_step_attention *s, struct steps_memory *memory, int64_t b,
                    int64_t i, int64_t j)
{
    double sum = 0;
    for (int64_t e = 0; e < s->width; e++)
        sum +=
            load3(memory, &s->q, s->q_stride, b, i, e) * load3(memory, &s->k, s->k_stride, b, j, e);
    return sum * (double)s->scale;
}

static void forward(const struct kiln_step_attention *s, struct steps_memory *memory, int64_t b,
                    int64_t i)
{
    double largest = -INFINITY, sum = 0;
    for (int64_t j = 0; j < s->n_k; j++)
        largest = fmax(largest, score(s, memory, b, i, j));
    for (int64_t j = 0; j < s->n_k; j++)
        sum += exp(score(s, memory, b, i, j) - largest);
    for (int64_t e = 0; e < s->v_width; e++) {
        double out = 0;
        for (int64_t j = 0; j < s->n_k; j++)
            out += exp(score(s, memory, b, i, j) - largest) / sum *
                   load3(memory, &s->v, s->v_stride, b, j, e);
        steps_store(memory, &s->out, (b * s->n_q + i) * s->v_width + e, out);
    }
    steps_store(memory, &s->log_sum_exp, b * s->n_q + i, largest + log(sum));
}

/* Sums in double of one batch entry: d_q, d_k, d_v one after the other. */
static void backward(const struct kiln_step_attention *s, struct steps_memory *memory, int64_t b,
                     double *sums)
{
    double *d_q = sums, *d_k = d_q + s->n_q * s->width, *d_v = d_k + s->n_k * s->width;
    for (int64_t i = 0; i < s->n_q; i++)
        for (int64_t j = 0; j < s->n_k; j++) {
            double p = exp(score(s, memory, b, i, j) -
                           steps_load(memory, &s->log_sum_exp, b * s->n_q + i));
            double d_p = 0;
            for (int64_t e = 0; e < s->v_width; e++) {
                double d_out = load3(memory, &s->d_out, s->d_out_stride, b, i, e);
                d_v[j * s->v_width + e] += p * d_out;
                d_p += d_out * (load3(memory, &s->v, s->v_stride, b, j, e) -
                                steps_load(memory, &s->out, (b * s->n_q + i) * s->v_width + e));
            }
            for (int64_t e = 0; e < s->width; e++) {
                d_q[i * s->width + e] +=
                    (double)s->scale * p * d_p * load3(memory, &s->k, s->k_stride, b, j, e);
                d_k[j * s->width + e] +=
                    (double)s->scale * p * d_p * load3(memory, &s->q, s->q_stride, b, i, e);
            }
        }
}

void steps_run_attention(const struct kiln_step *step, struct steps_memory *memory)
{
    const struct kiln_step_attention *s = &step->as.attention;
    if (step->kind == KILN_STEP_ATTENTION) {
        for (int64_t b = 0; b < s->batch; b++)
            for (int64_t i = 0; i < s->n_q; i++)
                forward(s, memory, b, i);
        return;
    }
    int64_t q = s->n_q * s->width, k = s->n_k * s->width, v = s->n_k * s->v_width,
            count = q + k + v;
    double *sums = calloc((size_t)(s->batch * count), sizeof *sums);
    if (!sums) {
        memory->error = "out of memory";
        return;
    }
    for (int64_t b = 0; b < s->batch; b++)
        backward(s, memory, b, sums + b * count);
    for (int64_t b = 0; b < s->batch; b++) {
        const double *from = sums + b * count;
        for (int64_t e = 0; e < q; e++)
            steps_store(memory, &s->d_q, b * q + e, from[e]);
        for (int64_t e = 0; e < k; e++)
            steps_store(memory, &s->d_k, b * k + e, from[q + e]);
        for (int64_t e = 0; e < v; e++)
            steps_store(memory, &s->d_v, b * v + e, from[q + k + e]);
    }
    free(sums);
}

/* The new value of a parameter from its old one and its clipped gradient. */
static double optimised(const struct kiln_step_update *s, struct steps_memory *memory,
                        const double *hyper, int64_t e, double p, double g)
{
    double rate = hyper[KILN_HYPER_LEARNING_RATE], decay = hyper[KILN_HYPER_WEIGHT_DECAY];
    double beta1 = hyper[KILN_HYPER_BETA1], beta2 = hyper[KILN_HYPER_BETA2], m = 0, v = 0;
    if (s->update.kind == KILN_OPTIMIZER_ADAMW)
        p *= 1 - rate * decay;
    else
        g += decay * p;
    if (s->update.kind == KILN_OPTIMIZER_SGD) {
        m = beta1 * steps_load(memory, &s->moment1, e) + g;
        steps_store(memory, &s->moment1, e, m);
        return p - rate * m;
    }
    v = beta2 * steps_load(memory, &s->moment2, e) + (1 - beta2) * g * g;
    steps_store(memory, &s->moment2, e, v);
    if (s->update.kind == KILN_OPTIMIZER_RMSPROP)
        return p - rate * g / (sqrt(v) + hyper[KILN_HYPER_EPSILON]);
    m = beta1 * steps_load(memory, &s->moment1, e) + (1 - beta1) * g;
    steps_store(memory, &s->moment1, e, m);
    return p - rate * (m / hyper[KILN_HYPER_CORRECTION1]) /
                   (sqrt(v / hyper[KILN_HYPER_CORRECTION2]) + hyper[KILN_HYPER_EPSILON]);
}

void steps_run_update(const struct kiln_step_update *s, struct steps_memory *memory)
{
    double hyper[KILN_HYPER_WORDS], norm = steps_load(memory, &s->norm, 0);
    for (int i = 0; i < KILN_HYPER_WORDS; i++)
        hyper[i] = steps_load(memory, &s->hyper, i);
    if (steps_load(memory, &s->norm, 1) == 0)
        return;
    double scale = 1 / hyper[KILN_HYPER_LOSS_SCALE], clip = hyper[KILN_HYPER_CLIP_NORM];
    if (clip > 0)
        scale *= fmin(1, clip / (norm + 1e-6)); /* torch.nn.utils.clip_grad_norm_ */
    for (int64_t e = 0; e < s->count; e++) {
        double p = steps_load(memory, &s->parameter, e),
               g = steps_load(memory, &s->gradient, e) * scale;
        p = optimised(s, memory, hyper, e, p, g);
        double bound = hyper[KILN_HYPER_CLAMP];
        if (bound > 0)
            p = fmin(bound, fmax(-bound, p));
        steps_store(memory, &s->parameter, e, p);
        if (s->update.ema) {
            double ema = steps_load(memory, &s->ema, e);
            steps_store(memory, &s->ema, e, ema + (1 - hyper[KILN_HYPER_EMA_DECAY]) * (p - ema));
        }
    }
}
