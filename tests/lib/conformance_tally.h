/*
 * All conformance cases on one device, summed up by family (the part of a
 * case's name before ':').
 */
#ifndef KILN_TEST_CONFORMANCE_TALLY_H
#define KILN_TEST_CONFORMANCE_TALLY_H

#include "tests/lib/conformance.h"

enum { CONFORMANCE_MOST_FAMILIES = 64 };

struct conformance_family {
    char name[48];
    int cases, failed;
    int ways;        /* compilations and runs */
    double share;    /* the worst error over its bound */
    char worst[400]; /* where */
};

struct conformance_tally {
    kiln_device *device;
    const char *part; /* only cases whose name holds this; NULL = all */
    /* Called after each case; may be NULL. */
    void (*report)(void *user, const struct kiln_case *, const struct conformance_outcome *);
    void *user;
    int cases, failed;
    int n;
    struct conformance_family families[CONFORMANCE_MOST_FAMILIES];
};

/* Fills the results; device, part and report are given. */
void conformance_tally_run(struct conformance_tally *);

#endif
