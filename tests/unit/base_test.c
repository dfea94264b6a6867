/* Arenas, growing text, shapes, error messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/api/types.h"
#include "core/base/arena.h"
#include "core/base/text.h"

static void arena_refuses_overflow_and_aligns(void **unused)
{
    (void)unused;
    kiln_arena *arena = kiln_arena_create();
    assert_non_null(arena);
    assert_null(kiln_arena_alloc(arena, SIZE_MAX, 2));
    assert_null(kiln_arena_alloc(arena, SIZE_MAX / 2, 4));
    for (size_t n = 0; n < 100000; n = n * 3 + 1) {
        char *p = kiln_arena_alloc(arena, n, 1);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 64, 0);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(p[i], 0);
        memset(p, 1, n);
    }
    assert_string_equal(kiln_arena_printf(arena, "%d-%s", 7, "x"), "7-x");
    kiln_arena_destroy(&arena);
    assert_null(arena);
}

static void text_grows(void **unused)
{
    (void)unused;
    struct kiln_text text = {0};
    for (int i = 0; i < 1000; i++)
        kiln_text_append(&text, "%03d", i);
    assert_int_equal(text.length, 3000);
    assert_memory_equal(text.data + 3 * 517, "517", 3);
    kiln_text_finish(&text);
    assert_int_equal(kiln_edit_distance("batch_sise", "batch_size"), 1);
    assert_int_equal(kiln_edit_distance("", "abc"), 3);
}

static void shape_counts_are_checked(void **unused)
{
    (void)unused;
    struct kiln_shape shape = KILN_SHAPE(2, 3, 5);
    assert_int_equal(kiln_shape_count(&shape), 30);
    shape = KILN_SHAPE((int64_t)1 << 31, (int64_t)1 << 31);
    assert_int_equal(kiln_shape_count(&shape), -1);
    shape = KILN_SHAPE(3, 0);
    assert_int_equal(kiln_shape_count(&shape), -1);
    char text[32];
    shape = KILN_SHAPE(4, 1);
    assert_string_equal(kiln_shape_text(&shape, text, sizeof text), "[4, 1]");
    assert_string_equal(kiln_shape_text(&shape, text, 4), "[4,");
}

static void messages_are_one_line(void **unused)
{
    (void)unused;
    struct kiln_error error;
    assert_int_equal(kiln_fail(&error, KILN_INPUT, "a\nb%d", 3), KILN_INPUT);
    assert_string_equal(error.text, "a?b3");
    kiln_fail(&error, KILN_INPUT, "while: %s", error.text);
    assert_string_equal(error.text, "while: a?b3");
    assert_int_equal(kiln_fail(NULL, KILN_MACHINE, "x"), KILN_MACHINE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arena_refuses_overflow_and_aligns),
        cmocka_unit_test(text_grows),
        cmocka_unit_test(shape_counts_are_checked),
        cmocka_unit_test(messages_are_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
