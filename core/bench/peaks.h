/*
 * What a device is and what it can do at most.
 */
#ifndef KILN_BENCH_PEAKS_H
#define KILN_BENCH_PEAKS_H

#include "core/bench/timing.h"

/* Name, driver, limits and libraries. */
void kiln_peaks_describe(kiln_device *, struct kiln_suite_device *);
/*
 * Measures the peaks: multiply-adds by the probe (device->best so far),
 * bandwidth by y = a + 2 b on arrays of several sizes, launches by a chain of
 * tiny steps. Fields that could not be measured stay 0.
 */
enum kiln_status kiln_peaks_measure(struct kiln_timing_device *, bool quick,
                                    const struct kiln_timing_options *, struct kiln_suite_device *,
                                    struct kiln_error *);

#endif
