/*
 * Convolutions: the algorithms, and for processors how the taps of a step
 * become the geometry of kernels/lib/patch.clh.
 */
#ifndef KILN_BACKENDS_OPENCL_CONV_H
#define KILN_BACKENDS_OPENCL_CONV_H

#include "backends/opencl/opencl.h"

enum cl_conv_algorithm {
    CL_CONV_PLAIN,
    CL_CONV_TILE,
    CL_CONV_LOCAL,
    CL_CONV_LOCAL_LARGE,
    CL_CONV_PIXELS,
    CL_CONV_WINOGRAD,
    CL_CONV_WINOGRAD_LOCAL,
    CL_CONV_WINOGRAD_PHASES,
    CL_CONV_ENGINE,
    CL_CONV_ENGINE_LARGE
};

enum { CL_CONV_MAX_SIDE = 64 }; /* taps of one axis */

/* The taps of one axis: pixel t of a grid reads source t * step + offset[i]. */
struct cl_axis {
    int64_t grid, source; /* extents */
    int step, n;
    int offset[CL_CONV_MAX_SIDE], tap[CL_CONV_MAX_SIDE]; /* tap: index in the kernel */
    int target_step, target_first;                       /* where grid pixel t lies in the target */
};

struct cl_gather {
    struct cl_axis vertical, horizontal;
    int n_classes, first[CL_CONV_MAX_SIDE], extra[CL_CONV_MAX_SIDE];
    int64_t target_rows, target_columns;
};

/* Forward: one gather. phase counts the input gradient's residues modulo the
 * strides, row-major. */
void cl_gather_forward(const struct kiln_step_conv *, struct cl_gather *);
void cl_gather_backward(const struct kiln_step_conv *, int phase, struct cl_gather *);
/* Pixels of a patch of one source map for bands of so many rows. */
int64_t cl_gather_pixels(const struct cl_gather *, int64_t band_rows);
/*
 * The geometry table. Entry (tap, channel) for channels > 1 (dense sources:
 * their maps follow each other in the patch), with its weight's offset
 * tap * tap_stride + channel * channel_stride.
 */
cl_mem cl_gather_table(struct cl_builder *, const struct cl_gather *, int64_t band_rows,
                       int64_t kernel_columns, int64_t channels, int64_t tap_stride,
                       int64_t channel_stride);

/* Whether sizes allow these kernels at all (groups, number of taps). */
bool cl_conv_tiles(const struct kiln_step_conv *);

/* Beyond a patch's pixels, since tiles read whole. */
enum { CL_PATCH_SLACK_BYTES = 16 * 16 * 4 };
/* Bytes that a patch may have: at most so many, and what local memory holds. */
int64_t cl_patch_limit(const kiln_device_state *, int64_t most);

/* The processor family's candidate for the step's layouts: their number, 0 or 1. */
int cl_conv_tile_candidate(const kiln_device_state *, const struct kiln_step *,
                           struct kiln_candidate *);
int cl_conv_weight_candidate(const kiln_device_state *, const struct kiln_step *,
                             struct kiln_candidate *);
int cl_conv_pixels_candidate(const kiln_device_state *, const struct kiln_step *,
                             struct kiln_candidate *);
void cl_conv_pixels_prepare(struct cl_builder *, const struct kiln_step *);
/* The weight gradient as the sum of so many parts in scratch, in order. */
void cl_conv_add_parts(struct cl_builder *, const struct kiln_step_conv *, int64_t parts);
/* Whether sizes are those of F(4x4,3x3): 3x3, stride 1, undilated, one group. */
bool cl_conv_is_winograd(const struct kiln_step_conv *);
/* Whether they are those of winograd_phases.cl: 4x4 or 5x5, stride 2, undilated, one group. */
bool cl_conv_is_winograd_phases(const struct kiln_step_conv *);
/* Winograd's F(4x4,3x3): 0 or 1. */
int cl_conv_winograd_candidate(const kiln_device_state *, const struct kiln_step *,
                               struct kiln_candidate *);
void cl_conv_winograd_prepare(struct cl_builder *, const struct kiln_step *);
/* The weight gradient of either. */
int cl_conv_winograd_weight_candidate(const kiln_device_state *, const struct kiln_step *,
                                      struct kiln_candidate *);
void cl_conv_winograd_weight_prepare(struct cl_builder *, const struct kiln_step *);
/* Winograd's for the phases of 4x4 and 5x5 of stride 2, forward and the input gradient: 0 or 1. */
int cl_conv_winograd_phases_candidate(const kiln_device_state *, const struct kiln_step *,
                                      struct kiln_candidate *);
void cl_conv_winograd_phases_prepare(struct cl_builder *, const struct kiln_step *);
/* That of GPUs in all three directions, for dense operands. */
int cl_conv_winograd_local_candidate(const kiln_device_state *, const struct kiln_step *,
                                     struct kiln_candidate *);
void cl_conv_winograd_local_prepare(struct cl_builder *, const struct kiln_step *);
/* Those of GPUs, for dense operands, and by matrix engines where they may be used. */
int cl_conv_local_candidates(kiln_device_state *, const struct kiln_step *,
                             struct kiln_candidate *);
void cl_conv_local_prepare(struct cl_builder *, const struct kiln_step *);
void cl_conv_tile_prepare(struct cl_builder *, const struct kiln_step *);
void cl_conv_weight_prepare(struct cl_builder *, const struct kiln_step *);

#endif
