/* Matching the values of two plans of one graph. */
#include "core/run/compare_match.h"

#include <math.h>
#include <string.h>

#include "core/device/validate.h"

struct kiln_compare_norms kiln_compare_norms(enum kiln_dtype dtype, const void *a, const void *b,
                                             int64_t n)
{
    const float *x = a, *y = b;
    size_t size = kiln_dtype_bytes(dtype);
    double norm = 0, error = 0;
    for (int64_t i = 0; i < n; i++) {
        if (dtype != KILN_F32) {
            const char *at = a, *bt = b;
            error += memcmp(at + (size_t)i * size, bt + (size_t)i * size, size) != 0;
            norm += 1;
        } else if (isfinite(x[i]) && isfinite(y[i])) {
            double d = (double)x[i] - (double)y[i];
            norm += (double)x[i] * (double)x[i];
            error += d * d;
        } else if (x[i] != y[i] && !(isnan(x[i]) && isnan(y[i]))) {
            error = INFINITY;
        }
    }
    return (struct kiln_compare_norms){sqrt(norm), sqrt(error)};
}

static bool cancels(enum kiln_op op)
{
    return op == KILN_OP_ADD || op == KILN_OP_SUB || op == KILN_OP_REDUCE_SUM;
}

/* Ops that hand elements on: what cancelled before them has cancelled. */
static bool moves(enum kiln_op op)
{
    return op == KILN_OP_RESHAPE || op == KILN_OP_EXPAND || op == KILN_OP_PERMUTE ||
           op == KILN_OP_SLICE || op == KILN_OP_PAD || op == KILN_OP_CONCAT || op == KILN_OP_NEG;
}

double kiln_compare_scale(const struct kiln_node_info *node, double norm, const double *scales)
{
    double scale = norm;
    for (int i = 0; i < node->n_operands && (cancels(node->op) || moves(node->op)); i++)
        scale = fmax(scale, scales[node->operands[i]]);
    return scale;
}

static bool alike(const struct kiln_plan_value *a, const struct kiln_plan_value *b)
{
    return a->node == b->node && a->place.dtype == b->place.dtype &&
           kiln_shape_equal(&a->shape, &b->shape);
}

int kiln_compare_counterpart(const struct kiln_plan *a, int i, const struct kiln_plan *b)
{
    int before = 0, all = 0, found = -1, others = 0;
    for (int k = 0; k < a->n_values; k++)
        if (alike(&a->values[k], &a->values[i])) {
            before += k < i;
            all++;
        }
    for (int k = 0; k < b->n_values; k++)
        if (alike(&b->values[k], &a->values[i]) && others++ == before)
            found = k;
    return others == all ? found : -1;
}

bool kiln_compare_is_arena(const kiln_graph *graph, const struct kiln_plan_value *value)
{
    struct kiln_node_info info;
    return kiln_graph_node(graph, value->node, &info) && info.op == KILN_OP_UPDATE &&
           kiln_shape_count(&value->shape) > 2;
}

/* True if the step writes some of the value. */
static bool writes(const struct kiln_step *step, const struct kiln_plan_value *value)
{
    struct kiln_operand operands[KILN_MAX_OPERANDS];
    int n = kiln_step_operands(step, operands);
    int64_t start = value->place.offset, size = (int64_t)kiln_dtype_bytes(value->place.dtype);
    int64_t end = start + kiln_shape_count(&value->shape) * size;
    for (int i = 0; i < n; i++) {
        const struct kiln_place *place = operands[i].place;
        int64_t bytes = (int64_t)kiln_dtype_bytes(place->dtype);
        if (operands[i].written && place->region == value->place.region &&
            place->offset + operands[i].low * bytes < end &&
            start < place->offset + operands[i].high * bytes)
            return true;
    }
    return false;
}

int kiln_compare_completion(const struct kiln_plan *plan, const struct kiln_plan_value *value)
{
    int last = value->first;
    for (int i = value->first + 1; i < plan->steps.n; i++)
        if (writes(&plan->steps.steps[i], value))
            last = i;
    return last;
}
