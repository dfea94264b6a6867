/* A graph with its oracle and PyTorch's values. */
#include "tests/unit/nn_bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/golden/nn_golden.h"

/* The graph's constants (epsilon, slopes, 1/n) are f32, PyTorch's double. */
#define TOLERANCE 3e-7

/* As value() of nn.py. */
static double value(enum nn_salt salt, int64_t i)
{
    return (double)(float)(1.2 * sin(12.9898 * (double)i + 78.233 * salt + 0.5));
}

static double positive(enum nn_salt salt, int64_t i)
{
    return (double)(float)(0.5 + fabs(value(salt, i)));
}

struct nn_bench nn_bench_open(void)
{
    struct nn_bench b = {.g = kiln_graph_create()};
    b.oracle = kiln_oracle_create(b.g, false);
    assert_non_null(b.oracle);
    return b;
}

void nn_bench_close(struct nn_bench *b)
{
    kiln_oracle_destroy(&b->oracle);
    kiln_graph_destroy(&b->g);
}

kiln_node nn_bench_input(struct nn_bench *b, const char *name, enum nn_salt salt,
                         struct kiln_shape shape)
{
    int64_t n = kiln_shape_count(&shape);
    double *values = malloc((size_t)n * sizeof *values);
    for (int64_t i = 0; i < n; i++)
        values[i] = salt == TARGET ? positive(salt, i) / 2 : value(salt, i);
    assert_int_equal(kiln_oracle_set(b->oracle, name, values, n, NULL), KILN_OK);
    free(values);
    return kiln_input(b->g, name, KILN_F32, shape);
}

kiln_node nn_bench_given(struct nn_bench *b, const char *name, enum kiln_dtype dtype, int64_t n,
                         const double *values)
{
    assert_int_equal(kiln_oracle_set(b->oracle, name, values, n, NULL), KILN_OK);
    return kiln_input(b->g, name, dtype, KILN_SHAPE(n));
}

static enum nn_salt salt_of_state(const char *name)
{
    static const char *const parts[] = {"", ".weight", ".bias", ".running_mean", ".running_var"};
    for (enum nn_salt salt = WEIGHT; salt <= VAR; salt++)
        if (strstr(name, parts[salt]))
            return salt;
    fail_msg("unknown state %s", name);
    return X;
}

void nn_bench_set_states(struct nn_bench *b)
{
    struct kiln_node_info node;
    for (kiln_node id = 1; kiln_graph_node(b->g, id, &node); id++) {
        if (node.op != KILN_OP_STATE)
            continue;
        int64_t n = kiln_shape_count(&node.shape);
        double *values = malloc((size_t)n * sizeof *values);
        for (int64_t i = 0; i < n; i++) {
            enum nn_salt salt = node.dtype == KILN_I32 ? X : salt_of_state(node.name);
            values[i] = node.dtype == KILN_I32 ? 7
                        : salt == VAR          ? positive(salt, i)
                                               : value(salt, i);
        }
        kiln_oracle_set_state(b->oracle, node.name, KILN_ORACLE_VALUE, values, n, NULL);
        free(values);
    }
}

void nn_bench_assert_values(const char *name, int64_t n, const double *values)
{
    for (size_t i = 0; i < sizeof goldens / sizeof *goldens; i++) {
        if (strcmp(goldens[i].name, name))
            continue;
        if (goldens[i].n != n)
            fail_msg("%s: %lld values, not %d", name, (long long)n, goldens[i].n);
        for (int64_t e = 0; e < n; e++)
            if (!(fabs(values[e] - goldens[i].values[e]) <=
                  TOLERANCE * (1 + fabs(goldens[i].values[e]))))
                fail_msg("%s[%lld]: %.9g, not %.9g", name, (long long)e, values[e],
                         goldens[i].values[e]);
        return;
    }
    fail_msg("no golden values of %s", name);
}

void nn_bench_assert_node(struct nn_bench *b, const char *name, kiln_node node)
{
    struct kiln_error error = {""};
    if (kiln_oracle_evaluate(b->oracle, 1, &node, &error))
        fail_msg("%s: %s", name, error.text);
    struct kiln_shape shape = kiln_shape(b->g, node);
    nn_bench_assert_values(name, kiln_shape_count(&shape), kiln_oracle_value(b->oracle, node));
}
