/*
 * Throughput of loop steps on the CPU backend: GB/s of the operands read and
 * written once, for a size that stays in the caches and one that does not.
 */
#include "cpu_bench.h"

#include <stdio.h>
#include <stdlib.h>

#define MAX_PROGRAM 32

static struct kiln_instruction program[MAX_PROGRAM];
static int length;

static int add(int op, int section, int a, int b, int access, float value)
{
    program[length] = (struct kiln_instruction){(uint16_t)op,    (uint8_t)section, false,
                                                (int16_t)a,      (int16_t)b,       -1,
                                                (int16_t)access, {.f = value}};
    return length++;
}

static int load(int section, int access)
{
    return add(KILN_INSTRUCTION_LOAD, section, -1, -1, access, 0);
}

static void store(int section, int a, int access)
{
    add(KILN_INSTRUCTION_STORE, section, a, -1, access, 0);
}

static int op(int code, int section, int a, int b)
{
    return add(code, section, a, b, -1, 0);
}

static int constant(int section, float value)
{
    return add(KILN_OP_CONST, section, -1, -1, -1, value);
}

static void report(struct bench *bench, const char *name, struct kiln_loop *loop,
                   struct kiln_access *accesses, int n_accesses, int64_t elements, int operands)
{
    struct kiln_step step = {.kind = KILN_STEP_LOOP};
    loop->n_accesses = n_accesses;
    loop->accesses = accesses;
    loop->n_instructions = length;
    loop->instructions = program;
    step.as.loop = *loop;
    double seconds = bench_steps(bench, 1, &step);
    printf("%-28s %10lld elements %9.1f us %7.1f GB/s\n", name, (long long)elements, seconds * 1e6,
           (double)elements * operands * 4e-9 / seconds);
    bench->bytes = 0;
    length = 0;
}

static void pointwise(struct bench *bench, const char *name, int64_t n, int kind)
{
    struct kiln_loop loop = {.n_dims = 1, .extent = {n}};
    struct kiln_access accesses[4];
    for (int i = 0; i < 4; i++)
        accesses[i] = (struct kiln_access){
            .place = bench_place(bench, KILN_F32, n), .stride = {1}, .store = i == 3};
    int x = load(1, 0), y;
    if (kind == 0) {
        y = op(KILN_OP_ADD, 1, x, load(1, 1));
    } else if (kind == 1) {
        y = op(KILN_OP_MUL, 1, x, op(KILN_OP_SIGMOID, 1, x, -1));
    } else if (kind == 3) {
        int zero = constant(1, 0), negative = op(KILN_OP_EXPM1, 1, op(KILN_OP_MIN, 1, x, zero), -1);
        int is_negative = op(KILN_OP_LESS, 1, x, zero);
        y = op(KILN_OP_SELECT, 1, is_negative, negative);
        program[y].c = (int16_t)x;
    } else {
        /* x s + t, silu, plus a residual */
        int s = op(KILN_OP_MUL, 1, x, constant(1, 1.5f));
        s = op(KILN_OP_ADD, 1, s, constant(1, 0.5f));
        s = op(KILN_OP_MUL, 1, s, op(KILN_OP_SIGMOID, 1, s, -1));
        y = op(KILN_OP_ADD, 1, s, load(1, 1));
    }
    store(1, y, 3);
    report(bench, name, &loop, accesses, 4, n, kind == 1 || kind == 3 ? 2 : 3);
}

/* Group norm with scale and shift: mean, variance, output; dims and strides
 * for nchw, nChw16c or nhwc. */
