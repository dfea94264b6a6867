/*
 * Drawing what core/api/plot.h describes: panels in rows, each with a title,
 * axes with numbers, marks and a legend, as one RGB picture.
 */
#ifndef KILN_RUN_PLOT_H
#define KILN_RUN_PLOT_H

#include "core/api/plot.h"
#include "core/run/image.h"

/* Floats of one row of a series' data. */
int64_t kiln_plot_row(const struct kiln_series *);
/* Bars of the longest series of bars. */
int kiln_plot_bars(const struct kiln_panel *);

/*
 * n >= 1 panels, columns in a row (0 = near-square). A range that is not above
 * 0 or not finite is KILN_INPUT. *image belongs to the caller.
 */
enum kiln_status kiln_plot_draw(int n, const struct kiln_panel *const *panels, int columns,
                                struct kiln_image *, struct kiln_error *);

#endif
