/* kiln check: every op and model on a device against the double-precision reference. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/cli/check_models.h"
#include "core/cli/command.h"
#include "core/cli/progress.h"
#include "core/device/device.h"
#include "core/run/plugin.h"
#include "tests/lib/conformance_tally.h"

enum { MOST_DEVICES = 66 };

/* Called after each case. */
struct watch {
    kiln_progress *progress;
    int done;
};

static void report(void *user, const struct kiln_case *one,
                   const struct conformance_outcome *outcome)
{
    struct watch *watch = user;
    if (!outcome->passed)
        kiln_cli_message("%s: %s", one->name, outcome->failure);
    kiln_progress_update(watch->progress, ++watch->done, one->name);
}

static void count(void *user, const struct kiln_case *one)
{
    (void)one;
    ++*(int *)user;
}

static void show(const struct conformance_tally *tally, struct kiln_text *text)
{
    kiln_text_append(text, "%s%s (%s)", text->length ? "\n" : "", kiln_device_name(tally->device),
                     kiln_device_caps(tally->device)->name);
    for (int i = 0; i < tally->n; i++) {
        const struct conformance_family *family = &tally->families[i];
        kiln_text_append(text, "\n  %-10s %4d cases, %5d runs: %s, worst error %.2g of its bound",
                         family->name, family->cases, family->ways,
                         family->failed ? "WRONG" : "right", family->share);
        if (family->failed)
            kiln_text_append(text, "; %d cases failed", family->failed);
    }
    if (tally->cases)
        kiln_text_append(text, "\n  %d of %d cases passed", tally->cases - tally->failed,
                         tally->cases);
}

static void write_json(const struct conformance_tally *tally, struct kiln_json *json)
{
    kiln_json_object(json, NULL);
    kiln_json_string(json, "device", kiln_device_name(tally->device));
    kiln_json_string(json, "name", kiln_device_caps(tally->device)->name);
    kiln_json_int(json, "cases", tally->cases);
    kiln_json_int(json, "failed", tally->failed);
    kiln_json_array(json, "families");
    for (int i = 0; i < tally->n; i++) {
        const struct conformance_family *family = &tally->families[i];
        kiln_json_object(json, NULL);
        kiln_json_string(json, "family", family->name);
        kiln_json_int(json, "cases", family->cases);
        kiln_json_int(json, "runs", family->ways);
        kiln_json_int(json, "failed", family->failed);
        kiln_json_number(json, "worst_error_over_bound", family->share);
        kiln_json_string(json, "worst", family->worst);
        kiln_json_end(json);
    }
    kiln_json_end(json);
}

/* The model plugins, one line or object each. Returns the number that failed. */
static int check_models(const struct kiln_cli *cli, kiln_device *device, struct kiln_text *text,
                        struct kiln_json *json)
{
    const char *plugin_dir = kiln_cli_value(cli, "plugin-dir");
    bool as_json = kiln_cli_flag(cli, "json");
    struct kiln_plugin_entry *entries;
    struct kiln_error error;
    size_t n = 0;
    int failed = 0;
    if (kiln_plugin_list(plugin_dir, &n, &entries, &error)) {
        kiln_cli_message("%s", error.text);
        return 1;
    }
    for (size_t i = 0; i < n; i++) {
        struct kiln_model_check result;
        kiln_check_model(entries[i].name, plugin_dir, device, &result);
        if (!result.passed)
            kiln_cli_message("model %s: %s", result.name, result.failure);
        failed += !result.passed;
        if (as_json) {
            kiln_json_object(json, NULL);
            kiln_json_string(json, "model", result.name);
            kiln_json_bool(json, "checked", result.checked);
            kiln_json_bool(json, "passed", result.passed);
            kiln_json_number(json, "worst_error_over_bound", result.share);
            kiln_json_end(json);
        } else if (result.checked) {
            kiln_text_append(text, "\n  model %-10s %s, worst error %.2g of its bound", result.name,
                             result.passed ? "right" : "WRONG", result.share);
        } else {
            kiln_text_append(text, "\n  model %-10s has nothing to check", result.name);
        }
    }
    kiln_plugin_list_free(n, entries);
    return failed;
}

