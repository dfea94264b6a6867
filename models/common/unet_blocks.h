/*
 * Blocks of diffusers' networks, with their state_dict names: what the U-Net
 * and autoencoders are made of.
 */
#ifndef MODELS_COMMON_UNET_BLOCKS_H
#define MODELS_COMMON_UNET_BLOCKS_H

#include "core/api/graph.h"
#include "core/api/nn.h"

/* What every block of a network has. */
struct unet_builder {
    kiln_graph *g;
    const char *act_fn;  /* silu, swish, mish, gelu, relu */
    int groups;          /* of the group norms */
    double eps;          /* of the norms */
    kiln_node embedding; /* activated time (and class) embedding [n, e]; 0: none */
    bool scale_shift;    /* the embedding scales and shifts the second norm */
    double dropout;      /* 0 when not training */
    uint32_t stream;     /* next random stream, of dropout */
};

/* Parameter names put together. */
struct unet_name {
    char text[192];
};
struct unet_name unet_join(const char *prefix, const char *suffix);
/* "PREFIXwhat.i." */
struct unet_name unet_numbered(const char *prefix, const char *what, int i);

kiln_node unet_activate(const struct unet_builder *, kiln_node x);
/* Group norm PREFIXname. */
kiln_node unet_norm(const struct unet_builder *, const char *prefix, const char *name, kiln_node x,
                    int groups);
/* Convolution PREFIXname with bias that keeps the size; kernel is odd. */
kiln_node unet_conv(const struct unet_builder *, const char *prefix, const char *name, kiln_node x,
                    int64_t out, int kernel);

enum unet_resample { UNET_KEEP, UNET_HALVE, UNET_DOUBLE };

/*
 * ResnetBlock2D: x [n, in, h, w] -> [n, out, h', w']; both paths are resampled
 * after the first activation, and their sum is divided by scale.
 */
kiln_node unet_residual(struct unet_builder *, const char *prefix, kiln_node x, int64_t out,
                        double scale, enum unet_resample);
/* Downsample2D and Upsample2D with a convolution, PREFIXname: to half or twice
 * the size. padding 1, or 0: one row and column after. */
kiln_node unet_shrink(const struct unet_builder *, const char *prefix, const char *name,
                      kiln_node x, int64_t out, int padding);
kiln_node unet_grow(const struct unet_builder *, const char *prefix, const char *name, kiln_node x,
                    int64_t out);

#endif
