/* What the oracle's op families share. */
#ifndef KILN_TEST_ORACLE_INTERNAL_H
#define KILN_TEST_ORACLE_INTERNAL_H

#include "tests/lib/oracle.h"

#define ORACLE_MAX_OUTPUTS 3

struct oracle_tensor {
    int64_t n;                         /* elements */
    double *value, *magnitude, *bound; /* the last two NULL without bounds */
};

/* One op at work: the node, its operands' and its outputs' shapes and tensors. */
struct oracle_op {
    struct kiln_node_info node;
    const struct kiln_node_info *operands;
    const struct oracle_tensor *in; /* one an operand */
    struct oracle_tensor *out;      /* one an output */
};

/* An op that is linear in each operand: writes y = f(x[0], x[1], ...). */
typedef void oracle_linear(const struct oracle_op *, const double *const *x, double *y);

/* Values, and from them magnitude and bound, of an op that is linear in each of
 * its first n operands (or in all of them together, if joint) and sums the
 * given number of terms. */
void oracle_by_linear(struct oracle_op *, oracle_linear *, int n, bool joint, double terms);
/* Sets magnitude and bound from the carried error of an element. */
void oracle_round(struct oracle_tensor *, int64_t element, double magnitude, double k,
                  double carried);

/* Advances a row-major index; false after the last. */
bool oracle_next(const struct kiln_shape *, int64_t *index);

void oracle_pointwise(struct oracle_op *);
void oracle_reduce(struct oracle_op *);
void oracle_view(struct oracle_op *);
void oracle_concat(struct oracle_op *);
void oracle_rows(struct oracle_op *);
void oracle_matmul(struct oracle_op *);
void oracle_conv(struct oracle_op *);
void oracle_window(struct oracle_op *);
void oracle_resample(struct oracle_op *);
void oracle_random(struct oracle_op *);
void oracle_attention(struct oracle_op *);
void oracle_attention_grad(struct oracle_op *);

/* A state's parts; NULL = not there yet. */
struct oracle_state {
    double *part[KILN_ORACLE_PARTS];
};

/* The norm and mask that an UPDATE node yields. */
void oracle_update_norm(struct oracle_op *);
/* One optimiser step on n elements. */
void oracle_update_state(struct kiln_update, const double *hyper, const double *norm, int64_t n,
                         const double *gradient, struct oracle_state *);

#endif
