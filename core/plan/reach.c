/* The graph of clusters: who reads what, and whether a path would close. */
#include "core/plan/fuser.h"

struct cluster *cluster_root(struct cluster *c)
{
    while (c && c->into)
        c = c->into;
    return c;
}

void fuse_add_edge(struct fuser *f, int source, struct cluster *cluster, int node)
{
    struct edge *edge = PLAN_SCRATCH(f->p, struct edge, 1);
    *edge = (struct edge){cluster, node, f->consumers[source]};
    f->consumers[source] = edge;
    f->p->needed[source] = true;
}

/* Adds a consumer to the search unless it was met. */
static void push(struct fuser *f, struct cluster *cluster, int node, int *n)
{
    cluster = cluster_root(cluster);
    int *mark = cluster ? &cluster->mark : &f->node_mark[node];
    if (*mark == f->mark)
        return;
    *mark = f->mark;
    plan_grow(f->p, &f->stack, &f->stack_capacity, *n, sizeof *f->stack);
    f->stack[(*n)++] = (struct edge){cluster, node, NULL};
}

static void push_consumers(struct fuser *f, int node, const struct cluster *except, int *n)
{
    for (const struct edge *edge = f->consumers[node]; edge; edge = edge->next)
        if (!except || cluster_root(edge->cluster) != except)
            push(f, edge->cluster, edge->node, n);
}

/* Follows what is on the stack; true if it meets the target. */
static bool search(struct fuser *f, int n, const struct cluster *target)
{
    while (n) {
        struct edge at = f->stack[--n];
        if (at.cluster == target)
            return true;
        if (!at.cluster) {
            push_consumers(f, at.node, NULL, &n);
            continue;
        }
        for (int i = 0; i < at.cluster->n_members; i++)
            if (at.cluster->members[i].stored)
                push_consumers(f, at.cluster->members[i].node, NULL, &n);
    }
    return false;
}

bool fuse_reaches(struct fuser *f, int node, struct cluster *target)
{
    int n = 0;
    f->mark++;
    for (const struct want_ref *ref = f->wants[node]; ref; ref = ref->next)
        if (ref->cluster != target && ref->cluster->wants[ref->want].state == WANT_PENDING)
            push(f, ref->cluster, -1, &n);
    push_consumers(f, node, NULL, &n);
    return search(f, n, target);
}

bool fuse_leads_around(struct fuser *f, struct cluster *from, struct cluster *target)
{
    int n = 0;
    f->mark++;
    for (int i = 0; i < from->n_members; i++)
        if (from->members[i].stored)
            push_consumers(f, from->members[i].node, target, &n);
    return search(f, n, target);
}
