/*
 * What the optional module cpu_onednn.so offers to cpu.so: matrix products and
 * convolutions by oneDNN. It is a module of its own because oneDNN may need
 * libraries that a machine lacks.
 */
#ifndef KILN_CPU_ONEDNN_H
#define KILN_CPU_ONEDNN_H

#include "core/api/backend.h"

struct onednn_context; /* engine and stream */
struct onednn_conv;    /* a primitive bound to its operands */

enum onednn_way {
    ONEDNN_DIRECT,
    ONEDNN_WINOGRAD,
    ONEDNN_REPACK /* direct, weights copied to or from a private form in scratch */
};

struct cpu_onednn {
    /* "oneDNN 2.6.3"; constant */
    const char *(*version)(void);
    /* True if primitives use 512-bit vectors. */
    bool (*wide)(void);
    struct onednn_context *(*open)(void); /* NULL: no engine */
    void (*close)(struct onednn_context *);

    /* Row-major c[m, n] = a[m, k] b[k, n] (+= with add) with leading dimensions;
     * transposed operands are stored [k, m] and [n, k]. Within a parallel
     * region it runs on the calling thread. */
    bool (*sgemm)(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
                  const float *a, int64_t lda, const float *b, int64_t ldb, float *c, int64_t ldc,
                  bool add);

    /* Whether a way exists for the step's sizes and feature layouts, not as
     * reference code; fills weight_layout and scratch_bytes. */
    bool (*conv_query)(struct onednn_context *, const struct kiln_step *, enum onednn_way,
                       struct kiln_candidate *);
    struct onednn_conv *(*conv_create)(struct onednn_context *, const struct kiln_step *,
                                       enum onednn_way, void *x, void *weight, void *y,
                                       void *scratch);
    bool (*conv_run)(struct onednn_conv *);
    /* oneDNN's name of the code of the convolution, or of its copy of weights
     * ("" without one); lives as long as conv. */
    const char *(*implementation)(const struct onednn_conv *conv, bool repack);
    void (*conv_destroy)(void *);
};

typedef const struct cpu_onednn *cpu_onednn_entry_fn(void);

#endif
