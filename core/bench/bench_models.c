/* The models on all devices: the devices take turns at each model. */
#include "core/bench/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/bench/model_run.h"

/* One model on one device. */
struct job {
    struct kiln_model_run run;
    struct kiln_timing_job step, sample;
    size_t entry; /* of the suite's models */
};

static bool is_chosen(const struct kiln_bench_options *options, const struct kiln_model_case *c)
{
    return (c->quick || !(options->quick || options->tiny) || options->only) &&
           kiln_bench_wants(options, c->name);
}

int kiln_bench_count_models(const struct kiln_bench_options *options)
{
    int n = 0;
    for (int i = 0; i < kiln_n_model_cases; i++)
        n += is_chosen(options, &kiln_model_cases[i]);
    return n;
}

static struct kiln_model_run_options run_options(const struct kiln_bench_run *bench,
                                                 const struct kiln_bench_device *device)
{
    return (struct kiln_model_run_options){
        .device = device->name,
        .plugin_dir = bench->options->plugin_dir,
        .no_tune = bench->options->no_tune,
        .round_products = bench->options->round_products,
    };
}

/* Start times come first, when nothing else of this model is in memory. */
static enum kiln_status add_job(struct kiln_bench_run *bench, struct kiln_bench_device *device,
                                const struct kiln_model_case *c, struct job *job,
                                struct kiln_error *error)
{
    const struct kiln_model_run_options options = run_options(bench, device);
    struct kiln_suite_model *entry = kiln_suite_add_model(bench->suite);
    struct kiln_error reason = {""};
    if (!entry)
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    job->entry = bench->suite->n_models - 1;
    snprintf(entry->device, sizeof entry->device, "%s", device->name);
    snprintf(entry->name, sizeof entry->name, "%s", c->name);
    snprintf(entry->config, sizeof entry->config, "%s", c->config);
    if (bench->options->program && !bench->options->quick && !bench->options->tiny &&
        kiln_model_start_times(bench->options->program, c, &options, entry, &reason))
        snprintf(entry->start_failure, sizeof entry->start_failure, "%.500s", reason.text);
    enum kiln_status failed = kiln_model_run_create(c, &options, &job->run, entry, &reason);
    if (failed)
        snprintf(entry->failure, sizeof entry->failure, "%.500s", reason.text);
    job->step = (struct kiln_timing_job){.device = &device->timing,
                                         .run = kiln_model_run_steps,
                                         .user = &job->run,
                                         .status = failed};
    job->sample = job->step;
    job->sample.run = kiln_model_run_sample;
    if (!job->run.trainer.sampler) /* nothing to time, and no failure */
        job->sample.status = KILN_INPUT;
    return KILN_OK;
}

static void take_results(struct kiln_suite *suite, struct job *job)
{
    struct kiln_suite_model *entry = &suite->models[job->entry];
    kiln_device *device = job->run.trainer.device;
    const struct kiln_error *failure =
        job->step.failure.text[0] ? &job->step.failure : &job->sample.failure;
    entry->step = kiln_timing_result(&job->step);
    entry->sample = kiln_timing_result(&job->sample);
    if (failure->text[0] && !entry->failure[0])
        snprintf(entry->failure, sizeof entry->failure, "%.500s", failure->text);
    if (device) {
        int64_t launches, waits, bytes;
        kiln_device_backend(device)->stats(kiln_device_backend_state(device), &launches, &waits,
                                           &bytes, &entry->device_bytes);
    }
    kiln_model_run_finish(&job->run);
}

static enum kiln_status run_case(struct kiln_bench_run *bench, const struct kiln_model_case *c,
                                 struct job *jobs, struct kiln_error *error)
{
    struct kiln_timing_job *timings[2 * KILN_BENCH_MAX_DEVICES] = {NULL};
    enum kiln_status status = KILN_OK;
    int n = 0;
    for (int i = 0; i < bench->n_devices && !status; i++) {
        if (!bench->devices[i].device)
            continue;
        status = kiln_bench_step(bench, 1, c->name);
        if (!status)
            status = add_job(bench, &bench->devices[i], c, &jobs[n], error);
        if (!status) {
            timings[2 * n] = &jobs[n].step;
            timings[2 * n + 1] = &jobs[n].sample;
            n++;
        }
    }
    if (!status)
        kiln_timing_run(2 * n, timings, &bench->timing);
    for (int i = 0; i < n; i++)
        take_results(bench->suite, &jobs[i]);
    return status;
}

enum kiln_status kiln_bench_models(struct kiln_bench_run *bench, struct kiln_error *error)
{
    struct job *jobs = calloc(KILN_BENCH_MAX_DEVICES, sizeof *jobs);
    if (!jobs)
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    enum kiln_status status = KILN_OK;
    for (int i = 0; i < kiln_n_model_cases && !status; i++)
        if (is_chosen(bench->options, &kiln_model_cases[i]))
            status = run_case(bench, &kiln_model_cases[i], jobs, error);
    free(jobs);
    return status;
}
