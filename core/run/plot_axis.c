/* Axes: ranges, ticks and numbers. */
#include "core/run/plot_axis.h"

#include <math.h>
#include <stdio.h>

#include "core/run/plot.h"

static const uint8_t ink[3] = {60, 60, 60}, pale[3] = {228, 228, 228};

enum { TICK = 4, GAP = 4, PIXELS_PER_TICK = 50 };

bool kiln_axis_shows(const struct kiln_axis *axis, double value)
{
    return isfinite(value) && (!axis->log || value > 0);
}

double kiln_axis_pixel(const struct kiln_axis *axis, double value)
{
    double low = axis->low, high = axis->high;
    if (axis->log) {
        low = log(low);
        high = log(high);
        value = log(value);
    }
    return axis->first + (value - low) / (high - low) * (axis->last - axis->first);
}

/* --- ranges ---------------------------------------------------------------------- */

static void include(struct kiln_axis *axis, double value)
{
    if (!kiln_axis_shows(axis, value))
        return;
    axis->low = fmin(axis->low, value);
    axis->high = fmax(axis->high, value);
}

static void include_series(const struct kiln_series *series, struct kiln_axes *axes)
{
    int64_t row = kiln_plot_row(series);
    if (series->mark == KILN_MARK_BARS && series->n) {
        include(&axes->x, -0.6);
        include(&axes->x, (double)series->n - 0.4);
        include(&axes->y, 0);
    }
    for (int64_t i = 0; i < series->n; i++) {
        const float *data = series->data + i * row;
        if (series->mark == KILN_MARK_BARS) {
            include(&axes->y, data[0]);
        } else if (kiln_axis_shows(&axes->x, data[0]) && kiln_axis_shows(&axes->y, data[1])) {
            include(&axes->x, data[0]);
            include(&axes->y, data[1]);
        }
    }
}

/* Some room around the data; something to show where there are none. */
static void widen(struct kiln_axis *axis, bool bars)
{
    if (!(axis->low <= axis->high)) {
        axis->low = axis->log ? 1 : 0;
        axis->high = axis->log ? 10 : 1;
    } else if (axis->log) {
        double room = fmax(pow(axis->high / axis->low, 0.04), 1.05);
        axis->low /= room;
        axis->high *= room;
    } else {
        double room = fmax(0.04 * (axis->high - axis->low), 1e-6 * fabs(axis->high));
        room = room > 0 ? room : 1;
        axis->low -= bars && axis->low == 0 ? 0 : room;
        axis->high += room;
    }
}

/* The same pixels for a unit on both axes, by showing more of one. */
static void make_equal(struct kiln_axes *axes)
{
    double x_unit = fabs(axes->x.last - axes->x.first) / (axes->x.high - axes->x.low),
           y_unit = fabs(axes->y.last - axes->y.first) / (axes->y.high - axes->y.low);
    struct kiln_axis *wider = x_unit > y_unit ? &axes->x : &axes->y;
    double factor = fmax(x_unit, y_unit) / fmin(x_unit, y_unit);
    double centre = (wider->low + wider->high) / 2, half = (wider->high - wider->low) / 2 * factor;
    wider->low = centre - half;
    wider->high = centre + half;
}

static bool is_range(const struct kiln_axis *axis)
{
    double low = axis->log ? log(axis->low) : axis->low,
           high = axis->log ? log(axis->high) : axis->high;
    return isfinite(low) && isfinite(high) && high > low && isfinite(high - low);
}

enum kiln_status kiln_axes_range(const struct kiln_panel *panel, struct kiln_axes *axes,
                                 struct kiln_error *error)
{
    bool given_x = panel->x_min != panel->x_max, given_y = panel->y_min != panel->y_max;
    bool bars = false;
    axes->x.log = panel->log_x;
    axes->y.log = panel->log_y;
    axes->x.low = axes->y.low = INFINITY;
    axes->x.high = axes->y.high = -INFINITY;
    for (int i = 0; i < panel->n_series; i++) {
        include_series(&panel->series[i], axes);
        bars |= panel->series[i].mark == KILN_MARK_BARS;
    }
    widen(&axes->x, false);
    widen(&axes->y, bars);
    if (given_x)
        axes->x.low = panel->x_min, axes->x.high = panel->x_max;
    if (given_y)
        axes->y.low = panel->y_min, axes->y.high = panel->y_max;
    if (is_range(&axes->x) && is_range(&axes->y) && panel->equal)
        make_equal(axes);
    if (!is_range(&axes->x) || !is_range(&axes->y))
        return kiln_fail(error, KILN_INPUT, "a plot of [%g, %g] x [%g, %g]", axes->x.low,
                         axes->x.high, axes->y.low, axes->y.high);
    return KILN_OK;
}

/* --- ticks ------------------------------------------------------------------------- */

