/*
 * Random loops on the CPU backend against the interpreter in double: domains
 * of mixed kept and reduced dimensions, permuted, broadcast and gapped
 * accesses, storage types, stores in place, several passes. One and two
 * threads must give the same bits.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cpu_lab.h"
#include "tests/lib/steps.h"

#define CASES        100
#define MAX_ELEMENTS 12000
#define MAX_ACCESSES 32
#define MAX_PROGRAM  128

struct maker {
    uint32_t seed;
    struct lab *lab;
    struct kiln_loop loop;
    struct kiln_access accesses[MAX_ACCESSES];
    struct kiln_instruction program[MAX_PROGRAM];
    bool usable[MAX_PROGRAM]; /* f32, and visible in the current section */
    bool exact[MAX_PROGRAM];  /* the same in any precision */
    bool any_reduced;
    int64_t reduced_count;
};

static int pick(struct maker *m, int n)
{
    m->seed = m->seed * 1664525u + 1013904223u;
    return (int)((m->seed >> 10) % (uint32_t)n);
}

static void make_domain(struct maker *m)
{
    static const int64_t extents[] = {1,  2,  3,  4,  5,   7,   8,    16,
                                      17, 33, 49, 64, 100, 300, 1500, 5003};
    struct kiln_loop *loop = &m->loop;
    int64_t total = 1;
    bool reduces = pick(m, 3) > 0;
    loop->n_dims = 1 + pick(m, 5);
    m->reduced_count = 1;
    for (int d = 0; d < loop->n_dims; d++) {
        int64_t extent = extents[pick(m, 16)];
        loop->extent[d] = total * extent > MAX_ELEMENTS ? 1 + pick(m, 2) : extent;
        loop->reduced[d] = reduces && pick(m, 5) < 2;
        total *= loop->extent[d];
        m->any_reduced |= loop->reduced[d];
        m->reduced_count *= loop->reduced[d] ? loop->extent[d] : 1;
    }
}

/* Dense strides in a random order of the dimensions that take part; returns
 * the elements spanned. */
static int64_t make_strides(struct maker *m, int64_t stride[KILN_LOOP_MAX_DIMS], bool with_reduced,
                            int broadcast)
{
    const struct kiln_loop *loop = &m->loop;
    int order[KILN_LOOP_MAX_DIMS];
    int64_t step = broadcast && pick(m, 10) == 0 ? 2 : 1, last = 0;
    for (int d = 0; d < loop->n_dims; d++)
        order[d] = d;
    for (int d = loop->n_dims - 1; d > 0 && pick(m, 2); d--) {
        int e = pick(m, d + 1), swap = order[d];
        order[d] = order[e];
        order[e] = swap;
    }
    for (int i = loop->n_dims - 1; i >= 0; i--) {
        int d = order[i];
        stride[d] = 0;
        if ((loop->reduced[d] && !with_reduced) || (broadcast && pick(m, 4) == 0))
            continue;
        stride[d] = step;
        last += step * (loop->extent[d] - 1);
        step *= loop->extent[d];
    }
    return last + 1;
}

static int new_access(struct maker *m, bool store, bool with_reduced, enum kiln_dtype dtype)
{
    assert_true(m->loop.n_accesses < MAX_ACCESSES - 1);
    struct kiln_access *a = &m->accesses[m->loop.n_accesses];
    *a = (struct kiln_access){.store = store};
    int64_t count = make_strides(m, a->stride, with_reduced, !store);
    float *values = lab_values(m->seed, count);
    uint16_t *small = malloc((size_t)count * 4);
    for (int64_t i = 0; i < count; i++) {
        if (dtype == KILN_U8)
            ((uint8_t *)small)[i] = (uint8_t)(int)(values[i] * 3 + 3);
        else if (dtype == KILN_F16)
            small[i] = (uint16_t)(0x3000 + (int)(values[i] * 1023 + 1023)); /* 1/8 .. 1/2 */
        else if (dtype == KILN_I32)
            ((int32_t *)(void *)small)[i] = (int32_t)(values[i] * 5);
    }
    a->place = lab_put(m->lab, dtype, count,
                       store               ? NULL
                       : dtype == KILN_F32 ? (void *)values
                                           : small);
    free(values);
    free(small);
    return m->loop.n_accesses++;
}

static int emit(struct maker *m, struct kiln_instruction in, bool exact)
{
    int k = m->loop.n_instructions++;
    assert_true(k < MAX_PROGRAM);
    m->program[k] = in;
    m->usable[k] = !in.integer && in.op != KILN_INSTRUCTION_STORE;
    m->exact[k] = exact;
    return k;
}

