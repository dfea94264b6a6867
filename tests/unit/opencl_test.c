/* Every kind of step but loops over every OpenCL device, with kernels of both
 * families, against the naive interpreter: odd sizes, strides, guard bands. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "opencl_lab.h"

static void run(void (*test)(struct lab *))
{
    for (int device = 0; device < lab_devices(); device++)
        for (int family = 0; family < 2; family++) {
            struct lab lab = lab_open(device, family ? "gpu" : "cpu");
            test(&lab);
            lab_close(&lab);
        }
}

/* --- matrix products --------------------------------------------------------- */

static void product(struct lab *lab, int64_t batch, int64_t m, int64_t n, int64_t k, int form)
{
    struct kiln_step step = {.kind = KILN_STEP_MATMUL};
    struct kiln_step_matmul *s = &step.as.matmul;
    if (lab_too_large(batch * m * n * k))
        return;
    bool ta = form & 1, tb = form & 2, shared = form & 4;
    int64_t gap = form & 8 ? 3 : 0; /* rows lie apart */
    *s = (struct kiln_step_matmul){
        .batch = batch,
        .m = m,
        .n = n,
        .k = k,
        .a_stride = {m * (k + gap) + k, ta ? 1 : k + gap, ta ? m + gap : 1},
        .b_stride = {shared ? 0 : k * (n + gap) + n, tb ? 1 : n + gap, tb ? k + gap : 1},
        .c_stride = {m * (n + gap), n + gap, 1}};
    lab_clear(lab);
    s->a = lab_put(lab, KILN_F32, batch * (m + gap) * (k + gap) + m + k, 0);
    s->b = lab_put(lab, KILN_F32, batch * (k + gap) * (n + gap) + n + k, 0);
    s->c = lab_put(lab, KILN_F32, batch * m * (n + gap), 0);
    char what[128];
    snprintf(what, sizeof what, "matmul %d x %dx%dx%d form %d", (int)batch, (int)m, (int)n, (int)k,
             form);
    lab_check(lab, &step, what, 1e-6, 1e-6 * sqrt((double)k));
}

static void products(struct lab *lab)
{
    static const int64_t sizes[][4] = {{1, 1, 1, 1},   {1, 5, 7, 3},    {3, 17, 33, 19},
                                       {2, 14, 32, 8}, {2, 1, 37, 65},  {4, 49, 49, 16},
                                       {1, 130, 1, 7}, {1, 3, 100, 1},  {1, 29, 65, 130},
                                       {1, 15, 16, 9}, {2, 28, 64, 40}, {1, 70, 97, 300}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int form = 0; form < 16; form += i % 3 == 0 ? 1 : 3)
            product(lab, sizes[i][0], sizes[i][1], sizes[i][2], sizes[i][3], form);
}

static void matrix_products(void **unused)
{
    (void)unused;
    run(products);
}

/* --- convolutions ---------------------------------------------------------------- */

struct geometry {
    int64_t n, c, h, w, o, kh, kw;
    struct kiln_conv conv;
};

