/*
 * Half storage (kiln_plan_options.half), a part of importing a graph.
 */
#ifndef KILN_PLAN_HALF_H
#define KILN_PLAN_HALF_H

#include "core/plan/planner.h"

struct half;

/* live: of each graph node; ids: its IR node, filled and renewed as the graph
 * is imported. */
struct half *plan_half_create(struct planner *, const bool *live, int *ids);
/* Before the node is imported: ids of its operands become what it should read. */
void plan_half_use(struct half *, kiln_node);
/* After it was: makes the copy in f16 that later uses need. */
void plan_half_made(struct half *, kiln_node);

#endif
