/*
 * The order of executions in a training run: a step executes each phase as
 * often as its repeats say, in order. Executions are numbered from 0 through
 * the whole run; the number keys batches and random numbers.
 */
#ifndef KILN_RUN_TRAIN_ORDER_H
#define KILN_RUN_TRAIN_ORDER_H

#include "core/api/model.h"

/* Executions of a phase in a step (from 0). */
int kiln_phase_repeats(const struct kiln_phase *, int64_t step);
/* Executions of a phase in all steps before step: its updates so far. */
int64_t kiln_phase_executions(const struct kiln_phase *, int64_t step);
/* The same of n phases together: the number of the step's first execution. */
int64_t kiln_order_first(int n, const struct kiln_phase *, int64_t step);
/* Step and phase of an execution. */
void kiln_order_locate(int n, const struct kiln_phase *, int64_t number, int64_t *step, int *phase,
                       int *repeat);
/* The smallest number of steps that make at least executions. */
int64_t kiln_order_steps(int n, const struct kiln_phase *, int64_t executions);

#endif
