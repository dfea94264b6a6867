/*
 * Study noise-steps: the same network, trained for equally long, with noise
 * added in few and in more steps. Pictures are compared with real ones by the
 * Frechet distance of a small classifier's features.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "models/common/frechet.h"
#include "models/ddpm/ddpm.h"
#include "models/ddpm/study_features.h"

enum { MAX_VARIANTS = 6, STRIP = 36, STRIP_COLUMNS = 6 };

/* Probes of the classifier: two sets of real pictures, then each variant's. */
enum { PROBE_REAL, PROBE_OTHER, PROBE_DRAWN };

struct study {
    int n; /* variants */
    int timesteps[MAX_VARIANTS];
    char names[MAX_VARIANTS][24]; /* "T = 40" */
    void *variants[MAX_VARIANTS]; /* struct ddpm */
    struct feature_net features;
    int64_t steps, feature_steps, n_samples, batch;
    struct kiln_shape pictures; /* n_samples of them */
    float *real;                /* two sets of such pictures */
};

static void destroy(void *user)
{
    struct study *study = user;
    for (int i = 0; i < study->n; i++)
        if (study->variants[i])
            ddpm_destroy(study->variants[i]);
    free(study->real);
    free(study);
}

/* --- setting up ------------------------------------------------------------------- */

static enum kiln_status read_timesteps(struct study *study, const kiln_config *config,
                                       struct kiln_error *error)
{
    double list[MAX_VARIANTS];
    int n = kiln_config_list(config, "study", "timesteps", MAX_VARIANTS, list);
    if (n < 2 || n > MAX_VARIANTS)
        return kiln_fail(error, KILN_INPUT, "[study] timesteps: between 2 and %d are needed",
                         MAX_VARIANTS);
    for (int i = 0; i < n; i++) {
        study->timesteps[i] = (int)list[i];
        snprintf(study->names[i], sizeof study->names[i], "T = %d", study->timesteps[i]);
    }
    study->n = n;
    return KILN_OK;
}

static enum kiln_status create_variants(struct study *study, const kiln_config *config,
                                        const struct kiln_data_info *info, struct kiln_error *error)
{
    enum kiln_status status = KILN_OK;
    for (int i = 0; i < study->n && !status; i++) {
        status = ddpm_create(config, info, &study->variants[i], error);
        if (!status) {
            struct ddpm *variant = study->variants[i];
            status =
                diffusion_set_timesteps(&variant->diffusion, config, study->timesteps[i], error);
        }
    }
    return status;
}

/* The first training pictures, twice n_samples of them. */
static enum kiln_status copy_real(struct study *study, const struct kiln_data_info *info,
                                  struct kiln_error *error)
{
    int64_t count = 2 * kiln_shape_count(&study->pictures);
    const uint8_t *bytes = info->train;
    if (info->n_train < 2 * study->n_samples)
        return kiln_fail(error, KILN_INPUT,
                         "[sample] n: the study compares twice as many training pictures, and "
                         "there are %lld",
                         (long long)info->n_train);
    study->real = malloc((size_t)count * sizeof *study->real);
    if (!study->real)
        return kiln_fail(error, KILN_MACHINE, "out of memory for %lld pictures",
                         (long long)(2 * study->n_samples));
    for (int64_t i = 0; i < count; i++)
        study->real[i] = bytes[i] / 255.0f;
    return KILN_OK;
}

static enum kiln_status create(const kiln_config *config, const struct kiln_data_info *info,
                               void **out, struct kiln_error *error)
{
    struct study *study = calloc(1, sizeof *study);
    if (!study)
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    study->steps = kiln_config_int(config, "train", "steps");
    study->batch = kiln_config_int(config, "train", "batch_size");
    study->n_samples = kiln_config_int(config, "sample", "n");
    study->features.n_classes = info->n_classes;
    study->feature_steps =
        info->n_classes > 1 ? kiln_config_int(config, "study", "feature_steps") : 0;
    study->pictures = KILN_SHAPE(study->n_samples, info->channels, info->height, info->width);
    enum kiln_status status = read_timesteps(study, config, error);
    if (!status && (study->steps < 1 || study->n_samples < STRIP))
        status = kiln_fail(error, KILN_INPUT, "[%s: the study noise-steps needs a number above %d",
                           study->steps < 1 ? "train] steps" : "sample] n",
                           study->steps < 1 ? 0 : STRIP - 1);
    if (!status)
        status = create_variants(study, config, info, error);
    if (!status)
        status = copy_real(study, info, error);
    if (status) {
        destroy(study);
        return status;
    }
    *out = study;
    return KILN_OK;
}

/* --- trials -------------------------------------------------------------------------- */

static int trials(void *user)
{
    const struct study *study = user;
    return study->n + 1;
}

static kiln_node probe(void *user, kiln_graph *g, int which, kiln_node x)
{
    (void)which;
    return feature_build(user, g, x);
}

/* The classifier comes last and looks at what the others drew. */
static void feature_trial(struct study *study, const struct kiln_trial_result *before,
                          struct kiln_trial *out)
{
    *out = (struct kiln_trial){
        .name = "classifier",
        .model = &feature_model,
        .state = &study->features,
        .steps = study->feature_steps,
        .n_probes = PROBE_DRAWN + study->n,
        .probe = probe,
    };
    for (int i = 0; i < out->n_probes; i++) {
        out->probes[i] = (struct kiln_probe){.shape = study->pictures, .batch = study->batch};
        if (i >= PROBE_DRAWN)
            out->probes[i].input = before[i - PROBE_DRAWN].draws[0].samples;
        else
            out->probes[i].input =
                study->real + (i == PROBE_OTHER ? kiln_shape_count(&study->pictures) : 0);
    }
}

