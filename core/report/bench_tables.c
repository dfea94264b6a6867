/* The rows of the benchmark's tables. */
#include "core/report/bench_tables.h"

#include <string.h>

#include "core/report/html.h"

/* A number for people, or nothing: what was not measured is never 0. */
static void number(struct kiln_table *table, double value)
{
    char text[64];
    kiln_table_cell(table, "%s", value > 0 ? kiln_html_number(value, text, sizeof text) : "");
}

static void seconds(struct kiln_table *table, double value)
{
    char text[64];
    kiln_table_cell(table, "%s", value > 0 ? kiln_html_seconds(value, text, sizeof text) : "");
}

static void bytes(struct kiln_table *table, double value)
{
    char text[64];
    kiln_table_cell(table, "%s", value > 0 ? kiln_html_bytes(value, text, sizeof text) : "");
}

/* Median, and the spread from the 10th to the 90th percentile. */
static void times(struct kiln_table *table, const struct kiln_suite_times *t)
{
    char low[64], high[64];
    seconds(table, t->median);
    if (t->n)
        kiln_table_cell(table, "%s – %s", kiln_html_seconds(t->p10, low, sizeof low),
                        kiln_html_seconds(t->p90, high, sizeof high));
    else
        kiln_table_cell(table, "%s", "");
}

static double rate(double amount, double time)
{
    return time > 0 ? amount / time : 0;
}

/* --- devices -------------------------------------------------------------------------------------
 */

void kiln_bench_device_table(const struct kiln_suite *suite, enum kiln_table_form form,
                             struct kiln_text *out)
{
    struct kiln_table table;
    kiln_table_begin(&table, "device|name|driver|#peak GFLOP/s|#memory GB/s|#best cache GB/s|"
                             "#launch|#launch and wait|note");
    for (size_t i = 0; i < suite->n_devices; i++) {
        const struct kiln_suite_device *d = &suite->devices[i];
        double best = 0;
        for (int k = 0; k < d->n_bandwidths; k++)
            if (d->bandwidths[k].bytes_per_second > best)
                best = d->bandwidths[k].bytes_per_second;
        kiln_table_cell(&table, "%s", d->name);
        kiln_table_cell(&table, "%s", d->device);
        kiln_table_cell(&table, "%s%s%s", d->driver, d->driver[0] && d->version[0] ? ", " : "",
                        d->version);
        number(&table, 1e-9 * d->peak_flops);
        number(&table, 1e-9 * kiln_suite_bandwidth_at(d, 1e18));
        number(&table, 1e-9 * best);
        seconds(&table, d->launch_seconds);
        seconds(&table, d->wait_seconds);
        kiln_table_cell(&table, "%s", d->failure);
    }
    kiln_table_show(&table, form, out);
    kiln_table_finish(&table);
}

/* --- operations ----------------------------------------------------------------------------------
 */

const char *kiln_bench_op_note(const struct kiln_suite_op *op)
{
    return op->failure[0] ? op->failure : op->times.disturbed ? "disturbed" : "";
}

void kiln_bench_op_table(const struct kiln_suite *suite, enum kiln_table_form form,
                         struct kiln_text *out)
{
    struct kiln_table table;
    kiln_table_begin(&table, "operation|device|algorithm|layout|#median|#p10 – p90|#GFLOP/s|#GB/s|"
                             "#% of peak|note");
    for (size_t i = 0; i < suite->n_ops; i++) {
        const struct kiln_suite_op *op = &suite->ops[i];
        const struct kiln_suite_device *device = kiln_suite_find_device(suite, op->device);
        bool again = i > 0 && !strcmp(op->name, suite->ops[i - 1].name);
        double limit = device ? kiln_suite_limit(device, op) : 0;
        kiln_table_cell(&table, "%s", again && form == KILN_TABLE_PLAIN ? "" : op->name);
        kiln_table_cell(&table, "%s", op->device);
        kiln_table_cell(&table, "%s", op->algorithm);
        kiln_table_cell(&table, "%s", op->layout);
        times(&table, &op->times);
        number(&table, 1e-9 * rate(op->flops, op->times.median));
        number(&table, 1e-9 * rate(op->bytes, op->times.median));
        if (op->times.n && limit > 0)
            kiln_table_cell(&table, "%.0f", 100 * limit / op->times.median);
        else
            kiln_table_cell(&table, "%s", "");
        kiln_table_cell(&table, "%s", kiln_bench_op_note(op));
    }
    if (suite->n_ops)
        kiln_table_show(&table, form, out);
    kiln_table_finish(&table);
}

/* --- models
 * ---------------------------------------------------------------------------------------- */

