/* The probe's child: enumerates OpenCL and opens each device, saying each
 * result before the next risk is taken. */
#include <dlfcn.h>
#include <jansson.h>
#include <stdlib.h>

#include "core/device/backends.h"
#include "core/device/device.h"
#include "core/device/probe.h"

/* Starts a line of its own, whatever a driver has printed, in one write. */
static void say(FILE *out, json_t *object)
{
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    if (text)
        fprintf(out, "\n%s\n", text);
    fflush(out);
    free(text);
    json_decref(object);
}

/* Drivers' texts are not always UTF-8. */
static json_t *text_value(const char *text)
{
    json_t *value = json_string(text);
    return value ? value : json_string("?");
}

static void say_device(FILE *out, int index, const struct kiln_caps *caps)
{
    json_t *object = json_pack("{s:i, s:i, s:i, s:i, s:I, s:b}", "device", index, "type",
                               (int)caps->type, "compute_units", caps->compute_units, "clock_mhz",
                               caps->clock_mhz, "memory_bytes", (json_int_t)caps->memory_bytes,
                               "unified_memory", (int)caps->unified_memory);
    if (object) {
        json_object_set_new(object, "name", text_value(caps->name));
        json_object_set_new(object, "vendor", text_value(caps->vendor));
        json_object_set_new(object, "driver", text_value(caps->driver));
        json_object_set_new(object, "version", text_value(caps->version));
        json_object_set_new(object, "platform", text_value(caps->platform));
    }
    say(out, object);
}

static void open_device(FILE *out, const struct kiln_backend *backend, int index)
{
    char cache[4096];
    struct kiln_device_options options = {
        .kernel_cache = true, .cache_dir = kiln_cache_dir(cache, sizeof cache) ? cache : NULL};
    struct kiln_error error = {""};
    struct kiln_caps caps;
    kiln_device_state *state = NULL;
    bool opened = backend->open(index, &options, &state, &caps, &error) == KILN_OK;
    if (opened)
        backend->close(state);
    json_t *object = json_pack("{s:i, s:b}", "device", index, "opened", (int)opened);
    if (object)
        json_object_set_new(object, "reason", text_value(error.text));
    say(out, object);
}

static void say_failure(FILE *out, const struct kiln_error *error)
{
    json_t *object = json_object();
    if (object)
        json_object_set_new(object, "failed", text_value(error->text));
    say(out, object);
}

int kiln_probe_child(FILE *out)
{
    struct kiln_error error = {""};
    const struct kiln_backend *backend = kiln_backend_load(KILN_BACKEND_OPENCL, &error);
    struct kiln_caps *caps = calloc(KILN_PROBE_MAX, sizeof *caps);
    int n = 0;
    if (!backend || !caps || backend->enumerate(KILN_PROBE_MAX, caps, &n, &error)) {
        say_failure(out, &error);
        free(caps);
        return KILN_MACHINE;
    }
    n = n < KILN_PROBE_MAX ? n : KILN_PROBE_MAX;
    for (int i = 0; i < n; i++)
        say_device(out, i, &caps[i]);
    say(out, json_pack("{s:i}", "enumerated", n));
    for (int i = 0; i < n; i++)
        open_device(out, backend, i);
    say(out, json_pack("{s:b}", "done", 1));
    free(caps);
    return KILN_OK;
}

int kiln_probe_library_child(const char *library, FILE *out)
{
    if (dlopen(library, RTLD_NOW | RTLD_LOCAL))
        return KILN_OK;
    const char *reason = dlerror();
    fprintf(out, "%s\n", reason ? reason : "cannot be loaded");
    fflush(out);
    return KILN_MACHINE;
}
