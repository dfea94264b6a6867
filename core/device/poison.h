/*
 * Running with dead memory made visible, for tests.
 */
#ifndef KILN_DEVICE_POISON_H
#define KILN_DEVICE_POISON_H

#include "core/device/session.h"

/*
 * One execution from a step on (0, or behind the prepared ones) in which the whole workspace is NaN
 * (all bits set) before it starts and every value becomes NaN again after the step that last reads
 * it: a step that reads what it must not then spoils a result, and one that writes between the
 * buffers is KILN_MACHINE. Slow: waits for every step.
 */
enum kiln_status kiln_run_poisoned(kiln_executable *, int first, struct kiln_error *);

#endif
