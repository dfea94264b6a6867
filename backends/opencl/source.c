/* Reading kernel sources: finding their directory, inlining their includes. */
#include "backends/opencl/opencl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_INCLUDES = 32, MAX_NAME = 64, MAX_FILE_BYTES = 1 << 20 };

char *cl_kernel_dir(struct kiln_error *error)
{
    const char *named = getenv("KILN_KERNEL_DIR");
    const char *tried[] = {named && *named ? named : NULL, KILN_SOURCE_DIR "/kernels",
                           KILN_DATA_DIR "/kernels"};
    for (size_t i = named && *named ? 0 : 1; i < sizeof tried / sizeof *tried; i++) {
        if (!cl_is_directory(tried[i]))
            continue;
        char *copy = cl_copy_string(tried[i]);
        if (!copy)
            kiln_fail(error, KILN_MACHINE, "out of memory");
        return copy;
    }
    kiln_fail(error, KILN_MACHINE, "opencl: no kernels found: tried %s%s%s and %s",
              tried[0] ? tried[0] : "", tried[0] ? ", " : "", tried[1], tried[2]);
    return NULL;
}

/* The files included so far, so that each is taken once. */
struct reader {
    const char *dir;
    int n_seen;
    char seen[MAX_INCLUDES][MAX_NAME];
    struct kiln_text out;
    struct kiln_error *error;
};

/* Whether the line is #include "NAME"; NAME is copied. */
static bool include_line(const char *line, size_t length, char name[MAX_NAME])
{
    static const char start[] = "#include \"";
    size_t skip = sizeof start - 1;
    if (length <= skip || memcmp(line, start, skip) != 0)
        return false;
    const char *end = memchr(line + skip, '"', length - skip);
    if (!end || end - line - (ptrdiff_t)skip >= MAX_NAME)
        return false;
    size_t n = (size_t)(end - line) - skip;
    memcpy(name, line + skip, n);
    name[n] = '\0';
    return strstr(name, "..") == NULL && name[0] != '/';
}

static bool seen(struct reader *reader, const char *name)
{
    for (int i = 0; i < reader->n_seen; i++)
        if (strcmp(reader->seen[i], name) == 0)
            return true;
    return false;
}

/* depth is bounded because each file is taken once */
static enum kiln_status inline_file(struct reader *reader, const char *name)
{
    if (reader->n_seen == MAX_INCLUDES)
        return kiln_fail(reader->error, KILN_MACHINE, "opencl: %s: too many includes", name);
    snprintf(reader->seen[reader->n_seen++], MAX_NAME, "%s", name);
    char path[4096];
    size_t bytes;
    snprintf(path, sizeof path, "%s/%s", reader->dir, name);
    char *text = cl_file_read(path, MAX_FILE_BYTES, &bytes);
    enum kiln_status status = KILN_OK;
    if (!text)
        status = kiln_fail(reader->error, KILN_MACHINE, "opencl: %s: %s", path, strerror(errno));
    int number = 1;
    kiln_text_append(&reader->out, "#line 1 \"%s\"\n", name);
    for (const char *line = text; status == KILN_OK && line && *line; number++) {
        const char *end = strchr(line, '\n');
        size_t length = end ? (size_t)(end - line) : strlen(line);
        char include[MAX_NAME];
        if (!include_line(line, length, include)) {
            kiln_text_bytes(&reader->out, line, length);
            kiln_text_bytes(&reader->out, "\n", 1);
        } else {
            if (!seen(reader, include))
                status = inline_file(reader, include);
            kiln_text_append(&reader->out, "#line %d \"%s\"\n", number + 1, name);
        }
        line = end ? end + 1 : NULL;
    }
    free(text);
    return status;
}

enum kiln_status cl_source_read(const char *kernel_dir, const char *file, char **text,
                                struct kiln_error *error)
{
    *text = NULL;
    struct reader reader = {.dir = kernel_dir, .error = error};
    enum kiln_status status = inline_file(&reader, file);
    if (status == KILN_OK && (reader.out.failed || !reader.out.data))
        status = kiln_fail(error, KILN_MACHINE, "out of memory");
    if (status != KILN_OK) {
        kiln_text_finish(&reader.out);
        return status;
    }
    *text = reader.out.data;
    return KILN_OK;
}
