/* Generated loops of every form against the naive interpreter: random
 * dimensions, strides and programs, on both families of kernels. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "opencl_lab.h"

enum { RANDOM_LOOPS = 16 };

struct maker {
    struct lab *lab;
    struct kiln_loop loop;
    struct kiln_access access[KILN_LOOP_MAX_ACCESSES];
    struct kiln_instruction instruction[KILN_LOOP_MAX_INSTRUCTIONS];
    int section;
};

static void start(struct maker *m, struct lab *lab, int n_dims, const int64_t *extent,
                  const char *reduced)
{
    memset(m, 0, sizeof *m);
    m->lab = lab;
    lab_clear(lab);
    m->loop.n_dims = n_dims;
    m->loop.accesses = m->access;
    m->loop.instructions = m->instruction;
    for (int d = 0; d < n_dims; d++) {
        m->loop.extent[d] = extent[d];
        m->loop.reduced[d] = reduced[d] == 'r';
    }
    m->section = 1;
}

/* An access over the dimensions of the mask, dense in the order given by a
 * rotation of them; the others are broadcast. */
static int access_over(struct maker *m, enum kiln_dtype dtype, uint32_t dims, int rotation,
                       bool store)
{
    int a = m->loop.n_accesses++, chosen[KILN_LOOP_MAX_DIMS], n = 0;
    for (int d = 0; d < m->loop.n_dims; d++)
        if (dims >> d & 1)
            chosen[n++] = d;
    int64_t count = 1;
    for (int i = n - 1; i >= 0; i--) {
        int d = chosen[(i + rotation) % n];
        m->access[a].stride[d] = count;
        count *= m->loop.extent[d];
    }
    m->access[a].store = store;
    m->access[a].place = lab_put(m->lab, dtype, count, 100);
    return a;
}

static int emit(struct maker *m, int op, int a, int b, int c)
{
    int i = m->loop.n_instructions++;
    m->instruction[i] = (struct kiln_instruction){.op = (uint16_t)op,
                                                  .section = (uint8_t)m->section,
                                                  .a = (int16_t)a,
                                                  .b = (int16_t)b,
                                                  .c = (int16_t)c,
                                                  .access = -1};
    return i;
}

static int load(struct maker *m, int access)
{
    int i = emit(m, KILN_INSTRUCTION_LOAD, -1, -1, -1);
    m->instruction[i].access = (int16_t)access;
    m->instruction[i].integer = m->access[access].place.dtype == KILN_I32;
    return i;
}

static void store(struct maker *m, int access, int value)
{
    m->instruction[emit(m, KILN_INSTRUCTION_STORE, value, -1, -1)].access = (int16_t)access;
}

static int constant(struct maker *m, float value)
{
    int i = emit(m, KILN_OP_CONST, -1, -1, -1);
    m->instruction[i].immediate.f = value;
    return i;
}

static uint32_t mask_of(const struct maker *m, bool reduced)
{
    uint32_t mask = 0;
    for (int d = 0; d < m->loop.n_dims; d++)
        if (m->loop.reduced[d] == reduced)
            mask |= 1u << d;
    return mask;
}

static void check(struct maker *m, const char *what, double relative, double absolute)
{
    struct kiln_step step = {.kind = KILN_STEP_LOOP, .label = what};
    step.as.loop = m->loop;
    lab_check(m->lab, &step, what, relative, absolute);
}

/* y = f(x, broadcast z), stored twice: in order and permuted */
static void random_flat(struct lab *lab, int n_dims, const int64_t *extent, const char *what)
{
    struct maker m;
    start(&m, lab, n_dims, extent, "kkkkkk");
    uint32_t all = mask_of(&m, false);
    static const enum kiln_dtype types[] = {KILN_F32, KILN_F32, KILN_F32, KILN_U8, KILN_F16};
    int x = load(&m, access_over(&m, types[lab_random(lab, 5)], all,
                                 (int)lab_random(lab, 2) * (int)lab_random(lab, 4), false));
    int z = load(&m, access_over(&m, KILN_F32, lab_random(lab, all + 1), 0, false));
    int sum = emit(&m, KILN_OP_ADD, x, z, -1);
    int scaled = emit(&m, KILN_OP_MUL, sum, constant(&m, -0.75f), -1);
    int value = emit(&m, KILN_OP_MAX, scaled, z, -1);
    store(&m, access_over(&m, types[lab_random(lab, 5)], all, 0, true), value);
    store(&m, access_over(&m, KILN_F32, all, 1, true), sum);
    check(&m, what, 1e-6, 1e-6);
}

/* mean and largest of x over the reduced dimensions, then x - mean, as a norm;
 * in place if asked */
