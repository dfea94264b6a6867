/*
 * Study langevin: sampling a mixture of unequal weights by Langevin dynamics,
 * plain and annealed (Song & Ermon 2019, section 3.2), with the exact score
 * and with a trained network.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/ncsn/ncsn.h"
#include "models/ncsn/study_field.h"

enum { EXACT, NETWORK, TRIALS };
enum { PLAIN, ANNEALED, DRAWS };
enum { PROBE_FIELD, PROBE_AREA, PROBES };
enum { AREA_SIDE = 64, AREA_POINTS = AREA_SIDE * AREA_SIDE, DATA_POINTS = 400 };

struct study {
    struct ncsn nets[TRIALS];
    struct kiln_mixture mixture;
    const float *train;
    int64_t n_train, steps, n_samples, batch;
    double low, high; /* the square that is drawn */
    float field[2 * FIELD_POINTS], area[2 * AREA_POINTS];
};

/* --- setting up -------------------------------------------------------------- */

/* The square that holds all components with five deviations. */
static void find_square(struct study *study)
{
    const struct kiln_mixture *mixture = &study->mixture;
    study->low = INFINITY;
    study->high = -INFINITY;
    for (int i = 0; i < mixture->n; i++)
        for (int axis = 0; axis < 2; axis++) {
            double mean = mixture->mean[i][axis], reach = 5 * mixture->sigma[i][axis];
            study->low = fmin(study->low, mean - reach);
            study->high = fmax(study->high, mean + reach);
        }
    field_grid(study->low, study->high, study->field);
    for (int i = 0; i < AREA_POINTS; i++) {
        double width = study->high - study->low;
        study->area[2 * i] = (float)(study->low + width * (i % AREA_SIDE + 0.5) / AREA_SIDE);
        study->area[2 * i + 1] = (float)(study->low + width * (i / AREA_SIDE + 0.5) / AREA_SIDE);
    }
}

static enum kiln_status create(const kiln_config *config, const struct kiln_data_info *info,
                               void **out, struct kiln_error *error)
{
    if (!info->points || strcmp(kiln_config_string(config, "data", "source"), "points") != 0)
        return kiln_fail(error, KILN_INPUT, "[data] source: the study langevin needs points");
    struct study *study = malloc(sizeof *study);
    if (!study)
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    *study = (struct study){
        .train = info->train,
        .n_train = info->n_train,
        .steps = kiln_config_int(config, "train", "steps"),
        .n_samples = kiln_config_int(config, "sample", "n"),
    };
    enum kiln_status status = ncsn_init(&study->nets[NETWORK], config, info, error);
    if (!status)
        status = kiln_mixture_parse(kiln_config_string(config, "data", "mixture"), &study->mixture,
                                    error);
    if (!status && study->steps < 1)
        status = kiln_fail(error, KILN_INPUT, "[train] steps: a study needs a number above 0");
    if (status) {
        free(study);
        return status;
    }
    study->nets[EXACT] = study->nets[NETWORK];
    study->nets[EXACT].arch = ARCH_EXACT;
    study->nets[EXACT].mixture = &study->mixture;
    study->nets[EXACT].langevin_sigma = 0; /* plain dynamics on the data's own density */
    find_square(study);
    *out = study;
    return KILN_OK;
}

static int trials(void *user)
{
    (void)user;
    return TRIALS;
}

/* The score at the smallest noise. */
static kiln_node probe(void *user, kiln_graph *g, int which, kiln_node x)
{
    const struct ncsn *net = user;
    struct kiln_shape each = KILN_SHAPE(kiln_shape(g, x).d[0]);
    int last = net->ladder.num_scales - 1;
    (void)which;
    kiln_node level = kiln_cast(g, kiln_full(g, each, last), KILN_I32);
    return ncsn_score(net, g, x, level, kiln_full(g, each, ladder_sigma(&net->ladder, last)),
                      false);
}

