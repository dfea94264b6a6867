/*
 * The graphs of a run, built from a model and its data: training phases,
 * evaluation, reconstruction, sampling. A graph that fails to build is
 * destroyed, and its sticky error is reported.
 *
 * Inputs that every execution writes, where the graph has them:
 *     "rng"    i32 [KILN_RNG_KEY_WORDS]
 *     "hyper"  f32 [KILN_HYPER_WORDS]       training
 *     batch    see struct kiln_batch_source
 */
#ifndef KILN_RUN_GRAPHS_H
#define KILN_RUN_GRAPHS_H

#include "core/api/model.h"
#include "core/api/rng.h"

/* Random streams of the core; a model's are below. */
enum kiln_core_stream { KILN_STREAM_FLIP = 0x10000, KILN_STREAM_NOISE };

/* Names of states that belong to the program, not to the model, begin with
 * one of these; they are in no checkpoint. */
#define KILN_STATE_PREFIX_RUN     "run."
#define KILN_STATE_PREFIX_SAMPLER "sampler."
#define KILN_STATE_NOISE          KILN_STATE_PREFIX_SAMPLER "noise"
bool kiln_state_is_internal(const char *name);

/*
 * How a graph gets its batch. Resident: the split is on the device as the
 * inputs "data.x" [n, ...] and "data.label" i32 [n], and "index" i32 [size]
 * says which samples to gather. Else the batch itself is written: "batch.x"
 * [size, ...], "batch.label" i32 [size].
 */
struct kiln_batch_source {
    struct kiln_data_info info;
    enum kiln_dtype dtype; /* of x; u8 means value / 255 */
    int64_t n;             /* samples of the split */
    int64_t size;          /* of a batch */
    bool resident;
    bool flip; /* mirror at random (training) */
    bool training;
};

/* A model with its prepared state. */
struct kiln_instance {
    const struct kiln_model *model;
    void *state;
};

/* The shape of a batch of count samples. */
struct kiln_shape kiln_batch_shape(const struct kiln_data_info *, int64_t count);
/* Appends the nodes that make the batch. */
void kiln_graph_batch(kiln_graph *, const struct kiln_batch_source *, struct kiln_batch *);

/* --- training --------------------------------------------------------------- */

/* State i32 [1]: the "rng" step word of the first execution whose loss or
 * gradient was not finite; 0 = none. */
#define KILN_STATE_FIRST_BAD "run.first_bad"

/* Output "report", f32 [n_values + 2]: loss, metrics, global gradient norm
 * before clipping, 1 if the update was done. */
struct kiln_phase_graph {
    kiln_graph *graph;
    int n_values;                         /* 1 + metrics */
    char names[1 + KILN_MAX_METRICS][48]; /* "loss" and the metrics' */
};

enum kiln_status kiln_phase_graph_create(const struct kiln_instance *, int phase,
                                         const struct kiln_batch_source *, struct kiln_update,
                                         struct kiln_phase_graph *, struct kiln_error *);
void kiln_phase_graph_finish(struct kiln_phase_graph *);

/* --- evaluation --------------------------------------------------------------- */

/* Outputs "figure.<i>" f32 [size]. KILN_INPUT if the model has none. */
void kiln_figure_name(int i, char name[32]);
struct kiln_figures_graph {
    kiln_graph *graph;
    int n_figures;
    char names[KILN_MAX_METRICS][48];
};

enum kiln_status kiln_figures_graph_create(const struct kiln_instance *,
                                           const struct kiln_batch_source *,
                                           struct kiln_figures_graph *, struct kiln_error *);
void kiln_figures_graph_finish(struct kiln_figures_graph *);

/* Outputs "original" and "reconstruction", of the batch's shape, in 0..1. */
enum kiln_status kiln_reconstruct_graph_create(const struct kiln_instance *,
                                               const struct kiln_batch_source *, kiln_graph **,
                                               struct kiln_error *);

/* --- sampling ------------------------------------------------------------------- */

/*
 * noise   -> the state "sampler.noise", random, keyed by "rng" (step word 0)
 * start   the state "sampler.noise" -> the carried states "sampler.<k>"
 * step    input "coefficients" f32 [n_coefficients]; states -> states, and
 *         output "preview" if it is asked for; NULL without iterations
 * finish  states -> output "samples"
 * step and finish have the input "label" i32 [batch] if it is asked for, and
 * for inpainting "known" f32 [1, c, h, w] and "mask" f32 [1, 1, h, w], which is
 * not 0 where the sample is painted.
 */
struct kiln_sampler_graphs {
    struct kiln_sample_plan plan; /* owned */
    kiln_graph *noise, *start, *step, *finish;
};

/* KILN_INPUT if the model has no samplers, or not the one asked for. */
enum kiln_status kiln_sampler_graphs_create(const struct kiln_instance *,
                                            const struct kiln_sample_request *,
                                            struct kiln_sampler_graphs *, struct kiln_error *);
void kiln_sampler_graphs_finish(struct kiln_sampler_graphs *);

#endif
