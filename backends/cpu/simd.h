/*
 * Kernels that are compiled once per instruction set (simd_*.c, with CPU_SIMD
 * naming the set) and chosen when a device opens.
 */
#ifndef KILN_CPU_SIMD_H
#define KILN_CPU_SIMD_H

#include "core/api/step.h"

#ifdef CPU_SIMD
#define SIMD_JOIN_(a, b) a##_##b
#define SIMD_JOIN(a, b)  SIMD_JOIN_(a, b)
/* The name of a symbol for the instruction set being compiled. */
#define SIMD(name) SIMD_JOIN(name, CPU_SIMD)
#endif

/*
 * Elementwise: out[i] from a[i], b[i], c[i], i < n; 4-byte elements. out may
 * be one of the operands. In the names of variants, S marks a short operand:
 * CPU_SHORT values that repeat, b[i % CPU_SHORT].
 */
typedef void cpu_pointwise_fn(void *out, const void *a, const void *b, const void *c, int64_t n);

enum { CPU_SHORT = 16 };

enum cpu_variant { CPU_VV, CPU_VS, CPU_SV, CPU_SS, CPU_VARIANTS };

/* Conversions on the way between memory and registers. */
enum cpu_convert {
    CPU_MOVE,   /* 4 bytes as they are */
    CPU_U8_F32, /* loads */
    CPU_U8_I32,
    CPU_F16_F32,
    CPU_I32_F32, /* both ways */
    CPU_F32_I32,
    CPU_F32_U8, /* stores */
    CPU_I32_U8,
    CPU_F32_F16,
    CPU_CONVERT_COUNT
};

/* Chains of two arithmetic ops. Inner ones: add, sub, mul; outer ones also
 * c - (a op b). Variants: 4 a, 2 b (never both), 1 c is short. */
enum { CPU_CHAIN_INNER = 3, CPU_CHAIN_REVERSED_SUB = 3, CPU_CHAIN_OUTER, CPU_CHAIN_VARIANTS = 6 };

struct cpu_simd_loop {
    /* f32 operands; unary ops in CPU_VV. Absent: NULL. */
    cpu_pointwise_fn *f32[KILN_OP_COUNT][CPU_VARIANTS];
    /* i32 operands (comparisons yield f32) */
    cpu_pointwise_fn *i32[KILN_OP_COUNT][CPU_VARIANTS];
    /* (a op b) op c in f32 */
    cpu_pointwise_fn *chain[CPU_CHAIN_INNER][CPU_CHAIN_OUTER][CPU_CHAIN_VARIANTS];
    /* a != 0 ? b : c, the condition f32 or i32 */
    cpu_pointwise_fn *select_f32[CPU_VARIANTS], *select_i32[CPU_VARIANTS];
    cpu_pointwise_fn *cast_f32_i32, *cast_i32_f32;
    cpu_pointwise_fn *copy;
    /* out[i] = a[i % CPU_SHORT] */
    cpu_pointwise_fn *repeat;
    /* dense [rows][columns] registers from (to) memory with strides in
     * elements of the memory's type */
    void (*load[CPU_CONVERT_COUNT])(void *out, const void *in, int64_t rows, int64_t row_stride,
                                    int64_t columns, int64_t column_stride);
    void (*store[CPU_CONVERT_COUNT])(void *out, const void *in, int64_t rows, int64_t row_stride,
                                     int64_t columns, int64_t column_stride);
    /* acc[u][w] += (or max=) values[u][r][w] over r; partial sums in f32 of at
     * most r terms */
    void (*sum)(double *acc, const float *values, int64_t u, int64_t r, int64_t w);
    void (*max)(float *acc, const float *values, int64_t u, int64_t r, int64_t w);
};

/* One optimiser step: arenas and numbers (graph.h: kiln_hyper). */
struct cpu_update {
    float *parameter, *moment1, *moment2, *ema;
    const float *gradient;
    float scale;      /* of gradients: loss scale and clipping */
    float rate;       /* Adam: divided by the first moment's correction */
    float shrink;     /* AdamW: 1 - rate decay */
    float correction; /* Adam: 1 / (1 - beta2^t) */
    float beta1, beta2, epsilon, decay;
    float clamp;    /* infinity = off */
    float ema_rate; /* 1 - decay of the average */
};

/* Updates n parameters from the first. */
typedef void cpu_update_fn(const struct cpu_update *, int64_t first, int64_t n);

