/*
 * What every command that runs a model needs: the configured model, its data
 * and a session on the chosen device.
 */
#ifndef KILN_RUN_EXPERIMENT_H
#define KILN_RUN_EXPERIMENT_H

#include "core/device/session.h"
#include "core/run/config.h"
#include "core/run/dataset.h"
#include "core/run/graphs.h"

struct kiln_experiment {
    const kiln_config *config; /* not owned */
    struct kiln_instance instance;
    struct kiln_data_info info;
    struct kiln_dataset *dataset; /* NULL if only the info was given */
};

/* Prepares the model. info NULL: the data set is loaded and tells, and what
 * the configuration leaves to the data is replaced in it. Else the model is
 * made for data of this kind, and none is loaded. */
enum kiln_status kiln_experiment_create(kiln_config *, const struct kiln_data_info *info,
                                        struct kiln_experiment *, struct kiln_error *);
/* The data alone: loaded, and told to the configuration; no model is prepared. */
enum kiln_status kiln_experiment_load(kiln_config *, struct kiln_experiment *, struct kiln_error *);
void kiln_experiment_finish(struct kiln_experiment *);

/* How batches of a split (n >= 1 samples) reach the device: resident if the
 * split's bytes are at most [data] device_memory. */
enum kiln_status kiln_experiment_source(const struct kiln_experiment *, bool training,
                                        int64_t batch_size, struct kiln_batch_source *,
                                        struct kiln_error *);
/* The split's resident tensors, 0 to 2 of them; their data stays the data set's. */
int kiln_experiment_resident(const struct kiln_experiment *, const struct kiln_batch_source *,
                             struct kiln_resident resident[2]);

/* Writes samples index[0..size-1] of the split to an executable whose graph
 * has this source. staging: kiln_feed_bytes of host memory if not resident. */
enum kiln_status kiln_experiment_feed(const struct kiln_experiment *,
                                      const struct kiln_batch_source *, const int32_t *index,
                                      void *staging, kiln_executable *, struct kiln_error *);
/* Bytes that feeding a batch needs as staging; 0 if resident. */
int64_t kiln_feed_bytes(const struct kiln_batch_source *);

/* The words of the "rng" input. */
void kiln_rng_words(uint64_t seed, uint32_t step, uint32_t first_sample,
                    int32_t words[KILN_RNG_KEY_WORDS]);

/* Graphs without random numbers have no input "rng", for instance. */
bool kiln_executable_has_input(const kiln_executable *, const char *name);

/* All states that the model's losses use: names and shapes of its state_dict.
 * The caller destroys *states, which is not frozen. */
enum kiln_status kiln_experiment_states(const struct kiln_experiment *, kiln_states **states,
                                        struct kiln_error *);

/* How the command line wants the device to be used. */
struct kiln_run_device {
    bool no_fuse, no_tune;
    bool stats; /* keep profiles: session.h */
};

/* By the section [run] of a config. */
struct kiln_session_options kiln_experiment_session_options(const kiln_config *,
                                                            const struct kiln_run_device *);
/* Opens the device that the command line, $KILN_DEVICE or the config asks for,
 * in this order, and a session on it. */
enum kiln_status kiln_experiment_session(const kiln_config *, const struct kiln_run_device *,
                                         kiln_device **, kiln_session **, struct kiln_error *);
/* The first step of it: the device alone. */
enum kiln_status kiln_experiment_device(const kiln_config *, kiln_device **, struct kiln_error *);

#endif
