/*
 * Study manifold: score matching without denoising (Hyvarinen 2005), exact and
 * sliced (Song et al. 2019), on points of a circle. A density on a curve has no
 * score off it, and the loss falls without end; a little noise mends that.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "models/ncsn/ncsn.h"
#include "models/ncsn/study_field.h"

enum { EXACT_CLEAN, SLICED_CLEAN, EXACT_NOISY, SLICED_NOISY, TRIALS };
enum { STREAM_ANGLE = 1, STREAM_NOISE, STREAM_SLICE };

static const char *const names[TRIALS] = {"exact, no noise", "sliced, no noise", "exact, noise",
                                          "sliced, noise"};
static const double reach = 1.6; /* of the square that is drawn */

struct kind {
    bool sliced;
    double sigma; /* of the noise on the circle's points */
    int64_t width;
};

struct study {
    struct kind kinds[TRIALS];
    double sigma;
    int64_t steps;
    float field[2 * FIELD_POINTS];
};

/* --- the model ------------------------------------------------------------------ */

static kiln_node network(const struct kind *kind, kiln_graph *g, kiln_node x)
{
    x = kiln_silu(g, kiln_linear(g, "layers.0", x, kind->width, true));
    x = kiln_silu(g, kiln_linear(g, "layers.1", x, kind->width, true));
    return kiln_linear(g, "layers.2", x, 2, true);
}

/* Points of the unit circle with noise. */
static kiln_node circle(const struct kind *kind, kiln_graph *g, int64_t n)
{
    const struct kiln_rng angles = {.kind = KILN_RNG_UNIFORM, .stream = STREAM_ANGLE},
                          normal = {.kind = KILN_RNG_NORMAL, .stream = STREAM_NOISE};
    kiln_node angle =
        kiln_mul_scalar(g, kiln_random(g, KILN_SHAPE(n, 1), angles), 6.283185307179586);
    kiln_node x = kiln_concat(g, 2, (const kiln_node[]){kiln_cos(g, angle), kiln_sin(g, angle)}, 1);
    if (kind->sigma == 0)
        return x;
    return kiln_add(g, x,
                    kiln_mul_scalar(g, kiln_random(g, KILN_SHAPE(n, 2), normal), kind->sigma));
}

/* The trace of the score's Jacobian, one row of it at a time. f32 [n, 1] */
static kiln_node exact_trace(kiln_graph *g, kiln_node score, kiln_node x)
{
    kiln_node trace = 0;
    for (int i = 0; i < 2; i++) {
        kiln_node row, element;
        kiln_grad(g, kiln_narrow(g, score, 1, i, 1), 1, &x, &row);
        element = kiln_narrow(g, row, 1, i, 1);
        trace = i ? kiln_add(g, trace, element) : element;
    }
    return trace;
}

/* v^T J v of a random direction v, whose mean is the trace. f32 [n, 1] */
static kiln_node sliced_trace(kiln_graph *g, kiln_node score, kiln_node x)
{
    const struct kiln_rng normal = {.kind = KILN_RNG_NORMAL, .stream = STREAM_SLICE};
    kiln_node v = kiln_random(g, kiln_shape(g, x), normal), product;
    kiln_grad(g, kiln_mul(g, v, score), 1, &x, &product);
    return kiln_reduce_sum(g, kiln_mul(g, v, product), 1u << 1);
}

/* mean (tr J + ||s||^2 / 2): Hyvarinen 2005, eq. 4 */
static void loss(void *user, kiln_graph *g, int phase, const struct kiln_batch *batch,
                 struct kiln_loss *out)
{
    const struct kind *kind = user;
    (void)phase;
    kiln_node x = circle(kind, g, batch->size);
    kiln_node score = network(kind, g, x);
    kiln_node trace = kind->sliced ? sliced_trace(g, score, x) : exact_trace(g, score, x);
    kiln_node norm = kiln_mul_scalar(g, kiln_sum_per_sample(g, kiln_square(g, score)), 0.5);
    out->loss = kiln_add(g, kiln_mean_all(g, trace), kiln_mean_all(g, norm));
}

