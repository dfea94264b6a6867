/*
 * The input of a fuzz target as a file, for readers that take a path.
 */
#ifndef KILN_TESTS_FUZZ_FILE_H
#define KILN_TESTS_FUZZ_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char fuzz_file_path[64];

static void fuzz_file_remove(void)
{
    unlink(fuzz_file_path);
}

static void require(int condition)
{
    if (!condition)
        abort();
}

/* Path of a file of these bytes, the same file at every call; in memory where
 * there is such a place. */
static inline const char *fuzz_file(const uint8_t *data, size_t size)
{
    static int fd = -1;
    if (fd < 0) {
        snprintf(fuzz_file_path, sizeof fuzz_file_path, "%s/kiln-fuzz-XXXXXX",
                 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        fd = mkstemp(fuzz_file_path);
        require(fd >= 0);
        atexit(fuzz_file_remove);
    }
    require(ftruncate(fd, 0) == 0);
    require(pwrite(fd, data, size, 0) == (ssize_t)size);
    return fuzz_file_path;
}

#endif
