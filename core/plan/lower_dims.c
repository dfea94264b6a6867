/* Accesses and dimensions of loop steps. */
#include <stdlib.h>
#include <string.h>

#include "core/plan/lower_loop.h"

static struct loop_place *add_access(struct planner *p, struct loop_build *build, int node)
{
    if (build->n_accesses == KILN_LOOP_MAX_ACCESSES)
        plan_fail(p, KILN_INPUT, "node %d: the loop has too many operands", build->node->origin);
    struct loop_place *place = &build->accesses[build->n_accesses++];
    *place = (struct loop_place){.node = node, .buffer = -1};
    return place;
}

int loop_add_load(struct planner *p, struct loop_build *build, struct cluster *c, int want,
                  int copy)
{
    struct want *w = &c->wants[want];
    struct loop_place *place = add_access(p, build, w->node);
    struct flat dense = flat_dense(ir_at(p, w->node)->count);
    place->buffer = copy;
    if (!cluster_align(c, &w->map, copy >= 0 ? &dense : &ir_at(p, w->node)->layout, place->stride))
        plan_fail(p, KILN_INPUT, "node %d: an operand of the loop has too many dimensions",
                  build->node->origin);
    return build->n_accesses - 1;
}

int loop_add_store(struct planner *p, struct loop_build *build, struct cluster *c, int member)
{
    struct member *m = &c->members[member];
    struct loop_place *place = add_access(p, build, m->node);
    place->store = true;
    if (!cluster_align(c, &m->map, &ir_at(p, m->node)->layout, place->stride))
        plan_fail(p, KILN_INPUT, "node %d: a result of the loop has too many dimensions",
                  build->node->origin);
    return build->n_accesses - 1;
}

int loop_add_reload(struct planner *p, struct loop_build *build, int store)
{
    struct loop_place *place = add_access(p, build, build->accesses[store].node);
    *place = build->accesses[store];
    place->store = false;
    return build->n_accesses - 1;
}

/* --- dimensions -------------------------------------------------------------- */

struct dims {
    int n;
    struct dim {
        int64_t extent;
        bool reduced;
        int64_t stride[KILN_LOOP_MAX_ACCESSES];
    } d[CLUSTER_MAX_ATOMS];
};

/* The access that covers most elements, a store before a load. */
static int main_access(const struct loop_build *build, const struct dims *dims)
{
    int best = 0;
    int64_t best_count = -1;
    for (int a = 0; a < build->n_accesses; a++) {
        int64_t count = 1;
        for (int d = 0; d < dims->n; d++)
            count *= dims->d[d].stride[a] ? dims->d[d].extent : 1;
        if (count > best_count ||
            (count == best_count && build->accesses[a].store && !build->accesses[best].store)) {
            best = a;
            best_count = count;
        }
    }
    return best;
}

static int64_t magnitude(int64_t x)
{
    return x < 0 ? -x : x;
}

/* Sorts by the main access' stride, the largest first; what it does not step
 * through stays in front. */
static void sort_dims(struct dims *dims, int main)
{
    for (int i = 1; i < dims->n; i++) {
        struct dim dim = dims->d[i];
        int64_t stride = magnitude(dim.stride[main]);
        int at = i;
        for (; at; at--) {
            int64_t before = magnitude(dims->d[at - 1].stride[main]);
            if (before == 0 || (stride != 0 && before >= stride))
                break;
            dims->d[at] = dims->d[at - 1];
        }
        dims->d[at] = dim;
    }
}

/* Joins neighbours that every access steps through evenly. */
static void join_dims(struct dims *dims, int n_accesses)
{
    int n = 0;
    for (int i = 0; i < dims->n; i++) {
        struct dim *outer = n ? &dims->d[n - 1] : NULL, *inner = &dims->d[i];
        bool joins = outer && outer->reduced == inner->reduced;
        for (int a = 0; a < n_accesses && joins; a++)
            joins = outer->stride[a] == inner->stride[a] * inner->extent;
        if (joins) {
            inner->extent *= outer->extent;
            *outer = *inner;
        } else {
            dims->d[n++] = *inner;
        }
    }
    dims->n = n;
}

