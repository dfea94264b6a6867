/*
 * GFLOP/s of matrix products, convolutions and attention over OpenCL, each candidate by
 * itself, through the backend table; and GFLOP per second of processor time.
 *
 *     cl_ops [gemm] [conv] [dense] [attention] [DEVICE] [family=cpu|gpu] [seconds=S] [only=NAME]
 *            [match=TEXT]
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "opencl_lab.h"

struct request {
    bool gemm, conv, dense, attention;
    int device;
    const char *family, *only, *match;
    double seconds;
};

static void report(struct lab *lab, struct kiln_step *step, const char *what, double flops,
                   const struct request *request)
{
    struct kiln_candidate candidates[KILN_MAX_CANDIDATES];
    if (request->match && !strstr(what, request->match))
        return;
    int n = lab->backend->candidates(lab->device, step, candidates);
    printf("%-44s", what);
    for (int i = 0; i < n; i++) {
        if (request->only && strcmp(request->only, candidates[i].name) != 0)
            continue;
        double processor,
            seconds = lab_time(lab, step, &candidates[i], request->seconds, &processor);
        printf("  %s %.1f (%.1f a core)", candidates[i].name, flops / seconds * 1e-9,
               flops / processor * 1e-9);
    }
    printf("\n");
    fflush(stdout);
}

static void gemm(struct lab *lab, const struct request *request)
{
    static const int64_t sizes[][5] = {{1, 448, 96, 784, 0},   {1, 1008, 960, 1024, 0},
                                       {1, 896, 1536, 576, 0}, {1, 128, 400, 784, 2},
                                       {1, 128, 784, 400, 0},  {1, 400, 784, 128, 1},
                                       {1, 128, 20, 400, 2},   {64, 49, 49, 64, 2},
                                       {64, 196, 128, 196, 0}, {1, 1024, 1024, 1024, 0}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int64_t b = sizes[i][0], m = sizes[i][1], n = sizes[i][2], k = sizes[i][3];
        bool ta = sizes[i][4] & 1, tb = sizes[i][4] & 2;
        struct kiln_step step = {.kind = KILN_STEP_MATMUL};
        struct kiln_step_matmul *s = &step.as.matmul;
        *s = (struct kiln_step_matmul){.batch = b,
                                       .m = m,
                                       .n = n,
                                       .k = k,
                                       .a_stride = {m * k, ta ? 1 : k, ta ? m : 1},
                                       .b_stride = {k * n, tb ? 1 : n, tb ? k : 1},
                                       .c_stride = {m * n, n, 1}};
        lab_clear(lab);
        s->a = lab_put(lab, KILN_F32, b * m * k, 0);
        s->b = lab_put(lab, KILN_F32, b * k * n, 0);
        s->c = lab_put(lab, KILN_F32, b * m * n, 0);
        char what[64];
        snprintf(what, sizeof what, "gemm %d x %dx%dx%d %c%c", (int)b, (int)m, (int)n, (int)k,
                 ta ? 'T' : 'N', tb ? 'T' : 'N');
        report(lab, &step, what, 2.0 * (double)(b * m * n) * (double)k, request);
    }
}

/* c h o k stride pad */
static const int64_t conv_sizes[][6] = {
    {32, 28, 32, 3, 1, 1},  {64, 28, 64, 3, 1, 1},   {128, 14, 128, 3, 1, 1},
    {256, 7, 256, 3, 1, 1}, {256, 14, 128, 3, 1, 1}, {128, 14, 128, 3, 2, 1},
    {64, 28, 128, 4, 2, 1}, {64, 28, 128, 5, 2, 2},  {256, 14, 128, 1, 1, 0},
    {128, 7, 384, 1, 1, 0}, {1, 28, 64, 3, 1, 1},    {64, 28, 1, 3, 1, 1},
    {3, 32, 64, 3, 1, 1},   {64, 32, 3, 3, 1, 1},    {64, 32, 64, 3, 1, 1}};

