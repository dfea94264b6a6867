/* The training loop. */
#include "core/run/train.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/run/trainer.h"

int64_t kiln_train_steps(const kiln_config *config, int64_t n_train, int n_phases,
                         const struct kiln_phase *phases)
{
    int64_t steps = kiln_config_int(config, "train", "steps");
    if (steps > 0)
        return steps;
    int64_t images = kiln_config_int(config, "train", "epochs") * n_train;
    int64_t batch = kiln_config_int(config, "train", "batch_size");
    return kiln_order_steps(n_phases, phases, (images + batch - 1) / batch);
}

static bool due(int64_t step, int64_t every)
{
    return every > 0 && step % every == 0;
}

/* What is due after a step; the only places that wait for the device. */
static enum kiln_status after_step(struct kiln_trainer *t, bool last, struct kiln_error *error)
{
    const kiln_config *config = t->config;
    bool log = last || t->step == 1 || due(t->step, kiln_config_int(config, "train", "log_every"));
    bool save = last || due(t->step, kiln_config_int(config, "train", "checkpoint_every"));
    bool draw = t->sampler && (t->step == t->total ||
                               due(t->step, kiln_config_int(config, "train", "sample_every")));
    enum kiln_status status = KILN_OK;
    if (log)
        status = kiln_trainer_report(t, error);
    if (!status && (log || save || draw))
        status = kiln_trainer_check_finite(t, error);
    if (!status && save)
        status = kiln_trainer_save(t, error);
    if (!status && draw)
        status = kiln_trainer_draw_samples(t, error);
    if (status != KILN_INTERRUPTED)
        return status;
    /* A grid that the user did not wait for is left out; the loop stops. */
    error->text[0] = '\0';
    return KILN_OK;
}

static void show_progress(const struct kiln_trainer *t)
{
    int64_t executions = kiln_order_first(t->n_phases, t->phases, t->step + 1) -
                         kiln_order_first(t->n_phases, t->phases, t->step);
    const struct kiln_train_progress progress = {
        .step = t->step,
        .total = t->total,
        .images_per_step = executions * t->source.size,
        .text = t->text,
    };
    if (t->options->progress)
        t->options->progress(t->options->user, &progress);
}

static enum kiln_status run_steps(struct kiln_trainer *t, struct kiln_error *error)
{
    const volatile sig_atomic_t *stop = t->options->stop;
    bool stopped = stop && *stop;
    while (t->step < t->total && !stopped) {
        enum kiln_status status = kiln_trainer_run_step(t, error);
        stopped = stop && *stop;
        if (!status)
            status = after_step(t, stopped || t->step == t->total, error);
        if (status)
            return status;
        if (t->step == 1) /* the first step is always logged, and so was waited for */
            t->result->first_step_seconds = kiln_trainer_clock() - t->entered;
        show_progress(t);
    }
    t->result->step = t->step;
    return t->step < t->total ? KILN_INTERRUPTED : KILN_OK;
}

/* What the run took of the device. */
static void read_statistics(const struct kiln_trainer *t, struct kiln_train_result *result)
{
    int64_t bytes;
    kiln_device_backend(t->device)->stats(kiln_device_backend_state(t->device), &result->launches,
                                          &result->waits, &bytes, &result->device_bytes);
    result->waits -= kiln_session_profile_waits(t->session);
    for (int i = 0; i < t->n_phases && t->options->device.stats; i++) {
        struct kiln_named_profile *named = &result->profiles[result->n_profiles++];
        snprintf(named->name, sizeof named->name, "%s", t->phases[i].name);
        kiln_executable_profile(t->executables[i], &named->profile);
    }
}

enum kiln_status kiln_train(kiln_config *config, const struct kiln_train_options *options,
                            struct kiln_train_result *result, struct kiln_error *error)
{
    struct kiln_trainer trainer;
    double entered = kiln_trainer_clock();
    *result = (struct kiln_train_result){0};
    error->text[0] = '\0';
    enum kiln_status status = kiln_trainer_create(config, options, &trainer, error);
    trainer.result = result;
    trainer.entered = entered;
    result->step = trainer.step;
    result->total = trainer.total;
    if (!status) {
        trainer.started = trainer.logged_at = kiln_trainer_clock();
        trainer.logged_step = trainer.step;
        show_progress(&trainer);
        status = run_steps(&trainer, error);
        read_statistics(&trainer, result);
    }
    kiln_trainer_finish(&trainer);
    return status;
}
