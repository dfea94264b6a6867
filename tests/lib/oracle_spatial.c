/* Matmul, convolutions, windows and resampling of the oracle. */
#include "tests/lib/oracle_internal.h"

#include <math.h>
#include <string.h>

static void matmul(const struct oracle_op *op, const double *const *x, double *y)
{
    const struct kiln_shape *sa = &op->operands[0].shape, *out = &op->node.shape;
    bool ta = op->node.params->matmul.transpose_a, tb = op->node.params->matmul.transpose_b;
    int r = out->n;
    int64_t batches = r == 3 ? out->d[0] : 1, m = out->d[r - 2], n = out->d[r - 1];
    int64_t k = sa->d[ta ? r - 2 : r - 1];
    for (int64_t b = 0; b < batches; b++)
        for (int64_t i = 0; i < m; i++)
            for (int64_t j = 0; j < n; j++) {
                double sum = 0;
                for (int64_t p = 0; p < k; p++)
                    sum += x[0][b * m * k + (ta ? p * m + i : i * k + p)] *
                           x[1][b * k * n + (tb ? j * k + p : p * n + j)];
                y[(b * m + i) * n + j] = sum;
            }
}

void oracle_matmul(struct oracle_op *op)
{
    int r = op->node.shape.n;
    bool ta = op->node.params->matmul.transpose_a;
    oracle_by_linear(op, matmul, 2, false, (double)op->operands[0].shape.d[ta ? r - 2 : r - 1]);
}

/* --- convolution ------------------------------------------------------------------ */

/* The three tensors of a convolution, one of which is the result. */
struct conv_roles {
    const struct kiln_shape *x, *weight, *y;
    const double *x_in, *weight_in, *y_in; /* NULL: this one is the result */
    double *out;
};

/* Adds the terms of one output pixel and one channel pair. */
static void conv_taps(const struct conv_roles *r, const struct kiln_conv *conv,
                      const int64_t index[4], int64_t channel, int64_t input_channel)
{
    int64_t kh = r->weight->d[2], kw = r->weight->d[3], h = r->x->d[2], w = r->x->d[3];
    int64_t y_at =
        ((index[0] * r->y->d[1] + index[1]) * r->y->d[2] + index[2]) * r->y->d[3] + index[3];
    for (int64_t i = 0; i < kh; i++)
        for (int64_t j = 0; j < kw; j++) {
            int64_t row = index[2] * conv->stride[0] + i * conv->dilation[0] - conv->pad[0];
            int64_t column = index[3] * conv->stride[1] + j * conv->dilation[1] - conv->pad[2];
            if (row < 0 || row >= h || column < 0 || column >= w)
                continue;
            int64_t x_at = ((index[0] * r->x->d[1] + input_channel) * h + row) * w + column;
            int64_t w_at = ((index[1] * r->weight->d[1] + channel) * kh + i) * kw + j;
            if (!r->y_in)
                r->out[y_at] += r->x_in[x_at] * r->weight_in[w_at];
            else if (!r->x_in)
                r->out[x_at] += r->y_in[y_at] * r->weight_in[w_at];
            else
                r->out[w_at] += r->x_in[x_at] * r->y_in[y_at];
        }
}

static void conv(const struct oracle_op *op, const double *const *x, double *y)
{
    const struct kiln_shape *a = &op->operands[0].shape, *b = &op->operands[1].shape;
    const struct kiln_shape *result = &op->node.shape;
    struct conv_roles r = {a, b, result, x[0], x[1], NULL, y};
    if (op->node.op == KILN_OP_CONV_INPUT_GRAD)
        r = (struct conv_roles){result, b, a, NULL, x[1], x[0], y};
    else if (op->node.op == KILN_OP_CONV_WEIGHT_GRAD)
        r = (struct conv_roles){a, result, b, x[0], NULL, x[1], y};
    int64_t index[KILN_MAX_DIMS] = {0};
    int64_t per_group = r.y->d[1] / op->node.params->conv.groups;
    memset(y, 0, (size_t)op->out->n * sizeof *y);
    do
        for (int64_t channel = 0; channel < r.weight->d[1]; channel++)
            conv_taps(&r, &op->node.params->conv, index, channel,
                      index[1] / per_group * r.weight->d[1] + channel);
    while (oracle_next(r.y, index));
}

void oracle_conv(struct oracle_op *op)
{
    const struct kiln_shape *a = &op->operands[0].shape, *b = &op->operands[1].shape;
    double terms = (double)(b->d[1] * b->d[2] * b->d[3]);
    if (op->node.op == KILN_OP_CONV_INPUT_GRAD)
        terms = (double)(b->d[0] / op->node.params->conv.groups * b->d[2] * b->d[3]);
    else if (op->node.op == KILN_OP_CONV_WEIGHT_GRAD)
        terms = (double)(a->d[0] * b->d[2] * b->d[3]);
    oracle_by_linear(op, conv, 2, false, terms);
}

