/*
 * The CPU backend's own types: the device, an execution and its prepared
 * steps (tasks), and the table of algorithms of each kind of step.
 */
#ifndef KILN_CPU_CPU_H
#define KILN_CPU_CPU_H

#include "backends/cpu/onednn.h"
#include "backends/cpu/simd.h"

/* Below this many elementary operations a step runs on the calling thread:
 * waking a pool costs more. */
#define CPU_PARALLEL_WORK 16384

/* Algorithm numbers of candidates; they go into caches of choices, so a number
 * is never reused. */
enum cpu_algorithm_id {
    CPU_PLAIN = 0, /* valid for every step that all-dense operands describe */
    CPU_ONEDNN_DIRECT = 1,
    CPU_ONEDNN_WINOGRAD = 2,
    CPU_ONEDNN_REPACK = 3,
    CPU_ONEDNN_SGEMM = 4,
    CPU_CONV_EDGE = 5,
    CPU_MATMUL_TILED = 6,
    CPU_CONV_GEMM = 7,
    CPU_CONV_WINOGRAD = 8,
    CPU_MATMUL_ROWS = 9,
};

struct kiln_device_state {
    int threads;
    bool reference;
    const struct cpu_onednn *onednn; /* NULL: absent or masked */
    struct onednn_context *onednn_context;
    const struct cpu_simd *simd;
    char *thread_memory; /* thread_bytes for each thread, for one step at a time */
    int64_t thread_bytes;
    int64_t launches, waits, bytes, peak_bytes;
    char libraries[256];
};

struct kiln_memory {
    char *data;
    int64_t bytes;
};

/* A step prepared for execution: everything resolved to pointers. */
struct cpu_task {
    const struct kiln_step *step;
    kiln_device_state *device;
    struct kiln_exec *exec;
    enum kiln_status (*run)(struct cpu_task *, struct kiln_error *);
    void *data;                  /* the algorithm's own */
    void (*release)(void *data); /* NULL: nothing to release */
    int threads;                 /* for this step */
};

struct kiln_exec {
    kiln_device_state *device;
    char *region[KILN_REGION_COUNT];
    int n;
    struct cpu_task *tasks;
};

/* One way to execute the steps of a kind. */
struct cpu_algorithm {
    uint16_t id;
    const char *name;
    /* Fills scratch_bytes and weight_layout; false where it does not apply.
     * NULL: always applies, needs nothing. */
    bool (*accepts)(kiln_device_state *, const struct kiln_step *, struct kiln_candidate *);
    /* Sets run, data, release and threads of the task. */
    enum kiln_status (*prepare)(struct cpu_task *, struct kiln_error *);
};

/* The algorithms of a kind, best guess first, the plain one last. Where a kind
 * has one good way beside the plain one, both are number 0, and the reference
 * device takes the plain one. */
struct cpu_kind {
    int n;
    const struct cpu_algorithm *algorithms;
};

extern const struct cpu_kind cpu_loop_kind, cpu_matmul_kind, cpu_conv_kind,
    cpu_conv_input_grad_kind, cpu_conv_weight_grad_kind, cpu_window_argmax_kind,
    cpu_window_gather_kind, cpu_window_scatter_kind, cpu_resample_kind, cpu_gather_rows_kind,
    cpu_scatter_add_rows_kind, cpu_rng_kind, cpu_attention_kind, cpu_attention_grad_kind,
    cpu_update_kind;

#define CPU_KIND(name, ...)                                                                        \
    static const struct cpu_algorithm name##_algorithms[] = {__VA_ARGS__};                         \
    const struct cpu_kind name = {sizeof name##_algorithms / sizeof name##_algorithms[0],          \
                                  name##_algorithms}

const struct cpu_kind *cpu_kind_of(enum kiln_step_kind kind);

/* Where a place lies, NULL if its region is absent. */
static inline void *cpu_at(const struct kiln_exec *exec, const struct kiln_place *place)
{
    char *base = exec->region[place->region];
    return base ? base + place->offset : NULL;
}

static inline int64_t cpu_min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t cpu_max(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Threads that pay for so many elementary operations. */
static inline int cpu_threads(const kiln_device_state *device, int64_t work)
{
    return work < CPU_PARALLEL_WORK ? 1 : device->threads;
}

/* memory.c: makes thread_bytes at least bytes; false when out of memory. Not
 * while steps run. */
bool cpu_reserve(kiln_device_state *, int64_t bytes);

/* matmul.c: a product on the calling thread, which may be one of a parallel
 * region; buffer: CPU_GEMM_BUFFER_BYTES. */
void cpu_gemm(const kiln_device_state *, const struct cpu_gemm *, float *buffer);

/* arithmetic.c */
enum kiln_status cpu_arithmetic(kiln_device_state *, double flops, double *done,
                                struct kiln_error *);

/* library.c: cpu_onednn.so from this module's folder, loaded once; NULL if it
 * cannot be had, or if the environment's KILN_CPU_ONEDNN is "off" (tests). */
const struct cpu_onednn *cpu_onednn_load(void);

/* memory.c */
enum kiln_status cpu_memory_create(kiln_device_state *, int64_t bytes, kiln_memory **,
                                   struct kiln_error *);
void cpu_memory_destroy(kiln_device_state *, kiln_memory *);
enum kiln_status cpu_memory_write(kiln_device_state *, kiln_memory *, int64_t offset,
                                  const void *source, int64_t bytes, struct kiln_error *);
enum kiln_status cpu_memory_read(kiln_device_state *, kiln_memory *, int64_t offset, void *target,
                                 int64_t bytes, struct kiln_error *);

/* exec.c */
int cpu_candidates(kiln_device_state *, const struct kiln_step *,
                   struct kiln_candidate[KILN_MAX_CANDIDATES]);
enum kiln_status cpu_exec_create(kiln_device_state *, const struct kiln_steps *,
                                 kiln_memory *const regions[KILN_REGION_COUNT], kiln_exec **,
                                 struct kiln_error *);
void cpu_exec_destroy(kiln_device_state *, kiln_exec *);
enum kiln_status cpu_exec_run(kiln_device_state *, kiln_exec *, int first, int count,
                              struct kiln_error *);

#endif
