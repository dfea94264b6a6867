/*
 * Study divergence: two narrow normals are moved apart. KL and its gradient
 * grow, JS saturates and its gradient vanishes, the Wasserstein distance and a
 * trained critic grow in proportion (Arjovsky et al. 2017, section 2).
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "models/wgan/divergence.h"
#include "models/wgan/wgan.h"

enum { STREAM_REAL = 1, STREAM_FAKE, STREAM_SHARE };
enum { MAX_DISTANCES = 16, GRID = 512, CURVE = 121 };

/* The weights that are compared: WGAN-GP's own, and one that shows the true
 * distance. */
static const double usual_weight = 10, large_weight = 1000;

/* A critic between a pair. Positions are divided by scale before it sees them. */
struct contest {
    char name[64];
    struct normal_pair pair;
    double scale, gp_weight;
    int64_t width;
    float positions[GRID], inputs[GRID];
};

struct study {
    int n; /* distances */
    double distances[MAX_DISTANCES], sigma;
    int64_t steps;
    /* for each distance with gp_weight and scaled positions, then with the
     * usual weight and positions as they are; last two of N(0,1) and N(3,1) */
    struct contest contests[2 * MAX_DISTANCES + 2];
};

static const struct normal_pair unit_pair = {.sigma = 1, .distance = 3};

/* --- the model ------------------------------------------------------------------ */

static kiln_node critic(const struct contest *contest, kiln_graph *g, kiln_node x)
{
    x = kiln_silu(g, kiln_linear(g, "critic.layers.0", x, contest->width, true));
    x = kiln_silu(g, kiln_linear(g, "critic.layers.1", x, contest->width, true));
    /* A slope of 0 first: a large penalty would hold a wrong sign for ever. */
    kiln_node weight = kiln_parameter(g, "critic.layers.2.weight", KILN_SHAPE(1, contest->width),
                                      (struct kiln_init){KILN_INIT_CONSTANT, 0, 0});
    return kiln_matmul(g, x, weight, false, true);
}

/* [n, 1] of N(mean, sigma^2), in units of scale. Numbers of the trial are data,
 * not code, so that all trials share their kernels. */
static kiln_node draw(const struct contest *contest, kiln_graph *g, int64_t n, double mean,
                      uint32_t stream)
{
    const struct kiln_rng normal = {.kind = KILN_RNG_NORMAL, .stream = stream};
    const float shift = (float)(mean / contest->scale),
                spread = (float)(contest->pair.sigma / contest->scale);
    kiln_node z = kiln_mul(g, kiln_random(g, KILN_SHAPE(n, 1), normal),
                           kiln_constant(g, KILN_F32, KILN_SHAPE(1, 1), &spread));
    return kiln_add(g, z, kiln_constant(g, KILN_F32, KILN_SHAPE(1, 1), &shift));
}

static void loss(void *user, kiln_graph *g, int phase, const struct kiln_batch *batch,
                 struct kiln_loss *out)
{
    const struct contest *contest = user;
    const struct kiln_rng uniform = {.kind = KILN_RNG_UNIFORM, .stream = STREAM_SHARE};
    (void)phase;
    kiln_node real = draw(contest, g, batch->size, contest->pair.distance, STREAM_REAL),
              fake = draw(contest, g, batch->size, 0, STREAM_FAKE);
    kiln_node share = kiln_random(g, KILN_SHAPE(batch->size, 1), uniform);
    kiln_node between = kiln_add(g, real, kiln_mul(g, share, kiln_sub(g, fake, real)));
    kiln_node estimate = kiln_sub(g, kiln_mean_all(g, critic(contest, g, real)),
                                  kiln_mean_all(g, critic(contest, g, fake)));
    kiln_node penalty = wgan_slope_penalty(g, critic(contest, g, between), between);
    out->loss = kiln_sub(g, kiln_mul_scalar(g, penalty, contest->gp_weight), estimate);
}

static int phases(void *user, struct kiln_phase out[KILN_MAX_PHASES])
{
    (void)user;
    out[0] = (struct kiln_phase){.name = "critic", .group = "critic.", .repeats = 1};
    return 1;
}

static const struct kiln_model model = {
    .abi = KILN_MODEL_ABI,
    .size = sizeof model,
    .name = "wgan",
    .phases = phases,
    .loss = loss,
};

/* --- trials ------------------------------------------------------------------------ */

