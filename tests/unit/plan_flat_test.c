/* The algebra of flat views against naive index computation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/plan/flat.h"

enum { MAX_ELEMENTS = 1 << 14 };

static uint64_t seed = 1;

static int64_t pick(int64_t n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (int64_t)((seed >> 33) % (uint64_t)n);
}

/* A tensor as the list of where its elements lie, in row-major order. */
struct naive {
    struct kiln_shape shape;
    int64_t at[MAX_ELEMENTS];
};

static struct naive from, to;

static void index_of(const struct kiln_shape *shape, int64_t element, int64_t *index)
{
    for (int i = shape->n - 1; i >= 0; i--) {
        index[i] = element % shape->d[i];
        element /= shape->d[i];
    }
}

static int64_t at_index(const struct naive *x, const int64_t *index)
{
    int64_t element = 0;
    for (int i = 0; i < x->shape.n; i++)
        element = element * x->shape.d[i] + index[i];
    return x->at[element];
}

static int64_t flat_at(const struct flat *flat, int64_t element)
{
    int64_t at = flat->offset;
    for (int i = flat->n - 1; i >= 0; i--) {
        at += element % flat->digits[i].extent * flat->digits[i].stride;
        element /= flat->digits[i].extent;
    }
    return at;
}

static void assert_same(const struct flat *flat, const struct naive *x)
{
    struct kiln_view view;
    for (int64_t i = 0; i < kiln_shape_count(&x->shape); i++)
        assert_int_equal(flat_at(flat, i), x->at[i]);
    if (flat_to_view(flat, &x->shape, &view))
        for (int64_t i = 0; i < kiln_shape_count(&x->shape); i++)
            assert_int_equal(kiln_view_at(&view, i), x->at[i]);
    int64_t low, high, least = x->at[0], most = x->at[0];
    flat_bounds(flat, &low, &high);
    for (int64_t i = 0; i < kiln_shape_count(&x->shape); i++) {
        least = x->at[i] < least ? x->at[i] : least;
        most = x->at[i] > most ? x->at[i] : most;
    }
    assert_int_equal(low, least);
    assert_int_equal(high, most);
}

static bool permute(struct flat *flat)
{
    int permutation[KILN_MAX_DIMS], n = from.shape.n;
    for (int i = 0; i < n; i++) {
        int j = (int)pick(i + 1);
        permutation[i] = permutation[j];
        permutation[j] = i;
    }
    to.shape.n = n;
    for (int i = 0; i < n; i++)
        to.shape.d[i] = from.shape.d[permutation[i]];
    for (int64_t e = 0; e < kiln_shape_count(&to.shape); e++) {
        int64_t index[KILN_MAX_DIMS], source[KILN_MAX_DIMS];
        index_of(&to.shape, e, index);
        for (int i = 0; i < n; i++)
            source[permutation[i]] = index[i];
        to.at[e] = at_index(&from, source);
    }
    return flat_permute(flat, &from.shape, permutation);
}

static bool slice(struct flat *flat)
{
    int64_t start[KILN_MAX_DIMS], step[KILN_MAX_DIMS];
    to.shape = from.shape;
    for (int i = 0; i < from.shape.n; i++) {
        int64_t extent = from.shape.d[i], first = pick(extent), last = pick(extent);
        int64_t stride = pick(3) ? 1 : 1 + pick(3);
        if (pick(2)) { /* often whole blocks, which blocked axes can slice */
            first = first / 4 * 4;
            last = extent - 1;
        }
        start[i] = first;
        step[i] = last < first ? -stride : stride;
        to.shape.d[i] = llabs(last - first) / stride + 1;
    }
    for (int64_t e = 0; e < kiln_shape_count(&to.shape); e++) {
        int64_t index[KILN_MAX_DIMS];
        index_of(&to.shape, e, index);
        for (int i = 0; i < to.shape.n; i++)
            index[i] = start[i] + index[i] * step[i];
        to.at[e] = at_index(&from, index);
    }
    return flat_slice(flat, &from.shape, &to.shape, start, step);
}

static bool expand(struct flat *flat)
{
    int lead = from.shape.n < KILN_MAX_DIMS ? (int)pick(2) : 0;
    to.shape.n = from.shape.n + lead;
    for (int i = 0; i < to.shape.n; i++) {
        int64_t extent = i < lead ? 1 : from.shape.d[i - lead];
        to.shape.d[i] = extent == 1 ? 1 + pick(3) : extent;
    }
    if (kiln_shape_count(&to.shape) > MAX_ELEMENTS)
        return false;
    for (int64_t e = 0; e < kiln_shape_count(&to.shape); e++) {
        int64_t index[KILN_MAX_DIMS];
        index_of(&to.shape, e, index);
        for (int i = lead; i < to.shape.n; i++)
            index[i - lead] = from.shape.d[i - lead] == 1 ? 0 : index[i];
        to.at[e] = at_index(&from, index);
    }
    return flat_expand(flat, &from.shape, &to.shape);
}

