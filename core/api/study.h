/*
 * Studies: prepared experiments that a model plugin declares and "kiln study"
 * runs.
 *
 * A study is a list of trials. A trial is a small model of its own, trained,
 * sampled and probed by the same machinery as any other; what it gives is in
 * host memory for the trials after it, and for the report, which writes tables
 * and describes the drawing. A study knows no device and no file.
 */
#ifndef KILN_STUDY_H
#define KILN_STUDY_H

#include "model.h"
#include "plot.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KILN_MAX_DRAWS  4
#define KILN_MAX_PROBES 8

/* --- a trial ------------------------------------------------------------------ */

/* Samples to draw after training; the rest of the request is section [sample]. */
struct kiln_draw {
    const char *sampler; /* "" = [sample] sampler */
    int64_t n;           /* >= 1 */
    int64_t batch;       /* drawn at once; 0 = all */
};

/* A function of the trained network, evaluated at given inputs. */
struct kiln_probe {
    struct kiln_shape shape; /* of the input: [n, ...] */
    const float *input;      /* must live until the trial's end */
    int64_t batch;           /* evaluated at once; 0 = all */
};

struct kiln_trial {
    const char *name; /* for progress and messages */
    /* What is trained and sampled: its functions for phases, loss and sampling
     * are called with state. Batches are those of [data] and [train], the
     * optimiser is that of [train]; seeds are [run] seed and [sample] seed. */
    const struct kiln_model *model;
    void *state;
    int64_t steps; /* of training; 0 = the initial parameters stay */
    int n_draws;
    struct kiln_draw draws[KILN_MAX_DRAWS];
    int n_probes;
    struct kiln_probe probes[KILN_MAX_PROBES];
    /* The graph of a probe: x [batch, ...] -> [batch, ...], f32. */
    kiln_node (*probe)(void *state, kiln_graph *, int probe, kiln_node x);
};

/* Everything lives until the study is destroyed. */
struct kiln_trial_result {
    int64_t n_steps;
    int n_values;       /* of a step: the loss of the first phase and its metrics */
    const float *curve; /* [n_steps, n_values], each on its own training batch */
    double seconds;     /* of training */
    struct {
        struct kiln_shape shape; /* [n, ...] */
        const float *samples;    /* pictures are clamped to 0..1 */
        int evaluations;         /* steps of the sampler, each one use of the network */
        double seconds;          /* for all samples */
    } draws[KILN_MAX_DRAWS];
    struct {
        struct kiln_shape shape; /* [n, ...] */
        const float *values;
    } probes[KILN_MAX_PROBES];
};

/* --- the report --------------------------------------------------------------- */

typedef struct kiln_report kiln_report;

/* Begins a table: title names it in the text and in JSON. */
KILN_API void kiln_report_table(kiln_report *, const char *title);
/* One cell of the current table; rows and columns stand in the order of their
 * first use. NaN is shown as "-". Texts are copied. */
KILN_API void kiln_report_value(kiln_report *, const char *row, const char *column, double value);
/* Panels beside each other in the drawing; 0 (the default) = near-square. */
KILN_API void kiln_report_columns(kiln_report *, int columns);
/* Adds a panel to the drawing; everything in it is copied. */
KILN_API void kiln_report_panel(kiln_report *, const struct kiln_panel *);

/* --- the study ---------------------------------------------------------------- */

struct kiln_study {
    uint32_t size;       /* sizeof(struct kiln_study) of the plugin's headers */
    const char *name;    /* [study] name */
    const char *summary; /* one line: what it shows */

    /* Checks the configuration; an error names the key. The data is loaded, and
     * info and its train pointer live as long as the study. */
    enum kiln_status (*create)(const kiln_config *, const struct kiln_data_info *info, void **study,
                               struct kiln_error *);
    void (*destroy)(void *study);
    /* The number of trials (>= 0). */
    int (*trials)(void *study);
    /* Fills the zeroed trial number i (from 0); before holds the results of the
     * i trials before it. */
    enum kiln_status (*trial)(void *study, int i, const struct kiln_trial_result *before,
                              struct kiln_trial *, struct kiln_error *);
    /* Writes tables and panels from the results of all trials. */
    enum kiln_status (*report)(void *study, const struct kiln_trial_result *, kiln_report *,
                               struct kiln_error *);
};

#ifdef __cplusplus
}
#endif
#endif
