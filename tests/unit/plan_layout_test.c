/* Layouts against index formulas written out by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/api/layout.h"
#include "core/api/step.h"

/* The stored offset of the element a, b, c, d of [A, B, C, D]. */
static int64_t formula(enum kiln_layout layout, const int64_t *extent, int64_t a, int64_t b,
                       int64_t c, int64_t d)
{
    int64_t B = extent[1], C = extent[2], D = extent[3];
    switch (layout) {
    case KILN_LAYOUT_NHWC:
        return ((a * C + c) * D + d) * B + b;
    case KILN_LAYOUT_NCHW8C:
        return (((a * (B / 8) + b / 8) * C + c) * D + d) * 8 + b % 8;
    case KILN_LAYOUT_NCHW16C:
        return (((a * (B / 16) + b / 16) * C + c) * D + d) * 16 + b % 16;
    case KILN_LAYOUT_OIHW8I8O:
        return ((((a / 8 * (B / 8) + b / 8) * C + c) * D + d) * 8 + b % 8) * 8 + a % 8;
    case KILN_LAYOUT_OIHW8O8I:
        return ((((a / 8 * (B / 8) + b / 8) * C + c) * D + d) * 8 + a % 8) * 8 + b % 8;
    case KILN_LAYOUT_OIHW16I16O:
        return ((((a / 16 * (B / 16) + b / 16) * C + c) * D + d) * 16 + b % 16) * 16 + a % 16;
    case KILN_LAYOUT_OIHW16O16I:
        return ((((a / 16 * (B / 16) + b / 16) * C + c) * D + d) * 16 + a % 16) * 16 + b % 16;
    case KILN_LAYOUT_OHWI16O:
        return (((a / 16 * C + c) * D + d) * B + b) * 16 + a % 16;
    case KILN_LAYOUT_OHWI32O:
        return (((a / 32 * C + c) * D + d) * B + b) * 32 + a % 32;
    case KILN_LAYOUT_OHWI64O:
        return (((a / 64 * C + c) * D + d) * B + b) * 64 + a % 64;
    case KILN_LAYOUT_HWIO:
        return ((c * D + d) * B + b) * extent[0] + a;
    default:
        return ((a * B + b) * C + c) * D + d;
    }
}

static void check(enum kiln_layout layout, struct kiln_shape shape)
{
    assert_true(kiln_layout_fits(layout, &shape));
    struct kiln_view view = kiln_layout_view(layout, &shape);
    int32_t dense[64 * 64 * 3 * 2], stored[64 * 64 * 3 * 2], back[64 * 64 * 3 * 2];
    int64_t count = kiln_shape_count(&shape), element = 0;
    assert_true(count <= 64 * 64 * 3 * 2);
    for (int64_t i = 0; i < count; i++)
        dense[i] = (int32_t)i * 7 + 1;
    memset(stored, 0, sizeof stored);
    kiln_layout_pack(layout, &shape, 4, dense, stored);
    for (int64_t a = 0; a < shape.d[0]; a++)
        for (int64_t b = 0; b < shape.d[1]; b++)
            for (int64_t c = 0; c < shape.d[2]; c++)
                for (int64_t d = 0; d < shape.d[3]; d++, element++) {
                    int64_t at = formula(layout, shape.d, a, b, c, d);
                    assert_int_equal(kiln_view_at(&view, element), at);
                    assert_int_equal(stored[at], dense[element]);
                }
    kiln_layout_unpack(layout, &shape, 4, stored, back);
    assert_memory_equal(back, dense, (size_t)count * 4);
}

static void views_and_packing_follow_the_formulas(void **unused)
{
    (void)unused;
    for (int layout = 0; layout < KILN_LAYOUT_COUNT; layout++) {
        check((enum kiln_layout)layout, KILN_SHAPE(64, 16, 3, 2));
        check((enum kiln_layout)layout, KILN_SHAPE(64, 64, 1, 1));
        check((enum kiln_layout)layout, KILN_SHAPE(64, 32, 1, 3));
    }
    check(KILN_LAYOUT_NHWC, KILN_SHAPE(3, 5, 7, 2));
    check(KILN_LAYOUT_NCHW8C, KILN_SHAPE(3, 8, 7, 2));
    check(KILN_LAYOUT_HWIO, KILN_SHAPE(3, 5, 7, 2));
}

static void a_layout_fits_only_what_its_blocks_divide(void **unused)
{
    (void)unused;
    struct kiln_shape shape = KILN_SHAPE(1, 24, 5, 5);
    assert_true(kiln_layout_fits(KILN_LAYOUT_NCHW8C, &shape));
    assert_false(kiln_layout_fits(KILN_LAYOUT_NCHW16C, &shape));
    assert_false(kiln_layout_fits(KILN_LAYOUT_OHWI16O, &shape));
    shape = KILN_SHAPE(16, 16, 4);
    assert_false(kiln_layout_fits(KILN_LAYOUT_NHWC, &shape));
    assert_true(kiln_layout_fits(KILN_LAYOUT_DENSE, &shape));
    assert_false(kiln_layout_fits(KILN_LAYOUT_COUNT, &shape));
}

static void every_name_is_set(void **unused)
{
    (void)unused;
    for (int i = 0; i < KILN_LAYOUT_COUNT; i++)
        for (int j = 0; j < i; j++)
            assert_string_not_equal(kiln_layout_name((enum kiln_layout)i),
                                    kiln_layout_name((enum kiln_layout)j));
    assert_string_equal(kiln_layout_name(KILN_LAYOUT_OIHW16I16O), "OIhw16i16o");
    for (int i = 0; i < KILN_STEP_KIND_COUNT; i++)
        assert_non_null(kiln_step_kind_name((enum kiln_step_kind)i));
    assert_string_equal(kiln_step_kind_name(KILN_STEP_CONV_WEIGHT_GRAD), "conv_weight_grad");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_and_packing_follow_the_formulas),
        cmocka_unit_test(a_layout_fits_only_what_its_blocks_divide),
        cmocka_unit_test(every_name_is_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
