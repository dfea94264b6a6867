/*
 * Matching the values of two plans of one graph: internal to compare.c.
 */
#ifndef KILN_RUN_COMPARE_MATCH_H
#define KILN_RUN_COMPARE_MATCH_H

#include "core/plan/plan.h"

/* Euclidean norms of a and of a - b, over n elements that are finite in both;
 * infinite if others differ. Integers: square roots of the numbers of elements,
 * and of those that differ. */
struct kiln_compare_norms {
    double value, difference;
};
struct kiln_compare_norms kiln_compare_norms(enum kiln_dtype, const void *a, const void *b,
                                             int64_t n);
/*
 * How large the terms of a value were: its norm, or for sums, and what only
 * moves elements, that of the largest operand. A gradient that is zero in exact
 * arithmetic has a small norm of a large scale: roundings are all it holds.
 * scales are those of the nodes before, 0 = unknown.
 */
double kiln_compare_scale(const struct kiln_node_info *, double norm, const double *scales);
/* Plan b's value for value i of plan a, or -1. A node may have several values
 * (partial sums): they match in order, if both plans have as many. */
int kiln_compare_counterpart(const struct kiln_plan *a, int i, const struct kiln_plan *b);
/* Gradients of a group in one arena lie in the parameters' storage layouts,
 * which may differ; their tensors are compared before they get there. */
bool kiln_compare_is_arena(const kiln_graph *, const struct kiln_plan_value *);
/* The step that completes the value: several may write parts of it. */
int kiln_compare_completion(const struct kiln_plan *, const struct kiln_plan_value *);

#endif
