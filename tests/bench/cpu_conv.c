/*
 * Convolutions on the CPU backend at the shapes of U-Nets and their peers,
 * batch 64: GFLOP/s of every candidate in the three directions, and beside
 * them oneDNN alone with one layout common to the three (its best of direct
 * and Winograd, weights in its own choice of form).
 *
 *     cpu_conv [threads [shape]]
 */
#include "cpu_bench.h"

#include <dnnl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BATCH     64
#define N_LAYOUTS 3

struct shape {
    int64_t c, hw, o;
    int k, stride, pad;
    const char *name;
};

static const struct shape shapes[] = {
    {32, 28, 32, 3, 1, 1, "32->32 28 k3"},      {64, 28, 64, 3, 1, 1, "64->64 28 k3"},
    {128, 14, 128, 3, 1, 1, "128->128 14 k3"},  {256, 7, 256, 3, 1, 1, "256->256 7 k3"},
    {256, 14, 128, 3, 1, 1, "256->128 14 k3"},  {128, 14, 128, 3, 2, 1, "128 14 k3 s2"},
    {64, 28, 128, 4, 2, 1, "64->128 28 k4 s2"}, {256, 14, 128, 1, 1, 0, "256->128 14 k1"},
    {128, 7, 384, 1, 1, 0, "128->384 7 k1"},    {64, 14, 128, 4, 2, 1, "deconv 128->64 7 k4 s2"},
    {1, 28, 64, 3, 1, 1, "1->64 28 k3"},        {64, 28, 1, 3, 1, 1, "64->1 28 k3"},
    {3, 32, 64, 3, 1, 1, "3->64 32 k3"},        {64, 32, 3, 3, 1, 1, "64->3 32 k3"},
    {1, 28, 64, 4, 2, 1, "1->64 28 k4 s2"},
};

static const enum kiln_layout layouts[N_LAYOUTS] = {KILN_LAYOUT_NCHW16C, KILN_LAYOUT_NHWC,
                                                    KILN_LAYOUT_DENSE};
static const char *const layout_names[N_LAYOUTS] = {"nChw16c", "nhwc", "nchw"};
static const char *const directions[3] = {"fwd", "bwd_d", "bwd_w"};

static int64_t extent_out(const struct shape *s)
{
    return (s->hw + 2 * s->pad - s->k) / s->stride + 1;
}

static double flops(const struct shape *s)
{
    double out = (double)extent_out(s);
    return 2.0 * BATCH * (double)s->c * (double)s->o * s->k * s->k * out * out;
}

/* --- oneDNN alone ----------------------------------------------------------------- */

static dnnl_engine_t engine;
static dnnl_stream_t stream;

static double run_primitive(dnnl_primitive_desc_t desc, int direction, const dnnl_memory_desc_t *x,
                            const dnnl_memory_desc_t *y)
{
    static const int names[3][3] = {{DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST},
                                    {DNNL_ARG_DIFF_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_DST},
                                    {DNNL_ARG_SRC, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_DST}};
    const dnnl_memory_desc_t *md[3] = {
        x,
        dnnl_primitive_desc_query_md(
            desc, direction == 2 ? dnnl_query_diff_weights_md : dnnl_query_weights_md, 0),
        y};
    dnnl_primitive_t primitive;
    dnnl_exec_arg_t args[3];
    if (dnnl_primitive_create(&primitive, desc))
        return 1e9;
    for (int i = 0; i < 3; i++) {
        void *data;
        args[i].arg = names[direction][i];
        dnnl_memory_create(&args[i].memory, md[i], engine, DNNL_MEMORY_ALLOCATE);
        dnnl_memory_get_data_handle(args[i].memory, &data);
        size_t n = dnnl_memory_desc_get_size(md[i]) / 4;
        for (size_t j = 0; j < n; j++)
            ((float *)data)[j] = (float)(j % 17) * 0.1f;
    }
    double best = 1e9, start = bench_now();
    for (int run = 0; run < 5 || bench_now() - start < 0.2; run++) {
        double t = bench_now();
        dnnl_primitive_execute(primitive, stream, 3, args);
        dnnl_stream_wait(stream);
        t = bench_now() - t;
        best = t < best ? t : best;
    }
    for (int i = 0; i < 3; i++)
        dnnl_memory_destroy(args[i].memory);
    dnnl_primitive_destroy(primitive);
    return best;
}

