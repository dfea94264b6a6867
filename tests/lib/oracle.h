/*
 * An interpreter of graphs in double precision: naive loops, independent of
 * plans and backends, which are tested by it. It knows a graph only through
 * kiln_graph_node.
 *
 * Values are dense row-major doubles, also for i32 and u8 nodes. Constants,
 * pad values and attention's scale are rounded to f32 first, as every device
 * sees them, and so are the uniform random numbers; nothing else is rounded
 * except by CAST.
 *
 * With bounds, each element also gets two figures, by running error analysis
 * of first order, for inputs that are exact:
 *     magnitude  the sum of the absolute values of the terms that it sums
 *                (for other ops its own absolute value)
 *     bound      an error that f32 arithmetic may reach: of the operands',
 *                carried through the op, plus the op's own rounding
 * Pointwise ops and attention add the absolute errors that they carry, sums
 * and contractions the squares of their terms', as of independent errors.
 * An op's own rounding is k FLT_EPSILON magnitude + FLT_MIN; k is OpenCL's
 * limit in units in the last place for functions, and 2 + sqrt(n) for sums of
 * n terms. Comparisons count as exact: keep test data away from ties.
 */
#ifndef KILN_TEST_ORACLE_H
#define KILN_TEST_ORACLE_H

#include "core/api/graph.h"

typedef struct kiln_oracle kiln_oracle;

enum kiln_oracle_part {
    KILN_ORACLE_VALUE,
    KILN_ORACLE_MOMENT1, /* SGD's momentum buffer, Adam's first moment */
    KILN_ORACLE_MOMENT2, /* Adam's second moment, RMSProp's mean square */
    KILN_ORACLE_EMA,
    KILN_ORACLE_PARTS
};

/* NULL when out of memory. The graph must outlive the oracle and may grow. */
kiln_oracle *kiln_oracle_create(const kiln_graph *, bool bounds);
void kiln_oracle_destroy(kiln_oracle **);

/* Sets an input, or a part of a state, to n values (copied). A state without
 * values starts at its init if that is constant; moments start at zero, the
 * average at the state's value. */
enum kiln_status kiln_oracle_set(kiln_oracle *, const char *input, const double *values, int64_t n,
                                 struct kiln_error *);
enum kiln_status kiln_oracle_set_state(kiln_oracle *, const char *state, enum kiln_oracle_part,
                                       const double *values, int64_t n, struct kiln_error *);
/* NULL if it was never set nor updated. Valid until the next run. */
const double *kiln_oracle_state(const kiln_oracle *, const char *state, enum kiln_oracle_part);

/* Evaluates the nodes and what they depend on, anew; values of an earlier
 * evaluation become invalid. */
enum kiln_status kiln_oracle_evaluate(kiln_oracle *, int n, const kiln_node *nodes,
                                      struct kiln_error *);
/* One execution: evaluates all outputs and effects of the graph, then lets the
 * assigns and updates take place. */
enum kiln_status kiln_oracle_run(kiln_oracle *, struct kiln_error *);

/* Of an evaluated node, else NULL; an OUTPUT node has its own. */
const double *kiln_oracle_value(const kiln_oracle *, kiln_node);
const double *kiln_oracle_magnitude(const kiln_oracle *, kiln_node);
const double *kiln_oracle_bound(const kiln_oracle *, kiln_node);

#endif