static void set_contest(struct contest *contest, struct normal_pair pair, double scale,
                        double gp_weight, int64_t width)
{
    *contest =
        (struct contest){.pair = pair, .scale = scale, .gp_weight = gp_weight, .width = width};
    snprintf(contest->name, sizeof contest->name, "distance %g, gp_weight %g", pair.distance,
             gp_weight);
    double low = -6 * pair.sigma, high = pair.distance + 6 * pair.sigma;
    for (int i = 0; i < GRID; i++) {
        contest->positions[i] = (float)(low + (high - low) * i / (GRID - 1));
        contest->inputs[i] = (float)(contest->positions[i] / scale);
    }
}

static enum kiln_status check(const struct study *study, struct kiln_error *error)
{
    if (study->steps < 1)
        return kiln_fail(error, KILN_INPUT, "[train] steps: a study needs a number above 0");
    if (study->n < 2 || study->n > MAX_DISTANCES)
        return kiln_fail(error, KILN_INPUT, "[study] distances: between 2 and %d are needed",
                         MAX_DISTANCES);
    for (int i = 1; i < study->n; i++)
        if (study->distances[i] <= study->distances[i - 1])
            return kiln_fail(error, KILN_INPUT, "[study] distances: they must ascend");
    return KILN_OK;
}

static enum kiln_status create(const kiln_config *config, const struct kiln_data_info *info,
                               void **out, struct kiln_error *error)
{
    struct study *study = calloc(1, sizeof *study);
    (void)info;
    if (!study)
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    double weight = kiln_config_float(config, "train", "gp_weight");
    int64_t width = kiln_config_int(config, "study", "width");
    study->n = kiln_config_list(config, "study", "distances", MAX_DISTANCES, study->distances);
    study->sigma = kiln_config_float(config, "study", "sigma");
    study->steps = kiln_config_int(config, "train", "steps");
    enum kiln_status status = check(study, error);
    if (status) {
        free(study);
        return status;
    }
    double farthest = study->distances[study->n - 1];
    for (int i = 0; i < study->n; i++) {
        const struct normal_pair pair = {study->sigma, study->distances[i]};
        set_contest(&study->contests[i], pair, farthest, weight, width);
        set_contest(&study->contests[study->n + i], pair, 1, usual_weight, width);
    }
    set_contest(&study->contests[2 * study->n], unit_pair, 1, usual_weight, width);
    set_contest(&study->contests[2 * study->n + 1], unit_pair, 1, large_weight, width);
    *out = study;
    return KILN_OK;
}

static int trials(void *user)
{
    const struct study *study = user;
    return 2 * study->n + 2;
}

static kiln_node probe(void *user, kiln_graph *g, int which, kiln_node x)
{
    (void)which;
    return critic(user, g, x);
}

static enum kiln_status trial(void *user, int i, const struct kiln_trial_result *before,
                              struct kiln_trial *out, struct kiln_error *error)
{
    struct study *study = user;
    struct contest *contest = &study->contests[i];
    (void)before, (void)error;
    *out = (struct kiln_trial){
        .name = contest->name,
        .model = &model,
        .state = contest,
        .steps = study->steps,
        .n_probes = 1,
        .probes = {{KILN_SHAPE(GRID, 1), contest->inputs, 0}},
        .probe = probe,
    };
    return KILN_OK;
}

/* --- numbers ------------------------------------------------------------------------- */

/* The critic's estimate in data units. */
static double estimate(const struct contest *contest, const struct kiln_trial_result *result)
{
    return contest->scale *
           pair_estimate(&contest->pair, GRID, contest->positions, result->probes[0].values);
}

/* The best critic's, in data units too. */
static double optimum(const struct contest *contest)
{
    const struct normal_pair scaled = {contest->pair.sigma / contest->scale,
                                       contest->pair.distance / contest->scale};
    return contest->scale * pair_penalised(&scaled, contest->gp_weight);
}

