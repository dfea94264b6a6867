/* Cutting a loop's domain into units, tiles and lanes. */
#include "backends/cpu/loop.h"

#include <string.h>

/* Lanes of a unit: enough for vectors, few enough that a unit's data stays in
 * a cache and that there are units for all threads. */
#define MIN_LANES     32
#define MAX_LANES     512
#define UNIT_ELEMENTS 8192
#define WANTED_UNITS  8

/* Transpositions: floats of a cache line; the part that is turned. */
#define LINE_ELEMENTS 16
#define MIN_TURNED    8
#define MAX_TURNED    32

static int64_t largest_divisor(int64_t n, int64_t limit)
{
    int64_t d = cpu_min(n, limit);
    while (n % d)
        d--;
    return d;
}

int cpu_loop_ranges(const struct kiln_loop *loop, struct loop_range ranges[2])
{
    int inner = -1;
    bool any_reduced = false;
    for (int d = 0; d < loop->n_dims; d++) {
        any_reduced |= loop->reduced[d];
        if (loop->extent[d] > 1)
            inner = d;
    }
    ranges[0] = (struct loop_range){-1, 0, 0};
    if (!any_reduced || inner < 0 || loop->reduced[inner] || loop->extent[inner] <= MAX_LANES ||
        largest_divisor(loop->extent[inner], MAX_LANES) >= MIN_LANES)
        return 1;
    int64_t whole = loop->extent[inner] / 64 * 64;
    ranges[0] = (struct loop_range){inner, 0, whole};
    ranges[1] = (struct loop_range){inner, whole, loop->extent[inner] - whole};
    return 2;
}

/* True if two neighbouring dimensions are one for every access. */
static bool joins(const struct loop_dim *outer, const struct loop_dim *inner, int n_accesses)
{
    if (outer->reduced != inner->reduced)
        return false;
    for (int a = 0; a < n_accesses; a++)
        if (outer->stride[a] != inner->stride[a] * inner->extent)
            return false;
    return true;
}

/* The domain without extents of 1, neighbours joined; at least one dimension. */
static int collect(const struct kiln_loop *loop, struct loop_range range, struct loop_dim *dims,
                   int64_t *first)
{
    int n = 0;
    for (int a = 0; a < loop->n_accesses; a++)
        first[a] = range.dim >= 0 ? range.first * loop->accesses[a].stride[range.dim] : 0;
    for (int d = 0; d < loop->n_dims; d++) {
        struct loop_dim dim = {.extent = d == range.dim ? range.count : loop->extent[d],
                               .reduced = loop->reduced[d]};
        if (dim.extent == 1)
            continue;
        for (int a = 0; a < loop->n_accesses; a++)
            dim.stride[a] = loop->accesses[a].stride[d];
        if (n && joins(&dims[n - 1], &dim, loop->n_accesses)) {
            dim.extent *= dims[n - 1].extent;
            n--;
        }
        dims[n++] = dim;
    }
    if (!n)
        dims[n++] = (struct loop_dim){.extent = 1};
    return n;
}

/* An equal part of extent, at most limit, a multiple of 16 where that fits. */
static int64_t equal_part(int64_t extent, int64_t limit, int64_t tail)
{
    limit = cpu_max(1, limit);
    int64_t parts = (extent + limit - 1) / limit, part = (extent + parts - 1) / parts;
    int64_t rounded = (part + 15) / 16 * 16;
    return tail == 1 && rounded <= limit ? rounded : part;
}

static void add_tail(struct loop_shape *shape, const struct loop_dim *dim)
{
    shape->tail[shape->n_tail++] = *dim; /* innermost first, reversed at the end */
    shape->tail_elements *= dim->extent;
    shape->tail_lanes *= dim->reduced ? 1 : dim->extent;
}

/* Splits a dimension into an outer dimension, which stays, and the inner one. */
static struct loop_dim split(struct loop_dim *dim, int64_t inner, int n_accesses)
{
    struct loop_dim part = *dim;
    part.extent = inner;
    dim->extent /= inner;
    for (int a = 0; a < n_accesses; a++)
        dim->stride[a] *= inner;
    return part;
}

/* The dimension along which some access is contiguous that is not along the
 * innermost one; -1 if there is none. */
static int crossing(const struct loop_dim *dims, int n, int n_accesses)
{
    for (int a = 0; a < n_accesses; a++)
        for (int d = 0; d < n - 1; d++)
            if (dims[d].stride[a] == 1 && dims[n - 1].stride[a] > 1)
                return d;
    return -1;
}

/*
 * A transposition: a tile should be a few whole cache lines both ways, so a
 * part of the crossing dimension becomes innermost. Returns the number of
 * dimensions.
 */
static int turn(struct loop_dim *dims, int n, int n_accesses)
{
    int d = crossing(dims, n, n_accesses);
    if (d < 0 || dims[n - 1].extent <= LINE_ELEMENTS)
        return n;
    int64_t part = dims[d].extent % LINE_ELEMENTS ? largest_divisor(dims[d].extent, MAX_TURNED)
                                                  : LINE_ELEMENTS;
    if (part < dims[d].extent && (part < MIN_TURNED || n == LOOP_MAX_DIMS))
        return n;
    struct loop_dim inner = split(&dims[d], part, n_accesses);
    if (dims[d].extent == 1) {
        memmove(&dims[d], &dims[d + 1], (size_t)(n - 1 - d) * sizeof *dims);
        n--;
    }
    dims[n] = inner;
    return n + 1;
}

