/* Device memory with an account of our own, and copies to and from the host. */
#include "backends/opencl/opencl.h"
#include "core/api/pages.h"

#include <stdlib.h>
#include <string.h>

static double mib(int64_t bytes)
{
    return (double)bytes / (1 << 20);
}

/* Where buffers are memory of the host, as processors' are, they may as well have
 * large pages; before the first touch. */
static void advise_large_pages(kiln_device_state *device, cl_mem buffer, int64_t bytes)
{
    enum { LEAST = 4 << 20 };
    if (!device->cpu_like || !device->caps.unified_memory || bytes < LEAST)
        return;
    cl_int code;
    void *host = clEnqueueMapBuffer(device->queue, buffer, CL_TRUE, CL_MAP_WRITE_INVALIDATE_REGION,
                                    0, (size_t)bytes, 0, NULL, NULL, &code);
    if (code != CL_SUCCESS)
        return; /* a hint that failed */
    kiln_advise_large_pages(host, (size_t)bytes);
    clEnqueueUnmapMemObject(device->queue, buffer, host, 0, NULL, NULL);
}

/* Drivers allocate lazily and fail much later, at an enqueue: refuse before. */
enum kiln_status cl_buffer_create(kiln_device_state *device, int64_t bytes, cl_mem *buffer,
                                  struct kiln_error *error)
{
    if (device->lost)
        return kiln_fail(error, KILN_MACHINE, "opencl: the device is lost");
    if (bytes > device->caps.allocation_bytes)
        return kiln_fail(error, KILN_MACHINE,
                         "opencl: %s: one allocation of %.1f MiB is needed, the limit is %.1f MiB",
                         device->caps.name, mib(bytes), mib(device->caps.allocation_bytes));
    if (bytes > device->caps.memory_bytes - device->bytes)
        return kiln_fail(error, KILN_MACHINE,
                         "opencl: %s: %.1f MiB more are needed, %.1f of %.1f MiB are in use",
                         device->caps.name, mib(bytes), mib(device->bytes),
                         mib(device->caps.memory_bytes));
    cl_int code;
    *buffer = clCreateBuffer(device->context, CL_MEM_READ_WRITE, (size_t)bytes, NULL, &code);
    if (code != CL_SUCCESS)
        return cl_fail(device, error, code, "clCreateBuffer");
    advise_large_pages(device, *buffer, bytes);
    device->bytes += bytes;
    if (device->bytes > device->peak_bytes)
        device->peak_bytes = device->bytes;
    return KILN_OK;
}

void cl_buffer_destroy(kiln_device_state *device, cl_mem buffer, int64_t bytes)
{
    if (!buffer)
        return;
    if (!device->lost)
        clReleaseMemObject(buffer);
    device->bytes -= bytes;
}

enum kiln_status cl_memory_create(kiln_device_state *device, int64_t bytes, kiln_memory **out,
                                  struct kiln_error *error)
{
    *out = NULL;
    kiln_memory *memory = calloc(1, sizeof *memory);
    if (!memory)
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    /* whole words, so that the fill below may use a pattern of four bytes */
    memory->bytes = (bytes + 3) / 4 * 4;
    enum kiln_status status = cl_buffer_create(device, memory->bytes, &memory->buffer, error);
    if (status != KILN_OK) {
        free(memory);
        return status;
    }
    const cl_uint zero = 0;
    cl_int code = clEnqueueFillBuffer(device->queue, memory->buffer, &zero, sizeof zero, 0,
                                      (size_t)memory->bytes, 0, NULL, NULL);
    if (code != CL_SUCCESS) {
        status = cl_fail(device, error, code, "clEnqueueFillBuffer");
        cl_memory_destroy(device, memory);
        return status;
    }
    *out = memory;
    return KILN_OK;
}

void cl_memory_destroy(kiln_device_state *device, kiln_memory *memory)
{
    if (!memory)
        return;
    cl_buffer_destroy(device, memory->buffer, memory->bytes);
    free(memory);
}

enum { STAGING_SLOTS = 64, STAGING_SLOT_BYTES = 256 << 10 };

