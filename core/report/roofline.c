/* Operations below the roof of their device. */
#include "core/report/roofline.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/report/chart.h"
#include "core/report/html.h"

/* Series of points: families that have arithmetic, in the order of colours. */
static const char *const families[] = {"matmul", "conv", "conv input grad", "conv weight grad",
                                       "attention"};
enum { FAMILIES = sizeof families / sizeof *families, ROOF_POINTS = 3, LABEL = 160 };

/* Points of one family. */
struct points {
    int64_t n;
    double *x, *y; /* FLOP a byte, GFLOP/s */
    char (*texts)[LABEL];
    const char **labels;
};

static void finish_points(struct points *points)
{
    free(points->x);
    free(points->y);
    free(points->texts);
    free(points->labels);
}

static bool make_points(struct points *points, size_t most)
{
    most = most ? most : 1;
    points->x = malloc(most * sizeof *points->x);
    points->y = malloc(most * sizeof *points->y);
    points->texts = malloc(most * sizeof *points->texts);
    points->labels = malloc(most * sizeof *points->labels);
    return points->x && points->y && points->texts && points->labels;
}

static void collect(const struct kiln_suite *suite, const struct kiln_suite_device *device,
                    const char *family, struct points *points)
{
    char rate[32];
    for (size_t i = 0; i < suite->n_ops; i++) {
        const struct kiln_suite_op *op = &suite->ops[i];
        if (strcmp(op->device, device->name) || strcmp(op->family, family) || !op->times.n ||
            op->flops <= 0 || op->bytes <= 0)
            continue;
        points->x[points->n] = op->flops / op->bytes;
        points->y[points->n] = 1e-9 * op->flops / op->times.median;
        snprintf(points->texts[points->n], LABEL, "%s: %s GFLOP/s %s", op->name,
                 kiln_html_number(points->y[points->n], rate, sizeof rate), op->algorithm);
        points->labels[points->n] = points->texts[points->n];
        points->n++;
    }
}

/* Three corners of a roof: left end, ridge, right end. */
static void make_roof(double peak, double bandwidth, const double range[2], double x[ROOF_POINTS],
                      double y[ROOF_POINTS])
{
    x[0] = range[0];
    x[1] = fmin(fmax(peak / bandwidth, range[0]), range[1]);
    x[2] = range[1];
    for (int i = 0; i < ROOF_POINTS; i++)
        y[i] = 1e-9 * fmin(peak, bandwidth * x[i]);
}

static double best_bandwidth(const struct kiln_suite_device *device)
{
    double best = 0;
    for (int i = 0; i < device->n_bandwidths; i++)
        best = fmax(best, device->bandwidths[i].bytes_per_second);
    return best;
}

static void draw(const struct kiln_suite_device *device, const struct points *points,
                 const double range[2], struct kiln_text *html)
{
    double x[2][ROOF_POINTS], y[2][ROOF_POINTS];
    char title[256];
    struct kiln_series series[FAMILIES + 2] = {{0}};
    int n = 0;
    make_roof(device->peak_flops, kiln_suite_bandwidth_at(device, INFINITY), range, x[0], y[0]);
    make_roof(device->peak_flops, best_bandwidth(device), range, x[1], y[1]);
    series[n++] = (struct kiln_series){"roof: arithmetic and memory", ROOF_POINTS, x[0], y[0], 7};
    series[n++] = (struct kiln_series){
        "roof with data in caches", ROOF_POINTS, x[1], y[1], 7, .dashed = true};
    for (int f = 0; f < FAMILIES; f++)
        if (points[f].n)
            series[n++] = (struct kiln_series){families[f],
                                               points[f].n,
                                               points[f].x,
                                               points[f].y,
                                               f,
                                               .points = true,
                                               .labels = points[f].labels};
    snprintf(title, sizeof title, "%s: %s", device->name, device->device);
    const struct kiln_chart chart = {
        .title = title,
        .note = "points tell their names; above the roof: Winograd needs less arithmetic",
        .x_label = "FLOP a byte of operands",
        .y_label = "GFLOP/s",
        .log_x = true,
        .log_y = true,
        .exact_x = true,
        .wide = true,
        .n_series = n,
        .series = series,
    };
    kiln_chart_lines(html, &chart);
}

void kiln_roofline_chart(const struct kiln_suite *suite, const struct kiln_suite_device *device,
                         struct kiln_text *html)
{
    struct points points[FAMILIES] = {{0}};
    double range[2] = {INFINITY, 0};
    bool made = true;
    for (int f = 0; f < FAMILIES && made; f++) {
        made = make_points(&points[f], suite->n_ops);
        if (made)
            collect(suite, device, families[f], &points[f]);
        for (int64_t i = 0; i < points[f].n; i++) {
            range[0] = fmin(range[0], points[f].x[i] / 2);
            range[1] = fmax(range[1], points[f].x[i] * 2);
        }
    }
    html->failed = html->failed || !made;
    if (made && range[1] > 0 && device->peak_flops > 0 && device->n_bandwidths)
        draw(device, points, range, html);
    for (int f = 0; f < FAMILIES; f++)
        finish_points(&points[f]);
}
