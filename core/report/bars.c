/* Horizontal bars. */
#include <math.h>

#include "core/report/chart.h"
#include "core/report/figure.h"
#include "core/report/html.h"

/* Groups stand at the left of their first bar, labels before the bars. */
enum { WIDTH = 1120, LABELS = 370, VALUES = 210, ROW = 22, GAP = 8, TOP = 4 };

/* Length of a value, in pixels. */
static double length_of(const struct kiln_bars *bars, double least, double most, double value)
{
    const double room = WIDTH - LABELS - VALUES;
    if (!(value > 0) || !isfinite(value))
        return 0;
    if (!bars->log)
        return room * value / most;
    double low = pow(10, floor(log10(least) - 1e-9));
    return low < most ? fmax(0, room * log(value / low) / log(most / low)) : room;
}

static void find_range(const struct kiln_bars *bars, double *least, double *most)
{
    *least = INFINITY;
    *most = 0;
    for (int i = 0; i < bars->n; i++) {
        double value = bars->bars[i].value;
        if (!isfinite(value) || value <= 0)
            continue;
        *least = fmin(*least, value);
        *most = fmax(*most, fmax(value, bars->bars[i].high));
    }
}

static void draw_whiskers(struct kiln_text *html, double from, double to, double y)
{
    kiln_text_append(html,
                     "<path class=\"series\" style=\"stroke:var(--ink);stroke-width:1;opacity:.6\" "
                     "d=\"M%.1f %.1fv8m0-4H%.1fm0-4v8\"/>",
                     from, y - 4, to);
}

static void draw_bar(struct kiln_text *html, const struct kiln_bars *bars,
                     const struct kiln_bar *bar, double least, double most, double y)
{
    double length = length_of(bars, least, most, bar->value), end = length;
    kiln_text_append(html, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">", LABELS - 12, y + 15);
    kiln_html_text(html, bar->label);
    kiln_text_append(html, "</text>");
    if (length > 0)
        kiln_text_append(html,
                         "<rect class=\"c%d fill\" x=\"%d\" y=\"%.1f\" width=\"%.1f\" "
                         "height=\"%d\" rx=\"2\"/>",
                         bar->colour, LABELS, y + 3, fmax(length, 1), ROW - 6);
    if (length > 0 && bar->high > bar->low) {
        end = fmax(length, length_of(bars, least, most, bar->high));
        draw_whiskers(html, LABELS + length_of(bars, least, most, bar->low), LABELS + end,
                      y + ROW / 2.0);
    }
    kiln_text_append(html, "<text class=\"label\" x=\"%.1f\" y=\"%.1f\">", LABELS + end + 8,
                     y + 15);
    kiln_html_text(html, bar->text);
    kiln_text_append(html, "</text>\n");
}

void kiln_chart_bars(struct kiln_text *html, const struct kiln_bars *bars)
{
    double least, most, y = TOP;
    int height = TOP + 4;
    find_range(bars, &least, &most);
    for (int i = 0; i < bars->n; i++)
        height += ROW + (i > 0 && bars->bars[i].group ? GAP : 0);
    kiln_figure_begin(html, bars->title, bars->note, true, WIDTH, height);
    for (int i = 0; i < bars->n; i++) {
        y += i > 0 && bars->bars[i].group ? GAP : 0;
        if (bars->bars[i].group) {
            kiln_text_append(html,
                             "<text class=\"label\" style=\"font-weight:600\" x=\"0\" "
                             "y=\"%.1f\">",
                             y + 15);
            kiln_html_text(html, bars->bars[i].group);
            kiln_text_append(html, "</text>\n");
        }
        draw_bar(html, bars, &bars->bars[i], least, most, y);
        y += ROW;
    }
    kiln_text_append(html, "</svg>\n</figure>\n");
}
