/* Which nodes share a loop.
 *
 * Nodes are visited from the last to the first, so that every consumer of a
 * node already has its cluster. A node joins the cluster of a consumer, is
 * computed in several of them if it is cheap, or starts a cluster of its own.
 * Joining never makes a cycle: the graph of clusters stays acyclic. */
#include "core/plan/cluster.h"

/* Most nested reductions of a loop, most clusters that repeat a cheap node, and
 * elements below which a loop need not fill the device. */
enum { MAX_HEIGHT = 3, MAX_REPEATS = 3, SMALL_LOOP = 1 << 15, CHEAP = 4, TRIVIAL = 2, LOOK_AHEAD = 6 };

struct want_ref {
    struct cluster *cluster;
    int want;
    struct want_ref *next;
};

/* A consumer of a stored node: a cluster, or a node with a step of its own. */
struct edge {
    struct cluster *cluster;
    int node;
    struct edge *next;
};

struct fuser {
    struct planner *p;
    struct want_ref **wants; /* pending, of each node */
    struct edge **consumers; /* of each stored node */
    int *node_mark, mark;
    struct edge **stack;
    int stack_capacity;
    int max_accesses, max_instructions;
};

/* --- edges and reachability ------------------------------------------------ */

static void add_edge(struct fuser *f, int source, struct cluster *cluster, int node)
{
    struct edge *edge = PLAN_SCRATCH(f->p, struct edge, 1);
    *edge = (struct edge){cluster, node, f->consumers[source]};
    f->consumers[source] = edge;
    f->p->needed[source] = true;
}

static void push_edges(struct fuser *f, struct edge *list, int *n)
{
    for (struct edge *edge = list; edge; edge = edge->next) {
        int *mark = edge->cluster ? &edge->cluster->mark : &f->node_mark[edge->node];
        if (*mark == f->mark)
            continue;
        *mark = f->mark;
        plan_grow(f->p, &f->stack, &f->stack_capacity, *n, sizeof *f->stack);
        f->stack[(*n)++] = edge;
    }
}

/* True if a consumer of the node outside the target leads to the target. */
static bool reaches(struct fuser *f, int node, struct cluster *target)
{
    struct edge starts[2 * MAX_REPEATS + 2], *list = f->consumers[node];
    int n = 0, n_starts = 0;
    f->mark++;
    for (struct want_ref *ref = f->wants[node]; ref; ref = ref->next) {
        if (ref->cluster == target || ref->cluster->wants[ref->want].state != WANT_PENDING)
            continue;
        if (n_starts == 2 * MAX_REPEATS + 2)
            return true; /* too many to look at */
        starts[n_starts] = (struct edge){ref->cluster, -1, NULL};
        push_edges(f, &starts[n_starts++], &n);
    }
    push_edges(f, list, &n);
    while (n) {
        struct edge *edge = f->stack[--n];
        if (edge->cluster == target)
            return true;
        if (!edge->cluster) {
            push_edges(f, f->consumers[edge->node], &n);
            continue;
        }
        for (int i = 0; i < edge->cluster->n_members; i++)
            if (edge->cluster->members[i].stored)
                push_edges(f, f->consumers[edge->cluster->members[i].node], &n);
    }
    return false;
}

/* --- wants ---------------------------------------------------------------------- */

static int add_want(struct fuser *f, struct cluster *c, int node, const struct map *map, int height)
{
    for (int i = 0; i < c->n_wants; i++)
        if (c->wants[i].node == node && map_equal(&c->wants[i].map, map)) {
            if (c->wants[i].height < height)
                c->wants[i].height = height;
            return i;
        }
    plan_grow(f->p, &c->wants, &c->want_capacity, c->n_wants, sizeof *c->wants);
    c->wants[c->n_wants] = (struct want){.node = node, .map = *map, .height = height};
    struct want_ref *ref = PLAN_SCRATCH(f->p, struct want_ref, 1);
    *ref = (struct want_ref){c, c->n_wants, f->wants[node]};
    f->wants[node] = ref;
    c->n_pending++;
    return c->n_wants++;
}

