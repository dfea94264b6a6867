/*
 * The sampler's own: internal to sample*.c.
 */
#ifndef KILN_RUN_SAMPLER_H
#define KILN_RUN_SAMPLER_H

#include "core/run/sample.h"

struct kiln_sampler {
    struct kiln_sample_request request;
    struct kiln_sampler_graphs graphs;
    kiln_session *session;
    kiln_executable *noise, *start, *step, *finish;
    bool points;
    struct kiln_shape samples; /* of a whole batch */
    float *noise_buffer, *sample_buffer;
    int32_t *label_buffer;
    int64_t noise_elements, sample_elements; /* of one sample */
};

#endif
