/* Candidates that are slow, wrong or broken, on the laboratory's backend. */
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

#include "core/base/log.h"
#include "core/base/text.h"
#include "core/device/measure.h"
#include "core/device/memory.h"
#include "core/device/tune.h"

static char folder[] = "/tmp/kiln-measure-XXXXXX";
static struct kiln_text warnings;

static void remember(void *user, enum kiln_log_level level, const char *line)
{
    (void)user;
    if (level == KILN_LOG_WARNING)
        kiln_text_append(&warnings, "%s\n", line);
}

static kiln_device *open_lab(void)
{
    struct kiln_error error = {""};
    kiln_device *device;
    if (kiln_device_open("cpu", NULL, &device, &error))
        fail_msg("%s", error.text);
    assert_string_equal(kiln_device_caps(device)->name, "laboratory");
    return device;
}

static struct kiln_step matmul(void)
{
    return (struct kiln_step){.kind = KILN_STEP_MATMUL,
                              .label = "product",
                              .as.matmul = {.batch = 1,
                                            .m = 6,
                                            .n = 5,
                                            .k = 7,
                                            .a_stride = {42, 7, 1},
                                            .b_stride = {35, 5, 1},
                                            .c_stride = {30, 5, 1}}};
}

static void the_fastest_right_one_wins(void **unused)
{
    (void)unused;
    kiln_device *device = open_lab();
    struct kiln_step step = matmul();
    struct kiln_candidate candidates[KILN_MAX_CANDIDATES];
    struct kiln_measured measured[KILN_MAX_CANDIDATES];
    int n = kiln_device_backend(device)->candidates(kiln_device_backend_state(device), &step,
                                                    candidates);
    assert_int_equal(n, 4);
    double spent;
    warnings.length = 0;
    assert_int_equal(kiln_measure_step(device, &step, n, candidates, 5, measured, &spent), 1);
    assert_true(measured[0].seconds > 1e-3 && measured[1].seconds < measured[0].seconds &&
                spent > 0);
    assert_false(measured[0].dropped || measured[1].dropped);
    assert_true(measured[2].dropped && measured[2].difference > 1);
    assert_true(measured[3].dropped);
    assert_non_null(strstr(warnings.data, "wrong of product is wrong"));
    assert_non_null(strstr(warnings.data, "broken of product fails"));
    assert_int_equal(kiln_device_memory_used(device), 0);

    /* the first is the reference: without it nothing can be said */
    candidates[0] = candidates[3];
    assert_int_equal(kiln_measure_step(device, &step, n, candidates, 5, measured, &spent), -1);
    /* nor without memory */
    kiln_device_backend(device)->candidates(kiln_device_backend_state(device), &step, candidates);
    candidates[1].scratch_bytes = (int64_t)1 << 60;
    assert_int_equal(kiln_measure_step(device, &step, n, candidates, 5, measured, &spent), -1);
    assert_int_equal(kiln_device_memory_used(device), 0);
    kiln_device_close(&device);
}

static void a_spent_budget_takes_the_first(void **unused)
{
    (void)unused;
    kiln_device *device = open_lab();
    struct kiln_step step = matmul();
    struct kiln_candidate candidates[KILN_MAX_CANDIDATES];
    kiln_tuner *tuner = kiln_tuner_create(device, true, 0);
    int n = kiln_tuner_candidates(tuner, &step, candidates);
    assert_int_equal(kiln_tuner_choose(tuner, &step, n, candidates), 0);
    uint64_t first = kiln_tuner_hash(tuner);
    kiln_tuner_destroy(&tuner);
    tuner = kiln_tuner_create(device, true, 5);
    assert_int_equal(kiln_tuner_choose(tuner, &step, n, candidates), 1);
    assert_true(kiln_tuner_hash(tuner) != first);
    kiln_tuner_save(tuner);
    kiln_tuner_destroy(&tuner);
    /* with the choice kept, no budget is needed */
    tuner = kiln_tuner_create(device, true, 0);
    assert_int_equal(kiln_tuner_choose(tuner, &step, n, candidates), 1);
    /* a kept name that the backend no longer offers is measured anew or first */
    assert_int_equal(kiln_tuner_choose(tuner, &step, 1, candidates), 0);
    kiln_tuner_destroy(&tuner);
    kiln_device_close(&device);
}

static void memory_is_accounted(void **unused)
{
    (void)unused;
    kiln_device *device = open_lab();
    struct kiln_error error;
    kiln_memory *memory[4] = {NULL};
    assert_int_equal(kiln_device_memory_create(device, 9 << 20, "states", &memory[0], &error),
                     KILN_MACHINE);
    assert_non_null(strstr(error.text, "states need 9 MiB in one piece, its limit is 8 MiB"));
    assert_int_equal(kiln_device_memory_create(device, 8 << 20, "states", &memory[0], &error),
                     KILN_OK);
    assert_int_equal(kiln_device_memory_create(device, 6 << 20, "states", &memory[1], &error),
                     KILN_OK);
    assert_int_equal(kiln_device_memory_create(device, 4 << 20, "workspace", &memory[2], &error),
                     KILN_MACHINE);
    assert_non_null(strstr(error.text, "workspace need 4 MiB, 14 of 16 MiB are in use"));
    assert_int_equal(kiln_device_memory_create(device, 0, "data", &memory[2], &error), KILN_OK);
    assert_null(memory[2]);
    assert_int_equal(kiln_device_memory_create(device, -1, "data", &memory[2], &error),
                     KILN_MACHINE);
    kiln_device_memory_destroy(device, 8 << 20, &memory[0]);
    kiln_device_memory_destroy(device, 6 << 20, &memory[1]);
    assert_int_equal(kiln_device_memory_used(device), 0);
    kiln_device_close(&device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_fastest_right_one_wins),
        cmocka_unit_test(a_spent_budget_takes_the_first),
        cmocka_unit_test(memory_is_accounted),
    };
    if (!mkdtemp(folder))
        return 1;
    setenv("XDG_CACHE_HOME", folder, 1);
    setenv("KILN_BACKEND_PATH", LAB_MODULES, 1);
    kiln_log_receiver(remember, NULL);
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    kiln_text_finish(&warnings);
    char command[300];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command) || failures;
}