static void load(struct fuser *f, struct cluster *c, int want)
{
    struct want *w = &c->wants[want];
    if (w->state != WANT_PENDING)
        return;
    const struct ir_node *node = ir_at(f->p, w->node);
    w->state = WANT_LOAD;
    w->copy = !cluster_align(c, &w->map, &node->layout, NULL);
    c->n_pending--;
    c->n_loads++;
    add_edge(f, node->source, c, -1);
}

static void load_all(struct fuser *f, int node)
{
    for (struct want_ref *ref = f->wants[node]; ref; ref = ref->next)
        load(f, ref->cluster, ref->want);
}

/* --- joining ----------------------------------------------------------------------- */

/* Makes the want's node a member; inner is the map of its operands. */
static void join(struct fuser *f, struct cluster *c, int want, const struct map *inner, bool stored)
{
    struct want *w = &c->wants[want];
    const struct ir_node *node = ir_at(f->p, w->node);
    plan_grow(f->p, &c->members, &c->member_capacity, c->n_members, sizeof *c->members);
    int height = w->height + ir_is_reduce(node), self = c->n_members++;
    c->members[self] = (struct member){.node = w->node, .map = w->map, .stored = stored, .height = w->height};
    w->state = WANT_MEMBER;
    w->target = self;
    c->n_pending--;
    c->n_stores += stored;
    if (c->height < height)
        c->height = height;
    if (c->last_node < w->node)
        c->last_node = w->node;
    for (int i = 0; i < node->n_operands; i++)
        c->members[self].wants[i] = add_want(f, c, node->operands[i], inner, height);
    if (stored)
        f->p->home_cluster[c->members[self].node] = c->id;
}

static int weight(const struct ir_node *node)
{
    switch (node->op) {
    case IR_COPY:
    case KILN_OP_CAST:
    case KILN_OP_NEG:
    case KILN_OP_CONST:
    case KILN_OP_STOP_GRADIENT:
        return 0;
    case KILN_OP_DIV:
    case KILN_OP_SQRT:
        return 2;
    case KILN_OP_EXP:
    case KILN_OP_SIGMOID:
    case KILN_OP_TANH:
        return 4;
    case KILN_OP_EXPM1:
    case KILN_OP_LOG:
    case KILN_OP_LOG1P:
    case KILN_OP_SIN:
    case KILN_OP_COS:
    case KILN_OP_ERF:
    case KILN_OP_POW:
        return 8;
    default:
        return 1;
    }
}

static bool is_element(const struct cluster *c, const struct map *map)
{
    for (int i = 0; i < map->n && c->any_reduced; i++)
        if (c->reduced[map->atoms[i]])
            return true;
    return !c->any_reduced;
}

/* Instructions that the cluster may come to need: each pass repeats what it
 * needs of the element level. */
static int instruction_bound(const struct cluster *c, int passes)
{
    int outer = 2 * c->n_stores, element = 0;
    for (int i = 0; i < c->n_members; i++)
        *(is_element(c, &c->members[i].map) ? &element : &outer) += 1;
    for (int i = 0; i < c->n_wants; i++)
        if (c->wants[i].state == WANT_LOAD || c->wants[i].state == WANT_PENDING)
            *(is_element(c, &c->wants[i].map) ? &element : &outer) += 1;
    return outer + element * passes;
}

static bool has_room(const struct fuser *f, const struct cluster *c, const struct ir_node *node, int height,
                     bool stored)
{
    int accesses = c->n_loads + c->n_pending - 1 + node->n_operands + c->n_stores + stored;
    int passes = (height > c->height ? height : c->height) + 1;
    return accesses <= f->max_accesses &&
           instruction_bound(c, passes) + (2 + node->n_operands) * passes <= f->max_instructions;
}

/* How the map covers the cluster's atoms. */
struct cover {
    bool all, all_kept, any_reduced;
};

