/* The plan checker finds planted errors; plans, dumps and failures are
 * reproducible. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/api/nn.h"
#include "tests/lib/plan_run.h"

static kiln_node input(kiln_graph *g, const char *name, struct kiln_shape shape)
{
    return kiln_input(g, name, KILN_F32, shape);
}

/* Matrix products keep their intermediate values in buffers. */
static kiln_graph *chain(void)
{
    kiln_graph *g = kiln_graph_create();
    kiln_node x = input(g, "x", KILN_SHAPE(16, 16)), a = kiln_matmul(g, x, x, false, false);
    kiln_node b = kiln_matmul(g, a, x, false, false), c = kiln_matmul(g, b, a, false, false);
    kiln_graph_output(g, "y", kiln_matmul(g, c, b, false, false));
    return g;
}

static struct kiln_plan *plan_of(const kiln_graph *g, const struct kiln_plan_options *more)
{
    static const struct kiln_caps caps = {.parallelism = 1};
    struct kiln_plan_options options = *more;
    struct kiln_plan *plan;
    struct kiln_error error;
    options.caps = &caps;
    if (kiln_plan_create(g, &options, &plan, &error))
        fail_msg("%s", error.text);
    return plan;
}

static struct kiln_step *step(const struct kiln_plan *plan, int i)
{
    return (struct kiln_step *)&plan->steps.steps[i]; /* the test plants errors */
}

/* Plans the chain, lets plant break it and expects the complaint. */
static void expect(void (*plant)(struct kiln_plan *), const char *complaint)
{
    kiln_graph *g = chain();
    struct kiln_plan *plan = plan_of(g, &(struct kiln_plan_options){.fuse = true, .reuse = true});
    struct kiln_error error;
    assert_int_equal(plan->steps.n, 4);
    assert_int_equal(kiln_plan_check(plan, &error), KILN_OK);
    plant(plan);
    assert_int_equal(kiln_plan_check(plan, &error), KILN_MACHINE);
    if (!strstr(error.text, complaint))
        fail_msg("\"%s\" instead of \"%s\"", error.text, complaint);
    kiln_plan_destroy(&plan);
    kiln_graph_destroy(&g);
}

static void outside(struct kiln_plan *plan)
{
    step(plan, 3)->as.matmul.a.offset = plan->steps.region_bytes[KILN_REGION_WORKSPACE] - 64;
}

static void before_start(struct kiln_plan *plan)
{
    step(plan, 0)->as.matmul.c.offset = -64;
}

static void over_live_value(struct kiln_plan *plan)
{
    /* b takes a's place, but a is read once more */
    int64_t offset = step(plan, 0)->as.matmul.c.offset;
    step(plan, 1)->as.matmul.c.offset = offset;
    step(plan, 2)->as.matmul.a.offset = offset;
    step(plan, 3)->as.matmul.b.offset = offset;
    for (int i = 0; i < plan->n_values; i++)
        if (plan->values[i].first == 1)
            plan->values[i].place.offset = offset;
}

static void partly_over_live_value(struct kiln_plan *plan)
{
    step(plan, 1)->as.matmul.c.offset = step(plan, 0)->as.matmul.c.offset + 512;
}

static void unwritten(struct kiln_plan *plan)
{
    step(plan, 0)->as.matmul.c.offset = step(plan, 2)->as.matmul.c.offset;
}

static void too_early(struct kiln_plan *plan)
{
    struct kiln_step first = *step(plan, 0);
    *step(plan, 0) = *step(plan, 1);
    *step(plan, 1) = first;
}

static void over_input(struct kiln_plan *plan)
{
    step(plan, 0)->as.matmul.c = plan->inputs[0].place;
}

static void lost_output(struct kiln_plan *plan)
{
    step(plan, 3)->as.matmul.c = step(plan, 0)->as.matmul.c;
}

static void dead_too_soon(struct kiln_plan *plan)
{
    for (int i = 0; i < plan->n_values; i++)
        if (plan->values[i].first == 0)
            plan->values[i].last = 1; /* step 2 reads it */
}

static void scratch_on_value(struct kiln_plan *plan)
{
    step(plan, 1)->scratch = step(plan, 0)->as.matmul.c;
    step(plan, 1)->scratch.dtype = KILN_U8;
    step(plan, 1)->scratch_bytes = 64;
}

static void planted_errors_are_found(void **unused)
{
    (void)unused;
    expect(outside, "outside its region");
    expect(before_start, "outside its region");
    expect(over_live_value, "overwrites a live value");
    expect(partly_over_live_value, "overwrites a live value");
    expect(unwritten, "no step wrote");
    expect(too_early, "no step wrote");
    expect(over_input, "overwrites an input");
    expect(lost_output, "an output that no step wrote");
    expect(dead_too_soon, "no live value");
    expect(scratch_on_value, "overwrites a live value");
}

static void a_state_is_not_read_after_its_effect(void **unused)
{
    (void)unused;
    kiln_graph *g = kiln_graph_create();
    struct kiln_error error;
    struct kiln_state declared = {.name = "s", .shape = KILN_SHAPE(4, 4)};
    kiln_node s = kiln_state(g, &declared), x = input(g, "x", KILN_SHAPE(4, 4));
    kiln_graph_output(g, "y", kiln_matmul(g, s, x, false, false));
    kiln_assign(g, s, kiln_add(g, x, x));
    kiln_states *states = kiln_states_create();
    kiln_states_collect(states, g, &error);
    kiln_states_freeze(states, &error);
    struct kiln_plan *plan =
        plan_of(g, &(struct kiln_plan_options){.states = states, .fuse = true});
    assert_int_equal(kiln_plan_check(plan, &error), KILN_OK);
    assert_int_equal(plan->steps.n, 2);
    struct kiln_step first = *step(plan, 0);
    *step(plan, 0) = *step(plan, 1);
    *step(plan, 1) = first;
    assert_int_equal(kiln_plan_check(plan, &error), KILN_MACHINE);
    assert_non_null(strstr(error.text, "reads a state after its effect"));
    kiln_plan_destroy(&plan);
    kiln_states_destroy(&states);
    kiln_graph_destroy(&g);
}

