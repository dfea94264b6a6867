/* One execution of a training phase. */
#include "core/run/trainer.h"

enum kiln_status kiln_trainer_feed(struct kiln_trainer *t, const struct kiln_execution *execution,
                                   kiln_executable *executable, struct kiln_error *error)
{
    const struct kiln_phase *phase = &t->phases[execution->phase];
    int64_t update = kiln_phase_executions(phase, execution->step) + execution->repeat;
    int32_t rng[KILN_RNG_KEY_WORDS];
    float hyper[KILN_HYPER_WORDS];
    kiln_rng_words(t->seed, (uint32_t)(execution->number + 1), 0, rng);
    kiln_optimizer_hyper(&t->optimizer, execution->step, update, phase->clamp, hyper);
    kiln_batches_indices(t->batches, (uint64_t)execution->number, t->index);
    enum kiln_status status =
        kiln_experiment_feed(&t->experiment, &t->source, t->index, t->staging, executable, error);
    if (!status)
        status = kiln_executable_write(executable, "rng", rng, sizeof rng, error);
    if (!status)
        status = kiln_executable_write(executable, "hyper", hyper, sizeof hyper, error);
    return status;
}

enum kiln_status kiln_trainer_run_step(struct kiln_trainer *t, struct kiln_error *error)
{
    struct kiln_execution execution = {
        .step = t->step,
        .number = kiln_order_first(t->n_phases, t->phases, t->step),
    };
    for (execution.phase = 0; execution.phase < t->n_phases; execution.phase++) {
        int repeats = kiln_phase_repeats(&t->phases[execution.phase], t->step);
        kiln_executable *executable = t->executables[execution.phase];
        for (execution.repeat = 0; execution.repeat < repeats; execution.repeat++) {
            enum kiln_status status = kiln_trainer_feed(t, &execution, executable, error);
            if (!status)
                status = kiln_executable_run(executable, error);
            if (status)
                return status;
            execution.number++;
        }
    }
    t->step++;
    return KILN_OK;
}
