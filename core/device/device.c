/* Listing, opening and closing devices, and their memory's account. */
#include "core/device/device.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/device/backends.h"
#include "core/device/choice.h"
#include "core/device/memory.h"
#include "core/device/probe.h"

enum { MOST_DEVICES = KILN_PROBE_MAX + 2 };

struct kiln_device {
    struct kiln_device_entry entry;
    kiln_device_state *state;
    struct kiln_device_options options;
    char cache_dir[4096];
    int64_t used_bytes;
};

struct notes {
    char *text;
    size_t size, used;
};

static void note(struct notes *notes, const char *format, ...) KILN_PRINTF(2, 3);

static void note(struct notes *notes, const char *format, ...)
{
    if (!notes->text || notes->used >= notes->size)
        return;
    va_list args;
    va_start(args, format);
    notes->used +=
        (size_t)vsnprintf(notes->text + notes->used, notes->size - notes->used, format, args);
    va_end(args);
}

/* Appends the devices of the CPU backend: itself and its plain baseline. */
static int list_cpu(int max, struct kiln_device_entry *entries, struct notes *notes)
{
    struct kiln_error error;
    const struct kiln_backend *backend = kiln_backend_load(KILN_BACKEND_CPU, &error);
    struct kiln_caps caps;
    memset(&caps, 0, sizeof caps);
    int n = 0;
    if (!backend || backend->enumerate(1, &caps, &n, &error)) {
        note(notes, "%s\n", error.text);
        return 0;
    }
    for (int i = 0; n > 0 && i < 2 && i < max; i++) {
        entries[i] =
            (struct kiln_device_entry){.backend = backend, .reference = i == 1, .caps = caps};
        snprintf(entries[i].name, sizeof entries[i].name, i ? "%s:ref" : "%s", backend->name);
    }
    return n > 0 ? (max < 2 ? max : 2) : 0;
}

/* Appends the OpenCL devices that the probe does not warn of. */
static int list_opencl(int max, struct kiln_device_entry *entries, const struct kiln_probe *probe,
                       struct notes *notes)
{
    if (probe->reason[0])
        note(notes, "opencl: %s\n", probe->reason);
    if (!probe->usable || max <= 0)
        return 0;
    struct kiln_error error;
    const struct kiln_backend *backend = kiln_backend_load(KILN_BACKEND_OPENCL, &error);
    struct kiln_caps *caps = calloc(KILN_PROBE_MAX, sizeof *caps);
    int found = 0, n = 0;
    if (!backend || !caps || backend->enumerate(KILN_PROBE_MAX, caps, &found, &error)) {
        note(notes, "%s\n", backend && !caps ? "opencl: out of memory" : error.text);
        found = 0;
    }
    for (int i = 0; i < found && i < KILN_PROBE_MAX && n < max; i++) {
        if (probe->done && (i >= probe->n || !probe->devices[i].usable)) {
            note(notes, "opencl:%d: left out: %s\n", i,
                 i < probe->n ? probe->devices[i].reason : "the probe did not see it");
            continue;
        }
        entries[n] = (struct kiln_device_entry){.backend = backend, .index = i, .caps = caps[i]};
        snprintf(entries[n].name, sizeof entries[n].name, "opencl:%d", i);
        n++;
    }
    free(caps);
    return n;
}

int kiln_device_list(int max, struct kiln_device_entry *entries, char *notes_text,
                     size_t notes_size)
{
    struct notes notes = {notes_text, notes_size, 0};
    if (notes_text && notes_size)
        notes_text[0] = '\0';
    struct kiln_probe *probe = malloc(sizeof *probe);
    int n = list_cpu(max, entries, &notes);
    if (!probe)
        return n;
    kiln_probe_opencl(false, probe);
    n += list_opencl(max - n, entries + n, probe, &notes);
    free(probe);
    return n;
}

/* True if spec can be answered without touching OpenCL in this process: the
 * processor by name, or the default when no probed device is more than one. */
static bool cpu_suffices(const char *spec)
{
    if (strcmp(spec, "cpu") == 0 || strcmp(spec, "cpu:ref") == 0)
        return true;
    if (spec[0] && strcmp(spec, "auto") != 0)
        return false;
    struct kiln_probe *probe = malloc(sizeof *probe);
    if (!probe)
        return true;
    kiln_probe_opencl(false, probe);
    bool suffices = probe->done;
    for (int i = 0; i < probe->n; i++)
        if (probe->devices[i].usable && probe->devices[i].caps.type != KILN_DEVICE_CPU)
            suffices = false;
    free(probe);
    return suffices;
}

