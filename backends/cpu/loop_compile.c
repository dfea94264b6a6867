/* From a loop's program to calls over tiles: places of registers, patterns of
 * accesses, stores that are computed in place. */
#include "backends/cpu/loop.h"

#include <stdlib.h>
#include <string.h>

/* Elements of a tile while the registers of a program are few; more registers
 * get shorter tiles, so that all stay in the first-level cache. */
#define CHUNK 1024
#define CHUNK_MIN 256
#define CACHED_ELEMENTS 8192

/* What a register is. */
enum form { FORM_NONE, FORM_SCALAR, FORM_LANES, FORM_VECTOR };

struct compiler {
    const struct kiln_loop *loop;
    struct loop_kernel *kernel;
    int last_use[KILN_LOOP_MAX_INSTRUCTIONS];  /* instruction, in the register's own section */
    enum form form[KILN_LOOP_MAX_INSTRUCTIONS];
    int through[KILN_LOOP_MAX_INSTRUCTIONS];   /* the access that the register is computed into, -1 */
    bool copied[KILN_LOOP_MAX_INSTRUCTIONS];   /* a load that must not read in place */
    int16_t vector_of[KILN_LOOP_MAX_INSTRUCTIONS]; /* expanded form in the current section, -1 */
    int64_t bytes;                             /* of a thread's memory so far */
    int64_t *free_vectors;                     /* offsets; the first n_fresh unused in this section */
    int n_free, n_fresh;
    int16_t *pending;                          /* slots freed after the current section */
    int n_pending;
    int64_t *owned;                            /* slot -> offset of its vector, -1 */
    struct loop_op *prologue;                  /* of the current section */
    int n_prologue;
    int16_t expand; /* the pattern from lanes to elements, -1 = not made yet */
};

/* Ops, slots that an instruction can make: itself and three operands spread. */
#define OPS_PER_INSTRUCTION 4

static bool is_reduction(const struct kiln_instruction *in)
{
    return in->op == KILN_INSTRUCTION_SUM || in->op == KILN_INSTRUCTION_MAX;
}

static int64_t reserve(struct compiler *c, int64_t bytes)
{
    int64_t offset = c->bytes;
    c->bytes += (bytes + 63) / 64 * 64;
    return offset;
}

static int16_t new_slot(struct compiler *c, int64_t offset, int access)
{
    struct loop_kernel *k = c->kernel;
    c->owned[k->n_slots] = -1;
    k->slots[k->n_slots] = (struct loop_slot){offset, access};
    return (int16_t)k->n_slots++;
}

/* A vector of a tile's elements, given back by release_vector. Fresh: nothing
 * else in this section uses it, so that it may be filled before the tiles. */
static int64_t take_vector(struct compiler *c, bool fresh)
{
    if (fresh && c->n_fresh) {
        int64_t offset = c->free_vectors[--c->n_fresh];
        c->free_vectors[c->n_fresh] = c->free_vectors[--c->n_free];
        return offset;
    }
    if (!fresh && c->n_free) {
        c->n_free--;
        c->n_fresh = c->n_fresh < c->n_free ? c->n_fresh : c->n_free;
        return c->free_vectors[c->n_free];
    }
    c->kernel->n_vectors++;
    return reserve(c, c->kernel->shape.tile_count * c->kernel->shape.tail_elements * 4);
}

static void release_vector(struct compiler *c, int16_t slot)
{
    if (c->owned[slot] < 0)
        return;
    c->free_vectors[c->n_free++] = c->owned[slot];
    c->owned[slot] = -1;
}

static struct loop_op *init_op(struct loop_op *op, int kind)
{
    *op = (struct loop_op){.dst = -1, .a = -1, .b = -1, .c = -1, .access = -1, .pattern = -1, .stationary = -1};
    op->kind = kind;
    return op;
}

static struct loop_op *new_op(struct compiler *c, int kind)
{
    return init_op(&c->kernel->ops[c->kernel->n_ops++], kind);
}

static struct loop_op *new_prologue_op(struct compiler *c, int kind)
{
    return init_op(&c->prologue[c->n_prologue++], kind);
}

/* --- patterns --------------------------------------------------------------- */

