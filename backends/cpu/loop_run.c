/* Executing a compiled loop. */
#include "backends/cpu/loop.h"

#include <math.h>
#include <omp.h>
#include <string.h>

/* Elementary operations of a thread's turn, at least. */
#define TURN_WORK        16384
#define TURNS_PER_THREAD 8

/* What a thread works with. */
struct runner {
    const struct loop_kernel *kernel;
    char *memory;
    char *unit[KILN_LOOP_MAX_ACCESSES]; /* addresses of the unit */
    char *at[KILN_LOOP_MAX_ACCESSES];   /* addresses of the tile */
    void **slots;                       /* addresses of values */
    const char **last;                  /* addresses at which stationary loads were done */
    int64_t *last_count;
    int64_t *done; /* of each section: count that its invariant ops are done for, -1 */
    bool fresh;    /* invariant ops are to be done in this tile */
    int64_t count; /* of the tile dimension, in the unit or in the tile */
};

static int64_t tile_elements(const struct runner *run)
{
    return run->count * run->kernel->shape.tail_elements;
}

static int64_t unit_lanes(const struct runner *run)
{
    const struct loop_shape *shape = &run->kernel->shape;
    return shape->tail_lanes * (shape->tile.reduced ? 1 : run->count);
}

typedef void move_fn(void *, const void *, int64_t, int64_t, int64_t, int64_t);

/* Calls a move for the two innermost dimensions at every index of the others;
 * step: bytes of a packed element, bytes: of one in memory. */
static void move_pattern(const struct loop_pattern *p, int64_t count, move_fn *move, bool load,
                         char *packed, char *memory, int64_t bytes)
{
    int64_t extent[LOOP_MAX_DIMS] = {1}, index[LOOP_MAX_DIMS] = {0};
    int outer = p->n > 2 ? p->n - 2 : 0;
    for (int d = 0; d < p->n; d++)
        extent[d] = p->extent[d];
    if (p->counted)
        extent[0] *= count;
    int64_t rows = p->n >= 2 ? extent[p->n - 2] : 1,
            row_stride = p->n >= 2 ? p->stride[p->n - 2] : 0;
    int64_t columns = p->n ? extent[p->n - 1] : 1, column_stride = p->n ? p->stride[p->n - 1] : 1;
    for (;;) {
        if (load)
            move(packed, memory, rows, row_stride, columns, column_stride);
        else
            move(memory, packed, rows, row_stride, columns, column_stride);
        packed += rows * columns * 4;
        int d = outer - 1;
        for (; d >= 0; d--) {
            memory += p->stride[d] * bytes;
            if (++index[d] < extent[d])
                break;
            memory -= extent[d] * p->stride[d] * bytes;
            index[d] = 0;
        }
        if (d < 0)
            return;
    }
}

/* Repeats the first n of a short register's values. */
static void fill_short(void *slot, int64_t n)
{
    int32_t *values = slot;
    for (int64_t i = n; i < CPU_SHORT; i++)
        values[i] = values[i - n];
}

static void run_load(struct runner *run, const struct loop_op *op)
{
    const struct loop_kernel *kernel = run->kernel;
    char *address = run->at[op->access];
    if (op->stationary >= 0) {
        if (run->last[op->stationary] == address && run->last_count[op->stationary] >= run->count)
            return;
        run->last[op->stationary] = address;
        run->last_count[op->stationary] = run->count;
        run->fresh = true;
    }
    const struct loop_pattern *pattern = &kernel->patterns[op->pattern];
    void *slot = run->slots[op->dst];
    if (op->is_short && pattern->kind == PATTERN_SCALAR) {
        kernel->simd->load[op->convert](slot, address, 1, 0, 1, 1);
        fill_short(slot, 1);
        return;
    }
    move_pattern(pattern, run->count, kernel->simd->load[op->convert], true, slot, address,
                 kernel->element_bytes[op->access]);
    if (op->is_short)
        fill_short(slot, kernel->shape.tail_elements);
}

