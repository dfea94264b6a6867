/*
 * What oneDNN executes in the plans of the shipped configs: no primitive, nor
 * a copy of weights, is its reference code, and no convolution is Kiln's plain
 * one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/cpu/cpu.h"
#include "core/base/text.h"
#include "core/device/step_key.h"
#include "core/device/tune.h"
#include "tests/lib/shipped.h"

enum { MAX_SEEN = 4096 };

static struct kiln_error error;

static struct subject {
    const struct cpu_onednn *onednn;
    struct onednn_context *context;
    const char *config; /* whose plans are visited */
    int n_plans, n_seen, n_own;
    char *seen[MAX_SEEN]; /* keys of steps that are known */
} subject;

static bool is_conv(const struct kiln_step *step)
{
    return step->kind == KILN_STEP_CONV || step->kind == KILN_STEP_CONV_INPUT_GRAD ||
           step->kind == KILN_STEP_CONV_WEIGHT_GRAD;
}

/* True the first time. */
static bool is_new(struct subject *s, const struct kiln_step *step)
{
    struct kiln_text key = {0};
    kiln_step_key(step, &key);
    kiln_text_append(&key, " %d %d", step->algorithm, (int)step->as.conv.weight_layout);
    assert_false(key.failed);
    for (int i = 0; i < s->n_seen; i++)
        if (strcmp(s->seen[i], key.data) == 0) {
            kiln_text_finish(&key);
            return false;
        }
    assert_true(s->n_seen < MAX_SEEN);
    s->seen[s->n_seen++] = key.data;
    return true;
}

static void expect_code(const struct subject *s, const struct kiln_step *step, const char *name)
{
    if (strncmp(name, "ref", 3) == 0)
        fail_msg("%s: step %s: oneDNN's %s", s->config, step->label, name);
}

static void check_step(const struct subject *s, const struct kiln_step *step)
{
    enum onednn_way way = step->algorithm == CPU_ONEDNN_WINOGRAD ? ONEDNN_WINOGRAD
                          : step->algorithm == CPU_ONEDNN_REPACK ? ONEDNN_REPACK
                                                                 : ONEDNN_DIRECT;
    struct onednn_conv *conv =
        s->onednn->conv_create(s->context, step, way, NULL, NULL, NULL, NULL);
    assert_non_null(conv);
    expect_code(s, step, s->onednn->implementation(conv, false));
    expect_code(s, step, s->onednn->implementation(conv, true));
    s->onednn->conv_destroy(conv);
}

static void check_plan(void *user, const char *name, const struct kiln_plan *plan)
{
    struct subject *s = user;
    s->n_plans++;
    for (int i = 0; i < plan->steps.n; i++) {
        const struct kiln_step *step = &plan->steps.steps[i];
        if (!is_conv(step) || !is_new(s, step))
            continue;
        if (step->algorithm == CPU_PLAIN)
            fail_msg("%s, %s: step %s is plain code", s->config, name, step->label);
        if (step->algorithm >= CPU_ONEDNN_DIRECT && step->algorithm <= CPU_ONEDNN_REPACK)
            check_step(s, step);
        else
            s->n_own++;
    }
}

/* Visits the plans of all configs but studies, which make their own graphs. */
static int visit_configs(const struct kiln_plan_options *options)
{
    DIR *folder = opendir(KILN_SOURCE_DIR "/config");
    int n = 0;
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder));) {
        char path[4096];
        const char *end = strrchr(entry->d_name, '.');
        if (!end || strcmp(end, ".ini") != 0 || strncmp(entry->d_name, "study-", 6) == 0)
            continue;
        snprintf(path, sizeof path, "%s/config/%s", KILN_SOURCE_DIR, entry->d_name);
        subject.config = entry->d_name;
        if (shipped_plans(path, options, check_plan, &subject, &error))
            fail_msg("%s: %s", path, error.text);
        n++;
    }
    closedir(folder);
    return n;
}

static void plans_hold_no_reference_code(void **unused)
{
    (void)unused;
    kiln_device *device;
    if (!subject.onednn)
        skip();
    if (kiln_device_open("cpu", NULL, &device, &error))
        fail_msg("%s", error.text);
    const struct kiln_caps *caps = kiln_device_caps(device);
    kiln_tuner *tuner = kiln_tuner_create(device, false, 0);
    assert_non_null(tuner);
    const struct kiln_plan_options options = {.caps = caps,
                                              .feature_layout = caps->feature_layouts[0],
                                              .candidates = kiln_tuner_candidates,
                                              .choose = kiln_tuner_choose,
                                              .user = tuner};
    int n_configs = visit_configs(&options), n_onednn = subject.n_seen - subject.n_own;
    printf("%d configs, %d plans, %d convolutions of oneDNN, %d own\n", n_configs, subject.n_plans,
           n_onednn, subject.n_own);
    assert_true(n_configs >= 14);
    assert_true(n_onednn > 50);
    for (int i = 0; i < subject.n_seen; i++)
        free(subject.seen[i]);
    kiln_tuner_destroy(&tuner);
    kiln_device_close(&device);
}

/* oneDNN has nothing else for these gradients, from 8 dense channels to 16 in a
 * block. */
static void reference_code_is_refused(void **unused)
{
    (void)unused;
    if (!subject.onednn)
        skip();
    struct kiln_step step = {.label = "planted"};
    step.as.conv = (struct kiln_step_conv){
        .conv = {.stride = {1, 1}, .dilation = {1, 1}, .pad = {1, 1, 1, 1}, .groups = 1},
        .n = 2,
        .c = 8,
        .h = 6,
        .w = 6,
        .o = 16,
        .kh = 3,
        .kw = 3,
        .oh = 6,
        .ow = 6,
        .x_layout = KILN_LAYOUT_DENSE,
        .y_layout = KILN_LAYOUT_NCHW16C};
    struct kiln_candidate candidate;
    for (int kind = KILN_STEP_CONV_INPUT_GRAD; kind <= KILN_STEP_CONV_WEIGHT_GRAD; kind++)
        for (int way = ONEDNN_DIRECT; way <= ONEDNN_REPACK; way++) {
            step.kind = (enum kiln_step_kind)kind;
            assert_false(subject.onednn->conv_query(subject.context, &step, (enum onednn_way)way,
                                                    &candidate));
            if (way != ONEDNN_WINOGRAD)
                assert_null(subject.onednn->conv_create(
                    subject.context, &step, (enum onednn_way)way, NULL, NULL, NULL, NULL));
        }
}

static int load(void **unused)
{
    (void)unused;
    void *module = dlopen(KILN_BUILD_DIR "/backends/cpu/cpu_onednn.so", RTLD_NOW | RTLD_LOCAL);
    void *symbol = module ? dlsym(module, "cpu_onednn_entry") : NULL;
    cpu_onednn_entry_fn *entry;
    if (!symbol)
        return 0;
    memcpy(&entry, &symbol, sizeof entry);
    subject.onednn = entry();
    subject.context = subject.onednn->open();
    return subject.context ? 0 : -1;
}

static int unload(void **unused)
{
    (void)unused;
    if (subject.onednn)
        subject.onednn->close(subject.context);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reference_code_is_refused),
        cmocka_unit_test(plans_hold_no_reference_code),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
