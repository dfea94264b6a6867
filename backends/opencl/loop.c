/* Loops: one program for the new kernels of a plan, and their launches. */
#include "backends/opencl/loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

static void form_of(const kiln_device_state *device, const struct kiln_loop *loop,
                    struct cl_form *form)
{
    cl_form_create(loop, !device->cpu_like, device->caps.parallelism, form);
}

static struct cl_loop_kernel *find(kiln_device_state *device, const char *text)
{
    struct cl_loop_kernel *kernel = device->loop_kernels;
    while (kernel && strcmp(kernel->text, text) != 0)
        kernel = kernel->next;
    return kernel;
}

/* Adds the loop's kernel to the list unless it is there; its program follows. */
static enum kiln_status add_kernel(kiln_device_state *device, const struct kiln_loop *loop,
                                   struct kiln_error *error)
{
    struct cl_form form;
    form_of(device, loop, &form);
    struct kiln_text text = {0};
    cl_loop_text(&form, &text);
    if (text.failed || !text.data) {
        kiln_text_finish(&text);
        return kiln_fail(error, KILN_MACHINE, "opencl: a loop cannot be written as a kernel");
    }
    if (find(device, text.data)) {
        kiln_text_finish(&text);
        return KILN_OK;
    }
    struct cl_loop_kernel *kernel = calloc(1, sizeof *kernel);
    if (!kernel) {
        kiln_text_finish(&text);
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    }
    kernel->text = text.data;
    snprintf(kernel->name, sizeof kernel->name, "loop_%016llx",
             (unsigned long long)XXH3_64bits(text.data, text.length));
    kernel->next = device->loop_kernels;
    device->loop_kernels = kernel;
    return KILN_OK;
}

static void drop_unbuilt(kiln_device_state *device)
{
    while (device->loop_kernels && !device->loop_kernels->program) {
        struct cl_loop_kernel *kernel = device->loop_kernels;
        device->loop_kernels = kernel->next;
        free(kernel->text);
        free(kernel);
    }
}

/* The new kernels stand at the list's head. */
static enum kiln_status build_new(kiln_device_state *device, struct kiln_error *error)
{
    if (!device->loop_kernels || device->loop_kernels->program)
        return KILN_OK;
    char *prelude;
    enum kiln_status status = cl_source_read(device->kernel_dir, "lib/loop.clh", &prelude, error);
    if (status != KILN_OK)
        return status;
    struct kiln_text text = {0};
    kiln_text_append(&text, "%s#line 1 \"loops\"\n", prelude);
    free(prelude);
    for (struct cl_loop_kernel *kernel = device->loop_kernels; kernel && !kernel->program;
         kernel = kernel->next) {
        kiln_text_append(&text, "#define KERNEL %s\n", kernel->name);
        kiln_text_bytes(&text, kernel->text, strlen(kernel->text));
        kiln_text_append(&text, "#undef KERNEL\n\n");
    }
    cl_program program = NULL;
    if (text.failed)
        status = kiln_fail(error, KILN_MACHINE, "out of memory");
    else
        status = cl_program_build(device, "loops", text.data, "", &program, error);
    kiln_text_finish(&text);
    if (status != KILN_OK)
        return status;
    struct cl_loop_kernel *kernel = device->loop_kernels;
    for (; kernel && !kernel->program; kernel = kernel->next) {
        kernel->program = program;
        clRetainProgram(program);
    }
    clReleaseProgram(program);
    return KILN_OK;
}

enum kiln_status cl_loops_build(kiln_device_state *device, const struct kiln_steps *steps,
                                struct kiln_error *error)
{
    enum kiln_status status = KILN_OK;
    for (int i = 0; i < steps->n && status == KILN_OK; i++)
        if (steps->steps[i].kind == KILN_STEP_LOOP)
            status = add_kernel(device, &steps->steps[i].as.loop, error);
    if (status == KILN_OK)
        status = build_new(device, error);
    if (status != KILN_OK)
        drop_unbuilt(device);
    return status;
}

void cl_loops_release(kiln_device_state *device)
{
    while (device->loop_kernels) {
        struct cl_loop_kernel *kernel = device->loop_kernels;
        device->loop_kernels = kernel->next;
        if (kernel->program && !device->lost)
            clReleaseProgram(kernel->program);
        free(kernel->text);
        free(kernel);
    }
}

/* --- launches ---------------------------------------------------------------- */

static void arg_index(struct cl_builder *builder, const struct cl_form *form, int64_t value)
{
    if (form->wide)
        cl_arg_long(builder, value);
    else
        cl_arg_int(builder, value);
}