static void pattern_add(struct loop_pattern *p, int64_t extent, int64_t stride)
{
    if (extent == 1)
        return;
    if (p->n && p->stride[p->n - 1] == stride * extent) {
        p->extent[p->n - 1] *= extent;
        p->stride[p->n - 1] = stride;
        return;
    }
    p->extent[p->n] = extent;
    p->stride[p->n++] = stride;
}

/* Strides along the tile's dimensions; tile_stride and tail_stride give them. */
static int16_t new_pattern(struct compiler *c, int64_t tile_stride, const int64_t *tail_stride, bool lanes_only)
{
    const struct loop_shape *shape = &c->kernel->shape;
    struct loop_pattern *p = &c->kernel->patterns[c->kernel->n_patterns];
    *p = (struct loop_pattern){.n = 0};
    bool with_tile = shape->tile_count > 1 && !(lanes_only && shape->tile.reduced);
    if (with_tile) {
        p->extent[0] = 1;
        p->stride[0] = tile_stride;
        p->n = 1;
        p->counted = true;
    }
    for (int d = 0; d < shape->n_tail; d++)
        if (!(lanes_only && shape->tail[d].reduced))
            pattern_add(p, shape->tail[d].extent, tail_stride[d]);
    bool all_zero = true;
    for (int d = 0; d < p->n; d++)
        all_zero &= p->stride[d] == 0;
    p->kind = all_zero ? PATTERN_SCALAR : p->n == 1 && p->stride[0] == 1 ? PATTERN_LINEAR : PATTERN_STRIDED;
    return (int16_t)c->kernel->n_patterns++;
}

static int16_t access_pattern(struct compiler *c, int access, bool lanes_only)
{
    const struct loop_shape *shape = &c->kernel->shape;
    int64_t tail[LOOP_MAX_DIMS];
    for (int d = 0; d < shape->n_tail; d++)
        tail[d] = shape->tail[d].stride[access];
    return new_pattern(c, shape->tile.stride[access], tail, lanes_only);
}

/* From lanes to the elements of a tile. */
static int16_t expand_pattern(struct compiler *c)
{
    const struct loop_shape *shape = &c->kernel->shape;
    int64_t tail[LOOP_MAX_DIMS], stride = 1;
    if (c->expand >= 0)
        return c->expand;
    for (int d = shape->n_tail - 1; d >= 0; d--) {
        tail[d] = shape->tail[d].reduced ? 0 : stride;
        stride *= shape->tail[d].reduced ? 1 : shape->tail[d].extent;
    }
    return c->expand = new_pattern(c, shape->tile.reduced ? 0 : stride, tail, false);
}

/* --- conversions ------------------------------------------------------------- */

static enum cpu_convert load_convert(enum kiln_dtype dtype, bool integer)
{
    switch (dtype) {
    case KILN_U8:
        return integer ? CPU_U8_I32 : CPU_U8_F32;
    case KILN_F16:
        return CPU_F16_F32;
    case KILN_I32:
        return integer ? CPU_MOVE : CPU_I32_F32;
    default:
        return integer ? CPU_F32_I32 : CPU_MOVE;
    }
}

static enum cpu_convert store_convert(enum kiln_dtype dtype, bool integer)
{
    switch (dtype) {
    case KILN_U8:
        return integer ? CPU_I32_U8 : CPU_F32_U8;
    case KILN_F16:
        return CPU_F32_F16;
    case KILN_I32:
        return integer ? CPU_MOVE : CPU_F32_I32;
    default:
        return integer ? CPU_I32_F32 : CPU_MOVE;
    }
}

/* --- hazards ------------------------------------------------------------------ */

/* Bytes that an access can touch, relative to its region. */
static void byte_range(const struct kiln_loop *loop, int access, int64_t *low, int64_t *high)
{
    const struct kiln_access *a = &loop->accesses[access];
    int64_t bytes = (int64_t)kiln_dtype_bytes(a->place.dtype);
    *low = a->place.offset;
    *high = a->place.offset + bytes;
    for (int d = 0; d < loop->n_dims; d++) {
        int64_t span = (loop->extent[d] - 1) * a->stride[d] * bytes;
        *(span < 0 ? low : high) += span;
    }
}

