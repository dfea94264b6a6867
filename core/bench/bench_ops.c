/* The operations on all devices: every shape's directions and devices take
 * turns. */
#include "core/bench/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/bench/op_run.h"

enum { DIRECTIONS = 3, MOST_JOBS = KILN_BENCH_MAX_DEVICES * DIRECTIONS };

/* One operation on one device. */
struct job {
    struct kiln_op_run run;
    struct kiln_timing_job timing;
    size_t entry; /* of the suite's ops */
};

static int directions(const struct kiln_op_case *c)
{
    return c->family == KILN_FAMILY_CONV ? DIRECTIONS : 1;
}

static bool multiplies(enum kiln_op_family family)
{
    return family == KILN_FAMILY_MATMUL || family == KILN_FAMILY_CONV ||
           family == KILN_FAMILY_CONV_INPUT_GRAD || family == KILN_FAMILY_CONV_WEIGHT_GRAD ||
           family == KILN_FAMILY_ATTENTION;
}

/* "conv 64->64 28x28 k3": the name of an entry. */
static void entry_name(const struct kiln_op_case *c, enum kiln_op_family family, char *name,
                       size_t size)
{
    snprintf(name, size, "%s %s", kiln_op_family_name(family), c->name);
}

static bool is_chosen(const struct kiln_bench_options *options, const struct kiln_op_case *c,
                      enum kiln_op_family family)
{
    char name[96];
    if (options->tiny != (c->set == KILN_OP_SET_TINY) ||
        (options->quick && !options->only && c->set == KILN_OP_SET_FULL))
        return false;
    entry_name(c, family, name, sizeof name);
    return kiln_bench_wants(options, name);
}

int kiln_bench_count_ops(const struct kiln_bench_options *options)
{
    int n = 0;
    for (int i = 0; i < kiln_n_op_cases; i++)
        for (int d = 0; d < directions(&kiln_op_cases[i]); d++)
            n += is_chosen(options, &kiln_op_cases[i], kiln_op_cases[i].family + d);
    return n;
}

/* Makes one operation ready; what fails is an entry with its reason. */
static enum kiln_status add_job(struct kiln_bench_run *bench, struct kiln_bench_device *device,
                                const struct kiln_op_case *c, enum kiln_op_family family,
                                struct job *job, struct kiln_error *error)
{
    const struct kiln_op_run_options options = {
        .tune = !bench->options->no_tune,
        .every_layout = !bench->options->quick,
        .rounded = bench->options->round_products && multiplies(family),
    };
    struct kiln_suite_op *entry = kiln_suite_add_op(bench->suite);
    struct kiln_error reason = {""};
    if (!entry)
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    job->entry = bench->suite->n_ops - 1;
    snprintf(entry->device, sizeof entry->device, "%s", device->name);
    snprintf(entry->family, sizeof entry->family, "%s", kiln_op_family_name(family));
    entry_name(c, family, entry->name, sizeof entry->name);
    enum kiln_status failed =
        kiln_op_run_create(device->device, c, family, &options, &job->run, &reason);
    entry->flops = job->run.shapes.flops;
    entry->bytes = job->run.shapes.bytes;
    entry->error = job->run.error;
    snprintf(entry->algorithm, sizeof entry->algorithm, "%s", job->run.algorithm);
    snprintf(entry->layout, sizeof entry->layout, "%s", job->run.layout);
    if (failed)
        snprintf(entry->failure, sizeof entry->failure, "%.500s", reason.text);
    job->timing = (struct kiln_timing_job){
        .device = &device->timing,
        .run = kiln_op_run_time,
        .user = &job->run,
        .status = failed,
    };
    return KILN_OK;
}

static void take_results(struct kiln_suite *suite, int n, struct job *jobs)
{
    for (int i = 0; i < n; i++) {
        struct kiln_suite_op *entry = &suite->ops[jobs[i].entry];
        entry->times = kiln_timing_result(&jobs[i].timing);
        if (jobs[i].timing.status && !entry->failure[0])
            snprintf(entry->failure, sizeof entry->failure, "%.500s", jobs[i].timing.failure.text);
        kiln_op_run_finish(&jobs[i].run);
    }
}

/* A shape: all its jobs are ready at once and take turns. */
static enum kiln_status run_case(struct kiln_bench_run *bench, const struct kiln_op_case *c,
                                 struct job *jobs, struct kiln_error *error)
{
    struct kiln_timing_job *timings[MOST_JOBS];
    enum kiln_status status = KILN_OK;
    int n = 0;
    for (int d = 0; d < directions(c); d++)
        for (int i = 0; i < bench->n_devices && !status; i++) {
            enum kiln_op_family family = c->family + d;
            char name[96];
            if (!bench->devices[i].device || !is_chosen(bench->options, c, family))
                continue;
            entry_name(c, family, name, sizeof name);
            status = kiln_bench_step(bench, 1, name);
            if (!status)
                status = add_job(bench, &bench->devices[i], c, family, &jobs[n], error);
            if (!status) {
                timings[n] = &jobs[n].timing;
                n++;
            }
        }
    if (!status)
        kiln_timing_run(n, timings, &bench->timing);
    take_results(bench->suite, n, jobs);
    return status;
}

enum kiln_status kiln_bench_ops(struct kiln_bench_run *bench, struct kiln_error *error)
{
    struct job *jobs = calloc(MOST_JOBS, sizeof *jobs);
    if (!jobs)
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    enum kiln_status status = KILN_OK;
    for (int i = 0; i < kiln_n_op_cases && !status; i++)
        status = run_case(bench, &kiln_op_cases[i], jobs, error);
    free(jobs);
    return status;
}
