/*
 * A graph with its oracle, inputs and states as tests/golden/nn.py draws them,
 * and the comparison with PyTorch's values.
 */
#ifndef KILN_TEST_NN_BENCH_H
#define KILN_TEST_NN_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/api/nn.h"
#include "tests/lib/oracle.h"

enum nn_salt { X, WEIGHT, BIAS, MEAN, VAR, TARGET };

struct nn_bench {
    kiln_graph *g;
    kiln_oracle *oracle;
};

struct nn_bench nn_bench_open(void);
void nn_bench_close(struct nn_bench *);
/* An f32 input with the script's values of the salt. */
kiln_node nn_bench_input(struct nn_bench *, const char *name, enum nn_salt, struct kiln_shape);
/* An input of n given values. */
kiln_node nn_bench_given(struct nn_bench *, const char *name, enum kiln_dtype, int64_t n,
                         const double *values);
/* Sets all states by the last part of their names; counters are 7. */
void nn_bench_set_states(struct nn_bench *);
/* Fails the test unless the n values, or the node's, are the golden ones. */
void nn_bench_assert_values(const char *golden, int64_t n, const double *values);
void nn_bench_assert_node(struct nn_bench *, const char *golden, kiln_node);

#endif
