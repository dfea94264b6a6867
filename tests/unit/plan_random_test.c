/* Random graphs, planned in every way, against the oracle. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/api/nn.h"
#include "tests/lib/plan_run.h"

enum { N_NODES = 28, MAX_COUNT = 2000 };

static uint64_t seed;

static int pick(int n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (int)((seed >> 33) % (uint64_t)n);
}

static kiln_node pointwise(kiln_graph *g, kiln_node x)
{
    static const enum kiln_op ops[] = {KILN_OP_TANH, KILN_OP_SIGMOID, KILN_OP_ABS, KILN_OP_NEG,
                                       KILN_OP_SIN};
    return kiln_unary(g, ops[pick(5)], x);
}

static kiln_node binary(kiln_graph *g, kiln_node a, kiln_node b)
{
    static const enum kiln_op ops[] = {KILN_OP_ADD, KILN_OP_SUB, KILN_OP_MUL, KILN_OP_MAX};
    struct kiln_shape x = kiln_shape(g, a), y = kiln_shape(g, b);
    if (!kiln_shape_equal(&x, &y))
        return kiln_add(g, a, kiln_tanh(g, kiln_sum_all(g, b)));
    return kiln_binary(g, ops[pick(4)], a, b);
}

static kiln_node reduce(kiln_graph *g, kiln_node x)
{
    struct kiln_shape shape = kiln_shape(g, x);
    uint32_t axes = (uint32_t)pick(1 << shape.n);
    kiln_node r =
        pick(3) ? kiln_mean(g, x, axes ? axes : 1) : kiln_reduce_max(g, x, axes ? axes : 1);
    return pick(3) ? kiln_mul(g, x, r) : r; /* mostly used at once, as norms do */
}

static kiln_node permute(kiln_graph *g, kiln_node x)
{
    int permutation[KILN_MAX_DIMS], n = kiln_shape(g, x).n;
    for (int i = 0; i < n; i++) {
        int j = pick(i + 1);
        permutation[i] = permutation[j];
        permutation[j] = i;
    }
    return kiln_permute(g, x, permutation);
}

static kiln_node reshape(kiln_graph *g, kiln_node x)
{
    struct kiln_shape s = kiln_shape(g, x);
    int64_t count = kiln_shape_count(&s), divisor = 1;
    for (int64_t d = 2; d < count; d++)
        if (count % d == 0 && pick(2)) {
            divisor = d;
            break;
        }
    return kiln_reshape(g, x,
                        pick(2) ? KILN_SHAPE(divisor, count / divisor)
                                : KILN_SHAPE(count / divisor, 1, divisor));
}

static kiln_node slice(kiln_graph *g, kiln_node x)
{
    struct kiln_shape s = kiln_shape(g, x);
    int64_t start[KILN_MAX_DIMS], step[KILN_MAX_DIMS];
    for (int i = 0; i < s.n; i++) {
        start[i] = pick((int)s.d[i]);
        step[i] = pick(3) ? 1 : pick(2) ? -1 : 2;
        int64_t most = step[i] < 0 ? start[i] + 1 : (s.d[i] - start[i] - 1) / step[i] + 1;
        s.d[i] = most - pick(2) > 0 ? most - pick(2) : 1;
        s.d[i] = s.d[i] < 1 ? 1 : s.d[i];
    }
    return kiln_slice(g, x, start, s, step);
}

static kiln_node pad(kiln_graph *g, kiln_node x)
{
    int64_t before[KILN_MAX_DIMS] = {0}, after[KILN_MAX_DIMS] = {0};
    int n = kiln_shape(g, x).n, axis = n ? pick(n) : 0;
    before[axis] = pick(3);
    after[axis] = pick(3);
    before[n ? pick(n) : 0] += pick(2);
    return n ? kiln_pad(g, x, before, after, pick(2) ? 0 : 0.5) : x;
}

static kiln_node concat(kiln_graph *g, kiln_node a, kiln_node b)
{
    struct kiln_shape x = kiln_shape(g, a), y = kiln_shape(g, b);
    kiln_node parts[] = {a, kiln_shape_equal(&x, &y) ? b : pointwise(g, a), a};
    return x.n ? kiln_concat(g, 2 + pick(2), parts, pick(x.n)) : a;
}

static kiln_node matmul(kiln_graph *g, kiln_node a, kiln_node b)
{
    struct kiln_shape x = kiln_shape(g, a), y = kiln_shape(g, b);
    if (x.n != 2 || y.n != 2)
        return a;
    if (x.d[1] == y.d[0])
        return kiln_matmul(g, a, b, false, false);
    if (x.d[1] == y.d[1])
        return kiln_matmul(g, a, b, false, true);
    return kiln_matmul(g, a, a, true, false);
}

static kiln_node conv(kiln_graph *g, kiln_node x)
{
    struct kiln_shape s = kiln_shape(g, x);
    char name[32];
    snprintf(name, sizeof name, "conv%d", pick(1000000));
    if (s.n != 4 || s.d[2] < 2 || s.d[3] < 2)
        return x;
    return kiln_conv2d(g, name, x, 8 * (1 + pick(2)), 1 + 2 * pick(2), kiln_conv_params(1, 1, 1),
                       pick(2));
}

