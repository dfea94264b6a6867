/*
 * The computation graph: an append-only array of nodes over a small op set
 * that is closed under differentiation.
 *
 * Builder calls append one node and return its id. The first error sticks to
 * the graph (which op, which shapes, which caller's label); later calls return
 * 0 and append nothing, and the error is read once, by kiln_graph_error or at
 * compile time. Node 0 is "no node"; passing it is a silent no-op after an
 * error and an error otherwise. A node's operands have smaller ids.
 *
 * Shapes and dtypes are checked when a node is appended. Arithmetic is f32
 * (i32 where noted). Binary operations broadcast as NumPy does (missing
 * leading axes and extents of 1) by appending explicit reshape/expand nodes.
 * Comparisons yield f32 0 or 1; a condition is true where it is not 0.
 *
 * Thread rule: a graph belongs to one thread at a time.
 */
#ifndef KILN_GRAPH_H
#define KILN_GRAPH_H

#include "types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kiln_graph kiln_graph;
typedef int32_t kiln_node;

/*
 * The op set: X(NAME, "name", class, operands); operands -1 = any number.
 * Classes: SOURCE, UNARY and BINARY and TERNARY (pointwise), REDUCE, VIEW
 * (movement: no arithmetic), BIG (everything with its own step), EFFECT.
 */
#define KILN_OPS(X)                                                                                \
    X(INPUT, "input", SOURCE, 0)                                                                   \
    X(STATE, "state", SOURCE, 0)                                                                   \
    X(CONST, "const", SOURCE, 0)                                                                   \
    X(RNG, "rng", BIG, 1)                                                                          \
    X(NEG, "neg", UNARY, 1)                                                                        \
    X(ABS, "abs", UNARY, 1)                                                                        \
    X(EXP, "exp", UNARY, 1)                                                                        \
    X(EXPM1, "expm1", UNARY, 1)                                                                    \
    X(LOG, "log", UNARY, 1)                                                                        \
    X(LOG1P, "log1p", UNARY, 1)                                                                    \
    X(SQRT, "sqrt", UNARY, 1)                                                                      \
    X(SIN, "sin", UNARY, 1)                                                                        \
    X(COS, "cos", UNARY, 1)                                                                        \
    X(TANH, "tanh", UNARY, 1)                                                                      \
    X(ERF, "erf", UNARY, 1)                                                                        \
    X(SIGMOID, "sigmoid", UNARY, 1)                                                                \
    X(FLOOR, "floor", UNARY, 1)                                                                    \
    X(CAST, "cast", UNARY, 1)                                                                      \
    X(STOP_GRADIENT, "stop_gradient", UNARY, 1)                                                    \
    X(ADD, "add", BINARY, 2)                                                                       \
    X(SUB, "sub", BINARY, 2)                                                                       \
    X(MUL, "mul", BINARY, 2)                                                                       \
    X(DIV, "div", BINARY, 2)                                                                       \
    X(POW, "pow", BINARY, 2)                                                                       \
    X(MAX, "max", BINARY, 2)                                                                       \
    X(MIN, "min", BINARY, 2)                                                                       \
    X(LESS, "less", BINARY, 2)                                                                     \
    X(LESS_EQUAL, "less_equal", BINARY, 2)                                                         \
    X(EQUAL, "equal", BINARY, 2)                                                                   \
    X(SELECT, "select", TERNARY, 3)                                                                \
    X(REDUCE_SUM, "reduce_sum", REDUCE, 1)                                                         \
    X(REDUCE_MAX, "reduce_max", REDUCE, 1)                                                         \
    X(RESHAPE, "reshape", VIEW, 1)                                                                 \
    X(EXPAND, "expand", VIEW, 1)                                                                   \
    X(PERMUTE, "permute", VIEW, 1)                                                                 \
    X(SLICE, "slice", VIEW, 1)                                                                     \
    X(PAD, "pad", BIG, 1)                                                                          \
    X(CONCAT, "concat", BIG, -1)                                                                   \
    X(GATHER_ROWS, "gather_rows", BIG, 2)                                                          \
    X(SCATTER_ADD_ROWS, "scatter_add_rows", BIG, 2)                                                \
    X(MATMUL, "matmul", BIG, 2)                                                                    \
    X(CONV, "conv", BIG, 2)                                                                        \
    X(CONV_INPUT_GRAD, "conv_input_grad", BIG, 2)                                                  \
    X(CONV_WEIGHT_GRAD, "conv_weight_grad", BIG, 2)                                                \
    X(WINDOW_ARGMAX, "window_argmax", BIG, 1)                                                      \
    X(WINDOW_GATHER, "window_gather", BIG, 2)                                                      \
    X(WINDOW_SCATTER, "window_scatter", BIG, 2)                                                    \
    X(RESAMPLE, "resample", BIG, 1)                                                                \
    X(ATTENTION, "attention", BIG, 3)                                                              \
    X(ATTENTION_GRAD, "attention_grad", BIG, 6)                                                    \
    X(OUTPUT, "output", VIEW, 1)                                                                   \
    X(ASSIGN, "assign", EFFECT, 2)                                                                 \
    X(UPDATE, "update", EFFECT, -1)

