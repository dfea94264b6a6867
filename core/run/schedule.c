/* Learning-rate schedules. */
#include "core/run/schedule.h"

#include <math.h>

/* The rate at step of total steps after the warm-up. */
static double rate_after_warmup(const struct kiln_schedule *schedule, int64_t step, int64_t total)
{
    const double pi = 3.14159265358979323846;
    double share = step < total ? (double)step / (double)total : 1;
    double range = schedule->base - schedule->least;
    switch (schedule->kind) {
    case KILN_SCHEDULE_COSINE:
        return schedule->least + range * 0.5 * (1 + cos(pi * share));
    case KILN_SCHEDULE_LINEAR:
        return schedule->least + range * (1 - share);
    case KILN_SCHEDULE_STEP:
        return schedule->base * pow(schedule->gamma, (double)(step / schedule->step_size));
    case KILN_SCHEDULE_CONSTANT:
        break;
    }
    return schedule->base;
}

double kiln_schedule_rate(const struct kiln_schedule *schedule, int64_t step)
{
    int64_t warmup = schedule->warmup_steps;
    if (step < warmup)
        return schedule->base * (double)(step + 1) / (double)warmup;
    return rate_after_warmup(schedule, step - warmup, schedule->total_steps - warmup);
}

double kiln_ema_decay(double decay, int warmup, int64_t n)
{
    double early = (1.0 + (double)n) / (10.0 + (double)n);
    return warmup && early < decay ? early : decay;
}
