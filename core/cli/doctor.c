/* kiln doctor: why a device is not seen, and what to install. */
#include "core/cli/doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/cli/command.h"

static char *format_text(const char *format, va_list args)
{
    char text[1024];
    vsnprintf(text, sizeof text, format, args);
    return strdup(text);
}

void kiln_diagnosis_find(struct kiln_diagnosis *d, const char *section, enum kiln_finding_kind kind,
                         const char *name, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = format_text(format, args), *copy = strdup(name);
    va_end(args);
    if (!text || !copy || !kiln_array_grow(&d->findings, &d->capacity, d->n, sizeof *d->findings)) {
        free(text);
        free(copy);
        d->failed = true;
        return;
    }
    d->findings[d->n++] = (struct kiln_finding){section, kind, copy, text};
}

void kiln_diagnosis_advise(struct kiln_diagnosis *d, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = format_text(format, args);
    va_end(args);
    bool known = !text || d->n_advice == (int)(sizeof d->advice / sizeof *d->advice);
    for (int i = 0; i < d->n_advice && !known; i++)
        known = strcmp(d->advice[i], text) == 0;
    if (known)
        free(text);
    else
        d->advice[d->n_advice++] = text;
}

void kiln_diagnosis_finish(struct kiln_diagnosis *d)
{
    for (size_t i = 0; i < d->n; i++) {
        free(d->findings[i].name);
        free(d->findings[i].text);
    }
    for (int i = 0; i < d->n_advice; i++)
        free(d->advice[i]);
    free(d->findings);
    *d = (struct kiln_diagnosis){0};
}

static const char *const kind_names[] = {"ok", "problem", "note"};

static void show(const struct kiln_diagnosis *d, struct kiln_text *text)
{
    const char *section = "";
    for (size_t i = 0; i < d->n; i++) {
        const struct kiln_finding *finding = &d->findings[i];
        if (strcmp(section, finding->section) != 0)
            kiln_text_append(text, "%s%s\n", i ? "\n" : "", finding->section);
        section = finding->section;
        kiln_text_append(text, "  %-8s %s%s%s\n", kind_names[finding->kind], finding->name,
                         finding->text[0] ? ": " : "", finding->text);
    }
    kiln_text_append(text, "\n%s",
                     d->n_advice ? "What to do" : "Nothing to do: an OpenCL device can be used.");
    for (int i = 0; i < d->n_advice; i++)
        kiln_text_append(text, "\n  %s", d->advice[i]);
}

static void write_json(const struct kiln_diagnosis *d, struct kiln_text *text)
{
    struct kiln_json json = kiln_json_start(text);
    kiln_json_object(&json, NULL);
    kiln_json_bool(&json, "opencl", d->opencl);
    kiln_json_array(&json, "findings");
    for (size_t i = 0; i < d->n; i++) {
        kiln_json_object(&json, NULL);
        kiln_json_string(&json, "section", d->findings[i].section);
        kiln_json_string(&json, "kind", kind_names[d->findings[i].kind]);
        kiln_json_string(&json, "name", d->findings[i].name);
        kiln_json_string(&json, "text", d->findings[i].text);
        kiln_json_end(&json);
    }
    kiln_json_end(&json);
    kiln_json_array(&json, "advice");
    for (int i = 0; i < d->n_advice; i++)
        kiln_json_string(&json, NULL, d->advice[i]);
    kiln_json_end(&json);
    kiln_json_end(&json);
}

static enum kiln_status run(const struct kiln_cli *cli, struct kiln_error *error)
{
    struct kiln_diagnosis diagnosis = {0};
    struct kiln_text text = {0};
    kiln_doctor_devices(&diagnosis);
    kiln_doctor_loader(&diagnosis);
    kiln_doctor_drivers(&diagnosis);
    kiln_doctor_device_files(&diagnosis);
    kiln_doctor_folders(&diagnosis);
    kiln_doctor_packages(&diagnosis);
    text.failed = diagnosis.failed;
    if (kiln_cli_flag(cli, "json"))
        write_json(&diagnosis, &text);
    else
        show(&diagnosis, &text);
    kiln_diagnosis_finish(&diagnosis);
    return kiln_cli_print(&text, error);
}

static const struct kiln_cli_option options[] = {KILN_CLI_QUIET_OPTION, KILN_CLI_JSON_OPTION, {0}};

static const char *const examples[] = {
    "kiln doctor", "examines loader, drivers, permissions and cache folders", NULL};

const struct kiln_command kiln_command_doctor = {
    .name = "doctor",
    .arguments = "",
    .summary = "explain why an OpenCL device is not seen",
    .description = "OpenCL hides its failures: a driver that does not load, a device file without "
                   "permission and a cache "
                   "folder that cannot be written all look like a machine without a device. This "
                   "command tries each part by "
                   "itself, in child processes where a driver may crash, and says what to install "
                   "or change. Kiln runs on the "
                   "processor without any of it.",
    .options = options,
    .examples = examples,
    .run = run};
