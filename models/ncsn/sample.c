/* Sampling by Langevin dynamics: annealed, plain, and predictor-corrector. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/common/sampling.h"
#include "models/ncsn/ncsn.h"

enum { STREAM_SAMPLER = 3 };

const char *const ncsn_samplers[] = {"ald", "pc", "langevin", NULL};

/* Words of an iteration: x += step * score + noise * z; a corrector takes its
 * step from the norms instead. */
enum { ROW_LEVEL, ROW_SIGMA, ROW_STEP, ROW_NOISE, ROW_CORRECTOR, ROW_WORDS };

static float *add_row(float *row, double level, double sigma, double step, double noise,
                      bool corrector)
{
    row[ROW_LEVEL] = (float)level;
    row[ROW_SIGMA] = (float)sigma;
    row[ROW_STEP] = (float)step;
    row[ROW_NOISE] = (float)noise;
    row[ROW_CORRECTOR] = corrector;
    return row + ROW_WORDS;
}

/* Song & Ermon 2020, algorithm 1. */
static float *fill_annealed(const struct ncsn *net, const struct kiln_sample_request *request,
                            int steps, float *row)
{
    const struct ladder *ladder = &net->ladder;
    double last = ladder_sigma(ladder, ladder->num_scales - 1);
    for (int i = 0; i < ladder->num_scales; i++) {
        double sigma = ladder_sigma(ladder, i),
               step = ladder->step_size * (sigma / last) * (sigma / last);
        for (int t = 0; t < steps; t++)
            row = add_row(row, i, sigma, step, request->noise_scale * sqrt(2 * step), false);
    }
    return row;
}

/* Song et al. 2021, algorithm 2 with the VE ancestral predictor. */
static float *fill_predictor_corrector(const struct ncsn *net,
                                       const struct kiln_sample_request *request, int steps,
                                       float *row)
{
    const struct ladder *ladder = &net->ladder;
    for (int i = 0; i < ladder->num_scales; i++) {
        double sigma = ladder_sigma(ladder, i);
        double next = i + 1 < ladder->num_scales ? ladder_sigma(ladder, i + 1) : 0;
        for (int t = 0; t < steps; t++)
            row = add_row(row, i, sigma, 0, 0, true);
        double change = sigma * sigma - next * next;
        row = add_row(row, i, sigma, change,
                      request->noise_scale * sqrt(next * next * change) / sigma, false);
    }
    return row;
}

/* Plain Langevin dynamics at one level. */
static float *fill_langevin(const struct ncsn *net, const struct kiln_sample_request *request,
                            int steps, float *row)
{
    int last = net->ladder.num_scales - 1;
    double step = net->langevin_step_size;
    for (int t = 0; t < steps; t++)
        row = add_row(row, last, net->langevin_sigma, step, request->noise_scale * sqrt(2 * step),
                      false);
    return row;
}

enum kiln_status ncsn_sample_plan(void *model, const struct kiln_sample_request *request,
                                  struct kiln_sample_plan *plan, struct kiln_error *error)
{
    const struct ncsn *net = model;
    const char *name = sampling_name(request, ncsn_samplers);
    bool annealed = !strcmp(name, "ald"), pc = !strcmp(name, "pc");
    int steps = request->steps;
    if (!steps)
        steps = annealed ? net->ladder.steps_per_scale : pc ? 1 : net->langevin_steps;
    int64_t rows = annealed ? (int64_t)net->ladder.num_scales * steps
                   : pc     ? (int64_t)net->ladder.num_scales * (steps + 1)
                            : steps;
    if (rows > 10000000)
        return kiln_fail(error, KILN_INPUT, "[sample] steps: %d make %lld evaluations", steps,
                         (long long)rows);
    struct kiln_shape shape = net->data.points ? KILN_SHAPE(request->batch, 2)
                                               : KILN_SHAPE(request->batch, net->data.channels,
                                                            net->data.height, net->data.width);
    float *table = malloc((size_t)(rows + 1) * ROW_WORDS * sizeof *table), *end = table;
    if (!table)
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    end = annealed ? fill_annealed(net, request, steps, end)
          : pc     ? fill_predictor_corrector(net, request, steps, end)
                   : fill_langevin(net, request, steps, end);
    if (net->denoise && !pc) { /* technique of Jolicoeur-Martineau et al. 2021 */
        int last = net->ladder.num_scales - 1;
        double sigma = annealed ? ladder_sigma(&net->ladder, last) : net->langevin_sigma;
        end = add_row(end, last, sigma, sigma * sigma, 0, false);
    }
    *plan = (struct kiln_sample_plan){
        .noise = shape,
        .uniform_noise = true,
        .n_carried = 1,
        .carried = {shape},
        .n_iterations = (int)((end - table) / ROW_WORDS),
        .n_coefficients = ROW_WORDS,
        .coefficients = table,
    };
    return KILN_OK;
}