static struct kiln_instruction instruction(int op, int section, int a, int b)
{
    return (struct kiln_instruction){
        (uint16_t)op, (uint8_t)section, false, (int16_t)a, (int16_t)b, -1, -1, {0}};
}

static int make_load(struct maker *m, int section)
{
    static const enum kiln_dtype dtypes[] = {KILN_F32, KILN_F32, KILN_F32, KILN_F32,
                                             KILN_U8,  KILN_F16, KILN_I32};
    enum kiln_dtype dtype = dtypes[pick(m, 7)];
    struct kiln_instruction in = instruction(KILN_INSTRUCTION_LOAD, section, -1, -1);
    in.access = (int16_t)new_access(m, false, section % 2 == 1, dtype);
    in.integer = dtype == KILN_I32;
    int k = emit(m, in, true);
    return in.integer ? emit(m, instruction(KILN_OP_CAST, section, k, -1), true) : k;
}

static int any_register(struct maker *m, bool exact)
{
    int n = m->loop.n_instructions;
    for (int tries = 0; tries < 40 && n; tries++) {
        int k = n - 1 - pick(m, n < 8 ? n : 8);
        if (m->usable[k] && (!exact || m->exact[k]))
            return k;
    }
    return -1;
}

static void make_op(struct maker *m, int section)
{
    static const int ops[] = {KILN_OP_ADD,  KILN_OP_SUB,     KILN_OP_MUL,  KILN_OP_MAX, KILN_OP_MIN,
                              KILN_OP_TANH, KILN_OP_SIGMOID, KILN_OP_NEG,  KILN_OP_ABS, KILN_OP_ERF,
                              KILN_OP_SIN,  KILN_OP_SELECT,  KILN_OP_CONST};
    int op = ops[pick(m, 13)], a = any_register(m, false), b = any_register(m, false);
    b = b < 0 ? a : b;
    struct kiln_instruction in = instruction(op, section, a, -1);
    if (op == KILN_OP_CONST || a < 0) {
        in = instruction(KILN_OP_CONST, section, -1, -1);
        in.immediate.f = (float)(pick(m, 9) - 4) * 0.25f;
        emit(m, in, true);
        return;
    }
    if (op == KILN_OP_SELECT) {
        int c = any_register(m, true), d = any_register(m, true);
        if (c < 0 || d < 0)
            return;
        in = instruction(KILN_OP_SELECT, section,
                         emit(m, instruction(KILN_OP_LESS, section, c, d), true), a);
        in.c = (int16_t)b;
    } else if (op == KILN_OP_ADD || op == KILN_OP_SUB || op == KILN_OP_MUL || op == KILN_OP_MAX ||
               op == KILN_OP_MIN) {
        in.b = (int16_t)b;
    }
    int k = emit(m, in, false);
    if (op == KILN_OP_ADD || op == KILN_OP_SUB) /* keep the sizes bounded */
        emit(m, instruction(KILN_OP_TANH, section, k, -1), false);
}

/* Stores the newest register; sometimes over a load of this section. */
static void make_store(struct maker *m, int section)
{
    int a = any_register(m, false);
    if (a < 0)
        return;
    struct kiln_instruction in = instruction(KILN_INSTRUCTION_STORE, section, a, -1);
    in.access = (int16_t)new_access(m, true, section % 2 == 1, pick(m, 8) ? KILN_F32 : KILN_F16);
    struct kiln_access *to = &m->accesses[in.access];
    if (to->place.dtype == KILN_F32 && section % 2 == 1 && pick(m, 2)) {
        /* an operand of the same place, read here or in the next pass */
        struct kiln_instruction load = instruction(KILN_INSTRUCTION_LOAD, section, -1, -1);
        int64_t count = 1;
        for (int d = 0; d < m->loop.n_dims; d++)
            count *= m->loop.extent[d];
        float *values = lab_values(m->seed, count);
        memcpy(lab_at(m->lab, to->place), values, (size_t)count * sizeof *values);
        free(values);
        load.access = (int16_t)m->loop.n_accesses++;
        m->accesses[load.access] = *to;
        m->accesses[load.access].store = false;
        int k = emit(m, load, false);
        if (pick(m, 2)) /* computed from what it overwrites */
            in.a = (int16_t)emit(m, instruction(KILN_OP_MUL, section, k, a), false);
    }
    emit(m, in, false);
}