static void failures_say_what(void **unused)
{
    (void)unused;
    kiln_graph *g = kiln_graph_create();
    struct kiln_error error;
    struct kiln_plan *plan;
    struct kiln_caps caps = {.parallelism = 1};
    struct kiln_plan_options options = {.caps = &caps, .fuse = true};
    kiln_node w = kiln_parameter(g, "w", KILN_SHAPE(3), (struct kiln_init){0});
    kiln_graph_output(g, "y", kiln_exp(g, w));
    assert_int_equal(kiln_plan_create(g, &options, &plan, &error), KILN_INPUT);
    assert_string_equal(error.text, "state w is not in the table of states");
    assert_null(plan);
    kiln_states *states = kiln_states_create();
    kiln_states_collect(states, g, &error);
    kiln_states_freeze(states, &error);
    options.states = states;
    kiln_node hyper = input(g, "hyper", KILN_SHAPE(KILN_HYPER_WORDS)), d;
    kiln_grad(g, kiln_sum_all(g, w), 1, &w, &d);
    kiln_optimizer_update(g, 1, &w, &d, hyper, (struct kiln_update){KILN_OPTIMIZER_SGD, false});
    assert_int_equal(kiln_plan_create(g, &options, &plan, &error), KILN_INPUT);
    assert_string_equal(error.text, "update: state w belongs to no group");
    kiln_matmul(g, w, w, false, false); /* an error of the graph */
    assert_int_equal(kiln_plan_create(g, &options, &plan, &error), KILN_INPUT);
    kiln_plan_destroy(&plan);
    kiln_states_destroy(&states);
    kiln_graph_destroy(&g);
}

static char *dump_of(const struct kiln_plan *plan)
{
    char *text = NULL;
    size_t size;
    FILE *file = open_memstream(&text, &size);
    kiln_plan_dump(plan, file);
    fclose(file);
    return text;
}

/* Thousands of nodes, as a U-Net's training step has. */
static void large_graphs_plan_the_same_every_time(void **unused)
{
    (void)unused;
    kiln_graph *g = kiln_graph_create();
    kiln_node x = input(g, "x", KILN_SHAPE(8, 64)), h = x;
    for (int i = 0; i < 300; i++) {
        h = kiln_add(
            g, h,
            kiln_silu(g, kiln_layer_norm(
                             g, "norm",
                             kiln_matmul(g, h, kiln_matmul(g, x, x, true, false), false, false),
                             1e-5)));
        h = kiln_tanh(g, h);
    }
    kiln_node d;
    kiln_grad(g, kiln_mean_all(g, h), 1, &x, &d);
    kiln_graph_output(g, "d", d);
    assert_true(kiln_graph_count(g) > 10000);
    struct kiln_error error;
    kiln_states *states = kiln_states_create();
    kiln_states_collect(states, g, &error);
    kiln_states_freeze(states, &error);
    struct kiln_plan_options options = {.states = states, .fuse = true, .reuse = true};
    struct kiln_plan *a = plan_of(g, &options), *b = plan_of(g, &options);
    if (kiln_plan_check(a, &error))
        fail_msg("%s", error.text);
    char *first = dump_of(a), *second = dump_of(b);
    assert_string_equal(first, second);
    assert_true(a->steps.region_bytes[KILN_REGION_WORKSPACE] <= a->live_bytes + a->live_bytes / 5);
    free(first);
    free(second);
    kiln_plan_destroy(&a);
    kiln_plan_destroy(&b);
    kiln_states_destroy(&states);
    kiln_graph_destroy(&g);
}

/* Both halves of a joined axis are written in place, in more runs than are
 * checked one by one, and each row is read whole. */
static void many_separate_runs_are_recorded_whole(void **unused)
{
    (void)unused;
    enum { ROWS = 50021, HALF = 3 };
    kiln_graph *g = kiln_graph_create();
    kiln_node w = input(g, "w", KILN_SHAPE(HALF, HALF)), parts[2];
    for (int i = 0; i < 2; i++) {
        kiln_node x = input(g, i ? "b" : "a", KILN_SHAPE(ROWS, HALF));
        parts[i] = kiln_matmul(g, x, w, false, false);
    }
    kiln_node joined = kiln_concat(g, 2, parts, 1);
    kiln_graph_output(g, "y", kiln_reduce_sum(g, joined, 1u << 1));
    kiln_graph_output(g, "z", kiln_exp(g, joined));
    struct kiln_error error;
    struct kiln_plan *plan = plan_of(g, &(struct kiln_plan_options){.reuse = true});
    if (kiln_plan_check(plan, &error))
        fail_msg("%s", error.text);
    kiln_plan_destroy(&plan);
    kiln_graph_destroy(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(planted_errors_are_found),
        cmocka_unit_test(a_state_is_not_read_after_its_effect),
        cmocka_unit_test(failures_say_what),
        cmocka_unit_test(many_separate_runs_are_recorded_whole),
        cmocka_unit_test(large_graphs_plan_the_same_every_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
