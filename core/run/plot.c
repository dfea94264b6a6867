/* Panels: marks, legends and their arrangement. */
#include "core/run/plot.h"

#include <math.h>
#include <string.h>

#include "core/run/image_grid.h"
#include "core/run/plot_axis.h"

enum { WIDTH = 440, HEIGHT = 380, SCALE = 2, SPACE = 10, LINE = 20 };
enum { LEFT = 78, RIGHT = 18, NUMBERS = 26, SWATCH = 22 };

static const uint8_t ink[3] = {30, 30, 30}, white[3] = {255, 255, 255};

/* Okabe & Ito's colours, darker where they were light on white. */
static const uint8_t palette[KILN_COLOUR_COUNT][3] = {
    {0, 114, 178}, {230, 140, 0}, {0, 140, 100}, {200, 60, 30}, {150, 80, 160}, {120, 120, 120}};

static const uint8_t *colour_of(const struct kiln_series *series)
{
    return palette[(unsigned)series->colour % KILN_COLOUR_COUNT];
}

int64_t kiln_plot_row(const struct kiln_series *series)
{
    switch (series->mark) {
    case KILN_MARK_ARROWS:
        return 4;
    case KILN_MARK_BARS:
        return 1;
    case KILN_MARK_PICTURES:
        return series->c * series->h * series->w;
    default:
        return 2;
    }
}

int kiln_plot_bars(const struct kiln_panel *panel)
{
    int64_t most = 0;
    for (int i = 0; i < panel->n_series; i++)
        if (panel->series[i].mark == KILN_MARK_BARS && panel->series[i].n > most)
            most = panel->series[i].n;
    return (int)most;
}

/* --- marks ------------------------------------------------------------------------- */

static bool shown(const struct kiln_axes *axes, const float *xy)
{
    return kiln_axis_shows(&axes->x, xy[0]) && kiln_axis_shows(&axes->y, xy[1]);
}

static void draw_points(const struct kiln_series *series, const struct kiln_axes *axes,
                        const struct kiln_canvas *canvas)
{
    double radius = series->size > 0 ? series->size : 1.4;
    for (int64_t i = 0; i < series->n; i++) {
        const float *xy = series->data + 2 * i;
        if (shown(axes, xy))
            kiln_canvas_disc(canvas, kiln_axis_pixel(&axes->x, xy[0]),
                             kiln_axis_pixel(&axes->y, xy[1]), radius, colour_of(series));
    }
}

static void draw_line(const struct kiln_series *series, const struct kiln_axes *axes,
                      const struct kiln_canvas *canvas)
{
    const double dash = 7, width = series->size > 0 ? series->size : 2;
    double along = 0;
    for (int64_t i = 1; i < series->n; i++) {
        const float *a = series->data + 2 * (i - 1), *b = a + 2;
        if (!shown(axes, a) || !shown(axes, b))
            continue;
        double x0 = kiln_axis_pixel(&axes->x, a[0]), y0 = kiln_axis_pixel(&axes->y, a[1]),
               x1 = kiln_axis_pixel(&axes->x, b[0]), y1 = kiln_axis_pixel(&axes->y, b[1]);
        double length = hypot(x1 - x0, y1 - y0), step = series->dashed ? dash : length;
        int pieces = series->dashed && length > dash && length < 1e5 ? (int)(length / step) + 1 : 1;
        for (int k = 0; k < pieces; k++) {
            double from = (double)k / pieces, to = (double)(k + 1) / pieces;
            if (!series->dashed || fmod(floor(along / dash), 2) == 0)
                kiln_canvas_line(canvas, x0 + from * (x1 - x0), y0 + from * (y1 - y0),
                                 x0 + to * (x1 - x0), y0 + to * (y1 - y0), width,
                                 colour_of(series));
            along += length / pieces;
        }
    }
}

static void draw_arrows(const struct kiln_series *series, const struct kiln_axes *axes,
                        const struct kiln_canvas *canvas)
{
    for (int64_t i = 0; i < series->n; i++) {
        const float *a = series->data + 4 * i;
        const float end[2] = {a[0] + a[2], a[1] + a[3]};
        if (shown(axes, a) && shown(axes, end))
            kiln_canvas_arrow(canvas, kiln_axis_pixel(&axes->x, a[0]),
                              kiln_axis_pixel(&axes->y, a[1]), kiln_axis_pixel(&axes->x, end[0]),
                              kiln_axis_pixel(&axes->y, end[1]), colour_of(series));
    }
}