static enum kiln_status trial(void *user, int i, const struct kiln_trial_result *before,
                              struct kiln_trial *out, struct kiln_error *error)
{
    struct study *study = user;
    (void)before, (void)error;
    *out = (struct kiln_trial){
        .name = i == EXACT ? "exact score" : "network",
        .model = &ncsn_model,
        .state = &study->nets[i],
        .steps = i == EXACT ? 0 : study->steps,
        .n_draws = DRAWS,
        .draws = {[PLAIN] = {.sampler = "langevin", .n = study->n_samples},
                  [ANNEALED] = {.sampler = "ald", .n = study->n_samples}},
        .n_probes = PROBES,
        .probes = {[PROBE_FIELD] = {KILN_SHAPE(FIELD_POINTS, 2), study->field, 0},
                   [PROBE_AREA] = {KILN_SHAPE(AREA_POINTS, 2), study->area, 0}},
        .probe = probe,
    };
    return KILN_OK;
}

/* --- numbers ------------------------------------------------------------------- */

/* The component whose mean is nearest, in its own deviations. */
static int nearest(const struct kiln_mixture *mixture, const float *x, double *squared)
{
    int best = 0;
    *squared = INFINITY;
    for (int i = 0; i < mixture->n; i++) {
        double a = (x[0] - mixture->mean[i][0]) / mixture->sigma[i][0],
               b = (x[1] - mixture->mean[i][1]) / mixture->sigma[i][1];
        if (a * a + b * b < *squared) {
            best = i;
            *squared = a * a + b * b;
        }
    }
    return best;
}

static int lightest(const struct kiln_mixture *mixture)
{
    int best = 0;
    for (int i = 1; i < mixture->n; i++)
        if (mixture->weight[i] < mixture->weight[best])
            best = i;
    return best;
}

struct modes {
    double weight; /* share of the lightest component */
    double spread; /* deviation of a coordinate, in units of its component's */
};

static struct modes measure(const struct study *study, const float *samples)
{
    int small = lightest(&study->mixture);
    double inside = 0, spread = 0, n = (double)study->n_samples;
    for (int64_t i = 0; i < study->n_samples; i++) {
        double squared;
        inside += nearest(&study->mixture, samples + 2 * i, &squared) == small;
        spread += squared / 2;
    }
    return (struct modes){inside / n, sqrt(spread / n)};
}

static void write_modes(const char *row, struct modes modes, kiln_report *report)
{
    kiln_report_value(report, row, "weight", modes.weight);
    kiln_report_value(report, row, "spread", modes.spread);
}

static double density(const struct kiln_mixture *mixture, const float *x)
{
    double sum = 0;
    for (int i = 0; i < mixture->n; i++) {
        double a = (x[0] - mixture->mean[i][0]) / mixture->sigma[i][0],
               b = (x[1] - mixture->mean[i][1]) / mixture->sigma[i][1];
        sum += mixture->weight[i] * exp(-(a * a + b * b) / 2) /
               (mixture->sigma[i][0] * mixture->sigma[i][1]);
    }
    return sum / 6.283185307179586;
}

/* Where the density is at least bound (and below the bound before). */
static const struct {
    const char *name;
    double bound;
} regions[] = {{"> 1e-3", 1e-3}, {"> 1e-6", 1e-6}, {"> 1e-9", 1e-9}, {"rest", 0}};
enum { REGIONS = sizeof regions / sizeof *regions };

/* Mean length of the network's error over that of the score, by density. */
static void write_errors(const struct study *study, const struct kiln_trial_result *results,
                         float errors[REGIONS], kiln_report *report)
{
    const float *exact = results[EXACT].probes[PROBE_AREA].values,
                *network = results[NETWORK].probes[PROBE_AREA].values;
    double error[REGIONS] = {0}, length[REGIONS] = {0};
    for (int i = 0; i < AREA_POINTS; i++) {
        double p = density(&study->mixture, study->area + 2 * i);
        int region = 0;
        while (p < regions[region].bound)
            region++;
        error[region] +=
            hypot(network[2 * i] - exact[2 * i], network[2 * i + 1] - exact[2 * i + 1]);
        length[region] += hypot(exact[2 * i], exact[2 * i + 1]);
    }
    kiln_report_table(report, "relative score error by density");
    for (int r = 0; r < REGIONS; r++) {
        errors[r] = length[r] > 0 ? (float)(error[r] / length[r]) : NAN;
        kiln_report_value(report, regions[r].name, "error", errors[r]);
    }
}

