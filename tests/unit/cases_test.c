/* The conformance cases themselves: they build, and their bounds can fail. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/cases.h"

struct tally {
    int n, bad, names_capacity;
    bool op_seen[KILN_OP_COUNT];
    char (*names)[96];
};

static void note_ops(struct tally *tally, const kiln_graph *graph)
{
    struct kiln_node_info node;
    for (kiln_node id = 1; kiln_graph_node(graph, id, &node); id++)
        tally->op_seen[node.op] = true;
}

/* The oracle's values, rounded to the device's dtype, off by a share of the
 * terms that they sum. */
static void *as_device(const kiln_graph *graph, const kiln_oracle *oracle, kiln_node output,
                       double share)
{
    struct kiln_node_info node;
    kiln_graph_node(graph, output, &node);
    int64_t n = kiln_shape_count(&node.shape);
    const double *values = kiln_oracle_value(oracle, output);
    const double *magnitude = kiln_oracle_magnitude(oracle, output);
    void *data = malloc((size_t)n * kiln_dtype_bytes(node.dtype));
    assert_non_null(data);
    for (int64_t i = 0; i < n; i++) {
        if (node.dtype == KILN_I32)
            ((int32_t *)data)[i] = (int32_t)values[i] ^ (share != 0);
        else if (node.dtype == KILN_U8)
            ((uint8_t *)data)[i] = (uint8_t)((int)values[i] ^ (share != 0));
        else
            ((float *)data)[i] = (float)(values[i] + (share != 0 ? share * magnitude[i] : 0));
    }
    return data;
}

static bool passes(const struct kiln_case *one, const kiln_graph *graph, const kiln_oracle *oracle,
                   kiln_node output, double share, struct kiln_case_result *result)
{
    void *data = as_device(graph, oracle, output, share);
    bool good = kiln_case_compare(one, graph, oracle, output, data, false, result);
    free(data);
    return good;
}

/* All zero, or no finite values: an error of a share of them cannot show. */
static bool has_substance(const kiln_graph *graph, const kiln_oracle *oracle, kiln_node output)
{
    struct kiln_shape shape = kiln_shape(graph, output);
    const double *values = kiln_oracle_value(oracle, output);
    for (int64_t i = 0; i < kiln_shape_count(&shape); i++)
        if (fabs(values[i]) > 1e-30 && fabs(values[i]) < 1e30)
            return true;
    return false;
}

static void check_case(void *user, const struct kiln_case *one)
{
    struct tally *tally = user;
    struct kiln_error error = {""};
    kiln_graph *graph = kiln_case_graph(one);
    kiln_oracle *oracle = kiln_case_oracle(one, graph);
    enum kiln_status status = kiln_graph_error(graph, &error);
    for (int run = 0; run < one->runs && !status; run++)
        status = kiln_case_run(one, graph, oracle, run, &error);
    tally->bad += status != KILN_OK || kiln_graph_n_outputs(graph) < 1;
    if (status)
        print_error("%s: %s\n", one->name, error.text);
    for (int i = 0; i < kiln_graph_n_outputs(graph) && !status; i++) {
        kiln_node output;
        struct kiln_case_result result;
        const char *name = kiln_graph_output_at(graph, i, &output);
        if (!passes(one, graph, oracle, output, 0, &result)) {
            print_error("%s: %s: rounding alone is %.1f of the bound\n", one->name, name,
                        result.share);
            tally->bad++;
        }
        /* half precision would be off by 5e-4 */
        if (has_substance(graph, oracle, output) &&
            passes(one, graph, oracle, output, 4e-4, &result)) {
            print_error("%s: %s: an error of 4e-4 passes (%.2f of the bound)\n", one->name, name,
                        result.share);
            tally->bad++;
        }
    }
    note_ops(tally, graph);
    if (tally->n < tally->names_capacity)
        memcpy(tally->names[tally->n], one->name, sizeof one->name);
    tally->n++;
    kiln_oracle_destroy(&oracle);
    kiln_graph_destroy(&graph);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void cases_build_and_their_bounds_can_fail(void **unused)
{
    (void)unused;
    struct tally tally = {.names_capacity = 2000};
    tally.names = calloc((size_t)tally.names_capacity, sizeof *tally.names);
    assert_non_null(tally.names);
    kiln_cases_visit(check_case, &tally);
    assert_in_range(tally.n, 300, tally.names_capacity);
    qsort(tally.names, (size_t)tally.n, sizeof *tally.names, by_name);
    for (int i = 1; i < tally.n; i++)
        if (!strcmp(tally.names[i - 1], tally.names[i])) {
            print_error("two cases are named %s\n", tally.names[i]);
            tally.bad++;
        }
    for (int op = 0; op < KILN_OP_COUNT; op++)
        if (!tally.op_seen[op]) {
            print_error("no case has the op %s\n", kiln_op_name((enum kiln_op)op));
            tally.bad++;
        }
    free(tally.names);
    print_message("%d cases\n", tally.n);
    assert_int_equal(tally.bad, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(cases_build_and_their_bounds_can_fail)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
