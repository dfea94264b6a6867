/*
 * The model plugin interface.
 *
 * A plugin is a shared module that exports
 *     const struct kiln_model *kiln_model_entry(void);
 * It declares options and never parses them, builds the graphs of its training
 * phases, of its evaluation and of its samplers, and knows no backend, device
 * or kernel. It includes only <kiln/...> headers and links libkiln.
 *
 * Pictures are f32 [batch, channels, height, width] in 0..1 at this interface;
 * points are f32 [batch, 2] in data units. A model converts to its own scale
 * inside its graphs.
 */
#ifndef KILN_MODEL_H
#define KILN_MODEL_H

#include "exchange.h"
#include "graph.h"
#include "nn.h"

#ifdef __cplusplus
extern "C" {
#endif

/* 1: first version. Fields are only appended; a reader checks size. */
#define KILN_MODEL_ABI 1

/* --- options and config ----------------------------------------------------- */

enum kiln_option_type {
    KILN_OPTION_BOOL,  /* true, false, yes, no, on, off, 1, 0 */
    KILN_OPTION_INT,   /* decimal, in min..max */
    KILN_OPTION_FLOAT, /* finite, in min..max */
    KILN_OPTION_STRING,
    KILN_OPTION_CHOICE, /* one of choices */
    KILN_OPTION_INTS,   /* comma-separated list, each in min..max */
    KILN_OPTION_FLOATS
};

struct kiln_option {
    const char *section, *key; /* section NULL ends a list */
    enum kiln_option_type type;
    const char *value;   /* default, as written in a config */
    double min, max;     /* numbers; both 0 = any */
    const char *choices; /* "a|b|c" */
    const char *help;    /* one line */
};

/* The resolved configuration. Getters name a declared key of the right type;
 * anything else is a programming error and yields 0, "" or an empty list. */
typedef struct kiln_config kiln_config;

KILN_API int64_t kiln_config_int(const kiln_config *, const char *section, const char *key);
KILN_API double kiln_config_float(const kiln_config *, const char *section, const char *key);
KILN_API bool kiln_config_bool(const kiln_config *, const char *section, const char *key);
/* Lives as long as the config. */
KILN_API const char *kiln_config_string(const kiln_config *, const char *section, const char *key);
/* Numbers of a list; returns their count, at most max written. */
KILN_API int kiln_config_list(const kiln_config *, const char *section, const char *key, int max,
                              double *out);
/* Replaces the value of a declared key, for struct kiln_model.derive. */
KILN_API enum kiln_status kiln_config_replace_number(kiln_config *, const char *section,
                                                     const char *key, double value,
                                                     struct kiln_error *);
/* True if a file or --set gave the key (not the default). */
KILN_API bool kiln_config_given(const kiln_config *, const char *section, const char *key);

/* --- data -------------------------------------------------------------------- */

struct kiln_data_info {
    bool points;                     /* else pictures */
    int64_t channels, height, width; /* points: 2, 1, 1 */
    int64_t n_classes;               /* 0 = no labels */
    int64_t n_train, n_test;
    const void
        *train; /* u8 pictures or f32 points in host memory; NULL when the data is not loaded */
};

/* One batch in a graph. */
struct kiln_batch {
    int64_t size;
    kiln_node x;     /* f32 [size, c, h, w] or [size, 2] */
    kiln_node label; /* i32 [size], 0 if there are none */
    bool training;   /* dropout, batch statistics */
};

/* --- training ---------------------------------------------------------------- */

#define KILN_MAX_PHASES  4
#define KILN_MAX_METRICS 16

/* A training phase, e.g. "critic" and "generator". A step of the run executes
 * each phase repeats times, in order, each time on a new batch. */
struct kiln_phase {
    const char *name;
    const char *group; /* prefix of the names of the parameters it trains, "" = all */
    int repeats;
    /* Other repeats at steps below warmup_steps and at multiples of
     * warmup_every (0 = none), counted from 0: how WGAN trains its critic. */
    int warmup_repeats, warmup_steps, warmup_every;
    double clamp; /* parameters stay in +- this after each update; 0 = free */
};

struct kiln_metric {
    const char *name;
    kiln_node value;
};

struct kiln_loss {
    kiln_node loss; /* scalar; its gradient trains the phase's group */
    int n_metrics;  /* scalars for the log, besides the loss */
    struct kiln_metric metrics[KILN_MAX_METRICS];
};

/* Per-sample figures f32 [size] that eval averages over the test set. */
struct kiln_figures {
    int n;
    struct kiln_metric figures[KILN_MAX_METRICS];
};

/* --- sampling ----------------------------------------------------------------- */

#define KILN_MAX_CARRIED 6

/* What the user asked for. */
struct kiln_sample_request {
    int64_t batch;
    const char *sampler; /* "" = the model's default */
    int steps;           /* 0 = the model's default */
    double eta, guidance, noise_scale;
    bool labelled; /* an i32 [batch] label input is given */
    bool inpaint;  /* known pixels are kept: see sample_noised */
    bool preview;  /* sample_step also makes the graph's output "preview" */
    /* Above 1: the batch is rows of so many samples, each row a way from its
     * first sample to its last; noise that is injected on the way should be
     * mixed of theirs. Divides batch. */
    int columns;
};

/*
 * A sampler is: noise -> start -> carried tensors; iterations of one step on
 * them, each with its own row of coefficients; finish -> pictures. The carried
 * tensors live on the device.
 */
struct kiln_sample_plan {
    struct kiln_shape noise; /* of the whole batch; f32 N(0,1) or U(0,1) */
    bool uniform_noise;
    int n_carried;
    struct kiln_shape carried[KILN_MAX_CARRIED]; /* of the whole batch */
    int n_iterations, n_coefficients;
    float *coefficients; /* [n_iterations][n_coefficients], malloc'd; freed by the caller */
};

/* --- the table ------------------------------------------------------------------ */

/* Receives one derived quantity for kiln describe. */
typedef void kiln_describe_fn(void *user, const char *name, double value);

struct kiln_study;

struct kiln_model {
    uint32_t abi;                      /* KILN_MODEL_ABI */
    uint32_t size;                     /* sizeof(struct kiln_model) of the plugin's headers */
    const char *name;                  /* the plugin's file is NAME.so */
    const char *summary;               /* one line */
    const struct kiln_option *options; /* ends with section NULL; may be NULL */

    /* Checks the configuration against the data and prepares the model; an
     * error names the key. */
    enum kiln_status (*create)(const kiln_config *, const struct kiln_data_info *, void **model,
                               struct kiln_error *);
    void (*destroy)(void *model);

    /* Fills phases and returns their number (>= 1). */
    int (*phases)(void *model, struct kiln_phase phases[KILN_MAX_PHASES]);
    /* Builds a phase's loss. Errors stick to the graph. */
    void (*loss)(void *model, kiln_graph *, int phase, const struct kiln_batch *,
                 struct kiln_loss *);

    /* NULL = none. Figures of a test batch; pictures decoded from a batch. */
    void (*evaluate)(void *model, kiln_graph *, const struct kiln_batch *, struct kiln_figures *);
    kiln_node (*reconstruct)(void *model, kiln_graph *, const struct kiln_batch *);

    /* Names of the samplers, NULL-terminated, the default first; NULL = the
     * model cannot sample. */
    const char *const *samplers;
    enum kiln_status (*sample_plan)(void *model, const struct kiln_sample_request *,
                                    struct kiln_sample_plan *, struct kiln_error *);
    /* noise -> carried */
    void (*sample_start)(void *model, kiln_graph *, const struct kiln_sample_request *,
                         kiln_node noise, kiln_node *carried);
    /* carried, coefficients f32 [n_coefficients], label or 0 -> next; not
     * called when there are no iterations. With request->preview, a model that
     * can also marks as output "preview" what the samples would be, as far as
     * can be told in this iteration (the predicted x0), as sample_finish does. */
    void (*sample_step)(void *model, kiln_graph *, const struct kiln_sample_request *,
                        const kiln_node *carried, kiln_node coefficients, kiln_node label,
                        kiln_node *next);
    /* carried -> pictures in 0..1 (clamped by the caller) or points */
    kiln_node (*sample_finish)(void *model, kiln_graph *, const struct kiln_sample_request *,
                               const kiln_node *carried, kiln_node label);

    /* Derived quantities; NULL = none. */
    void (*describe)(void *model, kiln_describe_fn *, void *user);
    /* Version of the reference whose state_dict names are used, for export. */
    const char *reference;

    /* Replaces values that are derived from the training data (written as
     * "auto") by what they come to, before create, so that they are saved with
     * the run; NULL = none. Called only when the data is loaded. */
    enum kiln_status (*derive)(kiln_config *, const struct kiln_data_info *, struct kiln_error *);

    /* The lines of a config (without [model]) that make a small network on the
     * built-in data sets, shapes or points: kiln check compares its losses and
     * gradients on a device with the double-precision reference. NULL = none. */
    const char *check;

    /* Prepared experiments (<kiln/study.h>), NULL-terminated, the default
     * first; NULL = none. */
    const struct kiln_study *const *studies;

    /* Files of other programs; NULL: export writes one file, nothing but
     * checkpoints and bare state_dicts is read. */
    const struct kiln_exchange *exchange;

    /* Inpainting; NULL = the model cannot. pictures f32 [batch, c, h, w] in
     * 0..1, coefficients of an iteration -> what carried[0], which has the same
     * shape, would be at its start if these were the result: the pictures with
     * that much noise. Known pixels of carried[0] are replaced by it before
     * sample_step sees them (Lugmayr et al. 2022, eq. 8). */
    kiln_node (*sample_noised)(void *model, kiln_graph *, const struct kiln_sample_request *,
                               kiln_node coefficients, kiln_node pictures);
};

typedef const struct kiln_model *kiln_model_entry_fn(void);

#ifdef __cplusplus
}
#endif
#endif