static void make_program(struct maker *m)
{
    int passes = m->any_reduced ? 1 + pick(m, 3) : 1;
    for (int section = m->any_reduced ? 0 : 1; section <= 2 * passes; section++) {
        bool pass = section % 2 == 1;
        int first = m->loop.n_instructions;
        for (int n = pick(m, 2) + pass; n; n--)
            make_load(m, section);
        for (int n = pick(m, 5); n; n--)
            make_op(m, section);
        if (section && pick(m, 2 + !pass) && m->loop.n_accesses < 12)
            make_store(m, section);
        for (int n = pick(m, 3); n; n--)
            make_op(m, section);
        int reduction = -1;
        if (pass && m->any_reduced) {
            int a = any_register(m, false);
            if (a >= 0)
                reduction =
                    emit(m,
                         instruction(pick(m, 3) ? KILN_INSTRUCTION_SUM : KILN_INSTRUCTION_MAX,
                                     section, a, -1),
                         false);
        }
        for (int k = first; pass && k < m->loop.n_instructions; k++)
            m->usable[k] = false;
        if (reduction >= 0) {
            struct kiln_instruction scale = instruction(KILN_OP_CONST, section + 1, -1, -1);
            scale.immediate.f = (float)(1.0 / (double)m->reduced_count);
            int b = emit(m, scale, true);
            emit(m, instruction(KILN_OP_MUL, section + 1, reduction, b), false);
        }
        if (!m->any_reduced)
            return;
    }
}

static void make_loop(struct maker *m, struct lab *lab, uint32_t seed)
{
    *m = (struct maker){.seed = seed, .lab = lab};
    make_domain(m);
    m->loop.accesses = m->accesses;
    m->loop.instructions = m->program;
    lab_clear(lab);
    make_program(m);
    if (m->any_reduced) {
        int section = m->program[m->loop.n_instructions - 1].section;
        if (section % 2 == 0)
            make_store(m, section);
    } else {
        for (int k = 0; k < m->loop.n_instructions; k++)
            m->usable[k] = !m->program[k].integer && m->program[k].op != KILN_INSTRUCTION_STORE;
        make_store(m, 1);
    }
}

/* Runs the loop in the lab on a device; returns a copy of its memory. */
static char *run_on(struct maker *m, struct lab *lab)
{
    struct kiln_step step = {.kind = KILN_STEP_LOOP, .as.loop = m->loop};
    struct lab copy = *lab;
    lab->image = malloc((size_t)lab->bytes);
    memcpy(lab->image, copy.image, (size_t)lab->bytes);
    lab_run_first(lab, &step);
    char *result = lab->image;
    lab->image = copy.image;
    return result;
}

static void compare_stores(const struct maker *m, uint32_t seed, char *got, char *want,
                           int64_t bytes)
{
    struct steps_memory a = {.region = {(unsigned char *)got}, .bytes = {bytes}};
    struct steps_memory b = {.region = {(unsigned char *)want}, .bytes = {bytes}};
    for (int i = 0; i < m->loop.n_accesses; i++) {
        const struct kiln_access *to = &m->accesses[i];
        int64_t last = 0;
        if (!to->store)
            continue;
        for (int d = 0; d < m->loop.n_dims; d++)
            last += (m->loop.extent[d] - 1) * to->stride[d];
        for (int64_t e = 0; e <= last; e++) {
            double x = steps_load(&a, &to->place, e), y = steps_load(&b, &to->place, e);
            double relative = to->place.dtype == KILN_F16 ? 2e-3 : 1e-5;
            if (!(fabs(x - y) <= relative * (1 + fabs(y))))
                fail_msg("case %u: store %d, element %lld: %.9g, not %.9g", seed, i, (long long)e,
                         x, y);
        }
    }
    assert_null(a.error);
}

static void random_loops(void **unused)
{
    (void)unused;
    struct lab devices[3] = {lab_open(1, false), lab_open(2, false), lab_open(2, true)};
    for (uint32_t seed = 1; seed <= CASES; seed++) {
        struct maker m;
        make_loop(&m, &devices[0], seed * 7919u);
        struct lab *lab = &devices[0];
        char *want = malloc((size_t)lab->bytes);
        memcpy(want, lab->image, (size_t)lab->bytes);
        struct steps_memory memory = {.region = {(unsigned char *)want}, .bytes = {lab->bytes}};
        steps_run_loop(&m.loop, &memory);
        if (memory.error)
            fail_msg("case %u: %s", seed, memory.error);
        char *got[3];
        for (int d = 0; d < 3; d++) {
            struct lab on = *lab;
            on.device = devices[d].device;
            got[d] = run_on(&m, &on);
            compare_stores(&m, seed, got[d], want, lab->bytes);
        }
        assert_memory_equal(got[0], got[1], (size_t)lab->bytes);
        for (int d = 0; d < 3; d++)
            free(got[d]);
        free(want);
    }
    for (int d = 0; d < 3; d++)
        lab_close(&devices[d]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_loops)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