static bool overlap(const struct kiln_loop *loop, int a, int b)
{
    int64_t low_a, high_a, low_b, high_b;
    if (loop->accesses[a].place.region != loop->accesses[b].place.region)
        return false;
    byte_range(loop, a, &low_a, &high_a);
    byte_range(loop, b, &low_b, &high_b);
    return low_a < high_b && low_b < high_a;
}

static bool meets_a_store(const struct compiler *c, int access)
{
    for (int a = 0; a < c->loop->n_accesses; a++)
        if (c->loop->accesses[a].store && overlap(c->loop, a, access))
            return true;
    return false;
}

/* Whether the store at s may be computed in place by its operand's producer:
 * then nothing that it meets may be read or written later than there. */
static bool can_go_through(const struct compiler *c, int s)
{
    const struct kiln_instruction *in = c->loop->instructions;
    int p = in[s].a;
    if (in[p].section != in[s].section || in[p].op >= KILN_OP_COUNT || in[p].op == KILN_OP_CONST ||
        c->through[p] >= 0)
        return false;
    for (int k = 0; k < c->loop->n_instructions; k++) {
        if (k == s || in[k].section != in[s].section || in[k].access < 0 ||
            !overlap(c->loop, in[k].access, in[s].access))
            continue;
        if (in[k].op == KILN_INSTRUCTION_STORE || c->last_use[k] > p)
            return false;
    }
    return true;
}

/* Loads that a store overwrites before their last use are copied. */
static void mark_copied(struct compiler *c, int s, int written_at)
{
    const struct kiln_instruction *in = c->loop->instructions;
    for (int k = 0; k < c->loop->n_instructions; k++)
        if (in[k].op == KILN_INSTRUCTION_LOAD && in[k].section == in[s].section && c->last_use[k] > written_at &&
            overlap(c->loop, in[k].access, in[s].access))
            c->copied[k] = true;
}

static void find_uses(struct compiler *c)
{
    const struct kiln_instruction *in = c->loop->instructions;
    for (int k = 0; k < c->loop->n_instructions; k++) {
        c->last_use[k] = k;
        c->through[k] = -1;
        const int operands[3] = {in[k].a, in[k].b, in[k].c};
        for (int j = 0; j < 3; j++)
            if (operands[j] >= 0 && in[operands[j]].section == in[k].section)
                c->last_use[operands[j]] = k;
    }
}

/* --- instructions --------------------------------------------------------------- */

static int64_t register_bytes(const struct compiler *c, enum form form)
{
    return form == FORM_SCALAR ? 4 : c->kernel->shape.lanes * 4;
}

/* A full vector (or array of lanes) of a register that is less: made once a
 * section, before the tiles unless the register changes from tile to tile. */
static int16_t spread(struct compiler *c, int reg, bool element_level, int section)
{
    const struct kiln_instruction *in = &c->loop->instructions[reg];
    bool before = element_level && (in->section != section || is_reduction(in) || in->op == KILN_OP_CONST);
    int64_t offset = element_level ? take_vector(c, before) : reserve(c, c->kernel->shape.lanes * 4);
    int16_t slot = new_slot(c, offset, -1);
    if (element_level) {
        c->owned[slot] = offset;
        c->pending[c->n_pending++] = slot;
    }
    bool from_lanes = c->form[reg] == FORM_LANES;
    struct loop_op *op = (before ? new_prologue_op : new_op)(c, from_lanes ? OP_EXPAND : OP_CALL);
    if (from_lanes)
        op->pattern = expand_pattern(c);
    else
        op->call = c->kernel->simd->splat;
    op->dst = slot;
    op->a = (int16_t)reg;
    return slot;
}

/* The slot of an operand of instruction k. */
static int16_t operand(struct compiler *c, int k, int reg, bool need_vector)
{
    bool element_level = c->loop->instructions[k].section % 2;
    enum form form = c->form[reg];
    if (form == FORM_SCALAR ? !need_vector : form == (element_level ? FORM_VECTOR : FORM_LANES))
        return (int16_t)reg;
    if (c->vector_of[reg] < 0)
        c->vector_of[reg] = spread(c, reg, element_level, c->loop->instructions[k].section);
    return c->vector_of[reg];
}

