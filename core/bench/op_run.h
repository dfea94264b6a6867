/*
 * One operation made ready on one device: verified, and able to be timed.
 */
#ifndef KILN_BENCH_OP_RUN_H
#define KILN_BENCH_OP_RUN_H

#include "core/bench/ops.h"
#include "core/device/session.h"

struct kiln_op_run {
    const struct kiln_op_case *op_case;
    enum kiln_op_family family;
    struct kiln_op_shapes shapes;
    kiln_device *device;
    kiln_graph *graph;
    kiln_session *session;
    kiln_executable *executable;
    int first, count; /* the steps that are timed */
    char algorithm[64], layout[24];
    double bound; /* of an element's error over the sum of its terms' absolute values */
    double error; /* worst of the checked elements, as a share of its bound */
};

struct kiln_op_run_options {
    bool tune;          /* choose the algorithm by time; layouts too */
    bool every_layout;  /* of feature maps: try each that the device names */
    bool rounded;       /* products may round their operands to bfloat16: bound 1/128 */
};

/*
 * Compiles the operation as a network would run it, executes it on random
 * numbers, and checks some of the result's elements against sums in double:
 * KILN_MACHINE, with the element and both values, if one is beyond 2e-6 of the
 * sum of its terms' absolute values. Of products and convolutions only the
 * step itself is timed, not the reorders of the graph's edges. The caller
 * finishes the run, also on failure.
 */
enum kiln_status kiln_op_run_create(kiln_device *, const struct kiln_op_case *,
                                    enum kiln_op_family, const struct kiln_op_run_options *,
                                    struct kiln_op_run *, struct kiln_error *);
void kiln_op_run_finish(struct kiln_op_run *);
/* Enqueues so many executions of the timed steps and waits; for timing jobs. */
enum kiln_status kiln_op_run_time(void *run, int repetitions, struct kiln_error *);

#endif