enum kiln_status cl_staging_create(kiln_device_state *device, struct kiln_error *error)
{
    struct cl_staging *ring = &device->staging;
    ring->n_slots = STAGING_SLOTS;
    ring->slot_bytes = STAGING_SLOT_BYTES;
    ring->bytes = (size_t)STAGING_SLOTS * STAGING_SLOT_BYTES;
    ring->busy = calloc(STAGING_SLOTS, sizeof *ring->busy);
    if (!ring->busy)
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    cl_int code;
    ring->buffer = clCreateBuffer(device->context, CL_MEM_ALLOC_HOST_PTR, ring->bytes, NULL, &code);
    if (code != CL_SUCCESS)
        return cl_fail(device, error, code, "clCreateBuffer");
    ring->host = clEnqueueMapBuffer(device->queue, ring->buffer, CL_TRUE, CL_MAP_WRITE, 0,
                                    ring->bytes, 0, NULL, NULL, &code);
    if (code != CL_SUCCESS)
        return cl_fail(device, error, code, "clEnqueueMapBuffer");
    return KILN_OK;
}

void cl_staging_destroy(kiln_device_state *device)
{
    struct cl_staging *ring = &device->staging;
    if (ring->buffer && !device->lost) {
        for (int i = 0; i < ring->n_slots; i++)
            if (ring->busy[i])
                clReleaseEvent(ring->busy[i]);
        if (ring->host)
            clEnqueueUnmapMemObject(device->queue, ring->buffer, ring->host, 0, NULL, NULL);
        clFinish(device->queue);
        clReleaseMemObject(ring->buffer);
    }
    free(ring->busy);
    *ring = (struct cl_staging){0};
}

static enum kiln_status stage(kiln_device_state *device, kiln_memory *memory, int64_t offset,
                              const char *source, size_t bytes, struct kiln_error *error)
{
    struct cl_staging *ring = &device->staging;
    int slot = ring->next;
    ring->next = (slot + 1) % ring->n_slots;
    if (ring->busy[slot]) {
        cl_int done = CL_QUEUED;
        clGetEventInfo(ring->busy[slot], CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof done, &done,
                       NULL);
        cl_int code = CL_SUCCESS;
        if (done != CL_COMPLETE) {
            device->waits++;
            code = clWaitForEvents(1, &ring->busy[slot]);
        }
        clReleaseEvent(ring->busy[slot]);
        ring->busy[slot] = NULL;
        if (code != CL_SUCCESS)
            return cl_fail(device, error, code, "clWaitForEvents");
    }
    char *host = ring->host + (size_t)slot * ring->slot_bytes;
    memcpy(host, source, bytes);
    cl_int code = clEnqueueWriteBuffer(device->queue, memory->buffer, CL_FALSE, (size_t)offset,
                                       bytes, host, 0, NULL, &ring->busy[slot]);
    if (code != CL_SUCCESS) {
        ring->busy[slot] = NULL;
        return cl_fail(device, error, code, "clEnqueueWriteBuffer");
    }
    return KILN_OK;
}

enum kiln_status cl_memory_write(kiln_device_state *device, kiln_memory *memory, int64_t offset,
                                 const void *source, int64_t bytes, struct kiln_error *error)
{
    if (device->lost)
        return kiln_fail(error, KILN_MACHINE, "opencl: the device is lost");
    /* a data set would go round the ring: copy it at once */
    if ((uint64_t)bytes > device->staging.bytes) {
        device->waits++;
        cl_int code = clEnqueueWriteBuffer(device->queue, memory->buffer, CL_TRUE, (size_t)offset,
                                           (size_t)bytes, source, 0, NULL, NULL);
        return code == CL_SUCCESS ? KILN_OK : cl_fail(device, error, code, "clEnqueueWriteBuffer");
    }
    const char *from = source;
    while (bytes > 0) {
        size_t part = device->staging.slot_bytes;
        if ((uint64_t)bytes < part)
            part = (size_t)bytes;
        enum kiln_status status = stage(device, memory, offset, from, part, error);
        if (status != KILN_OK)
            return status;
        from += part;
        offset += (int64_t)part;
        bytes -= (int64_t)part;
    }
    return KILN_OK;
}

enum kiln_status cl_memory_read(kiln_device_state *device, kiln_memory *memory, int64_t offset,
                                void *target, int64_t bytes, struct kiln_error *error)
{
    if (device->lost)
        return kiln_fail(error, KILN_MACHINE, "opencl: the device is lost");
    device->waits++;
    cl_int code = clEnqueueReadBuffer(device->queue, memory->buffer, CL_TRUE, (size_t)offset,
                                      (size_t)bytes, target, 0, NULL, NULL);
    return code == CL_SUCCESS ? KILN_OK : cl_fail(device, error, code, "clEnqueueReadBuffer");
}
