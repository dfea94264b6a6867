/*
 * Building blocks of networks, made of graph ops and therefore differentiable
 * to any order. The rules of graph.h hold (sticky error, 0 after one).
 *
 * Modules take a name: the state_dict prefix of their parameters, without the
 * trailing dot ("fc1" declares "fc1.weight" and "fc1.bias"). Their parameters
 * start as PyTorch's: uniform in +-1/sqrt(fan_in) for linear and convolution.
 */
#ifndef KILN_NN_H
#define KILN_NN_H

#include "graph.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- functions ------------------------------------------------------------ */

KILN_API kiln_node kiln_add_scalar(kiln_graph *, kiln_node x, double value);
KILN_API kiln_node kiln_mul_scalar(kiln_graph *, kiln_node x, double value);
KILN_API kiln_node kiln_square(kiln_graph *, kiln_node x);
/* max(x, 0) */
KILN_API kiln_node kiln_relu(kiln_graph *, kiln_node x);
KILN_API kiln_node kiln_leaky_relu(kiln_graph *, kiln_node x, double slope);
/* x < 0 ? alpha expm1(x) : x */
KILN_API kiln_node kiln_elu(kiln_graph *, kiln_node x, double alpha);
/* x sigmoid(x) */
KILN_API kiln_node kiln_silu(kiln_graph *, kiln_node x);
/* x (1 + erf(x / sqrt 2)) / 2 */
KILN_API kiln_node kiln_gelu(kiln_graph *, kiln_node x);
/* 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) */
KILN_API kiln_node kiln_gelu_tanh(kiln_graph *, kiln_node x);
/* x sigmoid(1.702 x) */
KILN_API kiln_node kiln_quick_gelu(kiln_graph *, kiln_node x);
/* log(1 + exp(x)) = max(x, 0) + log1p(exp(-|x|)) */
KILN_API kiln_node kiln_softplus(kiln_graph *, kiln_node x);
KILN_API kiln_node kiln_clamp(kiln_graph *, kiln_node x, double low, double high);
/* Mean over the axes of the mask; they stay with extent 1. */
KILN_API kiln_node kiln_mean(kiln_graph *, kiln_node x, uint32_t axes);
/* Sum and mean of all elements: scalars. */
KILN_API kiln_node kiln_sum_all(kiln_graph *, kiln_node x);
KILN_API kiln_node kiln_mean_all(kiln_graph *, kiln_node x);
/* [n, ...] -> [n]: sum over all but the first axis. */
KILN_API kiln_node kiln_sum_per_sample(kiln_graph *, kiln_node x);
KILN_API kiln_node kiln_softmax(kiln_graph *, kiln_node x, int axis);
KILN_API kiln_node kiln_log_softmax(kiln_graph *, kiln_node x, int axis);
/* [n, c, ...] -> [n, c * ...] */
KILN_API kiln_node kiln_flatten(kiln_graph *, kiln_node x);
/* i32 [n] -> f32 [n, classes], 1 at the label, 0 elsewhere. */
KILN_API kiln_node kiln_one_hot(kiln_graph *, kiln_node label, int64_t classes);
/* Swaps two axes. */
KILN_API kiln_node kiln_transpose(kiln_graph *, kiln_node x, int axis_a, int axis_b);
/* Elements start .. start + size - 1 of one axis. */
KILN_API kiln_node kiln_narrow(kiln_graph *, kiln_node x, int axis, int64_t start, int64_t size);
/* Zeroes elements with probability p and divides the rest by 1 - p. */
KILN_API kiln_node kiln_dropout(kiln_graph *, kiln_node x, double p, uint32_t stream);
/* max(l, 0) - l x + log(1 + exp(-|l|)): Bernoulli cross-entropy of targets x
 * in 0..1 by logits l, elementwise. */
