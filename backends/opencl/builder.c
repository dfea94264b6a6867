/* Turning a step into launches: kernel objects with their arguments set. */
#include "backends/opencl/opencl.h"

#include <stdio.h>
#include <stdlib.h>

static void fail(struct cl_builder *builder, cl_int code, const char *what)
{
    if (builder->status != KILN_OK)
        return;
    char text[256];
    snprintf(text, sizeof text, "step %s (%s): %s", kiln_step_kind_name(builder->step->kind),
             builder->step->label ? builder->step->label : "", what);
    builder->status = cl_fail(builder->device, builder->error, code, text);
}

void cl_refuse(struct cl_builder *builder, const char *why)
{
    if (builder->status == KILN_OK)
        builder->status = kiln_fail(builder->error, KILN_MACHINE, "opencl: step %s (%s): %s",
                                    kiln_step_kind_name(builder->step->kind),
                                    builder->step->label ? builder->step->label : "", why);
}

void cl_begin_program(struct cl_builder *builder, cl_program program, const char *kernel)
{
    builder->launch = (struct cl_launch){0};
    builder->n_args = 0;
    if (builder->status != KILN_OK)
        return;
    cl_int code;
    builder->launch.kernel = clCreateKernel(program, kernel, &code);
    if (code != CL_SUCCESS) {
        builder->launch.kernel = NULL;
        fail(builder, code, kernel);
    }
}

void cl_begin(struct cl_builder *builder, const char *file, const char *options, const char *kernel)
{
    cl_program program = NULL;
    if (builder->status == KILN_OK)
        builder->status = cl_program_get(builder->device, file, options, &program, builder->error);
    cl_begin_program(builder, program, kernel);
}

static cl_mem region_buffer(struct cl_builder *builder, enum kiln_region region)
{
    const kiln_memory *memory = builder->regions[region];
    if (!memory)
        cl_refuse(builder, "an operand lies in a region that is not there");
    return memory ? memory->buffer : NULL;
}

static void argument(struct cl_builder *builder, size_t bytes, const void *value)
{
    if (builder->status != KILN_OK)
        return;
    cl_int code = clSetKernelArg(builder->launch.kernel, builder->n_args++, bytes, value);
    if (code != CL_SUCCESS)
        fail(builder, code, "clSetKernelArg");
}

void cl_arg_buffer(struct cl_builder *builder, cl_mem buffer)
{
    argument(builder, sizeof buffer, &buffer);
}

void cl_arg_int(struct cl_builder *builder, int64_t value)
{
    if (value < INT32_MIN || value > INT32_MAX)
        cl_refuse(builder, "a size exceeds 2^31 - 1");
    cl_int narrow = (cl_int)value;
    argument(builder, sizeof narrow, &narrow);
}

void cl_arg_long(struct cl_builder *builder, int64_t value)
{
    cl_long wide = value;
    argument(builder, sizeof wide, &wide);
}

void cl_arg_float(struct cl_builder *builder, float value)
{
    argument(builder, sizeof value, &value);
}

struct cl_divisor cl_divisor(int64_t d)
{
    struct cl_divisor divisor = {0};
    while ((INT64_C(1) << divisor.shift) < d)
        divisor.shift++;
    uint64_t rest = (UINT64_C(1) << divisor.shift) - (uint64_t)d;
    divisor.multiplier = (uint32_t)((rest << 32) / (uint64_t)d + 1);
    return divisor;
}

void cl_arg_divisor(struct cl_builder *builder, int64_t d)
{
    const struct cl_divisor divisor = cl_divisor(d);
    const cl_uint multiplier = divisor.multiplier;
    argument(builder, sizeof multiplier, &multiplier);
    cl_arg_int(builder, divisor.shift);
}

void cl_arg_local(struct cl_builder *builder, size_t bytes)
{
    argument(builder, bytes, NULL);
}

static void region_offset(struct cl_builder *builder, enum kiln_region region, int64_t elements)
{
    cl_arg_buffer(builder, region_buffer(builder, region));
    cl_arg_long(builder, elements);
}

void cl_arg_place(struct cl_builder *builder, const struct kiln_place *place)
{
    region_offset(builder, place->region, place->offset / (int64_t)kiln_dtype_bytes(place->dtype));
}

void cl_arg_scratch(struct cl_builder *builder, int64_t byte_offset)
{
    const struct kiln_place *scratch = &builder->step->scratch;
    region_offset(builder, scratch->region, (scratch->offset + byte_offset) / 4);
}

