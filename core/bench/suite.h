/*
 * The benchmark's results, as they are printed, kept in files and compared.
 *
 * A number that could not be measured is 0 here, is never shown as 0, and its
 * reason stands in the entry's failure.
 */
#ifndef KILN_BENCH_SUITE_H
#define KILN_BENCH_SUITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/api/status.h"

/* Of the file. 1: first. */
#define KILN_SUITE_FORMAT 1
/* Of the work: results of different versions are not compared. 1: first; 2: gan
 * keeps a moving average of its weights. */
#define KILN_SUITE_VERSION 3

#define KILN_SUITE_BANDWIDTHS 6

/* Seconds of one execution, over the samples that were not disturbed. */
struct kiln_suite_times {
    double median, p10, p90;
    int n, dropped;
    bool disturbed; /* too few were undisturbed: these are the best of the others */
};

struct kiln_suite_device {
    char name[64]; /* "cpu", "opencl:0" */
    char device[128], type[16], vendor[64], platform[128], driver[128], version[128];
    char libraries[256];
    int threads, compute_units, clock_mhz;
    int64_t memory_bytes;
    double peak_flops; /* multiply-adds in registers */
    int n_bandwidths;  /* by size, ascending */
    struct kiln_suite_bandwidth {
        double bytes, bytes_per_second; /* of all arrays together; read and written */
    } bandwidths[KILN_SUITE_BANDWIDTHS];
    double launch_seconds; /* of one of many small steps enqueued together */
    double wait_seconds;   /* of one small step and the wait for it */
    char failure[512];
};

struct kiln_suite_op {
    char device[64], name[80], family[24], algorithm[64], layout[24];
    double flops, bytes; /* arithmetic of the direct algorithm; operands, each once */
    double error;        /* worst of the checked elements, as a share of its bound */
    struct kiln_suite_times times;
    char failure[512];
};

struct kiln_suite_model {
    char device[64], name[48], config[48];
    int64_t parameters, batch, images_per_step;
    struct kiln_suite_times step;     /* of training */
    struct kiln_suite_times sample;   /* of sampling n_samples pictures */
    int64_t n_samples;
    int64_t gate_steps;
    double loss, reference, tolerance; /* after gate_steps; relative */
    bool gate_passed;
    double cold_seconds, warm_seconds;  /* to the first step, of a new process */
    int64_t device_bytes, memory_bytes; /* most allocated on the device; most of the process */
    char failure[512];
    char start_failure[512]; /* of cold_seconds, warm_seconds and memory_bytes */
};

struct kiln_suite {
    int format, version;
    char kiln[32], started[32]; /* "2026-01-31T12:00:00Z" */
    bool quick, tuned;
    bool round_products; /* allowed: --matmul-precision medium */
    char host[128], system[128], governor[32];
    int host_cores, host_clock_mhz;
    int64_t host_memory_bytes;
    size_t n_devices, n_ops, n_models, device_capacity, op_capacity, model_capacity;
    struct kiln_suite_device *devices;
    struct kiln_suite_op *ops;
    struct kiln_suite_model *models;
};

/* Frees what the suite holds; accepts a zeroed one. */
void kiln_suite_finish(struct kiln_suite *);
/* Version, time and machine of a new suite. */
void kiln_suite_describe_host(struct kiln_suite *);
/* A zeroed entry at the end, or NULL when out of memory. */
struct kiln_suite_device *kiln_suite_add_device(struct kiln_suite *);
struct kiln_suite_op *kiln_suite_add_op(struct kiln_suite *);
struct kiln_suite_model *kiln_suite_add_model(struct kiln_suite *);
const struct kiln_suite_device *kiln_suite_find_device(const struct kiln_suite *, const char *name);

/* Bandwidth measured for arrays of about so many bytes; 0 if there is none. */
double kiln_suite_bandwidth_at(const struct kiln_suite_device *, double bytes);
/* The least time that the device's peaks allow the op, by arithmetic or bytes;
 * 0 if unknown. */
double kiln_suite_limit(const struct kiln_suite_device *, const struct kiln_suite_op *);

#endif
