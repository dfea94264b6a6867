/* The kernels of matrix engines, with plain code for the instruction that this
 * machine lacks: products and convolutions of small whole numbers are exact. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "opencl_lab.h"

static const char *const engines[] = {"mma",  "wmma",       "wmma_split",
                                      "mfma", "subgroup_8", "subgroup_16"};
static const char *const sizes[] = {"engine64", "engine128"};

/* count whole numbers below 9 in size, or any below 1. */
static struct kiln_place put(struct lab *lab, int64_t count, bool whole)
{
    struct kiln_place place = lab_put(lab, KILN_F32, count, 0);
    float *values = lab_at(lab, place);
    for (int64_t i = 0; i < count && whole; i++)
        values[i] = (float)((int)lab_random(lab, 17) - 8);
    return place;
}

/* bound: of the error; 0 for whole numbers */
static void check(struct lab *lab, struct kiln_step *step, const char *engine, double bound)
{
    for (int size = 0; size < 2; size++) {
        char what[96];
        snprintf(what, sizeof what, "%s, %s by %s", kiln_step_kind_name(step->kind), sizes[size],
                 engine);
        struct kiln_candidate candidates[KILN_MAX_CANDIDATES];
        int n = lab->backend->candidates(lab->device, step, candidates), found = 0;
        for (int i = 0; i < n; i++)
            found += strcmp(candidates[i].name, sizes[size]) == 0;
        assert_int_equal(found, 1);
        lab->only = sizes[size];
        lab_check(lab, step, what, 0, bound);
    }
}

static void product(struct lab *lab, const char *engine, int64_t m, int64_t n, int64_t k, int form,
                    bool whole)
{
    const bool ta = form & 1, tb = form & 2;
    struct kiln_step step = {.kind = KILN_STEP_MATMUL};
    struct kiln_step_matmul *s = &step.as.matmul;
    lab_clear(lab);
    *s = (struct kiln_step_matmul){.batch = 2,
                                   .m = m,
                                   .n = n,
                                   .k = k,
                                   .a = put(lab, 2 * m * k, whole),
                                   .b = put(lab, 2 * k * n, whole),
                                   .c = put(lab, 2 * m * n, whole),
                                   .a_stride = {m * k, ta ? 1 : k, ta ? m : 1},
                                   .b_stride = {k * n, tb ? 1 : n, tb ? k : 1},
                                   .c_stride = {m * n, n, 1}};
    check(lab, &step, engine, whole ? 0 : (double)k / 256); /* both operands by 1/512 */
}

static void convolution(struct lab *lab, const char *engine, enum kiln_step_kind kind)
{
    enum { N = 3, C = 5, O = 7, SIDE = 9, OUT = 5, KERNEL = 3 };
    struct kiln_step step = {.kind = kind};
    struct kiln_step_conv *s = &step.as.conv;
    lab_clear(lab);
    *s = (struct kiln_step_conv){.n = N,
                                 .c = C,
                                 .h = SIDE,
                                 .w = SIDE,
                                 .o = O,
                                 .kh = KERNEL,
                                 .kw = KERNEL,
                                 .oh = OUT,
                                 .ow = OUT,
                                 .conv = {{2, 2}, {1, 1}, {1, 1, 1, 1}, 1},
                                 .x_layout = KILN_LAYOUT_DENSE,
                                 .y_layout = KILN_LAYOUT_DENSE,
                                 .x = put(lab, N * C * SIDE * SIDE, true),
                                 .weight = put(lab, O * C * KERNEL * KERNEL, true),
                                 .y = put(lab, N * O * OUT * OUT, true)};
    check(lab, &step, engine, 0);
}

