/*
 * Running the benchmark: all devices asked for, operations and models.
 */
#ifndef KILN_BENCH_BENCH_H
#define KILN_BENCH_BENCH_H

#include <signal.h>

#include "core/bench/suite.h"
#include "core/bench/timing.h"

#define KILN_BENCH_MAX_DEVICES 16

struct kiln_bench_options {
    const char *device; /* a specification, or "all": every device but cpu:ref */
    bool ops, models;
    bool quick;         /* a choice that takes about a minute */
    bool tiny;          /* operations of a few hundred elements, a sample each: a test of the
                           benchmark itself */
    bool no_tune;
    bool round_products; /* of device options, and of models run.matmul_precision = medium */
    const char *only;       /* entries whose name contains this, in any choice; NULL: all */
    const char *plugin_dir; /* may be NULL */
    const char *program;    /* the kiln program, for start times; NULL: leaves them out */
    /* Not 0: KILN_INTERRUPTED after the entry being measured. */
    const volatile sig_atomic_t *stop;
    /* What is measured now: done of total entries. May be NULL. */
    void (*progress)(void *user, int done, int total, const char *name);
    void *user;
};

/* An opened device of a benchmark; a failure's reason is in its entry. */
struct kiln_bench_device {
    char name[64];
    kiln_device *device; /* NULL: it could not be used */
    struct kiln_timing_device timing;
};

/* What the parts of a benchmark share. */
struct kiln_bench_run {
    const struct kiln_bench_options *options;
    struct kiln_timing_options timing;
    struct kiln_suite *suite;
    int n_devices, done, total;
    struct kiln_bench_device devices[KILN_BENCH_MAX_DEVICES];
};

/*
 * Measures into *suite, which the caller finishes. What fails on a device is
 * an entry with its reason and not a failure of the whole; no device at all,
 * an unknown one, a choice that is empty (KILN_INPUT) and a stop
 * (KILN_INTERRUPTED, with what was measured so far) are.
 */
enum kiln_status kiln_bench(const struct kiln_bench_options *, struct kiln_suite *,
                            struct kiln_error *);

/* bench_ops.c, bench_models.c: the parts. count: how many entries they will
 * make of one device. */
int kiln_bench_count_ops(const struct kiln_bench_options *);
enum kiln_status kiln_bench_ops(struct kiln_bench_run *, struct kiln_error *);
int kiln_bench_count_models(const struct kiln_bench_options *);
enum kiln_status kiln_bench_models(struct kiln_bench_run *, struct kiln_error *);

/* True if the name is asked for. */
bool kiln_bench_wants(const struct kiln_bench_options *, const char *name);
/* Reports progress; KILN_INTERRUPTED if the benchmark is to stop. */
enum kiln_status kiln_bench_step(struct kiln_bench_run *, int entries, const char *name);

#endif