static void conv(struct lab *lab, const struct request *request)
{
    static const char *const names[] = {"fwd", "bwd_d", "bwd_w"};
    for (size_t i = 0; i < sizeof conv_sizes / sizeof *conv_sizes; i++)
        for (int direction = 0; direction < 3; direction++) {
            const int64_t *size = conv_sizes[i];
            struct kiln_step step = {.kind = (enum kiln_step_kind)(KILN_STEP_CONV + direction)};
            struct kiln_step_conv *s = &step.as.conv;
            int64_t out = (size[1] + 2 * size[5] - size[3]) / size[4] + 1;
            *s = (struct kiln_step_conv){
                .n = 64,
                .c = size[0],
                .h = size[1],
                .w = size[1],
                .o = size[2],
                .kh = size[3],
                .kw = size[3],
                .oh = out,
                .ow = out,
                .conv = {.stride = {(int)size[4], (int)size[4]},
                         .dilation = {1, 1},
                         .pad = {(int)size[5], (int)size[5], (int)size[5], (int)size[5]},
                         .groups = 1}};
            bool blocked = strcmp(request->family, "gpu") != 0 && !request->dense;
            s->x_layout = blocked && s->c % 16 == 0 ? KILN_LAYOUT_NCHW16C : KILN_LAYOUT_DENSE;
            s->y_layout = blocked && s->o % 16 == 0 ? KILN_LAYOUT_NCHW16C : KILN_LAYOUT_DENSE;
            lab_clear(lab);
            s->x = lab_put(lab, KILN_F32, s->n * s->c * s->h * s->w, 0);
            s->weight = lab_put(lab, KILN_F32, s->o * s->c * s->kh * s->kw, 0);
            s->y = lab_put(lab, KILN_F32, s->n * s->o * s->oh * s->ow, 0);
            char what[80];
            snprintf(what, sizeof what, "conv %d->%d %dx%d k%d s%d %s", (int)s->c, (int)s->o,
                     (int)s->h, (int)s->w, (int)s->kh, s->conv.stride[0], names[direction]);
            report(lab, &step, what,
                   2.0 * (double)(s->n * s->o * out * out) * (double)(s->c * s->kh * s->kw),
                   request);
        }
}

static void attention(struct lab *lab, const struct request *request)
{
    /* batch, queries, keys, width */
    static const int64_t sizes[][4] = {
        {64, 49, 49, 64}, {256, 64, 64, 32}, {64, 196, 196, 64}, {64, 256, 77, 40}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int gradient = 0; gradient < 2; gradient++) {
            int64_t b = sizes[i][0], n_q = sizes[i][1], n_k = sizes[i][2], w = sizes[i][3];
            struct kiln_step step = {.kind =
                                         gradient ? KILN_STEP_ATTENTION_GRAD : KILN_STEP_ATTENTION};
            struct kiln_step_attention *s = &step.as.attention;
            *s = (struct kiln_step_attention){.batch = b,
                                              .n_q = n_q,
                                              .n_k = n_k,
                                              .width = w,
                                              .v_width = w,
                                              .scale = 0.125f,
                                              .q_stride = {n_q * w, w, 1},
                                              .k_stride = {n_k * w, w, 1},
                                              .v_stride = {n_k * w, w, 1},
                                              .d_out_stride = {n_q * w, w, 1}};
            struct kiln_place *of_q[] = {&s->q, &s->out, &s->d_out, &s->d_q};
            struct kiln_place *of_k[] = {&s->k, &s->v, &s->d_k, &s->d_v};
            lab_clear(lab);
            for (int p = 0; p < 4; p++) {
                *of_q[p] = lab_put(lab, KILN_F32, b * n_q * w, 0);
                *of_k[p] = lab_put(lab, KILN_F32, b * n_k * w, 0);
            }
            s->log_sum_exp = lab_put(lab, KILN_F32, b * n_q, 0);
            char what[64];
            snprintf(what, sizeof what, "attention %d x %dx%dx%d %s", (int)b, (int)n_q, (int)n_k,
                     (int)w, gradient ? "gradient" : "");
            report(lab, &step, what, (gradient ? 10.0 : 4.0) * (double)(b * n_q * n_k * w),
                   request);
        }
}

int main(int argc, char **argv)
{
    struct request request = {.family = "", .seconds = 0.3};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "gemm") == 0)
            request.gemm = true;
        else if (strcmp(argv[i], "conv") == 0)
            request.conv = true;
        else if (strcmp(argv[i], "attention") == 0)
            request.attention = true;
        else if (strcmp(argv[i], "dense") == 0)
            request.conv = request.dense = true;
        else if (strncmp(argv[i], "family=", 7) == 0)
            request.family = argv[i] + 7;
        else if (strncmp(argv[i], "only=", 5) == 0)
            request.only = argv[i] + 5;
        else if (strncmp(argv[i], "match=", 6) == 0)
            request.match = argv[i] + 6;
        else if (strncmp(argv[i], "seconds=", 8) == 0)
            request.seconds = atof(argv[i] + 8);
        else
            request.device = atoi(argv[i]);
    }
    if (request.device >= lab_devices())
        return 77;
    struct lab lab = lab_open(request.device, request.family);
    printf("%s\n", lab.caps.name);
    bool all = !request.gemm && !request.conv && !request.attention;
    if (request.gemm || all)
        gemm(&lab, &request);
    if (request.conv || all)
        conv(&lab, &request);
    if (request.attention || all)
        attention(&lab, &request);
    lab_close(&lab);
    return 0;
}
