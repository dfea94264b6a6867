/*
 * Temporary folders.
 */
#ifndef KILN_BENCH_SCRATCH_H
#define KILN_BENCH_SCRATCH_H

#include "core/api/status.h"

/* A new private folder in $TMPDIR or /tmp; its path is malloc'd. */
enum kiln_status kiln_scratch_create(char **path, struct kiln_error *);
/* Removes the folder with all that is in it, and frees the path; accepts NULL. */
void kiln_scratch_remove(char **path);

#endif
