/* Which nodes share a loop.
 *
 * Nodes are visited from the last to the first, so that every consumer of a
 * node already has its cluster. A node joins the cluster of a consumer, is
 * computed in several of them if it is cheap, or starts a cluster of its own;
 * clusters that read the same node at the same indices merge. Nothing of that
 * makes a cycle: the graph of clusters stays acyclic. */
#include "core/plan/fuser.h"

/* Most clusters that repeat a node, and its largest weight then. */
enum { MAX_REPEATS = 3, CHEAP = 4 };

/* What a chain of cheap unary nodes starts from. */
static int base_of(const struct fuser *f, int id)
{
    const struct ir_node *node = ir_at(f->p, id);
    while (ir_is_pointwise(node) && node->n_operands == 1 && ir_weight(node) <= 1) {
        id = node->operands[0];
        node = ir_at(f->p, id);
    }
    return id;
}

static bool is_wanted(const struct want_ref *ref, int node)
{
    const struct cluster *c = ref->cluster;
    for (int i = 0; i < c->n_wants; i++)
        if (c->wants[i].node == node && map_equal(&c->wants[i].map, &c->wants[ref->want].map))
            return true;
    return false;
}

/* New large tensors that the cluster would read if the node joined it. */
static int new_reads(struct fuser *f, const struct want_ref *ref, const struct ir_node *node)
{
    int n = 0, bases[3];
    for (int i = 0; i < node->n_operands; i++) {
        const struct ir_node *operand = ir_at(f->p, node->operands[i]);
        int base = base_of(f, node->operands[i]);
        bool known = operand->op == KILN_OP_CONST || operand->op == KILN_OP_EXPAND ||
                     is_wanted(ref, node->operands[i]) || is_wanted(ref, base);
        for (int k = 0; k < n && !known; k++)
            known = bases[k] == base;
        if (!known)
            bases[n++] = base;
    }
    return n;
}

/* Cheap enough to compute in each cluster that wants it. */
static bool may_repeat(struct fuser *f, int id)
{
    const struct ir_node *node = ir_at(f->p, id);
    int clusters = 0;
    if (!ir_is_pointwise(node) || ir_weight(node) > CHEAP)
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
                (!tried || ref->cluster->id < tried->id) &&
                (!best || ref->cluster->id > best->cluster->id))
                best = ref;
        if (!best)
            return false;
        if (fuse_try_join(f, best->cluster, best->want, true))
            return true;
        tried = best->cluster;
    }
}

static void place_computed(struct fuser *f, int id)
{
    const struct ir_node *node = ir_at(f->p, id);
    if (f->p->options->fuse)
        fuse_merge_wanting(f, id);
    struct want_ref *wants = f->wants[id];
    bool store = f->p->needed[id] || node->home == IR_HOME_STATE;
    bool apart = node->op == KILN_OP_CAST && (node->dtype == KILN_U8 || node->dtype == KILN_F16);
    apart |= node->barrier;
    if (!wants && !store)
        return; /* nobody reads it */
    if (f->p->options->fuse && !apart && !store && wants && (!wants->next || may_repeat(f, id))) {
        bool all = true;
        for (struct want_ref *ref = wants; ref; ref = ref->next)
            all &= fuse_try_join(f, ref->cluster, ref->want, false);
        if (all)
            return;
    }
    bool joined =
        f->p->options->fuse && !apart && node->home != IR_HOME_STATE && wants && find_home(f, id);
    if (!joined)
        fuse_start(f, id);
    fuse_load_all(f, id);
}

static void place_view(struct fuser *f, int id)
{
    const struct ir_node *node = ir_at(f->p, id), *x = ir_at(f->p, node->operands[0]);
    for (struct want_ref *ref = f->wants[id]; ref; ref = ref->next) {
        struct cluster *c = ref->cluster;
        struct map map = c->wants[ref->want].map;
        if (!f->p->options->fuse || !cluster_view(c, node, &x->shape, &map)) {
            fuse_load(f, c, ref->want);
            continue;
        }
        int target = fuse_add_want(f, c, node->operands[0], &map, c->wants[ref->want].height);
        c->wants[ref->want].state = WANT_VIEW;
        c->wants[ref->want].target = target;
        c->n_pending--;
    }
}

static void place_fill(struct fuser *f, int id)
{
    for (struct want_ref *ref = f->wants[id]; ref; ref = ref->next)
        fuse_join(f, ref->cluster, ref->want, &ref->cluster->wants[ref->want].map, false);
}

/* A node with a step of its own, or a join of others' parts. */
static void place_big(struct fuser *f, int id)
{
    const struct ir_node *node = ir_at(f->p, id);
    fuse_load_all(f, id);
    if (node->op == KILN_OP_UPDATE)
        f->p->needed[id] = true;
    for (int i = 0; i < node->n_operands && f->p->needed[id]; i++)
        fuse_add_edge(f, ir_at(f->p, node->operands[i])->source, NULL, id);
}

/* Renumbers the clusters that stand. */
static void drop_merged(struct planner *p)
{
    int n = 0;
    for (int i = 0; i < p->n_clusters; i++) {
        struct cluster *c = p->clusters[i];
        if (c->into)
            continue;
        c->id = n;
        for (int k = 0; k < c->n_members; k++)
            if (c->members[k].stored)
                p->home_cluster[c->members[k].node] = n;
        p->clusters[n++] = c;
    }
    p->n_clusters = n;
}

void plan_fuse(struct planner *p)
{
    int n = p->ir.n;
    struct fuser f = {.p = p};
    f.wants = PLAN_SCRATCH(p, struct want_ref *, n);
    f.consumers = PLAN_SCRATCH(p, struct edge *, n);
    f.node_mark = PLAN_SCRATCH(p, int, n);
    int accesses = p->options->caps->loop_accesses,
        instructions = p->options->caps->loop_instructions;
    f.max_accesses =
        accesses < 4 || accesses > KILN_LOOP_MAX_ACCESSES ? KILN_LOOP_MAX_ACCESSES : accesses;
    f.max_instructions = instructions < 8 || instructions > KILN_LOOP_MAX_INSTRUCTIONS
                             ? KILN_LOOP_MAX_INSTRUCTIONS
                             : instructions;
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
    if (p->options->fuse)
        fuse_merge_rest(&f);
    drop_merged(p);
}
