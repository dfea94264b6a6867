/* Compiled loops: memory, and the length of tiles. */
#include "backends/cpu/loop_compile.h"

#include <stdlib.h>

/* Elements of a tile while the registers of a program are few; more registers,
 * or operands that are read in place, get shorter tiles, so that all stay in the
 * first-level cache. */
#define CHUNK           1024
#define CHUNK_MIN       256
#define CACHED_ELEMENTS 8192

/* How reductions see a tile. */
static void shape_reductions(struct loop_kernel *kernel)
{
    const struct loop_shape *shape = &kernel->shape;
    int d = 0;
    kernel->u = kernel->r = kernel->w = kernel->w_lanes = 1;
    for (; d < shape->n_tail && !shape->tile.reduced && !shape->tail[d].reduced; d++)
        kernel->u *= shape->tail[d].extent;
    for (; d < shape->n_tail && shape->tail[d].reduced; d++)
        kernel->r *= shape->tail[d].extent;
    for (int e = d; e < shape->n_tail; e++) {
        kernel->w *= shape->tail[e].extent;
        kernel->w_lanes *= shape->tail[e].reduced ? 1 : shape->tail[e].extent;
    }
    for (int64_t j = 0; j < kernel->w; j++) {
        int64_t rest = j, lane = 0, stride = 1;
        for (int e = shape->n_tail - 1; e >= d; e--) {
            int64_t digit = rest % shape->tail[e].extent;
            rest /= shape->tail[e].extent;
            if (shape->tail[e].reduced)
                continue;
            lane += digit * stride;
            stride *= shape->tail[e].extent;
        }
        kernel->lane_of[j] = (int32_t)lane;
    }
}

/* The kernel with room for everything the compiler can make of n instructions. */
static struct loop_kernel *kernel_of(int n, int64_t tail_elements)
{
    struct loop_kernel *kernel = calloc(1, sizeof *kernel);
    size_t many = (size_t)(OPS_PER_INSTRUCTION * n + 1);
    if (!kernel)
        return NULL;
    kernel->sections = calloc((size_t)n + 1, sizeof *kernel->sections);
    kernel->ops = calloc(many, sizeof *kernel->ops);
    kernel->slots = calloc(many, sizeof *kernel->slots);
    kernel->patterns = calloc((size_t)n + 4, sizeof *kernel->patterns);
    kernel->moving = calloc((size_t)n + 1, sizeof *kernel->moving);
    kernel->lane_of = calloc((size_t)tail_elements, sizeof *kernel->lane_of);
    if (kernel->sections && kernel->ops && kernel->slots && kernel->patterns && kernel->moving &&
        kernel->lane_of)
        return kernel;
    cpu_loop_release(kernel);
    return NULL;
}

void cpu_loop_release(struct loop_kernel *kernel)
{
    if (!kernel)
        return;
    free(kernel->sections);
    free(kernel->ops);
    free(kernel->slots);
    free(kernel->patterns);
    free(kernel->moving);
    free(kernel->lane_of);
    free(kernel);
}

static struct loop_kernel *compile(const struct kiln_loop *loop, struct loop_range range,
                                   int64_t chunk, const struct cpu_simd_loop *simd,
                                   bool places_unknown)
{
    struct loop_shape shape;
    cpu_loop_shape(loop, range, chunk, &shape);
    struct loop_kernel *kernel = kernel_of(loop->n_instructions, shape.tail_elements);
    struct compiler *c = calloc(1, sizeof *c);
    size_t many = (size_t)(OPS_PER_INSTRUCTION * loop->n_instructions + 1);
    int64_t *offsets = calloc(2 * many, sizeof *offsets);
    int16_t *pending = calloc(many, sizeof *pending);
    struct loop_op *prologue = calloc(many, sizeof *prologue);
    if (kernel && c && offsets && pending && prologue) {
        kernel->shape = shape;
        kernel->loop = loop;
        kernel->simd = simd;
        shape_reductions(kernel);
        *c = (struct compiler){.loop = loop,
                               .kernel = kernel,
                               .free_vectors = offsets,
                               .owned = offsets + many,
                               .pending = pending,
                               .prologue = prologue,
                               .expand = {-1, -1},
                               .places_unknown = places_unknown};
        loop_compile_program(c);
    } else {
        cpu_loop_release(kernel);
        kernel = NULL;
    }
    free(c);
    free(offsets);
    free(pending);
    free(prologue);
    return kernel;
}

/* Elements of a tile, so that its vectors fit into a cache. Tiles decide how sums
 * are cut: they must not depend on what the plan put in place of what. */
static int64_t chunk_of(const struct kiln_loop *loop, struct loop_range range,
                        const struct cpu_simd_loop *simd)
{
    for (int64_t chunk = CHUNK; chunk > CHUNK_MIN; chunk /= 2) {
        struct loop_kernel *trial = compile(loop, range, chunk, simd, true);
        bool fits = !trial || (trial->n_vectors + trial->n_moving) * chunk <= CACHED_ELEMENTS;
        cpu_loop_release(trial);
        if (fits)
            return chunk;
    }
    return CHUNK_MIN;
}

struct loop_kernel *cpu_loop_compile(const struct kiln_loop *loop, struct loop_range range,
                                     const struct cpu_simd_loop *simd, const struct kiln_exec *exec)
{
    struct loop_kernel *kernel = compile(loop, range, chunk_of(loop, range, simd), simd, false);
    for (int a = 0; kernel && a < loop->n_accesses; a++) {
        kernel->element_bytes[a] = (int64_t)kiln_dtype_bytes(loop->accesses[a].place.dtype);
        char *place = cpu_at(exec, &loop->accesses[a].place);
        kernel->base[a] = place ? place + kernel->shape.first[a] * kernel->element_bytes[a] : NULL;
    }
    return kernel;
}
