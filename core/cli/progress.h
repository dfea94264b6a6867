/*
 * Progress of long work on stderr: a bar that is redrawn on a terminal, a
 * plain line every few seconds elsewhere. One bar at a time, from one thread.
 */
#ifndef KILN_CLI_PROGRESS_H
#define KILN_CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct kiln_progress kiln_progress;

struct kiln_progress_options {
    const char *title; /* "train"; copied */
    const char *unit;  /* of the rate: "images"; copied */
    int64_t total;     /* steps of the whole work; 0 = unknown */
    int64_t done;      /* steps already done, e.g. by the run that is resumed */
    double per_step;   /* units a step, e.g. the batch size; 0 hides the rate */
    bool quiet;        /* show nothing */
};

/* NULL when out of memory; the other functions accept NULL. */
kiln_progress *kiln_progress_create(const struct kiln_progress_options *);
/* done steps of the whole work are done; text is shown behind the bar (losses,
 * e.g. "loss 101.3 kl 12.4"; NULL = as before). Draws at most ten times a
 * second. */
void kiln_progress_update(kiln_progress *, int64_t done, const char *text);
/* Shows the last state and frees the bar. */
void kiln_progress_finish(kiln_progress **);

/* Clears the line of the bar on a terminal, for a message; its next update
 * draws it again. */
void kiln_progress_clear(void);

/* What is shown: the state at a time, in at most columns characters. */
struct kiln_progress_state {
    const char *title, *unit, *text;
    int64_t done, total;
    double rate;    /* units a second; 0 = unknown */
    double seconds; /* left; < 0 = unknown */
};
/* The bar, or the plain line if columns is 0. */
void kiln_progress_format(const struct kiln_progress_state *, int columns, char *line, size_t size);

#endif
