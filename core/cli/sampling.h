/*
 * The parts of kiln sample: internal to sample*.c.
 */
#ifndef KILN_CLI_SAMPLING_H
#define KILN_CLI_SAMPLING_H

#include "core/cli/progress.h"
#include "core/cli/stop.h"
#include "core/cli/trained.h"
#include "core/run/safetensors.h"
#include "core/run/sample.h"

struct kiln_sampling {
    const struct kiln_cli *cli;
    struct kiln_trained trained;
    kiln_sampler *sampler;
    struct kiln_sample_job job;
    int columns; /* of the grid; 0 = near-square */
    float *noise, *frames;
    float *samples;                /* all of them for the grid or the animation, else NULL */
    struct kiln_known known;       /* for inpainting */
    int32_t *labels;               /* of the samples, or NULL */
    char *image, *raw, *animation; /* paths, or NULL */
    kiln_progress *progress;
    const volatile sig_atomic_t *stop;
    kiln_safetensors_writer *raw_file; /* open while samples are drawn for raw */
    double seconds;                    /* of drawing, the writing of raw left out */
};

/* sample_prepare.c: everything between the opened RUN and the first batch: the
 * sampler on the device, and what its job is made of. */
enum kiln_status kiln_sampling_prepare(struct kiln_sampling *, struct kiln_error *);
/* Room for samples or noise of the shape; malloc'd. */
enum kiln_status kiln_sampling_allocate(float **, struct kiln_shape, struct kiln_error *);
/* Paths of the results, checked for being writable. */
enum kiln_status kiln_sampling_choose_outputs(struct kiln_sampling *, struct kiln_error *);

/* sample_write.c: writes the files and prints what was done. */
enum kiln_status kiln_sampling_write(const struct kiln_sampling *, struct kiln_error *);

#endif
