/* Activations, sums, softmax, losses: functions without parameters. */
#include "core/graph/internal.h"

#include <math.h>
#include <stdlib.h>

#include "core/api/nn.h"

#define SQRT_HALF        0.70710678118654752
#define SQRT_TWO_OVER_PI 0.79788456080286536

kiln_node kiln_add_scalar(kiln_graph *g, kiln_node x, double value)
{
    return kiln_add(g, x, kiln_scalar(g, value));
}

kiln_node kiln_mul_scalar(kiln_graph *g, kiln_node x, double value)
{
    return kiln_mul(g, x, kiln_scalar(g, value));
}

kiln_node kiln_square(kiln_graph *g, kiln_node x)
{
    return kiln_mul(g, x, x);
}

/* --- activations ------------------------------------------------------------- */

/* Zero first: the gradient at 0 is 0, as PyTorch's. */
kiln_node kiln_relu(kiln_graph *g, kiln_node x)
{
    return kiln_max(g, kiln_scalar(g, 0), x);
}

kiln_node kiln_leaky_relu(kiln_graph *g, kiln_node x, double slope)
{
    kiln_node positive = kiln_less(g, kiln_scalar(g, 0), x);
    return kiln_select(g, positive, x, kiln_mul_scalar(g, x, slope));
}

/* The exponential sees no positive argument: the branch that is not taken
 * stays finite, and so do its gradients. */
kiln_node kiln_elu(kiln_graph *g, kiln_node x, double alpha)
{
    kiln_node zero = kiln_scalar(g, 0);
    kiln_node curve = kiln_mul_scalar(g, kiln_expm1(g, kiln_min(g, x, zero)), alpha);
    return kiln_select(g, kiln_less(g, x, zero), curve, x);
}

kiln_node kiln_silu(kiln_graph *g, kiln_node x)
{
    return kiln_mul(g, x, kiln_sigmoid(g, x));
}

kiln_node kiln_gelu(kiln_graph *g, kiln_node x)
{
    kiln_node cdf = kiln_add_scalar(g, kiln_erf(g, kiln_mul_scalar(g, x, SQRT_HALF)), 1);
    return kiln_mul(g, kiln_mul_scalar(g, x, 0.5), cdf);
}

kiln_node kiln_gelu_tanh(kiln_graph *g, kiln_node x)
{
    kiln_node cubic = kiln_mul_scalar(g, kiln_mul(g, kiln_square(g, x), x), 0.044715);
    kiln_node inner = kiln_mul_scalar(g, kiln_add(g, x, cubic), SQRT_TWO_OVER_PI);
    kiln_node gate = kiln_add_scalar(g, kiln_tanh(g, inner), 1);
    return kiln_mul(g, kiln_mul_scalar(g, x, 0.5), gate);
}

kiln_node kiln_quick_gelu(kiln_graph *g, kiln_node x)
{
    return kiln_mul(g, x, kiln_sigmoid(g, kiln_mul_scalar(g, x, 1.702)));
}

/* log(1 + exp(-|x|)). |x| is max(x, -x), whose slope at 0 is that of x: with
 * max(x, 0), of slope 1 there, softplus has the right slope 1/2. */
static kiln_node log1p_exp_minus_abs(kiln_graph *g, kiln_node x)
{
    kiln_node magnitude = kiln_max(g, x, kiln_neg(g, x));
    return kiln_log1p(g, kiln_exp(g, kiln_neg(g, magnitude)));
}

kiln_node kiln_softplus(kiln_graph *g, kiln_node x)
{
    return kiln_add(g, kiln_max(g, x, kiln_scalar(g, 0)), log1p_exp_minus_abs(g, x));
}

kiln_node kiln_clamp(kiln_graph *g, kiln_node x, double low, double high)
{
    return kiln_min(g, kiln_max(g, x, kiln_scalar(g, low)), kiln_scalar(g, high));
}

/* --- sums -------------------------------------------------------------------- */

static uint32_t all_axes(const kiln_graph *g, kiln_node x)
{
    return (1u << kiln_shape(g, x).n) - 1;
}

kiln_node kiln_mean(kiln_graph *g, kiln_node x, uint32_t axes)
{
    struct kiln_shape shape = kiln_shape(g, x);
    double count = 1;
    for (int axis = 0; axis < shape.n; axis++)
        if (axes >> axis & 1)
            count *= (double)shape.d[axis];
    return kiln_mul_scalar(g, kiln_reduce_sum(g, x, axes), 1 / count);
}

kiln_node kiln_sum_all(kiln_graph *g, kiln_node x)
{
    return kiln_reshape(g, kiln_reduce_sum(g, x, all_axes(g, x)), (struct kiln_shape){0});
}

kiln_node kiln_mean_all(kiln_graph *g, kiln_node x)
{
    return kiln_reshape(g, kiln_mean(g, x, all_axes(g, x)), (struct kiln_shape){0});
}

kiln_node kiln_sum_per_sample(kiln_graph *g, kiln_node x)
{
    struct kiln_shape shape = kiln_shape(g, x);
    if (!g->status && shape.n < 1) {
        kiln_graph_fail(g, "sum per sample: a scalar has no samples");
        return 0;
    }
    return kiln_reshape(g, kiln_reduce_sum(g, x, all_axes(g, x) & ~1u), KILN_SHAPE(shape.d[0]));
}

