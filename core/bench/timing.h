/*
 * Interleaved timing on machines that are shared: every round takes one sample
 * of each job, and a probe before and after it tells whether the device was
 * all there.
 */
#ifndef KILN_BENCH_TIMING_H
#define KILN_BENCH_TIMING_H

#include "core/bench/suite.h"
#include "core/device/device.h"

/* A device with its probe: arithmetic in registers for about a millisecond. */
struct kiln_timing_device {
    kiln_device *device;
    double flops; /* of a probe; 0: the backend has none, nothing is dropped */
    double best;  /* FLOP/s, the best seen */
    double launch; /* seconds of an empty probe: what a wait costs */
};

/* Warms the device up for some tenths of a second and finds its peak. */
enum kiln_status kiln_timing_calibrate(kiln_device *, struct kiln_timing_device *,
                                       struct kiln_error *);

#define KILN_TIMING_MAX_SAMPLES 64

struct kiln_timing_job {
    struct kiln_timing_device *device;
    /* Enqueues so many executions and waits for them. */
    enum kiln_status (*run)(void *user, int repetitions, struct kiln_error *);
    void *user;
    int repetitions; /* of a sample; 0: found by the first round */
    /* the rest is the timing's own, from 0 */
    int n;
    double seconds[KILN_TIMING_MAX_SAMPLES]; /* of one execution */
    double probes[KILN_TIMING_MAX_SAMPLES];  /* FLOP/s, the lesser of before and after */
    double spent;
    enum kiln_status status;
    struct kiln_error failure;
};

struct kiln_timing_options {
    int samples;           /* undisturbed ones wanted of each job */
    double sample_seconds; /* least time of a sample */
    double job_seconds;    /* after so long a job gets no more than its least samples */
};

/* Runs rounds over the jobs until each has its samples, or too many were
 * disturbed. A job that fails keeps its status and message and is left out. */
void kiln_timing_run(int n, struct kiln_timing_job *const *jobs,
                     const struct kiln_timing_options *);
/* Median and percentiles of what a job has sampled. */
struct kiln_suite_times kiln_timing_result(const struct kiln_timing_job *);

#endif
