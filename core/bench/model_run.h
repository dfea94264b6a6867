/*
 * One model on one device: trained to its quality gate, and able to be timed.
 */
#ifndef KILN_BENCH_MODEL_RUN_H
#define KILN_BENCH_MODEL_RUN_H

#include "core/bench/models.h"
#include "core/bench/suite.h"
#include "core/run/trainer.h"

struct kiln_model_run {
    const struct kiln_model_case *model_case;
    kiln_config *config;
    struct kiln_train_options options;
    struct kiln_train_result result;
    struct kiln_trainer trainer;
    bool created;
    char *folder; /* temporary, removed at the end */
};

struct kiln_model_run_options {
    const char *device, *plugin_dir;
    bool no_tune;
    bool round_products; /* run.matmul_precision = medium; the gate allows 2 % then */
    double tune_seconds; /* 0: as the config says */
};

/* Loads the config and prepares training on the device, algorithms chosen. The
 * caller finishes the run, also on failure. */
enum kiln_status kiln_model_run_prepare(const struct kiln_model_case *,
                                        const struct kiln_model_run_options *,
                                        struct kiln_model_run *, struct kiln_error *);
/*
 * Loads the config, prepares training on the device and trains to the gate,
 * writing parameters, batch, loss and whether it is within its tolerance to
 * entry. KILN_MACHINE if it is not. The caller finishes the run, also on
 * failure.
 */
enum kiln_status kiln_model_run_create(const struct kiln_model_case *,
                                       const struct kiln_model_run_options *,
                                       struct kiln_model_run *, struct kiln_suite_model *entry,
                                       struct kiln_error *);
void kiln_model_run_finish(struct kiln_model_run *);
/* For timing jobs: so many training steps, or samplings, and the wait. */
enum kiln_status kiln_model_run_steps(void *run, int repetitions, struct kiln_error *);
enum kiln_status kiln_model_run_sample(void *run, int repetitions, struct kiln_error *);

/*
 * Trains one step in a new process of program, twice: without any cache, then
 * with what the first left. Writes times and memory to entry.
 */
enum kiln_status kiln_model_start_times(const char *program, const struct kiln_model_case *,
                                        const struct kiln_model_run_options *,
                                        struct kiln_suite_model *entry, struct kiln_error *);

/* The config's file: of the source tree for a program in its build tree, else
 * as installed. malloc'd; NULL when out of memory. */
char *kiln_model_config_path(const struct kiln_model_case *);

#endif
