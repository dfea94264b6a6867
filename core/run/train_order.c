/* The order of executions in a training run. */
#include "core/run/train_order.h"

/* Multiples of every in 0 .. end - 1. */
static int64_t multiples(int64_t end, int64_t every)
{
    return every > 0 ? (end + every - 1) / every : 0;
}

int kiln_phase_repeats(const struct kiln_phase *phase, int64_t step)
{
    bool warm =
        step < phase->warmup_steps || (phase->warmup_every > 0 && step % phase->warmup_every == 0);
    return warm && phase->warmup_repeats > 0 ? phase->warmup_repeats : phase->repeats;
}

int64_t kiln_phase_executions(const struct kiln_phase *phase, int64_t step)
{
    int64_t executions = step * phase->repeats;
    if (phase->warmup_repeats <= 0)
        return executions;
    int64_t start = phase->warmup_steps > 0 ? phase->warmup_steps : 0;
    int64_t warm = step < start ? step : start;
    if (step > start)
        warm += multiples(step, phase->warmup_every) - multiples(start, phase->warmup_every);
    return executions + warm * (phase->warmup_repeats - phase->repeats);
}

int64_t kiln_order_first(int n, const struct kiln_phase *phases, int64_t step)
{
    int64_t sum = 0;
    for (int i = 0; i < n; i++)
        sum += kiln_phase_executions(&phases[i], step);
    return sum;
}

int64_t kiln_order_steps(int n, const struct kiln_phase *phases, int64_t executions)
{
    int64_t low = 0, high = executions; /* every step makes at least one */
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (kiln_order_first(n, phases, middle) >= executions)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

void kiln_order_locate(int n, const struct kiln_phase *phases, int64_t number, int64_t *step,
                       int *phase, int *repeat)
{
    *step = kiln_order_steps(n, phases, number + 1) - 1;
    int64_t rest = number - kiln_order_first(n, phases, *step);
    int i = 0;
    while (i < n - 1 && rest >= kiln_phase_repeats(&phases[i], *step))
        rest -= kiln_phase_repeats(&phases[i++], *step);
    *phase = i;
    *repeat = (int)rest;
}
