/*
 * Running a study: its trials one after another on one device, and its report
 * as text, JSON and picture. The interface of studies is core/api/study.h.
 */
#ifndef KILN_RUN_STUDY_H
#define KILN_RUN_STUDY_H

#include <signal.h>

#include "core/api/study.h"
#include "core/base/json.h"
#include "core/run/experiment.h"
#include "core/run/image.h"

struct kiln_study_options {
    struct kiln_run_device device;
    const volatile sig_atomic_t *stop; /* not 0: end with KILN_INTERRUPTED; may be NULL */
    /* A trial's work ("train", "sample") is so far; may be NULL. */
    void (*progress)(void *user, const char *trial, const char *work, int64_t done, int64_t total);
    void *user;
};

/* The study that [study] name asks for; KILN_INPUT, with the names that there
 * are, if the model has none or not that one. */
enum kiln_status kiln_study_find(const kiln_config *, const struct kiln_study **,
                                 struct kiln_error *);
/* Runs it. The caller destroys *report, which is NULL on failure. */
enum kiln_status kiln_study_run(kiln_config *, const struct kiln_study_options *,
                                kiln_report **report, struct kiln_error *);

/* --- reports ------------------------------------------------------------------- */

/* NULL when out of memory. */
kiln_report *kiln_report_create(void);
void kiln_report_destroy(kiln_report **);
/* Out of memory on the way is KILN_MACHINE. */
enum kiln_status kiln_report_error(const kiln_report *, struct kiln_error *);
/* The tables as aligned text, without a newline at the end. */
void kiln_report_text(const kiln_report *, struct kiln_text *);
/* Member "tables": {title: {row: {column: number}}}. */
void kiln_report_json(const kiln_report *, struct kiln_json *);
/* All panels; KILN_INPUT if there are none. *image belongs to the caller. */
enum kiln_status kiln_report_draw(const kiln_report *, struct kiln_image *, struct kiln_error *);

/* --- one trial: internal to study*.c ---------------------------------------------- */

struct kiln_arena;
struct kiln_trial_run {
    const kiln_config *config;
    const struct kiln_study_options *options;
    const struct kiln_experiment *data; /* loaded */
    kiln_device *device;
    struct kiln_arena *arena; /* of the results */
};
enum kiln_status kiln_trial_run(const struct kiln_trial_run *, const struct kiln_trial *,
                                struct kiln_trial_result *, struct kiln_error *);

#endif
