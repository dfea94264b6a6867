/* Every conformance case planned in several ways and executed step by step in
 * double: plans mean what their graphs mean, whatever fusion and layout. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/lib/cases.h"
#include "tests/lib/plan_run.h"

static const struct plan_run ways[] = {
    {.fuse = false, .reuse = true},
    {.fuse = true, .reuse = true, .parallelism = 64},
    {.fuse = true,
     .reuse = true,
     .blocked = true,
     .feature_layout = KILN_LAYOUT_NCHW16C,
     .parallelism = 8},
    {.fuse = true,
     .reuse = false,
     .blocked = true,
     .feature_layout = KILN_LAYOUT_NHWC,
     .loop_accesses = 16,
     .loop_instructions = 64},
};

struct tally {
    int n, bad;
};

static void plan_case(void *user, const struct kiln_case *one)
{
    struct tally *tally = user;
    for (size_t way = 0; way < sizeof ways / sizeof *ways; way++) {
        kiln_graph *graph = kiln_case_graph(one);
        assert_non_null(graph);
        struct plan_run run = ways[way];
        run.seed = 1;
        run.tolerance = 5e-5; /* between steps values are rounded to f32 */
        run.update = one->trains;
        run.kind = one->update;
        const char *failure = plan_run(graph, &run);
        if (failure) {
            print_error("%s, way %zu: %s\n", one->name, way, failure);
            tally->bad++;
        }
        kiln_graph_destroy(&graph);
    }
    tally->n++;
}

static void plans_mean_what_graphs_mean(void **unused)
{
    (void)unused;
    struct tally tally = {0};
    kiln_cases_visit(plan_case, &tally);
    assert_int_not_equal(tally.n, 0);
    assert_int_equal(tally.bad, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(plans_mean_what_graphs_mean)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