static void gate(struct kiln_table *table, const struct kiln_suite_model *model)
{
    if (model->loss == 0)
        kiln_table_cell(table, "%s", "");
    else if (model->reference == 0)
        kiln_table_cell(table, "loss %.4g", model->loss);
    else
        kiln_table_cell(table, "%s, loss %.4g of %.4g", model->gate_passed ? "good" : "BAD",
                        model->loss, model->reference);
}

static void model_row(struct kiln_table *table, const struct kiln_suite_model *m)
{
    kiln_table_cell(table, "%s", m->name);
    kiln_table_cell(table, "%s", m->device);
    times(table, &m->step);
    number(table, rate(1, m->step.median));
    number(table, rate((double)m->images_per_step, m->step.median));
    number(table, rate((double)m->n_samples, m->sample.median));
    bytes(table, (double)m->device_bytes);
    bytes(table, (double)m->memory_bytes);
    seconds(table, m->cold_seconds);
    seconds(table, m->warm_seconds);
    gate(table, m);
    kiln_table_cell(table, "%s%s%s%s", m->failure, m->failure[0] && m->start_failure[0] ? "; " : "",
                    m->start_failure,
                    !m->failure[0] && (m->step.disturbed || m->sample.disturbed) ? "disturbed"
                                                                                 : "");
}

void kiln_bench_model_table(const struct kiln_suite *suite, enum kiln_table_form form,
                            struct kiln_text *out)
{
    struct kiln_table table;
    kiln_table_begin(&table,
                     "model|device|#step|#p10 – p90|#steps/s|#images/s|#samples/s|#device memory|"
                     "#process|#cold start|#warm start|quality gate|note");
    for (size_t i = 0; i < suite->n_models; i++)
        model_row(&table, &suite->models[i]);
    if (suite->n_models)
        kiln_table_show(&table, form, out);
    kiln_table_finish(&table);
}

/* --- all of it
 * --------------------------------------------------------------------------------------- */

void kiln_bench_describe(const struct kiln_suite *suite, struct kiln_text *out)
{
    char memory[32];
    kiln_text_append(out, "kiln %s, suite %d, %s%s%s%s\n", suite->kiln, suite->version,
                     suite->started, suite->quick ? ", quick" : "",
                     suite->tuned ? "" : ", algorithms not measured",
                     suite->round_products ? ", matmul precision medium" : "");
    kiln_text_append(out, "%s, %d cores, %s, %s", suite->host, suite->host_cores,
                     kiln_html_bytes((double)suite->host_memory_bytes, memory, sizeof memory),
                     suite->system);
    if (suite->host_clock_mhz)
        kiln_text_append(out, ", %d MHz", suite->host_clock_mhz);
    if (suite->governor[0])
        kiln_text_append(out, ", governor %s", suite->governor);
}

void kiln_bench_show(const struct kiln_suite *suite, enum kiln_table_form form,
                     struct kiln_text *out)
{
    kiln_bench_describe(suite, out);
    kiln_text_append(out, "\n\n");
    kiln_bench_device_table(suite, form, out);
    if (suite->n_ops)
        kiln_text_append(out, "\n");
    kiln_bench_op_table(suite, form, out);
    if (suite->n_models)
        kiln_text_append(out, "\n");
    kiln_bench_model_table(suite, form, out);
    if (out->length && out->data[out->length - 1] == '\n')
        out->data[--out->length] = '\0'; /* the printer adds it */
}

void kiln_bench_show_comparison(const struct kiln_suite_comparison *comparison,
                                enum kiln_table_form form, struct kiln_text *out)
{
    struct kiln_table table;
    kiln_table_begin(&table, "entry|device|#before|#after|#ratio|note");
    for (size_t i = 0; i < comparison->n; i++) {
        const struct kiln_suite_pair *pair = &comparison->pairs[i];
        kiln_table_cell(&table, "%s", pair->name);
        kiln_table_cell(&table, "%s", pair->device);
        seconds(&table, pair->before);
        seconds(&table, pair->after);
        if (pair->ratio > 0)
            kiln_table_cell(&table, "%.3f", pair->ratio);
        else
            kiln_table_cell(&table, "%s", "");
        kiln_table_cell(&table, "%s%s%s", pair->slower ? "SLOWER" : "",
                        pair->slower && pair->note[0] ? ": " : "", pair->note);
    }
    kiln_table_show(&table, form, out);
    kiln_table_finish(&table);
    if (comparison->mean_ratio > 0)
        kiln_text_append(out, "\ngeometric mean of after over before: %.3f",
                         comparison->mean_ratio);
}
