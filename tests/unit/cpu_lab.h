/*
 * Runs single steps on the CPU backend through its table, in one buffer with
 * guard bands round every operand.
 */
#ifndef KILN_TESTS_CPU_LAB_H
#define KILN_TESTS_CPU_LAB_H

#include "core/api/backend.h"

struct lab {
    const struct kiln_backend *backend;
    kiln_device_state *device;
    struct kiln_caps caps;
    char *image; /* of the workspace region */
    int64_t bytes;
    int64_t guard[64][2]; /* first byte, bytes */
    int n_guards;
};

/* Opens the device; fails the test if that fails. */
struct lab lab_open(int threads, bool reference);
/* The ways a device can be opened: 0 one thread, 1 two threads, 2 the
 * reference, 3 and 4 without oneDNN, with AVX2 and without. */
#define LAB_VARIANTS 5
struct lab lab_open_variant(int variant);
void lab_close(struct lab *);
/* Forgets all operands. */
void lab_clear(struct lab *);
/* An operand of count elements, copied from values (NULL: filled with NaN or
 * 0x5a). The place is aligned; what lies before and after it is guarded. */
struct kiln_place lab_put(struct lab *, enum kiln_dtype, int64_t count, const void *values);
/* Host copy of an operand, current after lab_run. */
void *lab_at(struct lab *, struct kiln_place);
/* Executes the step with the given candidate's algorithm and scratch, and
 * checks the guards. */
void lab_run(struct lab *, struct kiln_step *, const struct kiln_candidate *);
/* As lab_run with the first candidate; returns its number of candidates. */
int lab_run_first(struct lab *, struct kiln_step *);

/* Deterministic test data: a value in [-1, 1]. */
float lab_value(uint32_t *state);
float *lab_values(uint32_t seed, int64_t count);
/* Fails unless |got - want| <= bound for all (NaN equals NaN). */
void lab_compare(const char *what, int64_t count, const float *got, const double *want,
                 double relative, double absolute);

#endif