/* --- softmax and losses ------------------------------------------------------ */

static uint32_t axis_mask(kiln_graph *g, kiln_node x, int axis)
{
    if (axis >= 0 && axis < kiln_shape(g, x).n)
        return 1u << axis;
    kiln_graph_fail(g, "softmax: no axis %d", axis);
    return 0;
}

/* The largest element is a constant here: softmax does not depend on it. */
static kiln_node shifted(kiln_graph *g, kiln_node x, uint32_t mask)
{
    return kiln_sub(g, x, kiln_stop_gradient(g, kiln_reduce_max(g, x, mask)));
}

kiln_node kiln_softmax(kiln_graph *g, kiln_node x, int axis)
{
    uint32_t mask = axis_mask(g, x, axis);
    kiln_node e = kiln_exp(g, shifted(g, x, mask));
    return kiln_div(g, e, kiln_reduce_sum(g, e, mask));
}

kiln_node kiln_log_softmax(kiln_graph *g, kiln_node x, int axis)
{
    uint32_t mask = axis_mask(g, x, axis);
    kiln_node y = shifted(g, x, mask);
    return kiln_sub(g, y, kiln_log(g, kiln_reduce_sum(g, kiln_exp(g, y), mask)));
}

kiln_node kiln_bce_with_logits(kiln_graph *g, kiln_node logits, kiln_node target)
{
    kiln_node linear =
        kiln_sub(g, kiln_max(g, logits, kiln_scalar(g, 0)), kiln_mul(g, logits, target));
    return kiln_add(g, linear, log1p_exp_minus_abs(g, logits));
}

kiln_node kiln_scaled_attention(kiln_graph *g, kiln_node q, kiln_node k, kiln_node v, float scale)
{
    return kiln_attention(g, q, k, v, scale, NULL);
}

kiln_node kiln_dropout(kiln_graph *g, kiln_node x, double p, uint32_t stream)
{
    if (!(p >= 0 && p < 1)) {
        kiln_graph_fail(g, "dropout: the probability %g is not in [0, 1)", p);
        return 0;
    }
    if (p == 0 || g->status)
        return x;
    struct kiln_rng uniform = {.kind = KILN_RNG_UNIFORM, .stream = stream};
    kiln_node dropped = kiln_less(g, kiln_random(g, kiln_shape(g, x), uniform), kiln_scalar(g, p));
    return kiln_select(g, dropped, kiln_scalar(g, 0), kiln_mul_scalar(g, x, 1 / (1 - p)));
}

/* --- shapes ------------------------------------------------------------------ */

kiln_node kiln_flatten(kiln_graph *g, kiln_node x)
{
    struct kiln_shape shape = kiln_shape(g, x);
    if (!g->status && shape.n < 1) {
        kiln_graph_fail(g, "flatten: a scalar has no samples");
        return 0;
    }
    int64_t rest = 1;
    for (int axis = 1; axis < shape.n; axis++)
        rest *= shape.d[axis];
    return kiln_reshape(g, x, KILN_SHAPE(shape.d[0], rest));
}

kiln_node kiln_transpose(kiln_graph *g, kiln_node x, int axis_a, int axis_b)
{
    int rank = kiln_shape(g, x).n, permutation[KILN_MAX_DIMS];
    if (g->status)
        return 0;
    if (axis_a < 0 || axis_b < 0 || axis_a >= rank || axis_b >= rank) {
        kiln_graph_fail(g, "transpose: axes %d and %d of %d", axis_a, axis_b, rank);
        return 0;
    }
    for (int axis = 0; axis < rank; axis++)
        permutation[axis] = axis == axis_a ? axis_b : axis == axis_b ? axis_a : axis;
    return kiln_permute(g, x, permutation);
}

kiln_node kiln_narrow(kiln_graph *g, kiln_node x, int axis, int64_t start, int64_t size)
{
    struct kiln_shape shape = kiln_shape(g, x);
    int64_t from[KILN_MAX_DIMS] = {0}, step[KILN_MAX_DIMS];
    if (g->status)
        return 0;
    if (axis < 0 || axis >= shape.n) {
        kiln_graph_fail(g, "narrow: no axis %d", axis);
        return 0;
    }
    for (int i = 0; i < KILN_MAX_DIMS; i++)
        step[i] = 1;
    from[axis] = start;
    shape.d[axis] = size;
    return kiln_slice(g, x, from, shape, step);
}

/* 0, 1, ..., n - 1 as i32 [n]. */
static kiln_node counting(kiln_graph *g, int64_t n)
{
    if (n < 1 || n > INT32_MAX) {
        kiln_graph_fail(g, "one hot: %lld classes", (long long)n);
        return 0;
    }
    int32_t *numbers = malloc((size_t)n * sizeof *numbers);
    if (!numbers)
        return kiln_graph_no_memory(g);
    for (int64_t i = 0; i < n; i++)
        numbers[i] = (int32_t)i;
    kiln_node node = kiln_constant(g, KILN_I32, KILN_SHAPE(n), numbers);
    free(numbers);
    return node;
}

kiln_node kiln_one_hot(kiln_graph *g, kiln_node label, int64_t classes)
{
    kiln_node column = kiln_reshape(g, label, KILN_SHAPE(kiln_shape(g, label).d[0], 1));
    return kiln_equal(g, column, counting(g, classes));
}
