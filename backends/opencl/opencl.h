/*
 * Shared by the files of the OpenCL backend: the device state, the builder
 * that turns a step into launches, and one prepare function for each kind.
 *
 * Device memory is addressed as (buffer, element offset), never by
 * sub-buffers. There is one in-order queue.
 */
#ifndef KILN_BACKENDS_OPENCL_OPENCL_H
#define KILN_BACKENDS_OPENCL_OPENCL_H

#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>

#include "core/api/backend.h"
#include "backends/opencl/support.h"

/* Host memory through which writes pass, so that a source is free at return. */
struct cl_staging {
    cl_mem buffer;
    char *host; /* mapped for the device's life */
    size_t bytes, slot_bytes;
    int n_slots, next;
    cl_event *busy; /* of each slot, NULL when free */
};

/* A program built for the device; they live until it is closed. */
struct cl_built_program {
    char *key; /* file and options */
    cl_program program;
    struct cl_built_program *next;
};

/* A generated loop kernel, found by its text. */
struct cl_loop_kernel {
    char *text;
    cl_program program;
    char name[32];
    struct cl_loop_kernel *next;
};

/* The probe's kernel, made at its first use. */
struct cl_arithmetic {
    cl_kernel kernel; /* NULL: not yet */
    cl_mem out;       /* [items] */
    size_t items, local;
    int vector;
};

struct kiln_device_state {
    cl_platform_id platform;
    cl_device_id id;
    cl_context context;
    cl_command_queue queue;
    struct kiln_caps caps;
    char vendor[128], libraries[512];
    char *kernel_dir, *cache_dir; /* cache_dir: NULL = nothing is kept on disk */
    bool keep_binaries;           /* false where the driver caches them itself */
    bool cpu_like;                /* float16 tiles, one work-item a group; else local memory */
    bool lost;                    /* after a fatal error nothing is enqueued any more */
    bool reference;               /* plain kernels only */
    bool round_products;          /* operands of products may become bfloat16 */
    bool engine_sought;
    char engine[64];            /* options of kernels with the matrix engine, "" = none */
    int blast;                  /* CLBlast: 0 not tried, 1 passed its check, -1 not usable */
    char blast_parameters[256]; /* its parameters, "" = its own */
    struct cl_arithmetic arithmetic;
    struct cl_staging staging;
    struct cl_built_program *programs;
    struct cl_loop_kernel *loop_kernels;
    int64_t launches, waits, bytes, peak_bytes;
};

struct kiln_memory {
    cl_mem buffer;
    int64_t bytes;
};

/* One enqueue: a kernel with its arguments set, or a CLBlast product. */
struct cl_launch {
    cl_kernel kernel; /* NULL: product is called */
    cl_uint n_dims;
    size_t global[3], local[3];
    const struct kiln_step_matmul *product;
    cl_mem a, b, c;
    bool warm; /* the product was enqueued before */
};

struct kiln_exec {
    int n_steps;
    size_t n_launches, launch_capacity;
    struct cl_launch *launches;
    size_t *first; /* n_steps + 1: the launches of step i start at first[i] */
    size_t n_tables, table_capacity;
    struct cl_memory_table {
        cl_mem buffer;
        int64_t bytes;
    } * tables; /* constant tables of the steps */
};

enum cl_matmul_algorithm {
    CL_MATMUL_PLAIN,
    CL_MATMUL_TILE,
    CL_MATMUL_LOCAL,
    CL_MATMUL_LOCAL_LARGE,
    CL_MATMUL_BLAST,
    CL_MATMUL_ENGINE,
    CL_MATMUL_ENGINE_LARGE
};

/* The first failure sticks; later calls do nothing. */
struct cl_builder {
    kiln_device_state *device;
    kiln_exec *exec;
    kiln_memory *const *regions;
    const struct kiln_step *step;
    enum kiln_status status;
    struct kiln_error *error;
    struct cl_launch launch; /* being built */
    cl_uint n_args;
};

/* --- names of failures (names.c) ------------------------------------------ */

/* "CL_OUT_OF_RESOURCES", or "unknown error". */
const char *cl_error_name(cl_int code);
/* Fails with "opencl: WHAT: NAME (code)"; marks the device lost where the
 * code says so. */
enum kiln_status cl_fail(kiln_device_state *, struct kiln_error *, cl_int code, const char *what);

/* --- devices (device.c) ---------------------------------------------------- */