/* --- windows ---------------------------------------------------------------------- */

static void argmax(struct oracle_op *op)
{
    const struct kiln_window *window = &op->node.params->window;
    const struct kiln_shape *in = &op->operands[0].shape;
    int64_t h = in->d[2], w = in->d[3], index[KILN_MAX_DIMS] = {0}, e = 0;
    do {
        const double *plane = op->in->value + (index[0] * in->d[1] + index[1]) * h * w;
        int64_t best = -1;
        for (int64_t i = 0; i < window->size[0] * window->size[1]; i++) {
            int64_t row = index[2] * window->stride[0] - window->pad[0] + i / window->size[1];
            int64_t column = index[3] * window->stride[1] - window->pad[2] + i % window->size[1];
            if (row < 0 || row >= h || column < 0 || column >= w)
                continue;
            if (best < 0 || plane[row * w + column] > plane[best])
                best = row * w + column;
        }
        op->out->value[e] = (double)best;
        oracle_round(op->out, e++, 0, 0, 0);
    } while (oracle_next(&op->node.shape, index));
}

static void window_gather(const struct oracle_op *op, const double *const *x, double *y)
{
    int64_t plane = op->operands[0].shape.d[2] * op->operands[0].shape.d[3];
    int64_t per = op->node.shape.d[2] * op->node.shape.d[3];
    for (int64_t e = 0; e < op->out->n; e++)
        y[e] = x[0][e / per * plane + (int64_t)op->in[1].value[e]];
}

static void window_scatter(const struct oracle_op *op, const double *const *x, double *y)
{
    int64_t plane = op->node.shape.d[2] * op->node.shape.d[3];
    int64_t per = op->operands[0].shape.d[2] * op->operands[0].shape.d[3];
    memset(y, 0, (size_t)op->out->n * sizeof *y);
    for (int64_t e = 0; e < op->in[0].n; e++)
        y[e / per * plane + (int64_t)op->in[1].value[e]] += x[0][e];
}

void oracle_window(struct oracle_op *op)
{
    const struct kiln_window *window = &op->node.params->window;
    if (op->node.op == KILN_OP_WINDOW_ARGMAX)
        argmax(op);
    else if (op->node.op == KILN_OP_WINDOW_GATHER)
        oracle_by_linear(op, window_gather, 1, false, 1);
    else
        oracle_by_linear(op, window_scatter, 1, false, (double)window->size[0] * window->size[1]);
}

/* --- resampling ------------------------------------------------------------------- */

/* Weight of source pixel i in target pixel o of one axis. */
static double resample_weight(enum kiln_resample_kind kind, int64_t in, int64_t out, int64_t o,
                              int64_t i)
{
    if (kind == KILN_RESAMPLE_NEAREST)
        return i == o * in / out;
    if (kind == KILN_RESAMPLE_MEAN)
        return i / (in / out) == o ? (double)out / (double)in : 0;
    double at;
    if (kind == KILN_RESAMPLE_BILINEAR)
        at = fmax(0, ((double)o + 0.5) * (double)in / (double)out - 0.5);
    else
        at = out > 1 ? (double)o * (double)(in - 1) / (double)(out - 1) : 0;
    at = fmin(at, (double)(in - 1)); /* beyond the last centre: the last pixel */
    return fmax(0, 1 - fabs(at - (double)i));
}

static void resample(const struct oracle_op *op, const double *const *x, double *y)
{
    const struct kiln_resample *r = &op->node.params->resample;
    int64_t planes = op->node.shape.d[0] * op->node.shape.d[1];
    int64_t small = r->in[0] * r->in[1], large = r->out[0] * r->out[1];
    memset(y, 0, (size_t)op->out->n * sizeof *y);
    for (int64_t o = 0; o < large; o++)
        for (int64_t i = 0; i < small; i++) {
            double weight =
                resample_weight(r->kind, r->in[0], r->out[0], o / r->out[1], i / r->in[1]) *
                resample_weight(r->kind, r->in[1], r->out[1], o % r->out[1], i % r->in[1]);
            for (int64_t p = 0; p < planes && weight != 0; p++) {
                if (r->adjoint)
                    y[p * small + i] += weight * x[0][p * large + o];
                else
                    y[p * large + o] += weight * x[0][p * small + i];
            }
        }
}

/* Weights are rounded to f32: two terms more. */
void oracle_resample(struct oracle_op *op)
{
    const struct kiln_resample *r = &op->node.params->resample;
    double terms = 4;
    for (int axis = 0; axis < 2; axis++) {
        double ratio = (double)r->in[axis] / (double)r->out[axis];
        if (r->adjoint)
            ratio = 1 / ratio;
        if (ratio > 1)
            terms *= ceil(ratio) + 1;
    }
    oracle_by_linear(op, resample, 1, false, terms);
}
