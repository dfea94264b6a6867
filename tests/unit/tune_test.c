/* Measured choices: keys, the file of choices, disagreement, real candidates. */
#define _XOPEN_SOURCE 700
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/device/cache.h"
#include "core/device/measure.h"
#include "core/device/step_key.h"
#include "core/device/tune.h"
#include "core/device/tune_file.h"

static char folder[] = "/tmp/kiln-tune-XXXXXX";

static struct kiln_step conv(enum kiln_step_kind kind, int64_t c, int64_t o)
{
    return (struct kiln_step){
        .kind = kind,
        .label = "c",
        .as.conv = {
            .n = 2,
            .c = c,
            .h = 12,
            .w = 12,
            .o = o,
            .kh = 3,
            .kw = 3,
            .oh = 12,
            .ow = 12,
            .conv = {.stride = {1, 1}, .dilation = {1, 1}, .pad = {1, 1, 1, 1}, .groups = 1}}};
}

static char *key_of(const struct kiln_step *step)
{
    struct kiln_text key = {0};
    kiln_step_key(step, &key);
    assert_false(key.failed);
    return key.data;
}

static void keys_tell_steps_apart(void **unused)
{
    (void)unused;
    struct kiln_step steps[] = {
        conv(KILN_STEP_CONV, 16, 32),
        conv(KILN_STEP_CONV_INPUT_GRAD, 16, 32),
        conv(KILN_STEP_CONV, 32, 16),
        conv(KILN_STEP_CONV, 16, 32),
        {.kind = KILN_STEP_MATMUL, .as.matmul = {.batch = 1, .m = 2, .n = 3, .k = 4}},
        {.kind = KILN_STEP_RNG, .as.rng = {.samples = 2, .per_sample = 3}},
        {.kind = KILN_STEP_RNG, .as.rng = {.samples = 3, .per_sample = 2}}};
    enum { N = sizeof steps / sizeof *steps };
    steps[3].as.conv.conv.pad[3] = 0;
    char *keys[N];
    for (int i = 0; i < N; i++)
        keys[i] = key_of(&steps[i]);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < i; j++)
            assert_string_not_equal(keys[i], keys[j]);
    steps[0].label = "elsewhere";
    steps[0].as.conv.x.offset = 640;
    char *same = key_of(&steps[0]);
    assert_string_equal(same, keys[0]);
    free(same);
    for (int i = 0; i < N; i++)
        free(keys[i]);
}

static void the_file_is_merged_and_distrusted(void **unused)
{
    (void)unused;
    struct kiln_tune_table table = {0}, other = {0};
    for (int i = 0; i < 100; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", i * 37 % 100);
        kiln_tune_set(&table, key, "a", 1e-3);
    }
    kiln_tune_set(&table, "50", "b", 2e-3);
    assert_int_equal(table.n, 100);
    assert_string_equal(kiln_tune_find(&table, "50")->value, "b");
    assert_true(kiln_tune_write(&table, "t.json", "device"));
    kiln_tune_set(&other, "50", "c", 0);
    kiln_tune_set(&other, "new", "d", 0);
    assert_true(kiln_tune_write(&other, "t.json", "device"));
    kiln_tune_clear(&table);
    kiln_tune_read(&table, "t.json", "device");
    assert_int_equal(table.n, 101);
    assert_string_equal(kiln_tune_find(&table, "50")->value, "c");
    assert_null(kiln_tune_find(&table, "none"));
    kiln_tune_clear(&table);
    kiln_tune_read(&table, "t.json", "another device");
    assert_int_equal(table.n, 0);
    static const char *const damaged[] = {
        "",
        "{",
        "[]",
        "{\"format\":1,\"device\":\"device\"}",
        "{\"format\":1,\"device\":\"device\",\"choices\":7}",
        "{\"format\":1,\"device\":\"device\",\"choices\":{\"a\":7,\"b\":[7],\"c\":{},\"d\":[]}}",
        "{\"format\":2,\"device\":\"device\",\"choices\":{\"a\":[\"x\",1]}}"};
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        kiln_cache_write("t.json", damaged[i], strlen(damaged[i]));
        kiln_tune_read(&table, "t.json", "device");
        assert_int_equal(table.n, 0);
    }
    kiln_tune_clear(&other);
}

static kiln_device *open_cpu(void)
{
    struct kiln_error error = {""};
    kiln_device *device;
    if (kiln_device_open("cpu", NULL, &device, &error))
        fail_msg("%s", error.text);
    return device;
}

