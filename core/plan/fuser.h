/*
 * What the files of the fusion pass share: fuse.c (the decisions), join.c (a
 * node into a cluster), merge.c (a cluster into another), reach.c (cycles).
 */
#ifndef KILN_PLAN_FUSER_H
#define KILN_PLAN_FUSER_H

#include "core/plan/cluster.h"

/* Most nested reductions of a loop. */
enum { FUSE_MAX_HEIGHT = 3 };

/* A want of a cluster for a node. */
struct want_ref {
    struct cluster *cluster;
    int want;
    struct want_ref *next;
};

/* A consumer of a stored node: a cluster, or a node with a step of its own. */
struct edge {
    struct cluster *cluster; /* as it was then: see cluster_root */
    int node;
    struct edge *next;
};

struct fuser {
    struct planner *p;
    struct want_ref **wants; /* of each node; those of nodes not yet visited are pending */
    struct edge **consumers; /* of each stored node */
    int *node_mark, mark;
    struct edge *stack;
    int stack_capacity;
    int max_accesses, max_instructions;
};

/* The cluster that this one was merged into, or itself. */
struct cluster *cluster_root(struct cluster *);

/* --- reach.c ------------------------------------------------------------------ */

void fuse_add_edge(struct fuser *, int source, struct cluster *, int node);
/* True if a consumer of the node outside the target leads to the target. */
bool fuse_reaches(struct fuser *, int node, struct cluster *target);
/* True if from leads to target through something else. */
bool fuse_leads_around(struct fuser *, struct cluster *from, struct cluster *target);

/* --- join.c --------------------------------------------------------------------- */

/* Adds or finds the want. */
int fuse_add_want(struct fuser *, struct cluster *, int node, const struct map *, int height);
/* Fulfils a pending want by a load; all of a node's pending ones. */
void fuse_load(struct fuser *, struct cluster *, int want);
void fuse_load_all(struct fuser *, int node);
/* Fulfils the want by making its node a member; inner maps its operands. */
void fuse_join(struct fuser *, struct cluster *, int want, const struct map *inner, bool stored);
/* The same if the rules allow it. */
bool fuse_try_join(struct fuser *, struct cluster *, int want, bool stored);
/* True if the device stays busy when the cluster reduces all but the map. */
bool fuse_keeps_enough(const struct fuser *, const struct cluster *, const struct map *);
/* Instructions that the cluster may come to need in so many passes. */
int fuse_instruction_bound(const struct cluster *, int passes);
/* A new cluster around the node, which it stores. */
struct cluster *fuse_start(struct fuser *, int node);

/* --- merge.c ----------------------------------------------------------------------- */

/* Merges clusters that want the node at corresponding indices. */
void fuse_merge_wanting(struct fuser *, int node);
/* Merges effects, and the constant parts of a join, over equal domains. */
void fuse_merge_rest(struct fuser *);

#endif
