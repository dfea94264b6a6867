/* A cluster into another: those that read a node at the same indices share one
 * loop, so that the node is read or computed once. */
#include <stdlib.h>
#include <string.h>

#include "core/plan/fuser.h"

/* Clusters farther apart in the graph than this many nodes keep their own
 * loops, unless they are small: operands would wait in memory for the other. */
enum { NEAR = 96, SMALL_DOMAIN = 1 << 12 };

/* What becomes of the second cluster's parts in the first. */
struct merging {
    struct fuser *f;
    struct cluster *a, *b;
    uint8_t atom[CLUSTER_MAX_ATOMS]; /* of b -> of a */
    int *want, *member;              /* of b -> of a, -1 = to be added */
    bool linked;                     /* one loads what the other computes */
};

/* --- may they? --------------------------------------------------------------- */

/* Splits the atoms of both maps until their extents agree one by one. */
static bool match_atoms(struct merging *m, struct map *map_a, struct map *map_b)
{
    struct cluster *sides[2] = {m->a, m->b};
    struct map *maps[2] = {map_a, map_b};
    for (int side = 0; side < 2; side++) {
        struct flat other = {.n = maps[!side]->n};
        for (int i = 0; i < other.n; i++) /* strides that never join */
            other.digits[i] =
                (struct kiln_digit){sides[!side]->extent[maps[!side]->atoms[i]], 1 + 2 * i};
        if (!cluster_align(sides[side], maps[side], &other, NULL))
            return false;
    }
    if (map_a->n != map_b->n || map_a->n != m->a->n_atoms || map_b->n != m->b->n_atoms)
        return false;
    for (int i = 0; i < map_a->n; i++) {
        m->atom[map_b->atoms[i]] = map_a->atoms[i];
        if (m->a->extent[map_a->atoms[i]] != m->b->extent[map_b->atoms[i]])
            return false;
    }
    return true;
}

static struct map in_a(const struct merging *m, const struct map *map)
{
    struct map renamed = {.n = map->n};
    for (int i = 0; i < map->n; i++)
        renamed.atoms[i] = m->atom[map->atoms[i]];
    return renamed;
}

/* Both reduce the same atoms, or one reduces none and the device stays busy. */
static bool reductions_agree(const struct merging *m)
{
    const struct cluster *a = m->a, *b = m->b;
    for (int i = 0; i < b->n_atoms && a->any_reduced && b->any_reduced; i++)
        if (b->reduced[i] != a->reduced[m->atom[i]])
            return false;
    if (a->any_reduced == b->any_reduced)
        return true;
    const struct cluster *reducing = a->any_reduced ? a : b;
    int64_t kept = 1, domain = cluster_count(reducing, &reducing->domain);
    for (int i = 0; i < reducing->n_atoms; i++)
        kept *= reducing->reduced[i] ? 1 : reducing->extent[i];
    return kept >= m->f->p->options->caps->parallelism || domain <= SMALL_DOMAIN;
}

static bool are_near(const struct cluster *a, const struct cluster *b)
{
    return cluster_count(a, &a->domain) <= SMALL_DOMAIN || abs(a->last_node - b->last_node) <= NEAR;
}

/* Finds each want of b in a. False if one loads what the other stores at other
 * indices. */
static bool match_wants(struct merging *m)
{
    for (int i = 0; i < m->b->n_wants; i++) {
        const struct want *w = &m->b->wants[i];
        struct map map = in_a(m, &w->map);
        m->want[i] = -1;
        for (int k = 0; k < m->a->n_wants; k++) {
            const struct want *other = &m->a->wants[k];
            if (other->node != w->node)
                continue;
            bool loads = w->state == WANT_LOAD || other->state == WANT_LOAD;
            bool computes = w->state == WANT_MEMBER || other->state == WANT_MEMBER;
            m->linked |= loads && computes;
            if (map_equal(&other->map, &map))
                m->want[i] = k;
            else if (loads && computes)
                return false;
        }
    }
    return true;
}

/* A load that sees only part of what the other stores (behind a view) would
 * have to wait for it. */
static bool loads_stored(const struct merging *m, const struct cluster *from,
                         const struct cluster *by)
{
    for (int i = 0; i < by->n_wants; i++) {
        if (by->wants[i].state != WANT_LOAD)
            continue;
        int source = ir_at(m->f->p, by->wants[i].node)->source;
        for (int k = 0; k < from->n_members; k++)
            if (from->members[k].stored && from->members[k].node == source &&
                source != by->wants[i].node)
                return true;
    }
    return false;
}

