/* The CPU device as a whole: denormals, results independent of the number of
 * threads, refusals. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cpu_lab.h"

/* Runs the step on one and on two threads without oneDNN (whose weight
 * gradients differ) and compares the whole memory. */
static void check_threads(const char *what, struct lab *lab, struct kiln_step *step, int candidate)
{
    char *images[2];
    char *start = malloc((size_t)lab->bytes);
    memcpy(start, lab->image, (size_t)lab->bytes);
    setenv("KILN_CPU_ONEDNN", "off", 1);
    for (int i = 0; i < 2; i++) {
        struct lab on = lab_open(i + 1, false);
        struct lab run = *lab;
        struct kiln_candidate candidates[KILN_MAX_CANDIDATES];
        run.device = on.device;
        memcpy(run.image, start, (size_t)lab->bytes);
        int n = run.backend->candidates(run.device, step, candidates);
        assert_true(candidate < n);
        if (step->kind >= KILN_STEP_CONV && step->kind <= KILN_STEP_CONV_WEIGHT_GRAD)
            step->as.conv.weight_layout = candidates[candidate].weight_layout;
        lab_run(&run, step, &candidates[candidate]);
        lab->image = run.image;
        images[i] = malloc((size_t)lab->bytes);
        memcpy(images[i], run.image, (size_t)lab->bytes);
        lab_close(&on);
    }
    unsetenv("KILN_CPU_ONEDNN");
    if (memcmp(images[0], images[1], (size_t)lab->bytes))
        fail_msg("%s: one and two threads differ", what);
    if (!memcmp(images[0], start, (size_t)lab->bytes))
        fail_msg("%s: nothing was written", what);
    free(images[0]);
    free(images[1]);
    free(start);
}

static struct kiln_place put(struct lab *lab, uint32_t seed, int64_t count)
{
    float *values = lab_values(seed, count);
    struct kiln_place place = lab_put(lab, KILN_F32, count, values);
    free(values);
    return place;
}

static void products_do_not_depend_on_threads(void **unused)
{
    (void)unused;
    struct lab lab = lab_open(1, false);
    struct kiln_step step = {.kind = KILN_STEP_MATMUL};
    struct kiln_step_matmul *m = &step.as.matmul;
    *m = (struct kiln_step_matmul){.batch = 3,
                                   .m = 210,
                                   .n = 530,
                                   .k = 301,
                                   .a_stride = {63210, 301, 1},
                                   .b_stride = {159530, 530, 1},
                                   .c_stride = {111300, 530, 1}};
    m->a = put(&lab, 1, 3 * 63210);
    m->b = put(&lab, 2, 3 * 159530);
    m->c = lab_put(&lab, KILN_F32, 3 * 111300, NULL);
    check_threads("matmul", &lab, &step, 0);
    lab_close(&lab);
}

static void convolutions_do_not_depend_on_threads(void **unused)
{
    (void)unused;
    struct lab lab = lab_open(1, false);
    for (int kind = KILN_STEP_CONV; kind <= KILN_STEP_CONV_WEIGHT_GRAD; kind++)
        for (int blocked = 0; blocked < 2; blocked++) {
            struct kiln_step step = {.kind = (enum kiln_step_kind)kind};
            struct kiln_step_conv *s = &step.as.conv;
            *s = (struct kiln_step_conv){.n = 19,
                                         .c = 3,
                                         .h = 13,
                                         .w = 17,
                                         .o = 32,
                                         .kh = 3,
                                         .kw = 3,
                                         .oh = 13,
                                         .ow = 17,
                                         .conv = {{1, 1}, {1, 1}, {1, 1, 1, 1}, 1},
                                         .y_layout =
                                             blocked ? KILN_LAYOUT_NCHW16C : KILN_LAYOUT_DENSE};
            lab_clear(&lab);
            s->x = put(&lab, 1, 19 * 3 * 221);
            s->weight = put(&lab, 2, 32 * 27);
            s->y = put(&lab, 3, 19 * 32 * 221);
            check_threads(blocked ? "edge convolution" : "convolution", &lab, &step, 0);
        }
    lab_close(&lab);
}

