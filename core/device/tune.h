/*
 * Measured choices: which of a backend's ways to do a step is the fastest.
 *
 * Candidates are timed interleaved on random data, each several times, the
 * least time counts, and a candidate whose result disagrees with the first's
 * is dropped. Choices are kept in the cache directory, one file for each
 * device, driver, set of libraries and number of threads.
 */
#ifndef KILN_DEVICE_TUNE_H
#define KILN_DEVICE_TUNE_H

#include "core/device/device.h"

typedef struct kiln_tuner kiln_tuner;

/* enabled false: the first candidate (or that of kiln_tuner_fix) always, and
 * nothing is read or written.
 * seconds: how long this session may measure. NULL when out of memory. */
kiln_tuner *kiln_tuner_create(kiln_device *, bool enabled, double seconds);
/* Without measuring: the candidate of this number, or the last. Default 0. */
void kiln_tuner_fix(kiln_tuner *, int candidate);
/* Whether Winograd's algorithms may be chosen. Default true. */
void kiln_tuner_allow_winograd(kiln_tuner *, bool);
/* Writes new choices to the cache. */
void kiln_tuner_save(kiln_tuner *);
void kiln_tuner_destroy(kiln_tuner **);

/* For struct kiln_plan_options, with the tuner as user. */
int kiln_tuner_candidates(void *tuner, const struct kiln_step *,
                          struct kiln_candidate[KILN_MAX_CANDIDATES]);
int kiln_tuner_choose(void *tuner, const struct kiln_step *, int n, const struct kiln_candidate *);

/* Any named choice that was measured elsewhere: the value kept under key, or
 * NULL; and keeping one. The string lives until the next call. */
const char *kiln_tuner_get(const kiln_tuner *, const char *key);
void kiln_tuner_put(kiln_tuner *, const char *key, const char *value, double seconds);
/* Whether the backend's library has parameters that were never measured here. */
bool kiln_tuner_library_is_unknown(const kiln_tuner *);
/* Measures and keeps them. The device and the tuner are of no use afterwards:
 * for a process of its own (backend.h, library_measure). */
enum kiln_status kiln_tuner_measure_library(kiln_tuner *, double seconds, struct kiln_error *);
/* Seconds of the budget that are left, <= 0 when it is spent or disabled. */
double kiln_tuner_left(const kiln_tuner *);
/* Counts time measured elsewhere against the budget. */
void kiln_tuner_spend(kiln_tuner *, double seconds);

/* Number of choices kept for the device. */
int kiln_tuner_count(const kiln_tuner *);
/* Writes them to a file (in a directory: of the name by which kernels/tunings
 * would ship it) that kiln_tuner_import takes where device, driver,
 * libraries, threads and version are equal. */
enum kiln_status kiln_tuner_export(const kiln_tuner *, const char *path, struct kiln_error *);
/* Takes a file's choices over those kept, and keeps them; *n is their number.
 * KILN_INPUT if it is no such file or for another device. */
enum kiln_status kiln_tuner_import(kiln_tuner *, const char *path, int *n, struct kiln_error *);

/* Forgets which choices were made, as after trying layouts that were not taken;
 * what was measured is kept. */
void kiln_tuner_forget(kiln_tuner *);
/* A hash of all choices made since; their order does not count. */
uint64_t kiln_tuner_hash(const kiln_tuner *);

#endif
