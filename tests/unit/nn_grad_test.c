/* Gradients of every building block, to second order, against differences. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/api/nn.h"
#include "tests/lib/grad_check.h"

static kiln_node in(kiln_graph *g, const char *name, struct kiln_shape shape)
{
    return kiln_input(g, name, KILN_F32, shape);
}

static kiln_node matrix(kiln_graph *g)
{
    return in(g, "x", KILN_SHAPE(3, 5));
}

static kiln_node map(kiln_graph *g)
{
    return in(g, "x", KILN_SHAPE(2, 4, 5, 3));
}

/* One case a line: how y is built from g. Linear blocks are squared, so that
 * the second order is not zero. */
#define CASES(X)                                                                                   \
    X(add_scalar, kiln_square(g, kiln_add_scalar(g, matrix(g), 0.5)))                              \
    X(mul_scalar, kiln_square(g, kiln_mul_scalar(g, matrix(g), 0.5)))                              \
    X(relu, kiln_square(g, kiln_relu(g, matrix(g))))                                               \
    X(leaky_relu, kiln_square(g, kiln_leaky_relu(g, matrix(g), 0.2)))                              \
    X(elu, kiln_elu(g, matrix(g), 0.7))                                                            \
    X(silu, kiln_silu(g, matrix(g)))                                                               \
    X(gelu, kiln_gelu(g, matrix(g)))                                                               \
    X(gelu_tanh, kiln_gelu_tanh(g, matrix(g)))                                                     \
    X(quick_gelu, kiln_quick_gelu(g, matrix(g)))                                                   \
    X(softplus, kiln_softplus(g, matrix(g)))                                                       \
    X(clamp, kiln_square(g, kiln_clamp(g, in(g, "d", KILN_SHAPE(3, 5)), -0.515, 0.715)))           \
    X(mean, kiln_square(g, kiln_mean(g, matrix(g), 2)))                                            \
    X(sum_all, kiln_square(g, kiln_sum_all(g, matrix(g))))                                         \
    X(mean_all, kiln_square(g, kiln_mean_all(g, matrix(g))))                                       \
    X(sum_per_sample, kiln_square(g, kiln_sum_per_sample(g, map(g))))                              \
    X(softmax, kiln_softmax(g, matrix(g), 1))                                                      \
    X(log_softmax, kiln_log_softmax(g, matrix(g), 0))                                              \
    X(flatten, kiln_square(g, kiln_flatten(g, map(g))))                                            \
    X(transpose, kiln_square(g, kiln_transpose(g, map(g), 1, 3)))                                  \
    X(narrow, kiln_square(g, kiln_narrow(g, map(g), 2, 1, 3)))                                     \
    X(dropout, kiln_square(g, kiln_dropout(g, matrix(g), 0.4, 3)))                                 \
    X(bce, kiln_bce_with_logits(g, matrix(g), in(g, "p", KILN_SHAPE(3, 5))))                       \
    X(scaled_attention,                                                                            \
      kiln_scaled_attention(g, in(g, "x", KILN_SHAPE(1, 3, 4)), in(g, "x2", KILN_SHAPE(1, 2, 4)),  \
                            in(g, "x3", KILN_SHAPE(1, 2, 3)), 0.5f))                               \
    X(max_pool, kiln_square(g, kiln_max_pool(g, in(g, "d", KILN_SHAPE(2, 2, 5, 6)),                \
                                             (struct kiln_window){{3, 2}, {2, 2}, {1, 1, 0, 1}}))) \
    X(avg_pool, kiln_square(g, kiln_avg_pool(g, map(g), 2)))                                       \
    X(avg_pool_same, kiln_square(g, kiln_avg_pool_same(g, map(g), 3)))                             \
    X(upsample_nearest, kiln_square(g, kiln_upsample_nearest(g, map(g), 2)))                       \
    X(resize_bilinear, kiln_square(g, kiln_resize_bilinear(g, map(g), 7, 2, false)))               \
    X(resize_aligned, kiln_square(g, kiln_resize_bilinear(g, map(g), 7, 2, true)))                 \
    X(flip_where, kiln_square(g, kiln_flip_where(g, map(g),                                        \
                                                 kiln_constant(g, KILN_F32, KILN_SHAPE(2),         \
                                                               (float[]){0, 1}))))                 \
    X(linear, kiln_tanh(g, kiln_linear(g, "fc", in(g, "x", KILN_SHAPE(2, 3, 4)), 5, true)))        \
    X(conv2d, kiln_tanh(g, kiln_conv2d(g, "conv", map(g), 3, 3, kiln_conv_params(2, 2, 2), true))) \
    X(conv_transpose2d, kiln_tanh(g, kiln_conv_transpose2d(g, "up", map(g), 3, 3, 2, 1, 1, true))) \
    X(group_norm, kiln_group_norm(g, "norm", map(g), 2, 1e-5))                                     \
    X(layer_norm, kiln_layer_norm(g, "norm", matrix(g), 1e-5))                                     \
    X(instance_norm, kiln_instance_norm(g, map(g), 1e-5))                                          \
    X(batch_norm, kiln_batch_norm(g, "norm", map(g), 1e-5, 0.1, true))                             \
    X(batch_norm_eval, kiln_square(g, kiln_batch_norm(g, "norm", map(g), 1e-5, 0.1, false)))       \
    X(embedding, kiln_square(g, kiln_embedding(g, "table",                                         \
                                               kiln_input(g, "index4", KILN_I32, KILN_SHAPE(6)),   \
                                               4, 3)))                                             \
    X(timestep_embedding,                                                                          \
      kiln_timestep_embedding(g, in(g, "x", KILN_SHAPE(4)), 5, true, 0, 10))

#define BUILD(name, y)                                                                             \
    static kiln_node build_##name(kiln_graph *g)                                                   \
    {                                                                                              \
        return y;                                                                                  \
    }
CASES(BUILD)

static const struct grad_check_case cases[] = {
#define ROW(name, y) {#name, build_##name},
    CASES(ROW)
#undef ROW
};

static void gradients_match_differences(void **unused)
{
    (void)unused;
    assert_int_equal(grad_check_table(cases, sizeof cases / sizeof *cases, 2), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(gradients_match_differences)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
