/*
 * The operations of the benchmark: named fixed shapes, their graphs, and what
 * any element of their results should be.
 */
#ifndef KILN_BENCH_OPS_H
#define KILN_BENCH_OPS_H

#include "core/api/graph.h"

enum kiln_op_family {
    KILN_FAMILY_MATMUL, /* [m, k] x [k, n]; sizes m, n, k */
    /* x [n, c, h, h], weight [o, c, k, k]; sizes n, c, h, o, k, stride, padding */
    KILN_FAMILY_CONV,
    KILN_FAMILY_CONV_INPUT_GRAD,
    KILN_FAMILY_CONV_WEIGHT_GRAD,
    KILN_FAMILY_NORM,      /* group norm and SiLU of [n, c, h, h]; sizes n, c, h, groups */
    KILN_FAMILY_SOFTMAX,   /* over the rows of [m, n] */
    KILN_FAMILY_ATTENTION, /* sizes batch, queries = keys, width */
    KILN_FAMILY_POINTWISE, /* silu(x scale + shift) + y of [n, c, h, h]; scale, shift [c] */
    KILN_FAMILY_REDUCTION, /* sum of [n, c, h, h] to [c]; the last size 1: to a scalar */
    KILN_FAMILY_CONCAT,    /* two [n, c, h, h] to [n, 2 c, h, h] */
    KILN_FAMILY_TRANSPOSE, /* [n, c, h] to [n, h, c] */
    KILN_FAMILY_COUNT
};

/* "matmul", "conv", ... */
const char *kiln_op_family_name(enum kiln_op_family);

/* Which runs of the benchmark contain a case. */
enum kiln_op_set {
    KILN_OP_SET_FULL,  /* the full benchmark only */
    KILN_OP_SET_QUICK, /* also the quick one */
    KILN_OP_SET_TINY   /* only tests of the benchmark itself */
};

struct kiln_op_case {
    const char *name;
    enum kiln_op_family family; /* CONV stands for its three directions */
    enum kiln_op_set set;
    int64_t size[7];
};

extern const struct kiln_op_case kiln_op_cases[];
extern const int kiln_n_op_cases;

#define KILN_OP_MAX_INPUTS 4

/* Shapes of the inputs "x0", "x1", ... and of the output "y". */
struct kiln_op_shapes {
    int n_inputs;
    struct kiln_shape inputs[KILN_OP_MAX_INPUTS], output;
    double flops; /* 2 per multiply-add of products; 0 for others */
    double bytes; /* of all operands together */
};

/* The family of op_case, or another direction of a convolution. */
struct kiln_op_shapes kiln_op_shapes(const struct kiln_op_case *, enum kiln_op_family);
/* Builds the graph; it has its sticky error. */
void kiln_op_build(kiln_graph *, const struct kiln_op_case *, enum kiln_op_family);
/*
 * Element number index (dense, row-major) of the output, from the inputs' dense
 * elements, by sums in double. *magnitude is the sum of the absolute values of
 * its terms, for bounds of its error.
 */
double kiln_op_expect(const struct kiln_op_case *, enum kiln_op_family,
                      const float *const inputs[KILN_OP_MAX_INPUTS], int64_t index,
                      double *magnitude);

/* Of a square convolution: the output's side. */
int64_t kiln_op_conv_side(const struct kiln_op_case *);

#endif
