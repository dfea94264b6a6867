/*
 * Conformance cases: small graphs that every device must execute within their
 * tolerance, each op in many shapes, and chains of ops that plans fuse.
 * Independent of devices: the caller runs a case and hands the results back.
 *
 *     kiln_cases_visit(visit, ...)                     for each case
 *     graph = kiln_case_graph(case)                    built anew
 *     kiln_case_values(case, source, run, data)        for each INPUT and STATE
 *     oracle = kiln_case_oracle(case, graph)
 *     for each run: execute on the device; kiln_case_run(case, graph, oracle, run);
 *         kiln_case_compare(...) each output
 *     kiln_case_compare_state(...) each part of each state
 *
 * Tolerance of an element whose exact value (the oracle's) is y; FLT_MIN is
 * added to every bound, because denormals may be flushed:
 *     EXACT     0
 *     ULP       k units in the last place of y
 *     SUM       k FLT_EPSILON m, m the sum of the absolute values of the terms
 *     CHAIN     k times the oracle's running error bound: for several ops, and
 *               for one op the limit of oracle.h
 *     WINOGRAD  16 k times the largest bound within six elements along the last
 *               two axes; takes the place of CHAIN where a Winograd algorithm
 *               was chosen: its error spreads over the tile
 * y beyond FLT_MAX must come as an infinity of its sign, or within the bound;
 * a NaN as a NaN. Integers are always exact.
 */
#ifndef KILN_TEST_CASES_H
#define KILN_TEST_CASES_H

#include "core/api/graph.h"
#include "tests/lib/oracle.h"

enum kiln_case_class {
    KILN_CASE_EXACT,
    KILN_CASE_ULP,
    KILN_CASE_SUM,
    KILN_CASE_CHAIN,
    KILN_CASE_WINOGRAD
};

struct kiln_case {
    char name[96]; /* "family: what", unique */
    enum kiln_case_class class;
    double k;
    int runs;                  /* executions in a row, >= 1 */
    bool trains;               /* has an UPDATE: all parameters form one group */
    struct kiln_update update; /* of that group */
    /* How the graph is built, and the family's own parameters. */
    void (*build)(kiln_graph *, const struct kiln_case *);
    enum kiln_op op;
    struct kiln_shape shape[3];
    int64_t v[8];
    struct kiln_conv conv;
    struct kiln_window window;
    struct kiln_resample resample;
};

/* Calls visit for every case, in a fixed order; the case lives during the
 * call (copy it). */
void kiln_cases_visit(void (*visit)(void *user, const struct kiln_case *), void *user);

/* The case's graph, its results as named outputs; NULL when out of memory. The
 * caller destroys it; its sticky error, if any, is a fault of the case. */
kiln_graph *kiln_case_graph(const struct kiln_case *);
/* Fills data with the dense elements, in the node's dtype, of an INPUT or STATE
 * node before the run (from 0). States only count before run 0. The first
 * letter of a name says what values it gets: see cases.c. */
void kiln_case_values(const struct kiln_case *, const struct kiln_node_info *source, int run,
                      void *data);

/* An oracle of the graph with the states' first values, or NULL when out of
 * memory. */
kiln_oracle *kiln_case_oracle(const struct kiln_case *, const kiln_graph *);
/* One run of the oracle on the run's inputs. */
enum kiln_status kiln_case_run(const struct kiln_case *, const kiln_graph *, kiln_oracle *, int run,
                               struct kiln_error *);

/* How a result compares. */
struct kiln_case_result {
    double share;                /* the worst error over its bound; > 1 = failed */
    int64_t element;             /* where */
    double got, expected, bound; /* there */
};

/* got holds the output node's elements, dense and in its dtype, after the same
 * run of the oracle. True if all are within their bounds. */
bool kiln_case_compare(const struct kiln_case *, const kiln_graph *, const kiln_oracle *,
                       kiln_node output, const void *got, bool winograd, struct kiln_case_result *);
/* The same for a part of a state, f32 or i32, after the last run: f32 within
 * 64 FLT_EPSILON of 1 or the value. True if the oracle does not keep the part. */
bool kiln_case_compare_state(const kiln_graph *, const kiln_oracle *, kiln_node state,
                             enum kiln_oracle_part, const void *got, struct kiln_case_result *);

#endif
