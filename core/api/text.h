/*
 * Growing strings and arrays, for the core, backends and models.
 */
#ifndef KILN_TEXT_H
#define KILN_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A string that grows; start with {0}. data is NULL until the first append and
 * then always terminated. failed sticks when out of memory, and later appends
 * do nothing. */
struct kiln_text {
    char *data;
    size_t length, capacity;
    bool failed;
};

KILN_API void kiln_text_append(struct kiln_text *, const char *format, ...) KILN_PRINTF(2, 3);
/* Appends n bytes, which may hold NULs. */
KILN_API void kiln_text_bytes(struct kiln_text *, const char *bytes, size_t n);
/* Frees the string, which is empty again. */
KILN_API void kiln_text_finish(struct kiln_text *);

/*
 * Makes room for one more element in a malloc'd array: *items has *capacity
 * elements of size bytes, n in use. Returns false when out of memory, leaving
 * the array as it was.
 */
KILN_API bool kiln_array_grow(void *items, size_t *capacity, size_t n, size_t size);

#ifdef __cplusplus
}
#endif
#endif
