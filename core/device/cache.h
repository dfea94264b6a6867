/*
 * Small files in the user's cache directory: read whole, replaced atomically.
 */
#ifndef KILN_DEVICE_CACHE_H
#define KILN_DEVICE_CACHE_H

#include <stdbool.h>
#include <stddef.h>

/* The file's bytes, malloc'd and terminated, *size without the terminator; NULL
 * if there is none, it is larger than limit bytes, or it is not the user's. */
char *kiln_cache_read(const char *name, size_t limit, size_t *size);

/* Replaces the file atomically. Returns false, changing nothing, if that fails;
 * nothing depends on a cache. */
bool kiln_cache_write(const char *name, const void *data, size_t size);

#endif
