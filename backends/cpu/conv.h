/* Convolutions: where elements lie in each layout, and the output ranges that
 * padding leaves. */
#ifndef KILN_CPU_CONV_H
#define KILN_CPU_CONV_H

#include "backends/cpu/cpu.h"

/* Two blocked axes (weights o, i; feature maps n, c with n unblocked) and the
 * two spatial ones: element offset = a / block outer + a % block inner, ... */
struct cpu_conv_axes {
    int64_t block[2], outer[2], inner[2], row, column;
};

struct cpu_conv_axes cpu_conv_feature_axes(enum kiln_layout, int64_t c, int64_t h, int64_t w);
struct cpu_conv_axes cpu_conv_weight_axes(enum kiln_layout, int64_t o, int64_t i, int64_t kh,
                                          int64_t kw);

static inline int64_t cpu_conv_offset(const struct cpu_conv_axes *axes, int64_t a, int64_t b)
{
    return a / axes->block[0] * axes->outer[0] + a % axes->block[0] * axes->inner[0] +
           b / axes->block[1] * axes->outer[1] + b % axes->block[1] * axes->inner[1];
}

/* Outputs o with 0 <= o stride + shift < extent: first and one past the last. */
static inline void cpu_conv_range(int64_t n_outputs, int64_t extent, int64_t stride, int64_t shift,
                                  int64_t *first, int64_t *end)
{
    *first = shift >= 0 ? 0 : (-shift + stride - 1) / stride;
    *end = shift >= extent ? 0 : cpu_min((extent - 1 - shift) / stride + 1, n_outputs);
}

/* True if the step's x, weight and y are all dense. */
bool cpu_conv_is_dense(const struct kiln_step_conv *);
/* Multiply-adds of a convolution. */
int64_t cpu_conv_work(const struct kiln_step_conv *);

/* Own kernels between at most 4 channels on one side and blocked or innermost
 * ones on the other. */
bool cpu_conv_edge_accepts(kiln_device_state *, const struct kiln_step *, struct kiln_candidate *);
enum kiln_status cpu_conv_edge_prepare(struct cpu_task *, struct kiln_error *);
/* Dense operands by matrix products. */
bool cpu_conv_gemm_accepts(kiln_device_state *, const struct kiln_step *, struct kiln_candidate *);
enum kiln_status cpu_conv_gemm_prepare(struct cpu_task *, struct kiln_error *);
/* Winograd's F(4x4,3x3) between blocked maps: convolution and input gradient;
 * weight gradient. */
bool cpu_conv_winograd_accepts(kiln_device_state *, const struct kiln_step *,
                               struct kiln_candidate *);
enum kiln_status cpu_conv_winograd_prepare(struct cpu_task *, struct kiln_error *);
bool cpu_conv_winograd_weight_accepts(kiln_device_state *, const struct kiln_step *,
                                      struct kiln_candidate *);
enum kiln_status cpu_conv_winograd_weight_prepare(struct cpu_task *, struct kiln_error *);
enum kiln_status cpu_conv_plain_prepare(struct cpu_task *, struct kiln_error *);

#endif