static void convolution(struct lab *lab, const struct geometry *g, enum kiln_layout x_layout,
                        enum kiln_layout y_layout)
{
    static const enum kiln_step_kind kinds[] = {KILN_STEP_CONV, KILN_STEP_CONV_INPUT_GRAD,
                                                KILN_STEP_CONV_WEIGHT_GRAD};
    const struct kiln_conv *conv = &g->conv;
    int64_t oh = (g->h + conv->pad[0] + conv->pad[1] - conv->dilation[0] * (g->kh - 1) - 1) /
                     conv->stride[0] +
                 1;
    int64_t ow = (g->w + conv->pad[2] + conv->pad[3] - conv->dilation[1] * (g->kw - 1) - 1) /
                     conv->stride[1] +
                 1;
    if (lab_too_large(g->n * g->o * oh * ow * (g->c / conv->groups) * g->kh * g->kw))
        return;
    for (int i = 0; i < 3; i++) {
        struct kiln_step step = {.kind = kinds[i]};
        struct kiln_step_conv *s = &step.as.conv;
        *s = (struct kiln_step_conv){.n = g->n,
                                     .c = g->c,
                                     .h = g->h,
                                     .w = g->w,
                                     .o = g->o,
                                     .kh = g->kh,
                                     .kw = g->kw,
                                     .oh = oh,
                                     .ow = ow,
                                     .conv = *conv,
                                     .x_layout = x_layout,
                                     .y_layout = y_layout};
        struct kiln_candidate candidates[KILN_MAX_CANDIDATES];
        if (lab->backend->candidates(lab->device, &step, candidates) == 0) {
            assert_true(x_layout != KILN_LAYOUT_DENSE || y_layout != KILN_LAYOUT_DENSE);
            continue;
        }
        lab_clear(lab);
        s->x = lab_put(lab, KILN_F32, g->n * g->c * g->h * g->w, 0);
        s->weight = lab_put(lab, KILN_F32, g->o * (g->c / conv->groups) * g->kh * g->kw, 0);
        s->y = lab_put(lab, KILN_F32, g->n * g->o * oh * ow, 0);
        int64_t terms = i == 0   ? g->c * g->kh * g->kw
                        : i == 1 ? g->o * g->kh * g->kw
                                 : g->n * oh * ow;
        char what[160];
        snprintf(what, sizeof what, "%s %d %s %dx%dx%d -> %s %d, kernel %dx%d stride %d pad %d",
                 kiln_step_kind_name(step.kind), (int)g->n, kiln_layout_name(x_layout), (int)g->c,
                 (int)g->h, (int)g->w, kiln_layout_name(y_layout), (int)g->o, (int)g->kh,
                 (int)g->kw, conv->stride[0], conv->pad[0]);
        lab_check(lab, &step, what, 1e-6, 1e-6 * sqrt((double)terms));
    }
}

