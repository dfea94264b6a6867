/*
 * Attention and its gradient in the oracle, row by row.
 *
 * The bounds carry the error of the scores s = c q k^T, whose magnitude is
 * t = c |q| |k|^T, through the softmax: d p = p (d s - sum p d s).
 */
#include "tests/lib/oracle_internal.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

/* Sizes and operands; p and dp are rows of n_k. */
struct attention {
    int64_t batches, n_q, n_k, d, d_v;
    double scale;
    const double *q, *k, *v;
};

static struct attention attention_of(const struct oracle_op *op)
{
    const struct kiln_shape *q = &op->operands[0].shape, *v = &op->operands[2].shape;
    return (struct attention){
        .batches = q->d[0],
        .n_q = q->d[1],
        .n_k = v->d[1],
        .d = q->d[2],
        .d_v = v->d[2],
        .scale = (double)op->node.params->attention.scale,
        .q = op->in[0].value,
        .k = op->in[1].value,
        .v = op->in[2].value,
    };
}

static double dot(int64_t n, const double *a, const double *b, bool absolute)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += absolute ? fabs(a[i] * b[i]) : a[i] * b[i];
    return sum;
}

/* Probabilities p of one row, and the absolute error s_error of its scores;
 * returns the log-sum-exp. */
static double softmax_row(const struct attention *a, int64_t b, int64_t i, double *p,
                          double *s_error)
{
    const double *q = a->q + (b * a->n_q + i) * a->d;
    double largest = -INFINITY, sum = 0;
    for (int64_t j = 0; j < a->n_k; j++) {
        const double *k = a->k + (b * a->n_k + j) * a->d;
        p[j] = a->scale * dot(a->d, q, k, false);
        s_error[j] =
            (4 + sqrt((double)a->d)) * (double)FLT_EPSILON * fabs(a->scale * dot(a->d, q, k, true));
        largest = fmax(largest, p[j]);
    }
    for (int64_t j = 0; j < a->n_k; j++)
        sum += exp(p[j] - largest);
    for (int64_t j = 0; j < a->n_k; j++) {
        s_error[j] += 3 * (double)FLT_EPSILON * (1 + fabs(p[j] - largest));
        p[j] = exp(p[j] - largest) / sum;
    }
    return largest + log(sum);
}

/* The absolute error of each probability. */
static void softmax_error(int64_t n, const double *p, const double *s_error, double *p_error)
{
    double mean = dot(n, p, s_error, false);
    for (int64_t j = 0; j < n; j++)
        p_error[j] = p[j] * (s_error[j] + mean + (6 + sqrt((double)n)) * (double)FLT_EPSILON) +
                     (double)FLT_MIN;
}

void oracle_attention(struct oracle_op *op)
{
    struct attention a = attention_of(op);
    struct oracle_tensor *out = &op->out[0], *lse = &op->out[1];
    double *p = malloc(3 * (size_t)a.n_k * sizeof *p);
    double *s_error = p + a.n_k, *p_error = p + 2 * a.n_k;
    for (int64_t row = 0; p && row < a.batches * a.n_q; row++) {
        int64_t b = row / a.n_q;
        lse->value[row] = softmax_row(&a, b, row % a.n_q, p, s_error);
        softmax_error(a.n_k, p, s_error, p_error);
        oracle_round(lse, row, fabs(lse->value[row]), 8,
                     dot(a.n_k, p, s_error, false) +
                         (4 + sqrt((double)a.n_k)) * (double)FLT_EPSILON);
        for (int64_t c = 0; c < a.d_v; c++) {
            double sum = 0, magnitude = 0, carried = 0;
            for (int64_t j = 0; j < a.n_k; j++) {
                double v = a.v[(b * a.n_k + j) * a.d_v + c];
                sum += p[j] * v;
                magnitude += p[j] * fabs(v);
                carried += p_error[j] * fabs(v);
            }
            out->value[row * a.d_v + c] = sum;
            oracle_round(out, row * a.d_v + c, magnitude, 2 + sqrt((double)a.n_k), carried);
        }
    }
    free(p);
}

/* --- gradient ----------------------------------------------------------------------- */

/* One row's S = P (dP - delta), and its absolute error. */
static void score_gradient(const struct attention *a, int64_t b, const double *d_out,
                           const double *p, const double *p_error, double *s, double *error)
{
    double delta = 0, delta_error = 0, eps = (double)FLT_EPSILON;
    double k = 4 + sqrt((double)a->d_v), sum_k = 4 + sqrt((double)a->n_k);
    for (int64_t j = 0; j < a->n_k; j++) {
        const double *v = a->v + (b * a->n_k + j) * a->d_v;
        double magnitude = dot(a->d_v, d_out, v, true);
        s[j] = dot(a->d_v, d_out, v, false);
        delta += p[j] * s[j];
        delta_error += p_error[j] * magnitude + (k + sum_k) * eps * p[j] * magnitude;
    }
    for (int64_t j = 0; j < a->n_k; j++) {
        const double *v = a->v + (b * a->n_k + j) * a->d_v;
        double centred = s[j] - delta;
        error[j] = p_error[j] * fabs(centred) + 2 * eps * p[j] * fabs(centred) +
                   p[j] * (k * eps * dot(a->d_v, d_out, v, true) + delta_error + eps * fabs(delta));
        s[j] = p[j] * centred;
    }
}

/* Adds weight * from to a row of an output; the error of the weight counts. */
static void add_row(struct oracle_tensor *out, int64_t row, int64_t width, double weight,
                    double error, const double *from, double k)
{
    for (int64_t c = 0; c < width; c++) {
        out->value[row * width + c] += weight * from[c];
        if (!out->bound)
            continue;
        out->magnitude[row * width + c] += fabs(weight * from[c]);
        out->bound[row * width + c] +=
            (error + k * (double)FLT_EPSILON * fabs(weight)) * fabs(from[c]) + (double)FLT_MIN;
    }
}

void oracle_attention_grad(struct oracle_op *op)
{
    struct attention a = attention_of(op);
    const double *d_out = op->in[5].value;
    double k_row = 4 + sqrt((double)a.n_k), k_column = 4 + sqrt((double)a.n_q);
    double *p = malloc(5 * (size_t)a.n_k * sizeof *p);
    double *s_error = p + a.n_k, *p_error = p + 2 * a.n_k, *s = p + 3 * a.n_k,
           *error = p + 4 * a.n_k;
    for (int64_t row = 0; p && row < a.batches * a.n_q; row++) {
        int64_t b = row / a.n_q;
        const double *d = d_out + row * a.d_v, *q = a.q + row * a.d;
        softmax_row(&a, b, row % a.n_q, p, s_error);
        softmax_error(a.n_k, p, s_error, p_error);
        score_gradient(&a, b, d, p, p_error, s, error);
        for (int64_t j = 0; j < a.n_k; j++) {
            int64_t key = b * a.n_k + j;
            double weight = a.scale * s[j], carried = fabs(a.scale) * error[j];
            add_row(&op->out[0], row, a.d, weight, carried, a.k + key * a.d, k_row);
            add_row(&op->out[1], key, a.d, weight, carried, q, k_column);
            add_row(&op->out[2], key, a.d_v, p[j], p_error[j], d, k_column);
        }
    }
    free(p);
}
