/*
 * The file of choices: text values under text keys, in the cache directory.
 */
#ifndef KILN_DEVICE_TUNE_FILE_H
#define KILN_DEVICE_TUNE_FILE_H

#include <stdbool.h>
#include <stddef.h>

struct kiln_tune_entry {
    char *key, *value;
    double seconds; /* measured, for people who read the file */
};

struct kiln_tune_table {
    struct kiln_tune_entry *entries; /* sorted by key */
    size_t n, capacity;
};

/* NULL if the key is not there. */
const struct kiln_tune_entry *kiln_tune_find(const struct kiln_tune_table *, const char *key);
/* Adds or replaces; keeps the old table when out of memory. */
void kiln_tune_set(struct kiln_tune_table *, const char *key, const char *value, double seconds);
void kiln_tune_clear(struct kiln_tune_table *);

#define KILN_TUNE_MOST_BYTES ((size_t)1 << 24)

/* The table as the text of a file; malloc'd, NULL when out of memory. */
char *kiln_tune_text(const struct kiln_tune_table *, const char *description);
/* Adds the entries of such a text, those already in the table excepted. False,
 * adding nothing, if it is damaged or for another description; device (may be
 * NULL) is then what it says of its own, "" if it says nothing. */
bool kiln_tune_parse(struct kiln_tune_table *, const char *text, size_t bytes,
                     const char *description, char *device, size_t device_size);

/* Adds a file's entries to the table, those already in it excepted. A file
 * that is missing, damaged or for another description adds nothing. */
void kiln_tune_read(struct kiln_tune_table *, const char *file, const char *description);
/* As kiln_tune_read for a file that is shipped with the kernels: in the folder
 * tunings of $KILN_KERNEL_DIR, of the source tree or as installed. */
void kiln_tune_read_shipped(struct kiln_tune_table *, const char *file, const char *description);
/* Writes the table, and what the file holds besides: other processes measure
 * too. Returns false if it cannot be written. */
bool kiln_tune_write(struct kiln_tune_table *, const char *file, const char *description);

#endif