static void convolutions_of(struct lab *lab)
{
    static const struct geometry odd[] = {
        {2, 3, 7, 5, 4, 3, 3, {{1, 1}, {1, 1}, {1, 1, 1, 1}, 1}},
        {1, 4, 9, 8, 6, 3, 2, {{2, 1}, {1, 2}, {0, 2, 1, 0}, 2}},
        {2, 1, 6, 6, 5, 4, 4, {{2, 2}, {1, 1}, {1, 1, 1, 1}, 1}},
        {1, 2, 6, 5, 3, 3, 3, {{1, 1}, {1, 1}, {2, 0, 1, 1}, 1}},
        {1, 6, 5, 5, 6, 1, 1, {{1, 1}, {1, 1}, {0, 0, 0, 0}, 3}},
        {3, 2, 4, 11, 1, 5, 5, {{3, 3}, {1, 1}, {2, 2, 2, 2}, 1}},
        {2, 19, 9, 10, 17, 3, 3, {{1, 1}, {1, 1}, {1, 1, 1, 1}, 1}},
        {1, 30, 31, 33, 20, 3, 3, {{1, 1}, {1, 1}, {1, 1, 1, 1}, 1}},
        {5, 8, 7, 7, 33, 3, 3, {{2, 2}, {1, 1}, {1, 1, 1, 1}, 1}},
    };
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        convolution(lab, &odd[i], KILN_LAYOUT_DENSE, KILN_LAYOUT_DENSE);
    static const struct geometry wide[] = {
        {2, 32, 9, 10, 32, 3, 3, {{1, 1}, {1, 1}, {1, 1, 1, 1}, 1}},
        {1, 16, 8, 7, 48, 3, 3, {{2, 2}, {1, 1}, {1, 1, 1, 1}, 1}},
        {2, 48, 6, 5, 16, 4, 4, {{2, 2}, {1, 1}, {1, 1, 1, 1}, 1}},
        {1, 32, 7, 9, 64, 1, 1, {{1, 1}, {1, 1}, {0, 0, 0, 0}, 1}},
        {1, 32, 11, 6, 32, 3, 2, {{1, 3}, {2, 1}, {0, 3, 2, 0}, 1}},
        {1, 16, 5, 5, 32, 2, 2, {{3, 3}, {1, 1}, {0, 0, 0, 0}, 1}},
        {1, 64, 1, 1, 32, 4, 4, {{1, 1}, {1, 1}, {3, 3, 3, 3}, 1}},
        {1, 32, 30, 31, 16, 5, 5, {{1, 1}, {1, 1}, {2, 2, 2, 2}, 1}},
        {3, 80, 7, 7, 144, 3, 3, {{1, 1}, {1, 1}, {1, 1, 1, 1}, 1}},
    };
    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++)
        convolution(lab, &wide[i], KILN_LAYOUT_NCHW16C, KILN_LAYOUT_NCHW16C);
    /* Winograd: one pixel, parts of tiles, chunks of tiles, an odd number of blocks */
    static const struct geometry tiles[] = {
        {1, 16, 1, 1, 16, 3, 3, {{1, 1}, {1, 1}, {1, 1, 1, 1}, 1}},
        {3, 32, 5, 7, 48, 3, 3, {{1, 1}, {1, 1}, {0, 2, 1, 0}, 1}},
        {2, 48, 13, 11, 16, 3, 3, {{1, 1}, {1, 1}, {3, 0, 0, 4}, 1}},
        {1, 16, 3, 4, 32, 3, 3, {{1, 1}, {1, 1}, {0, 0, 0, 0}, 1}},
        {19, 32, 8, 8, 32, 3, 3, {{1, 1}, {1, 1}, {1, 1, 1, 1}, 1}},
        /* dilated: submaps of different sizes, pads of their own, too small a map */
        {2, 16, 14, 13, 32, 3, 3, {{1, 1}, {2, 2}, {2, 2, 2, 2}, 1}},
        {1, 32, 13, 6, 16, 3, 3, {{1, 1}, {2, 2}, {0, 3, 5, 1}, 1}},
        {1, 16, 13, 23, 48, 3, 3, {{1, 1}, {4, 4}, {4, 4, 4, 4}, 1}},
        {1, 16, 8, 9, 16, 3, 3, {{1, 1}, {3, 3}, {3, 3, 3, 3}, 1}},
        /* and its phases: one pixel of each, other pads on each side, odd sides */
        {1, 16, 2, 2, 16, 4, 4, {{2, 2}, {1, 1}, {1, 1, 1, 1}, 1}},
        {2, 16, 13, 8, 48, 4, 4, {{2, 2}, {1, 1}, {0, 2, 3, 1}, 1}},
        {1, 48, 9, 23, 32, 4, 4, {{2, 2}, {1, 1}, {2, 0, 0, 1}, 1}},
        {19, 16, 16, 16, 16, 4, 4, {{2, 2}, {1, 1}, {1, 1, 1, 1}, 1}},
        {1, 16, 2, 2, 16, 5, 5, {{2, 2}, {1, 1}, {2, 2, 2, 2}, 1}},
        {2, 16, 13, 8, 48, 5, 5, {{2, 2}, {1, 1}, {0, 4, 3, 1}, 1}},
        {1, 48, 9, 23, 32, 5, 5, {{2, 2}, {1, 1}, {1, 2, 2, 1}, 1}},
    };
    for (size_t i = 0; i < sizeof tiles / sizeof *tiles; i++) {
        convolution(lab, &tiles[i], KILN_LAYOUT_NCHW16C, KILN_LAYOUT_NCHW16C);
        convolution(lab, &tiles[i], KILN_LAYOUT_DENSE, KILN_LAYOUT_DENSE);
    }
    static const struct geometry edges[] = {
        {2, 1, 9, 10, 32, 3, 3, {{1, 1}, {1, 1}, {1, 1, 1, 1}, 1}},
        {1, 3, 8, 8, 16, 4, 4, {{2, 2}, {1, 1}, {1, 1, 1, 1}, 1}},
        {2, 100, 1, 1, 32, 4, 4, {{1, 1}, {1, 1}, {3, 3, 3, 3}, 1}},
        {1, 5, 7, 12, 48, 5, 3, {{1, 2}, {1, 1}, {2, 2, 0, 1}, 1}},
    };
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++) {
        struct geometry turned = edges[i];
        turned.c = edges[i].o;
        turned.o = edges[i].c;
        convolution(lab, &edges[i], KILN_LAYOUT_DENSE, KILN_LAYOUT_NCHW16C);
        convolution(lab, &turned, KILN_LAYOUT_NCHW16C, KILN_LAYOUT_DENSE);
    }
    print_message("Winograd: at most %.2e of the result's root mean square\n", lab->worst_winograd);
}

static void convolutions(void **unused)
{
    (void)unused;
    run(convolutions_of);
}

/* --- windows, resampling, rows ----------------------------------------------------- */

