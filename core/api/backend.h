/*
 * The backend interface: one table of functions, and constant capabilities.
 *
 * A backend is a shared module that exports
 *     const struct kiln_backend *kiln_backend_entry(void);
 * Every documented precondition is checked above the table (core/device); a
 * backend does not check again. Functions that can fail return a status and
 * write one line into error. All calls on a device come from one thread.
 */
#ifndef KILN_BACKEND_H
#define KILN_BACKEND_H

#include "step.h"

#ifdef __cplusplus
extern "C" {
#endif

/* 1: first version; 2: arithmetic; 3: library_measure, library_use;
 * 4: round_products */
#define KILN_BACKEND_ABI 4

enum kiln_device_type { KILN_DEVICE_CPU, KILN_DEVICE_GPU, KILN_DEVICE_ACCELERATOR };

/* 0 or "" = unknown or unsupported. */
struct kiln_caps {
    enum kiln_device_type type;
    char name[128], vendor[64], driver[128], version[128], platform[128];
    int compute_units;
    int64_t memory_bytes;       /* of the device */
    int64_t allocation_bytes;   /* largest single allocation */
    int64_t local_memory_bytes; /* of a work-group */
    int64_t work_group_size;    /* largest */
    int clock_mhz;
    bool fp16, fp64, subgroups, unified_memory;
    /* Layouts worth timing for feature maps, best guess first; ends with
     * DENSE, which every backend supports. */
    int n_feature_layouts;
    enum kiln_layout feature_layouts[4];
    /* Loops that this backend fuses: most instructions and accesses of one
     * loop step. */
    int loop_instructions, loop_accesses;
    /* Kept indices that a reduction should have to fill the device; the plan
     * splits a longer reduction into partial ones below that. It decides the
     * order of sums: it depends on the device alone, not on device options. */
    int64_t parallelism;
};

struct kiln_device_options {
    int threads;           /* 0 = the backend's choice */
    bool reference;        /* every override masked: the plain baseline */
    bool round_products;   /* products and convolutions may round their operands to bfloat16,
                              and sum in f32, where that is faster */
    bool kernel_cache;     /* read and write program binaries on disk */
    const char *cache_dir; /* existing, private directory, or NULL */
};

typedef struct kiln_device_state kiln_device_state; /* the backend's own */
typedef struct kiln_memory kiln_memory;             /* one allocation */
typedef struct kiln_exec kiln_exec;                 /* prepared steps */

/* A way to execute one step. */
struct kiln_candidate {
    uint16_t algorithm; /* goes into step.algorithm */
    const char *name;   /* constant, e.g. "winograd" */
    int64_t scratch_bytes;
    enum kiln_layout weight_layout; /* convolutions: what it needs or makes */
    bool winograd;                  /* a Winograd algorithm, with its errors: about 1e-6 of the
                                       result's norm; run.winograd = off does without */
};

#define KILN_MAX_CANDIDATES 16

struct kiln_backend {
    uint32_t abi;     /* KILN_BACKEND_ABI */
    uint32_t size;    /* sizeof(struct kiln_backend) */
    const char *name; /* "cpu" */

    /* Fills at most max capability structs; *n is the number of devices.
     * No device is not a failure. */
    enum kiln_status (*enumerate)(int max, struct kiln_caps *caps, int *n, struct kiln_error *);

    enum kiln_status (*open)(int index, const struct kiln_device_options *, kiln_device_state **,
                             struct kiln_caps *, struct kiln_error *);
    void (*close)(kiln_device_state *);

    /* Zero-filled memory of bytes > 0. */
    enum kiln_status (*memory_create)(kiln_device_state *, int64_t bytes, kiln_memory **,
                                      struct kiln_error *);
    void (*memory_destroy)(kiln_device_state *, kiln_memory *);
    /* Enqueues a copy from the host; source may be reused at return. */
    enum kiln_status (*write)(kiln_device_state *, kiln_memory *, int64_t offset,
                              const void *source, int64_t bytes, struct kiln_error *);
    /* Waits for all that was enqueued, then copies to the host. */
    enum kiln_status (*read)(kiln_device_state *, kiln_memory *, int64_t offset, void *target,
                             int64_t bytes, struct kiln_error *);

    /*
     * The ways to execute step (whose places may be unset: only kind, sizes,
     * strides, dtypes and layouts count), best guess first; returns their
     * number (<= KILN_MAX_CANDIDATES). Convolutions: x_layout and y_layout are
     * given, each candidate names the weight layout it needs (weight gradient:
     * writes); 0 = not available in these layouts. Other kinds, and
     * convolutions with all operands dense: at least one, and the first works
     * for every size.
     */
    int (*candidates)(kiln_device_state *, const struct kiln_step *,
                      struct kiln_candidate[KILN_MAX_CANDIDATES]);

    /* Prepares the steps for regions (NULL where region_bytes is 0); rare and
     * slow: builds kernels and library primitives. The steps and regions
     * outlive the exec. */
    enum kiln_status (*exec_create)(kiln_device_state *, const struct kiln_steps *,
                                    kiln_memory *const regions[KILN_REGION_COUNT], kiln_exec **,
                                    struct kiln_error *);
    void (*exec_destroy)(kiln_device_state *, kiln_exec *);
    /* Enqueues steps first .. first + count - 1; no allocation, no wait. */
    enum kiln_status (*exec_run)(kiln_device_state *, kiln_exec *, int first, int count,
                                 struct kiln_error *);
    /* Waits; late errors surface here. */
    enum kiln_status (*finish)(kiln_device_state *, struct kiln_error *);

    /* Version texts of the libraries used, one line, for logs and the hash of
     * choices. The string lives as long as the device. */
    const char *(*libraries)(kiln_device_state *);
    /* Work since the device was opened: launches (or parallel regions), waits,
     * bytes allocated now and at most. */
    void (*stats)(kiln_device_state *, int64_t *launches, int64_t *waits, int64_t *bytes,
                  int64_t *peak_bytes);

    /* For benchmarks; NULL: the backend has none. Enqueues about so many floating-point
     * operations (2 for each f32 multiply-add, fused where the device can) in registers on all
     * compute units, and nothing else; *done is their number. Its rate is the device's peak, or
     * lower when something else uses the device. */
    enum kiln_status (*arithmetic)(kiln_device_state *, double flops, double *done,
                                   struct kiln_error *);

    /*
     * Parameters of a library below the backend that suit one device better than the library's
     * own; both NULL: there are none. measure looks for about so many seconds and writes the best
     * as one line, "" where the library's own are; it may end the process where a driver fails, and
     * leaves the device with any of them: it wants a process of its own. use takes such a line
     * before the first candidates are asked for; false if it is not one.
     */
    enum kiln_status (*library_measure)(kiln_device_state *, double seconds, char *text,
                                        size_t size, struct kiln_error *);
    bool (*library_use)(kiln_device_state *, const char *text);
};

typedef const struct kiln_backend *kiln_backend_entry_fn(void);

#ifdef __cplusplus
}
#endif
#endif
