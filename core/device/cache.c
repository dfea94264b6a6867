/* The user's cache directory. */
#include "core/device/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/device/device.h"

enum { PATH_BYTES = 4096 };

/* Creates path and its missing parents, private. */
static bool make_directories(char *path)
{
    for (char *slash = path + 1; *slash; slash++) {
        if (*slash != '/')
            continue;
        *slash = '\0';
        bool made = mkdir(path, 0700) == 0 || errno == EEXIST;
        *slash = '/';
        if (!made)
            return false;
    }
    return mkdir(path, 0700) == 0 || errno == EEXIST;
}

bool kiln_cache_dir(char *path, size_t size)
{
    const char *base = getenv("XDG_CACHE_HOME");
    const char *tail = "/kiln";
    if (!base || base[0] != '/') {
        base = getenv("HOME");
        tail = "/.cache/kiln";
    }
    if (!size)
        return false;
    path[0] = '\0';
    if (!base || base[0] != '/' || strlen(base) + strlen(tail) >= size)
        return false;
    snprintf(path, size, "%s%s", base, tail);
    struct stat info;
    /* native code is read from here: nobody else may write */
    if (!make_directories(path) || stat(path, &info) != 0 || !S_ISDIR(info.st_mode) || info.st_uid != geteuid() ||
        (info.st_mode & (S_IWGRP | S_IWOTH)) || access(path, W_OK) != 0) {
        path[0] = '\0';
        return false;
    }
    return true;
}

static bool cache_path(const char *name, char path[PATH_BYTES])
{
    char directory[PATH_BYTES - 128];
    return strlen(name) < 100 && kiln_cache_dir(directory, sizeof directory) &&
           snprintf(path, PATH_BYTES, "%s/%s", directory, name) < PATH_BYTES;
}

char *kiln_cache_read(const char *name, size_t limit, size_t *size)
{
    char path[PATH_BYTES];
    if (!cache_path(name, path))
        return NULL;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (file < 0)
        return NULL;
    struct stat info;
    char *data = NULL;
    if (fstat(file, &info) == 0 && S_ISREG(info.st_mode) && info.st_uid == geteuid() && info.st_size >= 0 &&
        (uint64_t)info.st_size <= limit)
        data = malloc((size_t)info.st_size + 1);
    if (data) {
        size_t n = 0;
        ssize_t got = 1;
        while (n < (size_t)info.st_size && got > 0) {
            got = read(file, data + n, (size_t)info.st_size - n);
            if (got > 0)
                n += (size_t)got;
        }
        data[n] = '\0';
        *size = n;
    }
    close(file);
    return data;
}

static bool write_all(int file, const char *data, size_t size)
{
    while (size) {
        ssize_t n = write(file, data, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        data += n;
        size -= (size_t)n;
    }
    return true;
}

bool kiln_cache_write(const char *name, const void *data, size_t size)
{
    char path[PATH_BYTES], temporary[PATH_BYTES + 16];
    if (!cache_path(name, path))
        return false;
    snprintf(temporary, sizeof temporary, "%s.XXXXXX", path);
    int file = mkstemp(temporary);
    if (file < 0)
        return false;
    bool written = write_all(file, data, size);
    written = close(file) == 0 && written;
    if (written && rename(temporary, path) == 0)
        return true;
    unlink(temporary);
    return false;
}