/* Series of bars stand side by side. */
static void draw_bars(const struct kiln_panel *panel, int which, const struct kiln_axes *axes,
                      const struct kiln_canvas *canvas)
{
    const struct kiln_series *series = &panel->series[which];
    int n = 0, place = 0;
    for (int i = 0; i < panel->n_series; i++) {
        n += panel->series[i].mark == KILN_MARK_BARS;
        place += i < which && panel->series[i].mark == KILN_MARK_BARS;
    }
    double zero = axes->y.log || axes->y.low > 0 ? axes->y.low : 0, width = 0.8 / n;
    for (int64_t i = 0; i < series->n; i++) {
        if (!kiln_axis_shows(&axes->y, series->data[i]))
            continue;
        double x = (double)i - 0.4 + width * place;
        double left = kiln_axis_pixel(&axes->x, x), right = kiln_axis_pixel(&axes->x, x + width),
               a = kiln_axis_pixel(&axes->y, zero), b = kiln_axis_pixel(&axes->y, series->data[i]);
        kiln_canvas_fill(canvas, llround(left), llround(fmin(a, b)), llround(right - left) - 1,
                         llround(fabs(a - b)), colour_of(series));
    }
}

/* --- legend -------------------------------------------------------------------------- */

/* Rows of point-like data inside a rectangle. */
static int64_t marks_in(const struct kiln_panel *panel, const struct kiln_axes *axes, double left,
                        double top, double right, double bottom)
{
    int64_t n = 0;
    for (int s = 0; s < panel->n_series; s++) {
        const struct kiln_series *series = &panel->series[s];
        int64_t row = kiln_plot_row(series);
        for (int64_t i = 0; i < series->n && row >= 2; i++) {
            const float *xy = series->data + row * i;
            if (!shown(axes, xy))
                continue;
            double x = kiln_axis_pixel(&axes->x, xy[0]), y = kiln_axis_pixel(&axes->y, xy[1]);
            n += x >= left && x <= right && y >= top && y <= bottom;
        }
    }
    return n;
}

/* In the corner that covers the least. */
static void draw_legend(const struct kiln_panel *panel, const struct kiln_axes *axes,
                        const struct kiln_canvas *canvas)
{
    int64_t width = 0, height = SPACE / 2, best = -1, left = 0, top = 0;
    for (int i = 0; i < panel->n_series; i++)
        if (panel->series[i].name) {
            int64_t own = kiln_canvas_text_width(SCALE, panel->series[i].name);
            width = own > width ? own : width;
            height += LINE;
        }
    if (!width)
        return;
    width += SWATCH + 2 * SPACE;
    for (int corner = 0; corner < 4; corner++) {
        int64_t x = corner % 2 ? canvas->left + 4 : canvas->right - 4 - width,
                y = corner / 2 ? canvas->bottom - 4 - height : canvas->top + 4;
        int64_t covered =
            marks_in(panel, axes, (double)x, (double)y, (double)(x + width), (double)(y + height));
        if (best < 0 || covered < best)
            best = covered, left = x, top = y;
    }
    kiln_canvas_fill(canvas, left, top, width, height, white);
    for (int i = 0, line = 0; i < panel->n_series; i++) {
        const struct kiln_series *series = &panel->series[i];
        if (!series->name)
            continue;
        int64_t y = top + SPACE / 2 + LINE * line++;
        if (series->mark == KILN_MARK_POINTS)
            kiln_canvas_disc(canvas, (double)(left + SWATCH / 2), (double)y + 7, 3.5,
                             colour_of(series));
        else
            kiln_canvas_fill(canvas, left + 4, y + 5, series->dashed ? 6 : SWATCH - 6, 4,
                             colour_of(series));
        if (series->dashed)
            kiln_canvas_fill(canvas, left + 14, y + 5, 6, 4, colour_of(series));
        kiln_canvas_text(canvas, left + SWATCH + 4, y, SCALE, series->name, ink);
    }
}

/* --- panels ---------------------------------------------------------------------------- */

/* Pictures of a series as large as they fit, in whole pixels. */
static enum kiln_status draw_pictures(const struct kiln_series *series,
                                      const struct kiln_canvas *canvas, struct kiln_error *error)
{
    struct kiln_image grid;
    const struct kiln_grid_options options = {
        .columns = series->columns, .scale = 1, .background = 255};
    enum kiln_status status = kiln_image_grid(series->data, series->n, series->c, series->h,
                                              series->w, &options, &grid, error);
    if (status)
        return status;
    int64_t room_x = (canvas->right - canvas->left) / grid.width,
            room_y = (canvas->bottom - canvas->top) / grid.height,
            scale = room_x < room_y ? room_x : room_y;
    scale = scale > 0 ? scale : 1;
    int64_t left = (canvas->left + canvas->right - grid.width * scale) / 2;
    left = left > canvas->left ? left : canvas->left;
    for (int64_t y = 0; y < grid.height; y++)
        for (int64_t x = 0; x < grid.width; x++) {
            const uint8_t *from = grid.pixels + (y * grid.width + x) * grid.channels;
            const uint8_t rgb[3] = {from[0], from[grid.channels > 1 ? 1 : 0],
                                    from[grid.channels > 1 ? 2 : 0]};
            kiln_canvas_fill(canvas, left + x * scale, canvas->top + y * scale, scale, scale, rgb);
        }
    kiln_image_finish(&grid);
    return KILN_OK;
}