/* Numbers of order 1: what is multiplied is off by 1/512 at most. */
static void attention(struct lab *lab, const char *engine)
{
    enum { N = 66, WIDTH = 20 };
    struct kiln_step step = {.kind = KILN_STEP_ATTENTION};
    struct kiln_step_attention *s = &step.as.attention;
    lab_clear(lab);
    *s = (struct kiln_step_attention){.batch = 1,
                                      .n_q = N,
                                      .n_k = N,
                                      .width = WIDTH,
                                      .v_width = WIDTH,
                                      .scale = 0.5f,
                                      .q = put(lab, N * WIDTH, false),
                                      .k = put(lab, N * WIDTH, false),
                                      .v = put(lab, N * WIDTH, false),
                                      .d_out = put(lab, N * WIDTH, false),
                                      .out = put(lab, N * WIDTH, false),
                                      .log_sum_exp = put(lab, N, false),
                                      .q_stride = {0, WIDTH, 1},
                                      .k_stride = {0, WIDTH, 1},
                                      .v_stride = {0, WIDTH, 1},
                                      .d_out_stride = {0, WIDTH, 1}};
    lab->only = sizes[0];
    lab_check(lab, &step, engine, 0, 0.004);
    float *log_sum_exp = lab_at(lab, s->log_sum_exp);
    for (int i = 0; i < N; i++)
        log_sum_exp[i] += 4; /* what a forward pass would give, about */
    step.kind = KILN_STEP_ATTENTION_GRAD;
    s->d_q = put(lab, N * WIDTH, false);
    s->d_k = put(lab, N * WIDTH, false);
    s->d_v = put(lab, N * WIDTH, false);
    lab_check(lab, &step, engine, 0, 0.02);
}

static void each_engine(void **unused)
{
    (void)unused;
    if (!lab_devices())
        skip();
    const struct kiln_device_options options = {.round_products = true};
    /* in a simulator one of 32 lanes and one of 64 */
    const size_t each = lab_too_large(INT64_MAX) ? 3 : 1;
    for (size_t i = 0; i < sizeof engines / sizeof *engines; i += each) {
        setenv("KILN_OPENCL_ENGINE", engines[i], 1);
        struct lab lab = lab_open_with(0, "gpu", &options);
        for (int form = 0; form < 4 && !lab_too_large(75 * 66 * 37); form++)
            product(&lab, engines[i], 75, 66, 37, form, true);
        product(&lab, engines[i], 1, 70, 8, 0, true);
        product(&lab, engines[i], 40, 33, 40, 3, false);
        if (!lab_too_large(2 * 66 * 66 * 20))
            attention(&lab, engines[i]);
        convolution(&lab, engines[i], KILN_STEP_CONV);
        convolution(&lab, engines[i], KILN_STEP_CONV_INPUT_GRAD);
        convolution(&lab, engines[i], KILN_STEP_CONV_WEIGHT_GRAD);
        lab_close(&lab);
    }
}

static int engine_candidates(bool round, const char *family, const char *engine)
{
    const struct kiln_device_options options = {.round_products = round};
    if (engine)
        setenv("KILN_OPENCL_ENGINE", engine, 1);
    else
        unsetenv("KILN_OPENCL_ENGINE");
    struct lab lab = lab_open_with(0, family, &options);
    struct kiln_step step = {.kind = KILN_STEP_MATMUL,
                             .as.matmul = {.batch = 1, .m = 256, .n = 256, .k = 256}};
    struct kiln_candidate candidates[KILN_MAX_CANDIDATES];
    int n = lab.backend->candidates(lab.device, &step, candidates), found = 0;
    for (int i = 0; i < n; i++)
        found += strncmp(candidates[i].name, "engine", 6) == 0;
    lab_close(&lab);
    return found;
}

static void offered_only_where_asked_for_and_there(void **unused)
{
    (void)unused;
    if (!lab_devices())
        skip();
    assert_int_equal(engine_candidates(true, "gpu", "mma"), 2);
    assert_int_equal(engine_candidates(false, "gpu", "mma"), 0); /* not asked for */
    assert_int_equal(engine_candidates(true, "cpu", "mma"), 0);  /* no local memory */
    assert_int_equal(engine_candidates(true, "gpu", "off"), 0);
    const int own = engine_candidates(true, "gpu", NULL); /* both sizes, if it has one */
    assert_true(own == 0 || own == 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_engine),
        cmocka_unit_test(offered_only_where_asked_for_and_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
