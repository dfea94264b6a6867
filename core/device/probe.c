/* Asking a child process whether OpenCL's drivers behave. */
#include "core/device/probe.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <xxhash.h>

#include "core/base/child.h"
#include "core/base/json_read.h"
#include "core/device/cache.h"

#define CACHE_NAME "opencl-probe.json"

enum { OUTPUT_LIMIT = 1 << 18, KEEP_FAILURE_SECONDS = 600 };

static char program_path[4096];

void kiln_probe_program(const char *path)
{
    snprintf(program_path, sizeof program_path, "%s", path);
}

const char *kiln_probe_program_path(void)
{
    const char *program = getenv("KILN_PROBE_PROGRAM");
    if (!program || !program[0])
        program = program_path;
    return program[0] ? program : NULL;
}

static void copy_text(char *out, size_t size, const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    snprintf(out, size, "%s", text ? text : "");
}

static void read_caps(const json_t *object, struct kiln_caps *caps)
{
    copy_text(caps->name, sizeof caps->name, object, "name");
    copy_text(caps->vendor, sizeof caps->vendor, object, "vendor");
    copy_text(caps->driver, sizeof caps->driver, object, "driver");
    copy_text(caps->version, sizeof caps->version, object, "version");
    copy_text(caps->platform, sizeof caps->platform, object, "platform");
    json_int_t type = json_integer_value(json_object_get(object, "type"));
    caps->type = type == KILN_DEVICE_GPU || type == KILN_DEVICE_ACCELERATOR
                     ? (enum kiln_device_type)type
                     : KILN_DEVICE_CPU;
    caps->compute_units =
        (int)(json_integer_value(json_object_get(object, "compute_units")) & 0xfffff);
    caps->clock_mhz = (int)(json_integer_value(json_object_get(object, "clock_mhz")) & 0xfffff);
    caps->memory_bytes = json_integer_value(json_object_get(object, "memory_bytes"));
    caps->unified_memory = json_is_true(json_object_get(object, "unified_memory"));
}

/* One line of the child's answer; true for the last. */
static bool read_line(const json_t *object, struct kiln_probe *probe)
{
    if (json_object_get(object, "done"))
        return true;
    if (json_object_get(object, "failed")) {
        copy_text(probe->reason, sizeof probe->reason, object, "failed");
        return true;
    }
    if (json_object_get(object, "enumerated")) {
        probe->usable = true;
        return false;
    }
    json_int_t index = json_integer_value(json_object_get(object, "device"));
    if (index < 0 || index >= KILN_PROBE_MAX || index > probe->n)
        return false;
    struct kiln_probe_device *device = &probe->devices[index];
    if (json_object_get(object, "opened")) {
        device->usable = json_is_true(json_object_get(object, "opened"));
        copy_text(device->reason, sizeof device->reason, object, "reason");
    } else {
        read_caps(object, &device->caps);
        snprintf(device->reason, sizeof device->reason,
                 "it or one before it crashed or hung when it was opened");
        probe->n = (int)index + 1 > probe->n ? (int)index + 1 : probe->n;
    }
    return false;
}

/* Reads the child's lines; what drivers print between them is kept aside, the
 * last such line in noise. Returns true if the answer is complete. */
static bool read_answer(const char *text, struct kiln_probe *probe, char *noise, size_t noise_size)
{
    bool complete = false;
    for (const char *line = text; *line;) {
        size_t length = strcspn(line, "\n");
        json_t *object = NULL;
        if (line[0] == '{')
            kiln_json_read(line, length, 0, &object, NULL);
        if (json_is_object(object))
            complete = read_line(object, probe) || complete;
        else if (length)
            snprintf(noise, noise_size, "%.*s", (int)(length < 200 ? length : 200), line);
        json_decref(object);
        line += length + (line[length] == '\n');
    }
    return complete;
}

/* True if the probe came from the cache. */
static bool read_cache(const char *key, struct kiln_probe *probe)
{
    size_t size;
    char *data = kiln_cache_read(CACHE_NAME, OUTPUT_LIMIT * 2, &size);
    if (!data)
        return false;
    json_t *root;
    kiln_json_read(data, size, JSON_REJECT_DUPLICATES, &root, NULL);
    free(data);
    const char *stored_key = json_string_value(json_object_get(root, "key"));
    const char *answer = json_string_value(json_object_get(root, "answer"));
    json_int_t made = json_integer_value(json_object_get(root, "time"));
    json_int_t age = (json_int_t)time(NULL) - made;
    bool hit = stored_key && answer && strcmp(stored_key, key) == 0;
    if (hit) {
        char noise[256];
        read_answer(answer, probe, noise, sizeof noise);
        copy_text(probe->reason, sizeof probe->reason, root, "reason");
        if (probe->reason[0])
            hit = age >= 0 && age < KEEP_FAILURE_SECONDS;
    }
    json_decref(root);
    return hit;
}

static void write_cache(const char *key, const char *answer, const char *reason)
{
    json_t *root = json_pack("{s:s, s:s+, s:s+, s:I}", "key", key, "answer", answer ? answer : "",
                             "", "reason", reason, "", "time", (json_int_t)time(NULL));
    char *text = root ? json_dumps(root, JSON_INDENT(1)) : NULL;
    if (text)
        kiln_cache_write(CACHE_NAME, text, strlen(text));
    free(text);
    json_decref(root);
}

static void ask_child(const char *program, const char *key, struct kiln_probe *probe)
{
    const char *setting = getenv("KILN_PROBE_TIMEOUT");
    double seconds = setting ? strtod(setting, NULL) : 10;
    if (!(seconds > 0 && seconds < 3600))
        seconds = 10;
    char *argv[] = {(char *)program, KILN_PROBE_COMMAND, NULL};
    struct kiln_child_result result;
    struct kiln_error error;
    if (kiln_child_run(program, argv, seconds, OUTPUT_LIMIT, &result, &error)) {
        snprintf(probe->reason, sizeof probe->reason, "the probe could not be started: %.400s",
                 error.text);
        return;
    }
    char noise[256] = "", ending[128];
    const char *answer = result.output.data ? result.output.data : "";
    bool complete = read_answer(answer, probe, noise, sizeof noise);
    if (!complete)
        snprintf(probe->reason, sizeof probe->reason, "a driver crashes or hangs: the probe %s%s%s",
                 kiln_child_ending(&result, seconds, ending, sizeof ending), noise[0] ? ": " : "",
                 noise);
    write_cache(key, result.output.data, probe->reason);
    kiln_text_finish(&result.output);
}

void kiln_probe_opencl(bool fresh, struct kiln_probe *probe)
{
    memset(probe, 0, sizeof *probe);
    const char *program = kiln_probe_program_path();
    if (!program) {
        probe->usable = true;
        return;
    }
    probe->done = true;
    struct kiln_text inputs = {0};
    kiln_probe_key(&inputs);
    char key[40];
    XXH128_hash_t hash = XXH3_128bits(inputs.data ? inputs.data : "", inputs.length);
    snprintf(key, sizeof key, "%016llx%016llx", (unsigned long long)hash.high64,
             (unsigned long long)hash.low64);
    kiln_text_finish(&inputs);
    if (!fresh && read_cache(key, probe))
        return;
    memset(probe, 0, sizeof *probe);
    probe->done = true;
    ask_child(program, key, probe);
}
