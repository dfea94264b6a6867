/* Smooth marks on a picture. */
#include "core/run/plot_canvas.h"

#include <math.h>

static double clamp(double value, double low, double high)
{
    return value < low ? low : value > high ? high : value;
}

void kiln_canvas_pixel(const struct kiln_canvas *canvas, int64_t x, int64_t y, const uint8_t rgb[3],
                       double share)
{
    if (x < canvas->left || x >= canvas->right || y < canvas->top || y >= canvas->bottom ||
        share <= 0)
        return;
    uint8_t *pixel = canvas->image->pixels + (y * canvas->image->width + x) * 3;
    for (int c = 0; c < 3; c++)
        pixel[c] = (uint8_t)lround(pixel[c] + share * (rgb[c] - pixel[c]));
}

void kiln_canvas_fill(const struct kiln_canvas *canvas, int64_t x, int64_t y, int64_t width,
                      int64_t height, const uint8_t rgb[3])
{
    for (int64_t j = y < canvas->top ? canvas->top : y; j < y + height && j < canvas->bottom; j++)
        for (int64_t i = x < canvas->left ? canvas->left : x; i < x + width && i < canvas->right;
             i++)
            kiln_canvas_pixel(canvas, i, j, rgb, 1);
}

/* The whole pixels from low to high, within [first, end). */
static void span(double low, double high, int64_t first, int64_t end, int64_t *from, int64_t *to)
{
    *from = (int64_t)clamp(floor(low), (double)first, (double)end);
    *to = (int64_t)clamp(ceil(high) + 1, (double)first, (double)end);
}

/* Distance of (x, y) to the segment from (x0, y0) along (dx, dy). */
static double distance(double x, double y, double x0, double y0, double dx, double dy)
{
    double length = dx * dx + dy * dy;
    double along = length > 0 ? clamp(((x - x0) * dx + (y - y0) * dy) / length, 0, 1) : 0;
    return hypot(x - x0 - along * dx, y - y0 - along * dy);
}

void kiln_canvas_line(const struct kiln_canvas *canvas, double x0, double y0, double x1, double y1,
                      double width, const uint8_t rgb[3])
{
    double reach = width / 2 + 0.5;
    int64_t left, right, top, bottom;
    span(fmin(x0, x1) - reach, fmax(x0, x1) + reach, canvas->left, canvas->right, &left, &right);
    span(fmin(y0, y1) - reach, fmax(y0, y1) + reach, canvas->top, canvas->bottom, &top, &bottom);
    for (int64_t y = top; y < bottom; y++)
        for (int64_t x = left; x < right; x++) {
            double away = distance((double)x, (double)y, x0, y0, x1 - x0, y1 - y0);
            kiln_canvas_pixel(canvas, x, y, rgb, clamp(reach - away, 0, 1));
        }
}

void kiln_canvas_disc(const struct kiln_canvas *canvas, double x, double y, double radius,
                      const uint8_t rgb[3])
{
    kiln_canvas_line(canvas, x, y, x, y, 2 * radius, rgb);
}

void kiln_canvas_arrow(const struct kiln_canvas *canvas, double x0, double y0, double x1, double y1,
                       const uint8_t rgb[3])
{
    const double width = 1.1, head = 5, spread = 0.45;
    double length = hypot(x1 - x0, y1 - y0);
    if (length < 0.5) {
        kiln_canvas_disc(canvas, x0, y0, 1, rgb);
        return;
    }
    double back = fmin(head, 0.6 * length) / length;
    double ux = (x0 - x1) * back, uy = (y0 - y1) * back;
    kiln_canvas_line(canvas, x0, y0, x1, y1, width, rgb);
    kiln_canvas_line(canvas, x1, y1, x1 + ux - spread * uy, y1 + uy + spread * ux, width, rgb);
    kiln_canvas_line(canvas, x1, y1, x1 + ux + spread * uy, y1 + uy - spread * ux, width, rgb);
}
