/*
 * The planner's own data, shared by the files of core/plan.
 *
 * The passes, in order:
 *   import      graph -> IR: live nodes; composed ops expanded (expand, linear,
 *               joins, regroup, whole_conv); each node simplified as it is added
 *               (simplify);
 *               half storage (half)
 *   layouts     which nodes are stored blocked; algorithms of convolutions
 *   legalise    IR -> IR: copies where a step cannot take an operand as it lies
 *   fuse        nodes -> clusters, one loop each (join, merge, reach, atoms)
 *   order       clusters and big nodes -> a sequence of units
 *   lower       units -> steps (lower, lower_loop, lower_spatial)
 *   prepare     steps that need not be repeated come first
 *   memory      lifetimes, in-place, offsets
 *   finish      the plan's lists
 *
 * Nothing here outlives kiln_plan_create but what lies in the plan's arena.
 * Failures jump to kiln_plan_create (plan_fail), so no pass checks for memory.
 */
#ifndef KILN_PLAN_PLANNER_H
#define KILN_PLAN_PLANNER_H

#include <setjmp.h>

#include "core/base/arena.h"
#include "core/plan/flat.h"
#include "core/plan/plan.h"

/* Ops of the IR beside kiln_op. */
enum ir_op {
    IR_COPY = KILN_INSTRUCTION_MAX + 1, /* the identity, stored in its own layout */
    IR_JOIN                             /* a tensor whose parts are written in place */
};

/* Where a node's value must be stored, if not in a buffer of its own. */
enum ir_home { IR_HOME_OWN, IR_HOME_JOIN, IR_HOME_STATE };

/* A part of a JOIN: where its operand lies. */
struct ir_part {
    bool placed;                  /* flat is given; else it follows from start */
    struct flat flat;             /* in the JOIN's storage */
    int64_t start[KILN_MAX_DIMS]; /* first element of each axis */
};

/* How a convolution is executed. */
struct ir_conv {
    enum kiln_layout x, weight, y;
    uint16_t algorithm;
    int64_t scratch_bytes;
};

struct ir_node {
    int op; /* enum kiln_op or ir_op */
    enum kiln_dtype dtype;
    struct kiln_shape shape;
    int64_t count;
    int n_operands;
    int *operands;
    union kiln_params params;
    const void *data;  /* CONST by data */
    const char *label; /* never NULL */
    kiln_node origin;
    int rank;              /* nested reductions before and in it, since the last big step */
    int state;             /* STATE: index into the states */
    int group;             /* UPDATE: index of the group */
    bool barrier;          /* COPY: always stored, never computed where it is used */
    struct ir_part *parts; /* JOIN: one per operand */
    struct ir_conv conv;   /* CONV*: set by layouts */

    /* set by legalise */
    int source;         /* the node whose memory it lies in; itself unless a view */
    struct flat layout; /* from the place of the source */
    enum ir_home home;
    int home_node;       /* HOME_JOIN: the JOIN; HOME_STATE: the state's index */
    int64_t home_offset; /* elements from the JOIN's or state's place */
    bool reorder;        /* COPY for the sake of layout alone */
    bool is_output;      /* read after the execution */
};

struct ir {
    int n, capacity;
    struct ir_node **nodes;
};

struct cluster;
struct unit;

/* Memory of one lifetime. */
struct buffer {
    enum kiln_region region;
    int64_t bytes, offset; /* offset in the region, -1 = not yet placed */
    int first, last;       /* steps; first > last = never used */
    int alias;             /* another buffer whose memory this one takes, -1 = none */
    bool fixed;            /* offset was given (states, data, inputs) */
};

/* A place in a step that gets its offset when the buffers have theirs. */
struct fixup {
    struct kiln_place *place; /* offset is from the buffer's start until then */
    int buffer, step;
};

/* Where a materialised node lies. */
struct value {
    bool set;
    int buffer;
    int64_t offset;  /* bytes from the buffer's start */
    int first, last; /* steps that touch it; first > last = none */
};

