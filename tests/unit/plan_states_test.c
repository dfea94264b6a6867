/* The table of states: groups, offsets, clashes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/api/step.h"
#include "core/plan/states.h"

static kiln_node state(kiln_graph *graph, const char *name, struct kiln_shape shape, bool trainable)
{
    struct kiln_state declared = {
        .name = name, .shape = shape, .dtype = KILN_F32, .trainable = trainable};
    return kiln_state(graph, &declared);
}

static void offsets_mirror_in_all_parts(void **unused)
{
    (void)unused;
    struct kiln_error error;
    kiln_graph *graph = kiln_graph_create();
    state(graph, "net.weight", KILN_SHAPE(16, 16, 3, 3), true);
    state(graph, "other.weight", KILN_SHAPE(5), true);
    state(graph, "net.bias", KILN_SHAPE(10), true);
    state(graph, "net.mean", KILN_SHAPE(10), false);
    kiln_states *states = kiln_states_create();
    assert_int_equal(
        kiln_states_group(states, "net.", (struct kiln_update){KILN_OPTIMIZER_ADAM, true}), 0);
    assert_int_equal(kiln_states_group(states, "", (struct kiln_update){KILN_OPTIMIZER_SGD, false}),
                     1);
    assert_int_equal(kiln_states_collect(states, graph, &error), KILN_OK);
    assert_int_equal(kiln_states_collect(states, graph, &error), KILN_OK);
    assert_int_equal(kiln_states_count(states), 4);
    int weight = kiln_states_find(states, "net.weight"),
        bias = kiln_states_find(states, "net.bias");
    kiln_states_set_layout(states, weight, KILN_LAYOUT_OIHW16I16O);
    kiln_states_set_layout(states, bias, KILN_LAYOUT_OIHW16I16O); /* does not fit */
    assert_int_equal(kiln_states_offset(states, weight, KILN_STATE_VALUE), -1);
    assert_int_equal(kiln_states_freeze(states, &error), KILN_OK);
    assert_int_equal(kiln_states_at(states, weight)->layout, KILN_LAYOUT_OIHW16I16O);
    assert_int_equal(kiln_states_at(states, bias)->layout, KILN_LAYOUT_DENSE);
    assert_int_equal(kiln_states_at(states, weight)->group, 0);
    int64_t arena = kiln_states_group_at(states, 0)->bytes;
    assert_int_equal(arena, 16 * 16 * 9 * 4 + 64);
    for (int part = 0; part < KILN_STATE_PARTS; part++) {
        int64_t base = kiln_states_group_at(states, 0)->part_offset[part];
        assert_int_equal(base, part * arena);
        assert_int_equal(kiln_states_offset(states, bias, (enum kiln_state_part)part),
                         base + 16 * 16 * 9 * 4);
    }
    int other = kiln_states_find(states, "other.weight");
    assert_int_equal(kiln_states_offset(states, other, KILN_STATE_VALUE), 4 * arena);
    assert_int_equal(kiln_states_offset(states, other, KILN_STATE_MOMENT1), 4 * arena + 64);
    assert_int_equal(kiln_states_offset(states, other, KILN_STATE_MOMENT2), -1);
    assert_int_equal(kiln_states_offset(states, other, KILN_STATE_EMA), -1);
    int mean = kiln_states_find(states, "net.mean");
    assert_int_equal(kiln_states_at(states, mean)->group, -1);
    assert_int_equal(kiln_states_offset(states, mean, KILN_STATE_VALUE), 4 * arena + 128);
    assert_int_equal(kiln_states_bytes(states), 4 * arena + 192);
    assert_int_equal(kiln_states_collect(states, graph, &error), KILN_INPUT);
    kiln_states_destroy(&states);
    kiln_graph_destroy(&graph);
}

static void a_clash_names_the_state(void **unused)
{
    (void)unused;
    struct kiln_error error;
    kiln_graph *a = kiln_graph_create(), *b = kiln_graph_create();
    state(a, "w", KILN_SHAPE(2, 3), true);
    state(b, "w", KILN_SHAPE(3, 2), true);
    kiln_states *states = kiln_states_create();
    assert_int_equal(kiln_states_collect(states, a, &error), KILN_OK);
    assert_int_equal(kiln_states_collect(states, b, &error), KILN_INPUT);
    assert_string_equal(error.text, "state w is f32 [3, 2] here and f32 [2, 3] elsewhere");
    kiln_states_destroy(&states);
    kiln_graph_destroy(&a);
    kiln_graph_destroy(&b);
}

static void many_names_are_found(void **unused)
{
    (void)unused;
    struct kiln_error error;
    char name[32];
    kiln_graph *graph = kiln_graph_create();
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "layer.%d", i);
        state(graph, name, KILN_SHAPE(i + 1), true);
    }
    kiln_states *states = kiln_states_create();
    assert_int_equal(kiln_states_collect(states, graph, &error), KILN_OK);
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "layer.%d", i);
        assert_int_equal(kiln_states_find(states, name), i);
    }
    assert_int_equal(kiln_states_find(states, "layer.1000"), -1);
    assert_int_equal(kiln_states_freeze(states, &error), KILN_OK);
    for (int i = 1; i < 1000; i++)
        assert_true(kiln_states_offset(states, i, KILN_STATE_VALUE) >=
                    kiln_states_offset(states, i - 1, KILN_STATE_VALUE) + i * 4);
    kiln_states_destroy(&states);
    kiln_graph_destroy(&graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offsets_mirror_in_all_parts),
        cmocka_unit_test(a_clash_names_the_state),
        cmocka_unit_test(many_names_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
