/* The score of a mixture of Gaussians, in closed form. */
#include <math.h>

#include "models/ncsn/ncsn.h"

enum { AXIS_COMPONENT = 1, AXIS_COORDINATE = 2 };

/*
 * A Gaussian with noise is a Gaussian of variance v = s^2 + sigma^2, and the
 * score of the mixture is sum_k r_k (mu_k - x) / v_k with responsibilities r.
 */
kiln_node mixture_score(const struct kiln_mixture *mixture, kiln_graph *g, kiln_node x,
                        kiln_node sigma)
{
    float mean[2 * KILN_MIXTURE_MAX], variance[2 * KILN_MIXTURE_MAX], log_weight[KILN_MIXTURE_MAX];
    int64_t n = kiln_shape(g, x).d[0], k = mixture->n;
    for (int i = 0; i < mixture->n; i++) {
        log_weight[i] = (float)log(mixture->weight[i]);
        for (int axis = 0; axis < 2; axis++) {
            mean[2 * i + axis] = (float)mixture->mean[i][axis];
            variance[2 * i + axis] = (float)(mixture->sigma[i][axis] * mixture->sigma[i][axis]);
        }
    }
    kiln_node noise = kiln_reshape(g, kiln_square(g, sigma), KILN_SHAPE(n, 1, 1));
    kiln_node v = kiln_add(g, kiln_constant(g, KILN_F32, KILN_SHAPE(1, k, 2), variance), noise);
    kiln_node pull = kiln_sub(g, kiln_constant(g, KILN_F32, KILN_SHAPE(1, k, 2), mean),
                              kiln_reshape(g, x, KILN_SHAPE(n, 1, 2)));
    kiln_node exponent = kiln_add(g, kiln_div(g, kiln_square(g, pull), v), kiln_log(g, v));
    kiln_node log_density =
        kiln_sub(g, kiln_constant(g, KILN_F32, KILN_SHAPE(1, k, 1), log_weight),
                 kiln_mul_scalar(g, kiln_reduce_sum(g, exponent, 1u << AXIS_COORDINATE), 0.5));
    kiln_node responsibility = kiln_softmax(g, log_density, AXIS_COMPONENT);
    kiln_node score = kiln_mul(g, responsibility, kiln_div(g, pull, v));
    return kiln_reshape(g, kiln_reduce_sum(g, score, 1u << AXIS_COMPONENT), KILN_SHAPE(n, 2));
}