static void random_norm(struct lab *lab, int n_dims, const int64_t *extent, const char *reduced,
                        const char *what)
{
    struct maker m;
    start(&m, lab, n_dims, extent, reduced);
    uint32_t kept = mask_of(&m, false), folded = mask_of(&m, true), all = kept | folded;
    int64_t count = 1;
    for (int d = 0; d < n_dims; d++)
        if (folded >> d & 1)
            count *= extent[d];
    int x = access_over(&m, KILN_F32, all, (int)lab_random(lab, 2), false);
    int gamma = access_over(&m, KILN_F32, lab_random(lab, all + 1), 0, false);
    int beta = access_over(&m, KILN_F32, lab_random(lab, 2) ? kept : 0, 0, false);
    m.section = 0;
    int shift = load(&m, beta);
    m.section = 1;
    int first = load(&m, x);
    int total = emit(&m, KILN_INSTRUCTION_SUM, first, -1, -1);
    int top = emit(&m, KILN_INSTRUCTION_MAX, first, -1, -1);
    m.section = 2;
    int mean = emit(&m, KILN_OP_MUL, total, constant(&m, 1.0f / (float)count), -1);
    store(&m, access_over(&m, KILN_F32, kept, 0, true), mean);
    store(&m, access_over(&m, KILN_F32, kept, 1, true), top);
    m.section = 3;
    int again = load(&m, x);
    int centred = emit(&m, KILN_OP_SUB, again, mean, -1);
    int scaled = emit(&m, KILN_OP_MUL, centred, load(&m, gamma), -1);
    int value = emit(&m, KILN_OP_ADD, scaled, shift, -1);
    int out = access_over(&m, KILN_F32, all, 0, true);
    if (lab_random(lab, 2)) { /* in place */
        m.access[out] = m.access[x];
        m.access[out].store = true;
    }
    store(&m, out, value);
    int square = emit(&m, KILN_OP_MUL, value, value, -1);
    int energy = emit(&m, KILN_INSTRUCTION_SUM, square, -1, -1);
    m.section = 4;
    store(&m, access_over(&m, KILN_F32, kept, 0, true), energy);
    check(&m, what, 1e-5, 1e-5 * sqrt((double)count));
}

static void loops_of_all_forms(struct lab *lab)
{
    static const int64_t sizes[] = {1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 32, 49, 70};
    for (int i = 0; i < RANDOM_LOOPS; i++) {
        int n = 1 + (int)lab_random(lab, 5);
        int64_t extent[6], total = 1;
        char reduced[7] = "", what[128];
        for (int d = 0; d < n; d++) {
            do
                extent[d] = sizes[lab_random(lab, sizeof sizes / sizeof *sizes)];
            while (total * extent[d] > 60000);
            total *= extent[d];
            reduced[d] = lab_random(lab, 2) ? 'r' : 'k';
        }
        reduced[n] = '\0';
        int used = snprintf(what, sizeof what, "loop %d %s", i, reduced);
        for (int d = 0; d < n; d++)
            used += snprintf(what + used, sizeof what - (size_t)used, " %d", (int)extent[d]);
        random_flat(lab, n, extent, what);
        if (strchr(reduced, 'r'))
            random_norm(lab, n, extent, reduced, what);
    }
}

/* shapes that real models have */
static void loops_of_models(struct lab *lab)
{
    random_norm(lab, 4, (const int64_t[]){3, 2, 49, 16}, "rkrk", "batch norm of nChw16c");
    random_norm(lab, 5, (const int64_t[]){2, 3, 49, 8, 2}, "kkrkr", "group norm of nChw16c");
    random_norm(lab, 4, (const int64_t[]){2, 3, 49, 16}, "kkrr", "group norm, 16 a group");
    random_norm(lab, 4, (const int64_t[]){2, 4, 3, 784}, "kkrr", "group norm of nchw");
    random_norm(lab, 2, (const int64_t[]){300, 70}, "rk", "column sums");
    random_norm(lab, 2, (const int64_t[]){70, 300}, "kr", "softmax rows");
    random_norm(lab, 1, (const int64_t[]){30001}, "r", "all of a vector");
    random_flat(lab, 1, (const int64_t[]){100003}, "long vector");
    random_flat(lab, 4, (const int64_t[]){2, 2, 784, 16}, "nChw16c");
}

