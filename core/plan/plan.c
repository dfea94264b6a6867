/* The planner's driver. */
#include "core/plan/plan.h"

#include <string.h>

#include "core/plan/planner.h"

static void run_passes(struct planner *p)
{
    p->plan = PLAN_KEEP(p, struct kiln_plan, 1);
    p->plan->arena = p->arena;
    plan_import(p);
    plan_layouts(p);
    plan_legalise(p);
    plan_fuse(p);
    p->values = PLAN_SCRATCH(p, struct value, p->ir.n);
    plan_order(p);
    plan_prepare(p);
    plan_memory(p);
    plan_finish(p);
}

enum kiln_status kiln_plan_create(const kiln_graph *graph, const struct kiln_plan_options *options,
                                  struct kiln_plan **plan, struct kiln_error *error)
{
    struct kiln_error unheard;
    *plan = NULL;
    enum kiln_status status = kiln_graph_error(graph, error);
    if (status)
        return status;
    kiln_arena *scratch = kiln_arena_create(), *arena = kiln_arena_create();
    struct planner *p = scratch ? kiln_arena_alloc(scratch, 1, sizeof *p) : NULL;
    if (!p || !arena) {
        kiln_arena_destroy(&scratch);
        kiln_arena_destroy(&arena);
        return kiln_fail(error, KILN_MACHINE, "out of memory while planning");
    }
    p->error = error ? error : &unheard;
    p->graph = graph;
    p->options = options;
    p->scratch = scratch;
    p->arena = arena;
    if (setjmp(p->failed) == 0) {
        run_passes(p);
        *plan = p->plan;
    } else {
        kiln_arena_destroy(&arena);
    }
    status = p->status;
    kiln_arena_destroy(&scratch); /* with p */
    return status;
}

void kiln_plan_destroy(struct kiln_plan **plan)
{
    if (!plan || !*plan)
        return;
    kiln_arena *arena = (*plan)->arena;
    *plan = NULL;
    kiln_arena_destroy(&arena);
}