/* n elements of a sample from the first, a multiple of 4 (rng.h). */
typedef void cpu_random_fn(const struct kiln_rng *, const uint32_t seed[2], uint32_t sample,
                           uint32_t step, int64_t first, int64_t n, void *out);

/* A pair of elements that meet: offsets for the first of a run. */
struct cpu_edge_term {
    int64_t u, w;
};

/*
 * A run of n neighbouring target pixels of a convolution between few (1 to 4)
 * and many channels, blocks vectors of 16 or 8. t: the target side, u: the
 * other one; steps from pixel to pixel, blocks from vector to vector.
 */
struct cpu_edge_call {
    int64_t n, t_step, t_block, u_step, u_block, w_block;
    int64_t w_few, few_stride; /* dot: from one of the few channels to the next */
    int blocks, few, n_terms;
    const struct cpu_edge_term *terms;
};

struct cpu_simd_edge {
    /* many[q] = sum over terms of few[q] weights; terms hold taps and few
     * channels */
    void (*spread)(const struct cpu_edge_call *, float *many, const float *few, const float *w);
    /* few[f][q] = sum over terms (taps) and many channels */
    void (*dot)(const struct cpu_edge_call *, float *few, const float *many, const float *w);
    /* w[term] += sum over q of many[q] few[q], for one vector of channels; t
     * is the side of many */
    void (*outer)(const struct cpu_edge_call *, float *w, const float *many, const float *few);
};

/* c[m, n] = a b (or += with add), any strides but c's unit columns, k >= 1. */
struct cpu_gemm {
    int64_t m, n, k;
    const float *a, *b;
    int64_t a_row, a_column, b_row, b_column;
    float *c;
    int64_t ldc;
    bool add;
};

/* Bytes of the buffer that a call packs into. */
#define CPU_GEMM_BUFFER_BYTES (640 * 1024)

typedef void cpu_gemm_fn(const struct cpu_gemm *, float *buffer);

/* Multiply-adds in registers on the calling thread; returns the number of
 * operations. sink: a vector of 16, read for numbers below 1 and written. */
typedef int64_t cpu_arithmetic_fn(int64_t rounds, float *sink);

/* A tile of attention scores, row-major [rows][columns], and its queries. */
struct cpu_attention_rows {
    int64_t rows, columns, width;
    float scale;
    float *scores, *d_weights; /* [rows][columns] */
    float *out;                /* [rows][width] */
    float *largest, *sum;      /* of the scaled scores so far, of their exponentials */
    float *log_sum_exp;
    const float *d_out;
    int64_t d_out_row, d_out_column;
};

struct cpu_simd_attention {
    /* scores become exp(scale s - largest); sum and out follow a new largest */
    void (*softmax)(struct cpu_attention_rows *);
    /* divides out by the sums, writes log_sum_exp */
    void (*finish)(struct cpu_attention_rows *);
    /* scores become softmax weights, d_weights the scores' gradient */
    void (*gradient)(struct cpu_attention_rows *);
};

/* n pooling windows in a plane [h][w][inner]: the first, and the step to the next in columns. */
struct cpu_window_place {
    int64_t y0, y1, x0, x1, w, inner, n, stride;
};

/* out[k inner + i] = y w + x of the first largest element of channel i (a NaN is largest) */
typedef void cpu_argmax_fn(const struct cpu_window_place *, const float *plane, int32_t *out);

/* One channel vector of a tile of a map [rows][columns], pixel floats from
 * pixel to pixel; the tile begins at (row, column), maybe outside, and takes
 * every step-th row and column. */
struct cpu_winograd_map {
    float *data;
    int64_t rows, columns, pixel, row, column, step;
};

/* m [tiles][2 lanes] = v u for one element of the transforms: v [blocks][tiles]
 * [lanes], v_block from block to block; u [blocks lanes][2 lanes]. Whole tiles
 * of registers are read and written beyond the last row, up to a multiple of
 * `rows` or half of it. */
struct cpu_winograd_product {
    int64_t tiles, blocks, v_block;
    const float *v, *u;
    float *m;
};

/* F(4x4,3x3), 36 elements, or F(4x4,2x2), 25 elements; `apart` floats from
 * element to element. */