static struct cover cover(const struct cluster *c, const struct map *map)
{
    struct cover cover = {map->n == c->n_atoms, true, false};
    bool used[CLUSTER_MAX_ATOMS] = {false};
    for (int i = 0; i < map->n; i++)
        used[map->atoms[i]] = true;
    for (int i = 0; i < c->n_atoms; i++) {
        cover.all_kept &= used[i] || c->reduced[i];
        cover.any_reduced |= used[i] && c->reduced[i];
    }
    return cover;
}

/* An effect takes nodes that nobody else needs, and reads no other state: its
 * step waits for the readers of its own. */
static bool fits_effect(const struct fuser *f, const struct cluster *c, int want)
{
    const struct ir_node *node = ir_at(f->p, c->wants[want].node);
    for (int i = 0; i < node->n_operands; i++) {
        const struct ir_node *source = ir_at(f->p, ir_at(f->p, node->operands[i])->source);
        if (source->op != KILN_OP_STATE)
            continue;
        const struct ir_node *effect = ir_at(f->p, c->members[0].node);
        const struct ir_node *operand = ir_at(f->p, node->operands[i]);
        if (source->state != effect->home_node || ir_is_reduce(node) ||
            !map_equal(&c->wants[want].map, &c->domain) || !flat_equal(&operand->layout, &effect->layout))
            return false;
    }
    return true;
}

/* True if the device stays busy when the cluster reduces all but the map. */
static bool keeps_enough(const struct fuser *f, const struct cluster *c, const struct map *map)
{
    int64_t domain = cluster_count(c, &c->domain), kept = cluster_count(c, map);
    return c->any_reduced || kept == domain || domain <= SMALL_LOOP || kept >= f->p->options->caps->parallelism;
}

/* True if the node follows, through nodes of its own size, from a reduction of
 * all the atoms that its map lacks. */
static bool follows_reduction(struct fuser *f, const struct cluster *c, const struct ir_node *node, int depth)
{
    for (int i = 0; i < node->n_operands; i++) {
        const struct ir_node *operand = ir_at(f->p, node->operands[i]);
        if (operand->count != node->count)
            continue;
        if (ir_is_reduce(operand)) {
            if (ir_at(f->p, operand->operands[0])->count == cluster_count(c, &c->domain))
                return true;
        } else if ((ir_is_pointwise(operand) || operand->op == KILN_OP_RESHAPE) && depth < LOOK_AHEAD &&
                   follows_reduction(f, c, operand, depth + 1)) {
            return true;
        }
    }
    return false;
}

/* Makes the atoms that the map lacks reduced if a reduction of them is to come. */
static void foresee_reduction(struct fuser *f, struct cluster *c, const struct ir_node *node, const struct map *map)
{
    if (c->any_reduced || c->effect || cluster_count(c, map) == cluster_count(c, &c->domain) ||
        !keeps_enough(f, c, map) || !follows_reduction(f, c, node, 0))
        return;
    for (int i = 0; i < c->n_atoms; i++)
        c->reduced[i] = true;
    for (int i = 0; i < map->n; i++)
        c->reduced[map->atoms[i]] = false;
    c->any_reduced = true;
}

static bool may_broadcast(const struct cluster *c, const struct ir_node *node, struct cover cover)
{
    if (cover.all || (c->any_reduced && !cover.any_reduced))
        return true;
    return weight(node) <= TRIVIAL;
}

