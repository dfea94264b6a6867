/* Conformance cases of convolutions, pooling windows and resampling. */
#include "tests/lib/cases_internal.h"

/* --- convolution ------------------------------------------------------------------------- */

/* x [n, c, h, w], weight [o, c/groups, kh, kw]; stride, dilation: vertical,
 * horizontal; pad: top, bottom, left, right. */
static const struct conv_case {
    int64_t n, c, h, w, o, kh, kw;
    struct kiln_conv conv;
} convs[] = {
    {1, 1, 1, 1, 1, 1, 1, {{1, 1}, {1, 1}, {0}, 1}},
    {2, 3, 5, 7, 4, 1, 1, {{1, 1}, {1, 1}, {0}, 1}},
    {1, 1, 28, 28, 32, 3, 3, {{1, 1}, {1, 1}, {1, 1, 1, 1}, 1}},
    {2, 3, 17, 13, 16, 3, 3, {{1, 1}, {1, 1}, {1, 1, 1, 1}, 1}},
    {2, 16, 8, 8, 16, 3, 3, {{1, 1}, {1, 1}, {1, 1, 1, 1}, 1}},
    {3, 32, 7, 7, 64, 3, 3, {{1, 1}, {1, 1}, {1, 1, 1, 1}, 1}},
    {1, 64, 14, 14, 32, 3, 3, {{1, 1}, {1, 1}, {1, 1, 1, 1}, 1}},
    {2, 17, 9, 11, 19, 3, 3, {{1, 1}, {1, 1}, {1, 1, 1, 1}, 1}},
    {2, 32, 9, 9, 3, 3, 3, {{1, 1}, {1, 1}, {1, 1, 1, 1}, 1}},
    {2, 64, 5, 5, 48, 1, 1, {{1, 1}, {1, 1}, {0}, 1}},
    {2, 16, 9, 8, 32, 3, 3, {{2, 2}, {1, 1}, {1, 1, 1, 1}, 1}},
    {2, 16, 8, 8, 16, 3, 3, {{2, 2}, {1, 1}, {0, 1, 0, 1}, 1}}, /* pads one side only */
    {2, 16, 14, 14, 32, 4, 4, {{2, 2}, {1, 1}, {1, 1, 1, 1}, 1}},
    {1, 8, 10, 10, 8, 5, 5, {{1, 1}, {1, 1}, {2, 2, 2, 2}, 1}},
    {1, 4, 12, 12, 6, 7, 7, {{1, 1}, {1, 1}, {3, 3, 3, 3}, 1}},
    {2, 16, 12, 12, 16, 3, 3, {{1, 1}, {2, 2}, {2, 2, 2, 2}, 1}},
    {1, 8, 11, 11, 8, 3, 3, {{1, 1}, {4, 4}, {4, 4, 4, 4}, 1}},
    {2, 16, 6, 6, 32, 3, 3, {{1, 1}, {1, 1}, {1, 1, 1, 1}, 2}},
    {2, 6, 7, 7, 9, 3, 3, {{1, 1}, {1, 1}, {1, 1, 1, 1}, 3}},
    {2, 32, 7, 7, 32, 3, 3, {{1, 1}, {1, 1}, {1, 1, 1, 1}, 32}}, /* one filter a channel */
    {1, 5, 8, 8, 10, 5, 5, {{1, 1}, {1, 1}, {2, 2, 2, 2}, 5}},
    {2, 4, 8, 6, 6, 3, 2, {{3, 1}, {2, 3}, {2, 0, 1, 3}, 2}}, /* everything at once */
    {1, 3, 10, 10, 4, 2, 2, {{4, 3}, {1, 1}, {0}, 1}},        /* stride over the kernel */
    {1, 2, 2, 2, 3, 5, 5, {{1, 1}, {1, 1}, {2, 2, 2, 2}, 1}}, /* kernel over the picture */
    {1, 3, 1, 40, 5, 1, 9, {{1, 2}, {1, 1}, {0, 0, 4, 4}, 1}},
    {2, 128, 4, 4, 64, 3, 3, {{1, 1}, {1, 1}, {1, 1, 1, 1}, 1}},
    {5, 16, 1, 1, 16, 3, 3, {{1, 1}, {1, 1}, {1, 1, 1, 1}, 1}},
    /* Winograd's tiles of 4 by 4: in part, and with other pads on each side */
    {1, 16, 13, 7, 48, 3, 3, {{1, 1}, {1, 1}, {0, 2, 1, 0}, 1}},
    {1, 32, 6, 11, 16, 3, 3, {{1, 1}, {1, 1}, {3, 0, 0, 4}, 1}},
    {3, 16, 5, 6, 32, 3, 3, {{1, 1}, {1, 1}, {0, 0, 0, 0}, 1}},
    /* one output pixel: a matrix product */
    {3, 16, 4, 3, 24, 4, 3, {{1, 1}, {1, 1}, {0, 0, 0, 0}, 1}},
};

