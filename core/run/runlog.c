/* The log of a run. */
#include "core/run/runlog.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/file_status.h"
#include "core/base/json.h"
#include "core/base/json_read.h"

enum { MAX_BYTES = 1 << 28 };

struct kiln_runlog {
    FILE *file;
    char *path;
};

/* Bytes of the leading complete lines whose step is at most last_step; -1 when
 * out of memory. */
static int64_t kept_bytes(const char *text, size_t bytes, int64_t last_step, double *seconds)
{
    size_t kept = 0;
    while (kept < bytes) {
        const char *line = text + kept, *end = memchr(line, '\n', bytes - kept);
        json_t *json;
        if (!end)
            break;
        if (kiln_json_read(line, (size_t)(end - line), 0, &json, NULL) == KILN_MACHINE)
            return -1;
        const json_t *step = json_object_get(json, "step");
        bool keep = json_is_integer(step) && json_integer_value(step) <= last_step;
        if (keep)
            *seconds = json_number_value(json_object_get(json, "seconds"));
        json_decref(json);
        if (!keep)
            break;
        kept = (size_t)(end - text) + 1;
    }
    return (int64_t)kept;
}

static enum kiln_status drop_tail(const char *path, int64_t last_step, double *seconds,
                                  struct kiln_error *error)
{
    char *text = NULL;
    size_t bytes = 0;
    *seconds = 0;
    if (!kiln_file_exists(path))
        return KILN_OK;
    enum kiln_status status = kiln_file_read(path, MAX_BYTES, &text, &bytes, error);
    if (status)
        return status;
    int64_t kept = kept_bytes(text, bytes, last_step, seconds);
    if (kept < 0)
        status = kiln_fail(error, KILN_MACHINE, "%s: out of memory", path);
    else if ((size_t)kept < bytes)
        status = kiln_file_write(path, text, (size_t)kept, error);
    free(text);
    return status;
}

enum kiln_status kiln_runlog_open(const char *path, int64_t last_step, kiln_runlog **out,
                                  double *seconds, struct kiln_error *error)
{
    *out = NULL;
    enum kiln_status status = drop_tail(path, last_step, seconds, error);
    if (status)
        return status;
    kiln_runlog *log = calloc(1, sizeof *log);
    if (log)
        log->path = strdup(path);
    if (!log || !log->path) {
        free(log);
        return kiln_fail(error, KILN_MACHINE, "%s: out of memory", path);
    }
    log->file = fopen(path, "a");
    if (!log->file) {
        status = kiln_file_fail(error, path, "open");
        kiln_runlog_close(&log);
    }
    *out = log;
    return status;
}

enum kiln_status kiln_runlog_write(kiln_runlog *log, int64_t step, int n,
                                   const struct kiln_runlog_value *values, struct kiln_error *error)
{
    struct kiln_text text = {0};
    struct kiln_json json = kiln_json_start(&text);
    kiln_json_object(&json, NULL);
    kiln_json_int(&json, "step", step);
    for (int i = 0; i < n; i++)
        kiln_json_float(&json, values[i].name, (float)values[i].value);
    kiln_json_end(&json);
    kiln_text_append(&text, "\n");
    enum kiln_status status = KILN_OK;
    if (text.failed)
        status = kiln_fail(error, KILN_MACHINE, "%s: out of memory", log->path);
    else if (fwrite(text.data, 1, text.length, log->file) != text.length || fflush(log->file))
        status = kiln_fail(error, KILN_MACHINE, "%s: %s", log->path, strerror(errno));
    kiln_text_finish(&text);
    return status;
}

void kiln_runlog_close(kiln_runlog **log)
{
    if (!log || !*log)
        return;
    if ((*log)->file)
        fclose((*log)->file);
    free((*log)->path);
    free(*log);
    *log = NULL;
}
