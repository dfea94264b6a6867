/* Atomic writing: temporary file, sync, rename, sync of the directory. */
#define _XOPEN_SOURCE 700 /* realpath */
#include "core/base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file_status.h"
#include "core/base/text.h"

struct kiln_output {
    FILE *stream;
    char *path;      /* as given */
    char *target;    /* path with links followed; NULL: written directly */
    char *temporary; /* NULL: written directly */
    int reason;      /* errno of the first failed write */
};

static void output_free(kiln_output **output)
{
    free((*output)->path);
    free((*output)->target);
    free((*output)->temporary);
    free(*output);
    *output = NULL;
}

/*
 * Removes temporary files of the target whose writer is gone. A living writer
 * holds a lock on its file, which the system drops when the process ends.
 */
static void remove_stale(const char *directory, const char *prefix)
{
    DIR *stream = opendir(directory);
    if (!stream)
        return;
    for (struct dirent *entry; (entry = readdir(stream));) {
        if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
            continue;
        int fd = openat(dirfd(stream), entry->d_name,
                        O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
        if (fd < 0)
            continue;
        struct stat info;
        if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && flock(fd, LOCK_EX | LOCK_NB) == 0)
            unlinkat(dirfd(stream), entry->d_name, 0);
        close(fd);
    }
    closedir(stream);
}

/*
 * Creates and locks a file whose name starts with prefix; -1 with errno on
 * failure. A process never uses a name twice, so that removing a stale file by
 * name cannot hit a newer one.
 */
static int create_temporary(const char *directory, const char *prefix, char **path)
{
    static atomic_uint serial;
    for (int attempt = 0; attempt < 100; attempt++) {
        struct kiln_text name = {0};
        kiln_text_append(&name, "%s%ld-%u", prefix, (long)getpid(), atomic_fetch_add(&serial, 1));
        *path = name.failed ? NULL : kiln_path_join(directory, name.data);
        kiln_text_finish(&name);
        if (!*path) {
            errno = ENOMEM;
            return -1;
        }
        int fd = open(*path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
        if (fd < 0 && errno != EEXIST)
            return -1;
        /* Another process may have taken the new file for a stale one before
         * the lock: then it is gone, and the next attempt makes another. */
        struct stat info;
        if (fd >= 0 && (flock(fd, LOCK_EX | LOCK_NB) || fstat(fd, &info) || info.st_nlink == 0)) {
            close(fd);
            fd = -1;
            unlink(*path);
        }
        if (fd >= 0)
            return fd;
        free(*path);
        *path = NULL;
    }
    errno = EEXIST;
    return -1;
}

/* Where the bytes will be in the end: the target of a link, or the path. */
static char *resolve(const char *path)
{
    char *target = realpath(path, NULL);
    return target || errno != ENOENT ? target : strdup(path);
}

static int open_temporary(kiln_output *output)
{
    char *directory = kiln_path_directory(output->target);
    struct kiln_text prefix = {0};
    /* Cut, so that the temporary name is no longer than a name may be. */
    kiln_text_append(&prefix, ".%.200s.kiln-", kiln_path_name(output->target));
    int fd = -1;
    errno = ENOMEM;
    if (directory && !prefix.failed) {
        remove_stale(directory, prefix.data);
        fd = create_temporary(directory, prefix.data, &output->temporary);
    }
    int reason = errno;
    free(directory);
    kiln_text_finish(&prefix);
    errno = reason;
    return fd;
}

/* Opens what the stream writes to; sets target and temporary if atomic. */
static int open_output(kiln_output *output)
{
    struct stat info;
    bool exists = stat(output->path, &info) == 0;
    if (exists && S_ISDIR(info.st_mode)) {
        errno = EISDIR;
        return -1;
    }
    if (exists && !S_ISREG(info.st_mode))
        return open(output->path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    output->target = resolve(output->path);
    return output->target ? open_temporary(output) : -1;
}

enum kiln_status kiln_output_begin(const char *path, kiln_output **result, struct kiln_error *error)
{
    *result = NULL;
    if (!*path)
        return kiln_fail(error, KILN_INPUT, "the name of the file to write is empty");
    kiln_output *output = calloc(1, sizeof *output);
    if (!output || !(output->path = strdup(path))) {
        free(output);
        return kiln_fail(error, KILN_MACHINE, "%s: out of memory", path);
    }
    int fd = open_output(output);
    if (fd >= 0)
        output->stream = fdopen(fd, "wb");
    if (!output->stream) {
        enum kiln_status status = kiln_file_fail(error, path, "write");
        if (fd >= 0)
            close(fd);
        if (fd >= 0 && output->temporary)
            unlink(output->temporary);
        output_free(&output);
        return status;
    }
    *result = output;
    return KILN_OK;
}

bool kiln_output_write(kiln_output *output, const void *data, size_t bytes)
{
    errno = 0;
    if (bytes == 0 || fwrite(data, 1, bytes, output->stream) == bytes)
        return true;
    if (!output->reason)
        output->reason = errno;
    return false;
}

FILE *kiln_output_stream(kiln_output *output)
{
    return output->stream;
}

const char *kiln_output_path(const kiln_output *output)
{
    return output->path;
}

/* Directories of some file systems cannot be synced; that is not our fault. */
static bool sync_directory(const char *target)
{
    char *directory = kiln_path_directory(target);
    int fd = directory ? open(directory, O_RDONLY | O_CLOEXEC | O_DIRECTORY) : -1;
    free(directory);
    if (fd < 0)
        return errno == EACCES;
    bool synced = fsync(fd) == 0 || errno == EINVAL || errno == EROFS;
    int reason = errno;
    close(fd);
    errno = reason;
    return synced;
}

enum kiln_status kiln_output_commit(kiln_output **result, struct kiln_error *error)
{
    kiln_output *output = *result;
    bool atomic = output->temporary;
    const char *failed = NULL;
    errno = 0;
    if (ferror(output->stream) || fflush(output->stream))
        failed = "write";
    else if (atomic && fsync(fileno(output->stream)))
        failed = "sync";
    int reason = output->reason ? output->reason : errno ? errno : EIO;
    if (!failed && atomic && rename(output->temporary, output->target)) {
        failed = "rename the finished file to it";
        reason = errno;
    }
    /* After the rename, so that the lock guards the temporary name to its end. */
    if (fclose(output->stream) && !failed) {
        failed = "close";
        reason = errno;
    } else if (!failed && atomic && !sync_directory(output->target)) {
        failed = "sync the directory";
        reason = errno;
    }
    enum kiln_status status = KILN_OK;
    if (failed) {
        if (atomic)
            unlink(output->temporary); /* gone already if renamed */
        errno = reason;
        status = kiln_file_fail(error, output->path, failed);
    }
    output_free(result);
    return status;
}

void kiln_output_abort(kiln_output **output)
{
    if (!output || !*output)
        return;
    if ((*output)->temporary)
        unlink((*output)->temporary);
    fclose((*output)->stream);
    output_free(output);
}

enum kiln_status kiln_file_write(const char *path, const void *data, size_t bytes,
                                 struct kiln_error *error)
{
    kiln_output *output;
    enum kiln_status status = kiln_output_begin(path, &output, error);
    if (status)
        return status;
    kiln_output_write(output, data, bytes);
    return kiln_output_commit(&output, error);
}