/* 1, 2 or 5 times a power of ten, at least rough. */
static double nice_step(double rough)
{
    double power = pow(10, floor(log10(rough)));
    double factor = rough / power;
    return power * (factor <= 1.001 ? 1 : factor <= 2.001 ? 2 : factor <= 5.001 ? 5 : 10);
}

enum { MAX_TICKS = 32 };

/* Decades of a long logarithmic axis; else steps of equal length. */
static int find_ticks(const struct kiln_axis *axis, double ticks[MAX_TICKS])
{
    int n = 0;
    double wanted = fmax(2, floor(fabs(axis->last - axis->first) / PIXELS_PER_TICK));
    if (axis->log && axis->high / axis->low > 20) {
        double first = ceil(log10(axis->low) - 1e-9), last = floor(log10(axis->high) + 1e-9);
        double step = fmax(1, ceil((last - first) / wanted));
        for (double k = first; k <= last && n < MAX_TICKS; k += step)
            ticks[n++] = pow(10, k);
        return n;
    }
    double step = nice_step((axis->high - axis->low) / wanted);
    for (double k = ceil(axis->low / step); k * step <= axis->high && n < MAX_TICKS; k++)
        ticks[n++] = k * step + 0.0;
    return n;
}

/* "0", "0.5", "100", "1e6", "1e-12" */
static void write_number(double value, const struct kiln_axis *axis, char *text, size_t size)
{
    double magnitude = fabs(value), range = fmax(fabs(axis->low), fabs(axis->high));
    bool decades = axis->log && axis->high / axis->low > 1e4;
    if (!axis->log && magnitude < 1e-12 * range) {
        snprintf(text, size, "0");
    } else if (decades || magnitude >= 1e5 || magnitude < 1e-3) {
        int power = (int)floor(log10(magnitude) + 1e-9);
        snprintf(text, size, "%.3ge%d", value / pow(10, power), power);
    } else {
        snprintf(text, size, "%.6g", value);
    }
}

/* --- drawing ----------------------------------------------------------------------- */

static void x_tick(const struct kiln_axes *axes, double at, const char *text, int scale,
                   const struct kiln_canvas *canvas)
{
    int64_t x = llround(at), y = llround(axes->y.first);
    kiln_canvas_fill(canvas, x, y, 1, TICK + 1, ink);
    kiln_canvas_text(canvas, x - kiln_canvas_text_width(scale, text) / 2, y + TICK + GAP, scale,
                     text, ink);
}

static void draw_x(const struct kiln_axes *axes, const char *const *bars, int n, int scale,
                   const struct kiln_canvas *canvas)
{
    double ticks[MAX_TICKS];
    if (bars) {
        for (int i = 0; i < n; i++)
            x_tick(axes, kiln_axis_pixel(&axes->x, i), bars[i], scale, canvas);
        return;
    }
    n = find_ticks(&axes->x, ticks);
    for (int i = 0; i < n; i++) {
        char text[32];
        double at = kiln_axis_pixel(&axes->x, ticks[i]);
        write_number(ticks[i], &axes->x, text, sizeof text);
        kiln_canvas_fill(canvas, llround(at), llround(axes->y.last), 1,
                         llround(axes->y.first - axes->y.last), pale);
        x_tick(axes, at, text, scale, canvas);
    }
}

static void draw_y(const struct kiln_axes *axes, int scale, const struct kiln_canvas *canvas)
{
    double ticks[MAX_TICKS];
    int n = find_ticks(&axes->y, ticks);
    for (int i = 0; i < n; i++) {
        char text[32];
        int64_t x = llround(axes->x.first), y = llround(kiln_axis_pixel(&axes->y, ticks[i]));
        write_number(ticks[i], &axes->y, text, sizeof text);
        kiln_canvas_fill(canvas, x, y, llround(axes->x.last - axes->x.first), 1, pale);
        kiln_canvas_fill(canvas, x - TICK, y, TICK, 1, ink);
        kiln_canvas_text(canvas, x - TICK - GAP - kiln_canvas_text_width(scale, text),
                         y - kiln_canvas_text_height(scale) / 2, scale, text, ink);
    }
}

void kiln_axes_draw(const struct kiln_axes *axes, const char *const *bars, int n, int scale,
                    const struct kiln_canvas *canvas)
{
    int64_t left = llround(axes->x.first), right = llround(axes->x.last),
            bottom = llround(axes->y.first), top = llround(axes->y.last);
    draw_y(axes, scale, canvas);
    draw_x(axes, bars, n, scale, canvas);
    kiln_canvas_fill(canvas, left, bottom, right - left + 1, 1, ink);
    kiln_canvas_fill(canvas, left, top, right - left + 1, 1, ink);
    kiln_canvas_fill(canvas, left, top, 1, bottom - top + 1, ink);
    kiln_canvas_fill(canvas, right, top, 1, bottom - top + 1, ink);
}
