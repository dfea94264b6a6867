/* Every precondition of a step that step.h documents is checked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/device/validate.h"

#define BYTES 4096

static struct kiln_place at(int64_t offset, enum kiln_dtype dtype)
{
    return (struct kiln_place){KILN_REGION_WORKSPACE, dtype, offset};
}

static const char *fault_of(const struct kiln_step *step)
{
    static struct kiln_error error;
    struct kiln_steps steps = {.n = 1, .steps = step, .region_bytes = {BYTES, BYTES, BYTES, BYTES}};
    error.text[0] = '\0';
    enum kiln_status status = kiln_steps_validate(&steps, &error);
    assert_int_equal(status != KILN_OK, error.text[0] != '\0');
    return error.text;
}

static void expect(const struct kiln_step *step, const char *fault)
{
    const char *got = fault_of(step);
    if (fault[0] ? !strstr(got, fault) : got[0])
        fail_msg("expected \"%s\", got \"%s\"", fault, got);
}

/* [4, 8] x [8, 6] */
static struct kiln_step matmul(void)
{
    return (struct kiln_step){.kind = KILN_STEP_MATMUL,
                              .label = "m",
                              .as.matmul = {.batch = 1,
                                            .m = 4,
                                            .n = 6,
                                            .k = 8,
                                            .a = at(0, KILN_F32),
                                            .b = at(128, KILN_F32),
                                            .c = at(320, KILN_F32),
                                            .a_stride = {32, 8, 1},
                                            .b_stride = {48, 6, 1},
                                            .c_stride = {24, 6, 1}}};
}

static void matmuls(void **unused)
{
    (void)unused;
    struct kiln_step step = matmul();
    expect(&step, "");
    step.as.matmul.b_stride[1] = 1;
    step.as.matmul.b_stride[2] = 8;
    expect(&step, "");
    step = matmul();
    step.as.matmul.a.offset = 4;
    expect(&step, "misaligned");
    step = matmul();
    step.as.matmul.c.offset = 4096 - 64;
    expect(&step, "outside");
    step = matmul();
    step.as.matmul.c.offset = -64;
    expect(&step, "outside");
    step = matmul();
    step.as.matmul.c.offset = 128;
    expect(&step, "overlaps");
    step = matmul();
    step.as.matmul.a_stride[2] = 2;
    expect(&step, "contiguous");
    step = matmul();
    step.as.matmul.a.dtype = KILN_I32;
    expect(&step, "not f32");
    step = matmul();
    step.as.matmul.k = 0;
    expect(&step, "out of range");
    step = matmul();
    step.as.matmul.k = (int64_t)1 << 62;
    expect(&step, "out of range");
    step = matmul();
    step.as.matmul.a_stride[1] = INT64_MAX;
    expect(&step, "out of range");
    step = matmul();
    step.as.matmul.a.region = KILN_REGION_COUNT;
    expect(&step, "no region");
    step = matmul();
    step.scratch_bytes = BYTES + 1;
    expect(&step, "outside");
    step.kind = KILN_STEP_KIND_COUNT;
    expect(&step, "no such kind");
}

/* [1, 4, 5, 5] with [2, 4, 3, 3], padding 1 */
static struct kiln_step conv(enum kiln_step_kind kind)
{
    return (struct kiln_step){
        .kind = kind,
        .label = "c",
        .as.conv = {
            .n = 1,
            .c = 4,
            .h = 5,
            .w = 5,
            .o = 2,
            .kh = 3,
            .kw = 3,
            .oh = 5,
            .ow = 5,
            .conv = {.stride = {1, 1}, .dilation = {1, 1}, .pad = {1, 1, 1, 1}, .groups = 1},
            .x = at(0, KILN_F32),
            .weight = at(512, KILN_F32),
            .y = at(1024, KILN_F32)}};
}

static void convolutions(void **unused)
{
    (void)unused;
    for (int kind = KILN_STEP_CONV; kind <= KILN_STEP_CONV_WEIGHT_GRAD; kind++) {
        struct kiln_step step = conv((enum kiln_step_kind)kind);
        expect(&step, "");
        step.as.conv.oh = 4;
        expect(&step, "sizes");
        step = conv((enum kiln_step_kind)kind);
        step.as.conv.conv.groups = 0;
        expect(&step, "out of range");
        step.as.conv.conv.groups = 3;
        expect(&step, "out of range");
        step = conv((enum kiln_step_kind)kind);
        step.as.conv.conv.stride[1] = 0;
        expect(&step, "sizes");
        step = conv((enum kiln_step_kind)kind);
        step.as.conv.x_layout = KILN_LAYOUT_NCHW8C;
        expect(&step, "layout");
    }
    struct kiln_step step = conv(KILN_STEP_CONV);
    step.as.conv.y.offset = 64;
    expect(&step, "overlaps");
    step = conv(KILN_STEP_CONV_INPUT_GRAD);
    step.as.conv.x.offset = 512;
    expect(&step, "overlaps");
}