/* Every pointwise op over values that suit it, vector and tail. */
static void pointwise_ops(struct lab *lab)
{
    static const int unary[] = {KILN_OP_NEG,   KILN_OP_ABS,    KILN_OP_EXP,  KILN_OP_EXPM1,
                                KILN_OP_SIN,   KILN_OP_COS,    KILN_OP_TANH, KILN_OP_ERF,
                                KILN_OP_FLOOR, KILN_OP_SIGMOID};
    static const int positive[] = {KILN_OP_LOG, KILN_OP_LOG1P, KILN_OP_SQRT};
    static const int binary[] = {KILN_OP_ADD, KILN_OP_SUB,        KILN_OP_MUL,  KILN_OP_MIN,
                                 KILN_OP_MAX, KILN_OP_LESS_EQUAL, KILN_OP_LESS, KILN_OP_EQUAL};
    struct maker m;
    start(&m, lab, 1, (const int64_t[]){53}, "k");
    int x_access = access_over(&m, KILN_F32, 1, 0, false);
    int y_access = access_over(&m, KILN_F32, 1, 0, false);
    float *x = lab_at(lab, m.access[x_access].place), *y = lab_at(lab, m.access[y_access].place);
    const float special[] = {0.0f, -0.0f, 1.2e-38f, -1e-30f, 1e30f, -40.0f, 40.0f, 0.5f};
    memcpy(x, special, sizeof special);
    for (int i = 8; i < 24; i++)
        x[i] = y[i];
    int a = load(&m, x_access), b = load(&m, y_access);
    int size = emit(&m, KILN_OP_ABS, a, -1, -1);
    for (size_t i = 0; i < sizeof unary / sizeof *unary; i++) {
        bool big = unary[i] == KILN_OP_EXP || unary[i] == KILN_OP_EXPM1;
        int of = big ? emit(&m, KILN_OP_MIN, a, constant(&m, 50.0f), -1) : a;
        store(&m, access_over(&m, KILN_F32, 1, 0, true), emit(&m, unary[i], of, -1, -1));
    }
    for (size_t i = 0; i < sizeof positive / sizeof *positive; i++) {
        int of = emit(&m, KILN_OP_ADD, size, constant(&m, 0.25f), -1);
        store(&m, access_over(&m, KILN_F32, 1, 0, true), emit(&m, positive[i], of, -1, -1));
    }
    for (size_t i = 0; i < sizeof binary / sizeof *binary; i++)
        store(&m, access_over(&m, KILN_F32, 1, 0, true), emit(&m, binary[i], a, b, -1));
    check(&m, "pointwise", 2e-6, 1e-7);
}

static void more_pointwise_ops(struct lab *lab)
{
    struct maker m;
    start(&m, lab, 2, (const int64_t[]){3, 37}, "kk");
    int x = load(&m, access_over(&m, KILN_F32, 3, 0, false));
    int y = load(&m, access_over(&m, KILN_F32, 3, 1, false));
    int i = load(&m, access_over(&m, KILN_I32, 2, 0, false));
    int bytes = load(&m, access_over(&m, KILN_U8, 3, 0, false));
    int base = emit(&m, KILN_OP_ADD, emit(&m, KILN_OP_ABS, x, -1, -1), constant(&m, 0.125f), -1);
    int power = emit(&m, KILN_OP_POW, base, y, -1);
    int ratio = emit(&m, KILN_OP_DIV, y, base, -1);
    int less = emit(&m, KILN_OP_LESS, x, y, -1);
    int chosen = emit(&m, KILN_OP_SELECT, less, power, ratio);
    store(&m, access_over(&m, KILN_F32, 3, 0, true), power);
    store(&m, access_over(&m, KILN_F32, 3, 0, true), chosen);
    int large = emit(&m, KILN_OP_MUL, x, constant(&m, 400.0f), -1);
    store(&m, access_over(&m, KILN_U8, 3, 0, true), large);
    store(&m, access_over(&m, KILN_F16, 3, 0, true), y);
    store(&m, access_over(&m, KILN_F32, 3, 0, true), bytes);
    int whole = emit(&m, KILN_OP_CAST, large, -1, -1);
    m.instruction[whole].integer = true;
    int mixed = emit(&m, KILN_OP_MUL, whole, i, -1);
    m.instruction[mixed].integer = true;
    int most = emit(&m, KILN_OP_MAX, mixed, i, -1);
    m.instruction[most].integer = true;
    store(&m, access_over(&m, KILN_I32, 3, 0, true), most);
    int back = emit(&m, KILN_OP_CAST, most, -1, -1);
    store(&m, access_over(&m, KILN_F32, 3, 1, true), back);
    int same = emit(&m, KILN_OP_EQUAL, whole, i, -1);
    store(&m, access_over(&m, KILN_F32, 3, 0, true), same);
    check(&m, "casts, selects, powers", 2e-6, 1e-7);
}

static void run(void (*test)(struct lab *))
{
    for (int device = 0; device < lab_devices(); device++)
        for (int family = 0; family < 2; family++) {
            struct lab lab = lab_open(device, family ? "gpu" : "cpu");
            test(&lab);
            lab_close(&lab);
        }
}

static void all_forms(void **unused)
{
    (void)unused;
    run(loops_of_all_forms);
}

static void models(void **unused)
{
    (void)unused;
    run(loops_of_models);
}

static void ops(void **unused)
{
    (void)unused;
    run(pointwise_ops);
    run(more_pointwise_ops);
}

int main(void)
{
    if (lab_devices() == 0)
        return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ops),
        cmocka_unit_test(models),
        cmocka_unit_test(all_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
