/*
 * The graph's own view of itself: node records, the sticky error and what the
 * builder families (sources.c, pointwise.c, movement.c, ...) share.
 *
 * A builder first calls kiln_graph_ready, which is false after an error and
 * rejects operands that are no nodes; then it checks shapes and dtypes, and
 * either rejects or appends. Records move when a node is appended: copy what
 * is needed after that. Operand arrays, names and constants do not move.
 */
#ifndef KILN_GRAPH_INTERNAL_H
#define KILN_GRAPH_INTERNAL_H

#include "core/api/graph.h"
#include "core/base/arena.h"

struct kiln_record {
    enum kiln_op op;
    enum kiln_dtype dtype;
    struct kiln_shape shape;
    int n_operands;
    const kiln_node *operands;
    union kiln_params params;
    const char *name;
    const void *data;
    const struct kiln_state *state;
};

struct kiln_graph_result {
    const char *name;
    kiln_node node;
};

/* A state of the graph, with the effect on it. */
struct kiln_graph_state {
    kiln_node node;
    kiln_node effect; /* ASSIGN or UPDATE, 0 = none */
};

struct kiln_graph {
    kiln_arena *arena;
    struct kiln_record *records; /* record i is node i + 1 */
    size_t n, capacity;
    kiln_node n_forward; /* nodes at the first gradient, 0 before that */
    struct kiln_graph_result *results;
    size_t n_results, results_capacity;
    kiln_node *inputs;
    size_t n_inputs, inputs_capacity;
    struct kiln_graph_state *states;
    size_t n_states, states_capacity;
    const char *label;
    enum kiln_status status;
    struct kiln_error error;
};

/* The record of a valid node. */
static inline const struct kiln_record *kiln_graph_at(const kiln_graph *graph, kiln_node node)
{
    return &graph->records[node - 1];
}

/* False after an error; an operand that is no node of the graph makes one. */
bool kiln_graph_ready(kiln_graph *, enum kiln_op, int n, const kiln_node *operands);
/* Sets the sticky error "OP of DTYPE [SHAPE] and ...: message (in LABEL)" and
 * returns 0. */
kiln_node kiln_graph_reject(kiln_graph *, enum kiln_op, int n, const kiln_node *operands,
                            const char *format, ...) KILN_PRINTF(5, 6);
/* Rejects unless all operands are f32. */
bool kiln_graph_all_f32(kiln_graph *, enum kiln_op, int n, const kiln_node *operands);
/* Appends a copy of the record with these operands; name is set to the label
 * if it is NULL. Rejects a shape that is empty or too large. */
kiln_node kiln_graph_append(kiln_graph *, const struct kiln_record *, int n,
                            const kiln_node *operands);
/* Sets the label to text that outlives the graph and returns the old one. */
const char *kiln_graph_swap_label(kiln_graph *, const char *label);

/* Starts a module: its name becomes the label. Returns the old label, which
 * kiln_graph_swap_label restores at the module's end. */
const char *kiln_graph_enter(kiln_graph *, const char *name);

/* The graph's entry for a STATE node, NULL if node is none. */
struct kiln_graph_state *kiln_graph_find_state(kiln_graph *, kiln_node node);
/* The value that the state will have at the end, as far as known: the assigned
 * one, or its value at the start. */
kiln_node kiln_graph_current(kiln_graph *, kiln_node state);
/* As kiln_assign, but a value assigned before is superseded. */
kiln_node kiln_graph_reassign(kiln_graph *, kiln_node state, kiln_node value);

/* Largest extent of an axis: more elements no shape can have. */
#define KILN_MAX_EXTENT ((int64_t)1 << 47)

/* Extent of a convolution's output along axis 0 (vertical) or 1, < 1 if the
 * kernel does not fit. */
int64_t kiln_conv_extent(const struct kiln_conv *, int axis, int64_t size, int64_t kernel);
int64_t kiln_window_extent(const struct kiln_window *, int axis, int64_t size);

#endif
