/* kiln devices: backends, devices, drivers, limits. */
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/cli/command.h"
#include "core/device/device.h"

enum { MOST_DEVICES = 66, NOTES_BYTES = 4096 };

static const char *type_name(enum kiln_device_type type)
{
    return type == KILN_DEVICE_GPU           ? "GPU"
           : type == KILN_DEVICE_ACCELERATOR ? "accelerator"
                                             : "CPU";
}

static void show_size(struct kiln_text *text, const char *name, int64_t bytes)
{
    if (bytes >= (int64_t)1 << 30)
        kiln_text_append(text, ", %s %.1f GiB", name, (double)bytes / 1073741824.0);
    else if (bytes > 0)
        kiln_text_append(text, ", %s %.0f KiB", name, (double)bytes / 1024.0);
}

static void show_device(struct kiln_text *text, const struct kiln_device_entry *entry)
{
    const struct kiln_caps *caps = &entry->caps;
    kiln_text_append(text, "%s%-10s %s%s", text->length ? "\n" : "", entry->name, caps->name,
                     entry->reference ? ", plain C without libraries" : "");
    if (entry->reference)
        return;
    kiln_text_append(text, "\n           %s, %d units", type_name(caps->type), caps->compute_units);
    if (caps->clock_mhz)
        kiln_text_append(text, " at %d MHz", caps->clock_mhz);
    show_size(text, "memory", caps->memory_bytes);
    show_size(text, "largest allocation", caps->allocation_bytes);
    show_size(text, "local memory", caps->local_memory_bytes);
    if (caps->work_group_size)
        kiln_text_append(text, ", work-groups of %lld", (long long)caps->work_group_size);
    kiln_text_append(text, "%s%s%s%s", caps->fp16 ? ", fp16" : "", caps->fp64 ? ", fp64" : "",
                     caps->subgroups ? ", subgroups" : "",
                     caps->unified_memory ? ", memory shared with the host" : "");
    if (caps->platform[0] || caps->driver[0])
        kiln_text_append(text, "\n           %s%s%s%s%s", caps->platform,
                         caps->driver[0] ? ", driver " : "", caps->driver,
                         caps->version[0] ? ", " : "", caps->version);
}

static void write_device(struct kiln_json *json, const struct kiln_device_entry *entry)
{
    const struct kiln_caps *caps = &entry->caps;
    kiln_json_object(json, NULL);
    kiln_json_string(json, "name", entry->name);
    kiln_json_string(json, "backend", entry->backend->name);
    kiln_json_string(json, "device", caps->name);
    kiln_json_string(json, "type", type_name(caps->type));
    kiln_json_bool(json, "reference", entry->reference);
    kiln_json_string(json, "vendor", caps->vendor);
    kiln_json_string(json, "platform", caps->platform);
    kiln_json_string(json, "driver", caps->driver);
    kiln_json_string(json, "version", caps->version);
    kiln_json_int(json, "compute_units", caps->compute_units);
    kiln_json_int(json, "clock_mhz", caps->clock_mhz);
    kiln_json_int(json, "memory_bytes", caps->memory_bytes);
    kiln_json_int(json, "allocation_bytes", caps->allocation_bytes);
    kiln_json_int(json, "local_memory_bytes", caps->local_memory_bytes);
    kiln_json_int(json, "work_group_size", caps->work_group_size);
    kiln_json_bool(json, "fp16", caps->fp16);
    kiln_json_bool(json, "fp64", caps->fp64);
    kiln_json_bool(json, "subgroups", caps->subgroups);
    kiln_json_bool(json, "unified_memory", caps->unified_memory);
    kiln_json_end(json);
}

static void write_notes(struct kiln_json *json, char *notes)
{
    kiln_json_array(json, "notes");
    for (char *line = strtok(notes, "\n"); line; line = strtok(NULL, "\n"))
        kiln_json_string(json, NULL, line);
    kiln_json_end(json);
}

static enum kiln_status run(const struct kiln_cli *cli, struct kiln_error *error)
{
    struct kiln_device_entry *entries = calloc(MOST_DEVICES, sizeof *entries);
    char *notes = calloc(1, NOTES_BYTES);
    struct kiln_text text = {0};
    if (!entries || !notes) {
        free(entries);
        free(notes);
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    }
    int n = kiln_device_list(MOST_DEVICES, entries, notes, NOTES_BYTES);
    if (kiln_cli_flag(cli, "json")) {
        struct kiln_json json = kiln_json_start(&text);
        kiln_json_object(&json, NULL);
        kiln_json_array(&json, "devices");
        for (int i = 0; i < n; i++)
            write_device(&json, &entries[i]);
        kiln_json_end(&json);
        write_notes(&json, notes);
        kiln_json_end(&json);
    } else {
        for (int i = 0; i < n; i++)
            show_device(&text, &entries[i]);
        for (char *line = strtok(notes, "\n"); line; line = strtok(NULL, "\n"))
            kiln_cli_message("%s (kiln doctor explains)", line);
    }
    enum kiln_status status = n || text.length ? kiln_cli_print(&text, error) : KILN_OK;
    if (!n && !status)
        status = kiln_fail(error, KILN_MACHINE, "no device at all: not even the cpu backend loads");
    free(entries);
    free(notes);
    return status;
}

static const struct kiln_cli_option options[] = {KILN_CLI_QUIET_OPTION, KILN_CLI_JSON_OPTION, {0}};

static const char *const examples[] = {"kiln devices", "lists what Kiln can run on",
                                       "kiln devices --json",
                                       "the same for programs, sizes in bytes", NULL};

const struct kiln_command kiln_command_devices = {
    .name = "devices",
    .arguments = "",
    .summary = "list the devices that Kiln can run on",
    .description =
        "A device is named by its first column, or by any unique part of its second, in --device, "
        "KILN_DEVICE and "
        "[run] device. Without a name, Kiln takes the best GPU or accelerator, else the processor "
        "by its own backend "
        "cpu. cpu:ref is the same processor in plain C without any library: slow, for comparison.",
    .options = options,
    .examples = examples,
    .run = run};
