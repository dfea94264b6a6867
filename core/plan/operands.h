/*
 * The operands of a step as strided boxes, for whoever looks at steps from the
 * outside: the checker and the dump. Knows nothing of the planner.
 */
#ifndef KILN_PLAN_OPERANDS_H
#define KILN_PLAN_OPERANDS_H

#include "core/plan/plan.h"

enum { STEP_MAX_OPERANDS = KILN_LOOP_MAX_ACCESSES + 1 };

struct step_operand {
    const char *name; /* "x", "weight", "load" */
    struct kiln_place place;
    const struct kiln_place *at; /* the same in the step */
    bool read, write;
    int n;                                                          /* dimensions */
    int64_t extent[KILN_LOOP_MAX_DIMS], stride[KILN_LOOP_MAX_DIMS]; /* elements */
};

/* check_prepared.c: a part of kiln_plan_check. Prepared steps read what stays as
 * it is from execution to execution, and nothing overwrites what they store. */
enum kiln_status plan_check_prepared(const struct kiln_plan *, struct kiln_error *);

/* Fills operands and returns their number; the scratch memory, if any, is one
 * (written u8). Parts of an update that are not kept are left out. */
int step_operands(const struct kiln_step *, struct step_operand[STEP_MAX_OPERANDS]);
/* Of a step: multiplications and additions of matmuls, convolutions and
 * attention; bytes of all operands, each once, scratch left out. */
int64_t step_flops(const struct kiln_step *);
int64_t step_bytes(const struct kiln_step *);
/* The bytes of its region from the operand's first element to its last one. */
struct kiln_plan_span step_operand_span(const struct step_operand *);

#endif
