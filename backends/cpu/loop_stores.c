/* Stores that are computed in place, and the loads that they overwrite. */
#include "backends/cpu/loop_compile.h"

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

static bool overlap(const struct compiler *c, int a, int b)
{
    const struct kiln_loop *loop = c->loop;
    int64_t low_a, high_a, low_b, high_b;
    if (c->places_unknown || loop->accesses[a].place.region != loop->accesses[b].place.region)
        return false;
    byte_range(loop, a, &low_a, &high_a);
    byte_range(loop, b, &low_b, &high_b);
    return low_a < high_b && low_b < high_a;
}

bool loop_meets_a_store(const struct compiler *c, int access)
{
    for (int a = 0; a < c->loop->n_accesses; a++)
        if (c->loop->accesses[a].store && overlap(c, a, access))
            return true;
    return false;
}

/* Whether the store at s may be computed in place by its operand's producer:
 * one that is run in every tile, and then nothing that the store meets may be
 * read or written later than there. */
static bool can_go_through(const struct compiler *c, int s)
{
    const struct kiln_instruction *in = c->loop->instructions;
    int p = in[s].a;
    if (in[p].section != in[s].section || in[p].op >= KILN_OP_COUNT || in[p].op == KILN_OP_CONST ||
        c->through[p] >= 0 || c->invariant[p])
        return false;
    for (int k = 0; k < c->loop->n_instructions; k++) {
        if (k == s || in[k].section != in[s].section || in[k].access < 0 ||
            !overlap(c, in[k].access, in[s].access))
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
        if (in[k].op == KILN_INSTRUCTION_LOAD && in[k].section == in[s].section &&
            c->last_use[k] > written_at && overlap(c, in[k].access, in[s].access))
            c->copied[k] = true;
}

void loop_find_uses(struct compiler *c)
{
    const struct kiln_instruction *in = c->loop->instructions;
    for (int k = 0; k < c->loop->n_instructions; k++) {
        c->last_use[k] = k;
        c->through[k] = -1;
    }
    for (int k = 0; k < c->loop->n_instructions; k++) {
        const int operands[3] = {in[k].a, in[k].b, in[k].c};
        for (int j = 0; j < 3; j++)
            if (operands[j] >= 0 && in[operands[j]].section == in[k].section) {
                int reader = c->outer[k] >= 0 ? c->outer[k] : k;
                if (c->last_use[operands[j]] < reader)
                    c->last_use[operands[j]] = reader;
            }
    }
}

/* Stores that are computed in place, and loads that must be copied for them. */
void loop_resolve_stores(struct compiler *c)
{
    const struct kiln_loop *loop = c->loop;
    for (int k = 0; k < loop->n_instructions; k++) {
        const struct kiln_instruction *in = &loop->instructions[k];
        if (in->op != KILN_INSTRUCTION_STORE || in->section % 2 == 0)
            continue;
        int16_t pattern = loop_access_pattern(c, in->access, LOOP_TILE);
        bool linear = c->kernel->patterns[pattern].kind == PATTERN_LINEAR;
        c->kernel->n_patterns--;
        enum cpu_convert convert = loop_store_convert(loop->accesses[in->access].place.dtype,
                                                      loop->instructions[in->a].integer);
        bool through = linear && convert == CPU_MOVE && can_go_through(c, k);
        if (through)
            c->through[in->a] = in->access;
        mark_copied(c, k, through ? in->a : k);
    }
}
