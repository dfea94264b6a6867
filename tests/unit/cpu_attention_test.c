/* Attention, its gradient and the optimiser step of the CPU backend against
 * formulas in double. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cpu_lab.h"

struct sizes {
    int64_t batch, n_q, n_k, width, v_width;
    float scale;
};

struct operand {
    float *data;
    int64_t stride[3], count;
};

/* [batch, rows, columns], rows contiguous or (transposed) columns. */
static struct operand operand_of(uint32_t seed, int64_t batch, int64_t rows, int64_t columns,
                                 bool transposed)
{
    struct operand o = {.count = batch * rows * columns};
    o.data = lab_values(seed, o.count);
    o.stride[0] = rows * columns;
    o.stride[1] = transposed ? 1 : columns;
    o.stride[2] = transposed ? rows : 1;
    return o;
}

static double get(const struct operand *o, int64_t b, int64_t i, int64_t j)
{
    return o->data[b * o->stride[0] + i * o->stride[1] + j * o->stride[2]];
}

struct wanted {
    double *out, *log_sum_exp, *d_q, *d_k, *d_v;
};

/* One query's output and its share of the gradients. */
static void want_query(const struct sizes *z, const struct operand o[4], struct wanted *w,
                       int64_t b, int64_t i)
{
    double *p = calloc((size_t)z->n_k, sizeof *p), sum = 0, mean = 0;
    for (int64_t j = 0; j < z->n_k; j++) {
        for (int64_t c = 0; c < z->width; c++)
            p[j] += (double)z->scale * get(&o[0], b, i, c) * get(&o[1], b, j, c);
        sum += exp(p[j]);
    }
    w->log_sum_exp[b * z->n_q + i] = log(sum);
    for (int64_t j = 0; j < z->n_k; j++) {
        p[j] = exp(p[j]) / sum;
        for (int64_t c = 0; c < z->v_width; c++) {
            w->out[(b * z->n_q + i) * z->v_width + c] += p[j] * get(&o[2], b, j, c);
            mean += p[j] * get(&o[2], b, j, c) * get(&o[3], b, i, c);
        }
    }
    for (int64_t j = 0; j < z->n_k; j++) {
        double d_p = 0;
        for (int64_t c = 0; c < z->v_width; c++) {
            d_p += get(&o[3], b, i, c) * get(&o[2], b, j, c);
            w->d_v[(b * z->n_k + j) * z->v_width + c] += p[j] * get(&o[3], b, i, c);
        }
        double d_score = (double)z->scale * p[j] * (d_p - mean);
        for (int64_t c = 0; c < z->width; c++) {
            w->d_q[(b * z->n_q + i) * z->width + c] += d_score * get(&o[1], b, j, c);
            w->d_k[(b * z->n_k + j) * z->width + c] += d_score * get(&o[0], b, i, c);
        }
    }
    free(p);
}

static struct kiln_place put(struct lab *lab, const struct operand *o)
{
    return lab_put(lab, KILN_F32, o->count, o->data);
}

