/* Reductions, views and rows of the oracle. */
#include "tests/lib/oracle_internal.h"

#include <math.h>
#include <string.h>

/* Row-major element number of an index, with axes in the mask held at 0. */
static int64_t element_at(const struct kiln_shape *shape, const int64_t *index)
{
    int64_t element = 0;
    for (int axis = 0; axis < shape->n; axis++)
        element = element * shape->d[axis] + (shape->d[axis] == 1 ? 0 : index[axis]);
    return element;
}

static void reduce_sum(const struct oracle_op *op, const double *const *x, double *y)
{
    const struct kiln_shape *in = &op->operands[0].shape;
    int64_t index[KILN_MAX_DIMS] = {0}, element = 0;
    memset(y, 0, (size_t)op->out->n * sizeof *y);
    do
        y[element_at(&op->node.shape, index)] += x[0][element++];
    while (oracle_next(in, index));
}

static void reduce_max(struct oracle_op *op)
{
    const struct oracle_tensor *x = op->in;
    struct oracle_tensor *out = op->out;
    int64_t index[KILN_MAX_DIMS] = {0}, element = 0;
    for (int64_t i = 0; i < out->n; i++)
        out->value[i] = -INFINITY;
    do {
        int64_t to = element_at(&op->node.shape, index);
        if (!(x->value[element] <= out->value[to]) && out->value[to] == out->value[to])
            out->value[to] = x->value[element];
        if (out->bound)
            out->bound[to] = fmax(out->bound[to], x->bound[element]);
        element++;
    } while (oracle_next(&op->operands[0].shape, index));
    for (int64_t i = 0; i < out->n && out->bound; i++)
        out->magnitude[i] = fabs(out->value[i]);
}

void oracle_reduce(struct oracle_op *op)
{
    if (op->node.op == KILN_OP_REDUCE_MAX)
        reduce_max(op);
    else
        oracle_by_linear(op, reduce_sum, 1, false, (double)op->in->n / (double)op->out->n);
}

/* --- views ----------------------------------------------------------------------- */

/* The operand's element that becomes element number e, at index, of the
 * result; -1: padding. */
static int64_t origin(const struct oracle_op *op, const int64_t *index, int64_t e)
{
    const struct kiln_shape *in = &op->operands[0].shape;
    const union kiln_params *params = op->node.params;
    int64_t at[KILN_MAX_DIMS];
    if (op->node.op == KILN_OP_RESHAPE)
        return e;
    for (int axis = 0; axis < op->node.shape.n; axis++) {
        int64_t i = index[axis];
        int lead = op->node.shape.n - in->n;
        switch (op->node.op) {
        case KILN_OP_EXPAND:
            if (axis >= lead)
                at[axis - lead] = i;
            break;
        case KILN_OP_PERMUTE:
            at[params->permutation[axis]] = i;
            break;
        case KILN_OP_SLICE:
            at[axis] = params->slice.start[axis] + i * params->slice.step[axis];
            break;
        default: /* PAD */
            at[axis] = i - params->pad.before[axis];
            if (at[axis] < 0 || at[axis] >= in->d[axis])
                return -1;
        }
    }
    return element_at(in, at);
}

void oracle_view(struct oracle_op *op)
{
    const struct oracle_tensor *x = op->in;
    struct oracle_tensor *out = op->out;
    double fill = op->node.op == KILN_OP_PAD ? (double)(float)op->node.params->pad.value : 0;
    int64_t index[KILN_MAX_DIMS] = {0}, e = 0;
    do {
        int64_t from = origin(op, index, e);
        out->value[e] = from < 0 ? fill : x->value[from];
        if (out->bound)
            oracle_round(out, e, from < 0 ? fabs(fill) : x->magnitude[from], 0,
                         from < 0 ? 0 : x->bound[from]);
        e++;
    } while (oracle_next(&op->node.shape, index));
}

void oracle_concat(struct oracle_op *op)
{
    struct oracle_tensor *out = op->out;
    int axis = op->node.params->axis;
    int64_t index[KILN_MAX_DIMS] = {0}, e = 0;
    do {
        int part = 0;
        int64_t at[KILN_MAX_DIMS];
        memcpy(at, index, sizeof at);
        while (at[axis] >= op->operands[part].shape.d[axis])
            at[axis] -= op->operands[part++].shape.d[axis];
        int64_t from = element_at(&op->operands[part].shape, at);
        out->value[e] = op->in[part].value[from];
        if (out->bound)
            oracle_round(out, e, op->in[part].magnitude[from], 0, op->in[part].bound[from]);
        e++;
    } while (oracle_next(&op->node.shape, index));
}

/* --- rows ------------------------------------------------------------------------ */

static int64_t row_of(double index, int64_t rows)
{
    return index < 0 ? 0 : index >= (double)rows ? rows - 1 : (int64_t)index;
}

static void gather(const struct oracle_op *op, const double *const *x, double *y)
{
    int64_t rows = op->operands[0].shape.d[0], width = op->in[0].n / rows;
    for (int64_t i = 0; i < op->in[1].n; i++)
        memcpy(y + i * width, x[0] + row_of(op->in[1].value[i], rows) * width,
               (size_t)width * sizeof *y);
}

static void scatter_add(const struct oracle_op *op, const double *const *x, double *y)
{
    int64_t rows = op->node.shape.d[0], width = op->out->n / rows;
    memset(y, 0, (size_t)op->out->n * sizeof *y);
    for (int64_t i = 0; i < op->in[1].n; i++)
        for (int64_t j = 0; j < width; j++)
            y[row_of(op->in[1].value[i], rows) * width + j] += x[0][i * width + j];
}

void oracle_rows(struct oracle_op *op)
{
    if (op->node.op == KILN_OP_GATHER_ROWS)
        oracle_by_linear(op, gather, 1, false, 1);
    else
        oracle_by_linear(op, scatter_add, 1, false, (double)op->in[1].n);
}
