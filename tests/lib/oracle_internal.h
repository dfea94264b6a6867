/* What the oracle's op families share. */
#ifndef KILN_TEST_ORACLE_INTERNAL_H
#define KILN_TEST_ORACLE_INTERNAL_H

#include "core/base/arena.h"
#include "tests/lib/oracle.h"

#define ORACLE_MAX_OUTPUTS 3

struct oracle_tensor {
    int64_t n;                         /* elements */
    double *value, *magnitude, *bound; /* the last two NULL without bounds */
};

/* A state's parts; NULL = not there yet. */
struct oracle_state {
    double *part[KILN_ORACLE_PARTS];
};

/* An input or state of the oracle. */
struct oracle_named {
    char *name;
    int64_t n;
    double *values; /* an input's */
    struct oracle_state state;
    struct oracle_named *next;
};

struct kiln_oracle {
    const kiln_graph *graph;
    bool bounds;
    struct oracle_named *inputs, *states;
    kiln_arena *arena;                                   /* of one evaluation */
    struct oracle_tensor (*tensors)[ORACLE_MAX_OUTPUTS]; /* by node */
    kiln_node n;                                         /* nodes that tensors has room for */
};

/* NULL if the list has none of the name. */
struct oracle_named *oracle_find(struct oracle_named *list, const char *name);
/* The entry of a STATE node, with at least a value; else fails and returns NULL. */
struct oracle_named *oracle_state_of(kiln_oracle *, const struct kiln_node_info *node,
                                     struct kiln_error *);
/* The tensor of an evaluated node, NULL if it lies outside the graph. */
const struct oracle_tensor *oracle_tensor_of(const kiln_oracle *, kiln_node);

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

/* The norm and mask that an UPDATE node yields. */
void oracle_update_norm(struct oracle_op *);
/* One optimiser step on n elements. */
void oracle_update_state(struct kiln_update, const double *hyper, const double *norm, int64_t n,
                         const double *gradient, struct oracle_state *);

#endif
