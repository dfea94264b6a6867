/* Peaks of a device, measured through the backend like everything else. */
#include "core/bench/peaks.h"

#include <stdio.h>

#include "core/api/nn.h"
#include "core/device/session.h"

enum { CHAIN = 64 }; /* steps of the chain whose launches are timed */

void kiln_peaks_describe(kiln_device *device, struct kiln_suite_device *out)
{
    const struct kiln_caps *caps = kiln_device_caps(device);
    const char *libraries =
        kiln_device_backend(device)->libraries(kiln_device_backend_state(device));
    snprintf(out->name, sizeof out->name, "%s", kiln_device_name(device));
    snprintf(out->device, sizeof out->device, "%s", caps->name);
    snprintf(out->type, sizeof out->type, "%s",
             caps->type == KILN_DEVICE_GPU           ? "GPU"
             : caps->type == KILN_DEVICE_ACCELERATOR ? "accelerator"
                                                     : "CPU");
    snprintf(out->vendor, sizeof out->vendor, "%s", caps->vendor);
    snprintf(out->platform, sizeof out->platform, "%s", caps->platform);
    snprintf(out->driver, sizeof out->driver, "%s", caps->driver);
    snprintf(out->version, sizeof out->version, "%s", caps->version);
    snprintf(out->libraries, sizeof out->libraries, "%s", libraries ? libraries : "");
    out->threads = kiln_device_threads(device);
    out->compute_units = caps->compute_units;
    out->clock_mhz = caps->clock_mhz;
    out->memory_bytes = caps->memory_bytes;
}

/* --- small graphs --------------------------------------------------------------------------------
 */

struct program {
    kiln_device *device;
    kiln_graph *graph;
    kiln_session *session;
    kiln_executable *executable;
    int steps; /* of an execution that are run */
};

static enum kiln_status compile(struct program *program, bool unfused, struct kiln_error *error)
{
    const struct kiln_session_options options = {.fuse = true};
    const struct kiln_compile_options compile_options = {.unfused = unfused};
    enum kiln_status status = kiln_graph_error(program->graph, error);
    if (!status)
        status = kiln_session_create(program->device, &options, &program->session, error);
    if (!status)
        status = kiln_session_prepare(program->session, 1, &program->graph, 0, NULL, error);
    if (!status)
        status = kiln_executable_create(program->session, program->graph, &compile_options,
                                        &program->executable, error);
    if (!status)
        program->steps = kiln_executable_plan(program->executable)->steps.n;
    return status;
}

static void finish(struct program *program)
{
    kiln_executable_destroy(&program->executable);
    kiln_session_destroy(&program->session);
    kiln_graph_destroy(&program->graph);
}

static enum kiln_status run(void *user, int repetitions, struct kiln_error *error)
{
    struct program *program = user;
    enum kiln_status status = KILN_OK;
    for (int i = 0; i < repetitions && !status; i++)
        status = kiln_executable_run_steps(program->executable, 0, program->steps, error);
    enum kiln_status finished = kiln_device_backend(program->device)
                                    ->finish(kiln_device_backend_state(program->device), error);
    return status ? status : finished;
}

/* --- bandwidth
 * -------------------------------------------------------------------------------------- */

static enum kiln_status measure_bandwidth(struct kiln_timing_device *device, int64_t elements,
                                          const struct kiln_timing_options *options,
                                          struct kiln_suite_bandwidth *out,
                                          struct kiln_error *error)
{
    struct program program = {.device = device->device, .graph = kiln_graph_create()};
    if (!program.graph)
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    kiln_graph *g = program.graph;
    kiln_node a = kiln_input(g, "a", KILN_F32, KILN_SHAPE(elements));
    kiln_node b = kiln_input(g, "b", KILN_F32, KILN_SHAPE(elements));
    kiln_graph_output(g, "y", kiln_add(g, a, kiln_mul_scalar(g, b, 2)));
    enum kiln_status status = compile(&program, false, error);
    struct kiln_timing_job job = {.device = device, .run = run, .user = &program};
    struct kiln_timing_job *jobs[] = {&job};
    if (!status) {
        kiln_timing_run(1, jobs, options);
        struct kiln_suite_times times = kiln_timing_result(&job);
        out->bytes = 12.0 * (double)elements;
        out->bytes_per_second = times.p10 > 0 ? out->bytes / times.p10 : 0;
        status = job.status ? kiln_fail(error, job.status, "%s", job.failure.text) : KILN_OK;
    }
    finish(&program);
    return status;
}

static enum kiln_status measure_bandwidths(struct kiln_timing_device *device, bool quick,
                                           const struct kiln_timing_options *options,
                                           struct kiln_suite_device *out, struct kiln_error *error)
{
    bool gpu = kiln_device_caps(device->device)->type == KILN_DEVICE_GPU;
    int last = gpu ? 26 : 24;
    enum kiln_status status = KILN_OK;
    for (int power = quick ? 18 : 16; power <= last && !status; power += quick ? last - 18 : 2) {
        struct kiln_suite_bandwidth *entry = &out->bandwidths[out->n_bandwidths];
        if (out->n_bandwidths == KILN_SUITE_BANDWIDTHS)
            break;
        status = measure_bandwidth(device, (int64_t)1 << power, options, entry, error);
        out->n_bandwidths += !status && entry->bytes_per_second > 0;
    }
    return status;
}

/* --- launches
 * ------------------------------------------------------------------------------------------ */

static enum kiln_status measure_launches(struct kiln_timing_device *device,
                                         const struct kiln_timing_options *options,
                                         struct kiln_suite_device *out, struct kiln_error *error)
{
    struct program chain = {.device = device->device, .graph = kiln_graph_create()};
    if (!chain.graph)
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    kiln_node y = kiln_input(chain.graph, "x", KILN_F32, KILN_SHAPE(16));
    for (int i = 0; i < CHAIN; i++)
        y = kiln_sin(chain.graph, y);
    kiln_graph_output(chain.graph, "y", y);
    enum kiln_status status = compile(&chain, true, error);
    struct program one = chain; /* its first step alone */
    one.steps = 1;
    struct kiln_timing_job all = {.device = device, .run = run, .user = &chain, .repetitions = 1};
    struct kiln_timing_job single = {.device = device, .run = run, .user = &one, .repetitions = 1};
    struct kiln_timing_job *jobs[] = {&all, &single};
    if (!status) {
        kiln_timing_run(2, jobs, options);
        double many = kiln_timing_result(&all).median, once = kiln_timing_result(&single).median;
        out->wait_seconds = once;
        if (chain.steps > 1 && many > once)
            out->launch_seconds = (many - once) / (chain.steps - 1);
        enum kiln_status failed = all.status ? all.status : single.status;
        if (failed)
            status =
                kiln_fail(error, failed, "%s", all.status ? all.failure.text : single.failure.text);
    }
    finish(&chain);
    return status;
}

enum kiln_status kiln_peaks_measure(struct kiln_timing_device *device, bool quick,
                                    const struct kiln_timing_options *options,
                                    struct kiln_suite_device *out, struct kiln_error *error)
{
    enum kiln_status status = measure_bandwidths(device, quick, options, out, error);
    if (!status)
        status = measure_launches(device, options, out, error);
    out->peak_flops = device->best;
    return status;
}
