/* Small files. */
#include "backends/opencl/support.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char *cl_copy_string(const char *string)
{
    char *copy = malloc(strlen(string) + 1);
    return copy ? strcpy(copy, string) : NULL;
}

bool cl_is_directory(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

char *cl_file_read(const char *path, size_t limit, size_t *bytes)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return NULL;
    struct stat info;
    char *data = NULL;
    errno = EINVAL;
    if (fstat(fileno(file), &info) == 0 && S_ISREG(info.st_mode) && info.st_size >= 0 &&
        (uint64_t)info.st_size <= limit)
        data = malloc((size_t)info.st_size + 1);
    if (data && fread(data, 1, (size_t)info.st_size, file) != (size_t)info.st_size) {
        free(data);
        data = NULL;
    }
    fclose(file);
    if (!data)
        return NULL;
    *bytes = (size_t)info.st_size;
    data[*bytes] = '\0';
    return data;
}

bool cl_file_write(const char *path, const void *data, size_t bytes)
{
    char temporary[4200];
    if (snprintf(temporary, sizeof temporary, "%s.XXXXXX", path) >= (int)sizeof temporary)
        return false;
    int fd = mkstemp(temporary);
    if (fd < 0)
        return false;
    FILE *file = fdopen(fd, "wb");
    if (!file)
        close(fd);
    bool ok = file && fwrite(data, 1, bytes, file) == bytes;
    if (file && fclose(file) != 0)
        ok = false;
    ok = ok && rename(temporary, path) == 0;
    if (!ok)
        unlink(temporary);
    return ok;
}