static int phases(void *user, struct kiln_phase out[KILN_MAX_PHASES])
{
    (void)user;
    out[0] = (struct kiln_phase){.name = "score", .group = "", .repeats = 1};
    return 1;
}

static const struct kiln_model model = {
    .abi = KILN_MODEL_ABI,
    .size = sizeof model,
    .name = "ncsn",
    .phases = phases,
    .loss = loss,
};

/* --- trials ------------------------------------------------------------------------ */

static enum kiln_status create(const kiln_config *config, const struct kiln_data_info *info,
                               void **out, struct kiln_error *error)
{
    struct study *study = calloc(1, sizeof *study);
    (void)info;
    if (!study)
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    study->sigma = kiln_config_float(config, "study", "sigma");
    study->steps = kiln_config_int(config, "train", "steps");
    if (study->steps < 30) {
        free(study);
        return kiln_fail(error, KILN_INPUT, "[train] steps: the study manifold needs at least 30");
    }
    for (int i = 0; i < TRIALS; i++)
        study->kinds[i] = (struct kind){
            .sliced = i == SLICED_CLEAN || i == SLICED_NOISY,
            .sigma = i == EXACT_NOISY || i == SLICED_NOISY ? study->sigma : 0,
            .width = kiln_config_int(config, "network", "ngf"),
        };
    field_grid(-reach, reach, study->field);
    *out = study;
    return KILN_OK;
}

static int trials(void *user)
{
    (void)user;
    return TRIALS;
}

static kiln_node probe(void *user, kiln_graph *g, int which, kiln_node x)
{
    (void)which;
    return network(user, g, x);
}

static enum kiln_status trial(void *user, int i, const struct kiln_trial_result *before,
                              struct kiln_trial *out, struct kiln_error *error)
{
    struct study *study = user;
    (void)before, (void)error;
    *out = (struct kiln_trial){
        .name = names[i],
        .model = &model,
        .state = &study->kinds[i],
        .steps = study->steps,
        .n_probes = 1,
        .probes = {{KILN_SHAPE(FIELD_POINTS, 2), study->field, 0}},
        .probe = probe,
    };
    return KILN_OK;
}

/* --- report ------------------------------------------------------------------------- */

/* Mean loss of the last twentieth before a share of the training. */
static double loss_at(const struct kiln_trial_result *result, double share)
{
    int64_t end = llround(share * (double)result->n_steps), width = result->n_steps / 20;
    width = width > 0 ? width : 1;
    double sum = 0;
    for (int64_t i = end - width; i < end; i++)
        sum += result->curve[i * result->n_values];
    return sum / (double)width;
}

/* What the noisy loss comes to: on a thin shell the score is that of a normal
 * of one dimension, whose loss is -1 / (2 sigma^2). */
static double settled(const struct study *study)
{
    return -1 / (2 * study->sigma * study->sigma);
}

static void write_table(const struct study *study, const struct kiln_trial_result *results,
                        kiln_report *report)
{
    kiln_report_table(report, "loss");
    for (int i = 0; i < TRIALS; i++) {
        double before = loss_at(&results[i], 2.0 / 3), end = loss_at(&results[i], 1);
        kiln_report_value(report, names[i], "at 1/3", loss_at(&results[i], 1.0 / 3));
        kiln_report_value(report, names[i], "at 2/3", before);
        kiln_report_value(report, names[i], "at the end", end);
        kiln_report_value(report, names[i], "change", fabs(end - before) / fabs(before));
        kiln_report_value(report, names[i], "expected",
                          study->kinds[i].sigma > 0 ? settled(study) : -INFINITY);
    }
}

enum { CURVE = 150 };

/* Points [CURVE, 2] of step and mean loss of its neighbourhood. */
static void smooth(const struct kiln_trial_result *result, float *points)
{
    for (int i = 0; i < CURVE; i++) {
        int64_t first = result->n_steps * i / CURVE, end = result->n_steps * (i + 1) / CURVE;
        double sum = 0;
        end = end > first ? end : first + 1;
        for (int64_t k = first; k < end; k++)
            sum += result->curve[k * result->n_values];
        points[2 * i] = (float)(0.5 * (double)(first + end));
        points[2 * i + 1] = (float)(sum / (double)(end - first));
    }
}