enum kiln_status cl_enumerate(int max, struct kiln_caps *, int *n, struct kiln_error *);
/* The device of that index; KILN_MACHINE if there is none. */
enum kiln_status cl_device_find(int index, cl_platform_id *, cl_device_id *, struct kiln_error *);
void cl_device_caps(cl_platform_id, cl_device_id, struct kiln_caps *);
/* The names of its extensions, of any number; freed by the caller, NULL when out of memory. */
char *cl_device_extensions(cl_device_id);
/* Whether kernels should be shaped for a processor's vector registers. */
bool cl_device_cpu_like(cl_device_id);

/* --- memory (memory.c) ------------------------------------------------------ */

enum kiln_status cl_memory_create(kiln_device_state *, int64_t bytes, kiln_memory **,
                                  struct kiln_error *);
void cl_memory_destroy(kiln_device_state *, kiln_memory *);
enum kiln_status cl_memory_write(kiln_device_state *, kiln_memory *, int64_t offset,
                                 const void *source, int64_t bytes, struct kiln_error *);
enum kiln_status cl_memory_read(kiln_device_state *, kiln_memory *, int64_t offset, void *target,
                                int64_t bytes, struct kiln_error *);
enum kiln_status cl_staging_create(kiln_device_state *, struct kiln_error *);
void cl_staging_destroy(kiln_device_state *);
/* A buffer counted in the device's account, not filled. */
enum kiln_status cl_buffer_create(kiln_device_state *, int64_t bytes, cl_mem *,
                                  struct kiln_error *);
void cl_buffer_destroy(kiln_device_state *, cl_mem, int64_t bytes);

/* --- programs (program.c, source.c, cache.c) --------------------------------- */

/* The text of kernel_dir/file with its includes inlined; the caller frees it. */
enum kiln_status cl_source_read(const char *kernel_dir, const char *file, char **text,
                                struct kiln_error *);
/* The directory of the kernels, or NULL with the error set. Freed by the caller. */
char *cl_kernel_dir(struct kiln_error *);
/* Builds (or finds) kernels/file with "-DX=1 -DY=2" options. */
enum kiln_status cl_program_get(kiln_device_state *, const char *file, const char *options,
                                cl_program *, struct kiln_error *);
/* Builds a text; name stands for a file name in messages. */
enum kiln_status cl_program_build(kiln_device_state *, const char *name, const char *text,
                                  const char *options, cl_program *, struct kiln_error *);
void cl_programs_release(kiln_device_state *);
/* A program from the disk cache, or NULL. */
cl_program cl_cache_load(kiln_device_state *, const char *text, const char *options);
void cl_cache_store(kiln_device_state *, const char *text, const char *options, cl_program);
/* What a check of this device and driver found: 1 good, -1 bad, 0 not known. */
int cl_cache_verdict(kiln_device_state *, const char *what);
void cl_cache_set_verdict(kiln_device_state *, const char *what, int verdict);

/* --- building launches (builder.c) ------------------------------------------- */

void cl_begin(struct cl_builder *, const char *file, const char *options, const char *kernel);
/* As cl_begin with a program at hand. */
void cl_begin_program(struct cl_builder *, cl_program, const char *kernel);
/* A launch that is a product by CLBlast; ends at once. */
void cl_begin_product(struct cl_builder *, const struct kiln_step_matmul *);
/* Two arguments: the region's buffer and the offset in elements. */
void cl_arg_place(struct cl_builder *, const struct kiln_place *);
/* As cl_arg_place, for f32 elements starting so many bytes into the step's scratch. */
void cl_arg_scratch(struct cl_builder *, int64_t byte_offset);
void cl_arg_buffer(struct cl_builder *, cl_mem);
/* A kernel argument of type int; a value that does not fit fails the builder. */
void cl_arg_int(struct cl_builder *, int64_t);
void cl_arg_long(struct cl_builder *, int64_t);
void cl_arg_float(struct cl_builder *, float);
/* What kernels/lib/divide.clh needs to divide by d, 1 <= d < 2^31. */
struct cl_divisor {
    uint32_t multiplier;
    int shift;
};
struct cl_divisor cl_divisor(int64_t d);
/* Two arguments: uint multiplier, int shift. */
void cl_arg_divisor(struct cl_builder *, int64_t d);
/* Local memory of so many bytes. */
void cl_arg_local(struct cl_builder *, size_t bytes);
/* Ends the launch with one work-item a group (x * y * z of them). */
void cl_end_groups(struct cl_builder *, int64_t x, int64_t y, int64_t z);
/* Ends the launch with groups of a given size. */
void cl_end_local(struct cl_builder *, const int64_t groups[3], const size_t local[3]);
/*
 * Ends the launch of a kernel whose last arguments are (long n, long chunk):
 * each work-item does the items from its number times chunk on. cost is the
 * rough number of operations of an item.
 */
