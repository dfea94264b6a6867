/* How the oracle carries error bounds, and how it walks an index. */
#include "tests/lib/oracle_internal.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LINEAR_OPERANDS = 4 };

void oracle_round(struct oracle_tensor *tensor, int64_t element, double magnitude, double k,
                  double carried)
{
    if (!tensor->bound)
        return;
    tensor->magnitude[element] = magnitude;
    tensor->bound[element] = carried;
    if (k > 0)
        tensor->bound[element] += k * (double)FLT_EPSILON * magnitude + (double)FLT_MIN;
}

bool oracle_next(const struct kiln_shape *shape, int64_t *index)
{
    for (int axis = shape->n - 1; axis >= 0; axis--) {
        if (++index[axis] < shape->d[axis])
            return true;
        index[axis] = 0;
    }
    return false;
}

/* A copy of n numbers' absolute values, or their squares; NULL on failure. */
static double *converted(int64_t n, const double *x, bool squared)
{
    double *copy = malloc((size_t)n * sizeof *copy);
    for (int64_t e = 0; copy && e < n; e++)
        copy[e] = squared ? x[e] * x[e] : fabs(x[e]);
    return copy;
}

/* Adds the variance that the error of operand i (of all n, if joint) carries
 * into the result: with squared coefficients and squared errors. */
static void add_variance(struct oracle_op *op, oracle_linear *f, int n, bool joint, int i,
                         double *sum)
{
    const double *x[MAX_LINEAR_OPERANDS];
    double *owned[MAX_LINEAR_OPERANDS] = {NULL}, *part = malloc((size_t)op->out->n * sizeof *part);
    bool good = part != NULL;
    for (int j = 0; j < op->node.n_operands; j++) {
        const struct oracle_tensor *in = &op->in[j];
        if (j < n)
            owned[j] = converted(in->n, joint || j == i ? in->bound : in->value, true);
        x[j] = j < n ? owned[j] : in->value;
        good = good && x[j];
    }
    if (good)
        f(op, x, part);
    for (int64_t e = 0; good && e < op->out->n; e++)
        sum[e] += part[e];
    for (int j = 0; j < n; j++)
        free(owned[j]);
    free(part);
}

void oracle_by_linear(struct oracle_op *op, oracle_linear *f, int n, bool joint, double terms)
{
    const double *x[MAX_LINEAR_OPERANDS];
    double *owned[MAX_LINEAR_OPERANDS] = {NULL};
    struct oracle_tensor *out = op->out;
    for (int i = 0; i < op->node.n_operands; i++)
        x[i] = op->in[i].value;
    f(op, x, out->value);
    if (!out->bound)
        return;
    bool good = true;
    for (int i = 0; i < n; i++) {
        x[i] = owned[i] = converted(op->in[i].n, x[i], false);
        good = good && owned[i];
    }
    if (good)
        f(op, x, out->magnitude);
    for (int i = 0; i < n; i++)
        free(owned[i]);
    memset(out->bound, 0, (size_t)out->n * sizeof(double));
    for (int i = 0; i < (joint ? 1 : n); i++)
        add_variance(op, f, n, joint, i, out->bound);
    double k = terms > 1 ? 2 + sqrt(terms) : n > 1 && !joint ? 1 : 0;
    for (int64_t e = 0; e < out->n; e++)
        oracle_round(out, e, out->magnitude[e], k, sqrt(out->bound[e]));
}
