/* The elementary functions of loop steps against libm in double, over all
 * magnitudes, and at zeros, infinities and not-a-numbers. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cpu_lab.h"

#define SWEEP 100003
#define ULPS  4.0

static const float special[] = {
    0.0f,  -0.0f,  1.0f,  -1.0f,  INFINITY, -INFINITY,       NAN,    0x1p-126f,     -0x1p-126f,
    88.7f, 88.73f, 89.0f, -87.3f, -104.0f,  0x1.fffffep127f, 0.5f,   2.0f,          -2.0f,
    3.0f,  -3.0f,  1e6f,  1e7f,   1e10f,    1e-8f,           -1e-8f, 0x1.000002p0f, 0x1.fffffep-1f,
    0.95f, 4.0f,   10.0f, 9.0f};
#define N_SPECIAL (int)(sizeof special / sizeof special[0])

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

struct function {
    int op;
    const char *name;
    double (*reference)(double);
};

static const struct function functions[] = {
    {KILN_OP_EXP, "exp", exp},       {KILN_OP_EXPM1, "expm1", expm1},
    {KILN_OP_LOG, "log", log},       {KILN_OP_LOG1P, "log1p", log1p},
    {KILN_OP_SQRT, "sqrt", sqrt},    {KILN_OP_SIN, "sin", sin},
    {KILN_OP_COS, "cos", cos},       {KILN_OP_TANH, "tanh", tanh},
    {KILN_OP_ERF, "erf", erf},       {KILN_OP_SIGMOID, "sigmoid", sigmoid},
    {KILN_OP_FLOOR, "floor", floor},
};

/* Every exponent, signs alternating, and a dense part near 0. */
static float *arguments(int64_t *count)
{
    *count = 2 * SWEEP + N_SPECIAL;
    float *x = malloc((size_t)*count * sizeof *x);
    uint32_t state = 1;
    for (int i = 0; i < SWEEP; i++) {
        uint32_t bits = (uint32_t)i * 42949u; /* 2^32 / SWEEP: all of f32 */
        memcpy(&x[i], &bits, sizeof bits);
        x[SWEEP + i] = lab_value(&state) * (float)(i % 100);
    }
    memcpy(x + 2 * SWEEP, special, sizeof special);
    return x;
}

/* The error in units of the last place of want; FLT_MIN may be flushed. */
static double ulps(float got, double want)
{
    if (isnan(want) || isinf((float)want))
        return isnan(want)                                 ? !isnan(got) * 1e9
               : got == (float)want || fabs(want) > 3.4e38 ? 0
                                                           : 1e9;
    int exponent;
    frexp(want, &exponent);
    double unit = ldexp(1, (exponent < -125 ? -125 : exponent) - 24);
    double error = fabs(got - want);
    return error <= 0x1p-126 ? 0 : error / unit;
}

static void run_op(struct lab *lab, int op, int64_t count, const float *a, const float *b,
                   float *out)
{
    lab_clear(lab);
    struct kiln_access accesses[3] = {
        {.place = lab_put(lab, KILN_F32, count, a), .stride = {1}},
        {.place = lab_put(lab, KILN_F32, count, b ? b : a), .stride = {1}},
        {.place = lab_put(lab, KILN_F32, count, NULL), .stride = {1}, .store = true},
    };
    const struct kiln_instruction program[] = {
        {KILN_INSTRUCTION_LOAD, 1, false, -1, -1, -1, 0, {0}},
        {KILN_INSTRUCTION_LOAD, 1, false, -1, -1, -1, 1, {0}},
        {(uint16_t)op, 1, false, 0, b ? 1 : -1, -1, -1, {0}},
        {KILN_INSTRUCTION_STORE, 1, false, 2, -1, -1, 2, {0}},
    };
    struct kiln_step step = {.kind = KILN_STEP_LOOP};
    step.as.loop = (struct kiln_loop){.n_dims = 1,
                                      .extent = {count},
                                      .n_accesses = 3,
                                      .accesses = accesses,
                                      .n_instructions = 4,
                                      .instructions = program};
    lab_run_first(lab, &step);
    memcpy(out, lab_at(lab, accesses[2].place), (size_t)count * sizeof *out);
}

static void elementary_functions(void **unused)
{
    (void)unused;
    for (int variant = 0; variant < LAB_VARIANTS; variant++) {
        struct lab lab = lab_open_variant(variant);
        int64_t count;
        float *x = arguments(&count), *y = malloc((size_t)count * sizeof *y);
        for (size_t f = 0; f < sizeof functions / sizeof functions[0]; f++) {
            double worst = 0;
            float where = 0, got = 0;
            run_op(&lab, functions[f].op, count, x, NULL, y);
            for (int64_t i = 0; i < count; i++) {
                /* denormal arguments count as 0 */
                double at = fabsf(x[i]) < 0x1p-126f ? copysign(0, x[i]) : x[i];
                double error = ulps(y[i], functions[f].reference(at));
                if (error <= worst)
                    continue;
                worst = error;
                where = x[i];
                got = y[i];
            }
            if (worst > ULPS)
                fail_msg("%s(%.9g) = %.9g, not %.9g", functions[f].name, (double)where, (double)got,
                         functions[f].reference(where));
        }
        free(x);
        free(y);
        lab_close(&lab);
    }
}

static void powers(void **unused)
{
    (void)unused;
    for (int variant = 0; variant < LAB_VARIANTS; variant++) {
        struct lab lab = lab_open_variant(variant);
        enum { N = N_SPECIAL * N_SPECIAL + 20000 };
        float *a = malloc(N * sizeof *a), *b = malloc(N * sizeof *b), *y = malloc(N * sizeof *y);
        uint32_t state = 7;
        for (int i = 0; i < N; i++) {
            bool table = i < N_SPECIAL * N_SPECIAL;
            a[i] = table ? special[i / N_SPECIAL] : expf(40 * lab_value(&state));
            b[i] = table ? special[i % N_SPECIAL] : lab_value(&state) * (float)(i % 7);
        }
        run_op(&lab, KILN_OP_POW, N, a, b, y);
        for (int i = 0; i < N; i++) {
            double want = pow((double)a[i], (double)b[i]), error = ulps(y[i], want);
            if (error > ULPS)
                fail_msg("pow(%.9g, %.9g) = %.9g, not %.9g", (double)a[i], (double)b[i],
                         (double)y[i], want);
        }
        free(a);
        free(b);
        free(y);
        lab_close(&lab);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(elementary_functions),
                                       cmocka_unit_test(powers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