/* Gives register k its place; before, operands that end here give back theirs. */
static void place_result(struct compiler *c, int k, bool element_level)
{
    const struct kiln_instruction *in = &c->loop->instructions[k];
    struct loop_slot *slot = &c->kernel->slots[k];
    if (element_level) {
        const int operands[3] = {in->a, in->b, in->c};
        for (int j = 0; j < 3; j++)
            if (operands[j] >= 0 && c->last_use[operands[j]] == k)
                release_vector(c, (int16_t)operands[j]);
    }
    if (c->form[k] == FORM_VECTOR) {
        if (c->through[k] >= 0) {
            slot->access = c->through[k];
            c->kernel->moving[c->kernel->n_moving++] = (int16_t)k;
            return;
        }
        slot->offset = c->owned[k] = take_vector(c, false);
        if (c->last_use[k] == k) /* never read: keep the place until the section ends */
            c->pending[c->n_pending++] = (int16_t)k;
        return;
    }
    slot->offset = reserve(c, register_bytes(c, c->form[k]));
}

/* A load whose tile never moves within a unit, nor over units along the tile
 * dimension, keeps its vector, and is skipped while its address is the same. */
static bool is_stationary(const struct compiler *c, int access)
{
    const struct loop_shape *shape = &c->kernel->shape;
    if (shape->tile.stride[access] != 0 || meets_a_store(c, access))
        return false;
    for (int d = 0; d < shape->n_walk; d++)
        if (shape->walk[d].stride[access] != 0)
            return false;
    return true;
}

static void compile_load(struct compiler *c, int k, bool element_level)
{
    const struct kiln_instruction *in = &c->loop->instructions[k];
    struct loop_kernel *kernel = c->kernel;
    int16_t pattern = access_pattern(c, in->access, !element_level);
    enum cpu_convert convert = load_convert(c->loop->accesses[in->access].place.dtype, in->integer);
    int kind = kernel->patterns[pattern].kind;
    c->form[k] = kind == PATTERN_SCALAR || (!element_level && kernel->shape.lanes == 1) ? FORM_SCALAR
                 : element_level                                                        ? FORM_VECTOR
                                                                                        : FORM_LANES;
    if (c->form[k] == FORM_VECTOR && kind == PATTERN_LINEAR && convert == CPU_MOVE && !c->copied[k]) {
        kernel->slots[k].access = in->access;
        kernel->moving[kernel->n_moving++] = (int16_t)k;
        return;
    }
    bool stationary = c->form[k] == FORM_VECTOR && is_stationary(c, in->access);
    if (stationary) {
        kernel->slots[k].offset = reserve(c, kernel->shape.tile_count * kernel->shape.tail_elements * 4);
        kernel->n_vectors++;
    } else {
        place_result(c, k, element_level);
    }
    struct loop_op *op = new_op(c, OP_LOAD);
    op->dst = (int16_t)k;
    op->access = in->access;
    op->pattern = pattern;
    op->convert = convert;
    op->scalar = c->form[k] == FORM_SCALAR;
    op->stationary = stationary ? (int16_t)kernel->n_stationary++ : -1;
}

static void compile_store(struct compiler *c, int k, bool element_level)
{
    const struct kiln_instruction *in = &c->loop->instructions[k];
    bool through = c->through[in->a] == in->access && c->form[in->a] == FORM_VECTOR;
    int16_t a = through ? -1 : operand(c, k, in->a, element_level || c->kernel->shape.lanes > 1);
    if (!through) {
        struct loop_op *op = new_op(c, OP_STORE);
        op->a = a;
        op->access = in->access;
        op->pattern = access_pattern(c, in->access, !element_level);
        op->convert = store_convert(c->loop->accesses[in->access].place.dtype, c->loop->instructions[in->a].integer);
        op->scalar = !element_level && c->kernel->shape.lanes == 1;
    }
    if (c->last_use[in->a] == k)
        release_vector(c, (int16_t)in->a);
}

static void compile_reduction(struct compiler *c, int k)
{
    const struct kiln_instruction *in = &c->loop->instructions[k];
    const struct loop_kernel *kernel = c->kernel;
    int16_t a = operand(c, k, in->a, true);
    c->form[k] = c->kernel->shape.lanes == 1 ? FORM_SCALAR : FORM_LANES;
    c->kernel->slots[k].offset = reserve(c, register_bytes(c, c->form[k]));
    struct loop_op *op = new_op(c, in->op == KILN_INSTRUCTION_SUM ? OP_SUM : OP_MAX);
    op->dst = (int16_t)k;
    op->a = a;
    int64_t count = kernel->shape.tile.reduced ? 1 : kernel->shape.tile_count;
    op->c = new_slot(c, reserve(c, count * kernel->u * kernel->w * (int64_t)sizeof(double)), -1);
    if (c->last_use[in->a] == k)
        release_vector(c, (int16_t)in->a);
}

