/*
 * Loops, plainly: one element at a time, in the order the program says. The
 * baseline that the vectorised executor is checked against.
 */
#include "backends/cpu/loop.h"

#include "backends/cpu/convert.h"

#include <math.h>
#include <stdlib.h>

/* Terms of a partial sum in f32; partial sums are added in f64. */
#define SUM_CHUNK 64
/* Kept indices that a thread takes at a time. */
#define KEPT_CHUNK 256

union value {
    float f;
    int32_t i;
};

struct accumulator {
    double total;
    float partial;
    int count;
};

struct plain_loop {
    const struct kiln_loop *loop;
    int n_sections;
    int first[257]; /* first instruction of each section */
    int64_t kept;   /* number of kept indices */
    char *base[KILN_LOOP_MAX_ACCESSES];
};

/* What one thread works with. */
struct walk {
    const struct plain_loop *plain;
    int64_t index[KILN_LOOP_MAX_DIMS];
    int64_t offset[KILN_LOOP_MAX_ACCESSES];
    union value reg[KILN_LOOP_MAX_INSTRUCTIONS];
    struct accumulator acc[KILN_LOOP_MAX_INSTRUCTIONS];
};

static union value load(const char *p, enum kiln_dtype dtype, int64_t at, bool integer)
{
    union value v;
    float f = 0;
    int32_t i = 0;
    switch (dtype) {
    case KILN_I32:
        i = ((const int32_t *)p)[at];
        f = (float)i;
        break;
    case KILN_U8:
        i = ((const uint8_t *)p)[at];
        f = (float)i;
        break;
    case KILN_F16:
        f = cpu_half_to_float(((const uint16_t *)p)[at]);
        break;
    default:
        f = ((const float *)p)[at];
    }
    if (!integer)
        v.f = f;
    else
        v.i = dtype == KILN_F32 || dtype == KILN_F16 ? cpu_float_to_i32(f) : i;
    return v;
}

static void store(char *p, enum kiln_dtype dtype, int64_t at, union value v, bool integer)
{
    switch (dtype) {
    case KILN_I32:
        ((int32_t *)p)[at] = integer ? v.i : cpu_float_to_i32(v.f);
        break;
    case KILN_U8:
        ((uint8_t *)p)[at] = cpu_float_to_u8(integer ? (float)v.i : v.f);
        break;
    case KILN_F16:
        ((uint16_t *)p)[at] = cpu_float_to_half(integer ? (float)v.i : v.f);
        break;
    default:
        ((float *)p)[at] = integer ? (float)v.i : v.f;
    }
}

static int32_t wrap(uint32_t x)
{
    return (int32_t)x;
}

static union value pointwise_integer(int op, int32_t a, int32_t b)
{
    union value v = {.i = 0};
    switch (op) {
    case KILN_OP_NEG:
        v.i = wrap(0u - (uint32_t)a);
        break;
    case KILN_OP_ABS:
        v.i = a < 0 ? wrap(0u - (uint32_t)a) : a;
        break;
    case KILN_OP_ADD:
        v.i = wrap((uint32_t)a + (uint32_t)b);
        break;
    case KILN_OP_SUB:
        v.i = wrap((uint32_t)a - (uint32_t)b);
        break;
    case KILN_OP_MUL:
        v.i = wrap((uint32_t)a * (uint32_t)b);
        break;
    case KILN_OP_MAX:
        v.i = a > b ? a : b;
        break;
    case KILN_OP_MIN:
        v.i = a < b ? a : b;
        break;
    case KILN_OP_LESS:
        v.f = (float)(a < b);
        break;
    case KILN_OP_LESS_EQUAL:
        v.f = (float)(a <= b);
        break;
    case KILN_OP_EQUAL:
        v.f = (float)(a == b);
        break;
    default:
        break;
    }
    return v;
}

