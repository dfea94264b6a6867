/*
 * Matrix engines, for products whose operands may be rounded to bfloat16: which
 * one the device has. One is offered after a check on the device, whose outcome
 * is kept in the cache directory.
 */
#include "backends/opencl/opencl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Queries of vendors' extensions: how many work-items advance together. */
enum { WARP_SIZE_NV = 0x4003, WAVEFRONT_WIDTH_AMD = 0x4043 };

/* number: as in kernels/lib/engine.clh */
struct engine {
    const char *name;
    int number;
    const char *extension;
    cl_device_info width_query; /* 0: the kernel asks for its width itself */
    cl_uint width;
};

static const struct engine engines[] = {
    {"mma", 1, "cl_nv_device_attribute_query", WARP_SIZE_NV, 32},
    {"wmma", 2, "cl_amd_device_attribute_query", WAVEFRONT_WIDTH_AMD, 32},
    {"wmma_split", 3, "cl_amd_device_attribute_query", WAVEFRONT_WIDTH_AMD, 32},
    {"mfma", 4, "cl_amd_device_attribute_query", WAVEFRONT_WIDTH_AMD, 64},
    {"subgroup_8", 5, "cl_intel_subgroup_matrix_multiply_accumulate", 0, 0},
    {"subgroup_16", 6, "cl_intel_subgroup_matrix_multiply_accumulate", 0, 0},
};
enum { ENGINES = sizeof engines / sizeof *engines };

/* Whether the device may have it; its compiler has the last word. */
static bool may_have(const kiln_device_state *device, const struct engine *engine)
{
    char *extensions = cl_device_extensions(device->id);
    bool has = extensions && strstr(extensions, engine->extension);
    free(extensions);
    cl_uint width = 0;
    if (has && engine->width_query)
        clGetDeviceInfo(device->id, engine->width_query, sizeof width, &width, NULL);
    return has && width == engine->width;
}

/* --- the check ------------------------------------------------------------------ */

enum { M = 133, N = 150, K = 77, ELEMENTS = M * K + K * N + M * N };

/* Whole numbers below 9 in size, so that every sum is exact. */
static void fill(float *values, int n)
{
    uint32_t seed = 1;
    for (int i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        values[i] = (float)((int)(seed >> 24) % 17 - 8);
    }
}

static bool equals_plain(const float *values)
{
    const float *a = values, *b = a + M * K, *c = b + K * N;
    for (int i = 0; i < M; i++)
        for (int j = 0; j < N; j++) {
            float sum = 0;
            for (int p = 0; p < K; p++)
                sum += a[i * K + p] * b[p * N + j];
            if (sum != c[i * N + j])
                return false;
        }
    return true;
}

/* A product in memory by the algorithm. */
static bool multiply(kiln_device_state *device, kiln_memory *memory, uint16_t algorithm)
{
    const struct kiln_step step = {
        .kind = KILN_STEP_MATMUL,
        .label = "check of the matrix engine",
        .algorithm = algorithm,
        .as.matmul = {.batch = 1,
                      .m = M,
                      .n = N,
                      .k = K,
                      .a = {KILN_REGION_WORKSPACE, KILN_F32, 0},
                      .b = {KILN_REGION_WORKSPACE, KILN_F32, M * K * 4},
                      .c = {KILN_REGION_WORKSPACE, KILN_F32, (M * K + K * N) * 4},
                      .a_stride = {M * K, K, 1},
                      .b_stride = {K * N, N, 1},
                      .c_stride = {M * N, N, 1}}};
    const struct kiln_steps steps = {.n = 1, .steps = &step, .region_bytes = {ELEMENTS * 4}};
    kiln_memory *const regions[KILN_REGION_COUNT] = {memory};
    struct kiln_error error;
    kiln_exec *exec = NULL;
    bool done = cl_exec_create(device, &steps, regions, &exec, &error) == KILN_OK &&
                cl_exec_run(device, exec, 0, 1, &error) == KILN_OK;
    cl_exec_destroy(device, exec);
    return done;
}

static bool algorithm_is_right(kiln_device_state *device, kiln_memory *memory, float *values,
                               uint16_t algorithm)
{
    struct kiln_error error;
    fill(values, ELEMENTS);
    return cl_memory_write(device, memory, 0, values, ELEMENTS * 4, &error) == KILN_OK &&
           multiply(device, memory, algorithm) &&
           cl_memory_read(device, memory, 0, values, ELEMENTS * 4, &error) == KILN_OK &&
           equals_plain(values);
}

/* Tries the device's engine, which device->engine names. */
static bool passes(kiln_device_state *device)
{
    struct kiln_error error;
    kiln_memory *memory = NULL;
    float *values = malloc(ELEMENTS * sizeof *values);
    bool right = values && cl_memory_create(device, ELEMENTS * 4, &memory, &error) == KILN_OK &&
                 algorithm_is_right(device, memory, values, CL_MATMUL_ENGINE) &&
                 algorithm_is_right(device, memory, values, CL_MATMUL_ENGINE_LARGE);
    cl_memory_destroy(device, memory);
    free(values);
    return right;
}

/* --- the choice ------------------------------------------------------------------- */

/* What the check says of the device's engine, from the cache where it is kept. */
static int verdict_of(kiln_device_state *device, const struct engine *engine)
{
    struct kiln_error error;
    struct kiln_text what = {0}; /* the kernel's text too: another is checked again */
    char *source = NULL;
    int verdict = -1;
    if (cl_source_read(device->kernel_dir, "matmul_local.cl", &source, &error) == KILN_OK) {
        kiln_text_append(&what, "matrix engine %s\n%s", engine->name, source);
        verdict = what.failed ? -1 : cl_cache_verdict(device, what.data);
    }
    if (verdict == 0) {
        verdict = passes(device) ? 1 : -1;
        cl_cache_set_verdict(device, what.data, verdict);
    }
    kiln_text_finish(&what);
    free(source);
    return verdict;
}

/* Emulated: its kernels with plain code for the instruction, for tests. */
static bool try_engine(kiln_device_state *device, const struct engine *engine, bool emulated)
{
    snprintf(device->engine, sizeof device->engine, "-DENGINE=%d%s", engine->number,
             emulated ? " -DENGINE_EMULATED=1" : "");
    bool good = emulated ? passes(device) : verdict_of(device, engine) > 0;
    if (!good)
        *device->engine = '\0';
    return good;
}

/* The first of the table that the device has, or the one that a test names. */
static void seek(kiln_device_state *device)
{
    const char *emulated = getenv("KILN_OPENCL_ENGINE");
    for (int i = 0; i < ENGINES; i++) {
        bool candidate =
            emulated ? strcmp(emulated, engines[i].name) == 0 : may_have(device, &engines[i]);
        if (candidate && try_engine(device, &engines[i], emulated != NULL))
            return;
    }
}

bool cl_engine_usable(kiln_device_state *device)
{
    if (!device->round_products || device->cpu_like || device->reference || device->lost)
        return false;
    if (!device->engine_sought)
        seek(device);
    device->engine_sought = true;
    return *device->engine != '\0';
}
