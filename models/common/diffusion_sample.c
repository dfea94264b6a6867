/* Sampling a diffusion model: one graph step driven by a sampler's table. */
#include <stdlib.h>
#include <string.h>

#include "models/common/diffusion.h"
#include "models/common/sampling.h"
#include "models/common/thresholding.h"

const char *const diffusion_samplers[] = {
    "ddim", "ddpm", "dpmpp_2m", "heun", "euler", "euler_ancestral", "pndm", NULL,
};

enum { DEFAULT_STEPS = 50 };

static bool is_one_of(const char *name, const char *const *names)
{
    while (*names && strcmp(name, *names))
        names++;
    return *names != NULL;
}

/* Samplers that clip, and that threshold, as diffusers' do. */
static const char *const clipping[] = {"ddpm", "ddim", NULL};
static const char *const thresholding[] = {"ddpm", "ddim", "dpmpp_2m", NULL};

static enum kiln_status make_table(const struct diffusion *d,
                                   const struct kiln_sample_request *request,
                                   struct sampler_table *table, struct kiln_error *error)
{
    const char *name = sampling_name(request, diffusion_samplers);
    int kind = sampler_find(name);
    if (d->threshold_ratio > 0 && !is_one_of(name, thresholding))
        return kiln_fail(error, KILN_INPUT,
                         "[scheduler] thresholding: sampler %s has none (ddpm, ddim, dpmpp_2m)",
                         name);
    if (kind < 0)
        return kiln_fail(error, KILN_INPUT, "[sample] sampler: '%s' is not a diffusion sampler",
                         name);
    struct sampler_options options = d->sampling;
    options.kind = (enum sampler_kind)kind;
    options.eta = request->eta;
    options.noise_scale = request->noise_scale;
    options.steps = request->steps;
    if (!options.steps)
        options.steps =
            kind == SAMPLER_DDPM || d->schedule.n < DEFAULT_STEPS ? d->schedule.n : DEFAULT_STEPS;
    return sampler_table_init(table, &d->schedule, &options, error);
}

enum kiln_status diffusion_sample_plan(void *model, const struct kiln_sample_request *request,
                                       struct kiln_sample_plan *plan, struct kiln_error *error)
{
    const struct diffusion *d = model;
    struct sampler_table table;
    enum kiln_status status = make_table(d, request, &table, error);
    if (status)
        return status;
    struct kiln_shape shape =
        KILN_SHAPE(request->batch, d->data.channels, d->data.height, d->data.width);
    *plan = (struct kiln_sample_plan){
        .noise = shape,
        .n_carried = 1 + table.n_history,
        .n_iterations = table.n_rows,
        .n_coefficients = table.row_words,
        .coefficients = table.rows, /* now the caller's */
    };
    for (int k = 0; k < plan->n_carried; k++)
        plan->carried[k] = shape;
    return KILN_OK;
}

void diffusion_sample_start(void *model, kiln_graph *g, const struct kiln_sample_request *request,
                            kiln_node noise, kiln_node *carried)
{
    const struct diffusion *d = model;
    struct sampler_table table;
    struct kiln_error error;
    if (make_table(d, request, &table, &error)) {
        kiln_graph_fail(g, "%s", error.text);
        return;
    }
    carried[0] = kiln_mul_scalar(g, noise, table.init_scale);
    for (int k = 0; k < table.n_history; k++)
        carried[1 + k] = kiln_full(g, kiln_shape(g, noise), 0);
    sampler_table_finish(&table);
}

/* a x + b out with the row's words a and b */
static kiln_node combine(kiln_graph *g, kiln_node row, int a, kiln_node x, int b, kiln_node out)
{
    return kiln_add(g, kiln_mul(g, sampling_word(g, row, a, x), x),
                    kiln_mul(g, sampling_word(g, row, b, x), out));
}

/* True if any iteration uses the word. */
static bool used(const struct sampler_table *table, int index)
{
    for (int i = 0; i < table->n_rows; i++)
        if (table->rows[(size_t)i * table->row_words + index] != 0)
            return true;
    return false;
}

static kiln_node next_value(const struct sampler_table *table, kiln_graph *g, int k, kiln_node row,
                            const kiln_node *sources)
{
    kiln_node sum = 0;
    for (int s = 0; s < SOURCE_H + table->n_history; s++) {
        int index = sampler_row_index(table, k, s);
        if (!used(table, index))
            continue;
        kiln_node term = kiln_mul(g, sampling_word(g, row, index, sources[s]), sources[s]);
        sum = sum ? kiln_add(g, sum, term) : term;
    }
    return sum ? sum : kiln_full(g, kiln_shape(g, sources[SOURCE_X]), 0);
}

