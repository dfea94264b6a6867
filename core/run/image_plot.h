/*
 * Scatter plots of 2-D points, for data sets and samplers of points.
 */
#ifndef KILN_RUN_IMAGE_PLOT_H
#define KILN_RUN_IMAGE_PLOT_H

#include "core/run/image.h"

/* Points of one colour; later sets are drawn over earlier ones. */
struct kiln_plot_set {
    const float *points; /* [n, 2] f32: x, y; points that are not finite are left out */
    int64_t n;
    uint8_t rgb[3];
};

struct kiln_plot_options {
    int size;                          /* side in pixels; 0: 640 */
    double x_min, x_max, y_min, y_max; /* all 0: the range of the points, equal units on
                                          both axes */
};

/* A square RGB picture with a frame, ticks and numbers; y grows upwards. */
enum kiln_status kiln_image_scatter(int n_sets, const struct kiln_plot_set *,
                                    const struct kiln_plot_options *, struct kiln_image *,
                                    struct kiln_error *);

#endif
