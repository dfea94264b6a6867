/*
 * Arena: memory of one lifetime, freed at once.
 */
#ifndef KILN_BASE_ARENA_H
#define KILN_BASE_ARENA_H

#include <stddef.h>

typedef struct kiln_arena kiln_arena;

/* NULL when out of memory. */
kiln_arena *kiln_arena_create(void);
void kiln_arena_destroy(kiln_arena **);
/* Zeroed memory aligned to 64 bytes, or NULL when out of memory or when count
 * times size overflows. A count of 0 gives a valid pointer. */
void *kiln_arena_alloc(kiln_arena *, size_t count, size_t size);
/* A copy of the string, or NULL. */
char *kiln_arena_strdup(kiln_arena *, const char *);
char *kiln_arena_printf(kiln_arena *, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#define KILN_ARENA_NEW(arena, type, count)                                                         \
    ((type *)kiln_arena_alloc((arena), (count), sizeof(type)))

#endif
