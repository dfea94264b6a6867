/* A node into a cluster: wants, loads, members, and the rules of joining. */
#include "core/plan/fuser.h"

/* Elements below which a loop need not fill the device, and weights. */
enum { SMALL_LOOP = 1 << 15, TRIVIAL = 1, LOOK_AHEAD = 6 };

/* --- wants ---------------------------------------------------------------------- */

int fuse_add_want(struct fuser *f, struct cluster *c, int node, const struct map *map, int height)
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

void fuse_load(struct fuser *f, struct cluster *c, int want)
{
    struct want *w = &c->wants[want];
    if (w->state != WANT_PENDING)
        return;
    const struct ir_node *node = ir_at(f->p, w->node);
    w->state = WANT_LOAD;
    w->copy = !cluster_align(c, &w->map, &node->layout, NULL);
    c->n_pending--;
    c->n_loads++;
    fuse_add_edge(f, node->source, c, -1);
}

void fuse_load_all(struct fuser *f, int node)
{
    for (struct want_ref *ref = f->wants[node]; ref; ref = ref->next)
        fuse_load(f, ref->cluster, ref->want);
}

/* --- joining ----------------------------------------------------------------------- */

/* Makes the want's node a member; inner is the map of its operands. */
void fuse_join(struct fuser *f, struct cluster *c, int want, const struct map *inner, bool stored)
{
    struct want *w = &c->wants[want];
    const struct ir_node *node = ir_at(f->p, w->node);
    plan_grow(f->p, &c->members, &c->member_capacity, c->n_members, sizeof *c->members);
    int height = w->height + ir_is_reduce(node), self = c->n_members++;
    c->members[self] =
        (struct member){.node = w->node, .map = w->map, .stored = stored, .height = w->height};
    w->state = WANT_MEMBER;
    w->target = self;
    c->n_pending--;
    c->n_stores += stored;
    if (c->height < height)
        c->height = height;
    if (c->last_node < w->node)
        c->last_node = w->node;
    for (int i = 0; i < node->n_operands; i++)
        c->members[self].wants[i] = fuse_add_want(f, c, node->operands[i], inner, height);
    if (stored)
        f->p->home_cluster[c->members[self].node] = c->id;
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
int fuse_instruction_bound(const struct cluster *c, int passes)
{
    int outer = 2 * c->n_stores, element = 0;
    for (int i = 0; i < c->n_members; i++)
        *(is_element(c, &c->members[i].map) ? &element : &outer) += 1;
    for (int i = 0; i < c->n_wants; i++)
        if (c->wants[i].state == WANT_LOAD || c->wants[i].state == WANT_PENDING)
            *(is_element(c, &c->wants[i].map) ? &element : &outer) += 1;
    return outer + element * passes;
}

static bool has_room(const struct fuser *f, const struct cluster *c, const struct ir_node *node,
                     int height, bool stored)
{
    int accesses = c->n_loads + c->n_pending - 1 + node->n_operands + c->n_stores + stored;
    int passes = (height > c->height ? height : c->height) + 1;
    return accesses <= f->max_accesses &&
           fuse_instruction_bound(c, passes) + (2 + node->n_operands) * passes <=
               f->max_instructions;
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
            !map_equal(&c->wants[want].map, &c->domain) ||
            !flat_equal(&operand->layout, &effect->layout))
            return false;
    }
    return true;
}

/* True if the device stays busy when the cluster reduces all but the map. */
bool fuse_keeps_enough(const struct fuser *f, const struct cluster *c, const struct map *map)
{
    int64_t domain = cluster_count(c, &c->domain), kept = cluster_count(c, map);
    return c->any_reduced || kept == domain || domain <= SMALL_LOOP ||
           kept >= f->p->options->caps->parallelism;
}

/* True if the node follows, through nodes of its own size, from a reduction of
 * all the atoms that its map lacks. */
