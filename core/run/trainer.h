/*
 * The parts of a training run: internal to train*.c and trainer*.c, and to the
 * benchmark, which trains without files.
 */
#ifndef KILN_RUN_TRAINER_H
#define KILN_RUN_TRAINER_H

#include "core/run/checkpoint.h"
#include "core/run/optimizer.h"
#include "core/run/runlog.h"
#include "core/run/sample.h"
#include "core/run/train.h"
#include "core/run/train_order.h"

struct kiln_trainer {
    const kiln_config *config;
    const struct kiln_train_options *options;
    struct kiln_experiment experiment;

    /* the run */
    uint64_t seed;
    int64_t step, total; /* completed, wanted */
    struct kiln_optimizer optimizer;

    /* device */
    kiln_device *device;
    kiln_session *session;
    int n_phases;
    struct kiln_phase phases[KILN_MAX_PHASES];
    struct kiln_phase_graph graphs[KILN_MAX_PHASES];
    kiln_executable *executables[KILN_MAX_PHASES];

    /* data */
    struct kiln_batch_source source;
    kiln_batches *batches;
    int32_t *index; /* [batch] */
    void *staging;

    /* sample grids, NULL without */
    kiln_sampler *sampler;
    int64_t n_samples;
    float *samples;
    int32_t *sample_labels; /* [n_samples], NULL if the model takes no class */
    int sample_columns;     /* of the grid; 0 = near-square */

    /* files */
    int lock;
    char *checkpoint_path;
    kiln_runlog *log;

    /* clock */
    double entered; /* monotonic: when kiln_train was called */
    double started, seconds_before; /* monotonic; of earlier sittings */
    double logged_at;
    int64_t logged_step;
    char text[256]; /* losses at the last logged step */
    struct kiln_train_result *result;
};

/* trainer.c: everything up to the first step, and the end. */
enum kiln_status kiln_trainer_create(kiln_config *, const struct kiln_train_options *,
                                     struct kiln_trainer *, struct kiln_error *);
void kiln_trainer_finish(struct kiln_trainer *);
/* Parts of it, for runs that have no directory. The phases and their graphs;
 * total is set unless it is already. */
enum kiln_status kiln_trainer_create_phases(struct kiln_trainer *, struct kiln_error *);
/* The order of the data, and memory for a batch. */
enum kiln_status kiln_trainer_create_batches(struct kiln_trainer *, struct kiln_error *);

/* trainer_files.c */
enum kiln_status kiln_trainer_open_directory(struct kiln_trainer *, struct kiln_error *);
enum kiln_status kiln_trainer_write_config(const struct kiln_trainer *, struct kiln_error *);
enum kiln_status kiln_trainer_save(struct kiln_trainer *, struct kiln_error *);
enum kiln_status kiln_trainer_draw_samples(struct kiln_trainer *, struct kiln_error *);

/* trainer_step.c: one execution of a phase. */
struct kiln_execution {
    int64_t number, step;
    int phase, repeat;
};
/* Writes the inputs of an execution. */
enum kiln_status kiln_trainer_feed(struct kiln_trainer *, const struct kiln_execution *,
                                   kiln_executable *, struct kiln_error *);
/* Enqueues all executions of the next step. */
enum kiln_status kiln_trainer_run_step(struct kiln_trainer *, struct kiln_error *);

/* trainer_report.c: waits, reads the losses into result and text, logs them. */
enum kiln_status kiln_trainer_report(struct kiln_trainer *, struct kiln_error *);
/* Waits; fails if an execution so far was not finite. */
enum kiln_status kiln_trainer_check_finite(struct kiln_trainer *, struct kiln_error *);

/* Seconds of a monotonic clock. */
double kiln_trainer_clock(void);

#endif
