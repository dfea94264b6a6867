/* Pairing the entries of two results. */
#include "core/bench/compare.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/text.h"

/* A time of a suite: an operation, or one of a model's times. */
struct timed {
    const char *device, *name, *what, *failure;
    double seconds;
};

enum { TIMES_OF_MODEL = 2 };

static size_t count_timed(const struct kiln_suite *suite)
{
    return suite->n_ops + TIMES_OF_MODEL * suite->n_models;
}

static struct timed timed_at(const struct kiln_suite *suite, size_t i)
{
    if (i < suite->n_ops) {
        const struct kiln_suite_op *op = &suite->ops[i];
        return (struct timed){op->device, op->name, "", op->failure, op->times.median};
    }
    i -= suite->n_ops;
    const struct kiln_suite_model *model = &suite->models[i / TIMES_OF_MODEL];
    bool step = i % TIMES_OF_MODEL == 0;
    return (struct timed){model->device, model->name, step ? ": training step" : ": sampling",
                          model->failure, step ? model->step.median : model->sample.median};
}

static bool find(const struct kiln_suite *suite, const struct timed *wanted, bool any_device,
                 struct timed *found)
{
    for (size_t i = 0; i < count_timed(suite); i++) {
        *found = timed_at(suite, i);
        if (!strcmp(found->name, wanted->name) && !strcmp(found->what, wanted->what) &&
            (any_device || !strcmp(found->device, wanted->device)))
            return true;
    }
    return false;
}

/* A failed entry has a time too where only its quality gate failed. */
static bool usable(const struct timed *t)
{
    return t->seconds > 0 && !t->failure[0];
}

static bool add_pair(struct kiln_suite_comparison *comparison, const struct timed *before,
                     const struct timed *after, double threshold)
{
    if (!kiln_array_grow(&comparison->pairs, &comparison->capacity, comparison->n,
                         sizeof *comparison->pairs))
        return false;
    struct kiln_suite_pair *pair = &comparison->pairs[comparison->n++];
    bool same = !strcmp(before->device, after->device), good = usable(after);
    *pair = (struct kiln_suite_pair){
        .before = before->seconds,
        .after = good ? after->seconds : 0,
        .ratio = good ? after->seconds / before->seconds : 0,
        .note = good                ? ""
                : after->failure[0] ? after->failure
                                    : "was not measured",
    };
    pair->slower = !good || pair->ratio > 1 + threshold;
    comparison->slower += pair->slower;
    snprintf(pair->name, sizeof pair->name, "%s%s", before->name, before->what);
    snprintf(pair->device, sizeof pair->device, "%s%s%s", before->device, same ? "" : ", ",
             same ? "" : after->device);
    return true;
}

static double mean_ratio(const struct kiln_suite_comparison *comparison)
{
    double sum = 0;
    int n = 0;
    for (size_t i = 0; i < comparison->n; i++)
        if (comparison->pairs[i].ratio > 0) {
            sum += log(comparison->pairs[i].ratio);
            n++;
        }
    return n ? exp(sum / n) : 0;
}

enum kiln_status kiln_suite_compare(const struct kiln_suite *a, const struct kiln_suite *b,
                                    double threshold, struct kiln_suite_comparison *comparison,
                                    struct kiln_error *error)
{
    bool any_device = a->n_devices == 1 && b->n_devices == 1;
    *comparison = (struct kiln_suite_comparison){0};
    if (a->version != b->version)
        return kiln_fail(error, KILN_INPUT,
                         "results of suite %d and of suite %d, whose work differs, cannot be "
                         "compared",
                         a->version, b->version);
    for (size_t i = 0; i < count_timed(a); i++) {
        struct timed before = timed_at(a, i), after;
        if (usable(&before) && find(b, &before, any_device, &after) &&
            !add_pair(comparison, &before, &after, threshold))
            return kiln_fail(error, KILN_MACHINE, "out of memory");
    }
    comparison->mean_ratio = mean_ratio(comparison);
    return comparison->n ? KILN_OK
                         : kiln_fail(error, KILN_INPUT,
                                     "the results have no measured entry of the same name and "
                                     "device in common");
}

void kiln_suite_comparison_finish(struct kiln_suite_comparison *comparison)
{
    free(comparison->pairs);
    *comparison = (struct kiln_suite_comparison){0};
}
