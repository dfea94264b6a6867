/*
 * Where an executable's time goes: a session created with the option stats
 * waits for every step and notes its least time over all executions.
 */
#ifndef KILN_DEVICE_PROFILE_H
#define KILN_DEVICE_PROFILE_H

#include "core/device/session.h"

/* Rows: loops by what they do, then the other kinds of steps. */
enum { KILN_PROFILE_MAPS, KILN_PROFILE_REDUCTIONS, KILN_PROFILE_KINDS };
#define KILN_PROFILE_ROWS (KILN_PROFILE_KINDS + KILN_STEP_KIND_COUNT)

struct kiln_profile_row {
    const char *name; /* constant */
    int steps;        /* of an execution; 0: the row is empty */
    double seconds;   /* sum of their least times */
    int64_t flops;    /* of matmuls, convolutions, attention */
    int64_t bytes;    /* of the operands, each once a step */
};

struct kiln_profile {
    int64_t executions;
    int steps, prepared; /* of an execution; beside those done once */
    int64_t launches;    /* of an execution */
    int64_t workspace_bytes, io_bytes;
    struct kiln_profile_row rows[KILN_PROFILE_ROWS], total;
};

/* The profile so far; executions is 0 if the session keeps none. */
void kiln_executable_profile(const kiln_executable *, struct kiln_profile *);
/* Waits of the session's device that only its statistics needed. */
int64_t kiln_session_profile_waits(const kiln_session *);

#endif
