/* The index space of a cluster: atoms and maps. */
#include <string.h>

#include "core/plan/cluster.h"

int64_t cluster_count(const struct cluster *c, const struct map *map)
{
    int64_t count = 1;
    for (int i = 0; i < map->n; i++)
        count *= c->extent[map->atoms[i]];
    return count;
}

bool map_equal(const struct map *a, const struct map *b)
{
    return a->n == b->n && !memcmp(a->atoms, b->atoms, (size_t)a->n);
}

bool cluster_add_atom(struct cluster *c, int64_t extent, bool reduced, uint8_t *atom)
{
    if (c->n_atoms == CLUSTER_MAX_ATOMS)
        return false;
    *atom = (uint8_t)c->n_atoms++;
    c->extent[*atom] = extent;
    c->reduced[*atom] = reduced;
    c->domain.atoms[c->domain.n++] = *atom;
    return true;
}

static void replace(struct map *map, uint8_t atom, uint8_t low)
{
    for (int i = 0; i < map->n; i++) {
        if (map->atoms[i] != atom)
            continue;
        memmove(&map->atoms[i + 2], &map->atoms[i + 1], (size_t)(map->n - i - 1));
        map->atoms[i + 1] = low;
        map->n++;
        return;
    }
}

/* True if the map is one of the cluster's own. */
static bool is_own(const struct cluster *c, const struct map *map)
{
    const char *at = (const char *)map;
    return at == (const char *)&c->domain ||
           (at >= (const char *)c->members && at < (const char *)(c->members + c->n_members)) ||
           (at >= (const char *)c->wants && at < (const char *)(c->wants + c->n_wants));
}

/* Splits an atom: it keeps the high part, a new atom takes low values. */
static bool split_atom(struct cluster *c, uint8_t atom, int64_t low, struct map *map,
                       struct map *extra)
{
    if (c->n_atoms == CLUSTER_MAX_ATOMS || c->extent[atom] % low)
        return false;
    uint8_t added = (uint8_t)c->n_atoms++;
    c->extent[added] = low;
    c->extent[atom] /= low;
    c->reduced[added] = c->reduced[atom];
    replace(&c->domain, atom, added);
    for (int i = 0; i < c->n_members; i++)
        replace(&c->members[i].map, atom, added);
    for (int i = 0; i < c->n_wants; i++)
        replace(&c->wants[i].map, atom, added);
    if (!is_own(c, map))
        replace(map, atom, added);
    if (extra && !is_own(c, extra))
        replace(extra, atom, added);
    return true;
}

bool cluster_group(struct cluster *c, struct map *map, const struct kiln_shape *shape, int *first,
                   struct map *extra)
{
    int sizes[KILN_MAX_DIMS], i = map->n;
    for (int axis = shape->n - 1; axis >= 0; axis--) {
        int64_t rest = shape->d[axis];
        sizes[axis] = 0;
        while (rest > 1) {
            if (--i < 0)
                return false;
            int64_t extent = c->extent[map->atoms[i]];
            if (extent > rest) {
                if (!split_atom(c, map->atoms[i], rest, map, extra))
                    return false;
                i++;
                extent = rest;
            }
            if (rest % extent)
                return false;
            rest /= extent;
            sizes[axis]++;
        }
    }
    first[0] = 0;
    for (int axis = 0; axis < shape->n; axis++)
        first[axis + 1] = first[axis] + sizes[axis];
    return i == 0;
}

static void append_atoms(struct map *to, const struct map *from, int first, int end)
{
    for (int i = first; i < end; i++)
        to->atoms[to->n++] = from->atoms[i];
}

