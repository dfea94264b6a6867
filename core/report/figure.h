/*
 * The beginning of a <figure> with an <svg> in it; shared by the charts.
 */
#ifndef KILN_REPORT_FIGURE_H
#define KILN_REPORT_FIGURE_H

#include <stdbool.h>

#include "core/base/text.h"

/* width and height are the units of the drawing. The caller closes svg and
 * figure. note may be NULL. */
void kiln_figure_begin(struct kiln_text *html, const char *title, const char *note, bool wide,
                       int width, int height);

#endif
