/*
 * Growing texts and arrays, and small files. A backend sees of the core only
 * its public headers, so it has these of its own.
 */
#ifndef KILN_BACKENDS_OPENCL_SUPPORT_H
#define KILN_BACKENDS_OPENCL_SUPPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "core/api/status.h"

/* A string that grows; start with {0}. failed sticks when out of memory. */
struct cl_text {
    char *data;
    size_t length, capacity;
    bool failed;
};

void cl_text_append(struct cl_text *, const char *format, ...) KILN_PRINTF(2, 3);
void cl_text_bytes(struct cl_text *, const char *bytes, size_t n);
void cl_text_finish(struct cl_text *);

/* A copy of the string, or NULL. */
char *cl_copy_string(const char *);

/* Makes room for one more element in a malloc'd array (*items, of n elements
 * of size bytes); false when out of memory. */
bool cl_array_grow(void *items, size_t *capacity, size_t n, size_t size);

/* The whole file of at most limit bytes with a NUL beyond its end, freed by
 * the caller; NULL if it cannot be had, with errno set. */
char *cl_file_read(const char *path, size_t limit, size_t *bytes);
/* Through a temporary file beside it: readers see the old file or the new. */
bool cl_file_write(const char *path, const void *data, size_t bytes);
bool cl_is_directory(const char *path);

#endif
