/*
 * Preloaded OpenCL calls of which one fails, as a device without memory or one
 * that was lost answers.
 *
 *   FAULT=NAME:N:CODE  the N-th call of NAME, from 1, and all calls of NAME
 *                      behind it fail with CODE; HANGS: do not return
 *   FAULT_REPORT       file that receives "CALLS 0 FAILED" at the end
 */
#define _GNU_SOURCE
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char name[64], report[512];
static long at, calls, failed;
static int code;

enum { HANGS = 1000 }; /* a code that OpenCL does not have */

static void write_report(void);

static bool fails(const char *function)
{
    if (strcmp(function, name) != 0)
        return false;
    calls++;
    failed += at && calls >= at;
    if (at && calls == at && code == HANGS) {
        write_report(); /* now: the process will be killed */
        for (;;)
            pause();
    }
    return at && calls >= at;
}

/* The loader's own function; the process has opened it. */
static void *loaders(const char *function)
{
    void *loader = dlopen("libOpenCL.so.1", RTLD_LAZY | RTLD_NOLOAD);
    void *address = loader ? dlsym(loader, function) : NULL;
    if (loader)
        dlclose(loader);
    if (!address)
        abort();
    return address;
}

#define NEXT(type, variable, function)                                                             \
    type variable;                                                                                 \
    void *address_of_##variable = loaders(function);                                               \
    memcpy(&variable, &address_of_##variable, sizeof variable)

#define SHOWN __attribute__((visibility("default")))

typedef cl_mem create_buffer(cl_context, cl_mem_flags, size_t, void *, cl_int *);
typedef cl_int enqueue_kernel(cl_command_queue, cl_kernel, cl_uint, const size_t *, const size_t *,
                              const size_t *, cl_uint, const cl_event *, cl_event *);
typedef cl_int enqueue_read(cl_command_queue, cl_mem, cl_bool, size_t, size_t, void *, cl_uint,
                            const cl_event *, cl_event *);
typedef cl_int enqueue_write(cl_command_queue, cl_mem, cl_bool, size_t, size_t, const void *,
                             cl_uint, const cl_event *, cl_event *);
typedef cl_int finish(cl_command_queue);
typedef cl_int build_program(cl_program, cl_uint, const cl_device_id *, const char *,
                             void(CL_CALLBACK *)(cl_program, void *), void *);

SHOWN cl_mem clCreateBuffer(cl_context context, cl_mem_flags flags, size_t bytes, void *host,
                            cl_int *result)
{
    NEXT(create_buffer *, next, "clCreateBuffer");
    if (!fails("clCreateBuffer"))
        return next(context, flags, bytes, host, result);
    if (result)
        *result = code;
    return NULL;
}

SHOWN cl_int clEnqueueNDRangeKernel(cl_command_queue queue, cl_kernel kernel, cl_uint n,
                                    const size_t *offset, const size_t *global, const size_t *local,
                                    cl_uint n_events, const cl_event *events, cl_event *event)
{
    NEXT(enqueue_kernel *, next, "clEnqueueNDRangeKernel");
    return fails("clEnqueueNDRangeKernel")
               ? code
               : next(queue, kernel, n, offset, global, local, n_events, events, event);
}

SHOWN cl_int clEnqueueReadBuffer(cl_command_queue queue, cl_mem buffer, cl_bool wait, size_t offset,
                                 size_t bytes, void *target, cl_uint n_events,
                                 const cl_event *events, cl_event *event)
{
    NEXT(enqueue_read *, next, "clEnqueueReadBuffer");
    return fails("clEnqueueReadBuffer")
               ? code
               : next(queue, buffer, wait, offset, bytes, target, n_events, events, event);
}

SHOWN cl_int clEnqueueWriteBuffer(cl_command_queue queue, cl_mem buffer, cl_bool wait,
                                  size_t offset, size_t bytes, const void *source, cl_uint n_events,
                                  const cl_event *events, cl_event *event)
{
    NEXT(enqueue_write *, next, "clEnqueueWriteBuffer");
    return fails("clEnqueueWriteBuffer")
               ? code
               : next(queue, buffer, wait, offset, bytes, source, n_events, events, event);
}

SHOWN cl_int clFinish(cl_command_queue queue)
{
    NEXT(finish *, next, "clFinish");
    return fails("clFinish") ? code : next(queue);
}

SHOWN cl_int clBuildProgram(cl_program program, cl_uint n, const cl_device_id *devices,
                            const char *options, void(CL_CALLBACK *notify)(cl_program, void *),
                            void *user)
{
    NEXT(build_program *, next, "clBuildProgram");
    return fails("clBuildProgram") ? code : next(program, n, devices, options, notify, user);
}

/* Child processes, the probe of the drivers for instance, get no faults. */
__attribute__((constructor)) static void start(void)
{
    const char *fault = getenv("FAULT"), *path = getenv("FAULT_REPORT");
    if (!fault || sscanf(fault, "%63[^:]:%ld:%d", name, &at, &code) != 3)
        return;
    snprintf(report, sizeof report, "%s", path ? path : "");
    unsetenv("FAULT");
}

static void write_report(void)
{
    char text[64];
    int n = snprintf(text, sizeof text, "%ld 0 %ld\n", calls, failed);
    int file = report[0] ? open(report, O_WRONLY | O_CREAT | O_TRUNC, 0600) : -1;
    if (file < 0)
        return;
    if (write(file, text, (size_t)n) != n)
        perror(report);
    close(file);
}

__attribute__((destructor)) static void stop(void)
{
    write_report();
}
