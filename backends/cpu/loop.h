/*
 * Loop steps: the plain interpreter, and the vectorised executor.
 *
 * The executor cuts a loop's domain into units that threads take in any order;
 * a unit is a block of kept indices (its lanes) with all their reduced
 * indices. Within a unit, an element-level section runs tile by tile: each
 * instruction is one call over the tile's elements, whose registers are arrays
 * that stay in the first-level cache. Outer-level registers are arrays over
 * the unit's lanes. What is one number along a tile, or repeats with the tail,
 * is a short register of CPU_SHORT values. How a domain is cut depends on the
 * loop alone, never on the number of threads.
 */
#ifndef KILN_CPU_LOOP_H
#define KILN_CPU_LOOP_H

#include "backends/cpu/cpu.h"
#include "backends/cpu/simd.h"

/* One more than a step has: a dimension may be split. */
#define LOOP_MAX_DIMS (KILN_LOOP_MAX_DIMS + 1)

struct loop_dim {
    int64_t extent;
    bool reduced;
    int64_t stride[KILN_LOOP_MAX_ACCESSES]; /* elements */
};

/*
 * The cut domain. Elements of a tile: [count][tail], count values of the tile
 * dimension. A reduced tile dimension is walked within the unit, after the
 * walk dimensions; a kept one belongs to the units.
 */
struct loop_shape {
    int n_unit, n_walk, n_tail;
    struct loop_dim unit[LOOP_MAX_DIMS], walk[LOOP_MAX_DIMS], tail[LOOP_MAX_DIMS], tile;
    int64_t tile_count;    /* most values of the tile dimension in a tile */
    int64_t tail_elements; /* product of the tail's extents */
    bool repeats;          /* what does not move along the tile dimension fits a short register */
    int64_t tail_lanes;    /* of its kept extents */
    int64_t lanes;         /* most lanes of a unit */
    int64_t units;
    int64_t first[KILN_LOOP_MAX_ACCESSES]; /* first element of each access */
};

/* Elements first .. first + count - 1 of a dimension; dim -1: the whole. */
struct loop_range {
    int dim;
    int64_t first, count;
};

/* chunk: most elements of a tile (where a dimension can be cut there). */
void cpu_loop_shape(const struct kiln_loop *, struct loop_range, int64_t chunk,
                    struct loop_shape *);
/* Two ranges that are better executed apart (the innermost kept dimension has
 * no useful divisor), or one; returns their number. */
int cpu_loop_ranges(const struct kiln_loop *, struct loop_range[2]);

/* Where a register's values along a tile (or along the lanes) lie. */
struct loop_pattern {
    enum { PATTERN_SCALAR, PATTERN_LINEAR, PATTERN_STRIDED } kind;
    bool counted; /* extent[0] is to be multiplied by the tile's count */
    int n;
    int64_t extent[LOOP_MAX_DIMS], stride[LOOP_MAX_DIMS];
};

/* One call over a tile or over the lanes. */
struct loop_op {
    enum { OP_CALL, OP_LOAD, OP_STORE, OP_EXPAND, OP_SUM, OP_MAX } kind;
    int16_t dst, a, b, c; /* slots; SUM, MAX: c is the accumulators' */
    bool is_short;        /* CPU_SHORT elements only */
    int16_t stationary;   /* LOAD: number of the address at which it may be skipped, -1 */
    bool invariant; /* CALL, EXPAND: of stationary values alone, skipped while they are the same */
    int16_t access, pattern;
    enum cpu_convert convert;
    cpu_pointwise_fn *call;
};

/* Where a value lies: in a thread's memory, or (access >= 0) in place. */
struct loop_slot {
    int64_t offset;
    int access;
};

struct loop_section {
    bool element_level;
    bool rests_on_unit; /* invariant ops read registers of other sections */
    int prologue, body,
        end; /* ops prologue .. body - 1 before the tiles, body .. end - 1 in each */
    int first_moving, n_moving; /* slots that lie in place */
};

/* A compiled loop; one allocation. */
struct loop_kernel {
    struct loop_shape shape;
    int n_sections, n_ops, n_slots, n_patterns, n_moving;
    int n_stationary;
    int n_vectors; /* registers of a tile's size that a thread needs at once */
    struct loop_section *sections;
    struct loop_op *ops;
    struct loop_slot *slots; /* the first ones are the instructions' registers */
    struct loop_pattern *patterns;
    int16_t *moving; /* slots that lie in place, by section */
    /* Reductions see a tile as [u][r][w], the tile's count being part of u (if
     * kept) or of r: u kept, r reduced, w mixed. lane_of: which of w's lanes
     * each of w belongs to. */
    int64_t u, r, w, w_lanes;
    int32_t *lane_of;
    int64_t totals_offset; /* f64 [lanes], in a thread's memory */
    int64_t tables_offset; /* addresses of slots and of stationary loads */
    int64_t thread_bytes;
    char *base[KILN_LOOP_MAX_ACCESSES];
    int64_t element_bytes[KILN_LOOP_MAX_ACCESSES];
    const struct kiln_loop *loop;
    const struct cpu_simd_loop *simd;
};

/* NULL when out of memory. The loop outlives the kernel. */
struct loop_kernel *cpu_loop_compile(const struct kiln_loop *, struct loop_range,
                                     const struct cpu_simd_loop *, const struct kiln_exec *);
/* Destroys a kernel; accepts NULL. */
void cpu_loop_release(struct loop_kernel *);
/* memory: thread_bytes for each of threads. */
void cpu_loop_run(const struct loop_kernel *, int threads, char *memory, int64_t thread_stride);

enum kiln_status cpu_loop_plain_prepare(struct cpu_task *, struct kiln_error *);

#endif
