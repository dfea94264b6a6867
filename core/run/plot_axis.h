/*
 * Axes of a plot: data units on pixels, and the numbers beside them.
 */
#ifndef KILN_RUN_PLOT_AXIS_H
#define KILN_RUN_PLOT_AXIS_H

#include "core/api/plot.h"
#include "core/run/plot_canvas.h"

struct kiln_axis {
    double low, high; /* in data units, low < high; above 0 if log */
    bool log;
    double first, last; /* their pixels */
};

struct kiln_axes {
    struct kiln_axis x, y;
};

/* False for a value that the axis cannot show at all. */
bool kiln_axis_shows(const struct kiln_axis *, double value);
double kiln_axis_pixel(const struct kiln_axis *, double value);

/* Ranges of a panel's data, or those that it gives; pixels are set already.
 * KILN_INPUT if a given range is not one. */
enum kiln_status kiln_axes_range(const struct kiln_panel *, struct kiln_axes *,
                                 struct kiln_error *);

/* Frame, ticks and their numbers; bars: names in place of numbers on x, n of
 * them, or NULL. */
void kiln_axes_draw(const struct kiln_axes *, const char *const *bars, int n, int scale,
                    const struct kiln_canvas *);

#endif
