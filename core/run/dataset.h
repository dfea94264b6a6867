/*
 * Data sets: pictures or points of any source, in host memory in their own
 * dtype, and the order in which training goes through them.
 */
#ifndef KILN_RUN_DATASET_H
#define KILN_RUN_DATASET_H

#include "core/api/model.h"

/* Options of section [data], ends with section NULL. */
extern const struct kiln_option kiln_data_options[];

enum kiln_data_source {
    KILN_DATA_IDX,
    KILN_DATA_CIFAR10,
    KILN_DATA_IMAGES,
    KILN_DATA_SAFETENSORS,
    KILN_DATA_POINTS,
    KILN_DATA_SHAPES
};

/* What to load; strings may be NULL, which is "". The keys of kiln_data_options
 * of the same names say what each means. */
struct kiln_dataset_spec {
    enum kiln_data_source source;
    const char *images, *labels, *test_images, *test_labels; /* files */
    const char *folder;
    const char *mixture;
    int64_t image_size, channels, n_classes;
    int64_t n_train, n_test;
    uint64_t seed;
};

struct kiln_data_split {
    int64_t n;
    void *x;        /* [n, c, h, w] u8 or f32, or [n, 2] f32; NULL if n is 0 */
    int32_t *label; /* [n], NULL if the data set has no labels or n is 0 */
};

/* u8 pictures mean value / 255; f32 pictures are in 0..1. */
struct kiln_dataset {
    struct kiln_data_info info;
    enum kiln_dtype dtype; /* of x: KILN_U8 or KILN_F32 */
    struct kiln_data_split train, test;
};

/* Fills spec from section [data]; strings belong to the config. */
enum kiln_status kiln_dataset_spec_read(const kiln_config *, struct kiln_dataset_spec *,
                                        struct kiln_error *);
/*
 * Loads everything. Without test data of its own, the last tenth (of each
 * class, where folders are classes) is the test split. A missing or bad file
 * is KILN_INPUT and named. *dataset is NULL on failure.
 */
enum kiln_status kiln_dataset_create(const struct kiln_dataset_spec *, struct kiln_dataset **,
                                     struct kiln_error *);
/* Both of the above; messages start with the place in the config of the key
 * that is to blame. */
enum kiln_status kiln_dataset_load(const kiln_config *, struct kiln_dataset **,
                                   struct kiln_error *);
void kiln_dataset_destroy(struct kiln_dataset **);
/* Bytes of one sample of x. */
int64_t kiln_dataset_sample_bytes(const struct kiln_dataset *);

/* --- order ------------------------------------------------------------------ */

/* Writes a permutation of 0 .. n-1 that depends on (seed, epoch) only, the
 * same on every machine. 0 <= n < 2^31. Fisher-Yates on Philox. */
void kiln_shuffle(uint64_t seed, uint64_t epoch, int64_t n, int32_t *order);

/*
 * Batches of a shuffled data set. Training draws one endless sequence: the
 * permutation of epoch 0, then that of epoch 1, ... A batch that reaches the
 * end of an epoch goes on in the next one, so every batch is full and every
 * sample is used once an epoch. The batch of a draw depends on (seed, n, size,
 * draw) only, so resuming needs nothing but the draw's number.
 */
typedef struct kiln_batches kiln_batches;

/* n samples, batches of size (both >= 1, n < 2^31; size may exceed n). */
enum kiln_status kiln_batches_create(uint64_t seed, int64_t n, int64_t size, kiln_batches **,
                                     struct kiln_error *);
void kiln_batches_destroy(kiln_batches **);
/* Sample indices of batch number draw, [size] i32. Cheap when draws ascend. */
void kiln_batches_indices(kiln_batches *, uint64_t draw, int32_t *indices);

#endif