/* Seconds of oneDNN's better algorithm, 1e9 if it has none. */
static double raw_seconds(const struct shape *s, int direction, int layout)
{
    static const dnnl_format_tag_t tags[N_LAYOUTS] = {dnnl_nChw16c, dnnl_nhwc, dnnl_nchw};
    int64_t out = extent_out(s);
    dnnl_dims_t xd = {BATCH, s->c, s->hw, s->hw}, wd = {s->o, s->c, s->k, s->k},
                yd = {BATCH, s->o, out, out};
    dnnl_dims_t stride = {s->stride, s->stride}, pad = {s->pad, s->pad};
    dnnl_memory_desc_t x, w, y, xa, ya;
    double best = 1e9;
    /* few channels: plain nchw beside blocks, as a network's edge has */
    dnnl_memory_desc_init_by_tag(&x, 4, xd, dnnl_f32,
                                 layout == 0 && s->c % 16 ? dnnl_nchw : tags[layout]);
    dnnl_memory_desc_init_by_tag(&y, 4, yd, dnnl_f32,
                                 layout == 0 && s->o % 16 ? dnnl_nchw : tags[layout]);
    dnnl_memory_desc_init_by_tag(&w, 4, wd, dnnl_f32, dnnl_format_tag_any);
    dnnl_memory_desc_init_by_tag(&xa, 4, xd, dnnl_f32, dnnl_format_tag_any);
    dnnl_memory_desc_init_by_tag(&ya, 4, yd, dnnl_f32, dnnl_format_tag_any);
    for (int winograd = 0; winograd < 2; winograd++) {
        dnnl_alg_kind_t alg = winograd ? dnnl_convolution_winograd : dnnl_convolution_direct;
        dnnl_convolution_desc_t d;
        dnnl_primitive_desc_t desc = NULL, hint = NULL;
        dnnl_convolution_forward_desc_init(&d, dnnl_forward_training, alg, &xa, &w, NULL, &ya,
                                           stride, pad, pad);
        dnnl_primitive_desc_create(&hint, &d, NULL, engine, NULL);
        if (direction == 0)
            dnnl_convolution_forward_desc_init(&d, dnnl_forward_training, alg, &x, &w, NULL, &y,
                                               stride, pad, pad);
        else if (direction == 1)
            dnnl_convolution_backward_data_desc_init(&d, alg, &x, &w, &y, stride, pad, pad);
        else
            dnnl_convolution_backward_weights_desc_init(&d, alg, &x, &w, NULL, &y, stride, pad,
                                                        pad);
        if (dnnl_primitive_desc_create(&desc, &d, NULL, engine, direction ? hint : NULL) ==
            dnnl_success) {
            double t = run_primitive(desc, direction, &x, &y);
            best = t < best ? t : best;
            dnnl_primitive_desc_destroy(desc);
        }
        dnnl_primitive_desc_destroy(hint);
    }
    return best;
}

/* --- the backend -------------------------------------------------------------------- */

/* Seconds of the best candidate; prints each. */
static double own_seconds(struct bench *bench, const struct shape *shape, int direction, int layout)
{
    struct kiln_step step = {.kind = (enum kiln_step_kind)(KILN_STEP_CONV + direction)};
    struct kiln_step_conv *s = &step.as.conv;
    int64_t out = extent_out(shape);
    *s = (struct kiln_step_conv){.n = BATCH,
                                 .c = shape->c,
                                 .h = shape->hw,
                                 .w = shape->hw,
                                 .o = shape->o,
                                 .kh = shape->k,
                                 .kw = shape->k,
                                 .oh = out,
                                 .ow = out,
                                 .x_layout = shape->c % 16 ? KILN_LAYOUT_DENSE : layouts[layout],
                                 .y_layout = shape->o % 16 ? KILN_LAYOUT_DENSE : layouts[layout]};
    s->conv = (struct kiln_conv){{shape->stride, shape->stride},
                                 {1, 1},
                                 {shape->pad, shape->pad, shape->pad, shape->pad},
                                 1};
    struct kiln_candidate candidates[KILN_MAX_CANDIDATES];
    int n = bench->backend->candidates(bench->device, &step, candidates);
    double best = 1e9;
    printf("    %-6s", directions[direction]);
    for (int i = 0; i < n; i++) {
        if (candidates[i].algorithm == 0 && n > 1)
            continue;
        bench->bytes = 0;
        s->x = bench_place(bench, KILN_F32, BATCH * s->c * s->h * s->w);
        s->weight = bench_place(bench, KILN_F32, s->o * s->c * s->kh * s->kw);
        s->y = bench_place(bench, KILN_F32, BATCH * s->o * out * out);
        s->weight_layout = candidates[i].weight_layout;
        step.algorithm = candidates[i].algorithm;
        step.scratch_bytes = candidates[i].scratch_bytes;
        step.scratch = bench_place(bench, KILN_U8, candidates[i].scratch_bytes + 1);
        double t = bench_steps(bench, 1, &step);
        printf(" %s %.0f", candidates[i].name, flops(shape) / t * 1e-9);
        best = t < best ? t : best;
    }
    return best;
}

static void report(struct bench *bench, const struct shape *shape)
{
    double best_own = 1e9, best_raw = 1e9;
    printf("%s\n", shape->name);
    for (int layout = 0; layout < N_LAYOUTS; layout++) {
        double own = 0, raw = 0;
        printf("  %s\n", layout_names[layout]);
        for (int direction = 0; direction < 3; direction++) {
            double a = own_seconds(bench, shape, direction, layout),
                   b = raw_seconds(shape, direction, layout);
            printf(" | oneDNN %.0f\n", flops(shape) / b * 1e-9);
            own += a;
            raw += b;
        }
        best_own = own < best_own ? own : best_own;
        best_raw = raw < best_raw ? raw : best_raw;
    }
    printf("  sum of three, best layout: %.0f us, oneDNN %.0f us: ratio %.2f\n", best_own * 1e6,
           best_raw * 1e6, best_own / best_raw);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct bench bench = bench_open(argc > 1 ? atoi(argv[1]) : 2);
    int threads = argc > 1 ? atoi(argv[1]) : 2;
    char text[16];
    snprintf(text, sizeof text, "%d", threads);
    if (!getenv("OMP_NUM_THREADS")) {
        /* oneDNN alone reads the environment: start over with it */
        setenv("OMP_NUM_THREADS", text, 1);
        setenv("GOMP_SPINCOUNT", "10000", 0);
        execv(argv[0], argv);
    }
    dnnl_engine_create(&engine, dnnl_cpu, 0);
    dnnl_stream_create(&stream, engine, dnnl_stream_default_flags);
    printf("%s\n", bench.backend->libraries(bench.device));
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        if (argc < 3 || strstr(shapes[i].name, argv[2]))
            report(&bench, &shapes[i]);
    bench.backend->close(bench.device);
    return 0;
}