void ncsn_sample_start(void *model, kiln_graph *g, const struct kiln_sample_request *request,
                       kiln_node noise, kiln_node *carried)
{
    const struct ncsn *net = model;
    (void)request;
    if (net->data.points) /* over the square in which the largest noise lives */
        noise = kiln_mul_scalar(g, kiln_add_scalar(g, noise, -0.5), 2 * net->ladder.sigma_begin);
    carried[0] = noise;
}

/* A word of the row for every sample, f32 [batch]. */
static kiln_node word(kiln_graph *g, kiln_node row, int index, int64_t batch)
{
    return kiln_expand(g, kiln_narrow(g, row, 0, index, 1), KILN_SHAPE(batch));
}

/* Langevin's step from the norms of each sample: 2 (snr ||z|| / ||s||)^2. */
static kiln_node corrector_step(const struct ncsn *net, kiln_graph *g, kiln_node score, kiln_node z)
{
    kiln_node ratio =
        kiln_div(g, kiln_sum_per_sample(g, kiln_square(g, z)),
                 kiln_add_scalar(g, kiln_sum_per_sample(g, kiln_square(g, score)), 1e-20));
    return kiln_mul_scalar(g, ratio, 2 * net->snr * net->snr);
}

void ncsn_sample_step(void *model, kiln_graph *g, const struct kiln_sample_request *request,
                      const kiln_node *carried, kiln_node row, kiln_node label, kiln_node *next)
{
    const struct ncsn *net = model;
    (void)label;
    kiln_node x = carried[0];
    int64_t n = request->batch;
    kiln_node level = kiln_cast(g, word(g, row, ROW_LEVEL, n), KILN_I32);
    kiln_node sigma = word(g, row, ROW_SIGMA, n);
    kiln_node score = ncsn_score(net, g, x, level, sigma, false);
    kiln_node z = sampling_noise(g, request, x, STREAM_SAMPLER);
    kiln_graph_label(g, "sampler");
    kiln_node step = word(g, row, ROW_STEP, n), noise = word(g, row, ROW_NOISE, n);
    if (!strcmp(sampling_name(request, ncsn_samplers), "pc")) {
        kiln_node corrects = word(g, row, ROW_CORRECTOR, n);
        kiln_node own = corrector_step(net, g, score, z);
        step = kiln_select(g, corrects, own, step);
        noise = kiln_select(
            g, corrects,
            kiln_mul_scalar(g, kiln_sqrt(g, kiln_mul_scalar(g, own, 2)), request->noise_scale),
            noise);
    }
    kiln_node moved = kiln_add(g, x, kiln_mul(g, sampling_per_sample(g, step, x), score));
    next[0] = kiln_add(g, moved, kiln_mul(g, sampling_per_sample(g, noise, x), z));
    if (request->preview) { /* Tweedie's formula */
        kiln_node variance = sampling_per_sample(g, kiln_square(g, sigma), x);
        kiln_graph_output(g, "preview", kiln_add(g, x, kiln_mul(g, variance, score)));
    }
    kiln_graph_label(g, "");
}

kiln_node ncsn_sample_finish(void *model, kiln_graph *g, const struct kiln_sample_request *request,
                             const kiln_node *carried, kiln_node label)
{
    (void)model, (void)g, (void)request, (void)label;
    return carried[0];
}

kiln_node ncsn_sample_noised(void *model, kiln_graph *g, const struct kiln_sample_request *request,
                             kiln_node row, kiln_node pictures)
{
    (void)model;
    return sampling_noised(g, request, pictures, kiln_scalar(g, 1),
                           sampling_word(g, row, ROW_SIGMA, pictures));
}
