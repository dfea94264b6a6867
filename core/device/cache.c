/* The user's cache directory. */
#include "core/device/cache.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"
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
    if (!make_directories(path) || stat(path, &info) != 0 || !S_ISDIR(info.st_mode) ||
        info.st_uid != geteuid() || (info.st_mode & (S_IWGRP | S_IWOTH)) ||
        access(path, W_OK) != 0) {
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
    char path[PATH_BYTES], *data;
    if (!cache_path(name, path) || kiln_file_read(path, limit, &data, size, NULL))
        return NULL;
    return data;
}

bool kiln_cache_write(const char *name, const void *data, size_t size)
{
    char path[PATH_BYTES];
    return cache_path(name, path) && kiln_file_write(path, data, size, NULL) == KILN_OK;
}
