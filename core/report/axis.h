/*
 * An axis of a chart: its range, its ticks, and where a value lies on it.
 */
#ifndef KILN_REPORT_AXIS_H
#define KILN_REPORT_AXIS_H

#include <stdbool.h>
#include <stddef.h>

#define KILN_AXIS_MAX_TICKS 24

struct kiln_axis {
    bool logarithmic;
    double low, high;   /* of the data; low < high; > 0 if logarithmic */
    double start, stop; /* pixels of low and high */
    int n_ticks;
    double ticks[KILN_AXIS_MAX_TICKS];
};

/*
 * An axis over low .. high, widened to whole ticks; about wanted ticks. A range
 * that is empty or not finite is replaced by one around its value.
 */
struct kiln_axis kiln_axis_make(double low, double high, bool logarithmic, int wanted);
/* As kiln_axis_make, without widening: for steps and time. */
struct kiln_axis kiln_axis_exact(double low, double high, bool logarithmic, int wanted);
/* Pixel of a value; values outside are kept within the axis. */
double kiln_axis_at(const struct kiln_axis *, double value);
/* A tick's text: "0.5", "20k", "1e-5"; returns text. */
char *kiln_axis_label(double value, char *text, size_t size);

#endif
