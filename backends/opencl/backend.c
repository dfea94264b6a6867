/* The backend table: opening and closing a device, waiting, statistics. */
#include "backends/opencl/opencl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void cl_close(kiln_device_state *device)
{
    if (!device)
        return;
    /* PoCL aborts if the process ends while it still compiles */
    if (device->queue && !device->lost)
        clFinish(device->queue);
    cl_arithmetic_release(device);
    cl_staging_destroy(device);
    cl_loops_release(device);
    cl_programs_release(device);
    cl_blast_close(device);
    if (!device->lost) {
        if (device->queue)
            clReleaseCommandQueue(device->queue);
        if (device->context)
            clReleaseContext(device->context);
    }
    free(device->kernel_dir);
    free(device->cache_dir);
    free(device);
}

/* PoCL caches by itself, asking it for binaries costs another compilation,
 * and it aborts on a damaged one. */
static bool caches_itself(const kiln_device_state *device)
{
    return strstr(device->caps.platform, "Portable Computing Language") != NULL;
}

static enum kiln_status prepare_device(kiln_device_state *device,
                                       const struct kiln_device_options *options,
                                       struct kiln_error *error)
{
    cl_int code;
    device->context = clCreateContext(NULL, 1, &device->id, NULL, NULL, &code);
    if (code != CL_SUCCESS)
        return cl_fail(device, error, code, "clCreateContext");
    device->queue = clCreateCommandQueue(device->context, device->id, 0, &code);
    if (code != CL_SUCCESS)
        return cl_fail(device, error, code, "clCreateCommandQueue");
    device->kernel_dir = cl_kernel_dir(error);
    if (!device->kernel_dir)
        return KILN_MACHINE;
    device->keep_binaries = !caches_itself(device);
    if (options->kernel_cache && options->cache_dir) {
        device->cache_dir = cl_copy_string(options->cache_dir);
        if (!device->cache_dir)
            return kiln_fail(error, KILN_MACHINE, "out of memory");
    }
    return cl_staging_create(device, error);
}

static enum kiln_status cl_open(int index, const struct kiln_device_options *options,
                                kiln_device_state **out, struct kiln_caps *caps,
                                struct kiln_error *error)
{
    *out = NULL;
    kiln_device_state *device = calloc(1, sizeof *device);
    if (!device)
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    enum kiln_status status = cl_device_find(index, &device->platform, &device->id, error);
    if (status == KILN_OK) {
        cl_device_caps(device->platform, device->id, &device->caps);
        device->cpu_like = cl_device_cpu_like(device->id);
        device->reference = options->reference;
        device->round_products = options->round_products;
        status = prepare_device(device, options, error);
    }
    if (status != KILN_OK) {
        cl_close(device);
        return status;
    }
    snprintf(device->libraries, sizeof device->libraries, "%s; %s; driver %s%s",
             device->caps.platform, device->caps.version, device->caps.driver, cl_blast_version());
    *caps = device->caps;
    *out = device;
    return KILN_OK;
}

static int cl_candidates(kiln_device_state *device, const struct kiln_step *step,
                         struct kiln_candidate candidates[KILN_MAX_CANDIDATES])
{
    switch (step->kind) {
    case KILN_STEP_MATMUL:
        return cl_matmul_candidates(device, step, candidates);
    case KILN_STEP_CONV:
    case KILN_STEP_CONV_INPUT_GRAD:
    case KILN_STEP_CONV_WEIGHT_GRAD:
        return cl_conv_candidates(device, step, candidates);
    case KILN_STEP_ATTENTION:
    case KILN_STEP_ATTENTION_GRAD:
        return cl_attention_candidates(device, step, candidates);
    default:
        candidates[0] = (struct kiln_candidate){.name = "plain"};
        return 1;
    }
}

/* Some drivers spin in clFinish: poll an event instead where that may happen. */
static cl_int wait_politely(kiln_device_state *device)
{
    cl_event event;
    cl_int code = clEnqueueMarkerWithWaitList(device->queue, 0, NULL, &event);
    if (code != CL_SUCCESS)
        return code;
    clFlush(device->queue);
    struct timespec pause = {0, 20000};
    cl_int state = CL_QUEUED;
    for (;;) {
        code = clGetEventInfo(event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof state, &state, NULL);
        if (code != CL_SUCCESS || state == CL_COMPLETE || state < 0)
            break;
        nanosleep(&pause, NULL);
        if (pause.tv_nsec < 1000000)
            pause.tv_nsec += pause.tv_nsec / 4;
    }
    clReleaseEvent(event);
    return code != CL_SUCCESS ? code : state < 0 ? state : CL_SUCCESS;
}

static enum kiln_status cl_finish_all(kiln_device_state *device, struct kiln_error *error)
{
    if (device->lost)
        return kiln_fail(error, KILN_MACHINE, "opencl: the device is lost");
    device->waits++;
    cl_int code = CL_SUCCESS;
    if (device->caps.type == KILN_DEVICE_GPU)
        code = wait_politely(device);
    if (code == CL_SUCCESS)
        code = clFinish(device->queue);
    return code == CL_SUCCESS ? KILN_OK : cl_fail(device, error, code, "clFinish");
}

static const char *cl_libraries(kiln_device_state *device)
{
    return device->libraries;
}

static void cl_stats(kiln_device_state *device, int64_t *launches, int64_t *waits, int64_t *bytes,
                     int64_t *peak_bytes)
{
    *launches = device->launches;
    *waits = device->waits;
    *bytes = device->bytes;
    *peak_bytes = device->peak_bytes;
}

static const struct kiln_backend backend = {
    .abi = KILN_BACKEND_ABI,
    .size = sizeof(struct kiln_backend),
    .name = "opencl",
    .enumerate = cl_enumerate,
    .open = cl_open,
    .close = cl_close,
    .memory_create = cl_memory_create,
    .memory_destroy = cl_memory_destroy,
    .write = cl_memory_write,
    .read = cl_memory_read,
    .candidates = cl_candidates,
    .exec_create = cl_exec_create,
    .exec_destroy = cl_exec_destroy,
    .exec_run = cl_exec_run,
    .finish = cl_finish_all,
    .libraries = cl_libraries,
    .stats = cl_stats,
    .arithmetic = cl_arithmetic,
    .library_measure = cl_blast_measure,
    .library_use = cl_blast_use,
};

KILN_API const struct kiln_backend *kiln_backend_entry(void);

const struct kiln_backend *kiln_backend_entry(void)
{
    return &backend;
}