static void window(struct lab *lab, int64_t outer, int64_t inner, int64_t h, int64_t w,
                   struct kiln_window window)
{
    int64_t oh = (h + window.pad[0] + window.pad[1] - window.size[0]) / window.stride[0] + 1;
    int64_t ow = (w + window.pad[2] + window.pad[3] - window.size[1]) / window.stride[1] + 1;
    struct kiln_step step = {.kind = KILN_STEP_WINDOW_ARGMAX};
    struct kiln_step_window *s = &step.as.window;
    lab_clear(lab);
    *s = (struct kiln_step_window){
        .outer = outer, .inner = inner, .h = h, .w = w, .oh = oh, .ow = ow, .window = window};
    s->x = lab_put(lab, KILN_F32, outer * h * w * inner, 0);
    s->index = lab_put(lab, KILN_I32, outer * oh * ow * inner, (int32_t)(h * w));
    s->y = lab_put(lab, KILN_F32, outer * oh * ow * inner, 0);
    float *x = lab_at(lab, s->x);
    for (int64_t i = 0; i < outer * h * w * inner; i++)
        x[i] = i % 61 == 7 ? NAN : i % 5 == 0 ? -INFINITY : roundf(x[i] * 4); /* ties */
    lab_check(lab, &step, "argmax", 0, 0);
    for (int64_t i = 0; i < outer * h * w * inner; i++)
        x[i] = isfinite(x[i]) ? x[i] : 1;
    /* the index of the first largest element, as the later kinds get it */
    int32_t *index = lab_at(lab, s->index);
    for (int64_t i = 0; i < outer * oh * ow * inner; i++) {
        int64_t p = i / inner / ow % oh, q = i / inner % ow;
        int64_t row =
            p * window.stride[0] - window.pad[0] + lab_random(lab, (uint32_t)window.size[0]);
        int64_t column =
            q * window.stride[1] - window.pad[2] + lab_random(lab, (uint32_t)window.size[1]);
        row = row < 0 ? 0 : row >= h ? h - 1 : row;
        column = column < 0 ? 0 : column >= w ? w - 1 : column;
        index[i] = (int32_t)(row * w + column);
    }
    step.kind = KILN_STEP_WINDOW_GATHER;
    lab_check(lab, &step, "gather", 0, 0);
    step.kind = KILN_STEP_WINDOW_SCATTER;
    lab_check(lab, &step, "scatter", 1e-6, 1e-6);
}

static void windows_of(struct lab *lab)
{
    static const int inners[] = {1, 6, 16, 32};
    int64_t many = 4 * lab->caps.compute_units + 1; /* planes for every core */
    for (int i = 0; i < 6; i++) {
        int64_t inner = inners[i % 4], outer = i < 4 ? 3 : many;
        window(lab, outer, inner, 8, 8, (struct kiln_window){{2, 2}, {2, 2}, {0, 0, 0, 0}});
        window(lab, outer, inner, 9, 7, (struct kiln_window){{5, 5}, {1, 1}, {2, 2, 2, 2}});
        window(lab, outer, inner, 5, 11, (struct kiln_window){{3, 2}, {2, 3}, {1, 0, 0, 1}});
    }
}

static void resample_of(struct lab *lab)
{
    /* 3 -> 5 rows, 4 -> 3 columns; an empty row, an uneven one */
    static const int32_t v_row[] = {0, 1, 3, 3, 6, 7}, v_column[] = {0, 0, 2, 0, 1, 2, 1};
    static const float v_weight[] = {1, 0.25f, 0.75f, 0.5f, -1, 2, 1.5f};
    static const int32_t u_row[] = {0, 2, 3, 7}, u_column[] = {0, 3, 1, 0, 1, 2, 3};
    static const float u_weight[] = {0.5f, 0.5f, 1, 0.25f, 0.25f, 0.25f, 0.25f};
    for (int64_t inner = 1; inner <= 48; inner += inner < 16 ? 15 : 16) {
        struct kiln_step step = {.kind = KILN_STEP_RESAMPLE};
        struct kiln_step_resample *s = &step.as.resample;
        *s = (struct kiln_step_resample){.outer = 7,
                                         .inner = inner,
                                         .vertical = {5, 3, v_row, v_column, v_weight},
                                         .horizontal = {3, 4, u_row, u_column, u_weight}};
        lab_clear(lab);
        s->x = lab_put(lab, KILN_F32, 7 * 12 * inner, 0);
        s->y = lab_put(lab, KILN_F32, 7 * 15 * inner, 0);
        lab_check(lab, &step, "resample", 1e-6, 1e-6);
    }
}

