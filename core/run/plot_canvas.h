/*
 * Marks on an RGB picture: smooth (the share of a pixel that a mark covers is
 * how much of its colour the pixel takes), and clipped.
 */
#ifndef KILN_RUN_PLOT_CANVAS_H
#define KILN_RUN_PLOT_CANVAS_H

#include "core/run/image.h"

struct kiln_canvas {
    struct kiln_image *image;
    /* Pixels left <= x < right, top <= y < bottom take marks. */
    int64_t left, top, right, bottom;
};

/* A pixel's middle is at whole coordinates; x grows to the right, y downwards. */

void kiln_canvas_pixel(const struct kiln_canvas *, int64_t x, int64_t y, const uint8_t rgb[3],
                       double share);
void kiln_canvas_fill(const struct kiln_canvas *, int64_t x, int64_t y, int64_t width,
                      int64_t height, const uint8_t rgb[3]);
void kiln_canvas_disc(const struct kiln_canvas *, double x, double y, double radius,
                      const uint8_t rgb[3]);
void kiln_canvas_line(const struct kiln_canvas *, double x0, double y0, double x1, double y1,
                      double width, const uint8_t rgb[3]);
/* A line with a head at its end. */
void kiln_canvas_arrow(const struct kiln_canvas *, double x0, double y0, double x1, double y1,
                       const uint8_t rgb[3]);

/* Text of printable ASCII, glyphs of 5 x 7 cells of scale pixels; x, y is the
 * top left. Other characters are shown as '?'. */
void kiln_canvas_text(const struct kiln_canvas *, int64_t x, int64_t y, int scale, const char *text,
                      const uint8_t rgb[3]);
/* Pixels: from the first to the last column, and of a capital letter. */
int64_t kiln_canvas_text_width(int scale, const char *text);
int64_t kiln_canvas_text_height(int scale);

#endif