bool cluster_view(struct cluster *c, const struct ir_node *view, const struct kiln_shape *in,
                  struct map *map)
{
    int first[KILN_MAX_DIMS + 1];
    if (view->op == KILN_OP_RESHAPE)
        return true;
    if (view->op == KILN_OP_SLICE || !cluster_group(c, map, &view->shape, first, NULL))
        return false;
    struct map out = {0};
    if (view->op == KILN_OP_PERMUTE) {
        for (int axis = 0; axis < in->n; axis++)
            for (int i = 0; i < in->n; i++)
                if (view->params.permutation[i] == axis)
                    append_atoms(&out, map, first[i], first[i + 1]);
    } else {
        int lead = view->shape.n - in->n;
        for (int axis = 0; axis < in->n; axis++)
            if (in->d[axis] == view->shape.d[axis + lead])
                append_atoms(&out, map, first[axis + lead], first[axis + lead + 1]);
    }
    *map = out;
    return true;
}

bool cluster_align(struct cluster *c, struct map *map, const struct flat *flat, int64_t *strides)
{
    struct flat digits = *flat;
    flat_canonical(&digits);
    if (strides)
        memset(strides, 0, CLUSTER_MAX_ATOMS * sizeof *strides);
    int i = map->n - 1, d = digits.n - 1;
    while (i >= 0 && d >= 0) {
        struct kiln_digit *digit = &digits.digits[d];
        int64_t extent = c->extent[map->atoms[i]];
        if (extent > digit->extent) {
            if (!split_atom(c, map->atoms[i], digit->extent, map, NULL))
                return false;
            i++;
            extent = digit->extent;
        }
        if (digit->extent % extent)
            return false;
        if (strides)
            strides[map->atoms[i]] = digit->stride;
        digit->extent /= extent;
        digit->stride *= extent;
        if (digit->extent == 1)
            d--;
        i--;
    }
    return i < 0 && d < 0;
}

/* The atoms that a reduction's result does not use, if they can be the
 * cluster's reduced ones; adds new ones if it uses all. */
static bool find_reduced(struct cluster *c, const struct map *result,
                         const struct kiln_shape *extents, struct map *reduced)
{
    bool used[CLUSTER_MAX_ATOMS] = {false};
    for (int i = 0; i < result->n; i++)
        used[result->atoms[i]] = true;
    for (int i = 0; i < c->domain.n; i++) {
        uint8_t atom = c->domain.atoms[i];
        if (c->any_reduced && used[atom] == c->reduced[atom])
            return false;
        if (!used[atom])
            reduced->atoms[reduced->n++] = atom;
    }
    if (reduced->n == 0 && !c->any_reduced)
        for (int axis = 0; axis < extents->n; axis++)
            if (extents->d[axis] > 1 &&
                !cluster_add_atom(c, extents->d[axis], true, &reduced->atoms[reduced->n++]))
                return false;
    return cluster_count(c, reduced) == kiln_shape_count(extents);
}

bool cluster_reduce(struct cluster *c, const struct ir_node *node, const struct kiln_shape *in,
                    struct map *map)
{
    struct kiln_shape extents = {0}; /* of the reduced axes */
    struct map reduced = {0}, inner = {0};
    int first[KILN_MAX_DIMS + 1], first_reduced[KILN_MAX_DIMS + 1];
    for (int axis = 0; axis < in->n; axis++)
        if (node->params.axes >> axis & 1)
            extents.d[extents.n++] = in->d[axis];
    if (!cluster_group(c, map, &node->shape, first, NULL) ||
        !find_reduced(c, map, &extents, &reduced) ||
        !cluster_group(c, &reduced, &extents, first_reduced, map))
        return false;
    for (int axis = 0, r = 0; axis < in->n; axis++) {
        if (node->params.axes >> axis & 1) {
            append_atoms(&inner, &reduced, first_reduced[r], first_reduced[r + 1]);
            r++;
        } else {
            append_atoms(&inner, map, first[axis], first[axis + 1]);
        }
    }
    for (int i = 0; i < reduced.n; i++)
        c->reduced[reduced.atoms[i]] = true;
    c->any_reduced = true;
    *map = inner;
    return true;
}