static void write_tables(const struct study *study, const struct kiln_trial_result *results,
                         float errors[REGIONS], kiln_report *report)
{
    static const char *const rows[TRIALS][DRAWS] = {{"plain, exact score", "annealed, exact score"},
                                                    {"plain, network", "annealed, network"}};
    kiln_report_table(report, "small mode");
    const struct modes truth = {study->mixture.weight[lightest(&study->mixture)], 1};
    write_modes("data", truth, report);
    for (int t = 0; t < TRIALS; t++)
        for (int d = 0; d < DRAWS; d++)
            write_modes(rows[t][d], measure(study, results[t].draws[d].samples), report);
    write_errors(study, results, errors, report);
}

/* --- drawing --------------------------------------------------------------------- */

static void draw_field(const struct study *study, const char *title, const float *scores,
                       kiln_report *report)
{
    float arrows[4 * FIELD_POINTS];
    field_arrows(study->low, study->high, study->field, scores, 4, arrows);
    const struct kiln_series series[] = {
        {.mark = KILN_MARK_POINTS,
         .colour = KILN_COLOUR_ORANGE,
         .n = study->n_train < DATA_POINTS ? study->n_train : DATA_POINTS,
         .data = study->train},
        {.mark = KILN_MARK_ARROWS, .colour = KILN_COLOUR_BLUE, .n = FIELD_POINTS, .data = arrows},
    };
    kiln_report_panel(report, &(struct kiln_panel){.title = title,
                                                   .x_label = "data; long arrows shortened",
                                                   .x_min = study->low,
                                                   .x_max = study->high,
                                                   .y_min = study->low,
                                                   .y_max = study->high,
                                                   .equal = true,
                                                   .n_series = 2,
                                                   .series = series});
}

static void draw_samples(const struct study *study, const char *title, const float *samples,
                         kiln_report *report)
{
    const int64_t most = 1500;
    const struct kiln_series series = {.mark = KILN_MARK_POINTS,
                                       .colour = KILN_COLOUR_GREEN,
                                       .n = study->n_samples < most ? study->n_samples : most,
                                       .data = samples};
    char label[64];
    snprintf(label, sizeof label, "%.0f %% in the small mode",
             100 * measure(study, samples).weight);
    kiln_report_panel(report, &(struct kiln_panel){.title = title,
                                                   .x_label = label,
                                                   .x_min = study->low,
                                                   .x_max = study->high,
                                                   .y_min = study->low,
                                                   .y_max = study->high,
                                                   .equal = true,
                                                   .n_series = 1,
                                                   .series = &series});
}

static void draw_errors(const float errors[REGIONS], kiln_report *report)
{
    const char *names[REGIONS];
    const struct kiln_series bars = {
        .mark = KILN_MARK_BARS, .colour = KILN_COLOUR_RED, .n = REGIONS, .data = errors};
    for (int r = 0; r < REGIONS; r++)
        names[r] = regions[r].name;
    kiln_report_panel(report, &(struct kiln_panel){.title = "error of the network's score",
                                                   .x_label = "density of the data",
                                                   .y_label = "relative error",
                                                   .n_series = 1,
                                                   .series = &bars,
                                                   .bars = names});
}

static enum kiln_status report(void *user, const struct kiln_trial_result *results,
                               kiln_report *report, struct kiln_error *error)
{
    const struct study *study = user;
    float errors[REGIONS];
    (void)error;
    write_tables(study, results, errors, report);
    kiln_report_columns(report, 3);
    draw_field(study, "exact score", results[EXACT].probes[PROBE_FIELD].values, report);
    draw_field(study, "score of the network", results[NETWORK].probes[PROBE_FIELD].values, report);
    draw_errors(errors, report);
    draw_samples(study, "plain Langevin, exact score", results[EXACT].draws[PLAIN].samples, report);
    draw_samples(study, "annealed, exact score", results[EXACT].draws[ANNEALED].samples, report);
    draw_samples(study, "annealed, network", results[NETWORK].draws[ANNEALED].samples, report);
    return KILN_OK;
}

const struct kiln_study ncsn_study_langevin = {
    .size = sizeof ncsn_study_langevin,
    .name = "langevin",
    .summary = "plain Langevin dynamics loses the weights of a mixture, annealing recovers them",
    .create = create,
    .destroy = free,
    .trials = trials,
    .trial = trial,
    .report = report,
};
