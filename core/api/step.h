/*
 * What backends execute: a plan is an immutable, ordered list of steps over a
 * few memory regions, with every operand's place decided.
 *
 * All places, strides and sizes are checked above the backend table; a backend
 * may rely on every access being inside its region. Offsets in a place are
 * bytes, multiples of KILN_PLACE_ALIGNMENT unless said otherwise; strides are
 * in elements. Steps are executed as if in order.
 */
#ifndef KILN_STEP_H
#define KILN_STEP_H

#include "graph.h"
#include "layout.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KILN_PLACE_ALIGNMENT 64

/* The memory an execution touches; one allocation each. */
enum kiln_region {
    KILN_REGION_WORKSPACE, /* temporaries, reused within the plan */
    KILN_REGION_IO,        /* the plan's inputs, constants, outputs, prepared values */
    KILN_REGION_STATE,     /* parameters, moments, EMA: shared by all plans */
    KILN_REGION_DATA,      /* the resident data set: shared by all plans */
    KILN_REGION_COUNT
};

struct kiln_place {
    enum kiln_region region;
    enum kiln_dtype dtype;
    int64_t offset; /* bytes */
};

enum kiln_step_kind {
    KILN_STEP_LOOP,
    KILN_STEP_MATMUL,
    KILN_STEP_CONV,
    KILN_STEP_CONV_INPUT_GRAD,
    KILN_STEP_CONV_WEIGHT_GRAD,
    KILN_STEP_WINDOW_ARGMAX,
    KILN_STEP_WINDOW_GATHER,
    KILN_STEP_WINDOW_SCATTER,
    KILN_STEP_RESAMPLE,
    KILN_STEP_GATHER_ROWS,
    KILN_STEP_SCATTER_ADD_ROWS,
    KILN_STEP_RNG,
    KILN_STEP_ATTENTION,
    KILN_STEP_ATTENTION_GRAD,
    KILN_STEP_UPDATE,
    KILN_STEP_KIND_COUNT
};

KILN_API const char *kiln_step_kind_name(enum kiln_step_kind kind);

/* --- loops: everything pointwise, reductions, copies ---------------------- */

#define KILN_LOOP_MAX_DIMS         12
#define KILN_LOOP_MAX_ACCESSES     48
#define KILN_LOOP_MAX_INSTRUCTIONS 256

/*
 * A loop runs a program over a domain of n_dims dimensions, the first
 * outermost (slowest) of the preferred order. Kept dimensions are parallel:
 * distinct kept indices never touch the same stored element, nor read what
 * another stores (a store may alias a load of the same step only at the same
 * element; a load in a later section may read back what was stored there).
 * Reduced dimensions feed SUM and MAX.
 *
 * The program is a list of instructions, each defining the register of its
 * own number, in sections: an even section runs once per kept index (outer
 * level), an odd section once per element (a pass over the reduced
 * dimensions, element level). Section 0 comes first, then pass 1, then 2, ...;
 * instructions are sorted by section. An element-level register is read only
 * in its own section. A SUM or MAX stands in an odd section and its value (the
 * reduction of operand a over the reduced dimensions; -inf is MAX's neutral
 * element, 0 SUM's) is outer level, readable from the next section on. Without
 * reduced dimensions everything stands in section 1. Sums are taken in chunks
 * of fixed size, independent of the number of threads.
 *
 * Registers are f32 or i32 (field integer). LOAD converts u8 and f16 to f32
 * (u8 to i32 if integer); STORE converts to the access's dtype (f32 -> u8
 * rounds half away and clamps to 0..255).
 */
enum kiln_instruction_op {
    KILN_INSTRUCTION_LOAD = KILN_OP_COUNT, /* access */
    KILN_INSTRUCTION_STORE,                /* access <- a; defines no value */
    KILN_INSTRUCTION_SUM,                  /* of a */
    KILN_INSTRUCTION_MAX                   /* of a */
    /* besides: KILN_OP_CONST (immediate), every pointwise kiln_op (CAST
     * converts between f32 and i32, toward zero; STOP_GRADIENT never occurs) */
};

struct kiln_instruction {
    uint16_t op; /* enum kiln_op or kiln_instruction_op */
    uint8_t section;
    bool integer;    /* the register is i32 */
    int16_t a, b, c; /* operand registers, -1 = none */
    int16_t access;  /* LOAD, STORE: index into accesses */
    union {
        float f;
        int32_t i;
    } immediate; /* CONST */
};

struct kiln_access {
    struct kiln_place place; /* offset need only be a multiple of the element */
    int64_t stride[KILN_LOOP_MAX_DIMS];
    bool store;
};

struct kiln_loop {
    int n_dims;
    int64_t extent[KILN_LOOP_MAX_DIMS];
    bool reduced[KILN_LOOP_MAX_DIMS];
    int n_accesses;
    const struct kiln_access *accesses;
    int n_instructions;
    const struct kiln_instruction *instructions;
};

