/* Growing texts and arrays, and small files. */
#include "backends/opencl/support.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool reserve(struct cl_text *text, size_t more)
{
    if (text->failed || more > SIZE_MAX / 4 - text->length) {
        text->failed = true;
        return false;
    }
    if (text->length + more < text->capacity)
        return true;
    size_t capacity = (text->length + more + 256) * 2;
    char *data = realloc(text->data, capacity);
    if (!data) {
        text->failed = true;
        return false;
    }
    text->data = data;
    text->capacity = capacity;
    return true;
}

void cl_text_append(struct cl_text *text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0 || !reserve(text, (size_t)n))
        return;
    va_start(args, format);
    vsnprintf(text->data + text->length, (size_t)n + 1, format, args);
    va_end(args);
    text->length += (size_t)n;
}

void cl_text_bytes(struct cl_text *text, const char *bytes, size_t n)
{
    if (!reserve(text, n))
        return;
    memcpy(text->data + text->length, bytes, n);
    text->length += n;
    text->data[text->length] = '\0';
}

void cl_text_finish(struct cl_text *text)
{
    free(text->data);
    *text = (struct cl_text){0};
}

char *cl_copy_string(const char *string)
{
    char *copy = malloc(strlen(string) + 1);
    return copy ? strcpy(copy, string) : NULL;
}

bool cl_array_grow(void *items, size_t *capacity, size_t n, size_t size)
{
    if (n < *capacity)
        return true;
    size_t more = *capacity ? *capacity * 2 : 16;
    if (more > SIZE_MAX / 2 / size)
        return false;
    void *old, *grown;
    memcpy(&old, items, sizeof old);
    grown = realloc(old, more * size);
    if (!grown)
        return false;
    memcpy(items, &grown, sizeof grown);
    *capacity = more;
    return true;
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
