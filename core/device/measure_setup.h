/*
 * One step in a region of its own, once per candidate: the preparation of a
 * measurement.
 */
#ifndef KILN_DEVICE_MEASURE_SETUP_H
#define KILN_DEVICE_MEASURE_SETUP_H

#include "core/device/validate.h"
#include "core/device/device.h"

/* One candidate made ready. The steps refer to this struct: it does not move. */
struct kiln_trial {
    struct kiln_step step;
    struct kiln_access accesses[KILN_LOOP_MAX_ACCESSES];
    struct kiln_steps steps;
    struct kiln_operand operands[KILN_MAX_OPERANDS]; /* of step */
    int n_operands;
    kiln_exec *exec;
};

/* All operands lie in one allocation; candidates share those whose layout is
 * the same for all, that is every one but a convolution's weight. */
struct kiln_bench {
    kiln_device *device;
    int n;
    struct kiln_trial *trials;
    int64_t bytes;
    kiln_memory *memory;
    float *host; /* largest operand's elements, twice */
    int64_t host_elements;
};

/* Places the operands, allocates and fills them. The caller finishes the bench
 * also when this fails. */
enum kiln_status kiln_bench_create(kiln_device *, const struct kiln_step *, int n,
                                   const struct kiln_candidate *, struct kiln_bench *,
                                   struct kiln_error *);
void kiln_bench_finish(struct kiln_bench *);
/* Reads the f32 elements that trial number i writes into out (in logical order
 * for convolutions); returns their number, at most host_elements; 0 if there
 * are none or reading fails. */
int64_t kiln_bench_result(struct kiln_bench *, int i, float *out);

#endif
