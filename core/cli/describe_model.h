/*
 * What kiln describe says of a model beyond its config: data, parameters,
 * derived quantities, and the memory of its training plans on a device.
 */
#ifndef KILN_CLI_DESCRIBE_MODEL_H
#define KILN_CLI_DESCRIBE_MODEL_H

#include "core/base/json.h"
#include "core/plan/states.h"
#include "core/run/experiment.h"

/* The plan of one training phase, or of one step of sampling. */
struct kiln_described_phase {
    const char *name, *group;
    int64_t n_parameters; /* that it trains */
    int n_steps, n_prepared; /* of these so many only when parameters have changed */
    int n_reorders;          /* steps of every execution that only change a layout */
    int64_t flops;                       /* of matmuls and convolutions */
    int64_t workspace_bytes, live_bytes; /* temporaries; their largest live set */
    int64_t io_bytes;                    /* inputs, constants, outputs */
};

struct kiln_description {
    struct kiln_experiment experiment;
    kiln_states *states;
    int64_t n_parameters, n_buffers; /* elements */
    char device[160];                /* "cpu (name)" */
    bool resident;                   /* the data set lies on the device */
    int64_t batch, state_bytes, data_bytes;
    int n_phases;
    struct kiln_described_phase phases[KILN_MAX_PHASES];
    bool samples; /* the model has a sampler: */
    int64_t sample_batch;
    int sample_iterations; /* executions for a batch of samples */
    struct kiln_described_phase sampling;
};

/* Builds the model and plans its training on the config's device, without
 * measuring algorithms. info: as kiln_experiment_create. The caller finishes
 * the description. */
enum kiln_status kiln_description_create(kiln_config *, const struct kiln_data_info *info,
                                         struct kiln_description *, struct kiln_error *);
void kiln_description_finish(struct kiln_description *);

/* Appends what the plans are and take: as comments of a config, as members of
 * the object begun. */
void kiln_description_memory(const struct kiln_description *, struct kiln_text *);
void kiln_description_json(const struct kiln_description *, struct kiln_json *);

#endif
