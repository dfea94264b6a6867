/*
 * Messages that are not failures: warnings and progress notes from below the
 * command line, which alone decides what to show.
 *
 * There is one receiver in the process. Without one, messages are dropped.
 * Set it before other threads start; it may be called from any of them.
 */
#ifndef KILN_BASE_LOG_H
#define KILN_BASE_LOG_H

#include "core/api/status.h"

enum kiln_log_level {
    KILN_LOG_WARNING, /* something the user should know about */
    KILN_LOG_NOTE,    /* what is being done */
    KILN_LOG_DEBUG    /* details of interest to a developer */
};

/* line has no newline, no control characters and no "kiln: ". */
typedef void kiln_log_fn(void *user, enum kiln_log_level, const char *line);

/* NULL removes the receiver. */
void kiln_log_receiver(kiln_log_fn *, void *user);
void kiln_log_line(enum kiln_log_level, const char *format, ...) KILN_PRINTF(2, 3);

#endif
