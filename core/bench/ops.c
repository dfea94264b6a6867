/* The named shapes and their graphs. */
#include "core/bench/ops.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/api/nn.h"

#define FULL  KILN_OP_SET_FULL
#define QUICK KILN_OP_SET_QUICK
#define TINY  KILN_OP_SET_TINY

/* clang-format off */
const struct kiln_op_case kiln_op_cases[] = {
    {"1008x960x1024", KILN_FAMILY_MATMUL, QUICK, {1008, 960, 1024}},
    {"896x1536x576", KILN_FAMILY_MATMUL, FULL, {896, 1536, 576}},
    {"448x96x784", KILN_FAMILY_MATMUL, QUICK, {448, 96, 784}},
    {"1024x1024x1024", KILN_FAMILY_MATMUL, FULL, {1024, 1024, 1024}},
    {"128x400x784 of vae", KILN_FAMILY_MATMUL, FULL, {128, 400, 784}},

    {"32->32 28x28 k3", KILN_FAMILY_CONV, FULL, {64, 32, 28, 32, 3, 1, 1}},
    {"64->64 28x28 k3", KILN_FAMILY_CONV, QUICK, {64, 64, 28, 64, 3, 1, 1}},
    {"64->64 14x14 k3 of ddpm", KILN_FAMILY_CONV, FULL, {64, 64, 14, 64, 3, 1, 1}},
    {"128->128 14x14 k3", KILN_FAMILY_CONV, FULL, {64, 128, 14, 128, 3, 1, 1}},
    {"256->256 7x7 k3", KILN_FAMILY_CONV, QUICK, {64, 256, 7, 256, 3, 1, 1}},
    {"256->128 14x14 k3", KILN_FAMILY_CONV, FULL, {64, 256, 14, 128, 3, 1, 1}},
    {"128->128 14x14 k3 s2", KILN_FAMILY_CONV, FULL, {64, 128, 14, 128, 3, 2, 1}},
    {"64->128 28x28 k4 s2", KILN_FAMILY_CONV, FULL, {64, 64, 28, 128, 4, 2, 1}},
    {"64->128 14x14 k4 s2 of gan", KILN_FAMILY_CONV, FULL, {64, 64, 14, 128, 4, 2, 1}},
    {"256->128 14x14 k1", KILN_FAMILY_CONV, QUICK, {64, 256, 14, 128, 1, 1, 0}},
    {"128->384 7x7 k1", KILN_FAMILY_CONV, FULL, {64, 128, 7, 384, 1, 1, 0}},
    {"1->64 28x28 k3", KILN_FAMILY_CONV, FULL, {64, 1, 28, 64, 3, 1, 1}},
    {"64->1 28x28 k3", KILN_FAMILY_CONV, FULL, {64, 64, 28, 1, 3, 1, 1}},

    {"8 groups + silu 64x64x28x28", KILN_FAMILY_NORM, QUICK, {64, 64, 28, 8}},
    {"8 groups + silu 64x128x14x14", KILN_FAMILY_NORM, FULL, {64, 128, 14, 8}},
    {"rows 8192x256", KILN_FAMILY_SOFTMAX, QUICK, {8192, 256}},
    {"rows 3136x49", KILN_FAMILY_SOFTMAX, FULL, {3136, 49}},
    {"64 of 49x64", KILN_FAMILY_ATTENTION, FULL, {64, 49, 64}},
    {"64 of 256x64", KILN_FAMILY_ATTENTION, QUICK, {64, 256, 64}},
    {"scale + silu + add 64x32x28x28", KILN_FAMILY_POINTWISE, QUICK, {64, 32, 28}},
    {"scale + silu + add 64x32x14x14", KILN_FAMILY_POINTWISE, FULL, {64, 32, 14}},
    {"channels of 64x64x28x28", KILN_FAMILY_REDUCTION, QUICK, {64, 64, 28}},
    {"all of 64x32x28x28", KILN_FAMILY_REDUCTION, FULL, {64, 32, 28, 1}},
    {"2 x 64x32x28x28", KILN_FAMILY_CONCAT, QUICK, {64, 32, 28}},
    {"64 of 64x784", KILN_FAMILY_TRANSPOSE, FULL, {64, 64, 784}},

    {"19x21x23", KILN_FAMILY_MATMUL, TINY, {19, 21, 23}},
    {"16->16 6x6 k3", KILN_FAMILY_CONV, TINY, {2, 16, 6, 16, 3, 1, 1}},
    {"3->5 7x7 k4 s2", KILN_FAMILY_CONV, TINY, {2, 3, 7, 5, 4, 2, 1}},
    {"2 groups + silu 2x4x5x5", KILN_FAMILY_NORM, TINY, {2, 4, 5, 2}},
    {"rows 5x7", KILN_FAMILY_SOFTMAX, TINY, {5, 7}},
    {"2 of 5x8", KILN_FAMILY_ATTENTION, TINY, {2, 5, 8}},
    {"scale + silu + add 2x3x5x5", KILN_FAMILY_POINTWISE, TINY, {2, 3, 5}},
    {"channels of 2x3x5x5", KILN_FAMILY_REDUCTION, TINY, {2, 3, 5}},
    {"all of 2x3x5x5", KILN_FAMILY_REDUCTION, TINY, {2, 3, 5, 1}},
    {"2 x 2x3x5x5", KILN_FAMILY_CONCAT, TINY, {2, 3, 5}},
    {"2 of 3x11", KILN_FAMILY_TRANSPOSE, TINY, {2, 3, 11}},
};
/* clang-format on */
const int kiln_n_op_cases = sizeof kiln_op_cases / sizeof *kiln_op_cases;

