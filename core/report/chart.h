/*
 * Charts as inline SVG in a <figure>, coloured by the page's style sheet.
 * All strings are plain text.
 */
#ifndef KILN_REPORT_CHART_H
#define KILN_REPORT_CHART_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/text.h"

/* A line, or points. Values that are not finite, or not positive on a
 * logarithmic axis, leave a gap. */
struct kiln_series {
    const char *name; /* of the legend; NULL: not in it */
    int64_t n;
    const double *x, *y;
    int colour;                /* 0 .. KILN_HTML_COLOURS - 1 */
    bool faint, dashed;        /* lines */
    bool points;               /* circles instead of a line */
    const char *const *labels; /* shown at the points; may be NULL */
};

struct kiln_chart {
    const char *title, *note; /* note may be NULL */
    const char *x_label, *y_label;
    bool log_x, log_y;
    bool exact_x; /* the x axis ends with the data, not with a tick */
    bool zero_y;  /* the y axis shows 0 */
    bool wide;    /* the whole width of the page */
    int n_series;
    const struct kiln_series *series;
};

void kiln_chart_lines(struct kiln_text *html, const struct kiln_chart *);

/* A horizontal bar. */
struct kiln_bar {
    const char *group; /* stands left of its first bar; NULL: as the bar before */
    const char *label;
    double value;     /* <= 0 or not finite: no bar, the text alone */
    double low, high; /* whiskers; both 0: none */
    const char *text; /* beside the bar */
    int colour;
};

struct kiln_bars {
    const char *title, *note; /* note may be NULL */
    bool log;                 /* lengths by logarithm, from a power of ten below the least */
    int n;
    const struct kiln_bar *bars;
};

void kiln_chart_bars(struct kiln_text *html, const struct kiln_bars *);

#endif
