/* The page of a run. */
#include "core/report/run_page.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/report/html.h"
#include "core/report/run_charts.h"
#include "core/report/run_history.h"
#include "core/run/checkpoint.h"
#include "core/run/png_read.h"

enum { MOST_GRIDS = 12, MOST_PNG_BYTES = 1 << 24, MOST_CONFIG_BYTES = 1 << 20 };

struct page {
    const char *directory;
    struct kiln_run_history history;
    struct kiln_run_grids grids;
    kiln_checkpoint *checkpoint; /* NULL: none yet */
    int64_t n_parameters;
};

/* --- parameters ---------------------------------------------------------------------------- */

static bool is_parameter(const struct kiln_tensor *tensor)
{
    return strncmp(tensor->name, "ema.", 4) && strncmp(tensor->name, "optim.", 6);
}

static void count_parameters(struct page *page)
{
    const kiln_safetensors *file = kiln_checkpoint_tensors(page->checkpoint);
    for (int i = 0; i < kiln_safetensors_count(file); i++) {
        const struct kiln_tensor *tensor = kiln_safetensors_at(file, i);
        if (is_parameter(tensor))
            page->n_parameters += tensor->count;
    }
}

static void write_parameters(const struct page *page, struct kiln_text *html)
{
    const kiln_safetensors *file = kiln_checkpoint_tensors(page->checkpoint);
    char number[32];
    kiln_html_heading(html, "Parameters");
    kiln_text_append(html,
                     "<details><summary>%s in all, tensor by tensor</summary>\n"
                     "<div class=\"scroll\"><table><tr><th>name</th><th>shape</th>"
                     "<th class=\"n\">elements</th></tr>\n",
                     kiln_html_number((double)page->n_parameters, number, sizeof number));
    for (int i = 0; i < kiln_safetensors_count(file); i++) {
        const struct kiln_tensor *tensor = kiln_safetensors_at(file, i);
        if (!is_parameter(tensor))
            continue;
        kiln_text_append(html, "<tr><td>");
        kiln_html_text(html, tensor->name);
        kiln_text_append(html, "</td><td>");
        for (int d = 0; d < tensor->rank; d++)
            kiln_text_append(html, "%s%" PRId64, d ? " × " : "", tensor->shape[d]);
        kiln_text_append(html, "</td><td class=\"n\">%" PRId64 "</td></tr>\n", tensor->count);
    }
    kiln_text_append(html, "</table></div></details>\n");
}

/* --- samples -------------------------------------------------------------------------------- */

/* A grid that cannot be read says why in its place. */
static void write_grid(const struct page *page, int64_t step, struct kiln_text *html)
{
    char name[64], title[64];
    char *data = NULL;
    size_t bytes = 0;
    struct kiln_error reason = {""};
    struct kiln_image image;
    snprintf(name, sizeof name, "samples-%" PRId64 ".png", step);
    snprintf(title, sizeof title, "step %" PRId64, step);
    char *path = kiln_path_join(page->directory, name);
    enum kiln_status status = path ? kiln_file_read(path, MOST_PNG_BYTES, &data, &bytes, &reason)
                                   : kiln_fail(&reason, KILN_MACHINE, "out of memory");
    if (!status)
        status = kiln_png_decode(data, bytes, name, &image, &reason);
    kiln_text_append(html, "<figure><figcaption>%s</figcaption>", title);
    if (status) {
        kiln_text_append(html, "<span class=\"bad\">");
        kiln_html_text(html, reason.text);
        kiln_text_append(html, "</span>");
    } else {
        kiln_image_finish(&image);
        kiln_html_png(html, data, bytes, title);
    }
    kiln_text_append(html, "</figure>\n");
    free(data);
    free(path);
}

static void write_grids(const struct page *page, struct kiln_text *html)
{
    if (!page->grids.n)
        return;
    kiln_html_heading(html, "Samples");
    kiln_text_append(html, "<p>Drawn on the way, always from the same noise.</p>\n"
                           "<div class=\"samples\">\n");
    for (int i = 0; i < page->grids.n; i++)
        write_grid(page, page->grids.steps[i], html);
    kiln_text_append(html, "</div>\n");
}

/* --- config ----------------------------------------------------------------------------------- */

static void write_config_line(char *line, bool *open, struct kiln_text *html)
{
    char *equals = strchr(line, '=');
    if (*line == '[') {
        line[strcspn(line, "]")] = '\0';
        kiln_text_append(html, "%s<section><h3>[", *open ? "</section>\n" : "");
        kiln_html_text(html, line + 1);
        kiln_text_append(html, "]</h3>\n");
        *open = true;
    } else if (equals) {
        *equals = '\0';
        kiln_text_append(html, "<div><span>");
        kiln_html_text(html, line);
        kiln_text_append(html, "=</span>");
        kiln_html_text(html, equals + 1);
        kiln_text_append(html, "</div>\n");
    }
}