static enum kiln_status find(const char *spec, struct kiln_device_entry *found,
                             struct kiln_error *error)
{
    struct kiln_device_entry *entries = calloc(MOST_DEVICES, sizeof *entries);
    char *notes_text = calloc(1, 2048);
    if (!entries || !notes_text) {
        free(entries);
        free(notes_text);
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    }
    struct notes notes = {notes_text, 2048, 0};
    int n = cpu_suffices(spec) ? list_cpu(2, entries, &notes) : 0;
    if (!n)
        n = kiln_device_list(MOST_DEVICES, entries, notes_text, 2048);
    int chosen;
    enum kiln_status status = kiln_device_choose(spec, n, entries, &chosen, error);
    notes_text[strcspn(notes_text, "\n")] = '\0';
    if (!status)
        *found = entries[chosen];
    else if (notes_text[0] && error) {
        char message[sizeof error->text];
        memcpy(message, error->text, sizeof message);
        status = kiln_fail(error, n ? status : KILN_MACHINE, "%.500s; %.500s", message, notes_text);
    }
    free(entries);
    free(notes_text);
    return status;
}

enum kiln_status kiln_device_open(const char *spec, const struct kiln_device_options *options,
                                  kiln_device **out, struct kiln_error *error)
{
    *out = NULL;
    kiln_device *device = calloc(1, sizeof *device);
    if (!device)
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    enum kiln_status status = find(spec ? spec : "", &device->entry, error);
    if (status) {
        free(device);
        return status;
    }
    struct kiln_device_options own =
        options ? *options : (struct kiln_device_options){.kernel_cache = true};
    own.reference = own.reference || device->entry.reference;
    if (own.cache_dir)
        snprintf(device->cache_dir, sizeof device->cache_dir, "%s", own.cache_dir);
    else if (!kiln_cache_dir(device->cache_dir, sizeof device->cache_dir))
        own.kernel_cache = false;
    own.cache_dir = device->cache_dir[0] ? device->cache_dir : NULL;
    device->options = own;
    struct kiln_error reason = {""};
    if (device->entry.backend->open(device->entry.index, &device->options, &device->state,
                                    &device->entry.caps, &reason)) {
        status = kiln_fail(error, KILN_MACHINE, "device %s: %s", device->entry.name, reason.text);
        free(device);
        return status;
    }
    *out = device;
    return KILN_OK;
}

void kiln_device_close(kiln_device **device)
{
    if (!device || !*device)
        return;
    (*device)->entry.backend->close((*device)->state);
    free(*device);
    *device = NULL;
}

const char *kiln_device_name(const kiln_device *device)
{
    return device->entry.name;
}

const struct kiln_caps *kiln_device_caps(const kiln_device *device)
{
    return &device->entry.caps;
}

const struct kiln_backend *kiln_device_backend(const kiln_device *device)
{
    return device->entry.backend;
}

kiln_device_state *kiln_device_backend_state(const kiln_device *device)
{
    return device->state;
}

int kiln_device_threads(const kiln_device *device)
{
    return device->options.threads;
}

bool kiln_device_is_reference(const kiln_device *device)
{
    return device->options.reference;
}

enum kiln_status kiln_device_memory_create(kiln_device *device, int64_t bytes, const char *what,
                                           kiln_memory **memory, struct kiln_error *error)
{
    *memory = NULL;
    if (!bytes)
        return KILN_OK;
    const struct kiln_caps *caps = &device->entry.caps;
    const double mib = 1024.0 * 1024.0;
    if (bytes < 0 || (caps->allocation_bytes && bytes > caps->allocation_bytes))
        return kiln_fail(error, KILN_MACHINE,
                         "device %s: the %s need %.0f MiB in one piece, its limit is %.0f MiB "
                         "(reduce train.batch_size)",
                         device->entry.name, what, (double)bytes / mib,
                         (double)caps->allocation_bytes / mib);
    if (caps->memory_bytes && bytes > caps->memory_bytes - device->used_bytes)
        return kiln_fail(
            error, KILN_MACHINE,
            "device %s: out of memory: the %s need %.0f MiB, %.0f of %.0f MiB are in use "
            "(reduce train.batch_size)",
            device->entry.name, what, (double)bytes / mib, (double)device->used_bytes / mib,
            (double)caps->memory_bytes / mib);
    struct kiln_error reason = {""};
    if (device->entry.backend->memory_create(device->state, bytes, memory, &reason))
        return kiln_fail(error, KILN_MACHINE, "device %s: no memory for the %s, %.0f MiB: %s",
                         device->entry.name, what, (double)bytes / mib, reason.text);
    device->used_bytes += bytes;
    return KILN_OK;
}

void kiln_device_memory_destroy(kiln_device *device, int64_t bytes, kiln_memory **memory)
{
    if (!*memory)
        return;
    device->entry.backend->memory_destroy(device->state, *memory);
    device->used_bytes -= bytes;
    *memory = NULL;
}

int64_t kiln_device_memory_used(const kiln_device *device)
{
    return device->used_bytes;
}