const char *kiln_op_family_name(enum kiln_op_family family)
{
    static const char *const names[KILN_FAMILY_COUNT] = {
        "matmul",    "conv",      "conv input grad", "conv weight grad", "norm",     "softmax",
        "attention", "pointwise", "reduction",       "concat",           "transpose"};
    return names[family];
}

int64_t kiln_op_conv_side(const struct kiln_op_case *c)
{
    return (c->size[2] + 2 * c->size[6] - c->size[4]) / c->size[5] + 1;
}

/* x, weight and y of a convolution, in this order. */
static void conv_shapes(const struct kiln_op_case *c, struct kiln_shape shapes[3])
{
    const int64_t *s = c->size;
    int64_t side = kiln_op_conv_side(c);
    shapes[0] = KILN_SHAPE(s[0], s[1], s[2], s[2]);
    shapes[1] = KILN_SHAPE(s[3], s[1], s[4], s[4]);
    shapes[2] = KILN_SHAPE(s[0], s[3], side, side);
}

static void choose_shapes(const struct kiln_op_case *c, enum kiln_op_family family,
                          struct kiln_op_shapes *out)
{
    const int64_t *s = c->size;
    struct kiln_shape conv[3], *in = out->inputs;
    struct kiln_shape map = KILN_SHAPE(s[0], s[1], s[2], s[2]);
    out->n_inputs = 1;
    in[0] = out->output = map;
    switch (family) {
    case KILN_FAMILY_MATMUL:
        out->n_inputs = 2;
        in[0] = KILN_SHAPE(s[0], s[2]);
        in[1] = KILN_SHAPE(s[2], s[1]);
        out->output = KILN_SHAPE(s[0], s[1]);
        break;
    case KILN_FAMILY_CONV:
    case KILN_FAMILY_CONV_INPUT_GRAD:
    case KILN_FAMILY_CONV_WEIGHT_GRAD:
        conv_shapes(c, conv);
        out->n_inputs = 2;
        in[0] = family == KILN_FAMILY_CONV_INPUT_GRAD ? conv[2] : conv[0];
        in[1] = family == KILN_FAMILY_CONV_WEIGHT_GRAD ? conv[2] : conv[1];
        out->output = family == KILN_FAMILY_CONV              ? conv[2]
                      : family == KILN_FAMILY_CONV_INPUT_GRAD ? conv[0]
                                                              : conv[1];
        break;
    case KILN_FAMILY_SOFTMAX:
        in[0] = out->output = KILN_SHAPE(s[0], s[1]);
        break;
    case KILN_FAMILY_ATTENTION:
        out->n_inputs = 3;
        in[0] = in[1] = in[2] = out->output = KILN_SHAPE(s[0], s[1], s[2]);
        break;
    case KILN_FAMILY_POINTWISE:
        out->n_inputs = 4;
        in[1] = in[2] = KILN_SHAPE(1, s[1], 1, 1);
        in[3] = map;
        break;
    case KILN_FAMILY_REDUCTION:
        out->output = KILN_SHAPE(1, s[3] ? 1 : s[1], 1, 1);
        break;
    case KILN_FAMILY_CONCAT:
        out->n_inputs = 2;
        in[1] = map;
        out->output = KILN_SHAPE(s[0], 2 * s[1], s[2], s[2]);
        break;
    case KILN_FAMILY_TRANSPOSE:
        in[0] = KILN_SHAPE(s[0], s[1], s[2]);
        out->output = KILN_SHAPE(s[0], s[2], s[1]);
        break;
    default: /* NORM */
        break;
    }
}

