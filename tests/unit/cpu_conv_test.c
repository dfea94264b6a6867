/* The three convolutions of the CPU backend, every candidate in every layout,
 * against sums in double. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cpu_lab.h"

/* Offset of element (a, b, h, w) of a tensor [n_a, n_b, n_h, n_w]; written
 * apart from the code under test. */
static int64_t offset_in(enum kiln_layout layout, const int64_t n[4], const int64_t i[4])
{
    int64_t taps = n[2] * n[3], tap = i[2] * n[3] + i[3];
    switch (layout) {
    case KILN_LAYOUT_NHWC:
        return (i[0] * taps + tap) * n[1] + i[1];
    case KILN_LAYOUT_NCHW8C:
        return ((i[0] * n[1] / 8 + i[1] / 8) * taps + tap) * 8 + i[1] % 8;
    case KILN_LAYOUT_NCHW16C:
        return ((i[0] * n[1] / 16 + i[1] / 16) * taps + tap) * 16 + i[1] % 16;
    case KILN_LAYOUT_OIHW8I8O:
        return (((i[0] / 8 * n[1] / 8 + i[1] / 8) * taps + tap) * 8 + i[1] % 8) * 8 + i[0] % 8;
    case KILN_LAYOUT_OIHW8O8I:
        return (((i[0] / 8 * n[1] / 8 + i[1] / 8) * taps + tap) * 8 + i[0] % 8) * 8 + i[1] % 8;
    case KILN_LAYOUT_OIHW16I16O:
        return (((i[0] / 16 * n[1] / 16 + i[1] / 16) * taps + tap) * 16 + i[1] % 16) * 16 +
               i[0] % 16;
    case KILN_LAYOUT_OIHW16O16I:
        return (((i[0] / 16 * n[1] / 16 + i[1] / 16) * taps + tap) * 16 + i[0] % 16) * 16 +
               i[1] % 16;
    case KILN_LAYOUT_OHWI16O:
        return ((i[0] / 16 * taps + tap) * n[1] + i[1]) * 16 + i[0] % 16;
    case KILN_LAYOUT_OHWI32O:
        return ((i[0] / 32 * taps + tap) * n[1] + i[1]) * 32 + i[0] % 32;
    case KILN_LAYOUT_OHWI64O:
        return ((i[0] / 64 * taps + tap) * n[1] + i[1]) * 64 + i[0] % 64;
    case KILN_LAYOUT_HWIO:
        return (tap * n[1] + i[1]) * n[0] + i[0];
    default:
        return (i[0] * n[1] + i[1]) * taps + tap;
    }
}

/* Moves a tensor between dense and a layout. */
static float *stored(enum kiln_layout layout, const int64_t n[4], const float *from, bool to_dense)
{
    float *to = malloc((size_t)(n[0] * n[1] * n[2] * n[3]) * sizeof *to);
    int64_t i[4], dense = 0;
    for (i[0] = 0; i[0] < n[0]; i[0]++)
        for (i[1] = 0; i[1] < n[1]; i[1]++)
            for (i[2] = 0; i[2] < n[2]; i[2]++)
                for (i[3] = 0; i[3] < n[3]; i[3]++, dense++) {
                    int64_t at = offset_in(layout, n, i);
                    to[to_dense ? dense : at] = from[to_dense ? at : dense];
                }
    return to;
}

struct problem {
    struct kiln_step_conv s;
    int64_t xn[4], wn[4], yn[4];
    float *x, *w, *y;
    double *sum, *magnitude; /* of the output; sums of |terms| */
    int64_t out_count;
};

/* Adds every product of the convolution to the output of the direction. */
static void add_products(struct problem *p, enum kiln_step_kind kind)
{
    const struct kiln_step_conv *s = &p->s;
    int64_t group_c = p->wn[1], group_o = s->o / s->conv.groups;
    for (int64_t n = 0; n < s->n; n++)
        for (int64_t o = 0; o < s->o; o++)
            for (int64_t oh = 0; oh < s->oh; oh++)
                for (int64_t ow = 0; ow < s->ow; ow++)
                    for (int64_t i = 0; i < group_c; i++)
                        for (int64_t kh = 0; kh < s->kh; kh++)
                            for (int64_t kw = 0; kw < s->kw; kw++) {
                                int64_t h = oh * s->conv.stride[0] + kh * s->conv.dilation[0] -
                                            s->conv.pad[0];
                                int64_t w = ow * s->conv.stride[1] + kw * s->conv.dilation[1] -
                                            s->conv.pad[2];
                                if (h < 0 || h >= s->h || w < 0 || w >= s->w)
                                    continue;
                                int64_t c = o / group_o * group_c + i;
                                int64_t xi = ((n * s->c + c) * s->h + h) * s->w + w;
                                int64_t wi = ((o * group_c + i) * s->kh + kh) * s->kw + kw;
                                int64_t yi = ((n * s->o + o) * s->oh + oh) * s->ow + ow;
                                double term = kind == KILN_STEP_CONV ? (double)p->x[xi] * p->w[wi]
                                              : kind == KILN_STEP_CONV_INPUT_GRAD
                                                  ? (double)p->y[yi] * p->w[wi]
                                                  : (double)p->x[xi] * p->y[yi];
                                int64_t at = kind == KILN_STEP_CONV              ? yi
                                             : kind == KILN_STEP_CONV_INPUT_GRAD ? xi
                                                                                 : wi;
                                p->sum[at] += term;
                                p->magnitude[at] += fabs(term);
                            }
}

