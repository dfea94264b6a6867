/*
 * Gradient rules, one per differentiable op, by family. A rule adds to its
 * operands' gradients what the gradient of its result contributes, in nodes of
 * the op set, so that the result can be differentiated again.
 */
#ifndef KILN_GRAPH_GRAD_H
#define KILN_GRAPH_GRAD_H

#include "core/graph/internal.h"

#define KILN_MAX_OUTPUTS 3

/* Gradients of one node's outputs so far, 0 = none. */
struct kiln_cotangent {
    kiln_node d[KILN_MAX_OUTPUTS];
};

struct kiln_grad_context {
    kiln_graph *graph;
    const bool *depends;              /* by node: depends on one of the xs */
    struct kiln_cotangent *gradients; /* by node */
};

/* y is the node (output 0) and node its record; d_y its gradient, 0 if only
 * other outputs have one. */
typedef void kiln_grad_rule(struct kiln_grad_context *, const struct kiln_record *node, kiln_node y,
                            kiln_node d_y);

/* True if the operand's gradient is needed. */
static inline bool kiln_grad_wants(const struct kiln_grad_context *context, kiln_node operand)
{
    return context->depends[operand];
}

/* Adds to an operand's gradient; ignored if it is not needed. */
void kiln_grad_add(struct kiln_grad_context *, kiln_node operand, kiln_node contribution);

kiln_grad_rule kiln_grad_unary;
kiln_grad_rule kiln_grad_arithmetic; /* ADD, SUB, MUL, DIV, POW */
kiln_grad_rule kiln_grad_choice;     /* MAX, MIN, SELECT */
kiln_grad_rule kiln_grad_cast;
kiln_grad_rule kiln_grad_reduce_sum;
kiln_grad_rule kiln_grad_reduce_max;
kiln_grad_rule kiln_grad_reshape;
kiln_grad_rule kiln_grad_expand;
kiln_grad_rule kiln_grad_permute;
kiln_grad_rule kiln_grad_slice;
kiln_grad_rule kiln_grad_pad;
kiln_grad_rule kiln_grad_concat;
kiln_grad_rule kiln_grad_rows; /* GATHER_ROWS, SCATTER_ADD_ROWS */
kiln_grad_rule kiln_grad_matmul;
kiln_grad_rule kiln_grad_conv;   /* the triple */
kiln_grad_rule kiln_grad_window; /* WINDOW_GATHER, WINDOW_SCATTER */
kiln_grad_rule kiln_grad_resample;
kiln_grad_rule kiln_grad_attention;
kiln_grad_rule kiln_grad_attention_grad;
kiln_grad_rule kiln_grad_output;

#endif
