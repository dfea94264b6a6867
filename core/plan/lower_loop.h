/*
 * A loop step while it is built: what lower_loop.c (the program) and
 * lower_dims.c (accesses and dimensions) share.
 */
#ifndef KILN_PLAN_LOWER_LOOP_H
#define KILN_PLAN_LOWER_LOOP_H

#include "core/plan/cluster.h"

struct loop_build {
    const struct ir_node *node; /* for messages */
    int n_instructions, n_accesses;
    struct kiln_instruction instructions[KILN_LOOP_MAX_INSTRUCTIONS];
    struct loop_place {
        int node, buffer; /* a node's value, or a temporary buffer if >= 0 */
        bool store;
        int64_t stride[CLUSTER_MAX_ATOMS]; /* by atom */
    } accesses[KILN_LOOP_MAX_ACCESSES];
};

/* Adds an access and returns its index. copy: a dense buffer that holds the
 * want's node, or -1. */
int loop_add_load(struct planner *, struct loop_build *, struct cluster *, int want, int copy);
int loop_add_store(struct planner *, struct loop_build *, struct cluster *, int member);
/* A load of what the store access stores. */
int loop_add_reload(struct planner *, struct loop_build *, int store);
/* Orders and joins the dimensions and fills the loop. */
void loop_finish(struct planner *, struct loop_build *, const struct cluster *, struct kiln_loop *);
/* Emits a step that copies the node densely; returns the buffer. */
int loop_copy(struct planner *, int node);

#endif
