/*
 * Times single steps on the CPU backend. Not tests: nothing asserts a time.
 */
#ifndef KILN_TESTS_CPU_BENCH_H
#define KILN_TESTS_CPU_BENCH_H

#include "core/api/backend.h"

struct bench {
    const struct kiln_backend *backend;
    kiln_device_state *device;
    int64_t bytes; /* of the workspace so far */
};

/* Opens the CPU backend of the build tree; exits with a message if it cannot. */
struct bench bench_open(int threads);
/* A place for count elements. */
struct kiln_place bench_place(struct bench *, enum kiln_dtype, int64_t count);
/* Seconds of one execution of the steps: the least of several; memory holds
 * small random floats. */
double bench_steps(struct bench *, int n, struct kiln_step *steps);
/* Seconds; of the processor once bench_open was asked for one thread. */
double bench_now(void);

#endif
