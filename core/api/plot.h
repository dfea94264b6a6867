/*
 * What a drawing shows: panels with axes, and series of marks on them. Nothing
 * here draws; a plugin describes, the core makes the picture.
 */
#ifndef KILN_PLOT_H
#define KILN_PLOT_H

#include "types.h"

#ifdef __cplusplus
extern "C" {
#endif

enum kiln_mark {
    KILN_MARK_POINTS,  /* rows of 2: x, y */
    KILN_MARK_LINE,    /* rows of 2: x, y; a row that is not finite interrupts it */
    KILN_MARK_ARROWS,  /* rows of 4: x, y, dx, dy in data units */
    KILN_MARK_BARS,    /* rows of 1: heights of the bars at x = 0, 1, ... */
    KILN_MARK_PICTURES /* rows of c h w in 0..1; the panel has no axes then */
};

/* Colours that are told apart without hue too; a greater number starts again. */
enum kiln_colour {
    KILN_COLOUR_BLUE,
    KILN_COLOUR_ORANGE,
    KILN_COLOUR_GREEN,
    KILN_COLOUR_RED,
    KILN_COLOUR_PURPLE,
    KILN_COLOUR_GREY,
    KILN_COLOUR_COUNT
};

struct kiln_series {
    enum kiln_mark mark;
    enum kiln_colour colour;
    const char *name; /* in the panel's legend; NULL = not there */
    bool dashed;      /* lines */
    double size;      /* radius of points, width of lines in pixels; 0 = the usual */
    int64_t n;        /* rows of data; those that are not finite are left out */
    const float *data;
    int64_t c, h, w; /* pictures; c is 1 or 3 */
    int columns;     /* pictures in a row; 0 = near-square */
};

struct kiln_panel {
    const char *title, *x_label, *y_label; /* NULL = none */
    /* Both 0 (or equal): the range of the data. */
    double x_min, x_max, y_min, y_max;
    bool log_x, log_y; /* values that are not above 0 are left out */
    bool equal;        /* a unit is as long on both axes */
    int n_series;
    const struct kiln_series *series; /* later ones are drawn over earlier ones */
    const char *const *bars;          /* names of the bars, as many as the longest series has */
};

#ifdef __cplusplus
}
#endif
#endif
