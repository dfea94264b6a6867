/* Preparing a plan's steps as launches, and enqueueing them. */
#include "backends/opencl/opencl.h"

#include <stdlib.h>

static void prepare(struct cl_builder *builder, const struct kiln_step *step)
{
    switch (step->kind) {
    case KILN_STEP_LOOP:
        cl_loop_prepare(builder, &step->as.loop);
        break;
    case KILN_STEP_MATMUL:
        cl_matmul_prepare(builder, step);
        break;
    case KILN_STEP_CONV:
    case KILN_STEP_CONV_INPUT_GRAD:
    case KILN_STEP_CONV_WEIGHT_GRAD:
        cl_conv_prepare(builder, step);
        break;
    case KILN_STEP_WINDOW_ARGMAX:
    case KILN_STEP_WINDOW_GATHER:
    case KILN_STEP_WINDOW_SCATTER:
        cl_window_prepare(builder, step);
        break;
    case KILN_STEP_RESAMPLE:
        cl_resample_prepare(builder, &step->as.resample);
        break;
    case KILN_STEP_GATHER_ROWS:
        cl_gather_rows_prepare(builder, &step->as.rows);
        break;
    case KILN_STEP_SCATTER_ADD_ROWS:
        cl_scatter_rows_prepare(builder, &step->as.rows);
        break;
    case KILN_STEP_RNG:
        cl_rng_prepare(builder, &step->as.rng);
        break;
    case KILN_STEP_ATTENTION:
        cl_attention_prepare(builder, step);
        break;
    case KILN_STEP_ATTENTION_GRAD:
        cl_attention_grad_prepare(builder, step);
        break;
    case KILN_STEP_UPDATE:
        cl_update_prepare(builder, &step->as.update);
        break;
    case KILN_STEP_KIND_COUNT:
        cl_refuse(builder, "unknown kind of step");
        break;
    }
}

enum kiln_status cl_exec_create(kiln_device_state *device, const struct kiln_steps *steps,
                                kiln_memory *const regions[KILN_REGION_COUNT], kiln_exec **out,
                                struct kiln_error *error)
{
    *out = NULL;
    if (device->lost)
        return kiln_fail(error, KILN_MACHINE, "opencl: the device is lost");
    kiln_exec *exec = calloc(1, sizeof *exec);
    if (exec)
        exec->first = calloc((size_t)steps->n + 1, sizeof *exec->first);
    if (!exec || !exec->first) {
        free(exec);
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    }
    exec->n_steps = steps->n;
    struct cl_builder builder = {
        .device = device, .exec = exec, .regions = regions, .status = KILN_OK, .error = error};
    builder.status = cl_loops_build(device, steps, error);
    for (int i = 0; i < steps->n && builder.status == KILN_OK; i++) {
        builder.step = &steps->steps[i];
        exec->first[i] = exec->n_launches;
        prepare(&builder, builder.step);
    }
    exec->first[steps->n] = exec->n_launches;
    if (builder.status != KILN_OK) {
        cl_exec_destroy(device, exec);
        return builder.status;
    }
    *out = exec;
    return KILN_OK;
}

void cl_exec_destroy(kiln_device_state *device, kiln_exec *exec)
{
    if (!exec)
        return;
    /* what is still enqueued uses the kernels and the tables */
    if (!device->lost)
        clFinish(device->queue);
    for (size_t i = 0; i < exec->n_launches; i++)
        if (exec->launches[i].kernel && !device->lost)
            clReleaseKernel(exec->launches[i].kernel);
    for (size_t i = 0; i < exec->n_tables; i++)
        cl_buffer_destroy(device, exec->tables[i].buffer, exec->tables[i].bytes);
    free(exec->launches);
    free(exec->tables);
    free(exec->first);
    free(exec);
}

enum kiln_status cl_exec_run(kiln_device_state *device, kiln_exec *exec, int first, int count,
                             struct kiln_error *error)
{
    if (device->lost)
        return kiln_fail(error, KILN_MACHINE, "opencl: the device is lost");
    for (size_t i = exec->first[first]; i < exec->first[first + count]; i++) {
        struct cl_launch *launch = &exec->launches[i];
        if (!launch->kernel) {
            enum kiln_status status = cl_blast_enqueue(device, launch, error);
            if (status != KILN_OK)
                return status;
            continue;
        }
        cl_int code = clEnqueueNDRangeKernel(device->queue, launch->kernel, launch->n_dims, NULL,
                                             launch->global, launch->local, 0, NULL, NULL);
        if (code != CL_SUCCESS)
            return cl_fail(device, error, code, "clEnqueueNDRangeKernel");
        device->launches++;
    }
    clFlush(device->queue);
    return KILN_OK;
}