static bool has_room(const struct merging *m)
{
    int shared = 0;
    for (int i = 0; i < m->b->n_wants; i++)
        shared += m->want[i] >= 0 &&
                  (m->b->wants[i].state == WANT_LOAD || m->b->wants[i].state == WANT_PENDING);
    const struct cluster *a = m->a, *b = m->b;
    int accesses =
        a->n_loads + a->n_pending + a->n_stores + b->n_loads + b->n_pending + b->n_stores - shared;
    int passes = 1 + (m->linked               ? a->height + b->height
                      : a->height > b->height ? a->height
                                              : b->height);
    return accesses <= m->f->max_accesses &&
           fuse_instruction_bound(a, passes) + fuse_instruction_bound(b, passes) <=
               m->f->max_instructions;
}

/* --- the merge --------------------------------------------------------------------- */

/* The reference of b's pending want becomes one of a's want, or goes. */
static void move_reference(struct merging *m, int node, int from, int to, bool drop)
{
    for (struct want_ref **at = &m->f->wants[node]; *at; at = &(*at)->next) {
        if ((*at)->cluster != m->b || (*at)->want != from)
            continue;
        if (drop) {
            *at = (*at)->next;
        } else {
            (*at)->cluster = m->a;
            (*at)->want = to;
        }
        return;
    }
}

static void merge_wants(struct merging *m)
{
    struct cluster *a = m->a, *b = m->b;
    for (int i = 0; i < b->n_wants; i++) {
        struct want w = b->wants[i];
        bool known = m->want[i] >= 0;
        if (!known) {
            plan_grow(m->f->p, &a->wants, &a->want_capacity, a->n_wants, sizeof w);
            m->want[i] = a->n_wants++;
            a->wants[m->want[i]] = w;
            a->wants[m->want[i]].map = in_a(m, &w.map);
            a->n_loads += w.state == WANT_LOAD;
            a->n_pending += w.state == WANT_PENDING;
        }
        if (w.state == WANT_PENDING)
            move_reference(m, w.node, i, m->want[i], known);
    }
}

/* b's members, but for those that a computes too; a's loads of them end. */
static void merge_members(struct merging *m, int first_want)
{
    struct cluster *a = m->a, *b = m->b;
    for (int i = 0; i < b->n_wants; i++) {
        if (b->wants[i].state != WANT_MEMBER)
            continue;
        int target = b->wants[i].target;
        struct member *member = &b->members[target];
        struct want *into = &a->wants[m->want[i]];
        if (into->state == WANT_MEMBER && m->want[i] < first_want) {
            m->member[target] = into->target;
            a->members[into->target].stored |= member->stored;
        } else {
            a->n_loads -= into->state == WANT_LOAD;
            plan_grow(m->f->p, &a->members, &a->member_capacity, a->n_members, sizeof *member);
            a->members[a->n_members] = *member;
            a->members[a->n_members].map = into->map;
            m->member[target] = into->target = a->n_members++;
            into->state = WANT_MEMBER;
        }
        if (member->stored)
            m->f->p->home_cluster[member->node] = a->id;
    }
}

/* Targets and operands of what came from b now count as a does. */
static void redirect(struct merging *m, int first_want, int first_member)
{
    struct cluster *a = m->a, *b = m->b;
    for (int i = 0; i < b->n_wants; i++)
        if (m->want[i] >= first_want && a->wants[m->want[i]].state == WANT_VIEW)
            a->wants[m->want[i]].target = m->want[b->wants[i].target];
    for (int i = first_member; i < a->n_members; i++)
        for (int k = 0; k < ir_at(m->f->p, a->members[i].node)->n_operands; k++)
            a->members[i].wants[k] = m->want[a->members[i].wants[k]];
}

static int by_node(const void *x, const void *y)
{
    const int *a = x, *b = y;
    return b[0] - a[0];
}

/* Recomputes the heights from the last member to the first. Returns the
 * cluster's. */