/* Tries to make the want's node a member. */
static bool try_join(struct fuser *f, struct cluster *c, int want, bool stored)
{
    int id = c->wants[want].node;
    const struct ir_node *node = ir_at(f->p, id);
    bool reduce = ir_is_reduce(node);
    int height = c->wants[want].height + reduce;
    for (int i = 0; i < c->n_wants; i++)
        if (i != want && c->wants[i].node == id)
            return false; /* it would be computed at two indices */
    if (height > MAX_HEIGHT || !has_room(f, c, node, height, stored) ||
        (c->effect && (stored || !fits_effect(f, c, want))))
        return false;
    if (stored && !cluster_align(c, &c->wants[want].map, &node->layout, NULL))
        return false;
    if (!reduce)
        foresee_reduction(f, c, node, &c->wants[want].map);
    struct cover covered = cover(c, &c->wants[want].map);
    if (stored && !reduce && !(covered.all || (covered.all_kept && !covered.any_reduced)))
        return false;
    if (!reduce && !may_broadcast(c, node, covered))
        return false;
    if (reduce && !keeps_enough(f, c, &c->wants[want].map))
        return false;
    if (stored && reaches(f, id, c))
        return false;
    struct map inner = c->wants[want].map;
    if (reduce && !cluster_reduce(c, node, &ir_at(f->p, node->operands[0])->shape, &inner))
        return false;
    join(f, c, want, &inner, stored);
    return true;
}

static struct cluster *start_cluster(struct fuser *f, int id)
{
    struct planner *p = f->p;
    const struct ir_node *node = ir_at(p, id);
    struct cluster *c = PLAN_SCRATCH(p, struct cluster, 1);
    plan_grow(p, &p->clusters, &p->cluster_capacity, p->n_clusters, sizeof *p->clusters);
    c->id = p->n_clusters;
    p->clusters[p->n_clusters++] = c;
    struct map map = {0};
    for (int axis = 0; axis < node->shape.n; axis++)
        if (node->shape.d[axis] > 1 && cluster_add_atom(c, node->shape.d[axis], false, &map.atoms[map.n]))
            map.n++;
    c->effect = node->home == IR_HOME_STATE;
    plan_grow(p, &c->wants, &c->want_capacity, 0, sizeof *c->wants);
    c->wants[c->n_wants++] = (struct want){.node = id, .map = map};
    c->n_pending++;
    struct map inner = map;
    if (!cluster_align(c, &c->wants[0].map, &node->layout, NULL) ||
        (ir_is_reduce(node) &&
         (inner = c->wants[0].map, !cluster_reduce(c, node, &ir_at(p, node->operands[0])->shape, &inner))))
        plan_fail(p, KILN_INPUT, "node %d has too many dimensions for one loop", node->origin);
    if (!ir_is_reduce(node))
        inner = c->wants[0].map;
    join(f, c, 0, &inner, true);
    return c;
}

/* --- the decision for one node ---------------------------------------------------- */

/* New large tensors that the cluster would read if the node joined it. */
static int new_reads(struct fuser *f, const struct want_ref *ref, const struct ir_node *node)
{
    int n = 0;
    const struct cluster *c = ref->cluster;
    for (int i = 0; i < node->n_operands; i++) {
        const struct ir_node *operand = ir_at(f->p, node->operands[i]);
        bool known = operand->op == KILN_OP_CONST || operand->op == KILN_OP_EXPAND;
        for (int w = 0; w < c->n_wants && !known; w++)
            known = c->wants[w].node == node->operands[i] && map_equal(&c->wants[w].map, &c->wants[ref->want].map);
        n += !known;
    }
    return n;
}

/* Cheap enough to compute in each cluster that wants it. */
static bool may_repeat(struct fuser *f, int id)
{
    const struct ir_node *node = ir_at(f->p, id);
    int clusters = 0;
    if (!ir_is_pointwise(node) || weight(node) > CHEAP)
        return false;
    for (struct want_ref *ref = f->wants[id]; ref; ref = ref->next)
        if (++clusters > MAX_REPEATS || new_reads(f, ref, node) > 1)
            return false;
    return true;
}

/* Tries the clusters that want the node, the earliest first, as its home. */
static bool find_home(struct fuser *f, int id)
{
    struct cluster *tried = NULL;
    for (;;) {
        struct want_ref *best = NULL;
        for (struct want_ref *ref = f->wants[id]; ref; ref = ref->next)
            if (ref->cluster->wants[ref->want].state == WANT_PENDING &&
                (!tried || ref->cluster->id < tried->id) && (!best || ref->cluster->id > best->cluster->id))
                best = ref;
        if (!best)
            return false;
        if (try_join(f, best->cluster, best->want, true))
            return true;
        tried = best->cluster;
    }
}

