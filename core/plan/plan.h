/*
 * From a graph to a plan: dead code, common subexpressions, fusion, layouts,
 * lifetimes, offsets, overlap check. A plan is immutable.
 */
#ifndef KILN_PLAN_PLAN_H
#define KILN_PLAN_PLAN_H

#include <stdio.h>

#include "core/api/backend.h"
#include "core/plan/states.h"

/* A resident data tensor: input nodes of this name read it in KILN_REGION_DATA. */
struct kiln_data_slot {
    const char *name;
    int64_t offset; /* bytes */
};

struct kiln_plan_options {
    const struct kiln_caps *caps;
    const kiln_states *states;       /* frozen */
    enum kiln_layout feature_layout; /* of feature maps whose channels it divides */
    bool fuse;    /* false: a step for each node, every view copied: the oracle */
    bool reuse;   /* false: no buffer shares memory with another */
    bool keep;    /* every value stays readable (implies no reuse) */
    bool half;    /* feature maps that are kept for long are kept in f16 (half.c); needs fuse */
    bool use_ema; /* trainable states read their EMA instead */
    int n_data;
    const struct kiln_data_slot *data;
    /* The backend's ways to do a step, and which to take (index; NULL = 0). */
    int (*candidates)(void *user, const struct kiln_step *,
                      struct kiln_candidate[KILN_MAX_CANDIDATES]);
    int (*choose)(void *user, const struct kiln_step *, int n, const struct kiln_candidate *);
    void *user;
};

/* A materialised value of the plan. */
struct kiln_plan_value {
    kiln_node node;          /* the graph node it holds */
    struct kiln_shape shape; /* logical */
    struct kiln_place place;
    struct kiln_view view; /* from the place */
    int first, last;       /* steps that write and last read it */
};

struct kiln_plan_binding {
    const char *name; /* owned by the plan */
    enum kiln_dtype dtype;
    struct kiln_shape shape;
    struct kiln_place place;
    struct kiln_view view; /* outputs; inputs are dense */
};

/* Constants of the graph, to be written into KILN_REGION_IO once. */
struct kiln_plan_constant {
    int64_t offset, bytes;
    const void *data;
};

/* Bytes start .. end - 1 of a region. */
struct kiln_plan_span {
    int64_t start, end;
};

static inline bool kiln_plan_spans_meet(struct kiln_plan_span a, struct kiln_plan_span b)
{
    return a.start < b.end && b.start < a.end;
}

struct kiln_plan {
    struct kiln_steps steps;
    int n_inputs, n_outputs, n_constants, n_values;
    struct kiln_plan_binding *inputs, *outputs;
    struct kiln_plan_constant *constants;
    struct kiln_plan_value *values;
    int64_t live_bytes; /* largest live set of the workspace */
    int n_prepared;     /* steps at the front that need be executed again only when
                           a state in prepared_reads has changed */
    int n_reorders;     /* loops behind them that only change a layout */
    int n_prepared_reads, n_state_writes;
    struct kiln_plan_span *prepared_reads, *state_writes; /* of KILN_REGION_STATE */
    int64_t flops;      /* 2 per multiply-add of matmuls and convolutions */
    enum kiln_layout feature_layout;
    void *arena; /* owns everything above */
};

/* KILN_INPUT: the graph's sticky error; KILN_MACHINE: out of memory. The graph
 * must outlive the call only. */
enum kiln_status kiln_plan_create(const kiln_graph *, const struct kiln_plan_options *,
                                  struct kiln_plan **, struct kiln_error *);
void kiln_plan_destroy(struct kiln_plan **);
/* The storage layout that a convolution weight gets under a feature layout:
 * that of the first candidate of its weight gradient (or, in a graph without
 * one, of its forward pass). Called before kiln_states_freeze. */
enum kiln_status kiln_plan_state_layouts(const kiln_graph *, const struct kiln_plan_options *,
                                         kiln_states *, struct kiln_error *);
/* Text form, stable across runs: steps, operands, layouts, places, totals. */
void kiln_plan_dump(const struct kiln_plan *, FILE *);
/* Independent of the planner: recomputes lifetimes from the steps' places and
 * reports two values that share bytes while both are live, a read of bytes
 * that no step wrote, an access outside its region, a prepared step whose
 * results could not last. */
enum kiln_status kiln_plan_check(const struct kiln_plan *, struct kiln_error *);

#endif