static void rows_of(struct lab *lab)
{
    static const enum kiln_dtype types[] = {KILN_U8, KILN_F32, KILN_F16, KILN_U8};
    static const int64_t widths[] = {301, 7, 5, 784};
    for (int i = 0; i < 4; i++) {
        struct kiln_step step = {.kind = KILN_STEP_GATHER_ROWS};
        struct kiln_step_rows *s = &step.as.rows;
        lab_clear(lab);
        *s = (struct kiln_step_rows){.n = 37, .rows = 5, .row_elements = widths[i]};
        s->table = lab_put(lab, types[i], 5 * widths[i], 0);
        s->index = lab_put(lab, KILN_I32, 37, 8);
        ((int32_t *)lab_at(lab, s->index))[3] = -2; /* and others beyond the end */
        s->out = lab_put(lab, types[i], 37 * widths[i], 0);
        lab_check(lab, &step, "gather rows", 0, 0);
        if (types[i] != KILN_F32)
            continue;
        step.kind = KILN_STEP_SCATTER_ADD_ROWS;
        lab_check(lab, &step, "scatter add rows", 1e-6, 1e-6);
    }
}

static void spatial(void **unused)
{
    (void)unused;
    run(windows_of);
    run(resample_of);
    run(rows_of);
}

/* --- random numbers, updates, attention ------------------------------------------------ */

static void random_of(struct lab *lab)
{
    for (int kind = 0; kind < 3; kind++)
        for (int64_t width = 1; width < 100; width = width * 5 + 2) {
            struct kiln_step step = {.kind = KILN_STEP_RNG};
            struct kiln_step_rng *s = &step.as.rng;
            lab_clear(lab);
            *s = (struct kiln_step_rng){.rng = {(enum kiln_rng_kind)kind, 0xdeadbeef, 0x80000001u},
                                        .samples = 5,
                                        .per_sample = width};
            s->key = lab_put(lab, KILN_I32, 4, INT32_MAX);
            s->out = lab_put(lab, kind == 2 ? KILN_I32 : KILN_F32, 5 * width, 1);
            lab_check(lab, &step, "rng", kind == 0 ? 0 : 2e-6, kind == 0 ? 0 : 2e-6);
        }
}

static void update(struct lab *lab, int kind, bool ema, float clip, float finite)
{
    struct kiln_step step = {.kind = KILN_STEP_UPDATE};
    struct kiln_step_update *s = &step.as.update;
    enum { COUNT = 1003 };
    lab_clear(lab);
    *s = (struct kiln_step_update){.update = {(enum kiln_optimizer_kind)kind, ema}, .count = COUNT};
    s->parameter = lab_put(lab, KILN_F32, COUNT, 0);
    s->gradient = lab_put(lab, KILN_F32, COUNT, 0);
    s->moment1 = lab_put(lab, KILN_F32, COUNT, 0);
    s->moment2 = lab_put(lab, KILN_F32, COUNT, 0);
    s->ema = lab_put(lab, KILN_F32, COUNT, 0);
    s->hyper = lab_put(lab, KILN_F32, KILN_HYPER_WORDS, 0);
    s->norm = lab_put(lab, KILN_F32, 2, 0);
    const float hyper[KILN_HYPER_WORDS] = {0.01f, 0.9f, 0.99f,  1e-3f, 0.1f, 0.19f,
                                           0.05f, clip, 0.995f, 0.75f, 4.0f};
    memcpy(lab_at(lab, s->hyper), hyper, sizeof hyper);
    memcpy(lab_at(lab, s->norm), (const float[]){3.5f, finite}, 2 * sizeof(float));
    float *v = lab_at(lab, s->moment2);
    for (int i = 0; i < COUNT; i++)
        v[i] = fabsf(v[i]);
    /* a gap between parameters */
    for (int i = 100; i < 110; i++)
        ((float *)lab_at(lab, s->parameter))[i] = ((float *)lab_at(lab, s->gradient))[i] = v[i] =
            ((float *)lab_at(lab, s->moment1))[i] = 0;
    lab_check(lab, &step, "update", 2e-6, 1e-6);
}

