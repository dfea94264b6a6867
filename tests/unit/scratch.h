/*
 * A folder of its own for tests that write files. All functions fail the test
 * on any error.
 */
#ifndef KILN_TESTS_SCRATCH_H
#define KILN_TESTS_SCRATCH_H

#include <stddef.h>

/* Group set-up and tear-down of cmocka. */
int scratch_create(void **state);
int scratch_destroy(void **state);

/* Path of a name in the folder; "" is the folder. One of 16 buffers used in
 * turn. */
const char *scratch_path(const char *name);
/* Writes the file and returns its path. */
const char *scratch_write(const char *name, const void *data, size_t bytes);
/* Entries of the folder, hidden ones too. */
int scratch_count(void);
/* Removes everything in the folder. */
void scratch_clear(void);

#endif
