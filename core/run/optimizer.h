/*
 * The optimiser of a run: what is fixed in the plan, and the numbers that each
 * step writes into it.
 */
#ifndef KILN_RUN_OPTIMIZER_H
#define KILN_RUN_OPTIMIZER_H

#include "core/api/model.h"
#include "core/run/schedule.h"

struct kiln_optimizer {
    struct kiln_update update; /* kind, and whether an average is kept */
    struct kiln_schedule schedule;
    double beta1, beta2; /* Adam: betas; SGD: beta1 is the momentum; RMSProp: beta2 is alpha */
    double epsilon, weight_decay;
    double clip_norm; /* 0 = off */
    double ema_decay;
    bool ema_warmup;
};

/* Reads section [train]; total_steps is the run's length, for the schedule. */
void kiln_optimizer_read(const kiln_config *, int64_t total_steps, struct kiln_optimizer *);
/*
 * The hyper words of one update.
 *
 * step    of the run, from 0: the learning rate follows it
 * update  number of updates that this phase has done before: bias corrections
 *         and the average's warm-up follow it
 * clamp   of the phase
 */
void kiln_optimizer_hyper(const struct kiln_optimizer *, int64_t step, int64_t update, double clamp,
                          float hyper[KILN_HYPER_WORDS]);

#endif