static void updates_of(struct lab *lab)
{
    for (int kind = 0; kind < KILN_OPTIMIZER_COUNT; kind++) {
        update(lab, kind, true, 0, 1);
        update(lab, kind, false, 2, 1);
        update(lab, kind, true, 100, 0);
    }
}

static void attention(struct lab *lab, int64_t batch, int64_t n_q, int64_t n_k, int64_t width,
                      int64_t v_width, bool columns)
{
    struct kiln_step step = {.kind = KILN_STEP_ATTENTION};
    struct kiln_step_attention *s = &step.as.attention;
    if (lab_too_large(batch * n_q * n_k * (width + v_width)))
        return;
    lab_clear(lab);
    *s = (struct kiln_step_attention){.batch = batch,
                                      .n_q = n_q,
                                      .n_k = n_k,
                                      .width = width,
                                      .v_width = v_width,
                                      .scale = 1 / sqrtf((float)width)};
    const int64_t n[4] = {n_q, n_k, n_k, n_q}, w[4] = {width, width, v_width, v_width};
    int64_t *strides[4] = {s->q_stride, s->k_stride, s->v_stride, s->d_out_stride};
    struct kiln_place *places[4] = {&s->q, &s->k, &s->v, &s->d_out};
    for (int i = 0; i < 4; i++) {
        *places[i] = lab_put(lab, KILN_F32, batch * n[i] * w[i], 0);
        strides[i][0] = n[i] * w[i];
        strides[i][1] = columns ? 1 : w[i];
        strides[i][2] = columns ? n[i] : 1;
    }
    s->out = lab_put(lab, KILN_F32, batch * n_q * v_width, 0);
    s->log_sum_exp = lab_put(lab, KILN_F32, batch * n_q, 0);
    float *q = lab_at(lab, s->q);
    for (int64_t i = 0; i < batch * n_q * width; i++)
        q[i] *= 4;
    lab_check(lab, &step, "attention", 1e-5, 1e-5);
    s->d_q = lab_put(lab, KILN_F32, batch * n_q * width, 0);
    s->d_k = lab_put(lab, KILN_F32, batch * n_k * width, 0);
    s->d_v = lab_put(lab, KILN_F32, batch * n_k * v_width, 0);
    step.kind = KILN_STEP_ATTENTION_GRAD;
    /* any log-sum-exp will do, if p stays of order 1 */
    float *l = lab_at(lab, s->log_sum_exp);
    for (int64_t i = 0; i < batch * n_q; i++)
        l[i] += 5;
    lab_check(lab, &step, "attention gradient", 1e-5, 1e-5 * sqrt((double)(n_q * n_k)));
}

static void attentions_of(struct lab *lab)
{
    attention(lab, 2, 7, 11, 5, 3, false);
    attention(lab, 1, 49, 33, 16, 16, true);
    attention(lab, 3, 16, 16, 32, 64, false);
    attention(lab, 1, 1, 1, 1, 1, false);
    attention(lab, 1, 33, 130, 40, 8, false);
    attention(lab, 1, 66, 2, 1, 1, false); /* several blocks, also in a simulator */
    attention(lab, 1, 2, 66, 1, 1, false);
    attention(lab, 2, 130, 70, 12, 15, true);
    attention(lab, 2, 70, 65, 72, 66, false);
}

static void the_rest(void **unused)
{
    (void)unused;
    run(random_of);
    run(updates_of);
    run(attentions_of);
}

/* --- memory ------------------------------------------------------------------------- */

