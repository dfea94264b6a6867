/* Reading a run's directory. */
#include "core/report/run_history.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/json_read.h"
#include "core/base/text.h"

enum { MAX_BYTES = 1 << 28, MAX_GRIDS = 1 << 20 };

/* --- the log -------------------------------------------------------------------------- */

static int64_t count_lines(const char *text, size_t bytes)
{
    int64_t n = 0;
    for (const char *at = text; (at = memchr(at, '\n', bytes - (size_t)(at - text))); at++)
        n++;
    return n;
}

static double *column(int64_t n)
{
    double *values = malloc((size_t)(n ? n : 1) * sizeof *values);
    for (int64_t i = 0; values && i < n; i++)
        values[i] = NAN;
    return values;
}

/* The column of that name, made if there is room; NULL if there is none. */
static double *find_or_add(struct kiln_run_history *history, const char *name, int64_t lines)
{
    double *found = (double *)kiln_run_history_find(history, name);
    struct kiln_run_column *next = &history->values[history->n_values];
    if (found || history->n_values == KILN_HISTORY_MAX_VALUES || strlen(name) >= sizeof next->name)
        return found;
    next->values = column(lines);
    if (!next->values)
        return NULL;
    memcpy(next->name, name, strlen(name) + 1);
    history->n_values++;
    return next->values;
}

static enum kiln_status take_line(struct kiln_run_history *history, const char *line, size_t bytes,
                                  int64_t lines)
{
    json_t *json, *value;
    enum kiln_status status = kiln_json_read(line, bytes, 0, &json, NULL);
    const char *key;
    bool good = json_is_integer(json_object_get(json, "step"));
    if (good)
        history->step[history->n] = (double)json_integer_value(json_object_get(json, "step"));
    json_object_foreach(good ? json : NULL, key, value)
    {
        double *values =
            json_is_number(value) && strcmp(key, "step") ? find_or_add(history, key, lines) : NULL;
        if (values)
            values[history->n] = json_number_value(value);
    }
    history->n += good;
    json_decref(json);
    return status ? status : good ? KILN_OK : KILN_INPUT;
}

enum kiln_status kiln_run_history_read(const char *path, struct kiln_run_history *history,
                                       struct kiln_error *error)
{
    char *text = NULL;
    size_t bytes = 0, at = 0;
    *history = (struct kiln_run_history){0};
    enum kiln_status status = kiln_file_read(path, MAX_BYTES, &text, &bytes, error);
    if (status)
        return status;
    int64_t lines = count_lines(text, bytes);
    history->step = column(lines);
    if (!history->step)
        status = kiln_fail(error, KILN_MACHINE, "%s: out of memory", path);
    while (!status && history->n < lines) {
        const char *end = memchr(text + at, '\n', bytes - at);
        status = take_line(history, text + at, (size_t)(end - text) - at, lines);
        if (status == KILN_MACHINE)
            kiln_fail(error, status, "%s: out of memory", path);
        else if (status)
            status = kiln_fail(error, KILN_INPUT, "%s:%" PRId64 ": not a line of a run's log", path,
                               history->n + 1);
        at = (size_t)(end - text) + 1;
    }
    free(text);
    return status;
}

void kiln_run_history_finish(struct kiln_run_history *history)
{
    free(history->step);
    for (int i = 0; i < history->n_values; i++)
        free(history->values[i].values);
    *history = (struct kiln_run_history){0};
}

const double *kiln_run_history_find(const struct kiln_run_history *history, const char *name)
{
    for (int i = 0; i < history->n_values; i++)
        if (!strcmp(history->values[i].name, name))
            return history->values[i].values;
    return NULL;
}

/* --- grids ------------------------------------------------------------------------------- */

static bool parse_grid(const char *name, int64_t *step)
{
    static const char prefix[] = "samples-";
    const char *digits = name + sizeof prefix - 1;
    if (strncmp(name, prefix, sizeof prefix - 1) || *digits < '0' || *digits > '9')
        return false;
    char *end;
    errno = 0;
    *step = strtoll(digits, &end, 10);
    return !errno && !strcmp(end, ".png");
}

static int by_step(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void thin(struct kiln_run_grids *grids, int most)
{
    if (grids->n <= most)
        return;
    for (int i = 0; i < most; i++)
        grids->steps[i] = grids->steps[(int64_t)i * (grids->n - 1) / (most > 1 ? most - 1 : 1)];
    grids->n = most;
}

enum kiln_status kiln_run_grids_find(const char *directory, int most, struct kiln_run_grids *grids,
                                     struct kiln_error *error)
{
    *grids = (struct kiln_run_grids){0};
    size_t capacity = 0;
    DIR *folder = opendir(directory);
    if (!folder)
        return kiln_fail(error, KILN_INPUT, "%s: %s", directory, strerror(errno));
    enum kiln_status status = KILN_OK;
    struct dirent *entry;
    int64_t step;
    while (!status && grids->n < MAX_GRIDS && (entry = readdir(folder))) {
        if (!parse_grid(entry->d_name, &step))
            continue;
        if (kiln_array_grow(&grids->steps, &capacity, (size_t)grids->n, sizeof *grids->steps))
            grids->steps[grids->n++] = step;
        else
            status = kiln_fail(error, KILN_MACHINE, "%s: out of memory", directory);
    }
    closedir(folder);
    if (grids->n)
        qsort(grids->steps, (size_t)grids->n, sizeof *grids->steps, by_step);
    thin(grids, most);
    return status;
}
