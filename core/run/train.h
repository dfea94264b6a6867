/*
 * Training: from a configuration to a run's directory.
 *
 * The directory holds config.ini (resolved), checkpoint.safetensors,
 * log.jsonl, samples-<step>.png and a lock; DESIGN: section 8. The same
 * config, device, thread count and kernel choices give the same bytes; a run
 * that was stopped and resumed gives those of one that was not.
 */
#ifndef KILN_RUN_TRAIN_H
#define KILN_RUN_TRAIN_H

#include <signal.h>

#include "core/device/profile.h"
#include "core/run/experiment.h"

struct kiln_train_progress {
    int64_t step, total; /* completed steps */
    int64_t images_per_step;
    const char *text; /* losses at the last logged step; "" before it */
};

struct kiln_train_options {
    const char *out; /* the run's directory, created if missing */
    bool resume;     /* go on from its checkpoint, if there is one */
    struct kiln_run_device device;
    const char *command; /* goes into the pictures' text */
    /* Not 0: finish the step, save and return KILN_INTERRUPTED. */
    const volatile sig_atomic_t *stop;
    void (*progress)(void *user,
                     const struct kiln_train_progress *); /* after each step; may be NULL */
    void *user;
};

struct kiln_train_value {
    char name[64];
    double value;
};

struct kiln_named_profile {
    char name[64];
    struct kiln_profile profile;
};

struct kiln_train_result {
    int64_t step, total;
    double seconds;          /* of the whole run so far */
    double images_per_s;     /* over the last logged interval */
    double first_step_seconds; /* from the call to the end of the first step; 0 if it was done */
    int64_t launches, waits; /* of the device, from its opening to the end */
    int64_t device_bytes;    /* most that was allocated on it at once */
    int n_profiles;          /* with device.stats: of each phase */
    struct kiln_named_profile profiles[KILN_MAX_PHASES];
    int n_values; /* losses and metrics at the last step */
    struct kiln_train_value values[KILN_MAX_PHASES * (KILN_MAX_METRICS + 1)];
};

/*
 * Trains to the end of the config's steps. Besides failures of the machine and
 * of the input: a directory in use by another run, or one that holds a
 * checkpoint without resume, is KILN_INPUT; a loss or gradient that is not
 * finite is KILN_INPUT with step, phase and the first node that is not;
 * KILN_INTERRUPTED after a stop that was saved, without a message.
 */
enum kiln_status kiln_train(kiln_config *, const struct kiln_train_options *,
                            struct kiln_train_result *, struct kiln_error *);

/* Steps of the whole run: [train] steps, or as many as epochs need. */
int64_t kiln_train_steps(const kiln_config *, int64_t n_train, int n_phases,
                         const struct kiln_phase *);

#endif