enum kiln_op {
#define KILN_OP_ENUM(name, text, class_, operands) KILN_OP_##name,
    KILN_OPS(KILN_OP_ENUM)
#undef KILN_OP_ENUM
        KILN_OP_COUNT
};

enum kiln_op_class {
    KILN_OP_CLASS_SOURCE,
    KILN_OP_CLASS_UNARY,
    KILN_OP_CLASS_BINARY,
    KILN_OP_CLASS_TERNARY,
    KILN_OP_CLASS_REDUCE,
    KILN_OP_CLASS_VIEW,
    KILN_OP_CLASS_BIG,
    KILN_OP_CLASS_EFFECT
};

KILN_API const char *kiln_op_name(enum kiln_op op);
KILN_API enum kiln_op_class kiln_op_class(enum kiln_op op);
/* True for unary, binary and ternary ops. */
KILN_API bool kiln_op_is_pointwise(enum kiln_op op);

/* How a state's first value is drawn (on the host, by seed and name). */
enum kiln_init_kind {
    KILN_INIT_CONSTANT, /* a */
    KILN_INIT_UNIFORM,  /* in [a, b] */
    KILN_INIT_NORMAL,   /* mean a, standard deviation b */
    KILN_INIT_GEOMETRIC /* from a to b > 0 along the first axis, in equal ratios */
};

struct kiln_init {
    enum kiln_init_kind kind;
    float a, b;
    float zero_tail; /* share of the last axis, at its end, that is 0 instead */
};

/*
 * A tensor that outlives an execution. Two declarations of one name, in any
 * graphs of a model, mean the same tensor and must agree in shape and dtype.
 * name is the reference implementation's state_dict name with the network's
 * prefix ("generator.main.0.weight"); it is copied.
 */
struct kiln_state {
    const char *name;
    struct kiln_shape shape;
    enum kiln_dtype dtype; /* f32 or i32 */
    bool trainable;        /* false: buffer, e.g. running statistics */
    struct kiln_init init;
};

/* Convolution geometry; padding is per side. Zero strides, dilations, groups
 * are errors. */
struct kiln_conv {
    int stride[2];   /* vertical, horizontal, >= 1 */
    int dilation[2]; /* >= 1 */
    int pad[4];      /* top, bottom, left, right, >= 0 */
    int groups;      /* >= 1 */
};

/* Pooling window; pads with -infinity. */
struct kiln_window {
    int size[2], stride[2];
    int pad[4]; /* top, bottom, left, right, each < size of its axis */
};

enum kiln_resample_kind {
    KILN_RESAMPLE_NEAREST,          /* source index floor(o in / out) */
    KILN_RESAMPLE_BILINEAR,         /* half-pixel centres (align_corners False) */
    KILN_RESAMPLE_BILINEAR_ALIGNED, /* align_corners True */
    KILN_RESAMPLE_MEAN              /* out divides in: mean of in/out pixels */
};