static void all_candidates_of_the_cpu_agree(void **unused)
{
    (void)unused;
    kiln_device *device = open_cpu();
    const struct kiln_backend *backend = kiln_device_backend(device);
    static const enum kiln_layout layouts[] = {KILN_LAYOUT_DENSE, KILN_LAYOUT_NHWC,
                                               KILN_LAYOUT_NCHW16C};
    for (int kind = KILN_STEP_CONV; kind <= KILN_STEP_CONV_WEIGHT_GRAD; kind++)
        for (int l = 0; l < 3; l++) {
            struct kiln_step step = conv((enum kiln_step_kind)kind, 64, 32);
            step.as.conv.x_layout = step.as.conv.y_layout = layouts[l];
            struct kiln_candidate candidates[KILN_MAX_CANDIDATES];
            struct kiln_measured measured[KILN_MAX_CANDIDATES];
            int n = backend->candidates(kiln_device_backend_state(device), &step, candidates);
            if (n < 1)
                continue;
            double spent;
            int chosen = kiln_measure_step(device, &step, n, candidates, 5, measured, &spent);
            assert_true(chosen >= 0 && chosen < n);
            for (int i = 0; i < n; i++) {
                print_message("%s %s: %s %.3g ms, difference %.1e%s\n",
                              kiln_step_kind_name(step.kind), kiln_layout_name(layouts[l]),
                              candidates[i].name, 1e3 * measured[i].seconds, measured[i].difference,
                              i == chosen ? " *" : "");
                assert_false(measured[i].dropped);
            }
        }
    kiln_device_close(&device);
}

static void choices_are_kept(void **unused)
{
    (void)unused;
    kiln_device *device = open_cpu();
    struct kiln_step step = conv(KILN_STEP_CONV, 64, 64);
    struct kiln_candidate candidates[KILN_MAX_CANDIDATES];
    kiln_tuner *tuner = kiln_tuner_create(device, true, 5);
    assert_non_null(tuner);
    int n = kiln_tuner_candidates(tuner, &step, candidates);
    assert_true(n >= 1);
    int chosen = kiln_tuner_choose(tuner, &step, n, candidates);
    assert_int_equal(kiln_tuner_choose(tuner, &step, n, candidates), chosen);
    uint64_t hash = kiln_tuner_hash(tuner);
    double left = kiln_tuner_left(tuner);
    assert_true(n < 2 || left < 5);
    kiln_tuner_put(tuner, "extra", "value", 1);
    kiln_tuner_save(tuner);
    kiln_tuner_destroy(&tuner);

    tuner = kiln_tuner_create(device, true, 5);
    assert_string_equal(kiln_tuner_get(tuner, "extra"), "value");
    assert_int_equal(kiln_tuner_choose(tuner, &step, n, candidates), chosen);
    assert_true(kiln_tuner_left(tuner) == 5); /* nothing was measured */
    assert_true(kiln_tuner_hash(tuner) == hash);
    kiln_tuner_destroy(&tuner);

    tuner = kiln_tuner_create(device, false, 5);
    assert_null(kiln_tuner_get(tuner, "extra"));
    assert_int_equal(kiln_tuner_choose(tuner, &step, n, candidates), 0);
    kiln_tuner_destroy(&tuner);
    kiln_device_close(&device);
}

/* With its permission withdrawn no Winograd algorithm is offered, nor chosen by
 * a choice that was kept from before. */
static void winograd_can_be_left_out(void **unused)
{
    (void)unused;
    kiln_device *device = open_cpu();
    struct kiln_step step = conv(KILN_STEP_CONV, 64, 64);
    step.as.conv.x_layout = step.as.conv.y_layout = KILN_LAYOUT_NCHW16C;
    struct kiln_candidate all[KILN_MAX_CANDIDATES], others[KILN_MAX_CANDIDATES];
    kiln_tuner *tuner = kiln_tuner_create(device, true, 5);
    int n = kiln_tuner_candidates(tuner, &step, all), n_winograd = 0;
    for (int i = 0; i < n; i++)
        n_winograd += all[i].winograd;
    if (n > 0)
        kiln_tuner_choose(tuner, &step, n, all);
    kiln_tuner_allow_winograd(tuner, false);
    int kept = kiln_tuner_candidates(tuner, &step, others);
    assert_int_equal(kept, n - n_winograd);
    for (int i = 0; i < kept; i++)
        assert_false(others[i].winograd);
    if (kept > 0)
        assert_false(others[kiln_tuner_choose(tuner, &step, kept, others)].winograd);
    print_message("%d of %d algorithms are Winograd's\n", n_winograd, n);
    kiln_tuner_destroy(&tuner);
    kiln_device_close(&device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_tell_steps_apart),
        cmocka_unit_test(the_file_is_merged_and_distrusted),
        cmocka_unit_test(all_candidates_of_the_cpu_agree),
        cmocka_unit_test(choices_are_kept),
        cmocka_unit_test(winograd_can_be_left_out),
    };
    if (!mkdtemp(folder))
        return 1;
    setenv("XDG_CACHE_HOME", folder, 1);
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    char command[300];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command) || failures;
}