/* A dense copy of a node for one step. */
struct temporary {
    int node, buffer, first, last;
};

struct planner {
    jmp_buf failed;
    enum kiln_status status;
    struct kiln_error *error;
    const kiln_graph *graph;
    const struct kiln_plan_options *options;
    kiln_arena *arena;   /* the plan's */
    kiln_arena *scratch; /* freed at the end */
    struct kiln_plan *plan;

    struct ir ir;
    int *table; /* CSE: open addressing over ir, -1 = free */
    int table_size, table_used;
    int n_outputs;
    int *outputs;                     /* IR node of each graph output */
    const struct flat **class_layout; /* of each imported node, NULL = dense */

    int n_clusters, cluster_capacity;
    struct cluster **clusters;
    int *home_cluster; /* of each IR node that a cluster stores, -1 */
    bool *needed;      /* of each IR node: its value is stored */

    int n_buffers, buffer_capacity;
    struct buffer *buffers;
    struct value *values; /* of each IR node */
    int n_temporaries, temporary_capacity;
    struct temporary *temporaries;
    int n_fixups, fixup_capacity;
    struct fixup *fixups;
    int n_steps, step_capacity;
    struct kiln_step **steps;
    int n_reorders, reorder_capacity;
    int *reorders; /* steps that only change a layout */
};

/* --- planner.c --------------------------------------------------------------- */

/* Leaves the planner with a message. */
_Noreturn void plan_fail(struct planner *, enum kiln_status, const char *format, ...)
    KILN_PRINTF(3, 4);
/* Zeroed memory that lives as long as the planner, or as the plan. */
void *plan_scratch(struct planner *, size_t count, size_t size);
void *plan_keep(struct planner *, size_t count, size_t size);
/* Makes room for one more element in an array of n, *capacity. */
void plan_grow(struct planner *, void *items, int *capacity, int n, size_t size);

#define PLAN_SCRATCH(p, type, count) ((type *)plan_scratch((p), (size_t)(count), sizeof(type)))
#define PLAN_KEEP(p, type, count)    ((type *)plan_keep((p), (size_t)(count), sizeof(type)))

static inline struct ir_node *ir_at(const struct planner *p, int node)
{
    return p->ir.nodes[node];
}

/* Channels of a block of the feature layout; 1 = not blocked. */
static inline int64_t plan_block(const struct planner *p)
{
    enum kiln_layout layout = p->options->feature_layout;
    return layout == KILN_LAYOUT_NCHW16C ? 16 : layout == KILN_LAYOUT_NCHW8C ? 8 : 1;
}
/* Appends a copy of the node as it is. */
int ir_append(struct planner *, const struct ir_node *, int n_operands, const int *operands);
/* A node of an op over operands, without params. */
struct ir_node ir_make(int op, enum kiln_dtype, struct kiln_shape, const struct ir_node *like);
bool ir_is_pointwise(const struct ir_node *); /* COPY too */
bool ir_is_reduce(const struct ir_node *);
bool ir_is_view(const struct ir_node *);   /* RESHAPE, EXPAND, PERMUTE, SLICE */
bool ir_is_source(const struct ir_node *); /* INPUT, STATE, CONST */
bool ir_is_fill(const struct ir_node *);   /* CONST of one value */
/* Arithmetic of a pointwise node relative to an addition; copies are free. */
int ir_weight(const struct ir_node *);

/* --- simplify.c, import.c, expand.c, joins.c ------------------------------------------- */

/* Appends the node or returns one that has its value already (when fusing). */
int ir_add(struct planner *, const struct ir_node *, int n_operands, const int *operands);
void plan_import(struct planner *);
/* Adds a graph node over the IR nodes ids[operand]. */
int plan_import_node(struct planner *, const int *ids, kiln_node);
/* A reduction, in two stages where one alone would not fill the device. */
int plan_expand_reduce(struct planner *, const struct ir_node *, int operand);
/* A sum as sums of parts that wait for fewer reductions, or -1. */
int plan_linear_sum(struct planner *, const struct ir_node *, int operand);
/* A reduction or an expansion over groups of channels that the blocks of the
 * feature layout cut through: by channels first, then by groups; or -1. */
