/*
 * How a failed system call becomes a message; for the file functions only.
 */
#ifndef KILN_BASE_FILE_STATUS_H
#define KILN_BASE_FILE_STATUS_H

#include "core/api/status.h"

/* "PATH: cannot WHAT: reason" from errno; KILN_INPUT where the path is to
 * blame, KILN_MACHINE where the machine is. */
enum kiln_status kiln_file_fail(struct kiln_error *, const char *path, const char *what);

#endif
