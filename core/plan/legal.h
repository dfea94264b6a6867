/*
 * What the files of the legalising pass share: legal_operands.c (a node as a
 * step needs it), legal_joins.c (parts and their writers), legalise.c (each
 * kind of node).
 */
#ifndef KILN_PLAN_LEGAL_H
#define KILN_PLAN_LEGAL_H

#include "core/plan/planner.h"

/* A copy that was made of a node, by layout. */
struct memo {
    int copy;
    struct memo *next;
};

struct legal {
    struct planner *p;
    struct ir old;
    int *map;            /* old id -> new id */
    struct memo **memos; /* of each new node */
    int n_memos;
};

/* Row-major elements of the node's count. */
struct flat legal_dense(const struct ir_node *);
int legal_append(struct legal *, const struct ir_node *, int n, const int *operands);
/* The node stored anew in the layout; the same copy for the same wish. */
int legal_copy(struct legal *, int operand, const struct flat *layout);
/* The node itself if it lies like that at an aligned place, else a copy. */
int legal_need_layout(struct legal *, int node, const struct flat *layout);
int legal_need_dense(struct legal *, int node);
int legal_need_named(struct legal *, int node, enum kiln_layout);
/* The same for a matrix in the last two axes, of which one has a unit stride. */
int legal_need_matrix(struct legal *, int node);
/* The layout by name in which a feature map lies, -1 if in none. */
int legal_named_layout(struct legal *, int node);
/* The layout of the node's class if it can be stored so. */
struct flat legal_own_layout(struct legal *, int old_id, const struct ir_node *);
/* A join whose parts are written in place where a step can. */
int legal_join(struct legal *, int old_id, struct ir_node *, int n, int *operands);

#endif
