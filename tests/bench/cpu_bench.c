/* Times single steps on the CPU backend. */
#include "cpu_bench.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECONDS 0.25
#define MIN_RUNS 5

static void stop(const char *message)
{
    fprintf(stderr, "bench: %s\n", message);
    exit(1);
}

static clockid_t clock_used = CLOCK_MONOTONIC;

double bench_now(void)
{
    struct timespec t;
    clock_gettime(clock_used, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

struct bench bench_open(int threads)
{
    struct bench bench = {0};
    struct kiln_error error;
    struct kiln_caps caps;
    struct kiln_device_options options = {.threads = threads};
    setenv("GOMP_SPINCOUNT", "10000", 0); /* as core/device does */
    if (threads == 1) /* which other programs disturb less */
        clock_used = CLOCK_PROCESS_CPUTIME_ID;
    void *module = dlopen(KILN_BUILD_DIR "/backends/cpu/cpu.so", RTLD_NOW | RTLD_LOCAL);
    void *symbol = module ? dlsym(module, "kiln_backend_entry") : NULL;
    kiln_backend_entry_fn *entry;
    if (!symbol)
        stop(dlerror());
    memcpy(&entry, &symbol, sizeof entry);
    bench.backend = entry();
    if (bench.backend->open(0, &options, &bench.device, &caps, &error) != KILN_OK)
        stop(error.text);
    return bench;
}

struct kiln_place bench_place(struct bench *bench, enum kiln_dtype dtype, int64_t count)
{
    struct kiln_place place = {KILN_REGION_WORKSPACE, dtype, bench->bytes};
    bench->bytes += (count * (int64_t)kiln_dtype_bytes(dtype) + 4095) / 4096 * 4096;
    return place;
}

double bench_steps(struct bench *bench, int n, struct kiln_step *steps)
{
    const struct kiln_backend *backend = bench->backend;
    struct kiln_error error;
    struct kiln_steps list = {.n = n, .steps = steps, .region_bytes = {bench->bytes}};
    kiln_memory *regions[KILN_REGION_COUNT] = {NULL};
    kiln_exec *exec = NULL;
    if (backend->memory_create(bench->device, bench->bytes, &regions[0], &error) != KILN_OK)
        stop(error.text);
    float *values = malloc((size_t)bench->bytes);
    for (int64_t i = 0; i < bench->bytes / 4; i++)
        values[i] = (float)(i * 2654435761u % 1000) * 0.002f - 1.0f;
    backend->write(bench->device, regions[0], 0, values, bench->bytes, &error);
    free(values);
    for (int i = 0; i < n; i++)
        steps[i].label = "bench";
    if (backend->exec_create(bench->device, &list, regions, &exec, &error) != KILN_OK)
        stop(error.text);
    double best = 1e9, start = bench_now();
    for (int run = 0; run < MIN_RUNS || bench_now() - start < SECONDS; run++) {
        double t = bench_now();
        if (backend->exec_run(bench->device, exec, 0, n, &error) != KILN_OK)
            stop(error.text);
        t = bench_now() - t;
        best = t < best ? t : best;
    }
    backend->exec_destroy(bench->device, exec);
    backend->memory_destroy(bench->device, regions[0]);
    return best;
}