/* A sparse matrix per spatial axis of [n, c, h, w]; adjoint applies the
 * transpose, from out sizes back to in sizes. */
struct kiln_resample {
    enum kiln_resample_kind kind;
    int64_t in[2], out[2]; /* h, w before and after (of the non-adjoint) */
    bool adjoint;
};

enum kiln_rng_kind { KILN_RNG_UNIFORM, KILN_RNG_NORMAL, KILN_RNG_INTEGER };

struct kiln_rng {
    enum kiln_rng_kind kind;
    uint32_t stream;
    uint32_t bound; /* integer kind only, >= 1 */
};

enum kiln_optimizer_kind {
    KILN_OPTIMIZER_SGD,     /* torch.optim.SGD, momentum, no Nesterov */
    KILN_OPTIMIZER_ADAM,    /* Kingma & Ba 2015; weight decay as L2 */
    KILN_OPTIMIZER_ADAMW,   /* Loshchilov & Hutter 2019 */
    KILN_OPTIMIZER_RMSPROP, /* torch.optim.RMSprop, not centred */
    KILN_OPTIMIZER_COUNT
};

/* Words of an update's f32 "hyper" operand; all change without a new plan. */
enum kiln_hyper {
    KILN_HYPER_LEARNING_RATE,
    KILN_HYPER_BETA1,   /* Adam; SGD: momentum */
    KILN_HYPER_BETA2,   /* Adam; RMSProp: alpha */
    KILN_HYPER_EPSILON, /* added to the root */
    KILN_HYPER_WEIGHT_DECAY,
    KILN_HYPER_CORRECTION1, /* 1 - beta1^t */
    KILN_HYPER_CORRECTION2, /* 1 - beta2^t */
    KILN_HYPER_CLIP_NORM,   /* largest global gradient norm; 0 = off */
    KILN_HYPER_EMA_DECAY,   /* ema += (1 - decay) (p - ema) after the update */
    KILN_HYPER_CLAMP,       /* parameters clamped to +-this after it; 0 = off */
    KILN_HYPER_LOSS_SCALE,  /* gradients are divided by it; 1 = none */
    KILN_HYPER_WORDS = 16
};

struct kiln_update {
    enum kiln_optimizer_kind kind;
    bool ema; /* keep an exponential moving average of the parameters */
};

union kiln_params {
    struct {
        double value;
    } constant;                     /* CONST filled with one value */
    struct kiln_rng rng;            /* RNG */
    enum kiln_dtype cast;           /* CAST */
    uint32_t axes;                  /* REDUCE_*: bit i = axis i */
    int permutation[KILN_MAX_DIMS]; /* PERMUTE: out axis i = in axis p[i] */
    struct {
        int64_t start[KILN_MAX_DIMS], step[KILN_MAX_DIMS];
    } slice; /* SLICE; size is the shape */
    struct {
        int64_t before[KILN_MAX_DIMS], after[KILN_MAX_DIMS];
        double value;
    } pad;        /* PAD */
    int axis;     /* CONCAT */
    int64_t rows; /* SCATTER_ADD_ROWS: table's rows */
    struct {
        bool transpose_a, transpose_b;
    } matmul;
    struct kiln_conv conv;     /* CONV* (sizes are the shapes) */
    struct kiln_window window; /* WINDOW_* */
    struct kiln_resample resample;
    struct {
        float scale;
    } attention; /* ATTENTION, ATTENTION_GRAD */
    int output;  /* OUTPUT: which output */
    struct kiln_update update;
};

/* A node as others see it. Pointers live as long as the graph and until the
 * next append. */
struct kiln_node_info {
    enum kiln_op op;
    enum kiln_dtype dtype;
    struct kiln_shape shape; /* of output 0 */
    int n_operands;
    const kiln_node *operands;
    const union kiln_params *params;
    const char *name;               /* INPUT, STATE: name; else label or "" */
    const void *data;               /* CONST given by data: dense elements; else NULL */
    const struct kiln_state *state; /* STATE, else NULL */
};

/* --- the graph ---------------------------------------------------------- */