/* --- the other steps ------------------------------------------------------ */

/* c[b,i,j] = sum_p a[b,i,p] b[b,p,j]; f32. One of each operand's row and
 * column strides is 1 (or its extent is 1); c's column stride is 1. */
struct kiln_step_matmul {
    int64_t batch, m, n, k;
    struct kiln_place a, b, c;
    int64_t a_stride[3], b_stride[3], c_stride[3]; /* batch, row, column */
};

/* x [n, c, h, w], w [o, c/groups, kh, kw], y [n, o, oh, ow], f32, each stored
 * in its layout. The output is y, x or w by the step's kind. All-dense
 * operands are always accepted; others where candidates() said so. */
struct kiln_step_conv {
    int64_t n, c, h, w, o, kh, kw, oh, ow;
    struct kiln_conv conv;
    struct kiln_place x, weight, y;
    enum kiln_layout x_layout, weight_layout, y_layout;
};

/* Spatial steps see a feature map of any layout as [outer][h][w][inner]:
 * nchw: outer n c, inner 1; nhwc: outer n, inner c; nChw16c: outer n c/16,
 * inner 16. x is the large side, y the windowed one, index i32 like y. */
struct kiln_step_window {
    int64_t outer, inner, h, w, oh, ow;
    struct kiln_window window;
    struct kiln_place x, index, y; /* ARGMAX: x -> index. GATHER: x, index -> y.
                                      SCATTER: y, index -> x */
};

/* A sparse matrix in rows: output o = sum over j in row[o] .. row[o+1]-1 of
 * weight[j] * input[column[j]]; columns ascend within a row. */
struct kiln_sparse {
    int64_t n_rows, n_columns;
    const int32_t *row; /* n_rows + 1 */
    const int32_t *column;
    const float *weight;
};

/* y[o, i, j, c] = sum v[i,p] u[j,q] x[o, p, q, c]; adjoints are already
 * transposed here. */
struct kiln_step_resample {
    int64_t outer, inner;
    struct kiln_sparse vertical, horizontal;
    struct kiln_place x, y;
};

/* Gather: out[i, :] = table[clamp(index[i]), :], any dtype. Scatter-add:
 * table = 0, then table[clamp(index[i]), :] += out[i, :] in order of i. */
struct kiln_step_rows {
    int64_t n, rows, row_elements;
    struct kiln_place table, index, out;
};

/* rng.h; out dense [samples, per_sample], f32 or i32. */
struct kiln_step_rng {
    struct kiln_rng rng;
    int64_t samples, per_sample;
    struct kiln_place key, out;
};

/* q [batch, n_q, width], k [batch, n_k, width], v [batch, n_k, v_width] with
 * strides batch, row, column; column stride 1 or row stride 1. out dense
 * [batch, n_q, v_width], log_sum_exp dense [batch, n_q].
 * The gradient step reads all six and writes d_q, d_k, d_v, dense. */
struct kiln_step_attention {
    int64_t batch, n_q, n_k, width, v_width;
    float scale;
    struct kiln_place q, k, v, out, log_sum_exp, d_out, d_q, d_k, d_v;
    int64_t q_stride[3], k_stride[3], v_stride[3], d_out_stride[3];
};

/* One flat optimiser step over count f32 elements (graph.h: kiln_hyper).
 * norm f32 [2] = { gradient norm, 1 if finite else 0 } is already computed;
 * the step writes parameter, moments and ema in place if norm[1] != 0. A gap
 * between parameters holds zeros and must stay so. */
struct kiln_step_update {
    struct kiln_update update;
    int64_t count;
    struct kiln_place parameter, gradient, moment1, moment2, ema, hyper, norm;
};

struct kiln_step {
    enum kiln_step_kind kind;
    uint16_t algorithm;        /* of the backend's candidates(); 0 = plain */
    struct kiln_place scratch; /* scratch_bytes of it, for this step alone */
    int64_t scratch_bytes;
    kiln_node node;    /* the first graph node it computes, for dumps */
    const char *label; /* never NULL */
    union {
        struct kiln_loop loop;
        struct kiln_step_matmul matmul;
        struct kiln_step_conv conv;
        struct kiln_step_window window;
        struct kiln_step_resample resample;
        struct kiln_step_rows rows;
        struct kiln_step_rng rng;
        struct kiln_step_attention attention;
        struct kiln_step_update update;
    } as;
};

/* The part of a plan that a backend sees. Lives as long as its execution. */
struct kiln_steps {
    int n;
    const struct kiln_step *steps;
    int64_t region_bytes[KILN_REGION_COUNT]; /* 0 = not used */
};

#ifdef __cplusplus
}
#endif
#endif