static struct kiln_shape y_shape(const struct conv_case *c)
{
    int64_t oh = (c->h + c->conv.pad[0] + c->conv.pad[1] - c->conv.dilation[0] * (c->kh - 1) - 1) /
                     c->conv.stride[0] +
                 1;
    int64_t ow = (c->w + c->conv.pad[2] + c->conv.pad[3] - c->conv.dilation[1] * (c->kw - 1) - 1) /
                     c->conv.stride[1] +
                 1;
    return KILN_SHAPE(c->n, c->o, oh, ow);
}

static void build_conv(kiln_graph *g, const struct kiln_case *one)
{
    const struct conv_case *c = &convs[one->v[0]];
    struct kiln_shape x = KILN_SHAPE(c->n, c->c, c->h, c->w);
    struct kiln_shape weight = KILN_SHAPE(c->o, c->c / c->conv.groups, c->kh, c->kw);
    kiln_node y;
    if (one->op == KILN_OP_CONV)
        y = kiln_conv(g, case_in(g, "x", x), case_in(g, "x2", weight), c->conv);
    else if (one->op == KILN_OP_CONV_INPUT_GRAD)
        y = kiln_conv_input_grad(g, case_in(g, "x", y_shape(c)), case_in(g, "x2", weight), c->conv,
                                 c->h, c->w);
    else
        y = kiln_conv_weight_grad(g, case_in(g, "x", x), case_in(g, "x2", y_shape(c)), c->conv,
                                  c->kh, c->kw);
    kiln_graph_output(g, "y", y);
}

/* Two convolutions with bias, norm, activation and a shortcut, and all
 * gradients: layouts must carry through. */
static void build_residual(kiln_graph *g, const struct kiln_case *one)
{
    kiln_node x = case_in(g, "x", one->shape[0]),
              time = case_in(g, "x2", KILN_SHAPE(one->shape[0].d[0], 12));
    int64_t width = one->v[0];
    struct kiln_conv same = kiln_conv_params(1, 1, 1);
    kiln_node h = kiln_silu(g, kiln_group_norm(g, "norm1", x, 4, 1e-5));
    h = kiln_conv2d(g, "conv1", h, width, 3, same, true);
    kiln_node shift = kiln_linear(g, "time", kiln_silu(g, time), width, true);
    h = kiln_add(g, h, kiln_reshape(g, shift, KILN_SHAPE(one->shape[0].d[0], width, 1, 1)));
    h = kiln_silu(g, kiln_group_norm(g, "norm2", h, 4, 1e-5));
    h = kiln_conv2d(g, "conv2", h, width, 3, same, true);
    kiln_node shortcut = kiln_conv2d(g, "shortcut", x, width, 1, kiln_conv_params(1, 0, 1), true);
    case_output_with_gradients(g, kiln_add(g, h, shortcut));
}

/* Down, up by a transposed convolution, concatenation: a small U. */
static void build_u(kiln_graph *g, const struct kiln_case *one)
{
    kiln_node x = case_in(g, "x", one->shape[0]);
    kiln_node a = kiln_relu(g, kiln_conv2d(g, "in", x, 16, 3, kiln_conv_params(1, 1, 1), true));
    kiln_node b =
        kiln_leaky_relu(g, kiln_conv2d(g, "down", a, 32, 4, kiln_conv_params(2, 1, 1), true), 0.2);
    kiln_node c = kiln_conv_transpose2d(g, "up", b, 16, 4, 2, 1, 0, true);
    kiln_node d = kiln_concat(g, 2, (kiln_node[]){a, c}, 1);
    kiln_node y = kiln_conv2d(g, "out", d, 3, 3, kiln_conv_params(1, 1, 1), true);
    case_output_with_gradients(g, kiln_sigmoid(g, y));
}

