/* From a loop's instructions to calls over tiles, and the places of registers. */
#include "backends/cpu/loop_compile.h"

#include <string.h>

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

/* A new vector of a tile's elements; its register's own, over tiles and units,
 * unless it is released. */
static int64_t new_vector(struct compiler *c)
{
    c->kernel->n_vectors++;
    return reserve(c, c->kernel->shape.tile_count * c->kernel->shape.tail_elements * 4);
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
    return new_vector(c);
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
    *op = (struct loop_op){
        .dst = -1, .a = -1, .b = -1, .c = -1, .access = -1, .pattern = -1, .stationary = -1};
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

static int64_t register_bytes(const struct compiler *c, enum form form)
{
    return (form == FORM_SHORT ? CPU_SHORT : c->kernel->shape.lanes) * 4;
}

/* A full vector (or array of lanes) of a register that is less: made once a
 * section, before the tiles unless the register changes from tile to tile. */
static int16_t spread(struct compiler *c, int reg, bool element_level, int section)
{
    const struct kiln_instruction *in = &c->loop->instructions[reg];
    bool before =
        element_level && (in->section != section || is_reduction(in) || in->op == KILN_OP_CONST);
    bool kept = element_level && !before && c->invariant[reg];
    int64_t offset = kept            ? new_vector(c)
                     : element_level ? take_vector(c, before)
                                     : reserve(c, c->kernel->shape.lanes * 4);
    int16_t slot = new_slot(c, offset, -1);
    if (element_level && !kept) {
        c->owned[slot] = offset;
        c->pending[c->n_pending++] = slot;
    }
    bool from_lanes = c->form[reg] == FORM_LANES;
    struct loop_op *op = (before ? new_prologue_op : new_op)(c, from_lanes ? OP_EXPAND : OP_CALL);
    if (from_lanes)
        op->pattern = loop_expand_pattern(c, LOOP_TILE);
    else
        op->call = c->kernel->simd->repeat;
    op->invariant = kept;
    op->dst = slot;
    op->a = (int16_t)reg;
    return slot;
}

/* The lanes that a tile repeats, once a section. */
static int16_t shorten(struct compiler *c, int reg)
{
    int16_t slot = new_slot(c, reserve(c, register_bytes(c, FORM_SHORT)), -1);
    struct loop_op *op = new_prologue_op(c, OP_EXPAND);
    op->pattern = loop_expand_pattern(c, LOOP_TAIL);
    op->is_short = true;
    op->dst = slot;
    op->a = (int16_t)reg;
    return slot;
}

/* Whether a register can be a short operand of instruction k. */
static bool is_short(const struct compiler *c, int k, int reg)
{
    const struct loop_shape *shape = &c->kernel->shape;
    return reg < 0 || c->form[reg] == FORM_SHORT ||
           (c->form[reg] == FORM_LANES && c->loop->instructions[k].section % 2 && shape->repeats &&
            shape->tile.reduced);
}

/* The slot of an operand of instruction k. */
static int16_t operand(struct compiler *c, int k, int reg, bool need_vector)
{
    bool element_level = c->loop->instructions[k].section % 2;
    enum form form = c->form[reg];
    if (form == (need_vector ? element_level ? FORM_VECTOR : FORM_LANES : FORM_SHORT))
        return (int16_t)reg;
    if (!need_vector) {
        if (c->short_of[reg] < 0)
            c->short_of[reg] = shorten(c, reg);
        return c->short_of[reg];
    }
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

bool loop_is_stationary(const struct compiler *c, int access)
{
    return c->kernel->shape.tile.stride[access] == 0 && !loop_meets_a_store(c, access);
}

/* Whether an operand of instruction k comes from another section. */
static bool rests_on_unit(const struct compiler *c, int k)
{
    const struct kiln_instruction *all = c->loop->instructions;
    const int operands[3] = {all[k].a, all[k].b, all[k].c};
    for (int j = 0; j < 3; j++)
        if (operands[j] >= 0 && all[operands[j]].op != KILN_OP_CONST &&
            all[operands[j]].section != all[k].section)
            return true;
    return false;
}

static void compile_load(struct compiler *c, int k, bool element_level)
{
    const struct kiln_instruction *in = &c->loop->instructions[k];
    struct loop_kernel *kernel = c->kernel;
    int16_t pattern = loop_access_pattern(c, in->access, element_level ? LOOP_TILE : LOOP_LANES);
    enum cpu_convert convert =
        loop_load_convert(c->loop->accesses[in->access].place.dtype, in->integer);
    int kind = kernel->patterns[pattern].kind;
    bool stationary = element_level && loop_is_stationary(c, in->access);
    c->form[k] = kind == PATTERN_SCALAR || (!element_level && kernel->shape.lanes == 1) ||
                         (stationary && kernel->shape.repeats)
                     ? FORM_SHORT
                 : element_level ? FORM_VECTOR
                                 : FORM_LANES;
    if (c->form[k] == FORM_VECTOR && kind == PATTERN_LINEAR && convert == CPU_MOVE &&
        !c->copied[k]) {
        kernel->slots[k].access = in->access;
        kernel->moving[kernel->n_moving++] = (int16_t)k;
        return;
    }
    if (c->form[k] == FORM_SHORT && kind != PATTERN_SCALAR) {
        kernel->n_patterns--;
        pattern = loop_access_pattern(c, in->access, LOOP_TAIL);
    }
    if (stationary && c->form[k] == FORM_VECTOR)
        kernel->slots[k].offset = new_vector(c);
    else
        place_result(c, k, element_level);
    struct loop_op *op = new_op(c, OP_LOAD);
    op->dst = (int16_t)k;
    op->access = in->access;
    op->pattern = pattern;
    op->convert = convert;
    op->is_short = c->form[k] == FORM_SHORT;
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
        op->pattern = loop_access_pattern(c, in->access, element_level ? LOOP_TILE : LOOP_LANES);
        op->convert = loop_store_convert(c->loop->accesses[in->access].place.dtype,
                                         c->loop->instructions[in->a].integer);
    }
    if (c->last_use[in->a] == k)
        release_vector(c, (int16_t)in->a);
}

static void compile_reduction(struct compiler *c, int k)
{
    const struct kiln_instruction *in = &c->loop->instructions[k];
    const struct loop_kernel *kernel = c->kernel;
    int16_t a = operand(c, k, in->a, true);
    c->form[k] = c->kernel->shape.lanes == 1 ? FORM_SHORT : FORM_LANES;
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
    c->form[k] = FORM_SHORT;
    c->kernel->slots[k].offset = reserve(c, register_bytes(c, FORM_SHORT));
}

/* The kernel for the op, its operands' types and which of them are short. */
static cpu_pointwise_fn *pointwise_call(const struct compiler *c, const struct kiln_instruction *in,
                                        bool short_a, bool short_b, bool short_c)
{
    const struct cpu_simd_loop *simd = c->kernel->simd;
    bool integer = c->loop->instructions[in->a].integer;
    if (in->op == KILN_OP_SELECT)
        return (integer ? simd->select_i32
                        : simd->select_f32)[(short_b ? 2 : 0) + (short_c ? 1 : 0)];
    if (in->op == KILN_OP_CAST && integer != in->integer)
        return integer ? simd->cast_i32_f32 : simd->cast_f32_i32;
    if (in->op == KILN_OP_CAST)
        return simd->copy;
    return (integer ? simd->i32 : simd->f32)[in->op][(short_a ? 2 : 0) + (short_b ? 1 : 0)];
}

static int arithmetic_index(int op)
{
    return op == KILN_OP_ADD ? 0 : op == KILN_OP_SUB ? 1 : 2;
}

/* (a op b) op c, or c - (a op b), in one call: instruction k and its inner one. */
static void compile_chain(struct compiler *c, int k)
{
    const struct kiln_instruction *last = &c->loop->instructions[k],
                                  *first = &c->loop->instructions[c->inner[k]];
    bool right = last->a != c->inner[k];
    int other = right ? last->a : last->b;
    bool short_a = is_short(c, k, first->a), short_b = is_short(c, k, first->b),
         short_c = is_short(c, k, other);
    int16_t a = operand(c, k, first->a, !short_a), b = operand(c, k, first->b, !short_b),
            third = operand(c, k, other, !short_c);
    if (c->last_use[first->a] == k)
        release_vector(c, (int16_t)first->a);
    if (c->last_use[first->b] == k)
        release_vector(c, (int16_t)first->b);
    c->form[k] = FORM_VECTOR;
    place_result(c, k, true);
    struct loop_op *op = new_op(c, OP_CALL);
    op->dst = (int16_t)k;
    op->a = a;
    op->b = b;
    op->c = third;
    int outer =
        right && last->op == KILN_OP_SUB ? CPU_CHAIN_REVERSED_SUB : arithmetic_index(last->op);
    int variant = (short_a ? 4 : short_b ? 2 : 0) + (short_c ? 1 : 0);
    op->call = c->kernel->simd->chain[arithmetic_index(first->op)][outer][variant];
}

static void compile_pointwise(struct compiler *c, int k, bool element_level)
{
    const struct kiln_instruction *in = &c->loop->instructions[k];
    bool all = is_short(c, k, in->a) && is_short(c, k, in->b) && is_short(c, k, in->c);
    if (c->outer[k] >= 0 && !all) {
        c->deferred[k] = true;
        c->form[k] = FORM_VECTOR;
        return;
    }
    if (c->inner[k] >= 0 && c->deferred[c->inner[k]]) {
        compile_chain(c, k);
        return;
    }
    bool select = in->op == KILN_OP_SELECT, unary = in->b < 0;
    /* a unary op's or select's first operand has no short form beside vectors */
    bool short_a = !all && !unary && !select && is_short(c, k, in->a);
    bool short_b = !all && !unary && is_short(c, k, in->b);
    bool short_c = !all && select && is_short(c, k, in->c);
    int16_t a = operand(c, k, in->a, !all && !short_a);
    int16_t b = unary ? -1 : operand(c, k, in->b, !all && !short_b);
    int16_t third = in->c < 0 ? -1 : operand(c, k, in->c, !all && !short_c);
    c->form[k] = all ? FORM_SHORT : element_level ? FORM_VECTOR : FORM_LANES;
    if (c->invariant[k])
        c->kernel->sections[c->kernel->n_sections - 1].rests_on_unit |= rests_on_unit(c, k);
    if (c->invariant[k] && !all)
        c->kernel->slots[k].offset = new_vector(c);
    else
        place_result(c, k, element_level);
    struct loop_op *op = new_op(c, OP_CALL);
    op->invariant = c->invariant[k];
    op->dst = (int16_t)k;
    op->a = a;
    op->b = b;
    op->c = third;
    op->is_short = all;
    op->call = pointwise_call(c, in, short_a, short_b, short_c);
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
        c->vector_of[reg] = c->short_of[reg] = -1;
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

void loop_compile_program(struct compiler *c)
{
    struct loop_kernel *kernel = c->kernel;
    const struct kiln_loop *loop = c->loop;
    kernel->n_slots = loop->n_instructions;
    for (int k = 0; k < loop->n_instructions; k++) {
        kernel->slots[k].access = -1;
        c->owned[k] = -1;
    }
    kernel->totals_offset = reserve(c, kernel->shape.lanes * (int64_t)sizeof(double));
    loop_find_invariant(c);
    loop_find_chains(c);
    loop_find_uses(c);
    loop_resolve_stores(c);
    for (int first = 0, end; first < loop->n_instructions; first = end) {
        end = first + 1;
        while (end < loop->n_instructions &&
               loop->instructions[end].section == loop->instructions[first].section)
            end++;
        compile_section(c, first, end);
    }
    int64_t words = kernel->n_slots + 2 * kernel->n_stationary + kernel->n_sections;
    kernel->tables_offset = reserve(c, words * (int64_t)sizeof(int64_t));
    kernel->thread_bytes = c->bytes;
}