static void compile_constant(struct compiler *c, int k)
{
    c->form[k] = FORM_SCALAR;
    c->kernel->slots[k].offset = reserve(c, 4);
}

/* The kernel for the op, its operands' types and which of them are scalars. */
static cpu_pointwise_fn *pointwise_call(const struct compiler *c, const struct kiln_instruction *in, bool scalar_a,
                                        bool scalar_b, bool scalar_c)
{
    const struct cpu_simd_loop *simd = c->kernel->simd;
    bool integer = c->loop->instructions[in->a].integer;
    if (in->op == KILN_OP_SELECT)
        return (integer ? simd->select_i32 : simd->select_f32)[(scalar_b ? 2 : 0) + (scalar_c ? 1 : 0)];
    if (in->op == KILN_OP_CAST && integer != in->integer)
        return integer ? simd->cast_i32_f32 : simd->cast_f32_i32;
    if (in->op == KILN_OP_CAST)
        return simd->copy;
    return (integer ? simd->i32 : simd->f32)[in->op][(scalar_a ? 2 : 0) + (scalar_b ? 1 : 0)];
}

static bool is_scalar(const struct compiler *c, int reg)
{
    return reg < 0 || c->form[reg] == FORM_SCALAR;
}

static void compile_pointwise(struct compiler *c, int k, bool element_level)
{
    const struct kiln_instruction *in = &c->loop->instructions[k];
    bool all = is_scalar(c, in->a) && is_scalar(c, in->b) && is_scalar(c, in->c);
    bool select = in->op == KILN_OP_SELECT, unary = in->b < 0;
    /* a unary op's or select's first operand has no scalar form beside vectors */
    bool scalar_a = !all && !unary && !select && is_scalar(c, in->a);
    bool scalar_b = !all && !unary && is_scalar(c, in->b);
    bool scalar_c = !all && select && is_scalar(c, in->c);
    int16_t a = operand(c, k, in->a, !all && !scalar_a);
    int16_t b = unary ? -1 : operand(c, k, in->b, !all && !scalar_b);
    int16_t third = in->c < 0 ? -1 : operand(c, k, in->c, !all && !scalar_c);
    c->form[k] = all ? FORM_SCALAR : element_level ? FORM_VECTOR : FORM_LANES;
    place_result(c, k, element_level);
    struct loop_op *op = new_op(c, OP_CALL);
    op->dst = (int16_t)k;
    op->a = a;
    op->b = b;
    op->c = third;
    op->scalar = all;
    op->call = pointwise_call(c, in, scalar_a, scalar_b, scalar_c);
}

static void compile_instruction(struct compiler *c, int k, bool element_level)
{
    switch (c->loop->instructions[k].op) {
    case KILN_INSTRUCTION_LOAD:
        compile_load(c, k, element_level);
        return;
    case KILN_INSTRUCTION_STORE:
        compile_store(c, k, element_level);
        return;
    case KILN_INSTRUCTION_SUM:
    case KILN_INSTRUCTION_MAX:
        compile_reduction(c, k);
        return;
    case KILN_OP_CONST:
        compile_constant(c, k);
        return;
    default:
        compile_pointwise(c, k, element_level);
    }
}

/* --- the whole ------------------------------------------------------------------ */

/* Stores that are computed in place, and loads that must be copied for them. */
static void resolve_stores(struct compiler *c)
{
    const struct kiln_loop *loop = c->loop;
    for (int k = 0; k < loop->n_instructions; k++) {
        const struct kiln_instruction *in = &loop->instructions[k];
        if (in->op != KILN_INSTRUCTION_STORE || in->section % 2 == 0)
            continue;
        int16_t pattern = access_pattern(c, in->access, false);
        bool linear = c->kernel->patterns[pattern].kind == PATTERN_LINEAR;
        c->kernel->n_patterns--;
        enum cpu_convert convert =
            store_convert(loop->accesses[in->access].place.dtype, loop->instructions[in->a].integer);
        bool through = linear && convert == CPU_MOVE && can_go_through(c, k);
        if (through)
            c->through[in->a] = in->access;
        mark_copied(c, k, through ? in->a : k);
    }
}