/* Runs ops first .. end - 1 on n elements (or lanes). */
static void run_ops(struct runner *run, int first, int end, int64_t n)
{
    const struct loop_kernel *kernel = run->kernel;
    const struct cpu_simd_loop *simd = kernel->simd;
    void **slots = run->slots;
    int64_t u = kernel->u * (kernel->shape.tile.reduced ? 1 : run->count);
    int64_t r = kernel->r * (kernel->shape.tile.reduced ? run->count : 1);
    for (const struct loop_op *op = kernel->ops + first, *last = kernel->ops + end; op < last;
         op++) {
        if (op->invariant && !run->fresh)
            continue;
        switch (op->kind) {
        case OP_CALL:
            op->call(slots[op->dst], slots[op->a], op->b >= 0 ? slots[op->b] : NULL,
                     op->c >= 0 ? slots[op->c] : NULL, op->is_short ? CPU_SHORT : n);
            break;
        case OP_LOAD:
            run_load(run, op);
            break;
        case OP_STORE:
            move_pattern(&kernel->patterns[op->pattern], run->count, simd->store[op->convert],
                         false, slots[op->a], run->at[op->access],
                         kernel->element_bytes[op->access]);
            break;
        case OP_EXPAND:
            move_pattern(&kernel->patterns[op->pattern], run->count, simd->load[CPU_MOVE], true,
                         slots[op->dst], slots[op->a], 4);
            if (op->is_short)
                fill_short(slots[op->dst], kernel->shape.tail_elements);
            break;
        case OP_SUM:
            simd->sum(slots[op->c], slots[op->a], u, r, kernel->w);
            break;
        case OP_MAX:
            simd->max(slots[op->c], slots[op->a], u, r, kernel->w);
            break;
        }
    }
}

/* --- reductions ----------------------------------------------------------------- */

static void start_reductions(struct runner *run, const struct loop_section *section)
{
    const struct loop_kernel *kernel = run->kernel;
    int64_t n = kernel->u * kernel->w * (kernel->shape.tile.reduced ? 1 : run->count);
    for (int i = section->body; i < section->end; i++) {
        const struct loop_op *op = &kernel->ops[i];
        if (op->kind == OP_SUM)
            memset(run->slots[op->c], 0, (size_t)n * sizeof(double));
        for (int64_t j = 0; op->kind == OP_MAX && j < n; j++)
            ((float *)run->slots[op->c])[j] = -INFINITY;
    }
}

/* From accumulators [u][w] to the lanes [u][w_lanes]. */
static void finish_sum(struct runner *run, const struct loop_op *op, int64_t u)
{
    const struct loop_kernel *kernel = run->kernel;
    const double *acc = run->slots[op->c];
    float *out = run->slots[op->dst];
    double *totals = (double *)(void *)(run->memory + kernel->totals_offset);
    if (kernel->w_lanes == kernel->w) {
        for (int64_t i = 0; i < u * kernel->w; i++)
            out[i] = (float)acc[i];
        return;
    }
    for (int64_t i = 0; i < u; i++, acc += kernel->w, out += kernel->w_lanes) {
        for (int64_t j = 0; j < kernel->w_lanes; j++)
            totals[j] = 0;
        for (int64_t j = 0; j < kernel->w; j++)
            totals[kernel->lane_of[j]] += acc[j];
        for (int64_t j = 0; j < kernel->w_lanes; j++)
            out[j] = (float)totals[j];
    }
}

static void finish_max(struct runner *run, const struct loop_op *op, int64_t u)
{
    const struct loop_kernel *kernel = run->kernel;
    const float *acc = run->slots[op->c];
    float *out = run->slots[op->dst];
    for (int64_t i = 0; i < u; i++, acc += kernel->w, out += kernel->w_lanes) {
        for (int64_t j = 0; j < kernel->w_lanes; j++)
            out[j] = -INFINITY;
        for (int64_t j = 0; j < kernel->w; j++) {
            float *best = &out[kernel->lane_of[j]];
            *best = *best >= acc[j] || *best != *best ? *best : acc[j];
        }
    }
}

