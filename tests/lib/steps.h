/*
 * A naive interpreter of plan steps on host memory, in double: slow, obvious,
 * and checked at every access. Backends and the planner are tested by it.
 */
#ifndef KILN_TEST_STEPS_H
#define KILN_TEST_STEPS_H

#include "core/api/step.h"

/* The memory of an execution: region_bytes[r] bytes each, or NULL. */
struct steps_memory {
    unsigned char *region[KILN_REGION_COUNT];
    int64_t bytes[KILN_REGION_COUNT];
    const char *error; /* the first violation, NULL = none; sticks */
    bool round;        /* loops round f32 registers, as devices do: a value that is
                          computed twice compares equal to its stored self */
};

/* Executes steps first .. first + count - 1. Arithmetic is in double, memory
 * in the places' dtypes. Stops at the first violation. */
void steps_run(const struct kiln_steps *, struct steps_memory *, int first, int count);

/* One element of a place: offset bytes + element * size, checked. */
double steps_load(struct steps_memory *, const struct kiln_place *, int64_t element);
void steps_store(struct steps_memory *, const struct kiln_place *, int64_t element, double value);

void steps_run_loop(const struct kiln_loop *, struct steps_memory *);
void steps_run_conv(const struct kiln_step *, struct steps_memory *);
void steps_run_window(const struct kiln_step *, struct steps_memory *);
void steps_run_attention(const struct kiln_step *, struct steps_memory *);
void steps_run_update(const struct kiln_step_update *, struct steps_memory *);

#endif