/* The largest error of a Winograd result, as a share of its root mean square. */
static double worst_winograd;

static void compare(const struct problem *p, const char *name, bool winograd, const float *got)
{
    double largest = 0, error = 0, norm = 0;
    for (int64_t i = 0; i < p->out_count; i++)
        largest = fmax(largest, p->magnitude[i]);
    /* Winograd mixes the terms of a tile: its bound is relative to the largest sum */
    for (int64_t i = 0; i < p->out_count; i++) {
        double bound = winograd ? 1e-5 * largest : 2e-6 * p->magnitude[i] + 1e-30;
        if (!(fabs(got[i] - p->sum[i]) <= bound))
            fail_msg("%s: element %lld is %.9g, not %.9g (bound %.3g); n%d c%d %dx%d o%d k%dx%d",
                     name, (long long)i, (double)got[i], p->sum[i], bound, (int)p->s.n, (int)p->s.c,
                     (int)p->s.h, (int)p->s.w, (int)p->s.o, (int)p->s.kh, (int)p->s.kw);
        error += (got[i] - p->sum[i]) * (got[i] - p->sum[i]);
        norm += p->sum[i] * p->sum[i];
    }
    if (winograd && !(error <= 1e-10 * norm)) /* 1e-5 of the root mean square */
        fail_msg("%s: off by %.2e of the result's root mean square", name, sqrt(error / norm));
    if (winograd && norm > 0)
        worst_winograd = fmax(worst_winograd, sqrt(error / norm));
}

/* Runs one candidate and compares. */
static void check_candidate(struct lab *lab, const struct problem *p, struct kiln_step *step,
                            const struct kiln_candidate *candidate)
{
    struct kiln_step_conv *s = &step->as.conv;
    s->weight_layout = candidate->weight_layout;
    float *x = stored(s->x_layout, p->xn, p->x, false),
          *y = stored(s->y_layout, p->yn, p->y, false),
          *w = stored(s->weight_layout, p->wn, p->w, false);
    lab_clear(lab);
    s->x = lab_put(lab, KILN_F32, s->n * s->c * s->h * s->w,
                   step->kind == KILN_STEP_CONV_INPUT_GRAD ? NULL : x);
    s->weight = lab_put(lab, KILN_F32, p->wn[0] * p->wn[1] * s->kh * s->kw,
                        step->kind == KILN_STEP_CONV_WEIGHT_GRAD ? NULL : w);
    s->y = lab_put(lab, KILN_F32, s->n * s->o * s->oh * s->ow,
                   step->kind == KILN_STEP_CONV ? NULL : y);
    lab_run(lab, step, candidate);
    bool to_y = step->kind == KILN_STEP_CONV, to_x = step->kind == KILN_STEP_CONV_INPUT_GRAD;
    float *got = stored(to_y   ? s->y_layout
                        : to_x ? s->x_layout
                               : s->weight_layout,
                        to_y   ? p->yn
                        : to_x ? p->xn
                               : p->wn,
                        lab_at(lab, to_y   ? s->y
                                    : to_x ? s->x
                                           : s->weight),
                        true);
    compare(p, candidate->name, candidate->winograd, got);
    free(got);
    free(x);
    free(w);
    free(y);
}

static bool fits(enum kiln_layout layout, int64_t c)
{
    return layout == KILN_LAYOUT_NCHW16C  ? c % 16 == 0
           : layout == KILN_LAYOUT_NCHW8C ? c % 8 == 0
                                          : true;
}

