/* Loop steps of the CPU backend against double. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cpu_lab.h"

static struct kiln_instruction load(int section, int access)
{
    return (struct kiln_instruction){
        KILN_INSTRUCTION_LOAD, (uint8_t)section, false, -1, -1, -1, (int16_t)access, {0}};
}

static struct kiln_instruction store(int section, int a, int access)
{
    return (struct kiln_instruction){
        KILN_INSTRUCTION_STORE, (uint8_t)section, false, (int16_t)a, -1, -1, (int16_t)access, {0}};
}

static struct kiln_instruction op(int section, int code, int a, int b)
{
    return (struct kiln_instruction){
        (uint16_t)code, (uint8_t)section, false, (int16_t)a, (int16_t)b, -1, -1, {0}};
}

static struct kiln_instruction constant(int section, float value)
{
    return (struct kiln_instruction){KILN_OP_CONST, (uint8_t)section, false, -1, -1, -1, -1,
                                     {.f = value}};
}

/*
 * Softmax over the middle axis of [outer, n, inner], with a scale per inner
 * index: exp(x s - max) / sum. Kept dimensions lie on both sides.
 */
static void check_softmax(struct lab *lab, int64_t outer, int64_t n, int64_t inner)
{
    int64_t count = outer * n * inner;
    float *x = lab_values(1, count), *scale = lab_values(2, inner);
    double *want = calloc((size_t)count, sizeof *want);
    for (int64_t row = 0; row < outer * inner; row++) {
        const float *in = x + row / inner * n * inner + row % inner;
        double *out = want + row / inner * n * inner + row % inner, sum = 0;
        for (int64_t j = 0; j < n; j++)
            sum += out[j * inner] = exp((double)in[j * inner] * scale[row % inner]);
        for (int64_t j = 0; j < n; j++)
            out[j * inner] /= sum;
    }
    lab_clear(lab);
    struct kiln_access accesses[3] = {
        {.place = lab_put(lab, KILN_F32, count, x), .stride = {n * inner, inner, 1}},
        {.place = lab_put(lab, KILN_F32, inner, scale), .stride = {0, 0, 1}},
        {.place = lab_put(lab, KILN_F32, count, NULL),
         .stride = {n * inner, inner, 1},
         .store = true},
    };
    const struct kiln_instruction program[] = {
        load(0, 1),                         /* 0 */
        load(1, 0),                         /* 1 */
        op(1, KILN_OP_MUL, 1, 0),           /* 2 */
        op(1, KILN_INSTRUCTION_MAX, 2, -1), /* 3 */
        load(3, 0),                         /* 4 */
        op(3, KILN_OP_MUL, 4, 0),           /* 5 */
        op(3, KILN_OP_SUB, 5, 3),           /* 6 */
        op(3, KILN_OP_EXP, 6, -1),          /* 7 */
        op(3, KILN_INSTRUCTION_SUM, 7, -1), /* 8 */
        constant(4, 1.0f),                  /* 9 */
        op(4, KILN_OP_DIV, 9, 8),           /* 10 */
        load(5, 0),                         /* 11 */
        op(5, KILN_OP_MUL, 11, 0),          /* 12 */
        op(5, KILN_OP_SUB, 12, 3),          /* 13 */
        op(5, KILN_OP_EXP, 13, -1),         /* 14 */
        op(5, KILN_OP_MUL, 14, 10),         /* 15 */
        store(5, 15, 2),                    /* 16 */
    };
    struct kiln_step step = {.kind = KILN_STEP_LOOP};
    step.as.loop = (struct kiln_loop){.n_dims = 3,
                                      .extent = {outer, n, inner},
                                      .reduced = {false, true, false},
                                      .n_accesses = 3,
                                      .accesses = accesses,
                                      .n_instructions = (int)(sizeof program / sizeof program[0]),
                                      .instructions = program};
    lab_run_first(lab, &step);
    lab_compare("softmax", count, lab_at(lab, accesses[2].place), want, 3e-6, 1e-9);
    free(x);
    free(scale);
    free(want);
}

static void softmax(void **unused)
{
    (void)unused;
    static const int64_t sizes[][3] = {{1, 1, 1},    {1, 7, 1},     {5, 1, 3},    {300, 49, 1},
                                       {3, 5000, 1}, {2, 17, 16},   {1, 300, 37}, {2, 10, 1009},
                                       {70, 300, 1}, {1, 1030, 64}, {9, 2, 2000}};
    for (int variant = 0; variant < LAB_VARIANTS; variant++) {
        struct lab lab = lab_open_variant(variant);
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
            check_softmax(&lab, sizes[i][0], sizes[i][1], sizes[i][2]);
        lab_close(&lab);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(softmax)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