/* The legend comes first, so that it hides no mark. */
static void draw_marks(const struct kiln_panel *panel, const struct kiln_axes *axes,
                       const struct kiln_canvas *canvas)
{
    draw_legend(panel, axes, canvas);
    for (int i = 0; i < panel->n_series; i++) {
        const struct kiln_series *series = &panel->series[i];
        if (series->mark == KILN_MARK_POINTS)
            draw_points(series, axes, canvas);
        else if (series->mark == KILN_MARK_LINE)
            draw_line(series, axes, canvas);
        else if (series->mark == KILN_MARK_ARROWS)
            draw_arrows(series, axes, canvas);
        else if (series->mark == KILN_MARK_BARS)
            draw_bars(panel, i, axes, canvas);
    }
}

/* Text in the middle of a span, but not beyond the panel's left end. */
static void centre_text(const struct kiln_canvas *canvas, double from, double to, int64_t y,
                        const char *text)
{
    int64_t x = llround((from + to) / 2) - kiln_canvas_text_width(SCALE, text) / 2;
    kiln_canvas_text(canvas, x > canvas->left ? x : canvas->left + 2, y, SCALE, text, ink);
}

static enum kiln_status draw_panel(const struct kiln_panel *panel, const struct kiln_canvas *canvas,
                                   struct kiln_error *error)
{
    int64_t top = canvas->top + SPACE;
    if (panel->title) {
        centre_text(canvas, (double)canvas->left, (double)canvas->right, top, panel->title);
        top += LINE;
    }
    if (panel->n_series && panel->series[0].mark == KILN_MARK_PICTURES) {
        struct kiln_canvas inside = *canvas;
        inside.left += SPACE;
        inside.right -= SPACE;
        inside.top = top;
        return draw_pictures(&panel->series[0], &inside, error);
    }
    if (panel->y_label) {
        kiln_canvas_text(canvas, canvas->left + SPACE, top, SCALE, panel->y_label, ink);
        top += LINE;
    }
    int64_t bottom = canvas->bottom - NUMBERS - (panel->x_label ? LINE : 0);
    struct kiln_axes axes = {
        .x = {.first = (double)canvas->left + LEFT, .last = (double)canvas->right - RIGHT},
        .y = {.first = (double)bottom, .last = (double)top + SPACE / 2},
    };
    enum kiln_status status = kiln_axes_range(panel, &axes, error);
    if (status)
        return status;
    if (panel->x_label)
        centre_text(canvas, axes.x.first, axes.x.last, bottom + NUMBERS, panel->x_label);
    kiln_axes_draw(&axes, panel->bars, kiln_plot_bars(panel), SCALE, canvas);
    const struct kiln_canvas inside = {
        .image = canvas->image,
        .left = llround(axes.x.first) + 1,
        .top = llround(axes.y.last) + 1,
        .right = llround(axes.x.last),
        .bottom = bottom,
    };
    draw_marks(panel, &axes, &inside);
    return KILN_OK;
}

enum kiln_status kiln_plot_draw(int n, const struct kiln_panel *const *panels, int columns,
                                struct kiln_image *image, struct kiln_error *error)
{
    *image = (struct kiln_image){0};
    if (n < 1)
        return kiln_fail(error, KILN_INPUT, "a drawing without panels");
    if (columns < 1)
        columns = (int)ceil(sqrt(n));
    if (columns > n)
        columns = n;
    int rows = (n + columns - 1) / columns;
    enum kiln_status status =
        kiln_image_create((int64_t)columns * WIDTH, (int64_t)rows * HEIGHT, 3, 255, image, error);
    for (int i = 0; i < n && !status; i++) {
        int64_t left = (int64_t)(i % columns) * WIDTH, top = (int64_t)(i / columns) * HEIGHT;
        const struct kiln_canvas canvas = {image, left, top, left + WIDTH, top + HEIGHT};
        status = draw_panel(panels[i], &canvas, error);
    }
    if (status)
        kiln_image_finish(image);
    return status;
}