/* All layouts of x and y, all candidates; returns the number of runs. */
static int check_direction(struct lab *lab, struct problem *p, enum kiln_step_kind kind)
{
    static const enum kiln_layout layouts[] = {KILN_LAYOUT_DENSE, KILN_LAYOUT_NHWC,
                                               KILN_LAYOUT_NCHW8C, KILN_LAYOUT_NCHW16C};
    const int64_t *n = kind == KILN_STEP_CONV              ? p->yn
                       : kind == KILN_STEP_CONV_INPUT_GRAD ? p->xn
                                                           : p->wn;
    int runs = 0;
    p->out_count = n[0] * n[1] * n[2] * n[3];
    p->sum = calloc((size_t)p->out_count, sizeof *p->sum);
    p->magnitude = calloc((size_t)p->out_count, sizeof *p->magnitude);
    add_products(p, kind);
    for (int i = 0; i < 16; i++) {
        struct kiln_step step = {.kind = kind, .as.conv = p->s};
        step.as.conv.x_layout = layouts[i % 4];
        step.as.conv.y_layout = layouts[i / 4];
        if (!fits(layouts[i % 4], p->s.c) || !fits(layouts[i / 4], p->s.o))
            continue;
        struct kiln_candidate candidates[KILN_MAX_CANDIDATES];
        int count = lab->backend->candidates(lab->device, &step, candidates);
        assert_true(i > 0 || count > 0);
        for (int k = 0; k < count; k++, runs++)
            check_candidate(lab, p, &step, &candidates[k]);
    }
    free(p->sum);
    free(p->magnitude);
    return runs;
}

struct geometry {
    int64_t n, c, h, w, o, kh, kw;
    struct kiln_conv conv;
};

static const struct geometry geometries[] = {
    {2, 3, 9, 7, 5, 3, 3, {{1, 1}, {1, 1}, {1, 1, 1, 1}, 1}},
    {1, 1, 1, 1, 1, 1, 1, {{1, 1}, {1, 1}, {0, 0, 0, 0}, 1}},
    {2, 16, 8, 8, 32, 3, 3, {{1, 1}, {1, 1}, {1, 1, 1, 1}, 1}},
    {2, 32, 7, 7, 16, 3, 3, {{1, 1}, {1, 1}, {1, 1, 1, 1}, 1}},
    {2, 32, 14, 14, 64, 1, 1, {{1, 1}, {1, 1}, {0, 0, 0, 0}, 1}},
    {2, 32, 13, 9, 16, 3, 3, {{2, 2}, {1, 1}, {1, 1, 1, 1}, 1}},
    {2, 16, 12, 12, 32, 4, 4, {{2, 2}, {1, 1}, {1, 1, 1, 1}, 1}},
    {2, 16, 9, 9, 16, 3, 3, {{1, 1}, {2, 2}, {2, 2, 2, 2}, 1}},
    {2, 16, 9, 8, 16, 3, 2, {{2, 1}, {1, 2}, {0, 1, 2, 0}, 1}},
    {3, 1, 28, 28, 16, 3, 3, {{1, 1}, {1, 1}, {1, 1, 1, 1}, 1}},
    {3, 1, 28, 28, 64, 4, 4, {{2, 2}, {1, 1}, {1, 1, 1, 1}, 1}},
    {2, 3, 16, 16, 48, 3, 3, {{1, 1}, {1, 1}, {1, 1, 1, 1}, 1}},
    {3, 64, 14, 14, 1, 3, 3, {{1, 1}, {1, 1}, {1, 1, 1, 1}, 1}},
    {2, 16, 15, 11, 3, 3, 3, {{1, 1}, {1, 1}, {1, 1, 1, 1}, 1}},
    {2, 32, 12, 12, 4, 5, 5, {{1, 1}, {1, 1}, {2, 2, 2, 2}, 1}},
    {2, 16, 8, 8, 16, 3, 3, {{1, 1}, {1, 1}, {1, 1, 1, 1}, 16}},
    {2, 12, 6, 6, 8, 3, 3, {{1, 1}, {1, 1}, {1, 1, 1, 1}, 4}},
    {2, 6, 5, 5, 4, 5, 7, {{3, 2}, {1, 1}, {4, 4, 6, 6}, 2}},
    {1, 8, 6, 6, 24, 3, 3, {{1, 1}, {1, 1}, {1, 1, 1, 1}, 1}},
    {1, 48, 4, 4, 80, 3, 3, {{1, 1}, {1, 1}, {1, 1, 1, 1}, 1}},
    /* Winograd: one pixel, parts of tiles, pads of their own on each side, chunks of tiles */
    {2, 16, 1, 1, 16, 3, 3, {{1, 1}, {1, 1}, {1, 1, 1, 1}, 1}},
    {3, 16, 13, 6, 32, 3, 3, {{1, 1}, {1, 1}, {0, 2, 3, 1}, 1}},
    {9, 16, 14, 14, 16, 3, 3, {{1, 1}, {1, 1}, {0, 0, 0, 0}, 1}},
    {1, 192, 7, 7, 96, 3, 3, {{1, 1}, {1, 1}, {1, 1, 1, 1}, 1}}, /* groups of channels */
    /* dilated: submaps of different sizes, pads of their own, too small a map */
    {2, 16, 14, 14, 32, 3, 3, {{1, 1}, {2, 2}, {2, 2, 2, 2}, 1}},
    {3, 32, 13, 6, 16, 3, 3, {{1, 1}, {2, 2}, {0, 3, 5, 1}, 1}},
    {2, 16, 13, 23, 16, 3, 3, {{1, 1}, {4, 4}, {4, 4, 4, 4}, 1}},
    {1, 16, 8, 9, 16, 3, 3, {{1, 1}, {3, 3}, {3, 3, 3, 3}, 1}},
    /* and its phases: the same, odd sides */
    {2, 16, 2, 2, 16, 4, 4, {{2, 2}, {1, 1}, {1, 1, 1, 1}, 1}},
    {3, 16, 13, 8, 32, 4, 4, {{2, 2}, {1, 1}, {0, 2, 3, 1}, 1}},
    {2, 32, 9, 23, 16, 4, 4, {{2, 2}, {1, 1}, {2, 0, 0, 1}, 1}},
    {9, 16, 16, 16, 16, 4, 4, {{2, 2}, {1, 1}, {1, 1, 1, 1}, 1}},
    {1, 80, 6, 6, 96, 4, 4, {{2, 2}, {1, 1}, {1, 1, 1, 1}, 1}},
    {2, 16, 3, 3, 16, 5, 5, {{2, 2}, {1, 1}, {2, 2, 2, 2}, 1}},
    {3, 16, 13, 8, 32, 5, 5, {{2, 2}, {1, 1}, {0, 2, 3, 1}, 1}},
    {2, 32, 9, 23, 16, 5, 5, {{2, 2}, {1, 1}, {2, 0, 1, 4}, 1}},
    {9, 16, 14, 14, 16, 5, 5, {{2, 2}, {1, 1}, {2, 2, 2, 2}, 1}},
};

