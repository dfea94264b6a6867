/* Finding devices on all platforms, and what they can do. */
#include "backends/opencl/opencl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PLATFORMS = 32, MAX_DEVICES = 64 };

/* Kept indices that are enough for a reduction on a processor, at least: with
 * fewer, what follows a norm's sums joins their loop and can be repeated in no
 * other, so that every value of it goes to memory. */
enum { CPU_PARALLELISM = 128 };

struct found {
    cl_platform_id platform;
    cl_device_id device;
};

static bool usable(cl_device_id device)
{
    cl_bool available = CL_FALSE, compiler = CL_FALSE;
    clGetDeviceInfo(device, CL_DEVICE_AVAILABLE, sizeof available, &available, NULL);
    clGetDeviceInfo(device, CL_DEVICE_COMPILER_AVAILABLE, sizeof compiler, &compiler, NULL);
    return available && compiler;
}

/* The order of platforms and devices is the loader's: it gives the index. */
static int find_all(struct found found[MAX_DEVICES])
{
    cl_platform_id platforms[MAX_PLATFORMS];
    cl_uint n_platforms = 0;
    if (clGetPlatformIDs(MAX_PLATFORMS, platforms, &n_platforms) != CL_SUCCESS)
        return 0;
    if (n_platforms > MAX_PLATFORMS)
        n_platforms = MAX_PLATFORMS;
    int n = 0;
    for (cl_uint p = 0; p < n_platforms; p++) {
        cl_device_id devices[MAX_DEVICES];
        cl_uint n_devices = 0;
        if (clGetDeviceIDs(platforms[p], CL_DEVICE_TYPE_ALL, MAX_DEVICES, devices, &n_devices) !=
            CL_SUCCESS)
            continue;
        if (n_devices > MAX_DEVICES)
            n_devices = MAX_DEVICES;
        for (cl_uint d = 0; d < n_devices && n < MAX_DEVICES; d++)
            if (usable(devices[d]))
                found[n++] = (struct found){platforms[p], devices[d]};
    }
    return n;
}

enum kiln_status cl_enumerate(int max, struct kiln_caps *caps, int *n, struct kiln_error *error)
{
    (void)error;
    struct found found[MAX_DEVICES];
    *n = find_all(found);
    for (int i = 0; i < *n && i < max; i++)
        cl_device_caps(found[i].platform, found[i].device, &caps[i]);
    return KILN_OK;
}

enum kiln_status cl_device_find(int index, cl_platform_id *platform, cl_device_id *device,
                                struct kiln_error *error)
{
    struct found found[MAX_DEVICES];
    int n = find_all(found);
    if (index < 0 || index >= n)
        return kiln_fail(error, KILN_MACHINE, "opencl: no device %d: %d found", index, n);
    *platform = found[index].platform;
    *device = found[index].device;
    return KILN_OK;
}

static void text_info(cl_device_id device, cl_device_info what, char *text, size_t size)
{
    char value[1024] = "";
    if (clGetDeviceInfo(device, what, sizeof value - 1, value, NULL) != CL_SUCCESS)
        value[0] = '\0';
    /* some drivers pad names with blanks */
    const char *start = value;
    while (*start == ' ')
        start++;
    size_t length = strlen(start);
    while (length && start[length - 1] == ' ')
        length--;
    snprintf(text, size, "%.*s", (int)length, start);
}

static int64_t long_info(cl_device_id device, cl_device_info what)
{
    cl_ulong value = 0;
    clGetDeviceInfo(device, what, sizeof value, &value, NULL);
    return value > INT64_MAX ? INT64_MAX : (int64_t)value;
}

static cl_uint uint_info(cl_device_id device, cl_device_info what)
{
    cl_uint value = 0;
    clGetDeviceInfo(device, what, sizeof value, &value, NULL);
    return value;
}

char *cl_device_extensions(cl_device_id device)
{
    /* the list of a GPU driver is longer than any fixed buffer */
    size_t bytes = 0;
    clGetDeviceInfo(device, CL_DEVICE_EXTENSIONS, 0, NULL, &bytes);
    char *extensions = calloc(bytes + 1, 1);
    if (extensions)
        clGetDeviceInfo(device, CL_DEVICE_EXTENSIONS, bytes, extensions, NULL);
    return extensions;
}