/* Appends the launch; one without work is dropped. */
static void end(struct cl_builder *builder, bool empty)
{
    struct cl_launch *launch = &builder->launch;
    kiln_exec *exec = builder->exec;
    if (builder->status == KILN_OK && !empty &&
        !kiln_array_grow(&exec->launches, &exec->launch_capacity, exec->n_launches,
                         sizeof *exec->launches))
        builder->status = kiln_fail(builder->error, KILN_MACHINE, "out of memory");
    if (builder->status != KILN_OK || empty) {
        if (launch->kernel)
            clReleaseKernel(launch->kernel);
    } else {
        exec->launches[exec->n_launches++] = *launch;
    }
    *launch = (struct cl_launch){0};
}

void cl_begin_product(struct cl_builder *builder, const struct kiln_step_matmul *s)
{
    builder->launch = (struct cl_launch){.product = s,
                                         .a = region_buffer(builder, s->a.region),
                                         .b = region_buffer(builder, s->b.region),
                                         .c = region_buffer(builder, s->c.region)};
    end(builder, false);
}

/* The compiler may have set a smaller limit for this kernel than the device's. */
static bool group_fits(struct cl_builder *builder, const size_t local[3])
{
    if (builder->status != KILN_OK)
        return true;
    size_t limit = 0;
    cl_ulong used = 0;
    clGetKernelWorkGroupInfo(builder->launch.kernel, builder->device->id, CL_KERNEL_WORK_GROUP_SIZE,
                             sizeof limit, &limit, NULL);
    clGetKernelWorkGroupInfo(builder->launch.kernel, builder->device->id, CL_KERNEL_LOCAL_MEM_SIZE,
                             sizeof used, &used, NULL);
    return local[0] * local[1] * local[2] <= limit &&
           used <= (cl_ulong)builder->device->caps.local_memory_bytes;
}

void cl_end_local(struct cl_builder *builder, const int64_t groups[3], const size_t local[3])
{
    if (!group_fits(builder, local))
        cl_refuse(builder, "the kernel does not fit the device's work-group limits");
    struct cl_launch *launch = &builder->launch;
    bool empty = false;
    launch->n_dims = 1;
    for (cl_uint i = 0; i < 3; i++) {
        launch->global[i] = (size_t)groups[i] * local[i];
        launch->local[i] = local[i];
        empty = empty || groups[i] == 0;
        if (launch->global[i] > 1)
            launch->n_dims = i + 1;
    }
    end(builder, empty);
}

void cl_end_groups(struct cl_builder *builder, int64_t x, int64_t y, int64_t z)
{
    const int64_t groups[3] = {x, y, z};
    const size_t one[3] = {1, 1, 1};
    cl_end_local(builder, groups, one);
}

/* Halved until the kernel's own limit allows it. */
static size_t group_size(struct cl_builder *builder)
{
    size_t size = 64;
    size_t local[3] = {size, 1, 1};
    while (size > 1 && !group_fits(builder, local))
        local[0] = size /= 2;
    return size;
}

void cl_end_items(struct cl_builder *builder, int64_t n, int64_t cost)
{
    /* a work-item of a processor should do some microseconds of work, and there
     * should be several for each core, since cores may be slow or busy */
    enum { OPERATIONS = 1 << 14, ITEMS_PER_CORE = 16 };
    int64_t chunk = 1;
    size_t local[3] = {1, 1, 1};
    if (builder->device->cpu_like) {
        int64_t most = (int64_t)builder->device->caps.compute_units * ITEMS_PER_CORE;
        chunk = (n + most - 1) / most;
        if (chunk * cost < OPERATIONS)
            chunk = (OPERATIONS + cost - 1) / cost;
    } else {
        local[0] = group_size(builder);
    }
    cl_arg_long(builder, n);
    cl_arg_long(builder, chunk);
    int64_t items = (n + chunk - 1) / chunk;
    const int64_t groups[3] = {(items + (int64_t)local[0] - 1) / (int64_t)local[0], 1, 1};
    cl_end_local(builder, groups, local);
}

cl_mem cl_table(struct cl_builder *builder, const void *data, size_t bytes)
{
    if (builder->status != KILN_OK)
        return NULL;
    kiln_exec *exec = builder->exec;
    if (!kiln_array_grow(&exec->tables, &exec->table_capacity, exec->n_tables,
                         sizeof *exec->tables)) {
        builder->status = kiln_fail(builder->error, KILN_MACHINE, "out of memory");
        return NULL;
    }
    cl_mem buffer;
    builder->status = cl_buffer_create(builder->device, (int64_t)bytes, &buffer, builder->error);
    if (builder->status != KILN_OK)
        return NULL;
    exec->tables[exec->n_tables].buffer = buffer;
    exec->tables[exec->n_tables++].bytes = (int64_t)bytes;
    cl_int code = clEnqueueWriteBuffer(builder->device->queue, buffer, CL_TRUE, 0, bytes, data, 0,
                                       NULL, NULL);
    if (code != CL_SUCCESS)
        fail(builder, code, "clEnqueueWriteBuffer");
    return buffer;
}
