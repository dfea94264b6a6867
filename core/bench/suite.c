/* Results: their arrays, the machine, the limits that peaks set. */
#include "core/bench/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "core/base/text.h"

void kiln_suite_finish(struct kiln_suite *suite)
{
    free(suite->devices);
    free(suite->ops);
    free(suite->models);
    *suite = (struct kiln_suite){0};
}

struct kiln_suite_device *kiln_suite_add_device(struct kiln_suite *suite)
{
    if (!kiln_array_grow(&suite->devices, &suite->device_capacity, suite->n_devices,
                         sizeof *suite->devices))
        return NULL;
    struct kiln_suite_device *entry = &suite->devices[suite->n_devices++];
    *entry = (struct kiln_suite_device){.name = ""};
    return entry;
}

struct kiln_suite_op *kiln_suite_add_op(struct kiln_suite *suite)
{
    if (!kiln_array_grow(&suite->ops, &suite->op_capacity, suite->n_ops, sizeof *suite->ops))
        return NULL;
    struct kiln_suite_op *entry = &suite->ops[suite->n_ops++];
    *entry = (struct kiln_suite_op){.name = ""};
    return entry;
}

struct kiln_suite_model *kiln_suite_add_model(struct kiln_suite *suite)
{
    if (!kiln_array_grow(&suite->models, &suite->model_capacity, suite->n_models,
                         sizeof *suite->models))
        return NULL;
    struct kiln_suite_model *entry = &suite->models[suite->n_models++];
    *entry = (struct kiln_suite_model){.name = ""};
    return entry;
}

const struct kiln_suite_device *kiln_suite_find_device(const struct kiln_suite *suite,
                                                       const char *name)
{
    for (size_t i = 0; i < suite->n_devices; i++)
        if (!strcmp(suite->devices[i].name, name))
            return &suite->devices[i];
    return NULL;
}

/* --- the machine --------------------------------------------------------------------------- */

/* The text after "key" and a colon in the first line of /proc/cpuinfo with it. */
static void read_cpuinfo(const char *key, char *text, size_t size)
{
    char line[256];
    FILE *file = fopen("/proc/cpuinfo", "r");
    text[0] = '\0';
    while (file && !text[0] && fgets(line, sizeof line, file)) {
        char *colon = strchr(line, ':');
        if (!strncmp(line, key, strlen(key)) && colon)
            snprintf(text, size, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
    }
    if (file)
        fclose(file);
}

static void read_governor(char *text, size_t size)
{
    FILE *file = fopen("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "r");
    text[0] = '\0';
    if (file && fgets(text, (int)size, file))
        text[strcspn(text, "\n")] = '\0';
    if (file)
        fclose(file);
}

void kiln_suite_describe_host(struct kiln_suite *suite)
{
    struct utsname name;
    struct tm utc;
    char clock[32];
    time_t now = time(NULL);
    suite->format = KILN_SUITE_FORMAT;
    suite->version = KILN_SUITE_VERSION;
    snprintf(suite->kiln, sizeof suite->kiln, "%s", KILN_VERSION);
    if (gmtime_r(&now, &utc))
        strftime(suite->started, sizeof suite->started, "%Y-%m-%dT%H:%M:%SZ", &utc);
    read_cpuinfo("model name", suite->host, sizeof suite->host);
    read_cpuinfo("cpu MHz", clock, sizeof clock);
    suite->host_clock_mhz = atoi(clock);
    read_governor(suite->governor, sizeof suite->governor);
    if (!uname(&name))
        snprintf(suite->system, sizeof suite->system, "%.40s %.40s %.40s", name.sysname,
                 name.release, name.machine);
    suite->host_cores = (int)sysconf(_SC_NPROCESSORS_ONLN);
    suite->host_memory_bytes = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGE_SIZE);
}

/* --- limits ---------------------------------------------------------------------------------- */

double kiln_suite_bandwidth_at(const struct kiln_suite_device *device, double bytes)
{
    for (int i = 0; i < device->n_bandwidths; i++)
        if (device->bandwidths[i].bytes >= bytes)
            return device->bandwidths[i].bytes_per_second;
    return device->n_bandwidths ? device->bandwidths[device->n_bandwidths - 1].bytes_per_second : 0;
}

double kiln_suite_limit(const struct kiln_suite_device *device, const struct kiln_suite_op *op)
{
    double bandwidth = kiln_suite_bandwidth_at(device, op->bytes);
    double arithmetic = device->peak_flops > 0 ? op->flops / device->peak_flops : 0;
    double memory = bandwidth > 0 ? op->bytes / bandwidth : 0;
    return arithmetic > memory ? arithmetic : memory;
}