static int find_heights(struct merging *m)
{
    struct cluster *a = m->a;
    int(*order)[2] = (int(*)[2])PLAN_SCRATCH(m->f->p, int, 2 * a->n_members), height = 0;
    for (int i = 0; i < a->n_members; i++) {
        order[i][0] = a->members[i].node;
        order[i][1] = i;
        a->members[i].height = 0;
    }
    for (int i = 0; i < a->n_wants; i++)
        a->wants[i].height = 0;
    qsort(order, (size_t)a->n_members, sizeof *order, by_node);
    for (int i = 0; i < a->n_members; i++) {
        const struct member *member = &a->members[order[i][1]];
        const struct ir_node *node = ir_at(m->f->p, member->node);
        int above = member->height + ir_is_reduce(node);
        height = above > height ? above : height;
        for (int k = 0; k < node->n_operands; k++) {
            struct want *want = &a->wants[member->wants[k]];
            for (;; want = &a->wants[want->target]) {
                want->height = above > want->height ? above : want->height;
                if (want->state != WANT_VIEW)
                    break;
            }
            if (want->state == WANT_MEMBER && a->members[want->target].height < above)
                a->members[want->target].height = above;
        }
    }
    return height;
}

static void merge(struct merging *m)
{
    struct cluster *a = m->a, *b = m->b;
    int first_want = a->n_wants, first_member = a->n_members;
    merge_wants(m);
    merge_members(m, first_want);
    redirect(m, first_want, first_member);
    for (int i = 0; i < b->n_atoms; i++)
        a->reduced[m->atom[i]] |= b->reduced[i];
    a->any_reduced |= b->any_reduced;
    a->last_node = a->last_node > b->last_node ? a->last_node : b->last_node;
    a->n_stores = 0;
    for (int i = 0; i < a->n_members; i++)
        a->n_stores += a->members[i].stored;
    a->height = find_heights(m);
    b->into = a;
    b->n_members = b->n_wants = 0;
}

/* Merges b into a where the maps say which elements correspond. */
static bool try_merge(struct fuser *f, struct cluster *a, struct cluster *b, struct map *map_a,
                      struct map *map_b)
{
    struct merging m = {.f = f, .a = a, .b = b};
    if (!match_atoms(&m, map_a, map_b) || !reductions_agree(&m))
        return false;
    m.want = PLAN_SCRATCH(f->p, int, b->n_wants);
    m.member = PLAN_SCRATCH(f->p, int, b->n_members);
    if (!match_wants(&m) || !has_room(&m) || loads_stored(&m, a, b) || loads_stored(&m, b, a) ||
        (m.linked && a->height + b->height > FUSE_MAX_HEIGHT) || fuse_leads_around(f, a, b) ||
        fuse_leads_around(f, b, a))
        return false;
    merge(&m);
    return true;
}

void fuse_merge_wanting(struct fuser *f, int node)
{
    for (struct want_ref *first = f->wants[node]; first; first = first->next) {
        for (struct want_ref *ref = first->next, *next; ref; ref = next) {
            next = ref->next; /* a merge drops ref */
            struct cluster *a = first->cluster, *b = ref->cluster;
            if (a != b && !a->effect && !b->effect && are_near(a, b))
                try_merge(f, a, b, &a->wants[first->want].map, &b->wants[ref->want].map);
        }
    }
}

/* A cluster that only stores constants into parts of one join; that join, or -1. */
static int filled_join(const struct fuser *f, const struct cluster *c)
{
    if (c->n_loads || c->n_stores != 1)
        return -1;
    for (int i = 0; i < c->n_members; i++)
        if (c->members[i].stored)
            return ir_at(f->p, c->members[i].node)->home == IR_HOME_JOIN
                       ? ir_at(f->p, c->members[i].node)->home_node
                       : -1;
    return -1;
}

void fuse_merge_rest(struct fuser *f)
{
    struct planner *p = f->p;
    for (int i = 0; i < p->n_clusters; i++) {
        struct cluster *a = p->clusters[i];
        int join = filled_join(f, a);
        for (int k = i + 1; k < p->n_clusters && !a->into && (a->effect || join >= 0); k++) {
            struct cluster *b = p->clusters[k];
            if (b->into || cluster_count(a, &a->domain) != cluster_count(b, &b->domain))
                continue;
            if ((a->effect && b->effect) || (join >= 0 && filled_join(f, b) == join))
                try_merge(f, a, b, &a->domain, &b->domain);
        }
    }
}
