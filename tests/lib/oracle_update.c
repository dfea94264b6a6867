/*
 * Optimiser steps of the oracle, as torch.optim takes them. Order: loss scale,
 * clipping by the global norm, update, clamp, average.
 */
#include "tests/lib/oracle_internal.h"

#include <math.h>

/* { norm of all gradients divided by the loss scale, 1 if it is finite }. */
void oracle_update_norm(struct oracle_op *op)
{
    int n = (op->node.n_operands - 1) / 2;
    double sum = 0;
    for (int i = n; i < 2 * n; i++)
        for (int64_t e = 0; e < op->in[i].n; e++)
            sum += op->in[i].value[e] * op->in[i].value[e];
    double norm = sqrt(sum) / op->in[2 * n].value[KILN_HYPER_LOSS_SCALE];
    op->out->value[0] = norm;
    op->out->value[1] = isfinite(norm);
    oracle_round(op->out, 0, fabs(norm), 16, 0);
    oracle_round(op->out, 1, 1, 0, 0);
}

/* Element e of the state after one step with the clipped gradient g. */
static double updated(enum kiln_optimizer_kind kind, const double *hyper, int64_t e, double g,
                      struct oracle_state *state)
{
    double rate = hyper[KILN_HYPER_LEARNING_RATE], decay = hyper[KILN_HYPER_WEIGHT_DECAY];
    double beta1 = hyper[KILN_HYPER_BETA1], beta2 = hyper[KILN_HYPER_BETA2];
    double epsilon = hyper[KILN_HYPER_EPSILON];
    double p = state->part[KILN_ORACLE_VALUE][e];
    double *m = &state->part[KILN_ORACLE_MOMENT1][e], *v = &state->part[KILN_ORACLE_MOMENT2][e];
    if (kind == KILN_OPTIMIZER_ADAMW)
        p -= rate * decay * p;
    else
        g += decay * p;
    if (kind == KILN_OPTIMIZER_SGD) {
        *m = beta1 * *m + g;
        return p - rate * *m;
    }
    *v = beta2 * *v + (1 - beta2) * g * g;
    if (kind == KILN_OPTIMIZER_RMSPROP)
        return p - rate * g / (sqrt(*v) + epsilon);
    *m = beta1 * *m + (1 - beta1) * g;
    double root = sqrt(*v) / sqrt(hyper[KILN_HYPER_CORRECTION2]);
    return p - rate / hyper[KILN_HYPER_CORRECTION1] * *m / (root + epsilon);
}

void oracle_update_state(struct kiln_update update, const double *hyper, const double *norm,
                         int64_t n, const double *gradient, struct oracle_state *state)
{
    double factor = 1 / hyper[KILN_HYPER_LOSS_SCALE], clamp = hyper[KILN_HYPER_CLAMP];
    if (norm[1] == 0)
        return;
    if (hyper[KILN_HYPER_CLIP_NORM] > 0) /* torch.nn.utils.clip_grad_norm_ */
        factor *= fmin(1, hyper[KILN_HYPER_CLIP_NORM] / (norm[0] + 1e-6));
    double *value = state->part[KILN_ORACLE_VALUE], *ema = state->part[KILN_ORACLE_EMA];
    for (int64_t e = 0; e < n; e++) {
        double p = updated(update.kind, hyper, e, factor * gradient[e], state);
        value[e] = clamp > 0 ? fmin(fmax(p, -clamp), clamp) : p;
        if (update.ema)
            ema[e] += (1 - hyper[KILN_HYPER_EMA_DECAY]) * (value[e] - ema[e]);
    }
}