/* Returns NULL when out of memory. The caller destroys it. */
KILN_API kiln_graph *kiln_graph_create(void);
/* Destroys *graph and sets it to NULL; accepts a NULL graph. */
KILN_API void kiln_graph_destroy(kiln_graph **graph);
/* KILN_OK, or the sticky error's status with its message copied to error. */
KILN_API enum kiln_status kiln_graph_error(const kiln_graph *graph, struct kiln_error *error);
/* Makes the graph fail with a message of the caller's (first error wins). */
KILN_API void kiln_graph_fail(kiln_graph *graph, const char *format, ...) KILN_PRINTF(2, 3);
/* Makes the graph fail for want of memory (KILN_MACHINE) and returns 0. */
KILN_API kiln_node kiln_graph_no_memory(kiln_graph *graph);
/* Ids run from 1 to this count. */
KILN_API kiln_node kiln_graph_count(const kiln_graph *graph);
/* Nodes that were there before the first call of kiln_grad; all without one. */
KILN_API kiln_node kiln_graph_n_forward(const kiln_graph *graph);
/* Returns false for an id outside 1 .. count. */
KILN_API bool kiln_graph_node(const kiln_graph *graph, kiln_node node, struct kiln_node_info *info);
/* The node's shape, or a scalar shape for 0. */
KILN_API struct kiln_shape kiln_shape(const kiln_graph *graph, kiln_node node);
/* Names the part being built; shown in error messages and plan dumps. "" ends it. */
KILN_API void kiln_graph_label(kiln_graph *graph, const char *label);
/* Marks node as a result that is read by name after an execution. */
KILN_API void kiln_graph_output(kiln_graph *graph, const char *name, kiln_node node);
KILN_API int kiln_graph_n_outputs(const kiln_graph *graph);
/* The i-th output's name and node. */
KILN_API const char *kiln_graph_output_at(const kiln_graph *graph, int i, kiln_node *node);

/* --- sources ------------------------------------------------------------ */

/* A tensor written by name before an execution. dtype f32, i32 or u8. The
 * second declaration of a name returns the first node; other shape: error. */
KILN_API kiln_node kiln_input(kiln_graph *, const char *name, enum kiln_dtype, struct kiln_shape);
KILN_API kiln_node kiln_state(kiln_graph *, const struct kiln_state *);
/* All elements equal value (f32). */
KILN_API kiln_node kiln_full(kiln_graph *, struct kiln_shape, double value);
/* A scalar (f32). */
KILN_API kiln_node kiln_scalar(kiln_graph *, double value);
/* Dense row-major elements, copied; f32 or i32. */
KILN_API kiln_node kiln_constant(kiln_graph *, enum kiln_dtype, struct kiln_shape,
                                 const void *data);
/* Random elements; keyed by the i32 [KILN_RNG_KEY_WORDS] input "rng", which
 * the call declares. f32, integer kind i32. */
KILN_API kiln_node kiln_random(kiln_graph *, struct kiln_shape, struct kiln_rng);

/* --- pointwise ---------------------------------------------------------- */
/* f32 -> f32 (NEG, ABS, ADD, SUB, MUL, MAX, MIN, compare, SELECT's branches
 * also i32). sigmoid(x) = 1 / (1 + exp(-x)); stop_gradient is the identity
 * with a zero gradient. max and min have the gradient of the first operand
 * where equal, and yield NaN where an operand is NaN. */

KILN_API kiln_node kiln_unary(kiln_graph *, enum kiln_op op, kiln_node x);
KILN_API kiln_node kiln_binary(kiln_graph *, enum kiln_op op, kiln_node a, kiln_node b);
KILN_API kiln_node kiln_cast(kiln_graph *, kiln_node x, enum kiln_dtype);
/* condition != 0 ? a : b */
KILN_API kiln_node kiln_select(kiln_graph *, kiln_node condition, kiln_node a, kiln_node b);