static double count_flops(const struct kiln_op_case *c, enum kiln_op_family family)
{
    const int64_t *s = c->size;
    double side;
    switch (family) {
    case KILN_FAMILY_MATMUL:
        return 2.0 * (double)s[0] * (double)s[1] * (double)s[2];
    case KILN_FAMILY_CONV:
    case KILN_FAMILY_CONV_INPUT_GRAD:
    case KILN_FAMILY_CONV_WEIGHT_GRAD:
        side = (double)kiln_op_conv_side(c);
        return 2.0 * (double)(s[0] * s[3] * s[1] * s[4] * s[4]) * side * side;
    case KILN_FAMILY_ATTENTION: /* scores, and their sums of values */
        return 4.0 * (double)(s[0] * s[1] * s[1] * s[2]);
    default:
        return 0;
    }
}

struct kiln_op_shapes kiln_op_shapes(const struct kiln_op_case *c, enum kiln_op_family family)
{
    struct kiln_op_shapes shapes = {0};
    choose_shapes(c, family, &shapes);
    shapes.bytes = 4.0 * (double)kiln_shape_count(&shapes.output);
    for (int i = 0; i < shapes.n_inputs; i++)
        shapes.bytes += 4.0 * (double)kiln_shape_count(&shapes.inputs[i]);
    shapes.flops = count_flops(c, family);
    return shapes;
}

void kiln_op_build(kiln_graph *g, const struct kiln_op_case *c, enum kiln_op_family family)
{
    static const int swap[] = {0, 2, 1};
    const int64_t *s = c->size;
    struct kiln_op_shapes shapes = kiln_op_shapes(c, family);
    kiln_node x[KILN_OP_MAX_INPUTS] = {0}, y = 0;
    for (int i = 0; i < shapes.n_inputs; i++) {
        char name[8];
        snprintf(name, sizeof name, "x%d", i);
        x[i] = kiln_input(g, name, KILN_F32, shapes.inputs[i]);
    }
    struct kiln_conv conv = kiln_conv_params((int)s[5], (int)s[6], 1);
    switch (family) {
    case KILN_FAMILY_MATMUL:
        y = kiln_matmul(g, x[0], x[1], false, false);
        break;
    case KILN_FAMILY_CONV:
        y = kiln_conv(g, x[0], x[1], conv);
        break;
    case KILN_FAMILY_CONV_INPUT_GRAD:
        y = kiln_conv_input_grad(g, x[0], x[1], conv, s[2], s[2]);
        break;
    case KILN_FAMILY_CONV_WEIGHT_GRAD:
        y = kiln_conv_weight_grad(g, x[0], x[1], conv, s[4], s[4]);
        break;
    case KILN_FAMILY_NORM: /* its weight and bias start as 1 and 0 */
        y = kiln_silu(g, kiln_group_norm(g, "norm", x[0], (int)s[3], 1e-5));
        break;
    case KILN_FAMILY_SOFTMAX:
        y = kiln_softmax(g, x[0], 1);
        break;
    case KILN_FAMILY_ATTENTION:
        y = kiln_attention(g, x[0], x[1], x[2], (float)(1 / sqrt((double)s[2])), NULL);
        break;
    case KILN_FAMILY_POINTWISE:
        y = kiln_add(g, kiln_silu(g, kiln_add(g, kiln_mul(g, x[0], x[1]), x[2])), x[3]);
        break;
    case KILN_FAMILY_REDUCTION:
        y = kiln_reduce_sum(g, x[0], s[3] ? 15 : 13);
        break;
    case KILN_FAMILY_CONCAT:
        y = kiln_concat(g, 2, x, 1);
        break;
    default:
        y = kiln_permute(g, x[0], swap);
        break;
    }
    kiln_graph_output(g, "y", y);
}
