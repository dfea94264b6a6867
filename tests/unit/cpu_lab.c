/* Runs single steps on the CPU backend. */
#include "cpu_lab.h"

#include <dlfcn.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GUARD_BYTES 256
#define GUARD_BYTE  0x5a

struct lab lab_open(int threads, bool reference)
{
    struct lab lab = {0};
    struct kiln_error error = {""};
    setenv("GOMP_SPINCOUNT", "0", 0); /* tests share the processor */
    void *module = dlopen(KILN_BUILD_DIR "/backends/cpu/cpu.so", RTLD_NOW | RTLD_LOCAL);
    if (!module)
        fail_msg("%s", dlerror());
    kiln_backend_entry_fn *entry;
    void *symbol = dlsym(module, "kiln_backend_entry");
    memcpy(&entry, &symbol, sizeof entry);
    assert_non_null(entry);
    lab.backend = entry();
    struct kiln_device_options options = {.threads = threads, .reference = reference};
    if (lab.backend->open(0, &options, &lab.device, &lab.caps, &error) != KILN_OK)
        fail_msg("%s", error.text);
    return lab;
}

struct lab lab_open_variant(int variant)
{
    static const char *const sets[LAB_VARIANTS] = {"", "", "", "avx2", "baseline"};
    setenv("KILN_CPU_SIMD", sets[variant], 1);
    if (variant >= 3)
        setenv("KILN_CPU_ONEDNN", "off", 1);
    struct lab lab = lab_open(variant == 1 ? 2 : 1, variant == 2);
    unsetenv("KILN_CPU_SIMD");
    unsetenv("KILN_CPU_ONEDNN");
    return lab;
}

void lab_close(struct lab *lab)
{
    lab->backend->close(lab->device);
    free(lab->image);
    memset(lab, 0, sizeof *lab);
}

void lab_clear(struct lab *lab)
{
    lab->bytes = 0;
    lab->n_guards = 0;
}

static int64_t grow(struct lab *lab, int64_t bytes)
{
    int64_t offset = lab->bytes;
    lab->bytes += bytes;
    lab->image = realloc(lab->image, (size_t)lab->bytes);
    assert_non_null(lab->image);
    memset(lab->image + offset, GUARD_BYTE, (size_t)bytes);
    return offset;
}

static void put_guard(struct lab *lab, int64_t bytes)
{
    assert_true(lab->n_guards < 64);
    lab->guard[lab->n_guards][0] = grow(lab, bytes);
    lab->guard[lab->n_guards++][1] = bytes;
}

struct kiln_place lab_put(struct lab *lab, enum kiln_dtype dtype, int64_t count, const void *values)
{
    if (lab->bytes == 0)
        put_guard(lab, GUARD_BYTES);
    int64_t bytes = count * (int64_t)kiln_dtype_bytes(dtype), offset = grow(lab, bytes);
    if (values)
        memcpy(lab->image + offset, values, (size_t)bytes);
    else if (dtype == KILN_F32)
        for (int64_t i = 0; i < count; i++)
            ((float *)(void *)(lab->image + offset))[i] = NAN;
    put_guard(lab, GUARD_BYTES + (64 - bytes % 64) % 64);
    return (struct kiln_place){KILN_REGION_WORKSPACE, dtype, offset};
}

void *lab_at(struct lab *lab, struct kiln_place place)
{
    return lab->image + place.offset;
}

static void check_guards(const struct lab *lab, const char *label)
{
    for (int g = 0; g < lab->n_guards; g++)
        for (int64_t i = 0; i < lab->guard[g][1]; i++)
            if (lab->image[lab->guard[g][0] + i] != GUARD_BYTE)
                fail_msg("%s: byte %lld of guard %d was written", label, (long long)i, g);
}

void lab_run(struct lab *lab, struct kiln_step *step, const struct kiln_candidate *candidate)
{
    const struct kiln_backend *backend = lab->backend;
    struct kiln_error error = {""};
    int64_t bytes_before = lab->bytes;
    int guards_before = lab->n_guards;
    step->algorithm = candidate->algorithm;
    step->scratch_bytes = candidate->scratch_bytes;
    if (!step->label)
        step->label = "test";
    if (candidate->scratch_bytes)
        step->scratch = lab_put(lab, KILN_U8, candidate->scratch_bytes, NULL);

    struct kiln_steps steps = {.n = 1, .steps = step, .region_bytes = {lab->bytes}};
    kiln_memory *regions[KILN_REGION_COUNT] = {NULL};
    kiln_exec *exec = NULL;
    enum kiln_status status = backend->memory_create(lab->device, lab->bytes, &regions[0], &error);
    if (status == KILN_OK)
        status = backend->write(lab->device, regions[0], 0, lab->image, lab->bytes, &error);
    if (status == KILN_OK)
        status = backend->exec_create(lab->device, &steps, regions, &exec, &error);
    if (status == KILN_OK)
        status = backend->exec_run(lab->device, exec, 0, 1, &error);
    if (status == KILN_OK)
        status = backend->finish(lab->device, &error);
    if (status == KILN_OK)
        status = backend->read(lab->device, regions[0], 0, lab->image, lab->bytes, &error);
    if (status != KILN_OK)
        fail_msg("%s: %s", candidate->name, error.text);
    check_guards(lab, candidate->name);
    backend->exec_destroy(lab->device, exec);
    backend->memory_destroy(lab->device, regions[0]);
    lab->bytes = bytes_before;
    lab->n_guards = guards_before;
}

int lab_run_first(struct lab *lab, struct kiln_step *step)
{
    struct kiln_candidate candidates[KILN_MAX_CANDIDATES];
    int n = lab->backend->candidates(lab->device, step, candidates);
    assert_true(n >= 1);
    lab_run(lab, step, &candidates[0]);
    return n;
}

float lab_value(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (float)(*state >> 8) * 0x1p-23f - 1.0f;
}

float *lab_values(uint32_t seed, int64_t count)
{
    float *values = malloc((size_t)count * sizeof *values);
    assert_non_null(values);
    for (int64_t i = 0; i < count; i++)
        values[i] = lab_value(&seed);
    return values;
}

void lab_compare(const char *what, int64_t count, const float *got, const double *want,
                 double relative, double absolute)
{
    for (int64_t i = 0; i < count; i++) {
        double bound = relative * fabs(want[i]) + absolute;
        if (isnan(want[i]) ? isnan(got[i])
                           : (double)got[i] == want[i] || fabs(got[i] - want[i]) <= bound)
            continue;
        fail_msg("%s: element %lld of %lld is %.9g, not %.9g (bound %.3g)", what, (long long)i,
                 (long long)count, (double)got[i], want[i], bound);
    }
}