static struct dims make_dims(const struct loop_build *build, const struct cluster *c)
{
    struct dims dims = {.n = 0};
    for (int i = 0; i < c->domain.n; i++) {
        int atom = c->domain.atoms[i];
        if (c->extent[atom] == 1)
            continue;
        struct dim *dim = &dims.d[dims.n++];
        dim->extent = c->extent[atom];
        dim->reduced = c->reduced[atom];
        for (int a = 0; a < build->n_accesses; a++)
            dim->stride[a] = build->accesses[a].stride[atom];
    }
    sort_dims(&dims, main_access(build, &dims));
    join_dims(&dims, build->n_accesses);
    if (dims.n == 0)
        dims = (struct dims){.n = 1, .d = {{.extent = 1}}};
    return dims;
}

void loop_finish(struct planner *p, struct loop_build *build, const struct cluster *c,
                 struct kiln_loop *loop)
{
    struct dims *dims = PLAN_SCRATCH(p, struct dims, 1);
    *dims = make_dims(build, c);
    struct kiln_access *accesses = PLAN_KEEP(p, struct kiln_access, build->n_accesses);
    struct kiln_instruction *instructions =
        PLAN_KEEP(p, struct kiln_instruction, build->n_instructions);
    memcpy(instructions, build->instructions, (size_t)build->n_instructions * sizeof *instructions);
    loop->n_dims = dims->n;
    for (int d = 0; d < dims->n; d++) {
        loop->extent[d] = dims->d[d].extent;
        loop->reduced[d] = dims->d[d].reduced;
        for (int a = 0; a < build->n_accesses; a++)
            accesses[a].stride[d] = dims->d[d].stride[a];
    }
    for (int a = 0; a < build->n_accesses; a++) {
        const struct loop_place *place = &build->accesses[a];
        accesses[a].store = place->store;
        if (place->buffer >= 0)
            plan_place(p, place->buffer, 0, ir_at(p, place->node)->dtype, &accesses[a].place);
        else
            plan_operand(p, place->node, &accesses[a].place);
    }
    loop->n_accesses = build->n_accesses;
    loop->accesses = accesses;
    loop->n_instructions = build->n_instructions;
    loop->instructions = instructions;
}

int loop_copy(struct planner *p, int id)
{
    const struct ir_node *node = ir_at(p, id);
    struct kiln_step *step = plan_step(p, KILN_STEP_LOOP, node);
    int buffer = plan_temporary(p, id);
    struct cluster *c = PLAN_SCRATCH(p, struct cluster, 1);
    struct map map = {0};
    struct flat flat = node->layout, dense = flat_dense(node->count);
    flat_canonical(&flat);
    for (int i = 0; i < flat.n; i++)
        if (cluster_add_atom(c, flat.digits[i].extent, false, &map.atoms[map.n]))
            map.n++;
    struct loop_build *build = PLAN_SCRATCH(p, struct loop_build, 1);
    build->node = node;
    struct loop_place *load = add_access(p, build, id), *store = add_access(p, build, id);
    store->buffer = buffer;
    store->store = true;
    if (!cluster_align(c, &map, &flat, load->stride) ||
        !cluster_align(c, &map, &dense, store->stride))
        plan_fail(p, KILN_INPUT, "node %d: a view has too many dimensions", node->origin);
    bool integer = node->dtype == KILN_I32;
    build->n_instructions = 2;
    build->instructions[0] =
        (struct kiln_instruction){KILN_INSTRUCTION_LOAD, 1, integer, -1, -1, -1, 0, {0}};
    build->instructions[1] =
        (struct kiln_instruction){KILN_INSTRUCTION_STORE, 1, integer, 0, -1, -1, 1, {0}};
    loop_finish(p, build, c, &step->as.loop);
    plan_choose(p, step);
    plan_count_reorder(p);
    return buffer;
}
