/*
 * Gradients against central differences, in double on the oracle.
 *
 * The variables of a graph are its f32 inputs and trainable states. An input's
 * first letter says what values it gets:
 *     x  magnitudes in 0.3 .. 1.2 with random signs: away from kinks at 0
 *     p  in 0.3 .. 1.5
 *     d  distinct: a shuffled grid over -1 .. 1 without 0, for comparisons
 *     w  as x, but constant: no variable
 * An i32 input gets numbers from 0 up to the bound that ends its name
 * ("index7"); "rng" a fixed key. Buffers get values as p.
 */
#ifndef KILN_TEST_GRAD_CHECK_H
#define KILN_TEST_GRAD_CHECK_H

#include "core/api/graph.h"

#define GRAD_CHECK_MAX_ORDER 3

/* The worst disagreement of an order: |numeric - analytic| over the scale,
 * which is the sum of the absolute terms of the directional derivative. */
struct grad_check {
    double error[GRAD_CHECK_MAX_ORDER + 1]; /* by order, from 1 */
    double scale[GRAD_CHECK_MAX_ORDER + 1]; /* the largest scale; 0: all gradients vanish */
    struct kiln_error message;              /* of a graph or the oracle that failed, else "" */
};

/*
 * Builds y in a fresh graph and compares, for order 1, the gradient of
 * sum(w y), and for each further order the gradient of sum(w' gradients of the
 * order before), with a difference quotient of fourth order along a random
 * direction of each variable on its own.
 */
struct grad_check grad_check_run(kiln_node (*build)(kiln_graph *), int orders);

struct grad_check_case {
    const char *name;
    kiln_node (*build)(kiln_graph *);
};

/* Runs n cases to the given order and prints (to stderr) each disagreement
 * above 1e-6 (the differences themselves reach about 1e-8), each failure, and
 * each case whose gradient vanishes, which tests nothing. Returns their number. */
int grad_check_table(const struct grad_check_case *, size_t n, int orders);

#endif
