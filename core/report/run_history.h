/*
 * What a run has logged and drawn, read from its directory.
 */
#ifndef KILN_REPORT_RUN_HISTORY_H
#define KILN_REPORT_RUN_HISTORY_H

#include <stdint.h>

#include "core/api/status.h"

#define KILN_HISTORY_MAX_VALUES 64

/* log.jsonl as columns; what a line lacks is NaN. */
struct kiln_run_history {
    int64_t n;      /* lines */
    double *step;   /* [n] */
    int n_values;   /* names in the order of their first line */
    struct kiln_run_column {
        char name[64];
        double *values; /* [n] */
    } values[KILN_HISTORY_MAX_VALUES];
};

/* A last line that is cut short is left out; a line that is no JSON object with
 * a step is KILN_INPUT. The caller finishes history, also on failure. */
enum kiln_status kiln_run_history_read(const char *path, struct kiln_run_history *,
                                       struct kiln_error *);
void kiln_run_history_finish(struct kiln_run_history *);
/* NULL if it was never logged. */
const double *kiln_run_history_find(const struct kiln_run_history *, const char *name);

/* The samples-STEP.png of a directory by step: at most most of them, evenly
 * chosen, with the first and the last. */
struct kiln_run_grids {
    int n;
    int64_t *steps; /* malloc'd */
};
enum kiln_status kiln_run_grids_find(const char *directory, int most, struct kiln_run_grids *,
                                     struct kiln_error *);

#endif
