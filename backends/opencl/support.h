/*
 * Small files. A backend sees of the core only its public headers, so it has
 * these of its own.
 */
#ifndef KILN_BACKENDS_OPENCL_SUPPORT_H
#define KILN_BACKENDS_OPENCL_SUPPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "core/api/text.h"

/* A copy of the string, or NULL. */
char *cl_copy_string(const char *);

/* The whole file of at most limit bytes with a NUL beyond its end, freed by
 * the caller; NULL if it cannot be had, with errno set. */
char *cl_file_read(const char *path, size_t limit, size_t *bytes);
/* Through a temporary file beside it: readers see the old file or the new. */
bool cl_file_write(const char *path, const void *data, size_t bytes);
bool cl_is_directory(const char *path);

#endif
