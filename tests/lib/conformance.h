/*
 * Conformance cases on a device: unfused and fused, with memory reused, not
 * reused and poisoned, in every feature layout and by every algorithm that the
 * backend offers, each result against the double-precision oracle.
 */
#ifndef KILN_TEST_CONFORMANCE_H
#define KILN_TEST_CONFORMANCE_H

#include "core/device/device.h"
#include "tests/lib/cases.h"

struct conformance_outcome {
    double share;    /* the worst error over its bound, of all ways to run the case */
    char where[256]; /* the way, the output and its element; "" = no error at all */
    bool passed;
    char failure[512]; /* why not; "" = passed */
    int ways;          /* how often it was compiled and run */
};

/*
 * Runs a case in all ways. Wrong results, plans in error and failing devices
 * are failures of the case; the status is only for a machine out of memory.
 * Reuse of memory must not change a bit; algorithms may.
 */
enum kiln_status conformance_run(const struct kiln_case *, kiln_device *,
                                 struct conformance_outcome *, struct kiln_error *);

#endif
