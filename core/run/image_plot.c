/* Scatter plots of 2-D points. */
#include "core/run/image_plot.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { DEFAULT_SIZE = 640, MIN_SIZE = 160, MARGIN_LEFT = 56, MARGIN = 16, MARGIN_BOTTOM = 32 };
enum { GLYPH_WIDTH = 3, GLYPH_HEIGHT = 5, GLYPH_SCALE = 2, GLYPH_STEP = 8, TICK = 5, TICKS = 6 };

static const uint8_t ink[3] = {60, 60, 60};

/* A span of data units along one axis, on pixels first .. last. */
struct axis {
    double low, high;
    int64_t first, last;
};

static double to_pixel(const struct axis *axis, double value)
{
    double share = (value - axis->low) / (axis->high - axis->low);
    return (double)axis->first + share * (double)(axis->last - axis->first);
}

static void set_pixel(struct kiln_image *image, int64_t x, int64_t y, const uint8_t rgb[3])
{
    if (x >= 0 && y >= 0 && x < image->width && y < image->height)
        memcpy(image->pixels + (y * image->width + x) * 3, rgb, 3);
}

static void fill(struct kiln_image *image, int64_t x, int64_t y, int64_t width, int64_t height)
{
    for (int64_t j = 0; j < height; j++)
        for (int64_t i = 0; i < width; i++)
            set_pixel(image, x + i, y + j, ink);
}

/* Rows of three bits, the top row highest, of the characters that %g prints. */
static unsigned glyph(char c)
{
    static const char characters[] = "0123456789-.+e";
    static const unsigned rows[] = {075557, 026227, 071747, 071717, 055711, 074717, 074757,
                                    071111, 075757, 075717, 000700, 000002, 002720, 007747};
    const char *found = c ? strchr(characters, c) : NULL;
    return found ? rows[found - characters] : 0;
}

static void write_text(struct kiln_image *image, int64_t x, int64_t y, const char *text)
{
    for (; *text; text++, x += GLYPH_STEP)
        for (int bit = 0; bit < GLYPH_WIDTH * GLYPH_HEIGHT; bit++)
            if (glyph(*text) >> (GLYPH_WIDTH * GLYPH_HEIGHT - 1 - bit) & 1)
                fill(image, x + bit % GLYPH_WIDTH * GLYPH_SCALE,
                     y + bit / GLYPH_WIDTH * GLYPH_SCALE, GLYPH_SCALE, GLYPH_SCALE);
}

/* 1, 2 or 5 times a power of ten. */
static double nice_step(double range)
{
    double rough = range / TICKS, power = pow(10, floor(log10(rough)));
    double factor = rough / power;
    return power * (factor <= 1 ? 1 : factor <= 2 ? 2 : factor <= 5 ? 5 : 10);
}

static void draw_ticks(struct kiln_image *image, const struct axis *x, const struct axis *y,
                       bool horizontal)
{
    const struct axis *axis = horizontal ? x : y;
    double step = nice_step(axis->high - axis->low);
    for (double k = ceil(axis->low / step); k * step <= axis->high; k++) {
        char text[32];
        int64_t at = llround(to_pixel(axis, k * step));
        int64_t length = snprintf(text, sizeof text, "%.6g", k * step + 0.0) * GLYPH_STEP - 2;
        if (horizontal) {
            fill(image, at, y->first + 1, 1, TICK);
            write_text(image, at - length / 2, y->first + TICK + 4, text);
        } else {
            fill(image, x->first - TICK, at, TICK, 1);
            write_text(image, x->first - TICK - 4 - length, at - GLYPH_HEIGHT * GLYPH_SCALE / 2,
                       text);
        }
    }
}

static void draw_frame(struct kiln_image *image, const struct axis *x, const struct axis *y)
{
    int64_t width = x->last - x->first + 1, height = y->first - y->last + 1;
    fill(image, x->first, y->first, width, 1);
    fill(image, x->first, y->last, width, 1);
    fill(image, x->first, y->last, 1, height);
    fill(image, x->last, y->last, 1, height);
    draw_ticks(image, x, y, true);
    draw_ticks(image, x, y, false);
}

/* A dot of five pixels, inside the frame only. */
static void draw_dot(struct kiln_image *image, const struct axis *x, const struct axis *y,
                     const float *point, const uint8_t rgb[3])
{
    if (!(point[0] >= x->low && point[0] <= x->high && point[1] >= y->low && point[1] <= y->high))
        return;
    int64_t column = llround(to_pixel(x, point[0])), row = llround(to_pixel(y, point[1]));
    static const int offset[5][2] = {{0, 0}, {1, 0}, {-1, 0}, {0, 1}, {0, -1}};
    for (int i = 0; i < 5; i++) {
        int64_t px = column + offset[i][0], py = row + offset[i][1];
        if (px > x->first && px < x->last && py < y->first && py > y->last)
            set_pixel(image, px, py, rgb);
    }
}

/* The range of all finite points, widened a little and made square. */
static void find_range(int n_sets, const struct kiln_plot_set *sets, struct axis axes[2])
{
    for (int a = 0; a < 2; a++) {
        double low = INFINITY, high = -INFINITY;
        for (int s = 0; s < n_sets; s++)
            for (int64_t i = 0; i < sets[s].n; i++)
                if (isfinite(sets[s].points[2 * i + a])) {
                    low = fmin(low, sets[s].points[2 * i + a]);
                    high = fmax(high, sets[s].points[2 * i + a]);
                }
        axes[a].low = low <= high ? low : -1;
        axes[a].high = low <= high ? high : 1;
    }
    double span = 1.1 * fmax(axes[0].high - axes[0].low, axes[1].high - axes[1].low);
    span = span > 0 ? span : 2;
    for (int a = 0; a < 2; a++) {
        double centre = (axes[a].low + axes[a].high) / 2;
        axes[a].low = centre - span / 2;
        axes[a].high = centre + span / 2;
    }
}

enum kiln_status kiln_image_scatter(int n_sets, const struct kiln_plot_set *sets,
                                    const struct kiln_plot_options *options,
                                    struct kiln_image *image, struct kiln_error *error)
{
    *image = (struct kiln_image){0};
    int64_t size = options->size ? options->size : DEFAULT_SIZE;
    struct axis axes[2] = {{options->x_min, options->x_max, 0, 0},
                           {options->y_min, options->y_max, 0, 0}};
    if (!options->x_min && !options->x_max && !options->y_min && !options->y_max)
        find_range(n_sets, sets, axes);
    if (size < MIN_SIZE || !(axes[0].high - axes[0].low > 0 && axes[1].high - axes[1].low > 0) ||
        !isfinite(axes[0].high - axes[0].low) || !isfinite(axes[1].high - axes[1].low))
        return kiln_fail(error, KILN_INPUT, "a plot of %lld pixels of [%g, %g] x [%g, %g]",
                         (long long)size, axes[0].low, axes[0].high, axes[1].low, axes[1].high);
    enum kiln_status status = kiln_image_create(size, size, 3, 255, image, error);
    if (status)
        return status;
    /* rows grow downwards, y upwards */
    axes[0].first = MARGIN_LEFT;
    axes[0].last = size - MARGIN;
    axes[1].first = size - MARGIN_BOTTOM;
    axes[1].last = MARGIN;
    draw_frame(image, &axes[0], &axes[1]);
    for (int s = 0; s < n_sets; s++)
        for (int64_t i = 0; i < sets[s].n; i++)
            draw_dot(image, &axes[0], &axes[1], sets[s].points + 2 * i, sets[s].rgb);
    return KILN_OK;
}
