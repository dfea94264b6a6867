/* Modules with parameters: linear, convolutions, embeddings. */
#include "core/graph/internal.h"

#include <math.h>
#include <stdlib.h>

#include "core/api/nn.h"

enum { MAX_STRIDE = 1 << 15 };

kiln_node kiln_parameter(kiln_graph *g, const char *name, struct kiln_shape shape,
                         struct kiln_init init)
{
    return kiln_state(
        g, &(struct kiln_state){.name = name, .shape = shape, .trainable = true, .init = init});
}

/* The parameter "module.part". */
static kiln_node part(kiln_graph *g, const char *module, const char *name, struct kiln_shape shape,
                      struct kiln_init init)
{
    char *full = kiln_arena_printf(g->arena, "%s.%s", module, name);
    return full ? kiln_parameter(g, full, shape, init) : kiln_graph_no_memory(g);
}

/* PyTorch's start of linear layers and convolutions. */
static struct kiln_init by_fan_in(double fan_in)
{
    float bound = fan_in > 0 ? (float)(1 / sqrt(fan_in)) : 0;
    return (struct kiln_init){KILN_INIT_UNIFORM, -bound, bound};
}

kiln_node kiln_linear(kiln_graph *g, const char *name, kiln_node x, int64_t out, bool bias)
{
    const char *outer = kiln_graph_enter(g, name);
    struct kiln_shape shape = kiln_shape(g, x);
    if (!g->status && shape.n < 1)
        kiln_graph_fail(g, "linear: needs [..., in]");
    kiln_node y = 0;
    if (!g->status) {
        int64_t in = shape.d[shape.n - 1], rows = kiln_shape_count(&shape) / in;
        kiln_node weight = part(g, name, "weight", KILN_SHAPE(out, in), by_fan_in((double)in));
        y = kiln_matmul(g, kiln_reshape(g, x, KILN_SHAPE(rows, in)), weight, false, true);
        if (bias)
            y = kiln_add(g, y, part(g, name, "bias", KILN_SHAPE(out), by_fan_in((double)in)));
        shape.d[shape.n - 1] = out;
        y = kiln_reshape(g, y, shape);
    }
    kiln_graph_swap_label(g, outer);
    return y;
}

static kiln_node add_channel_bias(kiln_graph *g, const char *name, kiln_node y, int64_t channels,
                                  struct kiln_init init)
{
    kiln_node bias = part(g, name, "bias", KILN_SHAPE(channels), init);
    return kiln_add(g, y, kiln_reshape(g, bias, KILN_SHAPE(1, channels, 1, 1)));
}

/* True for x [n, c, h, w] and sane sizes; else the graph fails. */
static bool conv_fits(kiln_graph *g, kiln_node x, int kernel, int groups)
{
    struct kiln_shape shape = kiln_shape(g, x);
    if (g->status)
        return false;
    if (shape.n == 4 && kernel >= 1 && groups >= 1 && shape.d[1] % groups == 0)
        return true;
    char text[160];
    kiln_graph_fail(g,
                    "convolution of %s: needs [n, c, h, w], a kernel >= 1 (%d) and groups (%d) "
                    "that divide c",
                    kiln_shape_text(&shape, text, sizeof text), kernel, groups);
    return false;
}

kiln_node kiln_conv2d(kiln_graph *g, const char *name, kiln_node x, int64_t out, int kernel,
                      struct kiln_conv conv, bool bias)
{
    const char *outer = kiln_graph_enter(g, name);
    kiln_node y = 0;
    if (conv_fits(g, x, kernel, conv.groups)) {
        int64_t in = kiln_shape(g, x).d[1] / conv.groups;
        struct kiln_init init = by_fan_in((double)in * kernel * kernel);
        y = kiln_conv(g, x, part(g, name, "weight", KILN_SHAPE(out, in, kernel, kernel), init),
                      conv);
        if (bias)
            y = add_channel_bias(g, name, y, out, init);
    }
    kiln_graph_swap_label(g, outer);
    return y;
}

/* PyTorch takes the fan-in of a transposed convolution from the weight's
 * second axis, which is the output's channels. */
kiln_node kiln_conv_transpose2d(kiln_graph *g, const char *name, kiln_node x, int64_t out,
                                int kernel, int stride, int padding, int output_padding, bool bias)
{
    const char *outer = kiln_graph_enter(g, name);
    kiln_node y = 0;
    if (stride < 1 || stride > MAX_STRIDE)
        kiln_graph_fail(g, "transposed convolution: the stride %d is not in 1 .. %d", stride,
                        MAX_STRIDE);
    if (conv_fits(g, x, kernel, 1)) {
        struct kiln_shape shape = kiln_shape(g, x);
        struct kiln_init init = by_fan_in((double)out * kernel * kernel);
        int64_t size[2];
        for (int axis = 0; axis < 2; axis++)
            size[axis] =
                (shape.d[2 + axis] - 1) * stride - 2 * (int64_t)padding + kernel + output_padding;
        kiln_node weight =
            part(g, name, "weight", KILN_SHAPE(shape.d[1], out, kernel, kernel), init);
        y = kiln_conv_input_grad(g, x, weight, kiln_conv_params(stride, padding, 1), size[0],
                                 size[1]);
        if (bias)
            y = add_channel_bias(g, name, y, out, init);
    }
    kiln_graph_swap_label(g, outer);
    return y;
}

kiln_node kiln_embedding(kiln_graph *g, const char *name, kiln_node index, int64_t rows,
                         int64_t width)
{
    const char *outer = kiln_graph_enter(g, name);
    struct kiln_init normal = {KILN_INIT_NORMAL, 0, 1};
    kiln_node y =
        kiln_gather_rows(g, part(g, name, "weight", KILN_SHAPE(rows, width), normal), index);
    kiln_graph_swap_label(g, outer);
    return y;
}

/* f32 [1, half]: exp(-ln(max_period) i / (half - shift)). */
static kiln_node frequencies(kiln_graph *g, int64_t half, double shift, double max_period)
{
    float *values = malloc((size_t)half * sizeof *values);
    if (!values)
        return kiln_graph_no_memory(g);
    for (int64_t i = 0; i < half; i++)
        values[i] = (float)exp(-log(max_period) * (double)i / ((double)half - shift));
    kiln_node node = kiln_constant(g, KILN_F32, KILN_SHAPE(1, half), values);
    free(values);
    return node;
}

kiln_node kiln_timestep_embedding(kiln_graph *g, kiln_node t, int64_t width, bool flip_sin_to_cos,
                                  double downscale_freq_shift, double max_period)
{
    int64_t half = width / 2, n = kiln_shape(g, t).d[0];
    if (g->status)
        return 0;
    if (kiln_shape(g, t).n != 1 || half < 1 || half > INT32_MAX ||
        (double)half == downscale_freq_shift || !(max_period > 0)) {
        kiln_graph_fail(g, "timestep embedding: needs f32 [n], a width >= 2, a shift other than "
                           "half of it and a positive period");
        return 0;
    }
    kiln_node angle = kiln_mul(g, kiln_reshape(g, t, KILN_SHAPE(n, 1)),
                               frequencies(g, half, downscale_freq_shift, max_period));
    kiln_node sine = kiln_sin(g, angle), cosine = kiln_cos(g, angle);
    kiln_node parts[] = {flip_sin_to_cos ? cosine : sine, flip_sin_to_cos ? sine : cosine, 0};
    if (width % 2)
        parts[2] = kiln_full(g, KILN_SHAPE(n, 1), 0);
    return kiln_concat(g, width % 2 ? 3 : 2, parts, 1);
}