static void finish_reductions(struct runner *run, const struct loop_section *section)
{
    const struct loop_kernel *kernel = run->kernel;
    int64_t u = kernel->u * (kernel->shape.tile.reduced ? 1 : run->count);
    for (int i = section->body; i < section->end; i++) {
        const struct loop_op *op = &kernel->ops[i];
        if (op->kind == OP_SUM)
            finish_sum(run, op, u);
        else if (op->kind == OP_MAX)
            finish_max(run, op, u);
        else
            continue;
        if (kernel->shape.lanes == 1)
            fill_short(run->slots[op->dst], 1);
    }
}

/* --- units ------------------------------------------------------------------------ */

static void move_slots(struct runner *run, const struct loop_section *section)
{
    const struct loop_kernel *kernel = run->kernel;
    for (int i = section->first_moving; i < section->first_moving + section->n_moving; i++)
        run->slots[kernel->moving[i]] = run->at[kernel->slots[kernel->moving[i]].access];
}

/* One tile at the addresses of the walk, first .. first + count - 1 of the
 * tile dimension. */
static void run_tile(struct runner *run, const struct loop_section *section, char *const *base,
                     int64_t first)
{
    const struct loop_kernel *kernel = run->kernel;
    for (int a = 0; a < kernel->loop->n_accesses; a++)
        run->at[a] = base[a] + first * kernel->shape.tile.stride[a] * kernel->element_bytes[a];
    move_slots(run, section);
    int64_t *done = &run->done[section - kernel->sections];
    run->fresh = *done < run->count;
    run_ops(run, section->body, section->end, tile_elements(run));
    if (run->fresh)
        *done = run->count;
}

/* All tiles of a unit whose tile dimension is reduced. */
static void walk_tiles(struct runner *run, const struct loop_section *section)
{
    const struct loop_kernel *kernel = run->kernel;
    const struct loop_shape *shape = &kernel->shape;
    int64_t index[LOOP_MAX_DIMS] = {0};
    char *base[KILN_LOOP_MAX_ACCESSES];
    int n_accesses = kernel->loop->n_accesses;
    memcpy(base, run->unit, (size_t)n_accesses * sizeof *base);
    for (;;) {
        for (int64_t first = 0; first < shape->tile.extent; first += shape->tile_count) {
            run->count = cpu_min(shape->tile_count, shape->tile.extent - first);
            run_tile(run, section, base, first);
        }
        int d = shape->n_walk - 1;
        for (; d >= 0; d--) {
            bool wraps = ++index[d] == shape->walk[d].extent;
            int64_t by = wraps ? 1 - shape->walk[d].extent : 1;
            for (int a = 0; a < n_accesses; a++)
                base[a] += by * shape->walk[d].stride[a] * kernel->element_bytes[a];
            if (!wraps)
                break;
            index[d] = 0;
        }
        if (d < 0)
            return;
    }
}

static void run_unit(struct runner *run)
{
    const struct loop_kernel *kernel = run->kernel;
    const struct loop_shape *shape = &kernel->shape;
    for (int s = 0; s < kernel->n_sections; s++) {
        const struct loop_section *section = &kernel->sections[s];
        if (shape->tile.reduced)
            run->count = shape->tile_count; /* the prologue fills whole tiles */
        if (!section->element_level) {
            memcpy(run->at, run->unit, (size_t)kernel->loop->n_accesses * sizeof *run->at);
            run_ops(run, section->body, section->end, unit_lanes(run));
            continue;
        }
        if (section->rests_on_unit)
            run->done[s] = -1;
        run_ops(run, section->prologue, section->body, tile_elements(run));
        start_reductions(run, section);
        if (shape->tile.reduced)
            walk_tiles(run, section);
        else
            run_tile(run, section, run->unit, 0);
        finish_reductions(run, section);
    }
}

