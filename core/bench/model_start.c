/* The time from a new process to its first training step. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/child.h"
#include "core/base/file.h"
#include "core/base/json_read.h"
#include "core/bench/model_run.h"
#include "core/bench/scratch.h"

enum { MOST_ARGUMENTS = 96, MOST_OUTPUT = 1 << 16 };

static const double idle_seconds = 300;

/* A command line; the strings of its own are freed by finish. */
struct command {
    int n;
    char *arguments[MOST_ARGUMENTS + 1];
    bool failed;
};

static void add(struct command *command, const char *before, const char *text)
{
    size_t size = strlen(before) + strlen(text) + 1;
    char *copy = command->n < MOST_ARGUMENTS ? malloc(size) : NULL;
    if (!copy) {
        command->failed = true;
        return;
    }
    snprintf(copy, size, "%s%s", before, text);
    command->arguments[command->n++] = copy;
}

static void add_sets(struct command *command, const char *const *sets, int most)
{
    for (int i = 0; i < most && sets[i]; i++) {
        add(command, "", "--set");
        add(command, "", sets[i]);
    }
}

/* Every cache that a start could use lies in the folder: Kiln's own and those
 * of drivers. env(1) sets them, since a child has this program's environment. */
static void make_command(struct command *command, const char *program,
                         const struct kiln_model_case *c,
                         const struct kiln_model_run_options *options, const char *folder,
                         const char *run)
{
    static const char *const caches[] = {"XDG_CACHE_HOME=", "POCL_CACHE_DIR=", "CUDA_CACHE_PATH=",
                                         "MESA_SHADER_CACHE_DIR=", "NEO_CACHE_DIR="};
    char *config = kiln_model_config_path(c);
    add(command, "", "env");
    for (size_t i = 0; i < sizeof caches / sizeof *caches; i++)
        add(command, caches[i], folder);
    add(command, "", program);
    add(command, "", "train");
    add(command, "", config ? config : "");
    add(command, "--out=", folder);
    char *last = command->n ? command->arguments[command->n - 1] : NULL;
    char *longer = last ? realloc(last, strlen(last) + strlen(run) + 2) : NULL;
    if (longer) {
        strcat(strcat(longer, "/"), run);
        command->arguments[command->n - 1] = longer;
    }
    command->failed = command->failed || !config || !longer;
    add(command, "--device=", options->device);
    if (options->plugin_dir)
        add(command, "--plugin-dir=", options->plugin_dir);
    add(command, "", "--no-tune");
    add(command, "", "--quiet");
    add(command, "", "--json");
    add_sets(command, kiln_model_case_sets, MOST_ARGUMENTS);
    add_sets(command, c->sets, KILN_MODEL_CASE_SETS);
    add(command, "", "--set");
    add(command, "", "train.sample_every=0");
    add(command, "", "--steps=1");
    free(config);
}

/* What the child printed: its JSON object is the last line that begins one. */
static bool parse(const char *output, double *seconds, struct kiln_suite_model *entry)
{
    const char *start = NULL;
    for (const char *at = output; at && (at = strstr(at, "{\"")); at++)
        if (at == output || at[-1] == '\n')
            start = at;
    json_t *json = NULL;
    if (start)
        kiln_json_read(start, strlen(start), JSON_DISABLE_EOF_CHECK, &json, NULL);
    *seconds = json_number_value(json_object_get(json, "first_step_seconds"));
    int64_t memory = json_integer_value(json_object_get(json, "memory_bytes"));
    if (memory > entry->memory_bytes)
        entry->memory_bytes = memory;
    json_decref(json);
    return *seconds > 0;
}

static enum kiln_status start_once(const char *program, const struct kiln_model_case *c,
                                   const struct kiln_model_run_options *options, const char *folder,
                                   const char *run, double *seconds, struct kiln_suite_model *entry,
                                   struct kiln_error *error)
{
    struct command command = {0};
    struct kiln_child_result result = {{0}};
    make_command(&command, program, c, options, folder, run);
    enum kiln_status status = command.failed
                                  ? kiln_fail(error, KILN_MACHINE, "out of memory")
                                  : kiln_child_run("/usr/bin/env", command.arguments, idle_seconds,
                                                   MOST_OUTPUT, &result, error);
    const char *output = result.output.data ? result.output.data : "";
    char ending[128];
    if (!status && (result.exit_status || !parse(output, seconds, entry)))
        status = kiln_fail(error, KILN_MACHINE, "start: %s: %.300s",
                           kiln_child_ending(&result, idle_seconds, ending, sizeof ending), output);
    kiln_text_finish(&result.output);
    for (int i = 0; i < command.n; i++)
        free(command.arguments[i]);
    return status;
}

enum kiln_status kiln_model_start_times(const char *program, const struct kiln_model_case *c,
                                        const struct kiln_model_run_options *options,
                                        struct kiln_suite_model *entry, struct kiln_error *error)
{
    char *folder;
    enum kiln_status status = kiln_scratch_create(&folder, error);
    if (!status)
        status =
            start_once(program, c, options, folder, "cold", &entry->cold_seconds, entry, error);
    if (!status)
        status =
            start_once(program, c, options, folder, "warm", &entry->warm_seconds, entry, error);
    kiln_scratch_remove(&folder);
    return status;
}