static void common_arguments(struct cl_builder *builder, const struct cl_form *form)
{
    const struct kiln_loop *loop = form->loop;
    bool used[KILN_REGION_COUNT] = {false};
    for (int a = 0; a < loop->n_accesses; a++)
        used[loop->accesses[a].place.region] = true;
    for (int r = 0; r < KILN_REGION_COUNT; r++) {
        if (!used[r])
            continue;
        if (builder->regions[r])
            cl_arg_buffer(builder, builder->regions[r]->buffer);
        else
            cl_refuse(builder, "an operand lies in a region that is not there");
    }
    for (int a = 0; a < loop->n_accesses; a++)
        cl_arg_long(builder, loop->accesses[a].place.offset);
    for (int d = 0; d < form->n_dims; d++)
        arg_index(builder, form, form->extent[d]);
    for (int d = 0; d < form->n_dims && cl_form_multiplies(form); d++)
        cl_arg_divisor(builder, form->extent[d]);
    for (int i = 0; i < form->n_symbols; i++)
        arg_index(builder, form, form->symbol[i]);
}

static int64_t looped_elements(const struct cl_form *form)
{
    int64_t n = form->lanes == CL_LANES_BLOCK ? CL_LANE_COUNT : 1;
    for (int d = 0; d < form->n_dims; d++)
        if (form->role[d] == CL_ROLE_LOOPED)
            n *= form->extent[d];
    if (cl_form_kept_lanes(form))
        n *= CL_LANE_COUNT;
    return n;
}

static int64_t divide_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/*
 * Shares of a processor's work-items: some microseconds of work each, several
 * for each core. A work-item takes `turns` outer indices, or one index and
 * `share` of the chunked dimension.
 */
static void end_processor(struct cl_builder *builder, const struct cl_form *form)
{
    enum { ELEMENTS = 1 << 13, ITEMS_PER_CORE = 16 };
    int64_t most = (int64_t)builder->device->caps.compute_units * ITEMS_PER_CORE;
    int64_t elements = looped_elements(form);
    int64_t least = ELEMENTS / (form->loop->n_instructions / 8 + 1);
    int64_t turns = 1, share = 1, shares = 1;
    if (form->chunked >= 0)
        share = form->extent[form->chunked];
    if (form->chunked >= 0 && form->n_outer < most && elements > least) {
        int64_t extent = form->extent[form->chunked];
        shares = divide_up(most, form->n_outer);
        if (shares > elements / least)
            shares = elements / least;
        if (shares > extent)
            shares = extent;
        share = divide_up(extent, shares);
        if (form->lanes == CL_LANES_LONG && form->chunked == form->first_lane)
            share = divide_up(share, CL_LANE_COUNT) * CL_LANE_COUNT;
        shares = divide_up(extent, share);
    } else if (elements < least) {
        turns = divide_up(form->n_outer, most);
        if (turns * elements < least)
            turns = divide_up(least, elements);
    }
    arg_index(builder, form, form->n_outer);
    arg_index(builder, form, 0);
    arg_index(builder, form, share);
    cl_arg_int(builder, turns);
    cl_end_groups(builder, shares, divide_up(form->n_outer, turns), 1);
}

/* A work-item an element, or a power of two of them a kept index. */
static void end_group_family(struct cl_builder *builder, const struct cl_form *form)
{
    size_t size = 256;
    if (size > (size_t)builder->device->caps.work_group_size)
        size = (size_t)builder->device->caps.work_group_size;
    int64_t reduced = form->reduces ? looped_elements(form) : 1;
    int64_t turns = 1;
    if (form->reduces) {
        while (turns * 4 <= reduced && turns * 2 <= (int64_t)size)
            turns *= 2;
        /* columns side by side read whole lines */
        while (!form->inner_reduced && turns > 1 && (int64_t)size / turns < 16)
            turns /= 2;
    }
    if (form->reduces && turns < 64 && size > 64)
        size = form->inner_reduced ? 64 : size;
    size = size / (size_t)turns * (size_t)turns;
    arg_index(builder, form, form->n_outer);
    arg_index(builder, form, reduced);
    arg_index(builder, form, 0);
    cl_arg_int(builder, turns);
    const int64_t groups[3] = {divide_up(form->n_outer, (int64_t)size / turns), 1, 1};
    const size_t local[3] = {size, 1, 1};
    cl_end_local(builder, groups, local);
}

void cl_loop_prepare(struct cl_builder *builder, const struct kiln_loop *loop)
{
    if (builder->status != KILN_OK)
        return;
    struct cl_form form;
    form_of(builder->device, loop, &form);
    struct kiln_text text = {0};
    cl_loop_text(&form, &text);
    struct cl_loop_kernel *kernel = text.data ? find(builder->device, text.data) : NULL;
    kiln_text_finish(&text);
    if (!kernel || !kernel->program) {
        cl_refuse(builder, "the loop's kernel was not built");
        return;
    }
    cl_begin_program(builder, kernel->program, kernel->name);
    common_arguments(builder, &form);
    if (form.groups)
        end_group_family(builder, &form);
    else
        end_processor(builder, &form);
}
