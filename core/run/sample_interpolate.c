/* Interpolation between initial noises. */
#include "core/run/sample.h"

#include <math.h>
#include <stdlib.h>

static double dot(const float *a, const float *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)a[i] * b[i];
    return sum;
}

/* Weights of the two ends at t in 0..1. */
static void spherical_weights(const float *a, const float *b, int64_t n, double t,
                              double weights[2])
{
    weights[0] = 1 - t;
    weights[1] = t;
    double lengths = sqrt(dot(a, a, n) * dot(b, b, n));
    if (!(lengths > 0))
        return;
    double cosine = dot(a, b, n) / lengths;
    double angle = acos(cosine > 1 ? 1 : cosine < -1 ? -1 : cosine);
    if (sin(angle) < 1e-6)
        return;
    weights[0] = sin((1 - t) * angle) / sin(angle);
    weights[1] = sin(t * angle) / sin(angle);
}

enum kiln_status kiln_sampler_interpolate(kiln_sampler *sampler, uint64_t seed, int64_t rows,
                                          int64_t columns, float *noise, struct kiln_error *error)
{
    struct kiln_shape shape = kiln_sampler_noise_shape(sampler, 1);
    int64_t elements = kiln_shape_count(&shape);
    float *ends = calloc((size_t)rows, 2 * (size_t)elements * sizeof *ends);
    if (!ends)
        return kiln_fail(error, KILN_MACHINE, "out of memory for %lld pairs of noise",
                         (long long)rows);
    const struct kiln_sample_job job = {.seed = seed, .count = 2 * rows};
    enum kiln_status status = kiln_sampler_noise(sampler, &job, ends, error);
    for (int64_t i = 0; i < rows * columns && !status; i++) {
        const float *a = ends + i / columns * 2 * elements, *b = a + elements;
        double t = columns > 1 ? (double)(i % columns) / (double)(columns - 1) : 0;
        double weights[2] = {1 - t, t};
        if (!kiln_sampler_noise_is_uniform(sampler))
            spherical_weights(a, b, elements, t, weights);
        for (int64_t j = 0; j < elements; j++)
            noise[i * elements + j] = (float)(weights[0] * a[j] + weights[1] * b[j]);
    }
    free(ends);
    return status;
}
