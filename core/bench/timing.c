/* Rounds of samples, and which of them count. */
#include "core/bench/timing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/device/measure.h"

/* A probe below this share of the best was disturbed: half of two cores reads
 * 50 %, noise of clocks some per cent. */
#define UNDISTURBED   0.85
#define PROBE_SECONDS 1e-3

enum { LEAST_SAMPLES = 3, CALIBRATIONS = 200, MOST_REPETITIONS = 100000 };

/* --- the probe ----------------------------------------------------------------------------- */

/* Seconds of one probe, < 0 if it fails. */
static double run_probe(const struct kiln_timing_device *device, double flops, double *done,
                        struct kiln_error *error)
{
    const struct kiln_backend *backend = kiln_device_backend(device->device);
    kiln_device_state *state = kiln_device_backend_state(device->device);
    double start = kiln_seconds();
    if (backend->arithmetic(state, flops, done, error) || backend->finish(state, error))
        return -1;
    return kiln_seconds() - start;
}

/* FLOP/s now; infinite where there is no probe. */
static double probe(struct kiln_timing_device *device)
{
    double done, seconds;
    if (device->flops <= 0)
        return INFINITY;
    seconds = run_probe(device, device->flops, &done, NULL);
    if (seconds <= 0)
        return 0;
    double rate = done / fmax(seconds - device->launch, seconds / 2);
    device->best = fmax(device->best, rate);
    return rate;
}

enum kiln_status kiln_timing_calibrate(kiln_device *opened, struct kiln_timing_device *device,
                                       struct kiln_error *error)
{
    *device = (struct kiln_timing_device){.device = opened};
    if (!kiln_device_backend(opened)->arithmetic)
        return KILN_OK;
    double done, flops = 1e6, start = kiln_seconds(), seconds;
    device->launch = 1;
    for (int i = 0; i < 10; i++) { /* the first one builds a kernel */
        seconds = run_probe(device, 1, &done, error);
        if (seconds < 0)
            return KILN_MACHINE;
        device->launch = fmin(device->launch, seconds);
    }
    while ((seconds = run_probe(device, flops, &done, error)) >= 0 &&
           seconds < PROBE_SECONDS + device->launch && flops < 1e15)
        flops *= 2;
    if (seconds < 0)
        return KILN_MACHINE;
    device->flops = flops;
    for (int i = 0; i < CALIBRATIONS && kiln_seconds() - start < 0.5; i++)
        probe(device);
    return KILN_OK;
}

/* --- rounds ---------------------------------------------------------------------------------- */

static bool undisturbed(const struct kiln_timing_job *job, int i)
{
    return job->probes[i] >= UNDISTURBED * job->device->best;
}

static int count_undisturbed(const struct kiln_timing_job *job)
{
    int n = 0;
    for (int i = 0; i < job->n; i++)
        n += undisturbed(job, i);
    return n;
}

static bool wants_more(const struct kiln_timing_job *job, const struct kiln_timing_options *options)
{
    if (job->status || job->n == KILN_TIMING_MAX_SAMPLES || job->n >= 3 * options->samples)
        return false;
    if (job->spent > options->job_seconds)
        return job->n < LEAST_SAMPLES;
    return count_undisturbed(job) < options->samples;
}

/* How many executions a sample needs; also the warm-up. */
static void find_repetitions(struct kiln_timing_job *job, double sample_seconds)
{
    double seconds = 0;
    for (int i = 0; i < 2 && !job->status; i++) {
        double start = kiln_seconds();
        job->status = job->run(job->user, 1, &job->failure);
        seconds = kiln_seconds() - start;
    }
    double wanted = seconds > 0 ? ceil(sample_seconds / seconds) : MOST_REPETITIONS;
    job->repetitions = wanted < 1 ? 1 : wanted < MOST_REPETITIONS ? (int)wanted : MOST_REPETITIONS;
}

static void take_sample(struct kiln_timing_job *job, double sample_seconds)
{
    if (!job->repetitions)
        find_repetitions(job, sample_seconds);
    if (job->status)
        return;
    double before = probe(job->device), start = kiln_seconds();
    job->status = job->run(job->user, job->repetitions, &job->failure);
    double seconds = kiln_seconds() - start, after = probe(job->device);
    if (job->status)
        return;
    job->spent += seconds;
    job->seconds[job->n] = seconds / job->repetitions;
    job->probes[job->n++] = fmin(before, after);
}

void kiln_timing_run(int n, struct kiln_timing_job *const *jobs,
                     const struct kiln_timing_options *options)
{
    for (bool running = true; running;) {
        running = false;
        for (int i = 0; i < n; i++)
            if (wants_more(jobs[i], options)) {
                take_sample(jobs[i], options->sample_seconds);
                running = true;
            }
    }
}

/* --- results -----------------------------------------------------------------------------------
 */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The probe that a sample must have had: the wanted one, or such that a third
 * of the samples had it where too few had that. */
static double least_probe(const struct kiln_timing_job *job, bool *disturbed)
{
    double order[KILN_TIMING_MAX_SAMPLES];
    int least = job->n < LEAST_SAMPLES ? job->n : LEAST_SAMPLES;
    *disturbed = count_undisturbed(job) < least;
    if (!*disturbed)
        return UNDISTURBED * job->device->best;
    memcpy(order, job->probes, (size_t)job->n * sizeof *order);
    qsort(order, (size_t)job->n, sizeof *order, by_value);
    int kept = job->n / 3 > least ? job->n / 3 : least;
    return order[job->n - kept];
}

/* Between neighbours, as most programs do it: share 0.5 is the median. */
static double percentile(const double *order, int n, double share)
{
    double at = share * (n - 1);
    int low = (int)at;
    return low + 1 < n ? order[low] + (at - low) * (order[low + 1] - order[low]) : order[n - 1];
}

struct kiln_suite_times kiln_timing_result(const struct kiln_timing_job *job)
{
    struct kiln_suite_times times = {0};
    double order[KILN_TIMING_MAX_SAMPLES];
    if (job->status || !job->n)
        return times;
    double least = least_probe(job, &times.disturbed);
    for (int i = 0; i < job->n; i++)
        if (job->probes[i] >= least)
            order[times.n++] = job->seconds[i];
    times.dropped = job->n - times.n;
    qsort(order, (size_t)times.n, sizeof *order, by_value);
    times.median = percentile(order, times.n, 0.5);
    times.p10 = percentile(order, times.n, 0.1);
    times.p90 = percentile(order, times.n, 0.9);
    return times;
}
