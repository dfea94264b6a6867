/*
 * Progress of long work on stderr: a bar that is redrawn on a terminal, a
 * plain line every few seconds elsewhere. One bar at a time.
 */
#ifndef KILN_CLI_PROGRESS_H
#define KILN_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct kiln_progress kiln_progress;

struct kiln_progress_options {
    const char *title; /* "train"; copied */
    const char *unit;  /* of the rate, per step: "images" */
    int64_t total;     /* steps of the whole work; 0 = unknown */
    int64_t done;      /* steps already done, e.g. by the run that is resumed */
    double per_step;   /* units a step, e.g. the batch size; 0 hides the rate */
    bool quiet;        /* show nothing */
};

/* NULL when out of memory; the other functions accept NULL. */
kiln_progress *kiln_progress_create(const struct kiln_progress_options *);
/* done steps of the whole work are done; text is shown behind the bar (losses,
 * e.g. "loss 101.3 kl 12.4"). Draws at most ten times a second. */
void kiln_progress_update(kiln_progress *, int64_t done, const char *text);
/* Leaves the last state on its line and frees the bar. */
void kiln_progress_finish(kiln_progress **);

#endif
