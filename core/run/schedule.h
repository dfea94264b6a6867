/*
 * Learning-rate schedules.
 */
#ifndef KILN_RUN_SCHEDULE_H
#define KILN_RUN_SCHEDULE_H

#include <stdint.h>

enum kiln_schedule_kind {
    KILN_SCHEDULE_CONSTANT,
    KILN_SCHEDULE_COSINE, /* from base to least along half a cosine (Loshchilov & Hutter 2017) */
    KILN_SCHEDULE_STEP,   /* times gamma every step_size steps */
    KILN_SCHEDULE_LINEAR  /* from base to least along a line */
};

struct kiln_schedule {
    enum kiln_schedule_kind kind;
    double base, least;   /* learning rates */
    int64_t warmup_steps; /* first rises along a line, ends at base */
    int64_t total_steps;  /* cosine, linear: the rate is least at this step */
    int64_t step_size;    /* step: >= 1 */
    double gamma;         /* step */
};

/*
 * The learning rate of a step, counted from 0. Step s of the warm-up has
 * base (s + 1) / warmup_steps; the schedule proper begins after it. Steps from
 * total_steps on have the rate least.
 */
double kiln_schedule_rate(const struct kiln_schedule *, int64_t step);

/*
 * Decay of the weights' moving average at the n-th update, counted from 0:
 * decay, or with warm-up min(decay, (1 + n) / (10 + n)), so that the average
 * forgets the initial weights.
 */
double kiln_ema_decay(double decay, int warmup, int64_t n);

#endif