static void other_kinds(void **unused)
{
    (void)unused;
    struct kiln_step window = {.kind = KILN_STEP_WINDOW_GATHER,
                               .label = "w",
                               .as.window = {.outer = 2,
                                             .inner = 1,
                                             .h = 4,
                                             .w = 4,
                                             .oh = 2,
                                             .ow = 2,
                                             .window = {.size = {2, 2}, .stride = {2, 2}},
                                             .x = at(0, KILN_F32),
                                             .index = at(128, KILN_I32),
                                             .y = at(192, KILN_F32)}};
    expect(&window, "");
    window.as.window.index.dtype = KILN_F32;
    expect(&window, "dtype");
    window.as.window.index.dtype = KILN_I32;
    window.as.window.window.pad[0] = 2;
    expect(&window, "padding alone");

    static const int32_t row[] = {0, 1, 2}, column[] = {0, 1};
    static const float weight[] = {1, 1};
    struct kiln_sparse matrix = {2, 2, row, column, weight};
    struct kiln_step resample = {.kind = KILN_STEP_RESAMPLE,
                                 .label = "r",
                                 .as.resample = {.outer = 1,
                                                 .inner = 1,
                                                 .vertical = matrix,
                                                 .horizontal = matrix,
                                                 .x = at(0, KILN_F32),
                                                 .y = at(64, KILN_F32)}};
    expect(&resample, "");
    static const int32_t wide[] = {0, 2};
    resample.as.resample.vertical.column = wide;
    expect(&resample, "unsound");

    struct kiln_step rows = {.kind = KILN_STEP_GATHER_ROWS,
                             .label = "g",
                             .as.rows = {.n = 3,
                                         .rows = 10,
                                         .row_elements = 4,
                                         .table = at(0, KILN_U8),
                                         .index = at(64, KILN_I32),
                                         .out = at(128, KILN_U8)}};
    expect(&rows, "");
    rows.as.rows.out.dtype = KILN_F32;
    expect(&rows, "dtypes");

    struct kiln_step rng = {
        .kind = KILN_STEP_RNG,
        .label = "n",
        .as.rng = {.samples = 2, .per_sample = 5, .key = at(0, KILN_I32), .out = at(64, KILN_F32)}};
    expect(&rng, "");
    rng.as.rng.rng.kind = KILN_RNG_INTEGER;
    rng.as.rng.out.dtype = KILN_I32;
    expect(&rng, "no bound");

    struct kiln_step update = {.kind = KILN_STEP_UPDATE,
                               .label = "u",
                               .as.update = {.update = {KILN_OPTIMIZER_ADAM, false},
                                             .count = 16,
                                             .parameter = at(0, KILN_F32),
                                             .gradient = at(64, KILN_F32),
                                             .moment1 = at(128, KILN_F32),
                                             .moment2 = at(192, KILN_F32),
                                             .ema = at(-1, KILN_F32),
                                             .hyper = at(256, KILN_F32),
                                             .norm = at(320, KILN_F32)}};
    expect(&update, "");
    update.as.update.update.ema = true;
    expect(&update, "misaligned");
}

/* --- loops ----------------------------------------------------------------- */

/* y[i] = sum over j of x[i, j] * x[i, j], i < 3, j < 5 */
struct loop_step {
    struct kiln_step step;
    struct kiln_access accesses[2];
    struct kiln_instruction instructions[4];
};

static void loop(struct loop_step *l)
{
    *l = (struct loop_step){
        .accesses = {{.place = at(0, KILN_F32), .stride = {5, 1}},
                     {.place = at(64, KILN_F32), .stride = {1, 0}, .store = true}},
        .instructions = {{.op = KILN_INSTRUCTION_LOAD, .section = 1, .access = 0},
                         {.op = KILN_OP_MUL, .section = 1, .a = 0, .b = 0},
                         {.op = KILN_INSTRUCTION_SUM, .section = 1, .a = 1},
                         {.op = KILN_INSTRUCTION_STORE, .section = 2, .a = 2, .access = 1}}};
    l->step = (struct kiln_step){.kind = KILN_STEP_LOOP,
                                 .label = "l",
                                 .as.loop = {.n_dims = 2,
                                             .extent = {3, 5},
                                             .reduced = {false, true},
                                             .n_accesses = 2,
                                             .accesses = l->accesses,
                                             .n_instructions = 4,
                                             .instructions = l->instructions}};
}

static void loops(void **unused)
{
    (void)unused;
    struct loop_step l;
    loop(&l);
    expect(&l.step, "");
    l.accesses[1].stride[1] = 1000000; /* once per kept index: not followed */
    expect(&l.step, "");
    l.accesses[0].stride[0] = 600;
    expect(&l.step, "outside");
    loop(&l);
    l.accesses[0].stride[0] = -5;
    expect(&l.step, "outside");
    l.accesses[0].place.offset = 40;
    expect(&l.step, "");
    l.accesses[0].place.offset = 42;
    expect(&l.step, "misaligned");
    loop(&l);
    l.accesses[1].stride[0] = 0;
    expect(&l.step, "same element");
    loop(&l);
    l.instructions[3].section = 1;
    expect(&l.step, "not there");
    loop(&l);
    l.instructions[3].a = 1;
    expect(&l.step, "not there");
    loop(&l);
    l.instructions[1].b = 1;
    expect(&l.step, "not there");
    loop(&l);
    l.instructions[0].access = 2;
    expect(&l.step, "no access");
    l.instructions[0].access = 1;
    expect(&l.step, "other sort");
    loop(&l);
    l.instructions[0].integer = true;
    expect(&l.step, "dtype");
    loop(&l);
    l.instructions[1].op = KILN_OP_STOP_GRADIENT;
    expect(&l.step, "pointwise");
    l.instructions[1].op = KILN_OP_CONV;
    expect(&l.step, "pointwise");
    loop(&l);
    l.instructions[2].section = 0;
    expect(&l.step, "sorted");
    loop(&l);
    l.step.as.loop.reduced[1] = false;
    expect(&l.step, "another section");
    loop(&l);
    l.step.as.loop.n_dims = 13;
    expect(&l.step, "out of range");
    loop(&l);
    l.step.as.loop.extent[1] = 0;
    expect(&l.step, "out of range");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matmuls),
        cmocka_unit_test(convolutions),
        cmocka_unit_test(other_kinds),
        cmocka_unit_test(loops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
