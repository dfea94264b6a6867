/* Devices of a benchmark, and its parts in order. */
#include "core/bench/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/bench/peaks.h"

enum { MOST_LISTED = 66 };

bool kiln_bench_wants(const struct kiln_bench_options *options, const char *name)
{
    return !options->only || strstr(name, options->only);
}

enum kiln_status kiln_bench_step(struct kiln_bench_run *run, int entries, const char *name)
{
    const struct kiln_bench_options *options = run->options;
    if (options->progress)
        options->progress(options->user, run->done, run->total, name);
    run->done += entries;
    return options->stop && *options->stop ? KILN_INTERRUPTED : KILN_OK;
}

/* --- devices -----------------------------------------------------------------------------------
 */

/* The names to open: all devices that are listed, the baseline aside. */
static enum kiln_status list_devices(struct kiln_bench_run *run, struct kiln_error *error)
{
    if (strcmp(run->options->device, "all")) {
        run->n_devices = 1;
        snprintf(run->devices[0].name, sizeof run->devices[0].name, "%s", run->options->device);
        return KILN_OK;
    }
    struct kiln_device_entry *entries = calloc(MOST_LISTED, sizeof *entries);
    if (!entries)
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    int n = kiln_device_list(MOST_LISTED, entries, NULL, 0);
    for (int i = 0; i < n && run->n_devices < KILN_BENCH_MAX_DEVICES; i++)
        if (!entries[i].reference)
            snprintf(run->devices[run->n_devices++].name, sizeof run->devices->name, "%s",
                     entries[i].name);
    free(entries);
    return run->n_devices ? KILN_OK : kiln_fail(error, KILN_MACHINE, "there is no device");
}

/* Opens, warms up and measures the peaks of one device. */
static enum kiln_status open_device(struct kiln_bench_run *run, struct kiln_bench_device *device,
                                    struct kiln_suite_device *entry, struct kiln_error *error)
{
    char cache[1024];
    const struct kiln_device_options options = {
        .kernel_cache = true,
        .round_products = run->options->round_products,
        .cache_dir = kiln_cache_dir(cache, sizeof cache) ? cache : NULL,
    };
    snprintf(entry->name, sizeof entry->name, "%s", device->name);
    enum kiln_status status = kiln_device_open(device->name, &options, &device->device, error);
    if (status)
        return status;
    kiln_peaks_describe(device->device, entry);
    snprintf(device->name, sizeof device->name, "%s", entry->name);
    status = kiln_timing_calibrate(device->device, &device->timing, error);
    if (!status && !run->options->tiny)
        status =
            kiln_peaks_measure(&device->timing, run->options->quick, &run->timing, entry, error);
    entry->peak_flops = device->timing.best;
    return status;
}

static enum kiln_status open_devices(struct kiln_bench_run *run, struct kiln_error *error)
{
    enum kiln_status status = KILN_OK;
    int opened = 0;
    for (int i = 0; i < run->n_devices && !status; i++) {
        struct kiln_error reason = {""};
        struct kiln_suite_device *entry = kiln_suite_add_device(run->suite);
        status = kiln_bench_step(run, 1, run->devices[i].name);
        if (!entry)
            return kiln_fail(error, KILN_MACHINE, "out of memory");
        if (status)
            return status;
        enum kiln_status failed = open_device(run, &run->devices[i], entry, &reason);
        snprintf(entry->failure, sizeof entry->failure, "%.500s", failed ? reason.text : "");
        if (failed && run->n_devices == 1)
            return kiln_fail(error, failed, "%s", reason.text);
        if (failed)
            kiln_device_close(&run->devices[i].device);
        opened += !failed;
    }
    if (!status && !opened)
        status = kiln_fail(error, KILN_MACHINE, "no device can be used: %s",
                           run->suite->devices[0].failure);
    return status;
}

/* The best probe counts, which may have come during the rest of the work. */
static void take_peaks(struct kiln_bench_run *run)
{
    for (int i = 0; i < run->n_devices; i++)
        for (size_t k = 0; k < run->suite->n_devices; k++)
            if (run->devices[i].device &&
                !strcmp(run->suite->devices[k].name, run->devices[i].name))
                run->suite->devices[k].peak_flops = run->devices[i].timing.best;
}

/* --- all of it
 * ------------------------------------------------------------------------------------- */

enum kiln_status kiln_bench(const struct kiln_bench_options *options, struct kiln_suite *suite,
                            struct kiln_error *error)
{
    struct kiln_bench_run run = {.options = options, .suite = suite};
    run.timing = (struct kiln_timing_options){
        .samples = options->tiny    ? 1
                   : options->quick ? 7
                                    : 15,
        .sample_seconds = options->tiny    ? 1e-4
                          : options->quick ? 2e-3
                                           : 5e-3,
        .job_seconds = options->quick ? 1 : 10,
    };
    *suite = (struct kiln_suite){.quick = options->quick,
                                 .tuned = !options->no_tune,
                                 .round_products = options->round_products};
    kiln_suite_describe_host(suite);
    int each = (options->ops ? kiln_bench_count_ops(options) : 0) +
               (options->models ? kiln_bench_count_models(options) : 0);
    enum kiln_status status =
        each ? KILN_OK
             : kiln_fail(error, KILN_INPUT, "nothing of the suite is called \"%s\"",
                         options->only ? options->only : "");
    if (!status)
        status = list_devices(&run, error);
    run.total = run.n_devices * (each + 1);
    if (!status)
        status = open_devices(&run, error);
    if (!status && options->ops)
        status = kiln_bench_ops(&run, error);
    if (!status && options->models)
        status = kiln_bench_models(&run, error);
    take_peaks(&run);
    for (int i = 0; i < run.n_devices; i++)
        kiln_device_close(&run.devices[i].device);
    return status;
}