static void place_computed(struct fuser *f, int id)
{
    const struct ir_node *node = ir_at(f->p, id);
    struct want_ref *wants = f->wants[id];
    bool store = f->p->needed[id] || node->home == IR_HOME_STATE;
    bool narrow = node->op == KILN_OP_CAST && (node->dtype == KILN_U8 || node->dtype == KILN_F16);
    if (!wants && !store)
        return; /* nobody reads it */
    if (f->p->options->fuse && !narrow && !store && wants && (!wants->next || may_repeat(f, id))) {
        bool all = true;
        for (struct want_ref *ref = wants; ref; ref = ref->next)
            all &= try_join(f, ref->cluster, ref->want, false);
        if (all)
            return;
    }
    bool joined = f->p->options->fuse && !narrow && node->home != IR_HOME_STATE && wants && find_home(f, id);
    if (!joined)
        start_cluster(f, id);
    load_all(f, id);
}

static void place_view(struct fuser *f, int id)
{
    const struct ir_node *node = ir_at(f->p, id), *x = ir_at(f->p, node->operands[0]);
    for (struct want_ref *ref = f->wants[id]; ref; ref = ref->next) {
        struct cluster *c = ref->cluster;
        struct map map = c->wants[ref->want].map;
        if (!f->p->options->fuse || !cluster_view(c, node, &x->shape, &map)) {
            load(f, c, ref->want);
            continue;
        }
        int target = add_want(f, c, node->operands[0], &map, c->wants[ref->want].height);
        c->wants[ref->want].state = WANT_VIEW;
        c->wants[ref->want].target = target;
        c->n_pending--;
    }
}

static void place_fill(struct fuser *f, int id)
{
    for (struct want_ref *ref = f->wants[id]; ref; ref = ref->next)
        join(f, ref->cluster, ref->want, &ref->cluster->wants[ref->want].map, false);
}

/* A node with a step of its own, or a join of others' parts. */
static void place_big(struct fuser *f, int id)
{
    const struct ir_node *node = ir_at(f->p, id);
    load_all(f, id);
    if (node->op == KILN_OP_UPDATE)
        f->p->needed[id] = true;
    for (int i = 0; i < node->n_operands && f->p->needed[id]; i++)
        add_edge(f, ir_at(f->p, node->operands[i])->source, NULL, id);
}

void plan_fuse(struct planner *p)
{
    int n = p->ir.n;
    struct fuser f = {.p = p};
    f.wants = PLAN_SCRATCH(p, struct want_ref *, n);
    f.consumers = PLAN_SCRATCH(p, struct edge *, n);
    f.node_mark = PLAN_SCRATCH(p, int, n);
    int accesses = p->options->caps->loop_accesses, instructions = p->options->caps->loop_instructions;
    f.max_accesses = accesses < 4 || accesses > KILN_LOOP_MAX_ACCESSES ? KILN_LOOP_MAX_ACCESSES : accesses;
    f.max_instructions =
        instructions < 8 || instructions > KILN_LOOP_MAX_INSTRUCTIONS ? KILN_LOOP_MAX_INSTRUCTIONS : instructions;
    p->needed = PLAN_SCRATCH(p, bool, n);
    p->home_cluster = PLAN_SCRATCH(p, int, n);
    for (int i = 0; i < n; i++) {
        p->home_cluster[i] = -1;
        p->needed[i] = ir_at(p, i)->is_output;
    }
    for (int i = n - 1; i >= 0; i--) {
        const struct ir_node *node = ir_at(p, i);
        if (ir_is_pointwise(node) || ir_is_reduce(node))
            place_computed(&f, i);
        else if (ir_is_view(node))
            place_view(&f, i);
        else if (ir_is_fill(node))
            place_fill(&f, i);
        else
            place_big(&f, i);
    }
}
