/* Dynamic thresholding of a predicted picture. */
#include "models/common/thresholding.h"

#include <math.h>

#include "core/api/nn.h"

/* 16 ways in 6 rounds leave 2^-24 of the range: the distance of floats. */
enum { WAYS = 16, ROUNDS = 6 };

static kiln_node sum_axis(kiln_graph *g, kiln_node x, int axis)
{
    return kiln_reduce_sum(g, x, 1u << axis);
}

/* How many of a [n, 1, m] are above at [n, k, 1] -> [n, k, 1]. */
static kiln_node count_above(kiln_graph *g, kiln_node a, kiln_node at)
{
    return sum_axis(g, kiln_less(g, at, a), 2);
}

/* The smallest of a [n, 1, m] above at [n, 1, 1]; huge if there is none. */
static kiln_node smallest_above(kiln_graph *g, kiln_node a, kiln_node at)
{
    kiln_node far = kiln_full(g, kiln_shape(g, a), -3e38);
    kiln_node above =
        kiln_select(g, kiln_less(g, kiln_expand(g, at, kiln_shape(g, a)), a), kiln_neg(g, a), far);
    return kiln_neg(g, kiln_reduce_max(g, above, 1u << 2));
}

/*
 * A number below a's order statistic k (from 0) and above all smaller ones, by
 * dividing the range WAYS-fold: at each of WAYS - 1 thresholds at most k of a
 * row may be at it or below, for the range's new start to be there.
 */
static kiln_node below_statistic(kiln_graph *g, kiln_node a, double k)
{
    float parts[WAYS - 1];
    for (int i = 1; i < WAYS; i++)
        parts[i - 1] = (float)i / WAYS;
    kiln_node part = kiln_constant(g, KILN_F32, KILN_SHAPE(1, WAYS - 1, 1), parts);
    kiln_node least = kiln_scalar(g, (double)kiln_shape(g, a).d[2] - k - 0.5);
    kiln_node high = kiln_reduce_max(g, a, 1u << 2);
    kiln_node low = kiln_add_scalar(g, kiln_mul_scalar(g, high, -1.0 / WAYS), -1e-30);
    kiln_node width = kiln_sub(g, high, low);
    for (int round = 0; round < ROUNDS; round++) {
        kiln_node at = kiln_add(g, low, kiln_mul(g, width, part));
        kiln_node passed = sum_axis(g, kiln_less(g, least, count_above(g, a, at)), 1);
        low = kiln_add(g, low, kiln_mul(g, width, kiln_mul_scalar(g, passed, 1.0 / WAYS)));
        width = kiln_mul_scalar(g, width, 1.0 / WAYS);
    }
    return low;
}

kiln_node row_quantile(kiln_graph *g, kiln_node a, double ratio)
{
    double m = (double)kiln_shape(g, a).d[2], position = ratio * (m - 1), k = floor(position);
    kiln_node value = smallest_above(g, a, below_statistic(g, a, k));
    /* the next in order: the same once more, or the next larger one */
    kiln_node repeated = kiln_less(g, count_above(g, a, value), kiln_scalar(g, m - k - 1.5));
    kiln_node next = kiln_select(g, repeated, value, smallest_above(g, a, value));
    return kiln_add(g, value, kiln_mul_scalar(g, kiln_sub(g, next, value), position - k));
}

kiln_node dynamic_threshold(kiln_graph *g, kiln_node x, double ratio, double max)
{
    struct kiln_shape shape = kiln_shape(g, x);
    int64_t n = shape.d[0];
    kiln_node flat = kiln_reshape(g, x, KILN_SHAPE(n, 1, kiln_shape_count(&shape) / n));
    kiln_node s = kiln_clamp(g, row_quantile(g, kiln_abs(g, flat), ratio), 1, max);
    flat = kiln_div(g, kiln_max(g, kiln_min(g, flat, s), kiln_neg(g, s)), s);
    return kiln_reshape(g, flat, shape);
}
