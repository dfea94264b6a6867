/*
 * Noise schedules against published numbers, and every sampler table against
 * the trajectory of diffusers' scheduler (tests/golden/samplers.py).
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "models/common/sampler_table.h"

static void schedules_match_published_values(void **unused)
{
    (void)unused;
    static const struct {
        const char *name;
        int t;
        double value;
    } expected[] = {
        {"linear", 0, 0.9999},
        {"linear", 99, 0.897018},
        {"linear", 249, 0.524085},
        {"linear", 499, 0.0785872},
        {"linear", 749, 0.00335055},
        {"linear", 999, 4.03583e-5},
        {"squaredcos_cap_v2", 249, 0.847012},
        {"squaredcos_cap_v2", 499, 0.493844},
        {"squaredcos_cap_v2", 749, 0.144272},
        {"squaredcos_cap_v2", 0, 1 - 4.12842e-5},
    };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        struct noise_schedule schedule;
        assert_int_equal(
            noise_schedule_init(&schedule, expected[i].name, 1000, 1e-4, 0.02, 0, NULL), KILN_OK);
        double value = schedule.alphas_cumprod[expected[i].t];
        assert_true(fabs(value - expected[i].value) <
                    2e-6 * fmax(expected[i].value, 0.1) + 1e-6 * expected[i].value);
        noise_schedule_finish(&schedule);
    }
}

static void schedules_refuse_bad_input(void **unused)
{
    (void)unused;
    struct noise_schedule schedule;
    struct kiln_error error;
    assert_int_equal(noise_schedule_init(&schedule, "cubic", 10, 1e-4, 0.02, 0, &error),
                     KILN_INPUT);
    assert_non_null(strstr(error.text, "cubic"));
    assert_int_equal(noise_schedule_init(&schedule, "linear", 0, 1e-4, 0.02, 0, &error),
                     KILN_INPUT);
    assert_int_equal(noise_schedule_init(&schedule, "linear", 10, 1e-4, 1.5, 0, &error),
                     KILN_INPUT);
}

static const char *text_of(const json_t *options, const char *key, const char *fallback)
{
    const json_t *value = json_object_get(options, key);
    return value ? json_string_value(value) : fallback;
}

static double number_of(const json_t *options, const char *key, double fallback)
{
    const json_t *value = json_object_get(options, key);
    return !value                   ? fallback
           : json_is_boolean(value) ? json_is_true(value)
                                    : json_number_value(value);
}

static struct sampler_options options_of(const json_t *test)
{
    const json_t *o = json_object_get(test, "options");
    const char *spacing = text_of(o, "timestep_spacing", "");
    const char *prediction = text_of(o, "prediction_type", "epsilon");
    struct sampler_options options = {
        .kind = sampler_find(json_string_value(json_object_get(test, "sampler"))),
        .steps = (int)json_integer_value(json_object_get(test, "steps")),
        .eta = json_number_value(json_object_get(test, "eta")),
        .noise_scale = 1,
        .steps_offset = (int)number_of(o, "steps_offset", 0),
        .spacing = !strcmp(spacing, "linspace")   ? SPACING_LINSPACE
                   : !strcmp(spacing, "leading")  ? SPACING_LEADING
                   : !strcmp(spacing, "trailing") ? SPACING_TRAILING
                                                  : SPACING_DEFAULT,
        .prediction = !strcmp(prediction, "sample")         ? PREDICT_SAMPLE
                      : !strcmp(prediction, "v_prediction") ? PREDICT_V
                                                            : PREDICT_EPSILON,
        .variance_large = !strcmp(text_of(o, "variance_type", ""), "fixed_large"),
        .final_sigma_min = !strcmp(text_of(o, "final_sigmas_type", ""), "sigma_min"),
        .karras = number_of(o, "use_karras_sigmas", 0) != 0,
        .skip_prk_steps = number_of(o, "skip_prk_steps", 0) != 0,
        .round_karras_timesteps =
            strcmp(text_of(o, "beta_schedule", "linear"), "squaredcos_cap_v2") != 0,
    };
    if (json_object_get(o, "set_alpha_to_one"))
        options.alpha_to_one =
            number_of(o, "set_alpha_to_one", 0) ? ALPHA_TO_ONE_YES : ALPHA_TO_ONE_NO;
    return options;
}

/* One iteration on three numbers, in double. */
static void iterate(const struct sampler_table *table, int i,
                    double carried[1 + SAMPLER_MAX_HISTORY][3])
{
    const float *row = table->rows + (size_t)i * table->row_words;
    double next[1 + SAMPLER_MAX_HISTORY][3] = {{0}};
    for (int j = 0; j < 3; j++) {
        double x = carried[0][j], x_in = row[ROW_IN_SCALE] * x;
        double out = 0.3 * x_in + sin(row[ROW_T] / 100.0 + x_in);
        double sources[SOURCE_H + SAMPLER_MAX_HISTORY] = {
            x, row[ROW_X0_X] * x + row[ROW_X0_OUT] * out, row[ROW_E_X] * x + row[ROW_E_OUT] * out,
            cos(i + 1 + j)};
        for (int h = 0; h < table->n_history; h++)
            sources[SOURCE_H + h] = carried[1 + h][j];
        for (int k = 0; k <= table->n_history; k++)
            for (int s = 0; s < SOURCE_H + table->n_history; s++)
                next[k][j] += row[sampler_row_index(table, k, s)] * sources[s];
    }
    memcpy(carried, next, sizeof next);
}