#define KILN_UNARY_BUILDER(name, NAME)                                                             \
    static inline kiln_node kiln_##name(kiln_graph *g, kiln_node x)                                \
    {                                                                                              \
        return kiln_unary(g, KILN_OP_##NAME, x);                                                   \
    }
#define KILN_BINARY_BUILDER(name, NAME)                                                            \
    static inline kiln_node kiln_##name(kiln_graph *g, kiln_node a, kiln_node b)                   \
    {                                                                                              \
        return kiln_binary(g, KILN_OP_##NAME, a, b);                                               \
    }
KILN_UNARY_BUILDER(neg, NEG)
KILN_UNARY_BUILDER(abs, ABS)
KILN_UNARY_BUILDER(exp, EXP)
KILN_UNARY_BUILDER(expm1, EXPM1)
KILN_UNARY_BUILDER(log, LOG)
KILN_UNARY_BUILDER(log1p, LOG1P)
KILN_UNARY_BUILDER(sqrt, SQRT)
KILN_UNARY_BUILDER(sin, SIN)
KILN_UNARY_BUILDER(cos, COS)
KILN_UNARY_BUILDER(tanh, TANH)
KILN_UNARY_BUILDER(erf, ERF)
KILN_UNARY_BUILDER(sigmoid, SIGMOID)
KILN_UNARY_BUILDER(floor, FLOOR)
KILN_UNARY_BUILDER(stop_gradient, STOP_GRADIENT)
KILN_BINARY_BUILDER(add, ADD)
KILN_BINARY_BUILDER(sub, SUB)
KILN_BINARY_BUILDER(mul, MUL)
KILN_BINARY_BUILDER(div, DIV)
KILN_BINARY_BUILDER(pow, POW)
KILN_BINARY_BUILDER(max, MAX)
KILN_BINARY_BUILDER(min, MIN)
KILN_BINARY_BUILDER(less, LESS)
KILN_BINARY_BUILDER(less_equal, LESS_EQUAL)
KILN_BINARY_BUILDER(equal, EQUAL)

/* --- reductions and movement -------------------------------------------- */

/* Sums over (or takes the maximum of) the axes in the bit mask; the reduced
 * axes stay with extent 1. f32. REDUCE_MAX's gradient goes in equal shares to
 * all elements that equal the maximum. */
KILN_API kiln_node kiln_reduce_sum(kiln_graph *, kiln_node x, uint32_t axes);
KILN_API kiln_node kiln_reduce_max(kiln_graph *, kiln_node x, uint32_t axes);
/* Same number of elements in row-major order. */
KILN_API kiln_node kiln_reshape(kiln_graph *, kiln_node x, struct kiln_shape);
/* Repeats axes of extent 1; leading axes may be added. */
KILN_API kiln_node kiln_expand(kiln_graph *, kiln_node x, struct kiln_shape);
/* Output axis i is input axis permutation[i]. */
KILN_API kiln_node kiln_permute(kiln_graph *, kiln_node x, const int *permutation);
/* Elements start + i step of each axis, i < size; step != 0, may be negative. */
KILN_API kiln_node kiln_slice(kiln_graph *, kiln_node x, const int64_t *start,
                              struct kiln_shape size, const int64_t *step);
/* Adds before and after elements of the given value to each axis (>= 0). */
KILN_API kiln_node kiln_pad(kiln_graph *, kiln_node x, const int64_t *before, const int64_t *after,
                            double value);
KILN_API kiln_node kiln_concat(kiln_graph *, int n, const kiln_node *parts, int axis);
/* table [rows, ...], index i32 [n] -> [n, ...]; an index outside the table is
 * clamped into it. Any dtype. */
KILN_API kiln_node kiln_gather_rows(kiln_graph *, kiln_node table, kiln_node index);
/* values f32 [n, ...], index i32 [n] -> [rows, ...]; rows not named are 0;
 * equal indices are added in order of n. */
KILN_API kiln_node kiln_scatter_add_rows(kiln_graph *, kiln_node values, kiln_node index,
                                         int64_t rows);

/* --- contractions and windows ------------------------------------------- */

/* [m, k] x [k, n] or [b, m, k] x [b, k, n]; transposes swap an operand's last
 * two axes. */
KILN_API kiln_node kiln_matmul(kiln_graph *, kiln_node a, kiln_node b, bool transpose_a,
                               bool transpose_b);
/* x [n, c, h, w], weight [o, c/groups, kh, kw] -> [n, o, oh, ow]:
 * cross-correlation, oh = (h + top + bottom - dilation (kh - 1) - 1)/stride + 1. */
KILN_API kiln_node kiln_conv(kiln_graph *, kiln_node x, kiln_node weight, struct kiln_conv);
/* d_y [n, o, oh, ow], weight -> d_x [n, c, h, w] of the given size (also the
 * transposed convolution's forward pass). */
KILN_API kiln_node kiln_conv_input_grad(kiln_graph *, kiln_node d_y, kiln_node weight,
                                        struct kiln_conv, int64_t h, int64_t w);
/* x, d_y -> d_weight [o, c/groups, kh, kw]. */
KILN_API kiln_node kiln_conv_weight_grad(kiln_graph *, kiln_node x, kiln_node d_y, struct kiln_conv,
                                         int64_t kh, int64_t kw);
/* x [n, c, h, w] -> i32 [n, c, oh, ow]: index y w + x of the first largest
 * element of each window within its plane. Not differentiable. */
KILN_API kiln_node kiln_window_argmax(kiln_graph *, kiln_node x, struct kiln_window);
/* x [n, c, h, w], index [n, c, oh, ow] -> x at the index. */
KILN_API kiln_node kiln_window_gather(kiln_graph *, kiln_node x, kiln_node index,
                                      struct kiln_window);
/* d_y, index -> [n, c, h, w]: the adjoint of kiln_window_gather. */
KILN_API kiln_node kiln_window_scatter(kiln_graph *, kiln_node d_y, kiln_node index,
                                       struct kiln_window, int64_t h, int64_t w);
KILN_API kiln_node kiln_resample(kiln_graph *, kiln_node x, struct kiln_resample);
/* q [b, nq, d], k [b, nk, d], v [b, nk, dv] -> softmax(scale q k^T) v
 * [b, nq, dv] and, as output 1, the log-sum-exp of the scaled scores [b, nq].
 * *log_sum_exp may be NULL. */
KILN_API kiln_node kiln_attention(kiln_graph *, kiln_node q, kiln_node k, kiln_node v, float scale,
                                  kiln_node *log_sum_exp);
/* Gradient of attention's output 0: d_q (returned), d_k and d_v. */
KILN_API kiln_node kiln_attention_grad(kiln_graph *, kiln_node q, kiln_node k, kiln_node v,
                                       kiln_node out, kiln_node log_sum_exp, kiln_node d_out,
                                       float scale, kiln_node *d_k, kiln_node *d_v);

/* --- effects ------------------------------------------------------------ */

/* State takes value when the execution ends; reads see the old value. A second
 * effect on one state is an error. */
KILN_API kiln_node kiln_assign(kiln_graph *, kiln_node state, kiln_node value);
/* Optimiser step on n trainable f32 states of one group by their gradients;
 * hyper f32 [KILN_HYPER_WORDS]. Moments and EMA are kept by the runtime beside
 * the parameters. A non-finite gradient norm leaves everything unchanged. The
 * node's value is f32 [2]: global gradient norm before clipping; 1 if the
 * update was done, 0 if it was masked. */
KILN_API kiln_node kiln_optimizer_update(kiln_graph *, int n, const kiln_node *states,
                                         const kiln_node *gradients, kiln_node hyper,
                                         struct kiln_update);

/* --- derivatives --------------------------------------------------------- */

/*
 * Appends the gradient of sum(y) with respect to each of xs (any nodes) and
 * writes the n gradient nodes, of the shapes of xs, to out. A pure function of
 * the graph: applying it to its own result gives second order. An x that y
 * does not depend on has a zero gradient.
 */
KILN_API void kiln_grad(kiln_graph *, kiln_node y, int n, const kiln_node *xs, kiln_node *out);

#ifdef __cplusplus
}
#endif
#endif
