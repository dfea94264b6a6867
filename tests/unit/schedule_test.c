/* Learning rates, optimiser words, the order of executions, the log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/run/config.h"
#include "core/run/optimizer.h"
#include "core/run/runlog.h"
#include "core/run/train_order.h"

static void near(double value, double expected)
{
    if (!(fabs(value - expected) <= 1e-12 * fmax(1, fabs(expected))))
        fail_msg("%.17g instead of %.17g", value, expected);
}

static void rates(void **unused)
{
    (void)unused;
    struct kiln_schedule s = {.kind = KILN_SCHEDULE_CONSTANT, .base = 0.5, .total_steps = 100};
    near(kiln_schedule_rate(&s, 0), 0.5);
    near(kiln_schedule_rate(&s, 1000), 0.5);

    s.warmup_steps = 10;
    near(kiln_schedule_rate(&s, 0), 0.05);
    near(kiln_schedule_rate(&s, 9), 0.5);
    near(kiln_schedule_rate(&s, 10), 0.5);

    s = (struct kiln_schedule){.kind = KILN_SCHEDULE_COSINE,
                               .base = 1,
                               .least = 0.1,
                               .warmup_steps = 20,
                               .total_steps = 120};
    near(kiln_schedule_rate(&s, 20), 1);
    near(kiln_schedule_rate(&s, 70), 0.55);
    near(kiln_schedule_rate(&s, 120), 0.1);
    near(kiln_schedule_rate(&s, 500), 0.1);

    s.kind = KILN_SCHEDULE_LINEAR;
    near(kiln_schedule_rate(&s, 45), 1 - 0.9 * 0.25);
    near(kiln_schedule_rate(&s, 120), 0.1);
    /* a warm-up as long as the run leaves nothing to divide by */
    s.warmup_steps = 120;
    near(kiln_schedule_rate(&s, 120), 0.1);

    s = (struct kiln_schedule){
        .kind = KILN_SCHEDULE_STEP, .base = 1, .total_steps = 10, .step_size = 3, .gamma = 0.5};
    near(kiln_schedule_rate(&s, 2), 1);
    near(kiln_schedule_rate(&s, 3), 0.5);
    near(kiln_schedule_rate(&s, 9), 0.125);
}

static void average_decay(void **unused)
{
    (void)unused;
    near(kiln_ema_decay(0.999, 0, 0), 0.999);
    near(kiln_ema_decay(0.999, 1, 0), 0.1);
    near(kiln_ema_decay(0.999, 1, 90), 0.91);
    near(kiln_ema_decay(0.999, 1, 1000000), 0.999);
}

/* A config of the core's keys alone, with one override. */
static kiln_config *config_of(const char *text, const struct kiln_model *model)
{
    struct kiln_error error;
    kiln_config *config;
    const struct kiln_config_source source = {
        .path = "test.ini", .text = text, .text_bytes = strlen(text), .model = model};
    if (kiln_config_load(&source, &config, &error))
        fail_msg("%s", error.text);
    return config;
}

static const struct kiln_model bare = {
    .abi = KILN_MODEL_ABI, .size = sizeof(struct kiln_model), .name = "bare", .summary = "test"};

static void optimiser_words(void **unused)
{
    (void)unused;
    float hyper[KILN_HYPER_WORDS];
    struct kiln_optimizer optimizer;
    kiln_config *config =
        config_of("[model]\nplugin = bare\n[train]\nsteps = 100\nbetas = 0.9, 0.999\n"
                  "learning_rate = 0.002\nwarmup_steps = 2\nema_decay = 0.99\n"
                  "grad_clip = 3\nweight_decay = 0.25\n",
                  &bare);
    kiln_optimizer_read(config, 100, &optimizer);
    assert_int_equal(optimizer.update.kind, KILN_OPTIMIZER_ADAM);
    assert_true(optimizer.update.ema);
    kiln_optimizer_hyper(&optimizer, 0, 0, 0, hyper);
    assert_true(hyper[KILN_HYPER_LEARNING_RATE] == 0.001f);
    assert_true(hyper[KILN_HYPER_BETA1] == 0.9f && hyper[KILN_HYPER_BETA2] == 0.999f);
    /* 1 - 0.999 in f32 would be off by 5e-5 of itself */
    assert_true(fabs(hyper[KILN_HYPER_CORRECTION1] - 0.1) < 1e-8);
    assert_true(fabs(hyper[KILN_HYPER_CORRECTION2] - 0.001) < 1e-10);
    assert_true(hyper[KILN_HYPER_CLIP_NORM] == 3 && hyper[KILN_HYPER_WEIGHT_DECAY] == 0.25f);
    assert_true(hyper[KILN_HYPER_EMA_DECAY] == 0.99f && hyper[KILN_HYPER_LOSS_SCALE] == 1);
    assert_true(hyper[KILN_HYPER_CLAMP] == 0);
    kiln_optimizer_hyper(&optimizer, 50, 250000, 0.01, hyper);
    assert_true(hyper[KILN_HYPER_CORRECTION1] == 1 && hyper[KILN_HYPER_CORRECTION2] == 1);
    assert_true(hyper[KILN_HYPER_CLAMP] == 0.01f);
    kiln_config_destroy(&config);

    config =
        config_of("[model]\nplugin = bare\n[train]\noptimizer = rmsprop\nalpha = 0.75\n", &bare);
    kiln_optimizer_read(config, 100, &optimizer);
    assert_int_equal(optimizer.update.kind, KILN_OPTIMIZER_RMSPROP);
    assert_false(optimizer.update.ema);
    kiln_optimizer_hyper(&optimizer, 0, 0, 0, hyper);
    assert_true(hyper[KILN_HYPER_BETA2] == 0.75f);
    kiln_config_destroy(&config);

    config = config_of("[model]\nplugin = bare\n[train]\noptimizer = sgd\nmomentum = 0.5\n", &bare);
    kiln_optimizer_read(config, 100, &optimizer);
    kiln_optimizer_hyper(&optimizer, 0, 0, 0, hyper);
    assert_int_equal(optimizer.update.kind, KILN_OPTIMIZER_SGD);
    assert_true(hyper[KILN_HYPER_BETA1] == 0.5f);
    kiln_config_destroy(&config);
}

