/* Finding and running a study. */
#include "core/run/study.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/arena.h"

enum { MAX_TRIALS = 256 };

enum kiln_status kiln_study_find(const kiln_config *config, const struct kiln_study **found,
                                 struct kiln_error *error)
{
    const struct kiln_model *model = kiln_config_model(config);
    const char *name = kiln_config_string(config, "study", "name");
    char known[256] = "";
    size_t used = 0;
    if (!model->studies || !model->studies[0])
        return kiln_fail(error, KILN_INPUT, "model %s has no studies", model->name);
    for (int i = 0; model->studies[i]; i++) {
        const struct kiln_study *study = model->studies[i];
        if (study->size < sizeof *study || !study->name || !study->create || !study->destroy ||
            !study->trials || !study->trial || !study->report)
            return kiln_fail(error, KILN_INPUT, "model %s: study %d is incomplete", model->name, i);
        if (!*name || !strcmp(study->name, name)) {
            *found = study;
            return KILN_OK;
        }
        if (used < sizeof known)
            used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "",
                                     study->name);
    }
    return kiln_config_fail(config, "study", "name", error, "model %s has no study %s, only %s",
                            model->name, name, known);
}

static enum kiln_status run_trials(const struct kiln_trial_run *run, const struct kiln_study *study,
                                   void *state, kiln_report *report, struct kiln_error *error)
{
    int n = study->trials(state);
    if (n < 0 || n > MAX_TRIALS)
        return kiln_fail(error, KILN_INPUT, "study %s has %d trials", study->name, n);
    struct kiln_trial_result *results =
        KILN_ARENA_NEW(run->arena, struct kiln_trial_result, (size_t)n);
    if (!results)
        return kiln_fail(error, KILN_MACHINE, "out of memory for %d trials", n);
    for (int i = 0; i < n; i++) {
        struct kiln_trial trial = {0};
        enum kiln_status status = study->trial(state, i, results, &trial, error);
        if (!status)
            status = kiln_trial_run(run, &trial, &results[i], error);
        if (status)
            return status;
    }
    enum kiln_status status = study->report(state, results, report, error);
    return status ? status : kiln_report_error(report, error);
}

static enum kiln_status run_study(kiln_config *config, const struct kiln_study *study,
                                  struct kiln_trial_run *run, kiln_report *report,
                                  struct kiln_error *error)
{
    void *state = NULL;
    enum kiln_status status = study->create(config, &run->data->info, &state, error);
    if (status)
        return status;
    status = kiln_experiment_device(config, &run->device, error);
    if (!status)
        status = run_trials(run, study, state, report, error);
    kiln_device_close(&run->device);
    study->destroy(state);
    return status;
}

enum kiln_status kiln_study_run(kiln_config *config, const struct kiln_study_options *options,
                                kiln_report **report, struct kiln_error *error)
{
    const struct kiln_study *study;
    struct kiln_experiment data;
    *report = NULL;
    enum kiln_status status = kiln_study_find(config, &study, error);
    if (!status)
        status = kiln_experiment_load(config, &data, error);
    if (status)
        return status;
    struct kiln_trial_run run = {
        .config = config,
        .options = options,
        .data = &data,
        .arena = kiln_arena_create(),
    };
    *report = kiln_report_create();
    status = *report && run.arena ? run_study(config, study, &run, *report, error)
                                  : kiln_fail(error, KILN_MACHINE, "out of memory");
    if (status)
        kiln_report_destroy(report);
    kiln_arena_destroy(&run.arena);
    kiln_experiment_finish(&data);
    return status;
}
