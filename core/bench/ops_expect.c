/* What an element of an operation's result should be: the definition, in
 * double, and nothing of how devices do it. */
#include <math.h>

#include "core/bench/ops.h"

/* A sum with the sum of its terms' absolute values. */
struct sum {
    double value, magnitude;
};

static void add(struct sum *sum, double term)
{
    sum->value += term;
    sum->magnitude += fabs(term);
}

static void expect_matmul(const struct kiln_op_case *c, const float *const *x, int64_t index,
                          struct sum *sum)
{
    int64_t n = c->size[1], k = c->size[2], row = index / n, column = index % n;
    for (int64_t p = 0; p < k; p++)
        add(sum, (double)x[0][row * k + p] * x[1][p * n + column]);
}

static double silu(double x)
{
    return x / (1 + exp(-x));
}

/* --- convolutions ---------------------------------------------------------------------------- */

/* Sizes, and element offsets of the three operands. */
struct conv {
    int64_t n, c, h, o, k, stride, pad, side;
};

static int64_t at_x(const struct conv *v, int64_t n, int64_t c, int64_t y, int64_t x)
{
    return ((n * v->c + c) * v->h + y) * v->h + x;
}

static int64_t at_y(const struct conv *v, int64_t n, int64_t o, int64_t y, int64_t x)
{
    return ((n * v->o + o) * v->side + y) * v->side + x;
}

static int64_t at_weight(const struct conv *v, int64_t o, int64_t c, int64_t y, int64_t x)
{
    return ((o * v->c + c) * v->k + y) * v->k + x;
}

static void expect_forward(const struct conv *v, const float *x, const float *weight, int64_t index,
                           struct sum *sum)
{
    int64_t ox = index % v->side, oy = index / v->side % v->side;
    int64_t o = index / (v->side * v->side) % v->o, n = index / (v->side * v->side * v->o);
    for (int64_t c = 0; c < v->c; c++)
        for (int64_t ky = 0; ky < v->k; ky++)
            for (int64_t kx = 0; kx < v->k; kx++) {
                int64_t y = oy * v->stride + ky - v->pad, z = ox * v->stride + kx - v->pad;
                if (y >= 0 && y < v->h && z >= 0 && z < v->h)
                    add(sum, (double)x[at_x(v, n, c, y, z)] * weight[at_weight(v, o, c, ky, kx)]);
            }
}

static void expect_input_grad(const struct conv *v, const float *d_y, const float *weight,
                              int64_t index, struct sum *sum)
{
    int64_t x = index % v->h, y = index / v->h % v->h;
    int64_t c = index / (v->h * v->h) % v->c, n = index / (v->h * v->h * v->c);
    for (int64_t o = 0; o < v->o; o++)
        for (int64_t ky = 0; ky < v->k; ky++)
            for (int64_t kx = 0; kx < v->k; kx++) {
                int64_t sy = y + v->pad - ky, sx = x + v->pad - kx;
                int64_t oy = sy / v->stride, ox = sx / v->stride;
                if (sy >= 0 && sx >= 0 && sy % v->stride == 0 && sx % v->stride == 0 &&
                    oy < v->side && ox < v->side)
                    add(sum,
                        (double)d_y[at_y(v, n, o, oy, ox)] * weight[at_weight(v, o, c, ky, kx)]);
            }
}

static void expect_weight_grad(const struct conv *v, const float *x, const float *d_y,
                               int64_t index, struct sum *sum)
{
    int64_t kx = index % v->k, ky = index / v->k % v->k;
    int64_t c = index / (v->k * v->k) % v->c, o = index / (v->k * v->k * v->c);
    for (int64_t n = 0; n < v->n; n++)
        for (int64_t oy = 0; oy < v->side; oy++)
            for (int64_t ox = 0; ox < v->side; ox++) {
                int64_t y = oy * v->stride + ky - v->pad, z = ox * v->stride + kx - v->pad;
                if (y >= 0 && y < v->h && z >= 0 && z < v->h)
                    add(sum, (double)x[at_x(v, n, c, y, z)] * d_y[at_y(v, n, o, oy, ox)]);
            }
}

/* --- the others ---------------------------------------------------------------------------------
 */

static void expect_norm(const struct kiln_op_case *c, const float *x, int64_t index,
                        struct sum *sum)
{
    int64_t count = c->size[1] / c->size[3] * c->size[2] * c->size[2];
    const float *group = x + index / count * count;
    double mean = 0, variance = 0;
    for (int64_t i = 0; i < count; i++)
        mean += group[i] / (double)count;
    for (int64_t i = 0; i < count; i++)
        variance += (group[i] - mean) * (group[i] - mean) / (double)count;
    sum->value = silu((x[index] - mean) / sqrt(variance + 1e-5));
    sum->magnitude = 1 + fabs(sum->value);
}

