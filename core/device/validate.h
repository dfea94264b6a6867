/*
 * Everything that step.h promises to a backend, checked once per execution
 * before the backend sees the steps.
 */
#ifndef KILN_DEVICE_VALIDATE_H
#define KILN_DEVICE_VALIDATE_H

#include "core/api/step.h"

/*
 * KILN_OK if every place, stride, size and register of the steps is as step.h
 * documents and every access lies inside its region. Otherwise KILN_INPUT with
 * the step's number, kind and label and what is wrong: a fault of the plan,
 * not of its user.
 */
enum kiln_status kiln_steps_validate(const struct kiln_steps *, struct kiln_error *);

/* What a step reads or writes: elements low .. high - 1 from its place on. low
 * is below 0 only for a loop's negative strides. */
struct kiln_operand {
    const struct kiln_place *place;
    int64_t low, high;
    bool read, written;
};

#define KILN_MAX_OPERANDS KILN_LOOP_MAX_ACCESSES

/*
 * The operands of a step and how far each reaches, whatever its places say;
 * scratch is not among them. Returns their number, or -1 if a size is out of
 * range (an extent below 1, 2^47 elements or more).
 */
int kiln_step_operands(const struct kiln_step *, struct kiln_operand operands[KILN_MAX_OPERANDS]);

/* NULL if the loop's program is well formed, else what is wrong (a constant). */
const char *kiln_loop_fault(const struct kiln_loop *);

#endif