static enum kiln_status trial(void *user, int i, const struct kiln_trial_result *before,
                              struct kiln_trial *out, struct kiln_error *error)
{
    struct study *study = user;
    (void)error;
    if (i == study->n) {
        feature_trial(study, before, out);
        return KILN_OK;
    }
    *out = (struct kiln_trial){
        .name = study->names[i],
        .model = &ddpm_model,
        .state = study->variants[i],
        .steps = study->steps,
        .n_draws = 1,
        .draws = {{.sampler = "", .n = study->n_samples, .batch = study->batch}},
    };
    return KILN_OK;
}

/* --- report --------------------------------------------------------------------------- */

/* From the first set of real pictures. */
static double distance(const struct study *study, const struct kiln_trial_result *classifier,
                       int which)
{
    return frechet_distance(study->n_samples, classifier->probes[PROBE_REAL].values,
                            study->n_samples, classifier->probes[which].values, FEATURES);
}

/* Mean of a value of the last tenth of the steps. */
static double last_mean(const struct kiln_trial_result *result, int value)
{
    int64_t count = result->n_steps > 10 ? result->n_steps / 10 : result->n_steps;
    double sum = 0;
    for (int64_t i = result->n_steps - count; i < result->n_steps; i++)
        sum += result->curve[i * result->n_values + value];
    return count ? sum / (double)count : NAN;
}

struct figures {
    float distance[MAX_VARIANTS], milliseconds[MAX_VARIANTS];
};

static enum kiln_status write_tables(const struct study *study,
                                     const struct kiln_trial_result *results,
                                     struct figures *figures, kiln_report *report,
                                     struct kiln_error *error)
{
    const struct kiln_trial_result *classifier = &results[study->n];
    kiln_report_table(report, "noise steps");
    for (int i = 0; i < study->n; i++) {
        const char *row = study->names[i];
        const struct ddpm *variant = study->variants[i];
        double apart = distance(study, classifier, PROBE_DRAWN + i),
               seconds = results[i].draws[0].seconds / (double)study->n_samples;
        if (apart < 0)
            return kiln_fail(error, KILN_MACHINE, "out of memory");
        figures->distance[i] = (float)apart;
        figures->milliseconds[i] = (float)(1000 * seconds);
        kiln_report_value(report, row, "Frechet", apart);
        kiln_report_value(report, row, "evaluations", results[i].draws[0].evaluations);
        kiln_report_value(report, row, "seconds an image", seconds);
        kiln_report_value(report, row, "signal at T",
                          variant->diffusion.schedule.alphas_cumprod[study->timesteps[i] - 1]);
        kiln_report_value(report, row, "training loss", last_mean(&results[i], 0));
    }
    kiln_report_value(report, "other real pictures", "Frechet",
                      distance(study, classifier, PROBE_OTHER));
    kiln_report_table(report, "features");
    kiln_report_value(report, "classifier", "accuracy",
                      classifier->n_values > 1 ? last_mean(classifier, 1) : NAN);
    return KILN_OK;
}

static void draw_strip(const struct study *study, const char *title, const float *pictures,
                       kiln_report *report)
{
    const struct kiln_series series = {.mark = KILN_MARK_PICTURES,
                                       .n = STRIP,
                                       .data = pictures,
                                       .c = study->pictures.d[1],
                                       .h = study->pictures.d[2],
                                       .w = study->pictures.d[3],
                                       .columns = STRIP_COLUMNS};
    kiln_report_panel(report,
                      &(struct kiln_panel){.title = title, .n_series = 1, .series = &series});
}

static void draw_bars(const struct study *study, const char *title, const char *label,
                      const float *values, enum kiln_colour colour, kiln_report *report)
{
    const char *names[MAX_VARIANTS];
    const struct kiln_series series = {
        .mark = KILN_MARK_BARS, .colour = colour, .n = study->n, .data = values};
    for (int i = 0; i < study->n; i++)
        names[i] = study->names[i];
    kiln_report_panel(
        report,
        &(struct kiln_panel){
            .title = title, .y_label = label, .n_series = 1, .series = &series, .bars = names});
}

static enum kiln_status report(void *user, const struct kiln_trial_result *results,
                               kiln_report *report, struct kiln_error *error)
{
    const struct study *study = user;
    struct figures figures;
    enum kiln_status status = write_tables(study, results, &figures, report, error);
    if (status)
        return status;
    kiln_report_columns(report, 3);
    for (int i = 0; i < study->n; i++)
        draw_strip(study, study->names[i], results[i].draws[0].samples, report);
    draw_strip(study, "real pictures", study->real, report);
    draw_bars(study, "distance from real pictures", "Frechet distance of features",
              figures.distance, KILN_COLOUR_RED, report);
    draw_bars(study, "cost of sampling", "milliseconds an image", figures.milliseconds,
              KILN_COLOUR_BLUE, report);
    return KILN_OK;
}

const struct kiln_study ddpm_study_noise_steps = {
    .size = sizeof ddpm_study_noise_steps,
    .name = "noise-steps",
    .summary = "few noise steps are cheap and draw badly, more draw well and cost more",
    .create = create,
    .destroy = destroy,
    .trials = trials,
    .trial = trial,
    .report = report,
};
