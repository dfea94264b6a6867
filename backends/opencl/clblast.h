/*
 * CLBlast's products: internal to clblast*.c.
 */
#ifndef KILN_OPENCL_CLBLAST_H
#define KILN_OPENCL_CLBLAST_H

#include "backends/opencl/opencl.h"

#include <clblast_c.h>

/* Its compiler messages go to stdout, where results belong. */
int cl_blast_mute_stdout(void);
void cl_blast_restore_stdout(int kept);

struct cl_blast_places {
    cl_mem a, b, c;
    size_t a_offset, b_offset, c_offset; /* elements */
};

/* Enqueues a product; CLBlast's status, 0 = success. */
int cl_blast_multiply(kiln_device_state *, const struct kiln_step_matmul *,
                      const struct cl_blast_places *);

/* A product of random matrices, to check and to time. */
struct cl_blast_product {
    struct kiln_step_matmul step;
    struct cl_blast_places at;
    float *host;  /* a, b, c */
    double *work; /* n + k */
};

/* batch products of side x side + 1 x side + 2. False: destroy it all the same. */
bool cl_blast_product_create(kiln_device_state *, int64_t batch, int64_t side, bool transposed_a,
                             bool transposed_b, struct cl_blast_product *);
void cl_blast_product_destroy(kiln_device_state *, struct cl_blast_product *);
/* Runs it on the device and checks the result on the host. */
bool cl_blast_product_is_right(kiln_device_state *, struct cl_blast_product *);

#endif
