/*
 * Growing strings and arrays.
 */
#ifndef KILN_BASE_TEXT_H
#define KILN_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* A string that grows; start with {0}. data is NULL until the first append and
 * then always terminated. failed sticks when out of memory. */
struct kiln_text {
    char *data;
    size_t length, capacity;
    bool failed;
};

void kiln_text_append(struct kiln_text *, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void kiln_text_bytes(struct kiln_text *, const char *bytes, size_t n);
void kiln_text_finish(struct kiln_text *);

/*
 * Makes room for one more element in a malloc'd array: *items has *capacity
 * elements of size bytes, n in use. Returns false when out of memory, leaving
 * the array as it was.
 */
bool kiln_array_grow(void *items, size_t *capacity, size_t n, size_t size);

/* Bytes of the well-formed UTF-8 sequence at text, whose end is a NUL; 0 if
 * there is none. */
int kiln_utf8_length(const char *text);

/* Edit distance (Levenshtein), for "did you mean". */
int kiln_edit_distance(const char *a, const char *b);

#endif