void cl_end_items(struct cl_builder *, int64_t n, int64_t cost);
/* A constant table of the exec; NULL after a failure. */
cl_mem cl_table(struct cl_builder *, const void *data, size_t bytes);
/* Fails the builder, naming the step. */
void cl_refuse(struct cl_builder *, const char *why);

/* --- CLBlast (clblast.c) -------------------------------------------------------- */

/* Whether CLBlast is there and multiplies rightly on this device (checked once). */
bool cl_blast_usable(kiln_device_state *);
/* Whether the strides are such as BLAS knows, and the product is worth a call. */
bool cl_blast_suits(const struct kiln_step_matmul *);
void cl_blast_prepare(struct cl_builder *, const struct kiln_step_matmul *);
enum kiln_status cl_blast_enqueue(kiln_device_state *, struct cl_launch *, struct kiln_error *);
void cl_blast_close(kiln_device_state *);
/* Measured parameters (clblast_tune.c): see library_measure and library_use in backend.h. */
enum kiln_status cl_blast_measure(kiln_device_state *, double seconds, char *text, size_t size,
                                  struct kiln_error *);
bool cl_blast_use(kiln_device_state *, const char *text);
/* "; CLBlast 1.5.3" where it is built in, else "". */
const char *cl_blast_version(void);

/* --- matrix engines (engine.c) ---------------------------------------------------- */

/* Whether products may use one, and the device has one that multiplies rightly
 * (checked once); its kernels need work-groups of 256. */
bool cl_engine_usable(kiln_device_state *);

/* --- the probe (arithmetic.c) ------------------------------------------------------ */

enum kiln_status cl_arithmetic(kiln_device_state *, double flops, double *done,
                               struct kiln_error *);
void cl_arithmetic_release(kiln_device_state *);

/* --- the steps ----------------------------------------------------------------- */

enum kiln_status cl_exec_create(kiln_device_state *, const struct kiln_steps *,
                                kiln_memory *const regions[KILN_REGION_COUNT], kiln_exec **,
                                struct kiln_error *);
void cl_exec_destroy(kiln_device_state *, kiln_exec *);
enum kiln_status cl_exec_run(kiln_device_state *, kiln_exec *, int first, int count,
                             struct kiln_error *);

/* Builds the kernels of all loops among the steps that are not built yet. */
enum kiln_status cl_loops_build(kiln_device_state *, const struct kiln_steps *,
                                struct kiln_error *);
void cl_loops_release(kiln_device_state *);

void cl_loop_prepare(struct cl_builder *, const struct kiln_loop *);
void cl_matmul_prepare(struct cl_builder *, const struct kiln_step *);
/* The launch of a product by tiles of side (64 or 128) squared in local memory,
 * for GPUs whose work-groups may have 256 work-items; engine: by the matrix
 * engine. */
void cl_matmul_local(struct cl_builder *, const struct kiln_step_matmul *, int64_t side,
                     bool engine);
/* Options of a kernel that includes lib/local.clh. */
struct cl_local_options {
    char text[96];
};
struct cl_local_options cl_local_options(const kiln_device_state *, int64_t side, bool engine);
void cl_conv_prepare(struct cl_builder *, const struct kiln_step *);
void cl_window_prepare(struct cl_builder *, const struct kiln_step *);
void cl_resample_prepare(struct cl_builder *, const struct kiln_step_resample *);
void cl_gather_rows_prepare(struct cl_builder *, const struct kiln_step_rows *);
void cl_scatter_rows_prepare(struct cl_builder *, const struct kiln_step_rows *);
void cl_rng_prepare(struct cl_builder *, const struct kiln_step_rng *);
void cl_attention_prepare(struct cl_builder *, const struct kiln_step *);
void cl_attention_grad_prepare(struct cl_builder *, const struct kiln_step *);
void cl_update_prepare(struct cl_builder *, const struct kiln_step_update *);

int cl_matmul_candidates(kiln_device_state *, const struct kiln_step *, struct kiln_candidate *);
int cl_conv_candidates(kiln_device_state *, const struct kiln_step *, struct kiln_candidate *);
int cl_attention_candidates(kiln_device_state *, const struct kiln_step *, struct kiln_candidate *);

#endif
