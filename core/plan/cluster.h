/*
 * Clusters: the nodes that become one loop step.
 *
 * A cluster iterates over atoms, the digits of its index space. A node in it
 * has a map: the list of atoms that make up its row-major element number, most
 * significant first. Maps go backward through views: a reshape keeps the list,
 * a permute reorders it, an expand drops atoms. Where a boundary falls inside
 * an atom, the atom is split in two and every map follows.
 *
 * A cluster starts with one node; its operands become wants, and each want is
 * later fulfilled by a load, by a member, or (for a view) by another want.
 */
#ifndef KILN_PLAN_CLUSTER_H
#define KILN_PLAN_CLUSTER_H

#include "core/plan/planner.h"

enum { CLUSTER_MAX_ATOMS = KILN_LOOP_MAX_DIMS };

struct map {
    int n;
    uint8_t atoms[CLUSTER_MAX_ATOMS];
};

enum want_state { WANT_PENDING, WANT_LOAD, WANT_MEMBER, WANT_VIEW };

struct want {
    int node;
    struct map map;
    enum want_state state;
    int target; /* MEMBER: the member; VIEW: the want for the view's operand */
    int height; /* reductions above it in the cluster */
    bool copy;  /* LOAD: the atoms do not fit the layout; needs a dense copy */
};

struct member {
    int node;
    struct map map;
    int wants[3]; /* of the operands; a reduction's holds the reduced atoms too */
    bool stored;
    int height; /* reductions above it in the cluster */
};

struct cluster {
    int id, n_atoms;
    int64_t extent[CLUSTER_MAX_ATOMS];
    bool reduced[CLUSTER_MAX_ATOMS];
    bool any_reduced, effect; /* effect: writes a state */
    struct map domain;        /* all atoms, in the order of the seed's axes */
    int n_members, member_capacity, n_wants, want_capacity;
    struct member *members;
    struct want *wants;
    int n_stores, n_pending, n_loads, height;
    int last_node;        /* largest node of a member */
    int mark;             /* of the last search that came by */
    struct cluster *into; /* it was merged into that one; NULL = it stands */
};

int64_t cluster_count(const struct cluster *, const struct map *);
bool map_equal(const struct map *, const struct map *);
/* Adds an atom at the end of the domain; false if there are too many. */
bool cluster_add_atom(struct cluster *, int64_t extent, bool reduced, uint8_t *atom);
/* Splits atoms so that each axis of the shape owns whole ones: axis i owns
 * first[i] .. first[i + 1] - 1 of the map. extra: a map that is not (yet) the
 * cluster's, or NULL, to be kept in step. False if impossible. */
bool cluster_group(struct cluster *, struct map *, const struct kiln_shape *, int *first,
                   struct map *extra);
/* Rewrites the map of a view to that of its operand. */
bool cluster_view(struct cluster *, const struct ir_node *view, const struct kiln_shape *in,
                  struct map *);
/* Splits atoms so that each steps through the flat view evenly; strides by
 * atom (those not in the map 0) or NULL. False if impossible. */
bool cluster_align(struct cluster *, struct map *, const struct flat *, int64_t *strides);
/* The map of a reduction's operand from that of its result. Marks or adds
 * reduced atoms; false if the cluster's other atoms do not allow it. */
bool cluster_reduce(struct cluster *, const struct ir_node *, const struct kiln_shape *in,
                    struct map *);

#endif