int plan_regroup(struct planner *, const struct ir_node *, int operand);
/* A convolution (or its gradient) with one output pixel as a matrix product, or -1. */
int plan_expand_conv(struct planner *, const struct ir_node *, const int *operands);
bool plan_is_whole_conv(const struct kiln_step_conv *);
/* A JOIN like the node, with room for n parts. */
struct ir_node plan_make_join(struct planner *, const struct ir_node *, struct kiln_shape, int n);
int plan_expand_concat(struct planner *, const struct ir_node *, int n, const int *operands);
int plan_expand_pad(struct planner *, const struct ir_node *, int operand);
/* The sum of two tensors that are zero where the other is not, such as the
 * gradients of slices, as one join; -1 if they are not. */
int plan_sum_of_joins(struct planner *, const struct ir_node *, int a, int b);
/* Returns the node of the update's value (norm, done). operands: n states,
 * n gradients, hyper. */
int plan_expand_update(struct planner *, const struct ir_node *, int n, const int *operands);

/* --- layouts.c, legalise.c ---------------------------------------------------------- */

void plan_layouts(struct planner *);
void plan_legalise(struct planner *);
/* Applies a view node to the flat view of its operand; false if it cannot be
 * expressed. */
bool plan_view(const struct ir_node *view, const struct kiln_shape *in, struct flat *);
/* The sizes of a convolution node as a step without places. */
struct kiln_step plan_conv_step(const struct planner *, const struct ir_node *);
/* The same from shapes: of the two operands and of the result. */
struct kiln_step plan_conv_sizes(enum kiln_op, const struct kiln_conv *, const struct kiln_shape *a,
                                 const struct kiln_shape *b, const struct kiln_shape *out);
/* The feature layout where it fits, else dense. */
void plan_conv_layouts(const struct kiln_step_conv *, enum kiln_layout feature, enum kiln_layout *x,
                       enum kiln_layout *y);
/* Sets the storage layout of a state unless one of greater strength is set. */
void states_suggest_layout(kiln_states *, int state, enum kiln_layout, int strength);

/* --- fuse.c, order.c, lower*.c -------------------------------------------------------- */

void plan_fuse(struct planner *);
/* Emits all steps in order. */
void plan_order(struct planner *);
/* True if the step of the node writes the state's value. */
bool plan_writes_state(const struct planner *, const struct ir_node *, int state);
void plan_lower_cluster(struct planner *, struct cluster *);
void plan_lower_big(struct planner *, int node);
void plan_lower_spatial(struct planner *, int node);

/* Appends a step of a kind; its label and origin are the node's. */
struct kiln_step *plan_step(struct planner *, enum kiln_step_kind, const struct ir_node *);
/* The last step appended only changes a layout. */
void plan_count_reorder(struct planner *);
/* Asks for the algorithm of a complete step. */
void plan_choose(struct planner *, struct kiln_step *);

/* --- prepare.c, buffers.c, memory.c ----------------------------------------------------- */

/* Moves the steps whose results last from execution to execution to the front. */
void plan_prepare(struct planner *);
int plan_buffer(struct planner *, enum kiln_region, int64_t bytes);
/* Makes *place element offset of a buffer (bytes from its start), used by the
 * last step appended. */
void plan_place(struct planner *, int buffer, int64_t offset, enum kiln_dtype,
                struct kiln_place *place);
/* The same for a node's value: its source's memory at the view's offset. */
void plan_operand(struct planner *, int node, struct kiln_place *place);
/* A dense buffer for a copy of the node. */
int plan_temporary(struct planner *, int node);
/* Lifetimes, in-place, offsets; then every place has its region and offset. */
void plan_memory(struct planner *);
/* Fills the plan from the planner. */
void plan_finish(struct planner *);

#endif
