/* Every file of kernels/, and what generated loops call, compiles alone, with its
 * own defaults and without a warning, as OpenCL C 1.2. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>

#include <cmocka.h>

static cl_context context;
static cl_device_id device;

static void build(const char *name)
{
    char path[512], text[64], options[600], log[4096] = "";
    snprintf(path, sizeof path, KILN_SOURCE_DIR "/kernels/%s", name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    fclose(file);
    /* by inclusion, so that the driver's own reader finds lib/ */
    snprintf(text, sizeof text, "#include \"%s\"\n", name);
    snprintf(options, sizeof options, "-cl-std=CL1.2 -Werror -I %s/kernels", KILN_SOURCE_DIR);
    const char *source = text;
    cl_int code;
    cl_program program = clCreateProgramWithSource(context, 1, &source, NULL, &code);
    assert_int_equal(code, CL_SUCCESS);
    code = clBuildProgram(program, 1, &device, options, NULL, NULL);
    if (code != CL_SUCCESS) {
        clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_LOG, sizeof log - 1, log, NULL);
        fail_msg("%s: %d: %s", name, code, log);
    }
    clReleaseProgram(program);
}

static void each_file_compiles_alone(void **unused)
{
    (void)unused;
    DIR *folder = opendir(KILN_SOURCE_DIR "/kernels");
    assert_non_null(folder);
    int n = 0;
    for (struct dirent *entry; (entry = readdir(folder));) {
        size_t length = strlen(entry->d_name);
        if (length < 4 || strcmp(entry->d_name + length - 3, ".cl") != 0)
            continue;
        build(entry->d_name);
        n++;
    }
    closedir(folder);
    assert_true(n > 8);
    build("lib/loop.clh");
}

int main(void)
{
    cl_platform_id platform;
    cl_int code;
    if (clGetPlatformIDs(1, &platform, NULL) != CL_SUCCESS ||
        clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, NULL) != CL_SUCCESS)
        return 77;
    context = clCreateContext(NULL, 1, &device, NULL, NULL, &code);
    if (code != CL_SUCCESS)
        return 77;
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_file_compiles_alone)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    clReleaseContext(context);
    return failed;
}
