/*
 * Timing the ways to do one step, in memory of its own.
 */
#ifndef KILN_DEVICE_MEASURE_H
#define KILN_DEVICE_MEASURE_H

#include "core/device/device.h"

struct kiln_measured {
    double seconds;    /* of one execution, the least seen; 0 = not measured */
    bool dropped;      /* failed, or its result disagrees with the first's */
    double difference; /* norm of the difference to the first's result over its norm */
};

/*
 * Times n >= 1 candidates of step on random data, interleaved, until for each
 * that may still win three samples agree within 5 %, or the budget is spent. The
 * step's places need not be set. A candidate whose result differs from the
 * first's by more than 1e-4 of its norm is dropped, with a warning.
 *
 * Returns the index of the fastest (the first, if none is faster by 5 %), or -1 if nothing could be
 * measured (no memory, the first candidate fails). *spent is the time taken.
 */
int kiln_measure_step(kiln_device *, const struct kiln_step *step, int n,
                      const struct kiln_candidate *candidates, double budget_seconds,
                      struct kiln_measured *measured, double *spent);

/* Monotonic seconds. */
double kiln_seconds(void);

#endif
