/*
 * Sampling: a model's sampler on a session, any number of pictures in batches.
 *
 *     kiln_sampler_create -> graphs into kiln_session_prepare
 *         -> kiln_sampler_compile -> kiln_sampler_run...
 *
 * Sample i of a seed has the same random numbers whatever the batch size.
 */
#ifndef KILN_RUN_SAMPLE_H
#define KILN_RUN_SAMPLE_H

#include "core/run/experiment.h"

typedef struct kiln_sampler kiln_sampler;

/* What section [sample] asks for, for n samples in batches of at most [train]
 * batch_size, without labels. Strings belong to the config. */
void kiln_sample_request_read(const kiln_config *, int64_t n, struct kiln_sample_request *);
/* The request's strings must outlive the sampler, as the instance must. */
enum kiln_status kiln_sampler_create(const struct kiln_instance *,
                                     const struct kiln_sample_request *, kiln_sampler **,
                                     struct kiln_error *);
void kiln_sampler_destroy(kiln_sampler **);

#define KILN_SAMPLER_GRAPHS 4
/* The graphs that the session must prepare; returns their number. */
int kiln_sampler_graphs(const kiln_sampler *, kiln_graph *graphs[KILN_SAMPLER_GRAPHS]);
/* use_ema: sample from the average, which the session's groups must keep. */
enum kiln_status kiln_sampler_compile(kiln_sampler *, kiln_session *, bool use_ema,
                                      struct kiln_error *);

/* What is executed for every iteration; compiled. */
const kiln_executable *kiln_sampler_iteration(const kiln_sampler *);

/* Shape of count samples' noise, and of count samples. */
struct kiln_shape kiln_sampler_noise_shape(const kiln_sampler *, int64_t count);
struct kiln_shape kiln_sampler_sample_shape(const kiln_sampler *, int64_t count);
bool kiln_sampler_noise_is_uniform(const kiln_sampler *);
/* True if a label changes the samples; compiled. */
bool kiln_sampler_takes_labels(const kiln_sampler *);
/* Iterations of one batch, for progress; at least 1. */
int kiln_sampler_iterations(const kiln_sampler *);

/* A picture to be painted into. */
struct kiln_known {
    float *picture; /* [c, h, w] in 0..1, malloc'd */
    float *mask;    /* [h, w], 1 where it is painted, 0 where it is kept; malloc'd */
};

/*
 * Reads a picture and the mask of what is painted (white; 128 and more counts
 * as white) as PNG files of the samples' size, [n, c, h, w]. A grey picture
 * serves for a model of colours, one with colours not for a grey model. A file
 * that does not fit, or a mask without white, is KILN_INPUT.
 */
enum kiln_status kiln_known_read(const char *picture, const char *mask,
                                 const struct kiln_shape *samples, struct kiln_known *,
                                 struct kiln_error *);
void kiln_known_finish(struct kiln_known *);

/* Labels of n samples, each of a class after another: 0 0 0 1 1 1 2 .. for each
 * = 3, from 0 again after the last class. */
void kiln_sample_labels(int64_t n, int64_t each, int64_t n_classes, int32_t *label);
/* Columns of a grid in which the samples of a class fill a line, or several; 0,
 * near-square, for one of each. */
int kiln_sample_class_columns(int64_t each);

/* What to draw. Sizes in elements follow from count and the shapes above. */
struct kiln_sample_job {
    uint64_t seed;
    int64_t first, count;           /* samples first .. first + count - 1 of the seed */
    const float *noise;             /* initial noise of the count samples, or NULL: drawn */
    const int32_t *label;           /* [count] if the request is labelled, else NULL */
    const struct kiln_known *known; /* if the request is for inpainting, else NULL */
    /* Where the request is for previews: frame f, [count, ...] samples each,
     * is what they look like in iteration f n_iterations / n_frames, rounded
     * down. n_frames is at most the number of iterations. */
    int n_frames;
    float *frames;
    /* Called after each iteration (may be NULL): done of total; false stops
     * the job with KILN_INTERRUPTED. */
    bool (*progress)(void *user, int64_t done, int64_t total);
    /* Called with the samples of each batch, count of them after those before
     * (may be NULL); they are valid during the call. A failure ends the job. */
    enum kiln_status (*take)(void *user, const float *samples, int64_t count, struct kiln_error *);
    void *user;
};

/* Writes the initial noise of the job's samples, [count, ...]. */
enum kiln_status kiln_sampler_noise(kiln_sampler *, const struct kiln_sample_job *, float *noise,
                                    struct kiln_error *);
/* Writes the samples, [count, ...], and hands them to take; pictures are clamped
 * to 0..1. samples NULL: only take sees them. */
enum kiln_status kiln_sampler_run(kiln_sampler *, const struct kiln_sample_job *, float *samples,
                                  struct kiln_error *);

/*
 * Noise of a grid of interpolations: row r goes from noise 2r to noise 2r + 1
 * of the seed in columns steps, ends included: normal noise along the great
 * circle, which keeps its length (Shoemake 1985), uniform noise along the line.
 *
 * noise  [rows * columns, ...]
 */
enum kiln_status kiln_sampler_interpolate(kiln_sampler *, uint64_t seed, int64_t rows,
                                          int64_t columns, float *noise, struct kiln_error *);

#endif