/* The network's output, guided if it takes a label. */
static kiln_node guided_network(const struct diffusion *d, kiln_graph *g, kiln_node x, kiln_node t,
                                kiln_node label, double guidance)
{
    if (!d->null_label)
        return d->network(d, g, x, t, 0, false);
    int64_t n = kiln_shape(g, x).d[0];
    kiln_node null = diffusion_null_label(d, g, n);
    if (!label || guidance == 1)
        return d->network(d, g, x, t, label ? label : null, false);
    kiln_node twice_x = kiln_concat(g, 2, (const kiln_node[]){x, x}, 0);
    kiln_node twice_t = kiln_concat(g, 2, (const kiln_node[]){t, t}, 0);
    kiln_node labels = kiln_concat(g, 2, (const kiln_node[]){label, null}, 0);
    kiln_node out = d->network(d, g, twice_x, twice_t, labels, false);
    kiln_node on_label = kiln_narrow(g, out, 0, 0, n), on_null = kiln_narrow(g, out, 0, n, n);
    return kiln_add(g, on_null, kiln_mul_scalar(g, kiln_sub(g, on_label, on_null), guidance));
}

/* From the network's range to 0..1. */
static kiln_node to_pictures(const struct diffusion *d, kiln_graph *g, kiln_node x)
{
    return d->unit_range ? x : kiln_add_scalar(g, kiln_mul_scalar(g, x, 0.5), 0.5);
}

/* The predicted picture within the configured limits. */
static kiln_node limited(const struct diffusion *d, kiln_graph *g,
                         const struct kiln_sample_request *request, kiln_node x0)
{
    const char *name = sampling_name(request, diffusion_samplers);
    if (d->threshold_ratio > 0 && is_one_of(name, thresholding))
        return dynamic_threshold(g, x0, d->threshold_ratio, d->sample_max_value);
    return d->clip > 0 && is_one_of(name, clipping) ? kiln_clamp(g, x0, -d->clip, d->clip) : x0;
}

void diffusion_sample_step(void *model, kiln_graph *g, const struct kiln_sample_request *request,
                           const kiln_node *carried, kiln_node row, kiln_node label,
                           kiln_node *next)
{
    const struct diffusion *d = model;
    struct sampler_table table;
    struct kiln_error error;
    if (make_table(d, request, &table, &error)) {
        kiln_graph_fail(g, "%s", error.text);
        return;
    }
    kiln_node x = carried[0];
    kiln_node t = kiln_expand(g, kiln_narrow(g, row, 0, ROW_T, 1), KILN_SHAPE(request->batch));
    kiln_node in = kiln_mul(g, x, sampling_word(g, row, ROW_IN_SCALE, x));
    kiln_node out = guided_network(d, g, in, t, label, request->guidance);
    kiln_graph_label(g, "sampler");
    kiln_node x0 = combine(g, row, ROW_X0_X, x, ROW_X0_OUT, out);
    x0 = limited(d, g, request, x0);
    kiln_node sources[SOURCE_H + SAMPLER_MAX_HISTORY] = {
        [SOURCE_X] = x,
        [SOURCE_X0] = x0,
        [SOURCE_E] = combine(g, row, ROW_E_X, x, ROW_E_OUT, out),
        [SOURCE_Z] = sampling_noise(g, request, x, STREAM_SAMPLER),
    };
    for (int k = 0; k < table.n_history; k++)
        sources[SOURCE_H + k] = carried[1 + k];
    for (int k = 0; k <= table.n_history; k++)
        next[k] = next_value(&table, g, k, row, sources);
    if (request->preview)
        kiln_graph_output(g, "preview", to_pictures(d, g, x0));
    kiln_graph_label(g, "");
    sampler_table_finish(&table);
}

kiln_node diffusion_sample_finish(void *model, kiln_graph *g,
                                  const struct kiln_sample_request *request,
                                  const kiln_node *carried, kiln_node label)
{
    const struct diffusion *d = model;
    (void)request, (void)label;
    return to_pictures(d, g, carried[0]);
}

kiln_node diffusion_sample_noised(void *model, kiln_graph *g,
                                  const struct kiln_sample_request *request, kiln_node row,
                                  kiln_node pictures)
{
    const struct diffusion *d = model;
    if (!d->unit_range)
        pictures = kiln_add_scalar(g, kiln_mul_scalar(g, pictures, 2), -1);
    return sampling_noised(g, request, pictures, sampling_word(g, row, ROW_SIGNAL, pictures),
                           sampling_word(g, row, ROW_NOISE, pictures));
}