static void write_config(const struct page *page, struct kiln_text *html)
{
    char *path = kiln_path_join(page->directory, "config.ini"), *text = NULL, *place = NULL;
    size_t bytes;
    bool open = false;
    if (path && !kiln_file_read(path, MOST_CONFIG_BYTES, &text, &bytes, NULL)) {
        kiln_html_heading(html, "Config");
        kiln_text_append(html, "<div class=\"config\">\n");
        for (char *line = strtok_r(text, "\n", &place); line; line = strtok_r(NULL, "\n", &place))
            write_config_line(line, &open, html);
        kiln_text_append(html, "%s</div>\n", open ? "</section>\n" : "");
    }
    free(text);
    free(path);
}

/* --- the page -----------------------------------------------------------------------------------
 */

static double last_finite(const double *values, int64_t n)
{
    while (n > 0 && !isfinite(values[n - 1]))
        n--;
    return n > 0 ? values[n - 1] : NAN;
}

static void write_tile(const struct page *page, const char *name, const char *label, bool median,
                       struct kiln_text *html)
{
    const struct kiln_run_history *history = &page->history;
    const double *values = kiln_run_history_find(history, name);
    char text[64];
    if (!values)
        return;
    double value = median ? kiln_run_median(values, history->n) : last_finite(values, history->n);
    kiln_html_tile(html,
                   strcmp(name, "seconds") ? kiln_html_number(value, text, sizeof text)
                                           : kiln_html_seconds(value, text, sizeof text),
                   label);
}

static void write_tiles(const struct page *page, struct kiln_text *html)
{
    const struct kiln_run_history *history = &page->history;
    char text[64];
    const char *device =
        page->checkpoint
            ? kiln_safetensors_metadata(kiln_checkpoint_tensors(page->checkpoint), "device")
            : NULL;
    kiln_text_append(html, "<div class=\"tiles\">\n");
    kiln_html_tile(
        html, kiln_html_number(history->n ? history->step[history->n - 1] : 0, text, sizeof text),
        "steps");
    if (history->n_values)
        write_tile(page, history->values[0].name, history->values[0].name, false, html);
    write_tile(page, "images_per_s", "images per second (median)", true, html);
    write_tile(page, "seconds", "training time", false, html);
    if (page->checkpoint)
        kiln_html_tile(html, kiln_html_number((double)page->n_parameters, text, sizeof text),
                       "parameters");
    kiln_text_append(html, "</div>\n");
    if (device) {
        kiln_text_append(html, "<p>Trained on ");
        kiln_html_text(html, device);
        kiln_text_append(html, ".</p>\n");
    }
}

static void write_page(const struct page *page, struct kiln_text *html)
{
    const char *config = page->checkpoint ? kiln_checkpoint_config(page->checkpoint) : NULL;
    const char *plugin = config ? strstr(config, "plugin = ") : NULL;
    char subtitle[160];
    if (plugin)
        snprintf(subtitle, sizeof subtitle, "A training run of the model %.*s",
                 (int)(strcspn(plugin + 9, "\n") < 64 ? strcspn(plugin + 9, "\n") : 64),
                 plugin + 9);
    else
        snprintf(subtitle, sizeof subtitle, "A training run without a checkpoint yet");
    kiln_html_begin(html, kiln_path_name(page->directory), subtitle);
    write_tiles(page, html);
    kiln_html_heading(html, "Losses");
    kiln_run_loss_charts(html, &page->history);
    write_grids(page, html);
    kiln_html_heading(html, "Training");
    kiln_run_training_charts(html, &page->history);
    write_config(page, html);
    if (page->checkpoint)
        write_parameters(page, html);
    kiln_html_end(html);
}

enum kiln_status kiln_report_run(const char *directory, struct kiln_text *html,
                                 struct kiln_error *error)
{
    struct page page = {.directory = directory};
    char *log = kiln_path_join(directory, "log.jsonl");
    char *weights = kiln_path_join(directory, "checkpoint.safetensors");
    enum kiln_status status = KILN_OK;
    if (!log || !weights)
        status = kiln_fail(error, KILN_MACHINE, "out of memory");
    else if (!kiln_directory_exists(directory))
        status = kiln_fail(error, KILN_INPUT, "%s: not a run's directory", directory);
    if (!status)
        status = kiln_run_history_read(log, &page.history, error);
    if (!status && kiln_file_exists(weights))
        status = kiln_checkpoint_open(directory, &page.checkpoint, error);
    if (!status)
        status = kiln_run_grids_find(directory, MOST_GRIDS, &page.grids, error);
    if (!status) {
        if (page.checkpoint)
            count_parameters(&page);
        write_page(&page, html);
        if (html->failed)
            status = kiln_fail(error, KILN_MACHINE, "%s: out of memory", directory);
    }
    kiln_checkpoint_close(&page.checkpoint);
    kiln_run_history_finish(&page.history);
    free(page.grids.steps);
    free(log);
    free(weights);
    return status;
}