static void write_tables(const struct study *study, const struct kiln_trial_result *results,
                         kiln_report *report)
{
    char row[64];
    kiln_report_table(report, "divergences by distance");
    for (int i = 0; i < study->n; i++) {
        const struct contest *scaled = &study->contests[i], *plain = scaled + study->n;
        double kl_slope, js_slope, kl = pair_kl(&plain->pair, &kl_slope),
                                   js = pair_js(&plain->pair, &js_slope);
        snprintf(row, sizeof row, "%g", study->distances[i]);
        kiln_report_value(report, row, "KL", kl);
        kiln_report_value(report, row, "KL slope", kl_slope);
        kiln_report_value(report, row, "JS", js);
        kiln_report_value(report, row, "JS slope", js_slope);
        kiln_report_value(report, row, "W", study->distances[i]);
        kiln_report_value(report, row, "critic", estimate(scaled, &results[i]));
        kiln_report_value(report, row, "its optimum", optimum(scaled));
        kiln_report_value(report, row, "gp_weight 10", estimate(plain, &results[study->n + i]));
        kiln_report_value(report, row, "its optimum ", optimum(plain));
    }
    kiln_report_table(report, "N(0,1) and N(3,1)");
    for (int i = 0; i < 2; i++) {
        const struct contest *contest = &study->contests[2 * study->n + i];
        snprintf(row, sizeof row, "gp_weight %g", contest->gp_weight);
        kiln_report_value(report, row, "critic", estimate(contest, &results[2 * study->n + i]));
        kiln_report_value(report, row, "its optimum", optimum(contest));
        kiln_report_value(report, row, "W", contest->pair.distance);
    }
}

/* --- drawing --------------------------------------------------------------------------- */

static void set_point(float *points, int i, double x, double y)
{
    points[2 * i] = (float)x;
    points[2 * i + 1] = (float)y;
}

static struct kiln_series line(const char *name, enum kiln_colour colour, int64_t n,
                               const float *data)
{
    return (struct kiln_series){
        .mark = KILN_MARK_LINE, .colour = colour, .name = name, .n = n, .data = data};
}

static void draw_densities(const struct study *study, kiln_report *report)
{
    float curves[3][2 * CURVE];
    double high = study->distances[study->n - 1];
    const double means[3] = {0, study->distances[study->n / 3], high};
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < CURVE; i++) {
            double x = means[k] + study->sigma * (8.0 * i / (CURVE - 1) - 4);
            set_point(curves[k], i, x, normal_density(x, means[k], study->sigma));
        }
    const struct kiln_series series[] = {line("p", KILN_COLOUR_BLUE, CURVE, curves[0]),
                                         line("q, near", KILN_COLOUR_GREEN, CURVE, curves[1]),
                                         line("q, far", KILN_COLOUR_ORANGE, CURVE, curves[2])};
    kiln_report_panel(report,
                      &(struct kiln_panel){.title = "two narrow normals, moved apart",
                                           .x_label = "x",
                                           .y_label = "density",
                                           .y_max = 0.8 / study->sigma, /* twice the peaks */
                                           .n_series = 3,
                                           .series = series});
}

/* KL or JS with W for comparison. */
static void draw_divergences(const struct study *study, kiln_report *report)
{
    float kl[2 * CURVE], js[2 * CURVE], kl_slope[2 * CURVE], js_slope[2 * CURVE],
        w_slope[2 * CURVE], limit[4];
    double high = study->distances[study->n - 1];
    for (int i = 0; i < CURVE; i++) {
        const struct normal_pair pair = {study->sigma, high * (i + 0.25) / (CURVE - 0.75)};
        double slope;
        set_point(kl, i, pair.distance, pair_kl(&pair, &slope));
        set_point(kl_slope, i, pair.distance, slope);
        set_point(js, i, pair.distance, pair_js(&pair, &slope));
        set_point(js_slope, i, pair.distance, slope);
        set_point(w_slope, i, pair.distance, 1);
    }
    set_point(limit, 0, 0, log(2));
    set_point(limit, 1, high, log(2));
    struct kiln_series saturating[] = {line("ln 2", KILN_COLOUR_GREY, 2, limit),
                                       line("JS", KILN_COLOUR_RED, CURVE, js)};
    saturating[0].dashed = true;
    const struct kiln_series growing = line(NULL, KILN_COLOUR_PURPLE, CURVE, kl);
    const struct kiln_series slopes[] = {line("KL", KILN_COLOUR_PURPLE, CURVE, kl_slope),
                                         line("JS", KILN_COLOUR_RED, CURVE, js_slope),
                                         line("Wasserstein", KILN_COLOUR_BLUE, CURVE, w_slope)};
    kiln_report_panel(report, &(struct kiln_panel){.title = "KL grows ever faster",
                                                   .x_label = "distance",
                                                   .y_label = "KL (nats)",
                                                   .n_series = 1,
                                                   .series = &growing});
    kiln_report_panel(report, &(struct kiln_panel){.title = "JS saturates at ln 2",
                                                   .x_label = "distance",
                                                   .y_label = "JS (nats)",
                                                   .n_series = 2,
                                                   .series = saturating});
    kiln_report_panel(report, &(struct kiln_panel){.title = "slope: what training gets",
                                                   .x_label = "distance",
                                                   .y_label = "derivative by the distance",
                                                   .y_min = 1e-12,
                                                   .y_max = 1e4,
                                                   .log_y = true,
                                                   .n_series = 3,
                                                   .series = slopes});
}