static void draw_losses(const struct study *study, const struct kiln_trial_result *results,
                        int exact, const char *title, kiln_report *report)
{
    float curves[2][2 * CURVE];
    float line[] = {0, (float)settled(study), (float)study->steps, (float)settled(study)};
    smooth(&results[exact], curves[0]);
    smooth(&results[exact + 1], curves[1]);
    const struct kiln_series series[] = {
        {.mark = KILN_MARK_LINE,
         .colour = KILN_COLOUR_ORANGE,
         .name = "sliced",
         .n = CURVE,
         .data = curves[1]},
        {.mark = KILN_MARK_LINE,
         .colour = KILN_COLOUR_BLUE,
         .name = "exact",
         .n = CURVE,
         .data = curves[0]},
        {.mark = KILN_MARK_LINE,
         .colour = KILN_COLOUR_GREY,
         .name = "-1 / (2 sigma^2)",
         .dashed = true,
         .n = 2,
         .data = line},
    };
    bool noisy = study->kinds[exact].sigma > 0;
    kiln_report_panel(report, &(struct kiln_panel){.title = title,
                                                   .x_label = "training step",
                                                   .y_label = "loss",
                                                   .y_min = noisy ? 1.5 * settled(study) : 0,
                                                   .y_max = noisy ? -0.3 * settled(study) : 0,
                                                   .n_series = noisy ? 3 : 2,
                                                   .series = series});
}

static void draw_field(const struct study *study, const struct kiln_trial_result *result,
                       const char *title, kiln_report *report)
{
    enum { RING = 121 };
    const float *score = result->probes[0].values;
    float arrows[4 * FIELD_POINTS], ring[2 * RING];
    double mean = 0;
    for (int i = 0; i < FIELD_POINTS; i++)
        mean += hypot(score[2 * i], score[2 * i + 1]) / FIELD_POINTS;
    for (int i = 0; i < RING; i++) {
        ring[2 * i] = (float)cos(6.283185307179586 * i / (RING - 1));
        ring[2 * i + 1] = (float)sin(6.283185307179586 * i / (RING - 1));
    }
    field_arrows(-reach, reach, study->field, score, mean, arrows);
    char label[64];
    snprintf(label, sizeof label, "mean length of arrows: %.0f", mean);
    const struct kiln_series series[] = {
        {.mark = KILN_MARK_LINE, .colour = KILN_COLOUR_ORANGE, .size = 3, .n = RING, .data = ring},
        {.mark = KILN_MARK_ARROWS, .colour = KILN_COLOUR_BLUE, .n = FIELD_POINTS, .data = arrows},
    };
    kiln_report_panel(report, &(struct kiln_panel){.title = title,
                                                   .x_label = label,
                                                   .x_min = -reach,
                                                   .x_max = reach,
                                                   .y_min = -reach,
                                                   .y_max = reach,
                                                   .equal = true,
                                                   .n_series = 2,
                                                   .series = series});
}

static enum kiln_status report(void *user, const struct kiln_trial_result *results,
                               kiln_report *report, struct kiln_error *error)
{
    const struct study *study = user;
    char noisy[64], field[64];
    (void)error;
    snprintf(noisy, sizeof noisy, "noise %g: it settles", study->sigma);
    snprintf(field, sizeof field, "score, exact, noise %g", study->sigma);
    write_table(study, results, report);
    kiln_report_columns(report, 2);
    draw_losses(study, results, EXACT_CLEAN, "no noise: the loss falls on", report);
    draw_losses(study, results, EXACT_NOISY, noisy, report);
    draw_field(study, &results[EXACT_CLEAN], "score, exact, no noise", report);
    draw_field(study, &results[EXACT_NOISY], field, report);
    return KILN_OK;
}

const struct kiln_study ncsn_study_manifold = {
    .size = sizeof ncsn_study_manifold,
    .name = "manifold",
    .summary = "score matching on a curve has no end without noise, and one with it",
    .create = create,
    .destroy = free,
    .trials = trials,
    .trial = trial,
    .report = report,
};