static void group_norm(struct bench *bench, int64_t n, int64_t c, int64_t hw, int64_t groups,
                       int layout)
{
    static const char *const names[] = {"group norm nchw", "group norm nChw16c", "group norm nhwc"};
    int64_t in_group = c / groups;
    struct kiln_loop loop = {.n_dims = 4};
    struct kiln_access accesses[4] = {
        {.place = bench_place(bench, KILN_F32, n * c * hw)},
        {.place = bench_place(bench, KILN_F32, c)},
        {.place = bench_place(bench, KILN_F32, c)},
        {.place = bench_place(bench, KILN_F32, n * c * hw), .store = true}};
    int64_t x[5], s[5];
    int dims;
    if (layout == 0) { /* n g | c/g hw */
        int64_t e[] = {n, groups, in_group, hw}, xs[] = {c * hw, in_group * hw, hw, 1},
                ss[] = {0, in_group, 1, 0};
        dims = 4;
        for (int d = 0; d < dims; d++)
            loop.extent[d] = e[d], x[d] = xs[d], s[d] = ss[d], loop.reduced[d] = d >= 2;
    } else if (layout == 1 && in_group <= 16) { /* n c/16 | hw | 16/cg | cg */
        int64_t e[] = {n, c / 16, hw, 16 / in_group, in_group},
                xs[] = {c * hw, 16 * hw, 16, in_group, 1}, ss[] = {0, 16, 0, in_group, 1};
        dims = 5;
        for (int d = 0; d < dims; d++)
            loop.extent[d] = e[d], x[d] = xs[d], s[d] = ss[d], loop.reduced[d] = d == 2 || d == 4;
    } else { /* n | hw | g | cg */
        int64_t e[] = {n, hw, groups, in_group}, xs[] = {c * hw, c, in_group, 1},
                ss[] = {0, 0, in_group, 1};
        dims = 4;
        for (int d = 0; d < dims; d++)
            loop.extent[d] = e[d], x[d] = xs[d], s[d] = ss[d], loop.reduced[d] = d == 1 || d == 3;
    }
    loop.n_dims = dims;
    for (int d = 0; d < dims; d++) {
        accesses[0].stride[d] = accesses[3].stride[d] = x[d];
        accesses[1].stride[d] = accesses[2].stride[d] = s[d];
    }
    int sum = op(KILN_INSTRUCTION_SUM, 1, load(1, 0), -1);
    int mean = op(KILN_OP_MUL, 2, sum, constant(2, 1.0f / (float)(in_group * hw)));
    int d = op(KILN_OP_SUB, 3, load(3, 0), mean);
    int square = op(KILN_INSTRUCTION_SUM, 3, op(KILN_OP_MUL, 3, d, d), -1);
    int variance = op(KILN_OP_MUL, 4, square, constant(4, 1.0f / (float)(in_group * hw)));
    int root = op(KILN_OP_SQRT, 4, op(KILN_OP_ADD, 4, variance, constant(4, 1e-5f)), -1);
    int inverse = op(KILN_OP_DIV, 4, constant(4, 1.0f), root);
    int y = op(KILN_OP_MUL, 5, op(KILN_OP_SUB, 5, load(5, 0), mean), inverse);
    y = op(KILN_OP_MUL, 5, y, load(5, 1));
    y = op(KILN_OP_ADD, 5, y, load(5, 2));
    store(5, y, 3);
    report(bench, names[layout], &loop, accesses, 4, n * c * hw, 2);
}

static void softmax(struct bench *bench, int64_t rows, int64_t columns)
{
    char name[64];
    struct kiln_loop loop = {.n_dims = 2, .extent = {rows, columns}, .reduced = {false, true}};
    struct kiln_access accesses[2] = {
        {.place = bench_place(bench, KILN_F32, rows * columns), .stride = {columns, 1}},
        {.place = bench_place(bench, KILN_F32, rows * columns),
         .stride = {columns, 1},
         .store = true}};
    int max = op(KILN_INSTRUCTION_MAX, 1, load(1, 0), -1);
    int e = op(KILN_OP_EXP, 3, op(KILN_OP_SUB, 3, load(3, 0), max), -1);
    int sum = op(KILN_INSTRUCTION_SUM, 3, e, -1);
    int inverse = op(KILN_OP_DIV, 4, constant(4, 1.0f), sum);
    e = op(KILN_OP_EXP, 5, op(KILN_OP_SUB, 5, load(5, 0), max), -1);
    store(5, op(KILN_OP_MUL, 5, e, inverse), 1);
    snprintf(name, sizeof name, "softmax over %lld", (long long)columns);
    report(bench, name, &loop, accesses, 2, rows * columns, 2);
}

/* Sum over everything but the channel, channels innermost (bias gradient). */
static void channel_sum(struct bench *bench, int64_t n, int64_t c, int64_t hw, bool blocked)
{
    struct kiln_loop loop = {
        .n_dims = 4, .extent = {n, c / 16, hw, 16}, .reduced = {true, false, true, false}};
    struct kiln_access accesses[2] = {
        {.place = bench_place(bench, KILN_F32, n * c * hw), .stride = {c * hw, 16 * hw, 16, 1}},
        {.place = bench_place(bench, KILN_F32, c), .stride = {0, 16, 0, 1}, .store = true}};
    if (!blocked) {
        loop = (struct kiln_loop){.n_dims = 2, .extent = {n * hw, c}, .reduced = {true, false}};
        accesses[0].stride[0] = c;
        accesses[0].stride[1] = 1;
        accesses[1].stride[0] = 0;
        accesses[1].stride[1] = 1;
    }
    store(2, op(KILN_INSTRUCTION_SUM, 1, load(1, 0), -1), 1);
    report(bench, blocked ? "channel sum nChw16c" : "channel sum nhwc", &loop, accesses, 2,
           n * c * hw, 1);
}

