/* Building programs and keeping them for the life of the device. */
#include "backends/opencl/opencl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* No fast-relaxed-math: non-finite losses must stay visible. */
#define BASE_OPTIONS "-cl-std=CL1.2 -cl-denorms-are-zero"

/* The log's lines that name errors come first in a message of one line. */
static void build_failed(kiln_device_state *device, cl_program program, const char *name,
                         const char *options, cl_int code, struct kiln_error *error)
{
    size_t bytes = 0;
    clGetProgramBuildInfo(program, device->id, CL_PROGRAM_BUILD_LOG, 0, NULL, &bytes);
    char *log = calloc(bytes + 1, 1);
    if (log)
        clGetProgramBuildInfo(program, device->id, CL_PROGRAM_BUILD_LOG, bytes, log, NULL);
    const char *part = log ? strstr(log, "error") : NULL;
    while (part && part > log && part[-1] != '\n')
        part--;
    kiln_fail(error, KILN_MACHINE,
              "opencl: %s: kernel does not build (%s, %s, driver %s, options %s): %s", name,
              cl_error_name(code), device->caps.name, device->caps.driver, options,
              part  ? part
              : log ? log
                    : "");
    free(log);
}

enum kiln_status cl_program_build(kiln_device_state *device, const char *name, const char *text,
                                  const char *options, cl_program *out, struct kiln_error *error)
{
    *out = NULL;
    if (device->lost)
        return kiln_fail(error, KILN_MACHINE, "opencl: the device is lost");
    char all[1024];
    if (snprintf(all, sizeof all, "%s%s%s", BASE_OPTIONS, *options ? " " : "", options) >=
        (int)sizeof all)
        return kiln_fail(error, KILN_MACHINE, "opencl: %s: build options too long", name);
    *out = cl_cache_load(device, text, all);
    if (*out)
        return KILN_OK;
    cl_int code;
    cl_program program = clCreateProgramWithSource(device->context, 1, &text, NULL, &code);
    if (code != CL_SUCCESS)
        return cl_fail(device, error, code, "clCreateProgramWithSource");
    code = clBuildProgram(program, 1, &device->id, all, NULL, NULL);
    if (code != CL_SUCCESS) {
        build_failed(device, program, name, all, code, error);
        clReleaseProgram(program);
        return KILN_MACHINE;
    }
    cl_cache_store(device, text, all, program);
    *out = program;
    return KILN_OK;
}

static struct cl_built_program *find(kiln_device_state *device, const char *key)
{
    struct cl_built_program *built = device->programs;
    while (built && strcmp(built->key, key) != 0)
        built = built->next;
    return built;
}

enum kiln_status cl_program_get(kiln_device_state *device, const char *file, const char *options,
                                cl_program *out, struct kiln_error *error)
{
    char key[1024];
    snprintf(key, sizeof key, "%s %s", file, options);
    struct cl_built_program *built = find(device, key);
    if (built) {
        *out = built->program;
        return KILN_OK;
    }
    char *text;
    enum kiln_status status = cl_source_read(device->kernel_dir, file, &text, error);
    if (status != KILN_OK)
        return status;
    cl_program program;
    status = cl_program_build(device, file, text, options, &program, error);
    free(text);
    if (status != KILN_OK)
        return status;
    built = calloc(1, sizeof *built);
    char *copy = cl_copy_string(key);
    if (!built || !copy) {
        free(built);
        free(copy);
        clReleaseProgram(program);
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    }
    *built = (struct cl_built_program){copy, program, device->programs};
    device->programs = built;
    *out = program;
    return KILN_OK;
}

void cl_programs_release(kiln_device_state *device)
{
    while (device->programs) {
        struct cl_built_program *built = device->programs;
        device->programs = built->next;
        if (!device->lost)
            clReleaseProgram(built->program);
        free(built->key);
        free(built);
    }
}