struct cpu_simd_winograd {
    int lanes, rows, elements;
    /* 6x6 or 5x5 pixels to elements, and those to at most 4x4 pixels */
    void (*source)(const struct cpu_winograd_map *, float *to, int64_t apart);
    void (*target)(const float *from, int64_t apart, const struct cpu_winograd_map *);
    /* A square of lanes x lanes of weights, rows of sources by vectors of
     * targets (back: rows of targets by vectors of sources, taps to be
     * reversed), to rows 2 lanes apart. Of a kernel of stride 2 the taps of one
     * phase, of which the first is given. */
    void (*weights)(const float *taps, int64_t tap, int64_t row, int phase, bool back, float *to,
                    int64_t apart);
    void (*multiply)(const struct cpu_winograd_product *);
};

/* sums [x_channels][row] += over tiles of x[tile][channel] y[tile][channel] for
 * one element of the transforms; begin: from zero. x_channels is a multiple of
 * 8, y_channels of a vector. */
struct cpu_winograd_sums {
    bool begin;
    int64_t tiles, x_channels, y_channels, row;
    const float *x, *y;
    float *sums;
};

/* F(3x3,4x4) or F(2x2,4x4): 36 or 25 elements. */
struct cpu_simd_winograd_weight {
    int lanes, elements;
    /* 6x6 or 5x5 pixels of x, 4x4 of dy (those outside of the map are 0) */
    void (*source)(const struct cpu_winograd_map *, float *to, int64_t apart);
    void (*outputs)(const struct cpu_winograd_map *, float *to, int64_t apart);
    void (*add)(const struct cpu_winograd_sums *);
    /* 3x3 vectors of taps, or the 2x2 of a phase, from the parts of the sums,
     * [part][element] */
    void (*taps)(const float *sums, int64_t apart, int64_t parts, int phase, float *out,
                 int64_t tap);
};

struct cpu_simd {
    const char *name; /* "avx512", "avx2", "baseline" */
    const struct cpu_simd_loop *loop;
    cpu_update_fn *const (*update)[2]; /* [optimiser][with an average] */
    cpu_random_fn *random;
    const struct cpu_simd_edge *edge; /* for 16 lanes, for 8 */
    cpu_gemm_fn *gemm;
    cpu_gemm_fn *gemm_rows; /* without add; a_column and b_row are 1 */
    const struct cpu_simd_attention *attention;
    cpu_argmax_fn *argmax;
    cpu_arithmetic_fn *arithmetic;
    /* of stride 1, 3x3, and dilated; of stride 2, 4x4 and 5x5 */
    const struct cpu_simd_winograd *winograd, *winograd_dilated, *const *winograd_phases;
    const struct cpu_simd_winograd_weight *winograd_weight, *const *winograd_phases_weight;
};

/* Declares what simd_*.c define for an instruction set. */
#define CPU_SIMD_DECLARE(set)                                                                      \
    extern const struct cpu_simd_loop cpu_simd_loop_##set;                                         \
    extern cpu_update_fn *const cpu_simd_update_##set[KILN_OPTIMIZER_COUNT][2];                    \
    extern const struct cpu_simd_edge cpu_simd_edge_##set[2];                                      \
    extern const struct cpu_simd_attention cpu_simd_attention_##set;                               \
    extern const struct cpu_simd_winograd cpu_simd_winograd_##set;                                 \
    extern const struct cpu_simd_winograd cpu_simd_winograd_dilated_##set;                         \
    extern const struct cpu_simd_winograd *const cpu_simd_winograd_phases_##set[2];                \
    extern const struct cpu_simd_winograd_weight cpu_simd_winograd_weight_##set;                   \
    extern const struct cpu_simd_winograd_weight *const cpu_simd_winograd_phases_weight_##set[2];  \
    cpu_argmax_fn cpu_simd_argmax_##set;                                                           \
    cpu_arithmetic_fn cpu_simd_arithmetic_##set;                                                   \
    cpu_gemm_fn cpu_simd_gemm_##set, cpu_simd_gemm_rows_##set;                                     \
    cpu_random_fn cpu_simd_random_##set;

CPU_SIMD_DECLARE(base)
#ifdef CPU_HAVE_X86
CPU_SIMD_DECLARE(v3)
CPU_SIMD_DECLARE(v4)
#endif

/* The best set that this processor has; the environment's KILN_CPU_SIMD
 * ("baseline", "avx2") lowers it, for tests. */
const struct cpu_simd *cpu_simd_best(void);

#endif
