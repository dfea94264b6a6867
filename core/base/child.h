/*
 * Running a program that may crash or hang, and reading what it says.
 */
#ifndef KILN_BASE_CHILD_H
#define KILN_BASE_CHILD_H

#include <stdbool.h>
#include <stddef.h>

#include "core/api/status.h"
#include "core/base/text.h"

struct kiln_child_result {
    struct kiln_text output; /* stdout and stderr as they came; data may be NULL */
    bool timed_out;          /* it was killed */
    int exit_status;         /* -1 if a signal ended it */
    int signal;              /* that signal, else 0 */
};

/*
 * Spawns (never forks: threads may run) program with the NULL-terminated
 * arguments, argv[0] included, stdin from /dev/null. It is killed with its
 * process group when it has said nothing for idle_seconds, or after six times
 * that. Output beyond limit bytes is dropped.
 *
 * KILN_MACHINE if it cannot be started; else KILN_OK whatever became of it, and
 * the caller finishes result->output.
 */
enum kiln_status kiln_child_run(const char *program, char *const argv[], double idle_seconds,
                                size_t limit, struct kiln_child_result *result,
                                struct kiln_error *);

/* Writes how it ended: "killed by signal 6 (Aborted)", "did not answer for 10
 * s", "exit status 1"; returns text. */
char *kiln_child_ending(const struct kiln_child_result *, double idle_seconds, char *text,
                        size_t size);

#endif