/* No reduction: tiles in order, each a unit. */
static void cut_map(struct loop_dim *dims, int n, int n_accesses, int64_t chunk,
                    struct loop_shape *shape)
{
    n = turn(dims, n, n_accesses);
    int i = n - 1;
    while (i > 0 && shape->tail_elements * dims[i].extent <= chunk)
        add_tail(shape, &dims[i--]);
    shape->tile = dims[i];
    shape->tile_count =
        equal_part(dims[i].extent, chunk / shape->tail_elements, shape->tail_elements);
    for (int d = 0; d < i; d++)
        shape->unit[shape->n_unit++] = dims[d];
}

/* Lanes that an innermost kept dimension gives to a unit. */
static int64_t lanes_of(int64_t extent, int64_t outside, int64_t reduced)
{
    int64_t pieces = (WANTED_UNITS + outside - 1) / outside;
    int64_t cap = cpu_min(cpu_max(UNIT_ELEMENTS / reduced, 64), MAX_LANES);
    int64_t limit = cpu_min(cap, cpu_max(MIN_LANES, extent / pieces));
    if (extent <= limit)
        return extent;
    int64_t lanes = largest_divisor(extent, limit);
    return lanes < MIN_LANES && extent <= MAX_LANES ? extent : lanes;
}

/* Product of the extents of kept (or reduced) dimensions before end. */
static int64_t product(const struct loop_dim *dims, int end, bool reduced)
{
    int64_t p = 1;
    for (int d = 0; d < end; d++)
        p *= dims[d].reduced == reduced ? dims[d].extent : 1;
    return p;
}

/* All reduced dimensions lie in the tail: a unit is one tile, of several kept
 * indices if there are more. */
static void cut_single_tile(struct loop_dim *dims, const bool *in_tail, int n, int64_t chunk,
                            struct loop_shape *shape)
{
    int at = n - 1;
    while (at >= 0 && (in_tail[at] || dims[at].reduced))
        at--;
    if (at >= 0) {
        shape->tile = dims[at];
        shape->tile_count =
            equal_part(dims[at].extent, chunk / shape->tail_elements, shape->tail_elements);
    } else {
        shape->tile = shape->tail[--shape->n_tail];
        shape->tile_count = shape->tile.extent;
        shape->tail_elements /= shape->tile.extent;
        shape->tail_lanes /= shape->tile.reduced ? 1 : shape->tile.extent;
    }
    for (int d = 0; d < n; d++)
        if (d != at && !in_tail[d])
            shape->unit[shape->n_unit++] = dims[d];
}

/* The tail takes the innermost dimensions while they are small; the next
 * reduced one is the tile dimension; kept ones beyond go to the units. */
static void cut_reduction(struct loop_dim *dims, int n, int n_accesses, int64_t chunk,
                          struct loop_shape *shape)
{
    bool in_tail[LOOP_MAX_DIMS] = {false};
    int64_t reduced = product(dims, n, true);
    int tile = -1;
    for (int i = n - 1; i >= 0 && tile < 0; i--) {
        int64_t extent = dims[i].extent;
        if (dims[i].reduced) {
            if (shape->tail_elements * extent > chunk) {
                tile = i;
                continue;
            }
        } else if (shape->n_tail == 0) {
            int64_t lanes = lanes_of(extent, product(dims, i, false), reduced);
            if (lanes > 1 && lanes < extent) {
                struct loop_dim inner = split(&dims[i], lanes, n_accesses);
                add_tail(shape, &inner);
            }
            if (lanes < extent)
                continue;
        } else if (shape->tail_elements * extent > chunk / 2) {
            continue;
        }
        in_tail[i] = true;
        add_tail(shape, &dims[i]);
    }
    if (tile < 0) {
        cut_single_tile(dims, in_tail, n, chunk, shape);
        return;
    }
    shape->tile = dims[tile];
    shape->tile_count =
        equal_part(dims[tile].extent, chunk / shape->tail_elements, shape->tail_elements);
    for (int d = 0; d < n; d++) {
        if (d == tile || in_tail[d])
            continue;
        if (dims[d].reduced)
            shape->walk[shape->n_walk++] = dims[d];
        else
            shape->unit[shape->n_unit++] = dims[d];
    }
}

void cpu_loop_shape(const struct kiln_loop *loop, struct loop_range range, int64_t chunk,
                    struct loop_shape *shape)
{
    struct loop_dim dims[LOOP_MAX_DIMS];
    *shape = (struct loop_shape){.tail_elements = 1, .tail_lanes = 1, .units = 1};
    int n = collect(loop, range, dims, shape->first);
    if (product(dims, n, true) == 1)
        cut_map(dims, n, loop->n_accesses, chunk, shape);
    else
        cut_reduction(dims, n, loop->n_accesses, chunk, shape);
    for (int i = 0, j = shape->n_tail - 1; i < j; i++, j--) {
        struct loop_dim swap = shape->tail[i];
        shape->tail[i] = shape->tail[j];
        shape->tail[j] = swap;
    }
    for (int d = 0; d < shape->n_unit; d++)
        shape->units *= shape->unit[d].extent;
    if (!shape->tile.reduced)
        shape->units *= (shape->tile.extent + shape->tile_count - 1) / shape->tile_count;
    shape->lanes = shape->tail_lanes * (shape->tile.reduced ? 1 : shape->tile_count);
    shape->repeats = CPU_SHORT % shape->tail_elements == 0;
}
