/* Checking the program and the stores of a loop. */
#include "core/device/validate.h"

#include <stdlib.h>

/* Operands that an instruction reads, -1 = no such op in a loop. */
static int operand_count(uint16_t op)
{
    switch (op) {
    case KILN_INSTRUCTION_LOAD:
    case KILN_OP_CONST:
        return 0;
    case KILN_INSTRUCTION_STORE:
    case KILN_INSTRUCTION_SUM:
    case KILN_INSTRUCTION_MAX:
        return 1;
    case KILN_OP_STOP_GRADIENT:
        return -1;
    }
    if (op >= KILN_OP_COUNT || !kiln_op_is_pointwise((enum kiln_op)op))
        return -1;
    switch (kiln_op_class((enum kiln_op)op)) {
    case KILN_OP_CLASS_UNARY:
        return 1;
    case KILN_OP_CLASS_BINARY:
        return 2;
    default:
        return 3;
    }
}

static bool is_reduction(const struct kiln_instruction *in)
{
    return in->op == KILN_INSTRUCTION_SUM || in->op == KILN_INSTRUCTION_MAX;
}

/* True if instruction i may read register r. */
static bool readable(const struct kiln_loop *loop, int i, int r)
{
    if (r < 0 || r >= i)
        return false;
    const struct kiln_instruction *in = &loop->instructions[i], *from = &loop->instructions[r];
    if (from->op == KILN_INSTRUCTION_STORE)
        return false;
    if (is_reduction(from))
        return in->section > from->section;
    return from->section % 2 == 0 || from->section == in->section;
}

static const char *access_fault(const struct kiln_loop *loop, const struct kiln_instruction *in)
{
    if (in->access < 0 || in->access >= loop->n_accesses)
        return "an instruction names no access";
    const struct kiln_access *access = &loop->accesses[in->access];
    if (access->store != (in->op == KILN_INSTRUCTION_STORE))
        return "a load or store uses an access of the other sort";
    bool integer = access->store ? loop->instructions[in->a].integer : in->integer;
    if (access->place.dtype != KILN_U8 && integer != (access->place.dtype == KILN_I32))
        return "a register and its access differ in dtype";
    return NULL;
}

static const char *instruction_fault(const struct kiln_loop *loop, int i, bool reduces)
{
    const struct kiln_instruction *in = &loop->instructions[i];
    int n = operand_count(in->op);
    if (n < 0)
        return "an instruction has no pointwise op";
    if (i && in->section < in[-1].section)
        return "instructions are not sorted by section";
    if (!reduces && in->section != 1)
        return "a loop without reductions has another section than 1";
    if (is_reduction(in) && in->section % 2 == 0)
        return "a reduction stands outside a pass";
    const int16_t operands[3] = {in->a, in->b, in->c};
    for (int k = 0; k < n; k++)
        if (!readable(loop, i, operands[k]))
            return "an instruction reads a register that is not there";
    if (in->op == KILN_INSTRUCTION_LOAD || in->op == KILN_INSTRUCTION_STORE)
        return access_fault(loop, in);
    return NULL;
}

static int by_stride(const void *a, const void *b)
{
    int64_t x = ((const struct kiln_digit *)a)->stride, y = ((const struct kiln_digit *)b)->stride;
    return (x > y) - (x < y);
}

/* True if distinct indices of the dimensions that the store runs over give
 * distinct elements: each stride is larger than all below it can reach. */
static bool store_is_injective(const struct kiln_loop *loop, const struct kiln_access *access,
                               bool per_element)
{
    struct kiln_digit digits[KILN_LOOP_MAX_DIMS];
    int n = 0;
    for (int d = 0; d < loop->n_dims; d++)
        if (loop->extent[d] > 1 && (per_element || !loop->reduced[d]))
            digits[n++] = (struct kiln_digit){loop->extent[d], llabs(access->stride[d])};
    qsort(digits, (size_t)n, sizeof *digits, by_stride);
    int64_t below = 0;
    for (int i = 0; i < n; i++) {
        if (digits[i].stride <= below)
            return false;
        below += (digits[i].extent - 1) * digits[i].stride;
    }
    return true;
}

const char *kiln_loop_fault(const struct kiln_loop *loop)
{
    bool reduces = false;
    for (int d = 0; d < loop->n_dims; d++)
        reduces = reduces || loop->reduced[d];
    for (int i = 0; i < loop->n_instructions; i++) {
        const char *fault = instruction_fault(loop, i, reduces);
        if (fault)
            return fault;
        const struct kiln_instruction *in = &loop->instructions[i];
        if (in->op == KILN_INSTRUCTION_STORE &&
            !store_is_injective(loop, &loop->accesses[in->access], in->section % 2 == 1))
            return "two indices store the same element";
    }
    return NULL;
}
