/* Half storage: what training keeps for its gradients takes less memory, and the
 * gradients are those of values rounded to 16 bits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/api/nn.h"
#include "tests/lib/plan_run.h"

enum { SIDE = 16, WIDTH = 16, BATCH = 4 };

/* Residual blocks of a U-Net's kind, the last ones joined with the first ones'
 * results; their loss and all gradients, as a training step has them. */
static kiln_graph *network(int n_blocks, bool gradients)
{
    enum { MAX_BLOCKS = 32 };
    char name[32];
    kiln_graph *g = kiln_graph_create();
    kiln_node x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(BATCH, WIDTH, SIDE, SIDE));
    kiln_node skips[MAX_BLOCKS], weights[MAX_BLOCKS], d[MAX_BLOCKS];
    for (int i = 0; i < n_blocks; i++) {
        snprintf(name, sizeof name, "norm%d", i);
        kiln_node h = kiln_silu(g, kiln_group_norm(g, name, x, 4, 1e-5));
        if (i >= n_blocks / 2)
            h = kiln_concat(g, 2, (kiln_node[]){h, skips[n_blocks - 1 - i]}, 1);
        snprintf(name, sizeof name, "conv%d", i);
        h = kiln_conv2d(g, name, h, WIDTH, 1, kiln_conv_params(1, 0, 1), true);
        skips[i] = x = kiln_add(g, x, h);
    }
    kiln_node loss = kiln_mean_all(g, kiln_square(g, x));
    kiln_graph_output(g, "loss", loss);
    for (int i = 0; i < n_blocks && gradients; i++) {
        snprintf(name, sizeof name, "conv%d.weight", i);
        weights[i] =
            kiln_parameter(g, name, KILN_SHAPE(WIDTH, i < n_blocks / 2 ? WIDTH : 2 * WIDTH, 1, 1),
                           (struct kiln_init){0});
    }
    if (gradients)
        kiln_grad(g, loss, n_blocks, weights, d);
    for (int i = 0; i < n_blocks && gradients; i++) {
        snprintf(name, sizeof name, "d%d", i);
        kiln_graph_output(g, name, d[i]);
    }
    return g;
}

/* Plans and runs the graph; the workspace's bytes. */
static int64_t bytes_of(const kiln_graph *g, bool half, double tolerance, enum kiln_layout layout)
{
    struct plan_run run = {.fuse = true,
                           .reuse = true,
                           .half = half,
                           .seed = 1,
                           .tolerance = tolerance,
                           .feature_layout = layout,
                           .blocked = layout != KILN_LAYOUT_DENSE,
                           .keep_plan = true};
    const char *why = plan_run(g, &run);
    if (why)
        fail_msg("%s", why);
    int64_t bytes = run.plan->steps.region_bytes[KILN_REGION_WORKSPACE];
    kiln_plan_destroy(&run.plan);
    return bytes;
}

static void gradients_are_those_of_rounded_values(void **unused)
{
    (void)unused;
    kiln_graph *g = network(24, true);
    const enum kiln_layout layouts[] = {KILN_LAYOUT_DENSE, KILN_LAYOUT_NCHW16C};
    for (int i = 0; i < 2; i++) {
        int64_t full = bytes_of(g, false, 0, layouts[i]),
                half = bytes_of(g, true, 2e-3, layouts[i]);
        print_message("%s: %lld bytes instead of %lld\n", kiln_layout_name(layouts[i]),
                      (long long)half, (long long)full);
        assert_true(half < full * 7 / 10);
    }
    kiln_graph_destroy(&g);
}

static void skip_connections_are_kept_in_half(void **unused)
{
    (void)unused;
    kiln_graph *g = network(32, false);
    int64_t full = bytes_of(g, false, 0, KILN_LAYOUT_DENSE),
            half = bytes_of(g, true, 2e-3, KILN_LAYOUT_DENSE);
    print_message("%lld bytes instead of %lld\n", (long long)half, (long long)full);
    assert_true(half < full * 3 / 4);
    kiln_graph_destroy(&g);
}

/* Values that f16 does not hold are clamped to its largest, and stay finite. */
static void large_values_are_clamped(void **unused)
{
    (void)unused;
    kiln_graph *g = kiln_graph_create();
    kiln_node x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(1, 4, 64, 64));
    kiln_node identity =
        kiln_constant(g, KILN_F32, KILN_SHAPE(4, 4, 1, 1),
                      (const float[]){1e9f, 0, 0, 0, 0, 1e9f, 0, 0, 0, 0, 1e9f, 0, 0, 0, 0, 1e9f});
    kiln_node large = kiln_conv(g, x, identity, kiln_conv_params(1, 0, 1)), small = large;
    for (int i = 0; i < 300; i++)
        small = kiln_mul_scalar(g, small, 0.9);
    kiln_graph_output(g, "y", kiln_mul(g, kiln_tanh(g, large), kiln_tanh(g, small)));
    bytes_of(g, true, 2e-3, KILN_LAYOUT_DENSE);
    kiln_graph_destroy(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_are_those_of_rounded_values),
        cmocka_unit_test(skip_connections_are_kept_in_half),
        cmocka_unit_test(large_values_are_clamped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
