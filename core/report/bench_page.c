/* The page of the benchmark. */
#include "core/report/bench_page.h"

#include <stdio.h>
#include <string.h>

#include "core/report/bench_bars.h"
#include "core/report/bench_tables.h"
#include "core/report/html.h"
#include "core/report/roofline.h"

static void write_device_tiles(const struct kiln_suite *suite, struct kiln_text *html)
{
    for (size_t i = 0; i < suite->n_devices; i++) {
        const struct kiln_suite_device *d = &suite->devices[i];
        char value[64], label[256], bandwidth[64], memory[32];
        if (d->peak_flops <= 0)
            continue;
        snprintf(value, sizeof value, "%s GFLOP/s",
                 kiln_html_number(1e-9 * d->peak_flops, memory, sizeof memory));
        snprintf(bandwidth, sizeof bandwidth, ", %s GB/s",
                 kiln_html_number(1e-9 * kiln_suite_bandwidth_at(d, 1e18), memory, sizeof memory));
        snprintf(label, sizeof label, "%s: %s%s", d->name, d->device,
                 d->n_bandwidths ? bandwidth : "");
        kiln_html_tile(html, value, label);
    }
}

static void write_failures(const struct kiln_suite *suite, struct kiln_text *html)
{
    for (size_t i = 0; i < suite->n_devices; i++)
        if (suite->devices[i].failure[0]) {
            kiln_text_append(html, "<p><span class=\"bad\">");
            kiln_html_text(html, suite->devices[i].name);
            kiln_text_append(html, ": ");
            kiln_html_text(html, suite->devices[i].failure);
            kiln_text_append(html, "</span></p>\n");
        }
}

/* True if the machine was never quiet while an entry was measured. */
static bool any_disturbed(const struct kiln_suite *suite)
{
    for (size_t i = 0; i < suite->n_ops; i++)
        if (suite->ops[i].times.disturbed)
            return true;
    for (size_t i = 0; i < suite->n_models; i++)
        if (suite->models[i].step.disturbed || suite->models[i].sample.disturbed)
            return true;
    return false;
}

static void write_models(const struct kiln_suite *suite, struct kiln_text *html)
{
    kiln_html_heading(html, "Models");
    kiln_text_append(html,
                     "<p>Shipped configs as fixed work on built-in pictures. The quality gate "
                     "compares the loss after some steps with the suite's reference.</p>\n");
    kiln_bench_model_bars(suite, html);
    kiln_bench_model_table(suite, KILN_TABLE_HTML, html);
}

static void write_ops(const struct kiln_suite *suite, struct kiln_text *html)
{
    kiln_html_heading(html, "Operations");
    kiln_text_append(html, "<p>Each result was checked against sums in double precision before it "
                           "was timed. Rates count the arithmetic of the direct algorithm.</p>\n");
    for (size_t i = 0; i < suite->n_devices; i++)
        kiln_roofline_chart(suite, &suite->devices[i], html);
    kiln_bench_op_bars(suite, html);
    kiln_bench_op_table(suite, KILN_TABLE_HTML, html);
}

void kiln_report_bench(const struct kiln_suite *suite, struct kiln_text *html)
{
    struct kiln_text subtitle = {0};
    kiln_bench_describe(suite, &subtitle);
    kiln_html_begin(html, "Kiln benchmark", subtitle.data ? subtitle.data : "");
    html->failed = html->failed || subtitle.failed;
    kiln_text_finish(&subtitle);
    kiln_text_append(html, "<div class=\"tiles\">\n");
    write_device_tiles(suite, html);
    kiln_text_append(html, "</div>\n");
    write_failures(suite, html);
    if (any_disturbed(suite))
        kiln_text_append(html,
                         "<p>Disturbed: something else used the machine all the time; the "
                         "best samples are shown, and they are slower than the device.</p>\n");
    if (suite->n_models)
        write_models(suite, html);
    if (suite->n_ops)
        write_ops(suite, html);
    kiln_html_heading(html, "Devices");
    kiln_bench_device_table(suite, KILN_TABLE_HTML, html);
    kiln_html_end(html);
}