void cases_conv(const struct case_sink *sink)
{
    static const enum kiln_op ops[] = {KILN_OP_CONV, KILN_OP_CONV_INPUT_GRAD,
                                       KILN_OP_CONV_WEIGHT_GRAD};
    struct kiln_case one = {.class = KILN_CASE_CHAIN, .k = 1};
    for (size_t i = 0; i < sizeof convs / sizeof *convs; i++)
        for (int op = 0; op < 3; op++) {
            const struct conv_case *c = &convs[i];
            one.build = build_conv;
            one.op = ops[op];
            one.v[0] = (int64_t)i;
            case_emit(sink, one, "conv: %s %zu: %dx%dx%dx%d to %d by %dx%d", kiln_op_name(ops[op]),
                      i, (int)c->n, (int)c->c, (int)c->h, (int)c->w, (int)c->o, (int)c->kh,
                      (int)c->kw);
        }
    static const int64_t widths[] = {8, 16, 32, 20};
    for (int i = 0; i < 4; i++) {
        one.build = build_residual;
        one.shape[0] = KILN_SHAPE(2, widths[3 - i], 6, 5 + i);
        one.v[0] = widths[i];
        case_emit(sink, one, "conv: residual block of %s to %d", case_shape(one.shape[0]),
                  (int)widths[i]);
    }
    one.build = build_u;
    one.shape[0] = KILN_SHAPE(2, 3, 12, 12);
    case_emit(sink, one, "conv: down, up and concatenation");
}

/* --- windows ----------------------------------------------------------------------------- */

static void build_window(kiln_graph *g, const struct kiln_case *one)
{
    kiln_node x = case_in(g, one->v[0] ? "z" : "d", one->shape[0]);
    kiln_node index = kiln_window_argmax(g, x, one->window);
    kiln_graph_output(g, "index", index);
    kiln_node y = kiln_window_gather(g, x, index, one->window);
    kiln_graph_output(g, "y", y);
    kiln_node d_y = case_in(g, "x", kiln_shape(g, y));
    kiln_graph_output(
        g, "d_x",
        kiln_window_scatter(g, d_y, index, one->window, one->shape[0].d[2], one->shape[0].d[3]));
}

static void emit_windows(const struct case_sink *sink)
{
    static const struct kiln_window windows[] = {
        {{2, 2}, {2, 2}, {0}},          {{3, 3}, {2, 2}, {1, 1, 1, 1}},
        {{5, 5}, {1, 1}, {2, 2, 2, 2}}, {{3, 2}, {2, 1}, {1, 2, 0, 1}},
        {{1, 1}, {2, 3}, {0}},          {{2, 3}, {4, 5}, {0}},
    };
    const struct kiln_shape shapes[] = {KILN_SHAPE(1, 1, 5, 5), KILN_SHAPE(2, 3, 7, 9),
                                        KILN_SHAPE(2, 16, 8, 8)};
    for (size_t i = 0; i < sizeof windows / sizeof *windows; i++)
        for (int s = 0; s < 3; s++) {
            struct kiln_case one = {.class = KILN_CASE_CHAIN,
                                    .k = 1,
                                    .build = build_window,
                                    .shape = {shapes[s]},
                                    .window = windows[i],
                                    .v = {s == 1}};
            case_emit(sink, one, "window: number %zu of %s", i, case_shape(shapes[s]));
        }
}

/* --- resampling -------------------------------------------------------------------------- */

static void build_resample(kiln_graph *g, const struct kiln_case *one)
{
    struct kiln_resample r = one->resample;
    struct kiln_shape from = KILN_SHAPE(one->v[0], one->v[1], r.in[0], r.in[1]);
    struct kiln_shape to = KILN_SHAPE(one->v[0], one->v[1], r.out[0], r.out[1]);
    kiln_graph_output(g, "y", kiln_resample(g, case_in(g, "x", from), r));
    r.adjoint = true;
    kiln_graph_output(g, "adjoint", kiln_resample(g, case_in(g, "x2", to), r));
}

void cases_spatial(const struct case_sink *sink)
{
    emit_windows(sink);
    static const char *const kinds[] = {"nearest", "bilinear", "aligned bilinear", "mean"};
    static const int64_t sizes[][4] = {{4, 4, 8, 8}, {3, 5, 7, 4}, {1, 1, 3, 2}, {6, 8, 3, 2},
                                       {5, 6, 1, 1}, {2, 3, 5, 9}, {7, 7, 7, 7}};
    for (int kind = 0; kind < 4; kind++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            const int64_t *s = sizes[i];
            if (kind == KILN_RESAMPLE_MEAN && (s[0] % s[2] || s[1] % s[3]))
                continue;
            struct kiln_case one = {
                .class = KILN_CASE_CHAIN,
                .k = 1,
                .build = build_resample,
                .resample = {(enum kiln_resample_kind)kind, {s[0], s[1]}, {s[2], s[3]}, false},
                .v = {2, i % 2 ? 3 : 16},
            };
            case_emit(sink, one, "resample: %s %dx%d to %dx%d", kinds[kind], (int)s[0], (int)s[1],
                      (int)s[2], (int)s[3]);
        }
}