/* The conformance cases of the device, with a progress bar. */
static void check_ops(const struct kiln_cli *cli, struct conformance_tally *tally)
{
    int cases = 0;
    kiln_cases_visit(count, &cases);
    const struct kiln_progress_options bar = {.title = kiln_device_name(tally->device),
                                              .total = cases,
                                              .quiet = kiln_cli_flag(cli, "quiet")};
    struct watch watch = {kiln_progress_create(&bar), 0};
    tally->part = kiln_cli_value(cli, "only");
    tally->report = report;
    tally->user = &watch;
    conformance_tally_run(tally);
    kiln_progress_finish(&watch.progress);
}

/* Checks one device; *failed counts its failed cases and models. */
static enum kiln_status check_device(const struct kiln_cli *cli, const char *spec,
                                     struct kiln_text *text, struct kiln_json *json, int *failed,
                                     struct kiln_error *error)
{
    struct conformance_tally *tally = calloc(1, sizeof *tally);
    if (!tally)
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    enum kiln_status status = kiln_device_open(spec, NULL, &tally->device, error);
    if (!status) {
        const char *only = kiln_cli_value(cli, "only");
        bool as_json = kiln_cli_flag(cli, "json"), models = only && !strcmp(only, "models");
        if (!models)
            check_ops(cli, tally);
        if (as_json) {
            write_json(tally, json);
            kiln_json_array(json, "models");
        } else {
            show(tally, text);
        }
        *failed += tally->failed;
        if (models || !only)
            *failed += check_models(cli, tally->device, text, json);
        if (as_json) {
            kiln_json_end(json);
            kiln_json_end(json);
        }
    }
    kiln_device_close(&tally->device);
    free(tally);
    return status;
}

static enum kiln_status check_all(const struct kiln_cli *cli, struct kiln_text *text,
                                  struct kiln_json *json, int *failed, struct kiln_error *error)
{
    struct kiln_device_entry *entries = calloc(MOST_DEVICES, sizeof *entries);
    char notes[2048];
    if (!entries)
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    enum kiln_status status = KILN_OK;
    int n = kiln_device_list(MOST_DEVICES, entries, notes, sizeof notes);
    for (char *line = strtok(notes, "\n"); line; line = strtok(NULL, "\n"))
        kiln_cli_message("%s", line);
    for (int i = 0; i < n && !status; i++)
        status = check_device(cli, entries[i].name, text, json, failed, error);
    free(entries);
    return status;
}

static enum kiln_status run(const struct kiln_cli *cli, struct kiln_error *error)
{
    const char *spec = kiln_cli_value(cli, "device");
    struct kiln_text text = {0};
    struct kiln_json json = kiln_json_start(&text);
    bool as_json = kiln_cli_flag(cli, "json");
    int failed = 0;
    if (!spec)
        spec = getenv("KILN_DEVICE");
    if (as_json) {
        kiln_json_object(&json, NULL);
        kiln_json_array(&json, "devices");
    }
    enum kiln_status status =
        spec && strcmp(spec, "all") == 0
            ? check_all(cli, &text, &json, &failed, error)
            : check_device(cli, spec ? spec : "", &text, &json, &failed, error);
    if (as_json) {
        kiln_json_end(&json);
        kiln_json_end(&json);
    }
    if (status)
        kiln_text_finish(&text);
    else
        status = kiln_cli_print(&text, error);
    if (!status && failed)
        status = kiln_fail(error, KILN_MACHINE,
                           "%d checks failed: results of this device cannot be trusted", failed);
    return status;
}

static const struct kiln_cli_option options[] = {
    {"device", 0, "DEVICE|all", NULL, "cpu, opencl:0, a part of a device's name, or all of them"},
    {"only", 0, "PART", NULL, "only cases whose name holds PART, or models"},
    KILN_CLI_PLUGIN_DIR_OPTION,
    KILN_CLI_JSON_OPTION,
    KILN_CLI_QUIET_OPTION,
    {0}};

static const char *const examples[] = {"kiln check", "checks the device that Kiln would take",
                                       "kiln check --device all", "checks every device", NULL};

const struct kiln_command kiln_command_check = {
    .name = "check",
    .arguments = "",
    .summary = "compare every op and model on a device with a double-precision reference",
    .description =
        "Runs small graphs of every op, of chains that are fused and of whole building blocks, in "
        "each layout and by each algorithm that the device's backend offers, and compares every "
        "element with an interpreter in double precision; then a small network of every model: its "
        "losses and the norm of its gradient. Errors are given as a share of the "
        "error that f32 arithmetic may have; more than 1 is wrong. The first time a device is "
        "checked, its kernels are compiled, which may take minutes.",
    .options = options,
    .examples = examples,
    .run = run};
