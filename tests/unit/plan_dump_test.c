/*
 * The training plans of the tiny configs, for a device of fixed capabilities
 * that measures nothing, are the texts in tests/plan: a change that should
 * leave plans alone does. After one that should not:
 *
 *     build/tests/unit/plan_dump_test --renew
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "tests/lib/plan_run.h"
#include "tests/lib/shipped.h"

enum { MOST_BYTES = 100000 }; /* of a file: they are for reading */

static bool renew;

static void dump_training(void *user, const char *name, const struct kiln_plan *plan)
{
    FILE *stream = user;
    if (strncmp(name, "train", 5) != 0)
        return;
    fprintf(stream, "%s\n", name);
    kiln_plan_dump(plan, stream);
}

static char *dump(const char *config, size_t *bytes)
{
    static const struct kiln_caps caps = {.loop_instructions = KILN_LOOP_MAX_INSTRUCTIONS,
                                          .loop_accesses = KILN_LOOP_MAX_ACCESSES,
                                          .parallelism = 64};
    static bool blocked = true;
    const struct kiln_plan_options device = {.caps = &caps,
                                             .feature_layout = KILN_LAYOUT_NCHW8C,
                                             .candidates = plan_run_candidates,
                                             .user = &blocked};
    char path[4096], *text = NULL;
    struct kiln_error error;
    snprintf(path, sizeof path, "%s/config/%s.ini", KILN_SOURCE_DIR, config);
    FILE *stream = open_memstream(&text, bytes);
    assert_non_null(stream);
    if (shipped_plans(path, &device, dump_training, stream, &error))
        fail_msg("%s: %s", path, error.text);
    assert_int_equal(fclose(stream), 0);
    return text;
}

/* The first line in which they differ, from 1. */
static int first_difference(const char *a, const char *b)
{
    int line = 1;
    for (; *a && *a == *b; a++, b++)
        line += *a == '\n';
    return line;
}

static void plans_are_as_before(void **config)
{
    char path[4096];
    size_t bytes, kept_bytes;
    struct kiln_error error;
    char *text = dump(*config, &bytes), *kept;
    assert_in_range(bytes, 1000, MOST_BYTES);
    snprintf(path, sizeof path, "%s/tests/plan/%s.txt", KILN_SOURCE_DIR, (char *)*config);
    if (renew && kiln_file_write(path, text, bytes, &error))
        fail_msg("%s", error.text);
    if (kiln_file_read(path, MOST_BYTES + 1, &kept, &kept_bytes, &error))
        fail_msg("%s", error.text);
    if (strcmp(text, kept) != 0)
        fail_msg("%s:%d: the plan differs from here on (--renew writes it)", path,
                 first_difference(text, kept));
    free(text);
    free(kept);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(plans_are_as_before, "tiny-vae"),
        cmocka_unit_test_prestate(plans_are_as_before, "tiny-wgan"),
        cmocka_unit_test_prestate(plans_are_as_before, "tiny-ddpm"),
        cmocka_unit_test_prestate(plans_are_as_before, "tiny-ncsn"),
        cmocka_unit_test_prestate(plans_are_as_before, "tiny-cdiff"),
    };
    renew = argc == 2 && strcmp(argv[1], "--renew") == 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