static void attention_does_not_depend_on_threads(void **unused)
{
    (void)unused;
    struct lab lab = lab_open(1, false);
    for (int kind = KILN_STEP_ATTENTION; kind <= KILN_STEP_ATTENTION_GRAD; kind++)
        for (int64_t batch = 3; batch <= 9; batch += 6) {
            struct kiln_step step = {.kind = (enum kiln_step_kind)kind};
            struct kiln_step_attention *s = &step.as.attention;
            int64_t rows = 130, width = 24, count = batch * rows * width;
            *s = (struct kiln_step_attention){.batch = batch,
                                              .n_q = rows,
                                              .n_k = rows,
                                              .width = width,
                                              .v_width = width,
                                              .scale = 0.2f};
            for (int i = 0; i < 3; i++) {
                int64_t stride = i == 0 ? rows * width : i == 1 ? width : 1;
                s->q_stride[i] = s->k_stride[i] = s->v_stride[i] = s->d_out_stride[i] = stride;
            }
            struct kiln_place *places[] = {&s->q,     &s->k,   &s->v,   &s->out,
                                           &s->d_out, &s->d_q, &s->d_k, &s->d_v};
            lab_clear(&lab);
            for (uint32_t i = 0; i < 8; i++)
                *places[i] = put(&lab, i + 1, count);
            s->log_sum_exp = put(&lab, 9, batch * rows);
            check_threads("attention", &lab, &step, 0);
        }
    lab_close(&lab);
}

/* y = x 0.5 for denormal x, on all threads; the caller's mode comes back. */
static void denormals_are_zero_while_steps_run(void **unused)
{
    (void)unused;
    enum { N = 1 << 20 };
    for (int variant = 0; variant < 2; variant++) {
        struct lab lab = lab_open_variant(variant);
        float *x = malloc(N * sizeof *x);
        for (int i = 0; i < N; i++)
            x[i] = 0x1p-126f;
        struct kiln_access accesses[2] = {
            {.place = lab_put(&lab, KILN_F32, N, x), .stride = {1}},
            {.place = lab_put(&lab, KILN_F32, N, NULL), .stride = {1}, .store = true}};
        const struct kiln_instruction program[] = {
            {KILN_INSTRUCTION_LOAD, 1, false, -1, -1, -1, 0, {0}},
            {KILN_OP_CONST, 1, false, -1, -1, -1, -1, {.f = 0.5f}},
            {KILN_OP_MUL, 1, false, 0, 1, -1, -1, {0}},
            {KILN_INSTRUCTION_STORE, 1, false, 2, -1, -1, 1, {0}},
        };
        struct kiln_step step = {.kind = KILN_STEP_LOOP};
        step.as.loop = (struct kiln_loop){.n_dims = 1,
                                          .extent = {N},
                                          .n_accesses = 2,
                                          .accesses = accesses,
                                          .n_instructions = 4,
                                          .instructions = program};
        lab_run_first(&lab, &step);
        const float *y = lab_at(&lab, accesses[1].place);
        for (int i = 0; i < N; i++)
            if (y[i] != 0.0f)
                fail_msg("element %d is a denormal", i);
        volatile float small = 0x1p-126f;
        assert_true(small * 0.5f > 0.0f);
        free(x);
        lab_close(&lab);
    }
}

static void an_unknown_algorithm_is_refused(void **unused)
{
    (void)unused;
    struct lab lab = lab_open(1, false);
    struct kiln_step step = {.kind = KILN_STEP_RESAMPLE, .algorithm = 999, .label = "strange"};
    struct kiln_steps steps = {.n = 1, .steps = &step};
    kiln_memory *regions[KILN_REGION_COUNT] = {NULL};
    kiln_exec *exec = NULL;
    struct kiln_error error = {""};
    assert_int_equal(lab.backend->exec_create(lab.device, &steps, regions, &exec, &error),
                     KILN_MACHINE);
    assert_null(exec);
    assert_non_null(strstr(error.text, "strange"));
    lab_close(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_do_not_depend_on_threads),
        cmocka_unit_test(convolutions_do_not_depend_on_threads),
        cmocka_unit_test(attention_does_not_depend_on_threads),
        cmocka_unit_test(denormals_are_zero_while_steps_run),
        cmocka_unit_test(an_unknown_algorithm_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
