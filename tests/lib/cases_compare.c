/* Conformance cases: expected results and how far a device may be from them. */
#include "tests/lib/cases_internal.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

static double element(enum kiln_dtype dtype, const void *data, int64_t i)
{
    switch (dtype) {
    case KILN_I32:
        return (double)((const int32_t *)data)[i];
    case KILN_U8:
        return (double)((const uint8_t *)data)[i];
    default:
        return (double)((const float *)data)[i];
    }
}

/* Gives the oracle the values of all nodes of the op. */
static enum kiln_status set_sources(const struct kiln_case *one, const kiln_graph *graph,
                                    kiln_oracle *oracle, enum kiln_op op, int run,
                                    struct kiln_error *error)
{
    struct kiln_node_info node;
    enum kiln_status status = KILN_OK;
    for (kiln_node id = 1; !status && kiln_graph_node(graph, id, &node); id++) {
        if (node.op != op)
            continue;
        int64_t n = kiln_shape_count(&node.shape);
        double *values = malloc((size_t)n * sizeof *values);
        void *data = malloc((size_t)n * kiln_dtype_bytes(node.dtype));
        if (values && data) {
            kiln_case_values(one, &node, run, data);
            for (int64_t i = 0; i < n; i++)
                values[i] = element(node.dtype, data, i);
            status =
                op == KILN_OP_STATE
                    ? kiln_oracle_set_state(oracle, node.name, KILN_ORACLE_VALUE, values, n, error)
                    : kiln_oracle_set(oracle, node.name, values, n, error);
        } else {
            status = kiln_fail(error, KILN_MACHINE, "case %s: out of memory", one->name);
        }
        free(data);
        free(values);
    }
    return status;
}

kiln_oracle *kiln_case_oracle(const struct kiln_case *one, const kiln_graph *graph)
{
    kiln_oracle *oracle = kiln_oracle_create(graph, true);
    if (oracle && set_sources(one, graph, oracle, KILN_OP_STATE, 0, NULL))
        kiln_oracle_destroy(&oracle);
    return oracle;
}

enum kiln_status kiln_case_run(const struct kiln_case *one, const kiln_graph *graph,
                               kiln_oracle *oracle, int run, struct kiln_error *error)
{
    enum kiln_status status = set_sources(one, graph, oracle, KILN_OP_INPUT, run, error);
    return status ? status : kiln_oracle_run(oracle, error);
}

/* --- comparison -------------------------------------------------------------------------- */

static double ulp(double x)
{
    double magnitude = fmax(fabs(x), (double)FLT_MIN);
    return isfinite(magnitude) ? ldexp(1, ilogb(magnitude) - (FLT_MANT_DIG - 1)) : 0;
}

/* The largest bound within REACH of element e along the last two axes. */
static double spread(const struct kiln_shape *shape, const double *bound, int64_t e)
{
    enum { REACH = 6 };
    if (shape->n < 2)
        return bound[e];
    int64_t h = shape->d[shape->n - 2], w = shape->d[shape->n - 1];
    int64_t row = e / w % h, column = e % w, plane = e - row * w - column;
    double largest = 0;
    for (int64_t i = row - REACH; i <= row + REACH; i++)
        for (int64_t j = column - REACH; j <= column + REACH; j++)
            if (i >= 0 && i < h && j >= 0 && j < w)
                largest = fmax(largest, bound[plane + i * w + j]);
    return largest;
}

static double bound_of(const struct kiln_case *one, const kiln_oracle *oracle, kiln_node output,
                       const struct kiln_shape *shape, int64_t e, bool winograd)
{
    double y = kiln_oracle_value(oracle, output)[e];
    const double *bound = kiln_oracle_bound(oracle, output);
    switch (winograd && one->class == KILN_CASE_CHAIN ? KILN_CASE_WINOGRAD : one->class) {
    case KILN_CASE_EXACT:
        return (double)FLT_MIN;
    case KILN_CASE_ULP:
        return one->k * ulp(y) + (double)FLT_MIN;
    case KILN_CASE_SUM:
        return one->k * (double)FLT_EPSILON * kiln_oracle_magnitude(oracle, output)[e] +
               (double)FLT_MIN;
    case KILN_CASE_CHAIN:
        return one->k * bound[e] + (double)FLT_MIN;
    default: /* WINOGRAD */
        return 16 * one->k * spread(shape, bound, e) + (double)FLT_MIN;
    }
}

/* Error over bound; > 1 = failed. */
static double share_of(double got, double expected, double bound)
{
    if (isnan(expected) || isnan(got))
        return isnan(expected) && isnan(got) ? 0 : INFINITY;
    if (got == expected)
        return 0;
    if (isinf(got) && fabs(expected) > (double)FLT_MAX - bound && (got > 0) == (expected > 0))
        return 0;
    if (!isfinite(bound) || isinf(got))
        return INFINITY;
    return fabs(got - expected) / bound;
}

static void note(struct kiln_case_result *result, int64_t e, double got, double expected,
                 double bound, bool integer)
{
    double share = integer ? (got == expected ? 0 : INFINITY) : share_of(got, expected, bound);
    if (e == 0 || share > result->share)
        *result = (struct kiln_case_result){share, e, got, expected, integer ? 0 : bound};
}

bool kiln_case_compare(const struct kiln_case *one, const kiln_graph *graph,
                       const kiln_oracle *oracle, kiln_node output, const void *got, bool winograd,
                       struct kiln_case_result *result)
{
    struct kiln_node_info node;
    kiln_graph_node(graph, output, &node);
    const double *expected = kiln_oracle_value(oracle, output);
    for (int64_t e = 0; e < kiln_shape_count(&node.shape); e++)
        note(result, e, element(node.dtype, got, e), expected[e],
             bound_of(one, oracle, output, &node.shape, e, winograd), node.dtype != KILN_F32);
    return result->share <= 1;
}

bool kiln_case_compare_state(const kiln_graph *graph, const kiln_oracle *oracle, kiln_node state,
                             enum kiln_oracle_part part, const void *got,
                             struct kiln_case_result *result)
{
    struct kiln_node_info node;
    kiln_graph_node(graph, state, &node);
    const double *expected = kiln_oracle_state(oracle, node.name, part);
    *result = (struct kiln_case_result){0};
    if (!expected)
        return true;
    for (int64_t e = 0; e < kiln_shape_count(&node.shape); e++)
        note(result, e, element(node.dtype, got, e), expected[e],
             64 * (double)FLT_EPSILON * fmax(1, fabs(expected[e])), node.dtype != KILN_F32);
    return result->share <= 1;
}