static void check_attention(struct lab *lab, const struct sizes *z, int form)
{
    struct operand o[4] = {operand_of(1, z->batch, z->n_q, z->width, form & 1),
                           operand_of(2, z->batch, z->n_k, z->width, form >> 1 & 1),
                           operand_of(3, z->batch, z->n_k, z->v_width, form >> 2 & 1),
                           operand_of(4, z->batch, z->n_q, z->v_width, form >> 3 & 1)};
    int64_t nq = z->batch * z->n_q, nk = z->batch * z->n_k;
    struct wanted w = {calloc((size_t)(nq * z->v_width), 8), calloc((size_t)nq, 8),
                       calloc((size_t)(nq * z->width), 8), calloc((size_t)(nk * z->width), 8),
                       calloc((size_t)(nk * z->v_width), 8)};
    for (int64_t row = 0; row < nq; row++)
        want_query(z, o, &w, row / z->n_q, row % z->n_q);

    struct kiln_step step = {.kind = KILN_STEP_ATTENTION};
    struct kiln_step_attention *s = &step.as.attention;
    *s = (struct kiln_step_attention){.batch = z->batch,
                                      .n_q = z->n_q,
                                      .n_k = z->n_k,
                                      .width = z->width,
                                      .v_width = z->v_width,
                                      .scale = z->scale};
    memcpy(s->q_stride, o[0].stride, sizeof s->q_stride);
    memcpy(s->k_stride, o[1].stride, sizeof s->k_stride);
    memcpy(s->v_stride, o[2].stride, sizeof s->v_stride);
    memcpy(s->d_out_stride, o[3].stride, sizeof s->d_out_stride);
    lab_clear(lab);
    s->q = put(lab, &o[0]);
    s->k = put(lab, &o[1]);
    s->v = put(lab, &o[2]);
    s->d_out = put(lab, &o[3]);
    s->out = lab_put(lab, KILN_F32, nq * z->v_width, NULL);
    s->log_sum_exp = lab_put(lab, KILN_F32, nq, NULL);
    s->d_q = lab_put(lab, KILN_F32, nq * z->width, NULL);
    s->d_k = lab_put(lab, KILN_F32, nk * z->width, NULL);
    s->d_v = lab_put(lab, KILN_F32, nk * z->v_width, NULL);
    lab_run_first(lab, &step);
    lab_compare("out", nq * z->v_width, lab_at(lab, s->out), w.out, 1e-5, 2e-6);
    lab_compare("log_sum_exp", nq, lab_at(lab, s->log_sum_exp), w.log_sum_exp, 1e-6, 2e-6);
    step.kind = KILN_STEP_ATTENTION_GRAD;
    lab_run_first(lab, &step);
    lab_compare("d_q", nq * z->width, lab_at(lab, s->d_q), w.d_q, 1e-5, 4e-6);
    lab_compare("d_k", nk * z->width, lab_at(lab, s->d_k), w.d_k, 1e-5, 4e-6);
    lab_compare("d_v", nk * z->v_width, lab_at(lab, s->d_v), w.d_v, 1e-5, 4e-6);
    for (int i = 0; i < 4; i++)
        free(o[i].data);
    free(w.out);
    free(w.log_sum_exp);
    free(w.d_q);
    free(w.d_k);
    free(w.d_v);
}

static void attention(void **unused)
{
    (void)unused;
    static const struct sizes sizes[] = {
        {1, 1, 1, 1, 1, 1.0f},       {2, 5, 7, 3, 4, 0.7f},   {1, 49, 49, 16, 16, 0.25f},
        {3, 65, 33, 17, 31, 0.125f}, {1, 3, 300, 8, 2, 5.0f}, {2, 70, 1, 4, 4, 1.0f},
    };
    for (int variant = 0; variant < LAB_VARIANTS; variant++) {
        struct lab lab = lab_open_variant(variant);
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
            for (int form = 0; form < 16; form += 5)
                check_attention(&lab, &sizes[i], form);
        lab_close(&lab);
    }
}

struct moments {
    double p, m, v, ema;
};

/* The update of one parameter, after PyTorch's documentation. */
static void want_update(enum kiln_optimizer_kind kind, const float *h, double norm, double g,
                        struct moments *x)
{
    g /= (double)h[KILN_HYPER_LOSS_SCALE];
    double clip = (double)h[KILN_HYPER_CLIP_NORM], rate = (double)h[KILN_HYPER_LEARNING_RATE];
    double b1 = (double)h[KILN_HYPER_BETA1], b2 = (double)h[KILN_HYPER_BETA2];
    double epsilon = (double)h[KILN_HYPER_EPSILON], decay = (double)h[KILN_HYPER_WEIGHT_DECAY];
    if (clip > 0)
        g *= fmin(1, clip / (norm + 1e-6));
    if (kind == KILN_OPTIMIZER_ADAMW)
        x->p *= 1 - rate * decay;
    else
        g += decay * x->p;
    if (kind == KILN_OPTIMIZER_SGD) {
        x->m = b1 * x->m + g;
        x->p -= rate * x->m;
    } else if (kind == KILN_OPTIMIZER_RMSPROP) {
        x->v = b2 * x->v + (1 - b2) * g * g;
        x->p -= rate * g / (sqrt(x->v) + epsilon);
    } else {
        x->m = b1 * x->m + (1 - b1) * g;
        x->v = b2 * x->v + (1 - b2) * g * g;
        x->p -= rate * (x->m / (double)h[KILN_HYPER_CORRECTION1]) /
                (sqrt(x->v / (double)h[KILN_HYPER_CORRECTION2]) + epsilon);
    }
    double clamp = (double)h[KILN_HYPER_CLAMP];
    if (clamp > 0)
        x->p = fmax(-clamp, fmin(clamp, x->p));
    x->ema += (1 - (double)h[KILN_HYPER_EMA_DECAY]) * (x->p - x->ema);
}

