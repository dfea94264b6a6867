/* The probe of the device: multiply-adds in registers on every unit. */
#include "backends/opencl/opencl.h"

#include <stdio.h>

enum { CHAINS = 12, GROUP = 64, GROUPS_PER_UNIT = 32, ITEMS_PER_CORE = 4 };

/* Vectors of a processor's registers, a work-item each; else many items. */
static enum kiln_status prepare(kiln_device_state *device, struct kiln_error *error)
{
    struct cl_arithmetic *own = &device->arithmetic;
    const int units = device->caps.compute_units > 0 ? device->caps.compute_units : 1;
    char options[32];
    cl_program program;
    cl_int code;
    own->vector = device->cpu_like ? 16 : 4;
    own->local = device->cpu_like ? 1 : GROUP;
    while (own->local > 1 && (int64_t)own->local > device->caps.work_group_size)
        own->local /= 2;
    own->items = device->cpu_like ? (size_t)units * ITEMS_PER_CORE
                                  : (size_t)units * GROUPS_PER_UNIT * own->local;
    snprintf(options, sizeof options, "-DVECTOR=%d", own->vector);
    enum kiln_status status = cl_program_get(device, "arithmetic.cl", options, &program, error);
    if (!status)
        status = cl_buffer_create(device, (int64_t)own->items * 4, &own->out, error);
    if (status)
        return status;
    own->kernel = clCreateKernel(program, "arithmetic", &code);
    return code == CL_SUCCESS ? KILN_OK : cl_fail(device, error, code, "clCreateKernel");
}

enum kiln_status cl_arithmetic(kiln_device_state *device, double flops, double *done,
                               struct kiln_error *error)
{
    struct cl_arithmetic *own = &device->arithmetic;
    const cl_float factor = 0.5f;
    enum kiln_status status = KILN_OK;
    *done = 0;
    if (device->lost)
        return kiln_fail(error, KILN_MACHINE, "opencl: the device is lost");
    if (!own->kernel)
        status = prepare(device, error);
    if (status)
        return status;
    double round = 2.0 * CHAINS * own->vector * (double)own->items;
    cl_int rounds = flops < round ? 1 : flops / round > 1e9 ? 1000000000 : (cl_int)(flops / round);
    cl_int code = clSetKernelArg(own->kernel, 0, sizeof own->out, &own->out);
    if (code == CL_SUCCESS)
        code = clSetKernelArg(own->kernel, 1, sizeof factor, &factor);
    if (code == CL_SUCCESS)
        code = clSetKernelArg(own->kernel, 2, sizeof rounds, &rounds);
    if (code == CL_SUCCESS)
        code = clEnqueueNDRangeKernel(device->queue, own->kernel, 1, NULL, &own->items, &own->local,
                                      0, NULL, NULL);
    if (code != CL_SUCCESS)
        return cl_fail(device, error, code, "clEnqueueNDRangeKernel");
    clFlush(device->queue);
    device->launches++;
    *done = round * rounds;
    return KILN_OK;
}

void cl_arithmetic_release(kiln_device_state *device)
{
    struct cl_arithmetic *own = &device->arithmetic;
    if (own->kernel && !device->lost)
        clReleaseKernel(own->kernel);
    if (own->out)
        cl_buffer_destroy(device, own->out, (int64_t)own->items * 4);
}
