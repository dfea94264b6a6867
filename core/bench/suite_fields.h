/*
 * The fields of results in files: one table for writing and reading.
 */
#ifndef KILN_BENCH_SUITE_FIELDS_H
#define KILN_BENCH_SUITE_FIELDS_H

#include <stdbool.h>
#include <stddef.h>

enum kiln_field_type {
    KILN_FIELD_TEXT,   /* char array; "" is null */
    KILN_FIELD_INT,    /* int; 0 is null */
    KILN_FIELD_LONG,   /* int64_t; 0 is null */
    KILN_FIELD_NUMBER, /* double; 0 is null */
    KILN_FIELD_LEVEL,  /* double that may be 0 */
    KILN_FIELD_BOOL,
    KILN_FIELD_TIMES   /* struct kiln_suite_times; null if there are no samples */
};

struct kiln_field {
    const char *name; /* NULL ends a table */
    enum kiln_field_type type;
    size_t offset, size;
    bool optional; /* a file may lack it */
};

extern const struct kiln_field kiln_suite_fields[], kiln_host_fields[], kiln_device_fields[],
    kiln_op_fields[], kiln_model_fields[];

#endif