/* Addresses of a unit, and the count of its tile dimension if that is kept. */
static void seek_unit(struct runner *run, int64_t unit)
{
    const struct loop_kernel *kernel = run->kernel;
    const struct loop_shape *shape = &kernel->shape;
    int n_accesses = kernel->loop->n_accesses;
    int64_t offset[KILN_LOOP_MAX_ACCESSES];
    for (int a = 0; a < n_accesses; a++)
        offset[a] = 0;
    if (!shape->tile.reduced) {
        int64_t tiles = (shape->tile.extent + shape->tile_count - 1) / shape->tile_count;
        int64_t first = unit % tiles * shape->tile_count;
        unit /= tiles;
        run->count = cpu_min(shape->tile_count, shape->tile.extent - first);
        for (int a = 0; a < n_accesses; a++)
            offset[a] = first * shape->tile.stride[a];
    }
    for (int d = shape->n_unit - 1; d >= 0; d--) {
        int64_t index = unit % shape->unit[d].extent;
        unit /= shape->unit[d].extent;
        for (int a = 0; a < n_accesses; a++)
            offset[a] += index * shape->unit[d].stride[a];
    }
    for (int a = 0; a < n_accesses; a++)
        run->unit[a] = kernel->base[a] + offset[a] * kernel->element_bytes[a];
}

/* Lays out a thread's memory: values, then the tables of addresses. */
static void start_runner(struct runner *run, const struct loop_kernel *kernel, char *memory)
{
    run->kernel = kernel;
    run->memory = memory;
    run->slots = (void **)(void *)(memory + kernel->tables_offset);
    run->last = (const char **)(void *)(run->slots + kernel->n_slots);
    run->last_count = (int64_t *)(void *)(run->last + kernel->n_stationary);
    for (int i = 0; i < kernel->n_slots; i++)
        run->slots[i] = memory + kernel->slots[i].offset;
    for (int i = 0; i < kernel->n_stationary; i++)
        run->last[i] = NULL;
    run->done = run->last_count + kernel->n_stationary;
    for (int s = 0; s < kernel->n_sections; s++)
        run->done[s] = -1;
    for (int k = 0; k < kernel->loop->n_instructions; k++) {
        const struct kiln_instruction *in = &kernel->loop->instructions[k];
        if (in->op == KILN_OP_CONST)
            for (int i = 0; i < CPU_SHORT; i++)
                ((int32_t *)run->slots[k])[i] = in->immediate.i;
    }
}

void cpu_loop_run(const struct loop_kernel *kernel, int threads, char *memory,
                  int64_t thread_stride)
{
    const struct loop_shape *shape = &kernel->shape;
    int64_t work = 1 + shape->lanes * kernel->n_ops;
    for (int d = 0; d < shape->n_walk; d++)
        work *= shape->walk[d].extent;
    work *=
        shape->tail_elements / shape->tail_lanes * (shape->tile.reduced ? shape->tile.extent : 1);
    int64_t turn = cpu_max(TURN_WORK / work, shape->units / ((int64_t)threads * TURNS_PER_THREAD));
    turn = cpu_max(turn, 1);
    int64_t turns = (shape->units + turn - 1) / turn;
    threads = (int)cpu_min(threads, turns);
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        struct runner run;
        start_runner(&run, kernel, memory + omp_get_thread_num() * thread_stride);
#pragma omp for schedule(dynamic, 1)
        for (int64_t t = 0; t < turns; t++)
            for (int64_t unit = t * turn, end = cpu_min(unit + turn, shape->units); unit < end;
                 unit++) {
                seek_unit(&run, unit);
                run_unit(&run);
            }
    }
}
