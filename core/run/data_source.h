/*
 * What the sources of a data set give to dataset.c.
 */
#ifndef KILN_RUN_DATA_SOURCE_H
#define KILN_RUN_DATA_SOURCE_H

#include "core/run/dataset.h"
#include "core/run/image.h"

/* One split: pictures [n, c, h, w] u8 or f32, or points ([n, 2, 1, 1] f32). */
struct kiln_data_part {
    int64_t n, c, h, w;
    enum kiln_dtype dtype;
    void *x;        /* malloc'd */
    int32_t *label; /* [n], malloc'd; NULL = none */
};

struct kiln_data_parts {
    struct kiln_data_part train, test; /* test.n 0: the source has no test data */
    int64_t n_classes;                 /* 0: as many as the labels tell */
    bool points;
};

void kiln_data_part_finish(struct kiln_data_part *);
/* Takes the data of pictures, which is left empty. */
void kiln_data_part_take(struct kiln_data_part *, struct kiln_pictures *);
/* Allocates x and, if labelled, label. */
enum kiln_status kiln_data_part_create(struct kiln_data_part *, bool labelled,
                                       struct kiln_error *);

/* The sources; each fills parts, which the caller frees, also on failure. */
enum kiln_status kiln_data_read_idx(const struct kiln_dataset_spec *, struct kiln_data_parts *,
                                    struct kiln_error *);
enum kiln_status kiln_data_read_cifar10(const struct kiln_dataset_spec *, struct kiln_data_parts *,
                                        struct kiln_error *);
enum kiln_status kiln_data_read_folder(const struct kiln_dataset_spec *, struct kiln_data_parts *,
                                       struct kiln_error *);
enum kiln_status kiln_data_read_safetensors(const struct kiln_dataset_spec *,
                                            struct kiln_data_parts *, struct kiln_error *);
enum kiln_status kiln_data_draw_points(const struct kiln_dataset_spec *, struct kiln_data_parts *,
                                       struct kiln_error *);
enum kiln_status kiln_data_draw_shapes(const struct kiln_dataset_spec *, struct kiln_data_parts *,
                                       struct kiln_error *);

#endif
