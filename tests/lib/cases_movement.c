/* Conformance cases of movement ops and rows. */
#include "tests/lib/cases_internal.h"

#include <stdio.h>

/* Outputs the view itself and a sum with it, so that it is once copied and
 * once folded into its reader. */
static void output_view(kiln_graph *g, kiln_node view)
{
    kiln_graph_output(g, "view", view);
    kiln_graph_output(g, "read", kiln_mul(g, view, kiln_scalar(g, 2)));
}

/* --- views ------------------------------------------------------------------------------- */

static void build_permute(kiln_graph *g, const struct kiln_case *one)
{
    int permutation[KILN_MAX_DIMS];
    for (int axis = 0; axis < one->shape[0].n; axis++)
        permutation[axis] = (int)one->v[axis];
    output_view(g, kiln_permute(g, case_in(g, "s", one->shape[0]), permutation));
}

static void emit_permutes(const struct case_sink *sink)
{
    static const struct {
        struct kiln_shape shape;
        int64_t p[6];
    } list[] = {
        {{2, {33, 65}}, {1, 0}},
        {{3, {2, 3, 5}}, {0, 2, 1}},
        {{3, {2, 3, 5}}, {1, 0, 2}},
        {{3, {2, 3, 5}}, {1, 2, 0}},
        {{3, {2, 3, 5}}, {2, 0, 1}},
        {{3, {2, 3, 5}}, {2, 1, 0}},
        {{4, {2, 16, 5, 7}}, {0, 2, 3, 1}},
        {{4, {2, 5, 7, 16}}, {0, 3, 1, 2}},
        {{6, {2, 1, 3, 2, 1, 5}}, {5, 0, 4, 2, 3, 1}},
    };
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        struct kiln_case one = {.build = build_permute, .shape = {list[i].shape}};
        for (int axis = 0; axis < 6; axis++)
            one.v[axis] = list[i].p[axis];
        case_emit(sink, one, "movement: permute %s number %zu", case_shape(list[i].shape), i);
    }
}

/* One slice: per axis start, size, step. */
static const struct slice_case {
    struct kiln_shape shape, size;
    int64_t start[6], step[6];
} slices[] = {
    {{1, {100}}, {1, {1}}, {99}, {1}},
    {{1, {100}}, {1, {50}}, {99}, {-2}},
    {{2, {17, 19}}, {2, {17, 19}}, {16, 18}, {-1, -1}},
    {{3, {5, 6, 7}}, {3, {2, 3, 2}}, {1, 5, 0}, {3, -2, 6}},
    {{4, {3, 16, 8, 8}}, {4, {2, 8, 4, 4}}, {1, 8, 1, 0}, {1, 1, 2, 2}},
};

static void build_slice(kiln_graph *g, const struct kiln_case *one)
{
    const struct slice_case *slice = &slices[one->v[0]];
    kiln_node x = case_in(g, "s", slice->shape);
    output_view(g, kiln_slice(g, x, slice->start, slice->size, slice->step));
}

static void build_pad(kiln_graph *g, const struct kiln_case *one)
{
    int64_t before[KILN_MAX_DIMS], after[KILN_MAX_DIMS];
    for (int axis = 0; axis < KILN_MAX_DIMS; axis++) {
        before[axis] = one->v[0] >> axis & 1 ? axis + 1 : 0;
        after[axis] = one->v[1] >> axis & 1 ? 3 - axis % 3 : 0;
    }
    double value = one->v[2] ? 0.3 : 0;
    output_view(g, kiln_pad(g, case_in(g, "s", one->shape[0]), before, after, value));
}

static void build_concat(kiln_graph *g, const struct kiln_case *one)
{
    enum { MAX_PARTS = 70 };
    kiln_node parts[MAX_PARTS];
    int axis = (int)one->v[1];
    for (int i = 0; i < one->v[0]; i++) {
        struct kiln_shape shape = one->shape[0];
        char name[16];
        shape.d[axis] = 1 + (shape.d[axis] + i) % 4;
        snprintf(name, sizeof name, "s%d", i);
        parts[i] = case_in(g, name, shape);
    }
    output_view(g, kiln_concat(g, (int)one->v[0], parts, axis));
}

/* A reshape after a permute must copy; one before it need not. */
static void build_reshape(kiln_graph *g, const struct kiln_case *one)
{
    (void)one;
    kiln_node x = case_in(g, "s", KILN_SHAPE(6, 4, 10));
    kiln_node split = kiln_reshape(g, x, KILN_SHAPE(2, 3, 4, 2, 5));
    kiln_node turned = kiln_permute(g, split, (int[]){3, 1, 0, 4, 2});
    output_view(g, kiln_reshape(g, turned, KILN_SHAPE(12, 20)));
    kiln_graph_output(g, "flat", kiln_reshape(g, x, KILN_SHAPE(240)));
    kiln_graph_output(g, "turned", turned);
}