static kiln_node group_norm(kiln_graph *g, kiln_node x)
{
    struct kiln_shape s = kiln_shape(g, x);
    char name[32];
    snprintf(name, sizeof name, "norm%d", pick(1000000));
    if (s.n != 4 || s.d[1] % 4)
        return x;
    return kiln_silu(g, kiln_group_norm(g, name, x, pick(2) ? 4 : 2, 1e-3));
}

static kiln_node grow(kiln_graph *g, const kiln_node *nodes, int n)
{
    kiln_node a = nodes[n - 1 - pick(n < 5 ? n : 5)], b = nodes[pick(n)];
    switch (pick(14)) {
    case 0:
    case 1:
        return pointwise(g, a);
    case 2:
    case 3:
    case 4:
        return binary(g, a, b);
    case 5:
    case 6:
        return reduce(g, a);
    case 7:
        return permute(g, a);
    case 8:
        return reshape(g, a);
    case 9:
        return slice(g, a);
    case 10:
        return pick(2) ? pad(g, a) : concat(g, a, b);
    case 11:
        return matmul(g, a, b);
    case 12:
        return conv(g, a);
    default:
        return group_norm(g, a);
    }
}

/* A graph over three inputs, with its gradients and a training step. */
static kiln_graph *random_graph(void)
{
    kiln_graph *g = kiln_graph_create();
    kiln_node nodes[N_NODES] = {kiln_input(g, "x", KILN_F32, KILN_SHAPE(2, 8, 3, 4)),
                                kiln_input(g, "y", KILN_F32, KILN_SHAPE(2, 8, 3, 4)),
                                kiln_input(g, "z", KILN_F32, KILN_SHAPE(6, 5))};
    kiln_node inputs[3] = {nodes[0], nodes[1], nodes[2]}, gradients[64], states[64];
    int n = 3, n_states = 0;
    while (n < N_NODES) {
        kiln_node node = grow(g, nodes, n);
        struct kiln_shape shape = kiln_shape(g, node);
        if (kiln_shape_count(&shape) <= MAX_COUNT)
            nodes[n++] = node;
    }
    kiln_node loss = kiln_scalar(g, 0);
    for (int i = 3; i < n; i++)
        if (pick(3) == 0 || i == n - 1)
            loss = kiln_add(g, loss, kiln_mean_all(g, kiln_tanh(g, nodes[i])));
    char name[32];
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "node%d", i);
        kiln_graph_output(g, name, nodes[3 + pick(n - 3)]);
    }
    kiln_parameter(g, "one", KILN_SHAPE(5), (struct kiln_init){0});
    struct kiln_node_info info;
    kiln_node count = kiln_graph_count(g);
    for (kiln_node node = 1; node <= count; node++)
        if (kiln_graph_node(g, node, &info) && info.op == KILN_OP_STATE && n_states < 60)
            states[n_states++] = node;
    kiln_grad(g, loss, 3, inputs, gradients);
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "gradient%d", i);
        kiln_graph_output(g, name, gradients[i]);
    }
    kiln_grad(g, loss, n_states, states, gradients);
    kiln_node hyper = kiln_input(g, "hyper", KILN_F32, KILN_SHAPE(KILN_HYPER_WORDS));
    kiln_optimizer_update(g, n_states, states, gradients, hyper,
                          (struct kiln_update){KILN_OPTIMIZER_SGD, false});
    return g;
}

static void check(unsigned round, const kiln_graph *g, struct plan_run run)
{
    run.seed = round + 1;
    run.update = true;
    run.kind = (struct kiln_update){KILN_OPTIMIZER_SGD, false};
    run.tolerance = 1e-4;
    const char *why = plan_run(g, &run);
    if (why)
        fail_msg("graph %u, fuse %d, layout %s, parallelism %d, %d accesses: %s", round, run.fuse,
                 kiln_layout_name(run.feature_layout), run.parallelism, run.loop_accesses, why);
}

static void random_graphs_agree(void **unused)
{
    (void)unused;
    const char *only = getenv("KILN_TEST_GRAPH");
    const char *rounds = getenv("KILN_TEST_GRAPHS");
    unsigned n = rounds ? (unsigned)strtoul(rounds, NULL, 10) : 60;
    for (unsigned round = only ? (unsigned)strtoul(only, NULL, 10) : 0; round < n; round++) {
        seed = round * 7919u + 17;
        kiln_graph *g = random_graph();
        check(round, g, (struct plan_run){.reuse = true});
        check(round, g, (struct plan_run){.fuse = true, .reuse = true});
        check(round, g, (struct plan_run){.fuse = true, .parallelism = 32});
        check(round, g,
              (struct plan_run){
                  .fuse = true, .reuse = true, .loop_accesses = 6, .loop_instructions = 24});
        check(round, g,
              (struct plan_run){.fuse = true,
                                .reuse = true,
                                .blocked = true,
                                .feature_layout = KILN_LAYOUT_NCHW8C});
        check(round, g,
              (struct plan_run){.fuse = true,
                                .reuse = true,
                                .blocked = true,
                                .parallelism = 8,
                                .feature_layout = KILN_LAYOUT_NHWC});
        kiln_graph_destroy(&g);
        if (only)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_graphs_agree)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
