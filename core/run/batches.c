/* The order in which training goes through a data set. */
#include <stdlib.h>

#include "core/api/rng.h"
#include "core/run/data_streams.h"
#include "core/run/dataset.h"

void kiln_shuffle(uint64_t seed, uint64_t epoch, int64_t n, int32_t *order)
{
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    for (int64_t i = 0; i < n; i++)
        order[i] = (int32_t)i;
    uint32_t words[4];
    for (int64_t i = 0; i < n; i++) {
        if (i % 4 == 0)
            kiln_philox((const uint32_t[]){(uint32_t)(i / 4), (uint32_t)epoch,
                                           (uint32_t)(epoch >> 32), KILN_STREAM_SHUFFLE},
                        key, words);
        /* the inside-out form of Fisher-Yates: j is uniform in 0 .. i */
        int64_t j = (int64_t)((uint64_t)words[i % 4] * (uint64_t)(i + 1) >> 32);
        order[i] = order[j];
        order[j] = (int32_t)i;
    }
}

struct kiln_batches {
    uint64_t seed;
    int64_t n, size;
    uint64_t epoch; /* of order */
    int32_t *order; /* [n] */
};

enum kiln_status kiln_batches_create(uint64_t seed, int64_t n, int64_t size, kiln_batches **result,
                                     struct kiln_error *error)
{
    *result = NULL;
    if (n < 1 || n > INT32_MAX || size < 1)
        return kiln_fail(error, KILN_INPUT, "batches of %lld of %lld samples", (long long)size,
                         (long long)n);
    kiln_batches *batches = calloc(1, sizeof *batches);
    if (batches)
        batches->order = malloc((size_t)n * sizeof *batches->order);
    if (!batches || !batches->order) {
        free(batches);
        return kiln_fail(error, KILN_MACHINE, "out of memory for the order of %lld samples",
                         (long long)n);
    }
    batches->seed = seed;
    batches->n = n;
    batches->size = size;
    kiln_shuffle(seed, 0, n, batches->order);
    *result = batches;
    return KILN_OK;
}

void kiln_batches_destroy(kiln_batches **batches)
{
    if (!batches || !*batches)
        return;
    free((*batches)->order);
    free(*batches);
    *batches = NULL;
}

void kiln_batches_indices(kiln_batches *batches, uint64_t draw, int32_t *indices)
{
    uint64_t position = draw * (uint64_t)batches->size, n = (uint64_t)batches->n;
    for (int64_t i = 0; i < batches->size; i++, position++) {
        if (position / n != batches->epoch) {
            batches->epoch = position / n;
            kiln_shuffle(batches->seed, batches->epoch, batches->n, batches->order);
        }
        indices[i] = batches->order[position % n];
    }
}
