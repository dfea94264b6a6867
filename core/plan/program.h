/*
 * The program of a loop while it is written: lower_sections.c decides what
 * each section computes, lower_loop.c writes the instructions.
 */
#ifndef KILN_PLAN_PROGRAM_H
#define KILN_PLAN_PROGRAM_H

#include "core/plan/lower_loop.h"

/* A member's or load's register: at the outer level, or in the section that is
 * being written. */
struct registers {
    int outer, element, section;
};

struct program {
    struct planner *p;
    struct cluster *c;
    struct loop_build *build;
    int *order;                                 /* members by node */
    int *stage;                                 /* of each member: passes that come before it */
    int *store_section;                         /* of each stored member */
    enum { UNUSED, COMPUTED, RELOADED } * used; /* members in the pass that is being written */
    int *store_access;                          /* of each member that was stored, else -1 */
    int *spill;         /* of each member: the stored one in whose place it is kept, else -1 */
    int *spill_section; /* where it is computed then */
    int *reload_access;                         /* of each member that was read back, else -1 */
    bool may_read_back;                         /* there are accesses left for that */
    struct registers *member;                   /* of each member */
    struct registers *want;                     /* of each load */
    int *access;                                /* of each load */
    int n_passes;
};

static inline const struct ir_node *program_node(const struct program *g, int member)
{
    return ir_at(g->p, g->c->members[member].node);
}

/* The want behind views. */
int loop_resolve(const struct cluster *, int want);
/* True if the map's value differs between elements of one kept index. */
bool loop_is_element(const struct cluster *, const struct map *);
/* Fills order. */
void program_sort(struct program *);
/* A reduction's stage is the number of its pass; another node's the largest of
 * its operands. Fills stage and n_passes. */
void program_find_stages(struct program *);
/* Stores go where the value is: outer ones behind its section, element ones
 * into the first pass that computes it anyway, else the last. */
void program_place_stores(struct program *);
/* Chooses members that are dear to compute and needed in several passes: the
 * first keeps their values where the last will store another one. */
void program_place_spills(struct program *);
/* Marks the element-level members that the pass needs. */
void program_find_used(struct program *, int pass);

#endif
