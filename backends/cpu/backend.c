/* The CPU backend's table, its one device and its capabilities. */
#include "backends/cpu/cpu.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_THREADS 1024

/* Kept indices that are enough for a reduction: a fixed number, so that sums
 * are cut alike whatever the number of threads. Four units a thread for 32. */
#define PARALLELISM 128

/* The processor's name from the kernel, or "CPU". */
static void processor_name(char *name, size_t size)
{
    snprintf(name, size, "CPU");
    FILE *file = fopen("/proc/cpuinfo", "r");
    if (!file)
        return;
    char line[256];
    while (fgets(line, sizeof line, file)) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) || !colon || colon[1] != ' ')
            continue;
        colon[strcspn(colon, "\n")] = '\0';
        snprintf(name, size, "%s", colon + 2);
        break;
    }
    fclose(file);
}

static int default_threads(void)
{
    return (int)cpu_min(omp_get_num_procs(), MAX_THREADS);
}

/* Layouts worth timing: what oneDNN and the own Winograd have fast code for. */
static void fill_layouts(struct kiln_caps *caps, bool reference)
{
    const struct cpu_onednn *onednn = reference ? NULL : cpu_onednn_load();
    bool wide = onednn ? onednn->wide() : cpu_simd_best()->winograd->lanes == 16;
    int n = 0;
    if (!reference)
        caps->feature_layouts[n++] = wide ? KILN_LAYOUT_NCHW16C : KILN_LAYOUT_NCHW8C;
    if (onednn)
        caps->feature_layouts[n++] = KILN_LAYOUT_NHWC;
    caps->feature_layouts[n++] = KILN_LAYOUT_DENSE;
    caps->n_feature_layouts = n;
}

static void fill_caps(struct kiln_caps *caps, int threads, bool reference)
{
    *caps = (struct kiln_caps){.type = KILN_DEVICE_CPU, .unified_memory = true};
    processor_name(caps->name, sizeof caps->name);
    snprintf(caps->vendor, sizeof caps->vendor, "host");
    snprintf(caps->driver, sizeof caps->driver, "%s", KILN_VERSION);
    snprintf(caps->version, sizeof caps->version, "%s",
             reference ? "plain C" : cpu_simd_best()->name);
    snprintf(caps->platform, sizeof caps->platform, "host processor");
    caps->compute_units = threads;
    caps->memory_bytes = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGE_SIZE);
    caps->allocation_bytes = caps->memory_bytes;
    fill_layouts(caps, reference);
    caps->loop_instructions = KILN_LOOP_MAX_INSTRUCTIONS;
    caps->loop_accesses = KILN_LOOP_MAX_ACCESSES;
    caps->parallelism = PARALLELISM;
}

static enum kiln_status cpu_enumerate(int max, struct kiln_caps *caps, int *n,
                                      struct kiln_error *error)
{
    (void)error;
    *n = max > 0;
    if (*n)
        fill_caps(&caps[0], default_threads(), false);
    return KILN_OK;
}

static enum kiln_status cpu_open(int index, const struct kiln_device_options *options,
                                 kiln_device_state **state, struct kiln_caps *caps,
                                 struct kiln_error *error)
{
    (void)index;
    kiln_device_state *device = calloc(1, sizeof *device);
    *state = device;
    if (!device)
        return kiln_fail(error, KILN_MACHINE, "cpu: no memory");
    device->threads =
        options->threads > 0 ? (int)cpu_min(options->threads, MAX_THREADS) : default_threads();
    device->reference = options->reference;
    device->simd = cpu_simd_best();
    const struct cpu_onednn *onednn = device->reference ? NULL : cpu_onednn_load();
    device->onednn_context = onednn ? onednn->open() : NULL;
    device->onednn = device->onednn_context ? onednn : NULL;
    snprintf(device->libraries, sizeof device->libraries, "%s%s%s threads=%d",
             device->reference ? "plain" : device->simd->name, device->onednn ? ", " : "",
             device->onednn ? device->onednn->version() : "", device->threads);
    fill_caps(caps, device->threads, device->reference);
    return KILN_OK;
}

static void cpu_close(kiln_device_state *device)
{
    if (device && device->onednn)
        device->onednn->close(device->onednn_context);
    if (device)
        free(device->thread_memory);
    free(device);
}

static enum kiln_status cpu_finish(kiln_device_state *device, struct kiln_error *error)
{
    (void)error;
    device->waits++;
    return KILN_OK;
}

static const char *cpu_libraries(kiln_device_state *device)
{
    return device->libraries;
}

static void cpu_stats(kiln_device_state *device, int64_t *launches, int64_t *waits, int64_t *bytes,
                      int64_t *peak_bytes)
{
    *launches = device->launches;
    *waits = device->waits;
    *bytes = device->bytes;
    *peak_bytes = device->peak_bytes;
}

KILN_API const struct kiln_backend *kiln_backend_entry(void);

const struct kiln_backend *kiln_backend_entry(void)
{
    static const struct kiln_backend backend = {
        .abi = KILN_BACKEND_ABI,
        .size = sizeof(struct kiln_backend),
        .name = "cpu",
        .enumerate = cpu_enumerate,
        .open = cpu_open,
        .close = cpu_close,
        .memory_create = cpu_memory_create,
        .memory_destroy = cpu_memory_destroy,
        .write = cpu_memory_write,
        .read = cpu_memory_read,
        .candidates = cpu_candidates,
        .exec_create = cpu_exec_create,
        .exec_destroy = cpu_exec_destroy,
        .exec_run = cpu_exec_run,
        .finish = cpu_finish,
        .libraries = cpu_libraries,
        .stats = cpu_stats,
        .arithmetic = cpu_arithmetic,
    };
    return &backend;
}