static bool reshape(struct flat *flat)
{
    (void)flat;
    to = from;
    int axis = (int)pick(to.shape.n);
    if (to.shape.n < KILN_MAX_DIMS && pick(2)) {
        for (int64_t d = 2; d < to.shape.d[axis]; d++) {
            if (to.shape.d[axis] % d || pick(2))
                continue;
            memmove(&to.shape.d[axis + 1], &to.shape.d[axis],
                    (size_t)(to.shape.n - axis) * sizeof(int64_t));
            to.shape.n++;
            to.shape.d[axis] /= d;
            to.shape.d[axis + 1] = d;
            break;
        }
    } else if (axis + 1 < to.shape.n) {
        to.shape.d[axis] *= to.shape.d[axis + 1];
        memmove(&to.shape.d[axis + 1], &to.shape.d[axis + 2],
                (size_t)(to.shape.n - axis - 2) * sizeof(int64_t));
        to.shape.n--;
    }
    return true;
}

static void chains_of_movement_agree(void **unused)
{
    (void)unused;
    static const enum kiln_layout layouts[] = {KILN_LAYOUT_DENSE, KILN_LAYOUT_NHWC,
                                               KILN_LAYOUT_NCHW8C, KILN_LAYOUT_OIHW8I8O};
    int applied = 0, refused = 0;
    for (int round = 0; round < 3000; round++) {
        struct kiln_shape shape =
            KILN_SHAPE(8 * (1 + pick(2)), 8 * (1 + pick(3)), 1 + pick(6), 1 + pick(6));
        struct flat flat = flat_of_layout(layouts[pick(4)], &shape);
        from.shape = shape;
        for (int64_t e = 0; e < kiln_shape_count(&shape); e++)
            from.at[e] = flat_at(&flat, e);
        for (int i = 0; i < 6; i++) {
            struct flat next = flat;
            int op = (int)pick(4);
            bool done = op == 0   ? permute(&next)
                        : op == 1 ? slice(&next)
                        : op == 2 ? expand(&next)
                                  : reshape(&next);
            if (!done) {
                refused++;
                continue;
            }
            assert_same(&next, &to);
            flat = next;
            from = to;
            applied++;
        }
    }
    /* most chains must be expressible, or the planner would copy all the time */
    assert_true(applied > 3 * refused);
}

static void canonical_form_tells_equal_views(void **unused)
{
    (void)unused;
    struct kiln_shape shape = KILN_SHAPE(2, 16, 3, 5), split = KILN_SHAPE(2, 4, 4, 15);
    struct flat a = flat_of_layout(KILN_LAYOUT_NCHW8C, &shape), b = a;
    struct flat_axes axes;
    assert_true(flat_group(&b, &split, &axes));
    assert_true(b.n > a.n);
    assert_true(flat_equal(&a, &b));
    assert_false(flat_is_dense(&a));
    struct flat dense = flat_of_layout(KILN_LAYOUT_DENSE, &shape);
    assert_true(flat_is_dense(&dense));
    assert_false(flat_equal(&a, &dense));
    /* without rows and columns there is nothing to block */
    shape = KILN_SHAPE(4, 16, 1, 1);
    a = flat_of_layout(KILN_LAYOUT_NCHW8C, &shape);
    assert_true(flat_is_dense(&a));
}

static void strides_exist_where_an_axis_steps_evenly(void **unused)
{
    (void)unused;
    struct kiln_shape shape = KILN_SHAPE(2, 16, 3, 5), rows = KILN_SHAPE(2, 16, 15);
    int64_t stride[KILN_MAX_DIMS];
    struct flat flat = flat_of_layout(KILN_LAYOUT_NHWC, &shape);
    assert_true(flat_strides(&flat, &rows, stride));
    assert_int_equal(stride[0], 240);
    assert_int_equal(stride[1], 1);
    assert_int_equal(stride[2], 16);
    flat = flat_of_layout(KILN_LAYOUT_NCHW8C, &shape);
    assert_false(flat_strides(&flat, &rows, stride));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chains_of_movement_agree),
        cmocka_unit_test(canonical_form_tells_equal_views),
        cmocka_unit_test(strides_exist_where_an_axis_steps_evenly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
