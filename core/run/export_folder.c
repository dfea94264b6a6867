/* Putting an export in place: one file, or a folder that appears at once. */
#include "core/run/export_folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/run/exchange_value.h"

const struct kiln_exchange_file *kiln_export_files(const struct kiln_export *export)
{
    const struct kiln_instance *instance = &export->experiment->instance;
    const struct kiln_exchange *exchange = instance->model->exchange;
    return exchange && exchange->files ? exchange->files(instance->state) : NULL;
}

static enum kiln_status no_memory(const char *path, struct kiln_error *error)
{
    return kiln_fail(error, KILN_MACHINE, "%s: out of memory", path);
}

/* The path of a file in a folder: the first of its places. malloc'd. */
static char *file_path(const char *folder, const struct kiln_exchange_file *file)
{
    const char *places = file->paths, *item;
    char name[256];
    int length = kiln_exchange_item(&places, &item);
    snprintf(name, sizeof name, "%.*s", length, item);
    return kiln_path_join(folder, name);
}

/* The next file that is written: the first of its places. */
static const struct kiln_exchange_file *next_file(const struct kiln_exchange_file *file)
{
    const struct kiln_exchange_file *next = file + 1;
    while (next->paths && !strcmp(next->paths, file->paths))
        next++;
    return next->paths ? next : NULL;
}

/* Makes the folder of a file. */
static enum kiln_status make_parent(const char *path, struct kiln_error *error)
{
    char *parent = kiln_path_directory(path);
    enum kiln_status status =
        parent ? kiln_directory_create(parent, error) : no_memory(path, error);
    free(parent);
    return status;
}

static enum kiln_status write_file(const struct kiln_export *export, const kiln_states *states,
                                   const char *folder, const struct kiln_exchange_file *file,
                                   struct kiln_error *error)
{
    char *path = file_path(folder, file);
    enum kiln_status status = path ? make_parent(path, error) : no_memory(folder, error);
    if (!status && file->prefix)
        status = kiln_export_weights(export, states, file->prefix, path, error);
    else if (!status)
        status = kiln_export_json(export, file, path, error);
    free(path);
    return status;
}

/* --- putting in place --------------------------------------------------------------- */

static bool is_empty(const char *path)
{
    DIR *stream = opendir(path);
    int n = 0;
    for (struct dirent *entry; stream && (entry = readdir(stream));)
        n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    if (stream)
        closedir(stream);
    return stream && !n;
}

static enum kiln_status move(const char *from, const char *to, struct kiln_error *error)
{
    if (!rename(from, to))
        return KILN_OK;
    int reason = errno;
    return kiln_fail(error, reason == ENOTDIR || reason == EISDIR ? KILN_INPUT : KILN_MACHINE,
                     "%s: %s", to, strerror(reason));
}

static enum kiln_status move_file(const char *staging, const char *path,
                                  const struct kiln_exchange_file *file, struct kiln_error *error)
{
    char *from = file_path(staging, file), *to = file_path(path, file);
    enum kiln_status status = from && to ? make_parent(to, error) : no_memory(path, error);
    if (!status)
        status = move(from, to, error);
    free(from);
    free(to);
    return status;
}

/* Removes what is left of the folder that was written beside the path. */
static void remove_staging(const char *staging, const struct kiln_exchange_file *files)
{
    for (const struct kiln_exchange_file *file = files; file; file = next_file(file)) {
        char *path = file_path(staging, file), *parent = path ? kiln_path_directory(path) : NULL;
        if (path)
            unlink(path);
        if (parent && strcmp(parent, staging) != 0)
            rmdir(parent); /* fails as long as another file is in it */
        free(path);
        free(parent);
    }
    rmdir(staging);
}

static enum kiln_status write_folder(const struct kiln_export *export, const kiln_states *states,
                                     const struct kiln_exchange_file *files, const char *path,
                                     struct kiln_error *error)
{
    struct kiln_text staging = {0};
    bool replace = kiln_directory_exists(path) && !is_empty(path);
    kiln_text_append(&staging, "%s.partial-%ld", path, (long)getpid());
    if (staging.failed)
        return no_memory(path, error);
    enum kiln_status status = KILN_OK;
    for (const struct kiln_exchange_file *file = files; file && !status; file = next_file(file))
        status = write_file(export, states, staging.data, file, error);
    if (!status && !replace)
        status = move(staging.data, path, error);
    for (const struct kiln_exchange_file *file = files; replace && file && !status;
         file = next_file(file))
        status = move_file(staging.data, path, file, error);
    remove_staging(staging.data, files);
    kiln_text_finish(&staging);
    return status;
}

static enum kiln_status check_target(const struct kiln_export *export, const char *path,
                                     bool folder, struct kiln_error *error)
{
    bool directory = kiln_directory_exists(path);
    if (!*path || (kiln_file_exists(path) && directory != folder))
        return kiln_fail(error, KILN_INPUT, "%s: this model is exported as a %s", path,
                         folder ? "folder" : "file");
    if (export->replace || !kiln_file_exists(path) || (directory && is_empty(path)))
        return KILN_OK;
    return kiln_fail(error, KILN_INPUT, "%s: %s (--force replaces %s)", path,
                     directory ? "the folder is not empty" : "the file exists",
                     directory ? "the files of an export in it" : "it");
}

enum kiln_status kiln_export_write(const struct kiln_export *export, const char *path,
                                   struct kiln_error *error)
{
    const struct kiln_exchange_file *files = kiln_export_files(export);
    kiln_states *states;
    char *target = strdup(path);
    if (!target)
        return no_memory(path, error);
    for (size_t n = strlen(target); n > 1 && target[n - 1] == '/';)
        target[--n] = '\0';
    enum kiln_status status = check_target(export, target, files != NULL, error);
    if (!status)
        status = kiln_experiment_states(export->experiment, &states, error);
    if (!status) {
        status = files ? write_folder(export, states, files, target, error)
                       : kiln_export_weights(export, states, "", target, error);
        kiln_states_destroy(&states);
    }
    free(target);
    return status;
}