static float pointwise_float(int op, float a, float b)
{
    switch (op) {
    case KILN_OP_NEG:
        return -a;
    case KILN_OP_ABS:
        return fabsf(a);
    case KILN_OP_EXP:
        return expf(a);
    case KILN_OP_EXPM1:
        return expm1f(a);
    case KILN_OP_LOG:
        return logf(a);
    case KILN_OP_LOG1P:
        return log1pf(a);
    case KILN_OP_SQRT:
        return sqrtf(a);
    case KILN_OP_SIN:
        return sinf(a);
    case KILN_OP_COS:
        return cosf(a);
    case KILN_OP_TANH:
        return tanhf(a);
    case KILN_OP_ERF:
        return erff(a);
    case KILN_OP_SIGMOID:
        return 1.0f / (1.0f + expf(-a));
    case KILN_OP_FLOOR:
        return floorf(a);
    case KILN_OP_ADD:
        return a + b;
    case KILN_OP_SUB:
        return a - b;
    case KILN_OP_MUL:
        return a * b;
    case KILN_OP_DIV:
        return a / b;
    case KILN_OP_POW:
        return powf(a, b);
    case KILN_OP_MAX:
        return a >= b || a != a ? a : b;
    case KILN_OP_MIN:
        return a <= b || a != a ? a : b;
    case KILN_OP_LESS:
        return (float)(a < b);
    case KILN_OP_LESS_EQUAL:
        return (float)(a <= b);
    case KILN_OP_EQUAL:
        return (float)(a == b);
    default:
        return a;
    }
}

static union value pointwise(const struct kiln_instruction *program,
                             const struct kiln_instruction *in, const union value *reg)
{
    union value a = reg[in->a], b = in->b >= 0 ? reg[in->b] : a, v;
    bool integer = program[in->a].integer;
    if (in->op == KILN_OP_SELECT)
        return (integer ? a.i != 0 : a.f != 0.0f) ? b : reg[in->c];
    if (in->op == KILN_OP_CAST) {
        if (integer == in->integer)
            return a;
        if (in->integer)
            v.i = cpu_float_to_i32(a.f);
        else
            v.f = (float)a.i;
        return v;
    }
    if (integer)
        return pointwise_integer(in->op, a.i, b.i);
    v.f = pointwise_float(in->op, a.f, b.f);
    return v;
}

static void accumulate(struct accumulator *acc, bool is_sum, float x)
{
    if (!is_sum) {
        acc->partial = acc->partial >= x || acc->partial != acc->partial ? acc->partial : x;
        return;
    }
    acc->partial += x;
    if (++acc->count == SUM_CHUNK) {
        acc->total += acc->partial;
        acc->partial = 0;
        acc->count = 0;
    }
}

/* Runs the instructions of a section at the walk's position. */
static void run_section(struct walk *walk, int section)
{
    const struct plain_loop *plain = walk->plain;
    const struct kiln_loop *loop = plain->loop;
    union value *reg = walk->reg;
    for (int k = plain->first[section]; k < plain->first[section + 1]; k++) {
        const struct kiln_instruction *in = &loop->instructions[k];
        const struct kiln_access *access = in->access >= 0 ? &loop->accesses[in->access] : NULL;
        switch (in->op) {
        case KILN_INSTRUCTION_LOAD:
            reg[k] = load(plain->base[in->access], access->place.dtype, walk->offset[in->access],
                          in->integer);
            break;
        case KILN_INSTRUCTION_STORE:
            store(plain->base[in->access], access->place.dtype, walk->offset[in->access],
                  reg[in->a], loop->instructions[in->a].integer);
            break;
        case KILN_INSTRUCTION_SUM:
        case KILN_INSTRUCTION_MAX:
            accumulate(&walk->acc[k], in->op == KILN_INSTRUCTION_SUM, reg[in->a].f);
            break;
        case KILN_OP_CONST:
            if (in->integer)
                reg[k].i = in->immediate.i;
            else
                reg[k].f = in->immediate.f;
            break;
        default:
            reg[k] = pointwise(loop->instructions, in, reg);
        }
    }
}

/* Moves to the next index over the dimensions whose reduced flag matches;
 * false after the last, when all of them are back at 0. */