static void check_all(int variant)
{
    struct lab lab = lab_open_variant(variant);
    for (size_t i = 0; i < sizeof geometries / sizeof geometries[0]; i++) {
        const struct geometry *g = &geometries[i];
        struct problem p = {.s = {.n = g->n,
                                  .c = g->c,
                                  .h = g->h,
                                  .w = g->w,
                                  .o = g->o,
                                  .kh = g->kh,
                                  .kw = g->kw,
                                  .conv = g->conv}};
        struct kiln_step_conv *s = &p.s;
        s->oh = (s->h + g->conv.pad[0] + g->conv.pad[1] - g->conv.dilation[0] * (s->kh - 1) - 1) /
                    g->conv.stride[0] +
                1;
        s->ow = (s->w + g->conv.pad[2] + g->conv.pad[3] - g->conv.dilation[1] * (s->kw - 1) - 1) /
                    g->conv.stride[1] +
                1;
        memcpy(p.xn, (int64_t[]){s->n, s->c, s->h, s->w}, sizeof p.xn);
        memcpy(p.wn, (int64_t[]){s->o, s->c / g->conv.groups, s->kh, s->kw}, sizeof p.wn);
        memcpy(p.yn, (int64_t[]){s->n, s->o, s->oh, s->ow}, sizeof p.yn);
        p.x = lab_values(1, s->n * s->c * s->h * s->w);
        p.w = lab_values(2, s->o * p.wn[1] * s->kh * s->kw);
        p.y = lab_values(3, s->n * s->o * s->oh * s->ow);
        assert_true(check_direction(&lab, &p, KILN_STEP_CONV) > 0);
        assert_true(check_direction(&lab, &p, KILN_STEP_CONV_INPUT_GRAD) > 0);
        assert_true(check_direction(&lab, &p, KILN_STEP_CONV_WEIGHT_GRAD) > 0);
        free(p.x);
        free(p.w);
        free(p.y);
    }
    lab_close(&lab);
    print_message("Winograd: at most %.2e of the result's root mean square\n", worst_winograd);
}

static void one_thread(void **unused)
{
    (void)unused;
    check_all(0);
}

static void two_threads(void **unused)
{
    (void)unused;
    check_all(1);
}

static void reference(void **unused)
{
    (void)unused;
    check_all(2);
}

static void narrow_vectors(void **unused)
{
    (void)unused;
    check_all(3);
    check_all(4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reference),
        cmocka_unit_test(one_thread),
        cmocka_unit_test(two_threads),
        cmocka_unit_test(narrow_vectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