static void memory_of(struct lab *lab)
{
    const struct kiln_backend *backend = lab->backend;
    struct kiln_error error = {""};
    kiln_memory *memory = NULL;
    assert_int_equal(
        backend->memory_create(lab->device, lab->caps.allocation_bytes + 64, &memory, &error),
        KILN_MACHINE);
    assert_null(memory);
    assert_non_null(strstr(error.text, "limit"));

    enum { BYTES = 300 * 1024 * 100 };
    assert_int_equal(backend->memory_create(lab->device, BYTES, &memory, &error), KILN_OK);
    unsigned char *host = malloc(BYTES);
    assert_non_null(host);
    memset(host, 1, BYTES);
    assert_int_equal(backend->read(lab->device, memory, 0, host, BYTES, &error), KILN_OK);
    for (int i = 0; i < BYTES; i++)
        assert_int_equal(host[i], 0);
    /* more than the staging ring holds, in pieces whose source changes at once */
    unsigned char piece[1000];
    for (int i = 0; i < 200; i++) {
        memset(piece, i, sizeof piece);
        assert_int_equal(backend->write(lab->device, memory, i * 1000, piece, 1000, &error),
                         KILN_OK);
    }
    for (int i = 0; i < BYTES; i++)
        host[i] = (unsigned char)(i * 7);
    assert_int_equal(backend->write(lab->device, memory, 200000, host, 500000, &error), KILN_OK);
    assert_int_equal(backend->write(lab->device, memory, 700000, host, BYTES - 700000, &error),
                     KILN_OK);
    assert_int_equal(backend->read(lab->device, memory, 0, host, 200000, &error), KILN_OK);
    for (int i = 0; i < 200000; i++)
        assert_int_equal(host[i], (unsigned char)(i / 1000));
    assert_int_equal(backend->read(lab->device, memory, 200000, host, 500000, &error), KILN_OK);
    for (int i = 0; i < 500000; i++)
        assert_int_equal(host[i], (unsigned char)(i * 7));
    free(host);
    int64_t launches, waits, bytes, peak;
    backend->stats(lab->device, &launches, &waits, &bytes, &peak);
    assert_true(bytes >= BYTES && peak >= bytes && waits > 0);
    int64_t before = bytes;
    backend->memory_destroy(lab->device, memory);
    backend->stats(lab->device, &launches, &waits, &bytes, &peak);
    assert_int_equal(bytes, before - BYTES);
}

static void memory(void **unused)
{
    (void)unused;
    run(memory_of);
}

/* --- parameters of CLBlast --------------------------------------------------------- */

static void expect_blast(struct lab *lab, const char *name)
{
    struct kiln_candidate candidates[KILN_MAX_CANDIDATES];
    struct kiln_step step = {.kind = KILN_STEP_MATMUL};
    step.as.matmul = (struct kiln_step_matmul){.batch = 1,
                                               .m = 64,
                                               .n = 64,
                                               .k = 64,
                                               .a_stride = {4096, 64, 1},
                                               .b_stride = {4096, 64, 1},
                                               .c_stride = {4096, 64, 1}};
    int n = lab->backend->candidates(lab->device, &step, candidates), found = 0;
    for (int i = 0; i < n; i++)
        found += strcmp(candidates[i].name, name) == 0;
    assert_int_equal(found, 1);
}

static void library_parameters(void **unused)
{
    static const char *const bad[] = {
        "Xgemm",
        "Xgemm 1 2",
        "GemmRoutine 896 1",
        "GemmRoutine 896,",
        "GemmRoutine -1",
        "GemmRoutine 9999999999",
        "Other 1",
        "GemmRoutine 896, XgemmDirect 2 8 8 8 8 1 1 1 1 8",
    };
    (void)unused;
    struct lab lab = lab_open(0, "gpu");
    const struct kiln_backend *backend = lab.backend;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(backend->library_use(lab.device, bad[i]));
    assert_true(backend->library_use(lab.device, ""));
    const char *setting = getenv("KILN_CLBLAST");
    bool built = strstr(backend->libraries(lab.device), "CLBlast"),
         tried = built && setting && strcmp(setting, "0") != 0;
    if (tried) {
        struct kiln_error error;
        char text[512] = "x";
        expect_blast(&lab, "clblast");
        assert_int_equal(backend->library_measure(lab.device, 0, text, sizeof text, &error),
                         KILN_OK);
        assert_string_equal(text, ""); /* no time, no choice */
    }
    assert_int_equal(
        backend->library_use(lab.device, "XgemmDirect 2 8 8 8 8 1 1 1 1 8, GemmRoutine 300"),
        built);
    if (tried)
        expect_blast(&lab, "clblast tuned");
    product(&lab, 2, 66, 35, 41, 0);
    lab_close(&lab);
}

int main(void)
{
    if (lab_devices() == 0)
        return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory),       cmocka_unit_test(matrix_products),
        cmocka_unit_test(convolutions), cmocka_unit_test(spatial),
        cmocka_unit_test(the_rest),     cmocka_unit_test(library_parameters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
