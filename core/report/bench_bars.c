/* Bars of models and operations, a colour for each device. */
#include "core/report/bench_bars.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/report/chart.h"
#include "core/report/html.h"

enum { TEXT = 96 };

static int colour_of(const struct kiln_suite *suite, const char *device)
{
    const struct kiln_suite_device *found = kiln_suite_find_device(suite, device);
    return found ? (int)((found - suite->devices) % KILN_HTML_COLOURS) : 0;
}

/* --- models ---------------------------------------------------------------------------------- */

/* A figure of a model: its value with whiskers, and its text. */
struct figure {
    double value, low, high;
    char text[TEXT];
};
typedef struct figure figure_fn(const struct kiln_suite_model *);

static struct figure rate_figure(double amount, const struct kiln_suite_times *times,
                                 const char *unit)
{
    struct figure f = {0};
    char number[48];
    if (!times->n || amount <= 0)
        return f;
    f.value = amount / times->median;
    f.low = amount / times->p90;
    f.high = amount / times->p10;
    snprintf(f.text, sizeof f.text, "%s %s%s", kiln_html_number(f.value, number, sizeof number),
             unit, times->disturbed ? " (disturbed)" : "");
    return f;
}

static struct figure training_figure(const struct kiln_suite_model *model)
{
    return rate_figure((double)model->images_per_step, &model->step, "images/s");
}

static struct figure sampling_figure(const struct kiln_suite_model *model)
{
    return rate_figure((double)model->n_samples, &model->sample, "samples/s");
}

static struct figure memory_figure(const struct kiln_suite_model *model)
{
    struct figure f = {.value = (double)model->device_bytes};
    if (f.value > 0)
        kiln_html_bytes(f.value, f.text, sizeof f.text);
    return f;
}

static struct figure cold_figure(const struct kiln_suite_model *model)
{
    struct figure f = {.value = model->cold_seconds};
    char cold[32], warm[32];
    if (f.value > 0)
        snprintf(f.text, sizeof f.text, "%s cold, %s warm",
                 kiln_html_seconds(model->cold_seconds, cold, sizeof cold),
                 kiln_html_seconds(model->warm_seconds, warm, sizeof warm));
    return f;
}

static void draw_models(const struct kiln_suite *suite, const char *title, const char *note,
                        bool log, figure_fn *figure, struct kiln_text *html)
{
    struct figure *figures = calloc(suite->n_models + 1, sizeof *figures);
    struct kiln_bar *bars = calloc(suite->n_models + 1, sizeof *bars);
    int n = 0;
    const char *group = "";
    for (size_t i = 0; figures && bars && i < suite->n_models; i++) {
        const struct kiln_suite_model *model = &suite->models[i];
        figures[i] = figure(model);
        if (figures[i].value <= 0 && !model->failure[0])
            continue;
        if (figures[i].value <= 0)
            snprintf(figures[i].text, TEXT, "%.80s", model->failure);
        bars[n++] = (struct kiln_bar){
            .group = strcmp(group, model->name) ? model->name : NULL,
            .label = model->device,
            .value = figures[i].value,
            .low = figures[i].low,
            .high = figures[i].high,
            .text = figures[i].text,
            .colour = colour_of(suite, model->device),
        };
        group = model->name;
    }
    html->failed = html->failed || !figures || !bars;
    if (n)
        kiln_chart_bars(html, &(struct kiln_bars){title, note, log, n, bars});
    free(figures);
    free(bars);
}

void kiln_bench_model_bars(const struct kiln_suite *suite, struct kiln_text *html)
{
    draw_models(suite, "Training", "logarithmic; whiskers from the 10th to the 90th percentile",
                true, training_figure, html);
    draw_models(suite, "Sampling", "logarithmic; the suite's few steps", true, sampling_figure,
                html);
    draw_models(suite, "Memory of training", "most allocated on the device", false, memory_figure,
                html);
    draw_models(suite, "Time to the first step", "bars: with empty caches", false, cold_figure,
                html);
}

/* --- operations ----------------------------------------------------------------------------------
 */

void kiln_bench_op_bars(const struct kiln_suite *suite, struct kiln_text *html)
{
    struct kiln_bar *bars = calloc(suite->n_ops + 1, sizeof *bars);
    char(*texts)[TEXT] = calloc(suite->n_ops + 1, sizeof *texts);
    int n = 0;
    const char *group = "";
    for (size_t i = 0; bars && texts && i < suite->n_ops; i++) {
        const struct kiln_suite_op *op = &suite->ops[i];
        const struct kiln_suite_device *device = kiln_suite_find_device(suite, op->device);
        double limit = device ? kiln_suite_limit(device, op) : 0;
        double percent = op->times.n && limit > 0 ? 100 * limit / op->times.median : 0;
        if (percent > 0)
            snprintf(texts[n], TEXT, "%.0f %%%s%s", percent, op->algorithm[0] ? ", " : "",
                     op->algorithm);
        else if (op->failure[0])
            snprintf(texts[n], TEXT, "%.80s", op->failure);
        else
            continue;
        bars[n] = (struct kiln_bar){
            .group = strcmp(group, op->name) ? op->name : NULL,
            .label = op->device,
            .value = percent,
            .text = texts[n],
            .colour = colour_of(suite, op->device),
        };
        group = op->name;
        n++;
    }
    html->failed = html->failed || !bars || !texts;
    if (n)
        kiln_chart_bars(html, &(struct kiln_bars){"Share of the device's own peak",
                                                  "of arithmetic or bandwidth, whichever limits",
                                                  false, n, bars});
    free(bars);
    free(texts);
}
