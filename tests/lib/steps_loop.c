/* Interpreter of loop steps. */
#include <math.h>
#include <stdlib.h>

#include "tests/lib/steps.h"

struct run {
    const struct kiln_loop *loop;
    struct steps_memory *memory;
    int64_t index[KILN_LOOP_MAX_DIMS];
    double value[KILN_LOOP_MAX_INSTRUCTIONS];
};

static int64_t element_of(const struct run *run, const struct kiln_access *access)
{
    int64_t at = 0;
    for (int d = 0; d < run->loop->n_dims; d++)
        at += run->index[d] * access->stride[d];
    return at;
}

static double unary(int op, double x)
{
    switch (op) {
    case KILN_OP_NEG:
        return -x;
    case KILN_OP_ABS:
        return fabs(x);
    case KILN_OP_EXP:
        return exp(x);
    case KILN_OP_EXPM1:
        return expm1(x);
    case KILN_OP_LOG:
        return log(x);
    case KILN_OP_LOG1P:
        return log1p(x);
    case KILN_OP_SQRT:
        return sqrt(x);
    case KILN_OP_SIN:
        return sin(x);
    case KILN_OP_COS:
        return cos(x);
    case KILN_OP_TANH:
        return tanh(x);
    case KILN_OP_ERF:
        return erf(x);
    case KILN_OP_SIGMOID:
        return 1 / (1 + exp(-x));
    case KILN_OP_FLOOR:
        return floor(x);
    default:
        return x;
    }
}

static double binary(int op, double a, double b)
{
    switch (op) {
    case KILN_OP_ADD:
        return a + b;
    case KILN_OP_SUB:
        return a - b;
    case KILN_OP_MUL:
        return a * b;
    case KILN_OP_DIV:
        return a / b;
    case KILN_OP_POW:
        return pow(a, b);
    case KILN_OP_MAX:
        return a >= b ? a : b;
    case KILN_OP_MIN:
        return a <= b ? a : b;
    case KILN_OP_LESS:
        return a < b;
    case KILN_OP_LESS_EQUAL:
        return a <= b;
    default:
        return a == b;
    }
}

static void execute(struct run *run, int number)
{
    const struct kiln_instruction *in = &run->loop->instructions[number];
    const struct kiln_access *access = in->access >= 0 ? &run->loop->accesses[in->access] : NULL;
    double *value = run->value, result;
    switch (in->op) {
    case KILN_INSTRUCTION_LOAD:
        value[number] = steps_load(run->memory, &access->place, element_of(run, access));
        return;
    case KILN_INSTRUCTION_STORE:
        steps_store(run->memory, &access->place, element_of(run, access), value[in->a]);
        return;
    case KILN_INSTRUCTION_SUM:
        value[number] += value[in->a];
        return;
    case KILN_INSTRUCTION_MAX:
        value[number] = value[in->a] > value[number] ? value[in->a] : value[number];
        return;
    case KILN_OP_CONST:
        value[number] = in->integer ? in->immediate.i : (double)in->immediate.f;
        return;
    case KILN_OP_SELECT:
        value[number] = value[in->a] != 0 ? value[in->b] : value[in->c];
        return;
    case KILN_OP_CAST:
        value[number] = in->integer ? trunc(value[in->a]) : value[in->a];
        return;
    default:
        result =
            in->b >= 0 ? binary(in->op, value[in->a], value[in->b]) : unary(in->op, value[in->a]);
        value[number] = in->integer ? (double)(int32_t)(uint32_t)(int64_t)result : result;
    }
}

static void execute_rounded(struct run *run, int number)
{
    const struct kiln_instruction *in = &run->loop->instructions[number];
    execute(run, number);
    if (run->memory->round && !in->integer && in->op != KILN_INSTRUCTION_SUM &&
        in->op != KILN_INSTRUCTION_STORE)
        run->value[number] = (float)run->value[number];
}

/* Counts the index over the kept or the reduced dimensions; false at the end. */
static bool next(struct run *run, bool reduced)
{
    for (int d = run->loop->n_dims - 1; d >= 0; d--) {
        if (run->loop->reduced[d] != reduced)
            continue;
        if (++run->index[d] < run->loop->extent[d])
            return true;
        run->index[d] = 0;
    }
    return false;
}

/* Instructions first .. end - 1 are one section of one kept index. */
static void run_section(struct run *run, int first, int end)
{
    const struct kiln_instruction *list = run->loop->instructions;
    if (list[first].section % 2 == 0) {
        for (int i = first; i < end; i++)
            execute_rounded(run, i);
        return;
    }
    for (int i = first; i < end; i++)
        if (list[i].op == KILN_INSTRUCTION_SUM || list[i].op == KILN_INSTRUCTION_MAX)
            run->value[i] = list[i].op == KILN_INSTRUCTION_SUM ? 0 : -INFINITY;
    do {
        for (int i = first; i < end; i++)
            execute_rounded(run, i);
    } while (next(run, true));
    for (int i = first; i < end && run->memory->round; i++)
        run->value[i] = (float)run->value[i];
}

static const char *violation(const struct kiln_loop *loop)
{
    bool any_reduced = false;
    if (loop->n_dims > KILN_LOOP_MAX_DIMS || loop->n_accesses > KILN_LOOP_MAX_ACCESSES ||
        loop->n_instructions > KILN_LOOP_MAX_INSTRUCTIONS)
        return "loop over a maximum";
    for (int d = 0; d < loop->n_dims; d++)
        any_reduced |= loop->reduced[d];
    for (int i = 0; i < loop->n_instructions; i++) {
        const struct kiln_instruction *in = &loop->instructions[i];
        if (i && in->section < in[-1].section)
            return "sections are not sorted";
        if (!any_reduced && in->section != 1)
            return "a loop without reduced dimensions has one section";
        if (in->access >= loop->n_accesses)
            return "access out of range";
        bool moves = in->op == KILN_INSTRUCTION_LOAD || in->op == KILN_INSTRUCTION_STORE;
        if (moves && (in->access < 0 ||
                      loop->accesses[in->access].store != (in->op == KILN_INSTRUCTION_STORE)))
            return "access of the wrong kind";
        bool reduces = in->op == KILN_INSTRUCTION_SUM || in->op == KILN_INSTRUCTION_MAX;
        if (reduces && (in->section % 2 == 0 || !any_reduced))
            return "reduction at the outer level";
        const int operands[] = {in->a, in->b, in->c};
        for (int k = 0; k < 3; k++) {
            if (operands[k] < 0)
                continue;
            if (operands[k] >= i)
                return "operand is defined later";
            const struct kiln_instruction *from = &loop->instructions[operands[k]];
            bool from_reduces =
                from->op == KILN_INSTRUCTION_SUM || from->op == KILN_INSTRUCTION_MAX;
            if (from->section % 2 &&
                (from_reduces ? from->section >= in->section : from->section != in->section))
                return "operand of another section";
            if (from->op == KILN_INSTRUCTION_STORE)
                return "operand has no value";
        }
    }
    return NULL;
}

void steps_run_loop(const struct kiln_loop *loop, struct steps_memory *memory)
{
    if ((memory->error = violation(loop)))
        return;
    struct run run = {.loop = loop, .memory = memory};
    do {
        for (int first = 0, end; first < loop->n_instructions; first = end) {
            for (end = first; end < loop->n_instructions; end++)
                if (loop->instructions[end].section != loop->instructions[first].section)
                    break;
            run_section(&run, first, end);
        }
    } while (next(&run, false) && !memory->error);
}