/* Counting one by one is the oracle of the closed forms. */
static void order_of_executions(void **unused)
{
    (void)unused;
    const struct kiln_phase phases[] = {
        {.name = "critic",
         .repeats = 5,
         .warmup_repeats = 100,
         .warmup_steps = 25,
         .warmup_every = 500},
        {.name = "generator", .repeats = 1},
        {.name = "other", .repeats = 3, .warmup_repeats = 1, .warmup_every = 7},
    };
    assert_int_equal(kiln_phase_repeats(&phases[0], 24), 100);
    assert_int_equal(kiln_phase_repeats(&phases[0], 25), 5);
    assert_int_equal(kiln_phase_repeats(&phases[0], 500), 100);
    int64_t number = 0;
    for (int64_t step = 0; step < 1200; step++) {
        assert_int_equal(kiln_order_first(3, phases, step), number);
        for (int phase = 0; phase < 3; phase++)
            for (int repeat = 0; repeat < kiln_phase_repeats(&phases[phase], step); repeat++) {
                int64_t at;
                int which, nth;
                kiln_order_locate(3, phases, number, &at, &which, &nth);
                assert_int_equal(at, step);
                assert_int_equal(which, phase);
                assert_int_equal(nth, repeat);
                number++;
                assert_int_equal(kiln_order_steps(3, phases, number), step + 1);
            }
    }
    assert_int_equal(kiln_order_steps(3, phases, 0), 0);
}

/* --- the log -------------------------------------------------------------------- */

static void expect_file(const char *path, const char *expected)
{
    char *text;
    size_t bytes;
    assert_int_equal(kiln_file_read(path, 1 << 20, &text, &bytes, NULL), KILN_OK);
    assert_string_equal(text, expected);
    free(text);
}

static void log_continues_after_the_checkpoint(void **unused)
{
    (void)unused;
    char path[] = "/tmp/kiln-runlog-XXXXXX";
    close(mkstemp(path));
    kiln_runlog *log;
    double seconds;
    struct kiln_runlog_value values[] = {{"loss", 1.5}, {"seconds", 2}};
    assert_int_equal(kiln_runlog_open(path, 0, &log, &seconds, NULL), KILN_OK);
    assert_true(seconds == 0);
    assert_int_equal(kiln_runlog_write(log, 1, 2, values, NULL), KILN_OK);
    values[0].value = NAN;
    values[1].value = 4;
    assert_int_equal(kiln_runlog_write(log, 20, 2, values, NULL), KILN_OK);
    kiln_runlog_close(&log);
    const char *first = "{\"step\": 1, \"loss\": 1.5, \"seconds\": 2}\n";
    const char *both = "{\"step\": 1, \"loss\": 1.5, \"seconds\": 2}\n"
                       "{\"step\": 20, \"loss\": null, \"seconds\": 4}\n";
    expect_file(path, both);

    assert_int_equal(kiln_runlog_open(path, 20, &log, &seconds, NULL), KILN_OK);
    kiln_runlog_close(&log);
    assert_true(seconds == 4);
    expect_file(path, both);

    /* killed after step 20 was logged, before a checkpoint beyond step 10 */
    assert_int_equal(kiln_runlog_open(path, 10, &log, &seconds, NULL), KILN_OK);
    kiln_runlog_close(&log);
    assert_true(seconds == 2);
    expect_file(path, first);

    /* a line cut short, and a file that is no log */
    kiln_file_write(path, both, strlen(both) - 5, NULL);
    assert_int_equal(kiln_runlog_open(path, 100, &log, &seconds, NULL), KILN_OK);
    kiln_runlog_close(&log);
    expect_file(path, first);
    kiln_file_write(path, "\0\n\xff{\n", 5, NULL);
    assert_int_equal(kiln_runlog_open(path, 100, &log, &seconds, NULL), KILN_OK);
    kiln_runlog_close(&log);
    expect_file(path, "");
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates),
        cmocka_unit_test(average_decay),
        cmocka_unit_test(optimiser_words),
        cmocka_unit_test(order_of_executions),
        cmocka_unit_test(log_continues_after_the_checkpoint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