/* KILN_OPENCL_FAMILY=cpu or gpu overrides it, for tests and measurements. */
bool cl_device_cpu_like(cl_device_id device)
{
    const char *family = getenv("KILN_OPENCL_FAMILY");
    if (family && *family)
        return strcmp(family, "cpu") == 0;
    cl_device_type type = 0;
    cl_device_local_mem_type local = 0;
    clGetDeviceInfo(device, CL_DEVICE_TYPE, sizeof type, &type, NULL);
    clGetDeviceInfo(device, CL_DEVICE_LOCAL_MEM_TYPE, sizeof local, &local, NULL);
    return (type & CL_DEVICE_TYPE_CPU) || (!(type & CL_DEVICE_TYPE_GPU) && local != CL_LOCAL);
}

static void set_layouts(bool cpu_like, struct kiln_caps *caps)
{
    int n = 0;
    if (cpu_like)
        caps->feature_layouts[n++] = KILN_LAYOUT_NCHW16C;
    caps->feature_layouts[n++] = KILN_LAYOUT_DENSE;
    caps->n_feature_layouts = n;
}

static enum kiln_device_type device_type(cl_device_id device)
{
    cl_device_type type = 0;
    clGetDeviceInfo(device, CL_DEVICE_TYPE, sizeof type, &type, NULL);
    if (type & CL_DEVICE_TYPE_GPU)
        return KILN_DEVICE_GPU;
    return type & CL_DEVICE_TYPE_CPU ? KILN_DEVICE_CPU : KILN_DEVICE_ACCELERATOR;
}

void cl_device_caps(cl_platform_id platform, cl_device_id device, struct kiln_caps *caps)
{
    *caps = (struct kiln_caps){.type = device_type(device)};
    text_info(device, CL_DEVICE_NAME, caps->name, sizeof caps->name);
    text_info(device, CL_DEVICE_VENDOR, caps->vendor, sizeof caps->vendor);
    text_info(device, CL_DRIVER_VERSION, caps->driver, sizeof caps->driver);
    text_info(device, CL_DEVICE_VERSION, caps->version, sizeof caps->version);
    char platform_name[256] = "";
    clGetPlatformInfo(platform, CL_PLATFORM_NAME, sizeof platform_name - 1, platform_name, NULL);
    snprintf(caps->platform, sizeof caps->platform, "%.*s", (int)sizeof caps->platform - 1,
             platform_name);

    caps->compute_units = (int)uint_info(device, CL_DEVICE_MAX_COMPUTE_UNITS);
    caps->memory_bytes = long_info(device, CL_DEVICE_GLOBAL_MEM_SIZE);
    caps->allocation_bytes = long_info(device, CL_DEVICE_MAX_MEM_ALLOC_SIZE);
    caps->local_memory_bytes = long_info(device, CL_DEVICE_LOCAL_MEM_SIZE);
    size_t group = 0;
    clGetDeviceInfo(device, CL_DEVICE_MAX_WORK_GROUP_SIZE, sizeof group, &group, NULL);
    caps->work_group_size = (int64_t)group;
    caps->clock_mhz = (int)uint_info(device, CL_DEVICE_MAX_CLOCK_FREQUENCY);
    caps->unified_memory = uint_info(device, CL_DEVICE_HOST_UNIFIED_MEMORY) != 0;
    char *extensions = cl_device_extensions(device);
    if (extensions) {
        caps->fp16 = strstr(extensions, "cl_khr_fp16") != NULL;
        caps->fp64 = strstr(extensions, "cl_khr_fp64") != NULL;
        caps->subgroups = strstr(extensions, "cl_khr_subgroups") != NULL;
        free(extensions);
    }
    bool cpu_like = cl_device_cpu_like(device);
    set_layouts(cpu_like, caps);
    caps->loop_instructions = KILN_LOOP_MAX_INSTRUCTIONS;
    caps->loop_accesses = 32; /* as the arguments of a kernel, 1024 bytes at least, hold */
    int64_t units = caps->compute_units;
    if (cpu_like)
        caps->parallelism = units * 4 > CPU_PARALLELISM ? units * 4 : CPU_PARALLELISM;
    else
        caps->parallelism = units * 64;
}