static void run_case(const json_t *test)
{
    const json_t *o = json_object_get(test, "options");
    struct kiln_error error;
    struct noise_schedule schedule;
    assert_int_equal(noise_schedule_init(&schedule, text_of(o, "beta_schedule", "linear"),
                                         (int)number_of(o, "num_train_timesteps", 1000),
                                         number_of(o, "beta_start", 1e-4),
                                         number_of(o, "beta_end", 0.02),
                                         number_of(o, "rescale_betas_zero_snr", 0) != 0, &error),
                     KILN_OK);
    struct sampler_options options = options_of(test);
    struct sampler_table table;
    if (sampler_table_init(&table, &schedule, &options, &error))
        fail_msg("%s", error.text);
    const json_t *points = json_object_get(test, "x");
    assert_int_equal(table.n_rows, json_array_size(points));
    double carried[1 + SAMPLER_MAX_HISTORY][3] = {
        {0.5 * table.init_scale, -1.0 * table.init_scale, 0.1 * table.init_scale}};
    for (int i = 0; i < table.n_rows; i++) {
        iterate(&table, i, carried);
        for (size_t j = 0; j < 3; j++) {
            double expected =
                json_number_value(json_array_get(json_array_get(points, (size_t)i), j));
            /* diffusers works in float32; the made-up network amplifies that */
            if (!(fabs(carried[0][j] - expected) <= 5e-4 * (1 + fabs(expected)))) {
                char *text = json_dumps(json_object_get(test, "options"), 0);
                fail_msg("%s steps %d %s: iteration %d: %g, expected %g",
                         sampler_names[options.kind], options.steps, text, i, carried[0][j],
                         expected);
            }
        }
    }
    sampler_table_finish(&table);
    noise_schedule_finish(&schedule);
}

static void tables_match_diffusers(void **unused)
{
    (void)unused;
    json_error_t error;
    json_t *cases = json_load_file(KILN_SOURCE_DIR "/tests/golden/samplers.json", 0, &error);
    assert_non_null(cases);
    assert_true(json_array_size(cases) > 60);
    for (size_t i = 0; i < json_array_size(cases); i++)
        run_case(json_array_get(cases, i));
    json_decref(cases);
}

/* What a perfect network predicts, in signal x0 + noise e scaled to unit variance. */
static double perfect(const struct sampler_options *options, const float *row, double x0, double e)
{
    double size = hypot(row[ROW_SIGNAL], row[ROW_NOISE]);
    double a = row[ROW_SIGNAL] / size, s = row[ROW_NOISE] / size;
    return options->prediction == PREDICT_EPSILON  ? e
           : options->prediction == PREDICT_SAMPLE ? x0
                                                   : a * e - s * x0;
}

/*
 * With a perfect network, an iteration takes signal x0 + noise e to the next
 * row's level: its x0 has the next signal, what else there is the variance of
 * the next noise, and the last one ends at x0.
 */