static void draw_critics(const struct study *study, const struct kiln_trial_result *results,
                         kiln_report *report)
{
    float scaled[2 * MAX_DISTANCES], plain[2 * MAX_DISTANCES], biased[2 * CURVE], truth[4] = {0};
    double high = study->distances[study->n - 1];
    char name[48];
    for (int i = 0; i < study->n; i++) {
        const struct contest *contest = &study->contests[i];
        set_point(scaled, i, study->distances[i], estimate(contest, &results[i]));
        set_point(plain, i, study->distances[i],
                  estimate(contest + study->n, &results[study->n + i]));
    }
    for (int i = 0; i < CURVE; i++) {
        const struct normal_pair pair = {study->sigma, high * i / (CURVE - 1)};
        set_point(biased, i, pair.distance, i ? pair_penalised(&pair, usual_weight) : 0);
    }
    set_point(truth, 1, high, high);
    snprintf(name, sizeof name, "critic, weight %g", study->contests[0].gp_weight);
    struct kiln_series series[] = {line("W", KILN_COLOUR_GREY, 2, truth),
                                   line("optimum, weight 10", KILN_COLOUR_ORANGE, CURVE, biased),
                                   line(name, KILN_COLOUR_BLUE, study->n, scaled),
                                   line("critic, weight 10", KILN_COLOUR_RED, study->n, plain)};
    series[0].dashed = true;
    series[2].mark = series[3].mark = KILN_MARK_POINTS;
    series[2].size = series[3].size = 5;
    kiln_report_panel(report, &(struct kiln_panel){.title = "what trained critics say",
                                                   .x_label = "distance",
                                                   .y_label = "estimate of W",
                                                   .n_series = 4,
                                                   .series = series});
}

/* The two critics of N(0,1) and N(3,1), from 0 at x = 0. */
static void draw_functions(const struct study *study, const struct kiln_trial_result *results,
                           kiln_report *report)
{
    static const char *const names[2] = {"weight 10", "weight 1000"};
    float curves[2][2 * GRID], unit[4];
    const struct contest *contest = &study->contests[2 * study->n];
    for (int k = 0; k < 2; k++) {
        const float *values = results[2 * study->n + k].probes[0].values;
        int zero = 0;
        while (contest->positions[zero] < 0)
            zero++;
        for (int i = 0; i < GRID; i++)
            set_point(curves[k], i, contest->positions[i], (double)values[i] - values[zero]);
    }
    set_point(unit, 0, -6, -6);
    set_point(unit, 1, 9, 9);
    struct kiln_series series[] = {line("slope 1", KILN_COLOUR_GREY, 2, unit),
                                   line(names[0], KILN_COLOUR_RED, GRID, curves[0]),
                                   line(names[1], KILN_COLOUR_BLUE, GRID, curves[1])};
    series[0].dashed = true;
    kiln_report_panel(report, &(struct kiln_panel){.title = "critics of N(0,1) and N(3,1)",
                                                   .x_label = "x",
                                                   .y_label = "D(x) - D(0)",
                                                   .x_min = -4,
                                                   .x_max = 7,
                                                   .y_min = -5,
                                                   .y_max = 9,
                                                   .n_series = 3,
                                                   .series = series});
}

static enum kiln_status report(void *user, const struct kiln_trial_result *results,
                               kiln_report *report, struct kiln_error *error)
{
    const struct study *study = user;
    (void)error;
    write_tables(study, results, report);
    kiln_report_columns(report, 3);
    draw_densities(study, report);
    draw_divergences(study, report);
    draw_critics(study, results, report);
    draw_functions(study, results, report);
    return KILN_OK;
}

const struct kiln_study wgan_study_divergence = {
    .size = sizeof wgan_study_divergence,
    .name = "divergence",
    .summary = "KL explodes and JS saturates between distant densities, Wasserstein stays linear",
    .create = create,
    .destroy = free,
    .trials = trials,
    .trial = trial,
    .report = report,
};
