/* Charts of what a run has logged, over its steps. */
#include "core/report/run_charts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/report/chart.h"

/* More points than these are drawn as means of equally many; fewer lines than
 * the second get no moving average. */
enum { MOST_POINTS = 600, SMOOTHED_FROM = 40 };

/* --- figures of a column -------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The finite values in order, malloc'd; *kept is their number. */
static double *sorted(const double *values, int64_t n, int64_t *kept)
{
    double *copy = malloc((size_t)(n ? n : 1) * sizeof *copy);
    *kept = 0;
    for (int64_t i = 0; copy && i < n; i++)
        if (isfinite(values[i]))
            copy[(*kept)++] = values[i];
    if (*kept)
        qsort(copy, (size_t)*kept, sizeof *copy, by_value);
    return copy;
}

double kiln_run_median(const double *values, int64_t n)
{
    int64_t kept;
    double *order = sorted(values, n, &kept);
    double median = kept ? order[kept / 2] : NAN;
    free(order);
    return median;
}

/* A logarithm helps where values are positive and span more than a factor of
 * eight, outliers aside at the lower end. */
static bool wants_log(const double *values, int64_t n)
{
    int64_t kept;
    double *order = sorted(values, n, &kept);
    bool wants = kept > 1 && order[0] > 0 && order[kept - 1] > 8 * order[kept / 20];
    free(order);
    return wants;
}

/* --- drawing ------------------------------------------------------------------------------ */

/* Points that are drawn: thinned, and their moving average. */
struct curve {
    int64_t n;
    double *step, *raw, *smooth; /* one allocation */
};

/* The mean of the points around i, as far to the left as to the right. */
static double centred_mean(const double *values, int64_t n, int64_t i)
{
    int64_t reach = n / 40 < i ? n / 40 : i, count = 0;
    double sum = 0;
    reach = reach < n - 1 - i ? reach : n - 1 - i;
    for (int64_t k = i - reach; k <= i + reach; k++)
        if (isfinite(values[k])) {
            sum += values[k];
            count++;
        }
    return count ? sum / (double)count : NAN;
}

static bool make_curve(const struct kiln_run_history *history, const double *values,
                       struct curve *curve)
{
    int64_t each = (history->n + MOST_POINTS - 1) / MOST_POINTS;
    curve->n = 0;
    curve->step = malloc(3 * MOST_POINTS * sizeof *curve->step);
    if (!curve->step)
        return false;
    curve->raw = curve->step + MOST_POINTS;
    curve->smooth = curve->raw + MOST_POINTS;
    for (int64_t i = 0; i < history->n; i += each) {
        int64_t last = i + each < history->n ? i + each : history->n, count = 0;
        double sum = 0;
        for (int64_t k = i; k < last; k++)
            if (isfinite(values[k])) {
                sum += values[k];
                count++;
            }
        curve->step[curve->n] = history->step[last - 1];
        curve->raw[curve->n++] = count ? sum / (double)count : NAN;
    }
    for (int64_t i = 0; i < curve->n; i++)
        curve->smooth[i] = centred_mean(curve->raw, curve->n, i);
    return true;
}

enum { LOSS, RATE }; /* a rate is shown from zero, and as it is */

static void draw_column(struct kiln_text *html, const struct kiln_run_history *history,
                        const char *title, const double *values, int kind, int colour, bool wide)
{
    struct curve curve;
    if (!make_curve(history, values, &curve)) {
        html->failed = true;
        return;
    }
    bool smooth = kind == LOSS && history->n >= SMOOTHED_FROM;
    const struct kiln_series series[] = {
        {.n = curve.n, .x = curve.step, .y = curve.raw, .colour = colour, .faint = smooth},
        {.n = curve.n, .x = curve.step, .y = curve.smooth, .colour = colour},
    };
    const struct kiln_chart chart = {
        .title = title,
        .note = smooth ? "with its moving average" : NULL,
        .x_label = "step",
        .log_y = kind == LOSS && wants_log(values, history->n),
        .exact_x = true,
        .zero_y = kind == RATE,
        .wide = wide,
        .n_series = smooth ? 2 : 1,
        .series = series,
    };
    kiln_chart_lines(html, &chart);
    free(curve.step);
}

/* --- which goes where ------------------------------------------------------------------- */

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && !strcmp(text + n - m, end);
}

static bool is_loss(const char *name)
{
    return strcmp(name, "lr") && strcmp(name, "seconds") && strcmp(name, "images_per_s") &&
           !ends_with(name, "grad_norm");
}

static bool has_values(const double *values, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (isfinite(values[i]))
            return true;
    return false;
}

/* A single chart takes the whole width. */
void kiln_run_loss_charts(struct kiln_text *html, const struct kiln_run_history *history)
{
    int drawn[KILN_HISTORY_MAX_VALUES], n = 0;
    for (int i = 0; i < history->n_values; i++)
        if (is_loss(history->values[i].name) && has_values(history->values[i].values, history->n))
            drawn[n++] = i;
    kiln_text_append(html, n == 1 ? "<div>\n" : "<div class=\"charts\">\n");
    for (int i = 0; i < n; i++) {
        const struct kiln_run_column *column = &history->values[drawn[i]];
        draw_column(html, history, column->name, column->values, LOSS, i % 6, n == 1);
    }
    kiln_text_append(html, "</div>\n");
}

void kiln_run_training_charts(struct kiln_text *html, const struct kiln_run_history *history)
{
    const double *rate = kiln_run_history_find(history, "lr");
    const double *images = kiln_run_history_find(history, "images_per_s");
    kiln_text_append(html, "<div class=\"charts\">\n");
    if (rate && has_values(rate, history->n))
        draw_column(html, history, "learning rate", rate, RATE, 2, false);
    if (images && has_values(images, history->n))
        draw_column(html, history, "images per second", images, RATE, 6, false);
    for (int i = 0; i < history->n_values; i++) {
        const struct kiln_run_column *column = &history->values[i];
        if (ends_with(column->name, "grad_norm") && has_values(column->values, history->n))
            draw_column(html, history, column->name, column->values, LOSS, 3, false);
    }
    kiln_text_append(html, "</div>\n");
}