static void compile_section(struct compiler *c, int first, int end)
{
    struct loop_kernel *kernel = c->kernel;
    struct loop_section *section = &kernel->sections[kernel->n_sections++];
    int number = c->loop->instructions[first].section, start = kernel->n_ops;
    section->element_level = number % 2;
    section->first_moving = kernel->n_moving;
    c->n_prologue = 0;
    c->n_fresh = c->n_free;
    for (int reg = 0; reg < c->loop->n_instructions; reg++)
        c->vector_of[reg] = -1;
    for (int k = first; k < end; k++)
        compile_instruction(c, k, section->element_level);
    /* the prologue goes before what was compiled */
    memmove(&kernel->ops[start + c->n_prologue], &kernel->ops[start],
            (size_t)(kernel->n_ops - start) * sizeof *kernel->ops);
    memcpy(&kernel->ops[start], c->prologue, (size_t)c->n_prologue * sizeof *kernel->ops);
    kernel->n_ops += c->n_prologue;
    section->prologue = start;
    section->body = start + c->n_prologue;
    section->end = kernel->n_ops;
    section->n_moving = kernel->n_moving - section->first_moving;
    while (c->n_pending)
        release_vector(c, c->pending[--c->n_pending]);
}

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
    kernel->patterns = calloc((size_t)n + 3, sizeof *kernel->patterns);
    kernel->moving = calloc((size_t)n + 1, sizeof *kernel->moving);
    kernel->lane_of = calloc((size_t)tail_elements, sizeof *kernel->lane_of);
    if (kernel->sections && kernel->ops && kernel->slots && kernel->patterns && kernel->moving && kernel->lane_of)
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

static void compile_program(struct compiler *c)
{
    struct loop_kernel *kernel = c->kernel;
    const struct kiln_loop *loop = c->loop;
    kernel->n_slots = loop->n_instructions;
    for (int k = 0; k < loop->n_instructions; k++) {
        kernel->slots[k].access = -1;
        c->owned[k] = -1;
    }
    kernel->totals_offset = reserve(c, kernel->shape.lanes * (int64_t)sizeof(double));
    find_uses(c);
    resolve_stores(c);
    for (int first = 0, end; first < loop->n_instructions; first = end) {
        end = first + 1;
        while (end < loop->n_instructions && loop->instructions[end].section == loop->instructions[first].section)
            end++;
        compile_section(c, first, end);
    }
    int64_t words = kernel->n_slots + 2 * kernel->n_stationary;
    kernel->tables_offset = reserve(c, words * (int64_t)sizeof(int64_t));
    kernel->thread_bytes = c->bytes;
}

static struct loop_kernel *compile(const struct kiln_loop *loop, struct loop_range range, int64_t chunk,
                                   const struct cpu_simd_loop *simd)
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
        *c = (struct compiler){.loop = loop, .kernel = kernel, .free_vectors = offsets, .owned = offsets + many,
                               .pending = pending, .prologue = prologue, .expand = -1};
        compile_program(c);
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

struct loop_kernel *cpu_loop_compile(const struct kiln_loop *loop, struct loop_range range,
                                     const struct cpu_simd_loop *simd, const struct kiln_exec *exec)
{
    struct loop_kernel *kernel = NULL;
    for (int64_t chunk = CHUNK; chunk >= CHUNK_MIN; chunk /= 2) {
        cpu_loop_release(kernel);
        kernel = compile(loop, range, chunk, simd);
        if (!kernel || kernel->n_vectors * chunk <= CACHED_ELEMENTS)
            break;
    }
    for (int a = 0; kernel && a < loop->n_accesses; a++) {
        kernel->element_bytes[a] = (int64_t)kiln_dtype_bytes(loop->accesses[a].place.dtype);
        char *place = cpu_at(exec, &loop->accesses[a].place);
        kernel->base[a] = place ? place + kernel->shape.first[a] * kernel->element_bytes[a] : NULL;
    }
    return kernel;
}