static void expect_softmax(const struct kiln_op_case *c, const float *x, int64_t index,
                           struct sum *sum)
{
    const float *row = x + index / c->size[1] * c->size[1];
    double total = 0;
    for (int64_t i = 0; i < c->size[1]; i++)
        total += exp((double)row[i]);
    sum->value = sum->magnitude = exp((double)x[index]) / total;
}

static void expect_attention(const struct kiln_op_case *c, const float *const *x, int64_t index,
                             struct sum *sum)
{
    int64_t keys = c->size[1], width = c->size[2], column = index % width;
    int64_t row = index / width % keys, first = index / (width * keys) * keys;
    double total = 0, scale = 1 / sqrt((double)width);
    for (int64_t k = 0; k < keys; k++) {
        double score = 0;
        for (int64_t d = 0; d < width; d++)
            score += (double)x[0][(first + row) * width + d] * x[1][(first + k) * width + d];
        total += exp(scale * score);
        add(sum, exp(scale * score) * x[2][(first + k) * width + column]);
    }
    sum->value /= total;
    sum->magnitude /= total;
}

static void expect_reduction(const struct kiln_op_case *c, const float *x, int64_t index,
                             struct sum *sum)
{
    int64_t n = c->size[0], channels = c->size[1], pixels = c->size[2] * c->size[2];
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < channels; k++)
            for (int64_t p = 0; (c->size[3] || k == index) && p < pixels; p++)
                add(sum, x[(i * channels + k) * pixels + p]);
}

static void expect_moved(const struct kiln_op_case *c, enum kiln_op_family family,
                         const float *const *x, int64_t index, struct sum *sum)
{
    int64_t rows = c->size[1], columns = c->size[2];
    if (family == KILN_FAMILY_CONCAT) {
        int64_t each = rows * columns * columns, n = index / (2 * each), rest = index % (2 * each);
        add(sum, x[rest / each][n * each + rest % each]);
    } else {
        int64_t row = index % rows, column = index / rows % columns, n = index / (rows * columns);
        add(sum, x[0][(n * rows + row) * columns + column]);
    }
}

double kiln_op_expect(const struct kiln_op_case *c, enum kiln_op_family family,
                      const float *const inputs[KILN_OP_MAX_INPUTS], int64_t index,
                      double *magnitude)
{
    const int64_t *s = c->size;
    struct sum sum = {0};
    bool is_conv = family >= KILN_FAMILY_CONV && family <= KILN_FAMILY_CONV_WEIGHT_GRAD;
    const struct conv conv = {s[0], s[1], s[2], s[3],
                              s[4], s[5], s[6], is_conv ? kiln_op_conv_side(c) : 0};
    int64_t plane = s[2] * s[2], channel = plane > 0 ? index / plane % s[1] : 0;
    switch (family) {
    case KILN_FAMILY_MATMUL:
        expect_matmul(c, inputs, index, &sum);
        break;
    case KILN_FAMILY_CONV:
        expect_forward(&conv, inputs[0], inputs[1], index, &sum);
        break;
    case KILN_FAMILY_CONV_INPUT_GRAD:
        expect_input_grad(&conv, inputs[0], inputs[1], index, &sum);
        break;
    case KILN_FAMILY_CONV_WEIGHT_GRAD:
        expect_weight_grad(&conv, inputs[0], inputs[1], index, &sum);
        break;
    case KILN_FAMILY_NORM:
        expect_norm(c, inputs[0], index, &sum);
        break;
    case KILN_FAMILY_SOFTMAX:
        expect_softmax(c, inputs[0], index, &sum);
        break;
    case KILN_FAMILY_ATTENTION:
        expect_attention(c, inputs, index, &sum);
        break;
    case KILN_FAMILY_POINTWISE:
        sum.value = silu((double)inputs[0][index] * inputs[1][channel] + inputs[2][channel]) +
                    inputs[3][index];
        sum.magnitude = 1 + fabs(sum.value);
        break;
    case KILN_FAMILY_REDUCTION:
        expect_reduction(c, inputs[0], index, &sum);
        break;
    default:
        expect_moved(c, family, inputs, index, &sum);
        break;
    }
    *magnitude = sum.magnitude;
    return sum.value;
}