/* nChw16c -> nchw, dimensions in the order of the output. */
static void unblock(struct bench *bench, int64_t n, int64_t c, int64_t hw)
{
    struct kiln_loop loop = {.n_dims = 4, .extent = {n, c / 16, 16, hw}};
    struct kiln_access accesses[2] = {
        {.place = bench_place(bench, KILN_F32, n * c * hw), .stride = {c * hw, 16 * hw, 1, 16}},
        {.place = bench_place(bench, KILN_F32, n * c * hw),
         .stride = {c * hw, 16 * hw, hw, 1},
         .store = true}};
    store(1, load(1, 0), 1);
    report(bench, "nChw16c -> nchw", &loop, accesses, 2, n * c * hw, 2);
}

/* A bias per channel in nChw16c, or a change of layout. */
static void channel_bias(struct bench *bench, int64_t n, int64_t c, int64_t hw, bool reorder)
{
    struct kiln_loop loop = {.n_dims = 4, .extent = {n, c / 16, hw, 16}};
    struct kiln_access accesses[3] = {
        {.place = bench_place(bench, KILN_F32, n * c * hw), .stride = {c * hw, 16 * hw, 16, 1}},
        {.place = bench_place(bench, KILN_F32, c), .stride = {0, 16, 0, 1}},
        {.place = bench_place(bench, KILN_F32, n * c * hw),
         .stride = {c * hw, 16 * hw, 16, 1},
         .store = true}};
    if (reorder) {
        accesses[0].stride[2] = 1;
        accesses[0].stride[3] = hw;
        store(1, load(1, 0), 2);
    } else {
        store(1, op(KILN_OP_ADD, 1, load(1, 0), load(1, 1)), 2);
    }
    report(bench, reorder ? "nchw -> nChw16c" : "bias nChw16c", &loop, accesses, 3, n * c * hw, 2);
}

static void adam(struct bench *bench, int64_t n)
{
    struct kiln_step step = {.kind = KILN_STEP_UPDATE};
    struct kiln_step_update *s = &step.as.update;
    *s = (struct kiln_step_update){.update = {KILN_OPTIMIZER_ADAM, true}, .count = n};
    s->parameter = bench_place(bench, KILN_F32, n);
    s->gradient = bench_place(bench, KILN_F32, n);
    s->moment1 = bench_place(bench, KILN_F32, n);
    s->moment2 = bench_place(bench, KILN_F32, n);
    s->ema = bench_place(bench, KILN_F32, n);
    s->hyper = bench_place(bench, KILN_F32, KILN_HYPER_WORDS);
    s->norm = bench_place(bench, KILN_F32, 2);
    double seconds = bench_steps(bench, 1, &step);
    printf("%-28s %10lld elements %9.1f us %7.1f GB/s\n", "adam with ema", (long long)n,
           seconds * 1e6, (double)n * 9 * 4e-9 / seconds);
    bench->bytes = 0;
}

int main(int argc, char **argv)
{
    struct bench bench = bench_open(argc > 1 ? atoi(argv[1]) : 2);
    printf("%s\n", bench.backend->libraries(bench.device));
    for (int64_t n = 65536; n <= (int64_t)65536 * 64; n *= 8) {
        pointwise(&bench, "add", n, 0);
        pointwise(&bench, "silu", n, 1);
        pointwise(&bench, "elu", n, 3);
        pointwise(&bench, "scale, shift, silu, add", n, 2);
    }
    for (int64_t n = 8; n <= 64; n *= 8) {
        for (int layout = 0; layout < 3; layout++)
            group_norm(&bench, n, 64, 784, 8, layout);
        channel_sum(&bench, n, 64, 784, true);
        channel_sum(&bench, n, 64, 784, false);
        channel_bias(&bench, n, 64, 784, false);
        channel_bias(&bench, n, 64, 784, true);
        unblock(&bench, n, 64, 784);
    }
    softmax(&bench, 64 * 49, 49);
    softmax(&bench, 4096, 256);
    softmax(&bench, 64, 16384);
    adam(&bench, 650000);
    adam(&bench, 6500000);
    bench.backend->close(bench.device);
    return 0;
}