static bool follows_reduction(struct fuser *f, const struct cluster *c, const struct ir_node *node,
                              int depth)
{
    for (int i = 0; i < node->n_operands; i++) {
        const struct ir_node *operand = ir_at(f->p, node->operands[i]);
        if (operand->count != node->count)
            continue;
        if (ir_is_reduce(operand)) {
            if (ir_at(f->p, operand->operands[0])->count == cluster_count(c, &c->domain))
                return true;
        } else if ((ir_is_pointwise(operand) || operand->op == KILN_OP_RESHAPE) &&
                   depth < LOOK_AHEAD && follows_reduction(f, c, operand, depth + 1)) {
            return true;
        }
    }
    return false;
}

/* Makes the atoms that the map lacks reduced if a reduction of them is to come. */
static void foresee_reduction(struct fuser *f, struct cluster *c, const struct ir_node *node,
                              const struct map *map)
{
    if (c->any_reduced || c->effect || cluster_count(c, map) == cluster_count(c, &c->domain) ||
        !fuse_keeps_enough(f, c, map) || !follows_reduction(f, c, node, 0))
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
    return ir_weight(node) <= TRIVIAL;
}

/* Tries to make the want's node a member. */
bool fuse_try_join(struct fuser *f, struct cluster *c, int want, bool stored)
{
    int id = c->wants[want].node;
    const struct ir_node *node = ir_at(f->p, id);
    bool reduce = ir_is_reduce(node);
    int height = c->wants[want].height + reduce;
    for (int i = 0; i < c->n_wants; i++)
        if (i != want && c->wants[i].node == id)
            return false; /* it would be computed at two indices */
    if (height > FUSE_MAX_HEIGHT || !has_room(f, c, node, height, stored) ||
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
    if (reduce && !fuse_keeps_enough(f, c, &c->wants[want].map))
        return false;
    if (stored && fuse_reaches(f, id, c))
        return false;
    struct map inner = c->wants[want].map;
    if (reduce && !cluster_reduce(c, node, &ir_at(f->p, node->operands[0])->shape, &inner))
        return false;
    fuse_join(f, c, want, &inner, stored);
    return true;
}

/* The first atoms: the axes of the node, or the digits of a blocked layout. */
static struct map seed_atoms(struct cluster *c, const struct ir_node *node)
{
    struct map map = {0};
    struct flat flat = node->layout;
    flat_canonical(&flat);
    bool blocked = flat.n > 1 && flat.n <= CLUSTER_MAX_ATOMS && !ir_is_reduce(node);
    for (int i = 0; i < (blocked ? flat.n : node->shape.n); i++) {
        int64_t extent = blocked ? flat.digits[i].extent : node->shape.d[i];
        if (extent > 1 && cluster_add_atom(c, extent, false, &map.atoms[map.n]))
            map.n++;
    }
    return map;
}

struct cluster *fuse_start(struct fuser *f, int id)
{
    struct planner *p = f->p;
    const struct ir_node *node = ir_at(p, id);
    struct cluster *c = PLAN_SCRATCH(p, struct cluster, 1);
    plan_grow(p, &p->clusters, &p->cluster_capacity, p->n_clusters, sizeof *p->clusters);
    c->id = p->n_clusters;
    c->effect = node->home == IR_HOME_STATE;
    p->clusters[p->n_clusters++] = c;
    plan_grow(p, &c->wants, &c->want_capacity, 0, sizeof *c->wants);
    struct want *want = &c->wants[c->n_wants++];
    *want = (struct want){.node = id, .map = seed_atoms(c, node)};
    c->n_pending++;
    bool fits = cluster_align(c, &want->map, &node->layout, NULL);
    struct map inner = want->map;
    if (!fits || (ir_is_reduce(node) &&
                  !cluster_reduce(c, node, &ir_at(p, node->operands[0])->shape, &inner)))
        plan_fail(p, KILN_INPUT, "node %d has too many dimensions for one loop", node->origin);
    fuse_join(f, c, 0, &inner, true);
    return c;
}
