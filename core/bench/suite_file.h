/*
 * Results as JSON; tests/bench/schema.md describes the file.
 */
#ifndef KILN_BENCH_SUITE_FILE_H
#define KILN_BENCH_SUITE_FILE_H

#include "core/base/text.h"
#include "core/bench/suite.h"

/* Appends the JSON object. What was not measured is null. */
void kiln_suite_write(const struct kiln_suite *, struct kiln_text *);
/* Reads a file that kiln_suite_write made. KILN_INPUT with path and field if it
 * is another kind of file, another format, or damaged. The caller finishes
 * *suite, also on failure. */
enum kiln_status kiln_suite_read(const char *path, struct kiln_suite *, struct kiln_error *);

#endif
