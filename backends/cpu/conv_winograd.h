/* Winograd's convolutions: sizes that the three directions share. */
#ifndef KILN_CPU_CONV_WINOGRAD_H
#define KILN_CPU_CONV_WINOGRAD_H

#include "backends/cpu/conv.h"

#define CPU_WINOGRAD_ELEMENTS 36
#define CPU_WINOGRAD_TILE 4
/* Floats between the planes of elements: planes that share few sets of a cache
 * would be slow. */
#define CPU_WINOGRAD_GAP 16

/* Tiles along an axis of the target. */
static inline int64_t cpu_winograd_tiles(int64_t extent)
{
    return (extent + CPU_WINOGRAD_TILE - 1) / CPU_WINOGRAD_TILE;
}

/* Whether sizes and layouts are those of F(4x4,3x3): 3x3, stride 1, undilated,
 * one group, both maps in the same blocks. */
bool cpu_conv_is_winograd(const kiln_device_state *, const struct kiln_step_conv *);

#endif
