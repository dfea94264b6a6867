/* Winograd's convolutions: sizes that the three directions share. */
#ifndef KILN_CPU_CONV_WINOGRAD_H
#define KILN_CPU_CONV_WINOGRAD_H

#include "backends/cpu/conv.h"

#define CPU_WINOGRAD_TILE 4
/* Floats between the planes of elements: planes that share few sets of a cache
 * would be slow. */
#define CPU_WINOGRAD_GAP 16

/* Tiles along an axis of the target. */
static inline int64_t cpu_winograd_tiles(int64_t extent)
{
    return (extent + CPU_WINOGRAD_TILE - 1) / CPU_WINOGRAD_TILE;
}

/*
 * The stride if sizes and layouts are those of a Winograd algorithm (undilated,
 * one group, both maps in the same blocks), else 0. 3x3 of stride 1 is
 * F(4x4,3x3). 4x4 or 5x5 of stride 2 is the sum of four convolutions 2x2, or at
 * most 3x3, of stride 1, each of one phase (row % 2, column % 2) of the padded
 * map x and of the kernel: F(4x4,2x2), F(4x4,3x3).
 */
int cpu_winograd_stride(const kiln_device_state *, const struct kiln_step_conv *);

/* The first tap of a phase in the kernel. */
static inline int64_t cpu_winograd_tap(const struct kiln_step_conv *s, int64_t phase, int stride)
{
    return phase / stride * s->kw + phase % stride;
}

#endif
