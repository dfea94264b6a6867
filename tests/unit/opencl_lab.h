/*
 * Runs single steps on an OpenCL device and in the naive interpreter, and
 * compares every byte of their memory: what a step must not write is checked
 * with what it must.
 */
#ifndef KILN_TEST_OPENCL_LAB_H
#define KILN_TEST_OPENCL_LAB_H

#include "core/api/backend.h"

enum { LAB_PARTS = 64 };

struct lab {
    const struct kiln_backend *backend;
    kiln_device_state *device;
    struct kiln_caps caps;
    unsigned char *image;
    int64_t bytes;
    int n_parts;
    struct {
        struct kiln_place place;
        int64_t count;
    } part[LAB_PARTS];
    uint64_t random;
    double worst;     /* largest error as a share of its bound */
    /* of Winograd's results: as a share of their root mean square, at most 1e-5 */
    double worst_winograd;
    const char *only; /* name of the only candidate to run, NULL = all */
};

/* Loads the module and counts devices; 0 = none (skip). */
int lab_devices(void);
/* family: "cpu", "gpu" or "" (the device's own). */
struct lab lab_open(int index, const char *family);
struct lab lab_open_with(int index, const char *family, const struct kiln_device_options *);
void lab_close(struct lab *);
/* Forgets all operands. */
void lab_clear(struct lab *);
/* count random elements: f32 in +-1, i32 in 0 .. bound - 1, u8 any. */
struct kiln_place lab_put(struct lab *, enum kiln_dtype, int64_t count, int32_t bound);
/* The elements of a place, for setting them. */
void *lab_at(struct lab *, struct kiln_place);
uint32_t lab_random(struct lab *, uint32_t bound);
/*
 * Runs the step with every candidate of the device, each from the same memory,
 * and checks |got - want| <= relative |want| + absolute everywhere. what names
 * the case in a failure. Convolutions take the candidate's weight layout; for
 * Winograd's algorithms the absolute bound is 10 times as large.
 */
void lab_check(struct lab *, struct kiln_step *, const char *what, double relative,
               double absolute);
/* Seconds of one execution: the least of several batches that take so long
 * together; also the processor's, which a busy machine disturbs less. */
double lab_time(struct lab *, struct kiln_step *, const struct kiln_candidate *, double seconds,
                double *processor_seconds);

/* True if a case of that many multiply-adds is to be left out: in simulators,
 * with KILN_TEST_SMALL in the environment, where it would take minutes. */
bool lab_too_large(int64_t multiply_adds);

#endif
