/* Lines and points over two axes. */
#include "core/report/chart.h"

#include <math.h>

#include "core/report/axis.h"
#include "core/report/figure.h"
#include "core/report/html.h"

struct frame {
    int width, height;
    struct kiln_axis x, y;
};

static bool drawable(const struct kiln_chart *chart, double x, double y)
{
    return isfinite(x) && isfinite(y) && (!chart->log_x || x > 0) && (!chart->log_y || y > 0);
}

/* --- axes -------------------------------------------------------------------------------- */

static void find_ranges(const struct kiln_chart *chart, double x[2], double y[2])
{
    x[0] = y[0] = INFINITY;
    x[1] = y[1] = -INFINITY;
    for (int s = 0; s < chart->n_series; s++)
        for (int64_t i = 0; i < chart->series[s].n; i++) {
            double px = chart->series[s].x[i], py = chart->series[s].y[i];
            if (!drawable(chart, px, py))
                continue;
            x[0] = fmin(x[0], px);
            x[1] = fmax(x[1], px);
            y[0] = fmin(y[0], py);
            y[1] = fmax(y[1], py);
        }
}

static struct frame make_frame(const struct kiln_chart *chart)
{
    double x[2], y[2];
    find_ranges(chart, x, y);
    if (chart->zero_y) {
        y[0] = fmin(y[0], 0);
        y[1] = fmax(y[1], 0);
    }
    struct frame frame = {.width = chart->wide ? 1120 : 540, .height = chart->wide ? 440 : 280};
    frame.x = chart->exact_x ? kiln_axis_exact(x[0], x[1], chart->log_x, 6)
                             : kiln_axis_make(x[0], x[1], chart->log_x, chart->wide ? 10 : 6);
    frame.y = kiln_axis_make(y[0], y[1], chart->log_y, 5);
    frame.x.start = 56;
    frame.x.stop = frame.width - 14;
    frame.y.start = frame.height - 42;
    frame.y.stop = 12;
    return frame;
}

static void draw_axes(struct kiln_text *html, const struct kiln_chart *chart,
                      const struct frame *frame)
{
    char label[32];
    const struct kiln_axis *x = &frame->x, *y = &frame->y;
    for (int i = 0; i < y->n_ticks; i++) {
        double at = kiln_axis_at(y, y->ticks[i]);
        kiln_text_append(html,
                         "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>"
                         "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n",
                         x->start, x->stop, at, at, x->start - 8, at + 4,
                         kiln_axis_label(y->ticks[i], label, sizeof label));
    }
    for (int i = 0; i < x->n_ticks; i++) {
        double at = kiln_axis_at(x, x->ticks[i]);
        kiln_text_append(html,
                         "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>"
                         "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>\n",
                         at, at, y->stop, y->start, at, y->start + 17,
                         kiln_axis_label(x->ticks[i], label, sizeof label));
    }
    kiln_text_append(html, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">",
                     (x->start + x->stop) / 2, frame->height - 6);
    kiln_html_text(html, chart->x_label);
    kiln_text_append(html, "</text>\n");
    if (!chart->y_label)
        return;
    double middle = (y->start + y->stop) / 2;
    kiln_text_append(html,
                     "<text x=\"12\" y=\"%.1f\" text-anchor=\"middle\" "
                     "transform=\"rotate(-90 12 %.1f)\">",
                     middle, middle);
    kiln_html_text(html, chart->y_label);
    kiln_text_append(html, "</text>\n");
}

/* --- series ------------------------------------------------------------------------------- */

static void draw_line(struct kiln_text *html, const struct kiln_chart *chart,
                      const struct kiln_series *series, const struct frame *frame)
{
    bool down = false, any = false;
    for (int64_t i = 0; i < series->n; i++) {
        if (!drawable(chart, series->x[i], series->y[i])) {
            down = false;
            continue;
        }
        if (!any)
            kiln_text_append(html, "<path class=\"series c%d%s%s\" d=\"", series->colour,
                             series->faint ? " faint" : "", series->dashed ? " dash" : "");
        kiln_text_append(html, "%c%.1f %.1f", down ? 'L' : 'M',
                         kiln_axis_at(&frame->x, series->x[i]),
                         kiln_axis_at(&frame->y, series->y[i]));
        any = down = true;
    }
    if (any)
        kiln_text_append(html, "\"/>\n");
}

static void draw_points(struct kiln_text *html, const struct kiln_chart *chart,
                        const struct kiln_series *series, const struct frame *frame)
{
    for (int64_t i = 0; i < series->n; i++) {
        if (!drawable(chart, series->x[i], series->y[i]))
            continue;
        kiln_text_append(html, "<circle class=\"c%d fill\" r=\"4\" cx=\"%.1f\" cy=\"%.1f\">",
                         series->colour, kiln_axis_at(&frame->x, series->x[i]),
                         kiln_axis_at(&frame->y, series->y[i]));
        if (series->labels) {
            kiln_text_append(html, "<title>");
            kiln_html_text(html, series->labels[i]);
            kiln_text_append(html, "</title>");
        }
        kiln_text_append(html, "</circle>\n");
    }
}

static void draw_legend(struct kiln_text *html, const struct kiln_chart *chart)
{
    int named = 0;
    for (int s = 0; s < chart->n_series; s++)
        named += chart->series[s].name != NULL && chart->series[s].n > 0;
    if (named < 2)
        return;
    kiln_text_append(html, "<ul class=\"legend\">");
    for (int s = 0; s < chart->n_series; s++) {
        if (!chart->series[s].name || !chart->series[s].n)
            continue;
        kiln_text_append(html, "<li class=\"c%d\"><i></i><span>", chart->series[s].colour);
        kiln_html_text(html, chart->series[s].name);
        kiln_text_append(html, "</span></li>");
    }
    kiln_text_append(html, "</ul>\n");
}

void kiln_chart_lines(struct kiln_text *html, const struct kiln_chart *chart)
{
    struct frame frame = make_frame(chart);
    kiln_figure_begin(html, chart->title, chart->note, chart->wide, frame.width, frame.height);
    draw_axes(html, chart, &frame);
    for (int s = 0; s < chart->n_series; s++) {
        if (chart->series[s].points)
            draw_points(html, chart, &chart->series[s], &frame);
        else
            draw_line(html, chart, &chart->series[s], &frame);
    }
    kiln_text_append(html, "</svg>\n");
    draw_legend(html, chart);
    kiln_text_append(html, "</figure>\n");
}