KILN_API kiln_node kiln_bce_with_logits(kiln_graph *, kiln_node logits, kiln_node target);
/* softmax(scale q k^T) v on [b, n, d]. */
KILN_API kiln_node kiln_scaled_attention(kiln_graph *, kiln_node q, kiln_node k, kiln_node v,
                                         float scale);

/* --- spatial -------------------------------------------------------------- */

/* Square stride, dilation and symmetric padding; groups 1. */
KILN_API struct kiln_conv kiln_conv_params(int stride, int padding, int dilation);
KILN_API kiln_node kiln_max_pool(kiln_graph *, kiln_node x, struct kiln_window);
KILN_API kiln_node kiln_avg_pool(kiln_graph *, kiln_node x, int factor);
/* Average over size x size windows, stride 1, zero padding counted. */
KILN_API kiln_node kiln_avg_pool_same(kiln_graph *, kiln_node x, int size);
KILN_API kiln_node kiln_upsample_nearest(kiln_graph *, kiln_node x, int factor);
KILN_API kiln_node kiln_resize_bilinear(kiln_graph *, kiln_node x, int64_t h, int64_t w,
                                        bool align_corners);
/* Mirrors the last axis where flag f32 [n] is not 0. */
KILN_API kiln_node kiln_flip_where(kiln_graph *, kiln_node x, kiln_node flag);

/* --- modules -------------------------------------------------------------- */

/* A state with the given initial value; NULL-safe shorthand. */
KILN_API kiln_node kiln_parameter(kiln_graph *, const char *name, struct kiln_shape,
                                  struct kiln_init);
/* x [..., in] -> [..., out]: x W^T + b, W [out, in]. */
KILN_API kiln_node kiln_linear(kiln_graph *, const char *name, kiln_node x, int64_t out, bool bias);
/* weight [out, c, k, k] */
KILN_API kiln_node kiln_conv2d(kiln_graph *, const char *name, kiln_node x, int64_t out, int kernel,
                               struct kiln_conv, bool bias);
/* weight [c, out, k, k]; size (h-1) stride - 2 padding + k + output_padding. */
KILN_API kiln_node kiln_conv_transpose2d(kiln_graph *, const char *name, kiln_node x, int64_t out,
                                         int kernel, int stride, int padding, int output_padding,
                                         bool bias);
/* Wu & He 2018; affine "weight", "bias" [c]. */
KILN_API kiln_node kiln_group_norm(kiln_graph *, const char *name, kiln_node x, int groups,
                                   double epsilon);
/* Over the last axis. */
KILN_API kiln_node kiln_layer_norm(kiln_graph *, const char *name, kiln_node x, double epsilon);
/* Per sample and channel, without affine parameters. */
KILN_API kiln_node kiln_instance_norm(kiln_graph *, kiln_node x, double epsilon);
/*
 * Batch norm over all axes but 1: "weight", "bias", buffers "running_mean",
 * "running_var" and "num_batches_tracked" (i32 here, int64 in files).
 * training: batch statistics, and assigns the running ones (unbiased variance,
 * momentum 0.1 as PyTorch); else the running ones. Used twice in one graph,
 * the second use continues from the first's new running values.
 */
KILN_API kiln_node kiln_batch_norm(kiln_graph *, const char *name, kiln_node x, double epsilon,
                                   double momentum, bool training);
/* Rows of "weight" [rows, width] at index i32 [n]; initial N(0, 1). */
KILN_API kiln_node kiln_embedding(kiln_graph *, const char *name, kiln_node index, int64_t rows,
                                  int64_t width);
/*
 * Sinusoidal embedding of f32 [n] to [n, width] (Vaswani et al. 2017 in
 * diffusers' form): frequencies exp(-ln(max_period) i / (half - shift)), sine
 * then cosine, swapped if flip; an odd width gets a zero column.
 */
KILN_API kiln_node kiln_timestep_embedding(kiln_graph *, kiln_node t, int64_t width,
                                           bool flip_sin_to_cos, double downscale_freq_shift,
                                           double max_period);

#ifdef __cplusplus
}
#endif
#endif