static void check_levels(const struct sampler_options *options, const struct sampler_table *table)
{
    bool pndm = options->kind == SAMPLER_PNDM; /* ends at alpha_bar[0] */
    double basis[3][2] = {{1, 0}, {0, 1}, {0, 0}}; /* x0, e and z, each alone */
    double carried[3][1 + SAMPLER_MAX_HISTORY] = {{0}};
    for (int i = 0; i < table->n_rows; i++) {
        const float *row = table->rows + (size_t)i * table->row_words;
        const float *after = i + 1 < table->n_rows ? row + table->row_words : NULL;
        for (int b = 0; b < 3; b++) {
            double *c = carried[b], next[1 + SAMPLER_MAX_HISTORY] = {0};
            if (i == 0 || table->n_history == 0)
                c[0] = row[ROW_SIGNAL] * basis[b][0] + row[ROW_NOISE] * basis[b][1];
            double out = perfect(options, row, basis[b][0], basis[b][1]), x = c[0];
            double sources[SOURCE_H + SAMPLER_MAX_HISTORY] = {
                x, row[ROW_X0_X] * x + row[ROW_X0_OUT] * out,
                row[ROW_E_X] * x + row[ROW_E_OUT] * out, b == 2};
            assert_true(pndm || fabs(sources[SOURCE_X0] - basis[b][0]) < 2e-3);
            for (int h = 0; h < table->n_history; h++)
                sources[SOURCE_H + h] = c[1 + h];
            for (int k = 0; k <= table->n_history; k++)
                for (int s = 0; s < SOURCE_H + table->n_history; s++)
                    next[k] += row[sampler_row_index(table, k, s)] * sources[s];
            for (int k = 0; k <= table->n_history; k++)
                c[k] = next[k];
        }
        double signal = after ? after[ROW_SIGNAL] : 1, noise = after ? after[ROW_NOISE] : 0;
        double found = hypot(carried[1][0], carried[2][0]);
        double bound = after || !pndm ? 2e-3 : 0.02;
        if (!(fabs(carried[0][0] - signal) < bound * fmax(signal, noise)) ||
            !(fabs(found - noise) < bound * fmax(signal, noise)))
            fail_msg("%s prediction %d: after iteration %d: %g x0 + %g noise, expected %g, %g",
                     sampler_names[options->kind], options->prediction, i, carried[0][0], found,
                     signal, noise);
    }
}

static void rows_tell_the_noise_of_their_start(void **unused)
{
    (void)unused;
    struct noise_schedule schedule;
    struct sampler_table table;
    assert_int_equal(noise_schedule_init(&schedule, "linear", 1000, 1e-4, 0.02, 0, NULL), KILN_OK);
    for (int kind = 0; kind < SAMPLER_COUNT; kind++)
        for (int prediction = PREDICT_EPSILON; prediction <= PREDICT_V; prediction++) {
            struct sampler_options options = {.kind = (enum sampler_kind)kind,
                                              .steps = 20,
                                              .prediction = (enum prediction_type)prediction,
                                              .noise_scale = 1,
                                              .eta = 0.5};
            if (sampler_table_init(&table, &schedule, &options, NULL))
                continue; /* refused with this prediction */
            /* pndm mixes outputs of several times, over which v is not constant */
            if (kind == SAMPLER_PNDM && prediction == PREDICT_V) {
                sampler_table_finish(&table);
                continue;
            }
            check_levels(&options, &table);
            sampler_table_finish(&table);
        }
    noise_schedule_finish(&schedule);
}

static void tables_refuse_bad_input(void **unused)
{
    (void)unused;
    struct noise_schedule schedule;
    struct sampler_table table;
    assert_int_equal(noise_schedule_init(&schedule, "linear", 100, 1e-4, 0.02, 0, NULL), KILN_OK);
    struct sampler_options options = {.kind = SAMPLER_DDIM, .steps = 101};
    assert_int_equal(sampler_table_init(&table, &schedule, &options, NULL), KILN_INPUT);
    options = (struct sampler_options){.kind = SAMPLER_PNDM, .steps = 3};
    assert_int_equal(sampler_table_init(&table, &schedule, &options, NULL), KILN_INPUT);
    options =
        (struct sampler_options){.kind = SAMPLER_PNDM, .steps = 9, .prediction = PREDICT_SAMPLE};
    assert_int_equal(sampler_table_init(&table, &schedule, &options, NULL), KILN_INPUT);
    noise_schedule_finish(&schedule);
    assert_int_equal(noise_schedule_init(&schedule, "linear", 100, 1e-4, 0.02, 1, NULL), KILN_OK);
    options = (struct sampler_options){.kind = SAMPLER_PNDM, .steps = 9, .prediction = PREDICT_V};
    assert_int_equal(sampler_table_init(&table, &schedule, &options, NULL), KILN_INPUT);
    noise_schedule_finish(&schedule);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schedules_match_published_values),
        cmocka_unit_test(schedules_refuse_bad_input),
        cmocka_unit_test(tables_match_diffusers),
        cmocka_unit_test(rows_tell_the_noise_of_their_start),
        cmocka_unit_test(tables_refuse_bad_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
