/* Bounded reading of regular files, and file locks. */
#include "core/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file_status.h"

enum kiln_status kiln_file_fail(struct kiln_error *error, const char *path, const char *what)
{
    int reason = errno;
    switch (reason) {
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case EACCES:
    case EPERM:
    case EROFS:
    case ELOOP:
    case ENAMETOOLONG:
    case EEXIST:
        return kiln_fail(error, KILN_INPUT, "%s: cannot %s: %s", path, what, strerror(reason));
    default:
        return kiln_fail(error, KILN_MACHINE, "%s: cannot %s: %s", path, what, strerror(reason));
    }
}

static enum kiln_status refuse_type(mode_t mode, const char *path, struct kiln_error *error)
{
    if (S_ISREG(mode))
        return KILN_OK;
    const char *type = S_ISDIR(mode)    ? "a directory"
                       : S_ISFIFO(mode) ? "a FIFO"
                       : S_ISSOCK(mode) ? "a socket"
                                        : "a device";
    return kiln_fail(error, KILN_INPUT, "%s: is %s, expected a file", path, type);
}

enum kiln_status kiln_file_open(const char *path, int *fd, int64_t *bytes, struct kiln_error *error)
{
    *fd = -1;
    *bytes = 0;
    /* Before open, because opening a device may act on it; after, because the
     * path may name something else by then. */
    struct stat info;
    if (stat(path, &info))
        return kiln_file_fail(error, path, "open");
    enum kiln_status status = refuse_type(info.st_mode, path, error);
    if (status)
        return status;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file < 0)
        return kiln_file_fail(error, path, "open");
    if (fstat(file, &info))
        status = kiln_file_fail(error, path, "examine");
    else
        status = refuse_type(info.st_mode, path, error);
    if (status) {
        close(file);
        return status;
    }
    *fd = file;
    *bytes = (int64_t)info.st_size;
    return KILN_OK;
}

enum kiln_status kiln_file_read_at(int fd, const char *path, void *out, size_t bytes,
                                   int64_t offset, struct kiln_error *error)
{
    char *target = out;
    while (bytes > 0) {
        /* some systems refuse reads of 2 GiB and more */
        size_t piece = bytes < (size_t)1 << 30 ? bytes : (size_t)1 << 30;
        ssize_t got = pread(fd, target, piece, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return kiln_file_fail(error, path, "read");
        if (got == 0)
            return kiln_fail(error, KILN_INPUT,
                             "%s: ends at byte %lld, %zu bytes before what it holds", path,
                             (long long)offset, bytes);
        target += got;
        offset += got;
        bytes -= (size_t)got;
    }
    return KILN_OK;
}

enum kiln_status kiln_file_read(const char *path, size_t limit, char **data, size_t *bytes,
                                struct kiln_error *error)
{
    *data = NULL;
    *bytes = 0;
    int fd;
    int64_t size;
    enum kiln_status status = kiln_file_open(path, &fd, &size, error);
    if (status)
        return status;
    char *text = NULL;
    if ((uint64_t)size > limit) {
        status = kiln_fail(error, KILN_INPUT, "%s: has %lld bytes, at most %zu are accepted", path,
                           (long long)size, limit);
        goto done;
    }
    text = malloc((size_t)size + 1);
    if (!text) {
        status = kiln_fail(error, KILN_MACHINE, "%s: out of memory for %lld bytes", path,
                           (long long)size);
        goto done;
    }
    status = kiln_file_read_at(fd, path, text, (size_t)size, 0, error);
    if (status)
        goto done;
    text[size] = '\0';
    *data = text;
    *bytes = (size_t)size;
    text = NULL;
done:
    free(text);
    close(fd);
    return status;
}

bool kiln_file_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0;
}

bool kiln_directory_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

enum kiln_status kiln_file_lock(const char *path, int *lock, struct kiln_error *error)
{
    *lock = -1;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0666);
    if (fd < 0)
        return kiln_file_fail(error, path, "open");
    while (flock(fd, LOCK_EX | LOCK_NB)) {
        if (errno == EINTR)
            continue;
        enum kiln_status status =
            errno == EWOULDBLOCK
                ? kiln_fail(error, KILN_INPUT, "%s: is in use by another process", path)
                : kiln_file_fail(error, path, "lock");
        close(fd);
        return status;
    }
    *lock = fd;
    return KILN_OK;
}

void kiln_file_unlock(int *lock)
{
    if (*lock >= 0)
        close(*lock);
    *lock = -1;
}
