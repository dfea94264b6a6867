/*
 * Plans a graph, checks the plan, executes it with the step interpreter and
 * compares every output (within the oracle's bound for f32 arithmetic) and
 * state with the oracle's. A plan that writes no state is executed once more,
 * without its prepared steps.
 */
#ifndef KILN_TEST_PLAN_RUN_H
#define KILN_TEST_PLAN_RUN_H

#include "core/plan/plan.h"

struct plan_run {
    bool fuse, reuse, use_ema;
    enum kiln_layout feature_layout;
    int parallelism;                      /* 0: 1 */
    int loop_accesses, loop_instructions; /* 0: the maxima */
    bool blocked;                         /* convolutions accept blocked layouts */
    bool update;                          /* all trainable states form one group: */
    struct kiln_update kind;
    uint64_t seed;          /* of inputs and states */
    bool half;              /* kiln_plan_options.half; outputs have the states' tolerance then */
    double tolerance;       /* of states, relative to their largest value; 0: 1e-5 */
    struct kiln_plan *plan; /* out, if not NULL before: kept for the caller */
    bool keep_plan;
};

/* NULL, or what failed (static storage). */
const char *plan_run(const kiln_graph *, struct plan_run *);

/* Options as the run uses them, for tests that plan by themselves. The
 * candidates accept every layout of the feature maps; with blocked weights too. */
int plan_run_candidates(void *user, const struct kiln_step *,
                        struct kiln_candidate[KILN_MAX_CANDIDATES]);

#endif
