/*
 * A model on the test set: its figures, and its reconstructions.
 *
 * The session is fresh: these functions prepare it, load the checkpoint's
 * weights (averages where it has them) and run.
 */
#ifndef KILN_RUN_EVALUATE_H
#define KILN_RUN_EVALUATE_H

#include "core/run/checkpoint.h"
#include "core/run/experiment.h"

struct kiln_evaluation {
    int64_t n_samples;
    int n;
    struct {
        char name[48];
        double mean;
        double standard_error; /* of the mean over the samples */
    } figures[KILN_MAX_METRICS];
};

struct kiln_evaluate_options {
    uint64_t seed; /* of the random numbers that a figure draws */
    void (*progress)(void *user, int64_t done, int64_t total); /* samples; may be NULL */
    void *user;
};

/* Means of the model's figures over the whole test set; the same whatever the
 * batch size. */
enum kiln_status kiln_evaluate(const struct kiln_experiment *, kiln_session *,
                               const kiln_checkpoint *, const struct kiln_evaluate_options *,
                               struct kiln_evaluation *, struct kiln_error *);

/*
 * Reconstructs the first n test samples (fewer if there are fewer: *n is what
 * was done).
 *
 * originals, reconstructions  [*n, ...], malloc'd, clamped to 0..1 if pictures
 */
enum kiln_status kiln_reconstruct(const struct kiln_experiment *, kiln_session *,
                                  const kiln_checkpoint *, int64_t *n, float **originals,
                                  float **reconstructions, struct kiln_error *);

#endif