static void check_update(struct lab *lab, enum kiln_optimizer_kind kind, const float *hyper,
                         bool finite)
{
    enum { N = 10007 };
    static double want[4][N];
    float *data[5];
    for (int i = 0; i < 5; i++)
        data[i] = lab_values((uint32_t)i + 1, N);
    const float norm[2] = {3.0f, finite ? 1.0f : 0.0f};
    for (int i = 0; i < N; i++) {
        data[2][i] = fabsf(data[2][i]);
        if (i < 16)
            data[0][i] = data[1][i] = data[2][i] = data[3][i] = data[4][i] = 0; /* a gap */
        struct moments x = {data[0][i], data[1][i], data[2][i], data[3][i]};
        if (finite && i >= 16) /* gaps stay zero */
            want_update(kind, hyper, norm[0], data[4][i], &x);
        want[0][i] = x.p;
        want[1][i] = x.m;
        want[2][i] = x.v;
        want[3][i] = x.ema;
    }
    struct kiln_step step = {.kind = KILN_STEP_UPDATE};
    struct kiln_step_update *s = &step.as.update;
    lab_clear(lab);
    *s = (struct kiln_step_update){.update = {kind, true}, .count = N};
    s->parameter = lab_put(lab, KILN_F32, N, data[0]);
    s->moment1 = lab_put(lab, KILN_F32, N, data[1]);
    s->moment2 = lab_put(lab, KILN_F32, N, data[2]);
    s->ema = lab_put(lab, KILN_F32, N, data[3]);
    s->gradient = lab_put(lab, KILN_F32, N, data[4]);
    s->hyper = lab_put(lab, KILN_F32, KILN_HYPER_WORDS, hyper);
    s->norm = lab_put(lab, KILN_F32, 2, norm);
    lab_run_first(lab, &step);
    lab_compare("parameter", N, lab_at(lab, s->parameter), want[0], 1e-6, finite ? 1e-7 : 0);
    lab_compare("moment1", N, lab_at(lab, s->moment1), want[1], 1e-6, finite ? 1e-7 : 0);
    lab_compare("moment2", N, lab_at(lab, s->moment2), want[2], 1e-6, finite ? 1e-7 : 0);
    lab_compare("ema", N, lab_at(lab, s->ema), want[3], 1e-6, finite ? 1e-7 : 0);
    for (int i = 0; i < 5; i++)
        free(data[i]);
}

static void updates(void **unused)
{
    (void)unused;
    static const float plain[KILN_HYPER_WORDS] = {
        [KILN_HYPER_LEARNING_RATE] = 0.01f, [KILN_HYPER_BETA1] = 0.9f,
        [KILN_HYPER_BETA2] = 0.99f,         [KILN_HYPER_CORRECTION1] = 0.1f,
        [KILN_HYPER_CORRECTION2] = 0.01f,   [KILN_HYPER_LOSS_SCALE] = 1};
    static const float full[KILN_HYPER_WORDS] = {
        [KILN_HYPER_LEARNING_RATE] = 0.1f, [KILN_HYPER_BETA1] = 0.5f,
        [KILN_HYPER_BETA2] = 0.9f,         [KILN_HYPER_EPSILON] = 1e-3f,
        [KILN_HYPER_WEIGHT_DECAY] = 0.1f,  [KILN_HYPER_CORRECTION1] = 0.5f,
        [KILN_HYPER_CORRECTION2] = 0.1f,   [KILN_HYPER_CLIP_NORM] = 1,
        [KILN_HYPER_EMA_DECAY] = 0.99f,    [KILN_HYPER_CLAMP] = 0.5f,
        [KILN_HYPER_LOSS_SCALE] = 8};
    for (int variant = 0; variant < LAB_VARIANTS; variant++) {
        struct lab lab = lab_open_variant(variant);
        for (int kind = 0; kind < KILN_OPTIMIZER_COUNT; kind++) {
            check_update(&lab, (enum kiln_optimizer_kind)kind, plain, true);
            check_update(&lab, (enum kiln_optimizer_kind)kind, full, true);
            check_update(&lab, (enum kiln_optimizer_kind)kind, full, false);
        }
        lab_close(&lab);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(attention), cmocka_unit_test(updates)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
