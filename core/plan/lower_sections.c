/* Which part of a cluster each section of its loop computes. */
#include <string.h>

#include "core/plan/program.h"

int loop_resolve(const struct cluster *c, int want)
{
    while (c->wants[want].state == WANT_VIEW)
        want = c->wants[want].target;
    return want;
}

bool loop_is_element(const struct cluster *c, const struct map *map)
{
    if (!c->any_reduced)
        return true;
    for (int i = 0; i < map->n; i++)
        if (c->reduced[map->atoms[i]])
            return true;
    return false;
}

void program_sort(struct program *g)
{
    for (int i = 0; i < g->c->n_members; i++) {
        int at = i;
        for (; at && g->c->members[g->order[at - 1]].node > g->c->members[i].node; at--)
            g->order[at] = g->order[at - 1];
        g->order[at] = i;
    }
}

void program_find_stages(struct program *g)
{
    for (int i = 0; i < g->c->n_members; i++) {
        const struct member *member = &g->c->members[g->order[i]];
        const struct ir_node *node = ir_at(g->p, member->node);
        int stage = 0;
        for (int k = 0; k < node->n_operands; k++) {
            const struct want *want = &g->c->wants[loop_resolve(g->c, member->wants[k])];
            if (want->state == WANT_MEMBER && g->stage[want->target] > stage)
                stage = g->stage[want->target];
        }
        g->stage[g->order[i]] = stage + ir_is_reduce(node);
        if (ir_is_reduce(node) && g->n_passes < stage + 1)
            g->n_passes = stage + 1;
    }
}

/* The element-level member behind an operand, or -1. */
static int element_operand(const struct program *g, int m, int k)
{
    const struct want *want = &g->c->wants[loop_resolve(g->c, g->c->members[m].wants[k])];
    return want->state == WANT_MEMBER && !ir_is_reduce(program_node(g, want->target)) &&
                   loop_is_element(g->c, &want->map)
               ? want->target
               : -1;
}

/* Arithmetic and loads that it takes to compute the member anew, as far as
 * enough. */
static int cost(const struct program *g, int m, int enough)
{
    int sum = ir_weight(program_node(g, m));
    for (int k = 0; k < program_node(g, m)->n_operands && sum < enough; k++) {
        const struct want *want = &g->c->wants[loop_resolve(g->c, g->c->members[m].wants[k])];
        int operand = element_operand(g, m, k);
        if (operand >= 0)
            sum += cost(g, operand, enough - sum);
        else
            sum += want->state == WANT_LOAD && loop_is_element(g->c, &want->map);
    }
    return sum;
}

/* True if the pass had better read back what an earlier one stored. */
static bool may_reload(const struct program *g, int m, int pass)
{
    enum { WORTH_A_LOAD = 3 };
    if (g->spill[m] >= 0)
        return g->spill_section[m] < 2 * pass - 1;
    return g->store_section[m] >= 0 && g->store_section[m] % 2 &&
           g->store_section[m] < 2 * pass - 1 && g->may_read_back &&
           cost(g, m, WORTH_A_LOAD) >= WORTH_A_LOAD;
}

void program_find_used(struct program *g, int pass)
{
    const struct cluster *c = g->c;
    memset(g->used, 0, (size_t)c->n_members * sizeof *g->used);
    for (int i = c->n_members - 1; i >= 0; i--) {
        int m = g->order[i];
        if (ir_is_reduce(program_node(g, m)) ? g->stage[m] == pass
                                             : g->store_section[m] == 2 * pass - 1)
            g->used[m] = COMPUTED;
        else if (g->used[m] == COMPUTED && may_reload(g, m, pass))
            g->used[m] = RELOADED;
        for (int k = 0; k < program_node(g, m)->n_operands && g->used[m] == COMPUTED; k++) {
            int operand = element_operand(g, m, k);
            if (operand >= 0)
                g->used[operand] = COMPUTED;
        }
    }
}

void program_place_stores(struct program *g)
{
    const struct cluster *c = g->c;
    int last = g->n_passes > 0 ? g->n_passes : 1;
    for (int m = 0; m < c->n_members; m++)
        g->store_section[m] = -1;
    for (int pass = 1; pass <= g->n_passes; pass++) {
        program_find_used(g, pass);
        for (int m = 0; m < c->n_members; m++)
            if (c->members[m].stored && g->used[m] && !ir_is_reduce(program_node(g, m)) &&
                g->store_section[m] < 0)
                g->store_section[m] = 2 * pass - 1;
    }
    for (int m = 0; m < c->n_members; m++) {
        const struct member *member = &c->members[m];
        if (!member->stored || g->store_section[m] >= 0)
            continue;
        if (ir_is_reduce(program_node(g, m)) || !loop_is_element(c, &member->map))
            g->store_section[m] = 2 * g->stage[m];
        else
            g->store_section[m] = 2 * (g->stage[m] + 1 > last ? g->stage[m] + 1 : last) - 1;
        if (g->store_section[m] % 2 && (g->store_section[m] + 1) / 2 > g->n_passes)
            g->n_passes = (g->store_section[m] + 1) / 2;
    }
}

/* --- spills -------------------------------------------------------------------- */

/* True for an f32 value of every element. */
static bool fills_domain(const struct program *g, int m)
{
    const struct member *member = &g->c->members[m];
    return program_node(g, m)->dtype == KILN_F32 &&
           cluster_count(g->c, &member->map) == cluster_count(g->c, &g->c->domain);
}

/* True if nothing is in the member's place until the last pass stores it. */
static bool offers_place(const struct program *g, int m)
{
    return g->c->members[m].stored && program_node(g, m)->home != IR_HOME_STATE &&
           g->store_section[m] == 2 * g->n_passes - 1 && fills_domain(g, m);
}

/* What keeping the member saves: arithmetic in each pass but the first that
 * computes it, less the store and the loads. */
static int gain_of(const struct program *g, int m, const int *passes)
{
    enum { DEAREST = 64, A_STORE = 3, A_LOAD = 2 };
    if (passes[m] < 2 || g->store_section[m] >= 0 || g->spill[m] >= 0 || !fills_domain(g, m) ||
        ir_is_reduce(program_node(g, m)))
        return 0;
    return (passes[m] - 1) * (cost(g, m, DEAREST) - A_LOAD) - A_STORE;
}

/* In how many passes each member is computed, and in which first. */
static void count_passes(struct program *g, int *passes, int *first)
{
    memset(passes, 0, (size_t)g->c->n_members * sizeof *passes);
    for (int pass = 1; pass <= g->n_passes; pass++) {
        program_find_used(g, pass);
        for (int m = 0; m < g->c->n_members; m++)
            if (g->used[m] == COMPUTED && passes[m]++ == 0)
                first[m] = 2 * pass - 1;
    }
}

void program_place_spills(struct program *g)
{
    enum { WORTH_A_SPILL = 10 };
    int n = g->c->n_members;
    int *passes = PLAN_SCRATCH(g->p, int, n), *first = PLAN_SCRATCH(g->p, int, n);
    for (int place = 0; place < n && g->n_passes > 1 && g->may_read_back; place++) {
        if (!offers_place(g, place))
            continue;
        count_passes(g, passes, first);
        int best = -1, gain = WORTH_A_SPILL;
        for (int m = 0; m < n; m++)
            if (gain_of(g, m, passes) > gain) {
                best = m;
                gain = gain_of(g, m, passes);
            }
        if (best < 0)
            return;
        g->spill[best] = place;
        g->spill_section[best] = first[best];
    }
}
