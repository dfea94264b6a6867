/* Axes of convolutions with few channels, cut into runs that the same taps meet. */
#ifndef KILN_CPU_CONV_EDGE_H
#define KILN_CPU_CONV_EDGE_H

#include "backends/cpu/conv.h"

#define EDGE_MAX_KERNEL 16

struct tap {
    int64_t k, u; /* kernel index; u at the first q */
};

struct segment {
    int64_t t, n, t_step, u_step; /* first target index, how many */
    int n_taps;
    struct tap taps[EDGE_MAX_KERNEL];
};

struct axis {
    int n;
    struct segment *segments;
};

/*
 * The segments of one axis (0 rows, 1 columns), transposed or not; the caller
 * frees them. False when out of memory.
 */
bool cpu_conv_edge_axis(const struct kiln_step_conv *, int which, bool transposed, struct axis *);

#endif