static void build_view_of_views(kiln_graph *g, const struct kiln_case *one)
{
    (void)one;
    kiln_node x = case_in(g, "s", KILN_SHAPE(5, 1, 8));
    kiln_node wide = kiln_expand(g, x, KILN_SHAPE(2, 5, 3, 8));
    kiln_node turned = kiln_permute(g, wide, (int[]){1, 3, 0, 2});
    kiln_node back = kiln_slice(g, turned, (int64_t[]){4, 6, 0, 1}, KILN_SHAPE(5, 3, 2, 2),
                                (int64_t[]){-1, -2, 1, 1});
    output_view(g, kiln_reshape(g, back, KILN_SHAPE(15, 4)));
    kiln_node padded = kiln_pad(g, back, (int64_t[]){0, 1, 0, 2}, (int64_t[]){1, 0, 0, 0}, 0);
    kiln_graph_output(g, "padded", padded);
}

void cases_movement(const struct case_sink *sink)
{
    emit_permutes(sink);
    for (size_t i = 0; i < sizeof slices / sizeof *slices; i++)
        case_emit(sink, (struct kiln_case){.build = build_slice, .v = {(int64_t)i}},
                  "movement: slice %s to %s number %zu", case_shape(slices[i].shape),
                  case_shape(slices[i].size), i);
    for (int mask = 1; mask < 16; mask++) {
        struct kiln_case one = {.build = build_pad,
                                .shape = {KILN_SHAPE(2, 3, 5, 4)},
                                .v = {mask, mask * 7 % 16, mask % 2}};
        case_emit(sink, one, "movement: pad of mask %d", mask);
    }
    for (int axis = 0; axis < 4; axis++) {
        struct kiln_case one = {
            .build = build_concat, .shape = {KILN_SHAPE(2, 3, 5, 2)}, .v = {2 + axis, axis}};
        case_emit(sink, one, "movement: concat on axis %d", axis);
    }
    struct kiln_case many = {.build = build_concat, .shape = {KILN_SHAPE(3, 2)}, .v = {70, 1}};
    case_emit(sink, many, "movement: concat of 70 parts");
    case_emit(sink, (struct kiln_case){.build = build_reshape}, "movement: reshape");
    case_emit(sink, (struct kiln_case){.build = build_view_of_views}, "movement: view of views");
}

/* --- rows -------------------------------------------------------------------------------- */

static void build_gather(kiln_graph *g, const struct kiln_case *one)
{
    char name[16];
    snprintf(name, sizeof name, "index%d", (int)one->shape[0].d[0]);
    kiln_node index = kiln_input(g, name, KILN_I32, KILN_SHAPE(one->v[0]));
    static const char *const tables[] = {"s", "i", "u"};
    for (int dtype = 0; dtype < 3; dtype++) {
        kiln_node table = kiln_input(g, tables[dtype], (enum kiln_dtype)dtype, one->shape[0]);
        kiln_graph_output(g, tables[dtype], kiln_gather_rows(g, table, index));
    }
}

static void build_scatter(kiln_graph *g, const struct kiln_case *one)
{
    char name[16];
    struct kiln_shape values = one->shape[0];
    values.d[0] = one->v[0];
    snprintf(name, sizeof name, "index%d", (int)one->shape[0].d[0]);
    kiln_node index = kiln_input(g, name, KILN_I32, KILN_SHAPE(one->v[0]));
    kiln_node rows = kiln_scatter_add_rows(g, case_in(g, "x", values), index, one->shape[0].d[0]);
    kiln_graph_output(g, "y", rows);
}

void cases_rows(const struct case_sink *sink)
{
    const struct {
        struct kiln_shape table;
        int64_t n;
    } list[] = {
        {KILN_SHAPE(1, 1), 1},    {KILN_SHAPE(7), 20},       {KILN_SHAPE(7, 3), 20},
        {KILN_SHAPE(3, 64), 100}, {KILN_SHAPE(1000, 17), 5}, {KILN_SHAPE(10, 3, 5, 5), 8},
    };
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        struct kiln_case one = {.build = build_gather, .shape = {list[i].table}, .v = {list[i].n}};
        case_emit(sink, one, "rows: gather %d of %s", (int)list[i].n, case_shape(list[i].table));
        one.build = build_scatter;
        one.class = KILN_CASE_CHAIN;
        one.k = 1;
        case_emit(sink, one, "rows: scatter %d to %s", (int)list[i].n, case_shape(list[i].table));
    }
}