static bool advance(struct walk *walk, bool reduced)
{
    const struct kiln_loop *loop = walk->plain->loop;
    for (int d = loop->n_dims - 1; d >= 0; d--) {
        if (loop->reduced[d] != reduced)
            continue;
        bool wraps = ++walk->index[d] == loop->extent[d];
        int64_t by = wraps ? 1 - loop->extent[d] : 1;
        for (int a = 0; a < loop->n_accesses; a++)
            walk->offset[a] += by * loop->accesses[a].stride[d];
        if (!wraps)
            return true;
        walk->index[d] = 0;
    }
    return false;
}

static void seek_kept(struct walk *walk, int64_t kept)
{
    const struct kiln_loop *loop = walk->plain->loop;
    for (int a = 0; a < loop->n_accesses; a++)
        walk->offset[a] = 0;
    for (int d = loop->n_dims - 1; d >= 0; d--) {
        walk->index[d] = 0;
        if (loop->reduced[d])
            continue;
        walk->index[d] = kept % loop->extent[d];
        kept /= loop->extent[d];
        for (int a = 0; a < loop->n_accesses; a++)
            walk->offset[a] += walk->index[d] * loop->accesses[a].stride[d];
    }
}

static void run_pass(struct walk *walk, int section)
{
    const struct plain_loop *plain = walk->plain;
    const struct kiln_instruction *program = plain->loop->instructions;
    int first = plain->first[section], end = plain->first[section + 1];
    for (int k = first; k < end; k++)
        walk->acc[k] =
            (struct accumulator){.partial = program[k].op == KILN_INSTRUCTION_MAX ? -INFINITY : 0};
    do
        run_section(walk, section);
    while (advance(walk, true));
    for (int k = first; k < end; k++) {
        if (program[k].op == KILN_INSTRUCTION_SUM)
            walk->reg[k].f = (float)(walk->acc[k].total + walk->acc[k].partial);
        else if (program[k].op == KILN_INSTRUCTION_MAX)
            walk->reg[k].f = walk->acc[k].partial;
    }
}

static enum kiln_status plain_run(struct cpu_task *task, struct kiln_error *error)
{
    (void)error;
    const struct plain_loop *plain = task->data;
    int64_t chunks = (plain->kept + KEPT_CHUNK - 1) / KEPT_CHUNK;
#pragma omp parallel for schedule(dynamic, 1) num_threads(task->threads)
    for (int64_t chunk = 0; chunk < chunks; chunk++) {
        struct walk walk;
        walk.plain = plain;
        int64_t kept = chunk * KEPT_CHUNK, end = cpu_min(kept + KEPT_CHUNK, plain->kept);
        for (seek_kept(&walk, kept); kept < end; kept++) {
            for (int section = 0; section < plain->n_sections; section++) {
                if (section % 2)
                    run_pass(&walk, section);
                else
                    run_section(&walk, section);
            }
            advance(&walk, false);
        }
    }
    return KILN_OK;
}

enum kiln_status cpu_loop_plain_prepare(struct cpu_task *task, struct kiln_error *error)
{
    const struct kiln_loop *loop = &task->step->as.loop;
    struct plain_loop *plain = calloc(1, sizeof *plain);
    if (!plain)
        return kiln_fail(error, KILN_MACHINE, "cpu: no memory");
    plain->loop = loop;
    plain->kept = 1;
    int64_t elements = 1;
    for (int d = 0; d < loop->n_dims; d++) {
        elements *= loop->extent[d];
        plain->kept *= loop->reduced[d] ? 1 : loop->extent[d];
    }
    for (int a = 0; a < loop->n_accesses; a++)
        plain->base[a] = cpu_at(task->exec, &loop->accesses[a].place);
    for (int k = 0; k < loop->n_instructions; k++)
        while (plain->n_sections <= loop->instructions[k].section)
            plain->first[plain->n_sections++] = k;
    plain->first[plain->n_sections] = loop->n_instructions;
    task->data = plain;
    task->release = free;
    task->run = plain_run;
    task->threads = cpu_threads(task->device, elements * loop->n_instructions);
    return KILN_OK;
}
