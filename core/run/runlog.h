/*
 * log.jsonl: one JSON object a logged step.
 */
#ifndef KILN_RUN_RUNLOG_H
#define KILN_RUN_RUNLOG_H

#include <stdint.h>

#include "core/api/status.h"

typedef struct kiln_runlog kiln_runlog;

struct kiln_runlog_value {
    const char *name;
    double value;
};

/*
 * Opens the log for appending. Lines beyond last_step, which a run that was
 * killed wrote after its last checkpoint, and a line cut short are dropped
 * first. *seconds is the last kept line's, 0 without one.
 */
enum kiln_status kiln_runlog_open(const char *path, int64_t last_step, kiln_runlog **,
                                  double *seconds, struct kiln_error *);
/* {"step": step, name: value, ...}; the line is in the file at return. */
enum kiln_status kiln_runlog_write(kiln_runlog *, int64_t step, int n,
                                   const struct kiln_runlog_value *, struct kiln_error *);
void kiln_runlog_close(kiln_runlog **);

#endif
