/* Conformance cases of random numbers, assigns and optimiser updates. */
#include "tests/lib/cases_internal.h"

static void build_random(kiln_graph *g, const struct kiln_case *one)
{
    kiln_node uniform = kiln_random(g, one->shape[0], (struct kiln_rng){KILN_RNG_UNIFORM, 3, 0});
    kiln_node normal = kiln_random(g, one->shape[0], (struct kiln_rng){KILN_RNG_NORMAL, 4, 0});
    struct kiln_rng below = {KILN_RNG_INTEGER, 5, 1000};
    kiln_node integer = kiln_random(g, one->shape[0], below);
    below.bound = UINT32_MAX / 3; /* results still fit i32 */
    kiln_graph_output(g, "uniform", uniform);
    kiln_graph_output(g, "normal", normal);
    kiln_graph_output(g, "integer", integer);
    kiln_graph_output(g, "large integer", kiln_random(g, one->shape[0], below));
    kiln_graph_output(g, "noisy",
                      kiln_add(g, kiln_mul_scalar(g, normal, 0.5), case_in(g, "x", one->shape[0])));
}

/* Counters and a running average; every read is of the value at the start. */
static void build_assign(kiln_graph *g, const struct kiln_case *one)
{
    struct kiln_state count = {.name = "count", .dtype = KILN_I32};
    struct kiln_state average = {.name = "average", .shape = one->shape[0]};
    struct kiln_state other = {.name = "other", .shape = one->shape[0]};
    kiln_node n = kiln_state(g, &count), a = kiln_state(g, &average), b = kiln_state(g, &other);
    kiln_node x = case_in(g, "x", one->shape[0]);
    kiln_assign(g, n,
                kiln_add(g, n, kiln_constant(g, KILN_I32, (struct kiln_shape){0}, &(int32_t){1})));
    kiln_assign(g, a, kiln_add(g, kiln_mul_scalar(g, a, 0.9), kiln_mul_scalar(g, x, 0.1)));
    kiln_assign(g, b, a); /* the old average */
    kiln_graph_output(g, "before", kiln_add(g, a, b));
    kiln_graph_output(g, "count", n);
}

/* Parameters of several shapes in one group, trained for some steps. */
static void build_update(kiln_graph *g, const struct kiln_case *one)
{
    kiln_node x = case_in(g, "x", KILN_SHAPE(6, 5));
    kiln_node h = kiln_tanh(g, kiln_linear(g, "fc1", x, 17, true));
    kiln_node y = kiln_linear(g, "fc2", h, 3, true);
    kiln_node loss =
        kiln_sum_all(g, kiln_square(g, kiln_sub(g, y, case_in(g, "x2", KILN_SHAPE(6, 3)))));
    kiln_node states[4], gradients[4], count = kiln_graph_count(g);
    struct kiln_node_info node;
    int n = 0;
    for (kiln_node id = 1; id <= count && n < 4; id++)
        if (kiln_graph_node(g, id, &node) && node.op == KILN_OP_STATE)
            states[n++] = id;
    double scale = one->v[2] ? (double)one->v[2] : 1;
    kiln_grad(g, kiln_mul_scalar(g, loss, scale), n, states, gradients);
    kiln_node hyper = kiln_input(g, "hyper", KILN_F32, KILN_SHAPE(KILN_HYPER_WORDS));
    kiln_graph_output(g, "norm",
                      kiln_optimizer_update(g, n, states, gradients, hyper, one->update));
    kiln_graph_output(g, "loss", loss);
}

void cases_effects(const struct case_sink *sink)
{
    const struct kiln_shape shapes[] = {KILN_SHAPE(1), KILN_SHAPE(5, 3), KILN_SHAPE(3, 1001),
                                        KILN_SHAPE(2, 3, 8, 8), KILN_SHAPE(130)};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct kiln_case one = {.class = KILN_CASE_CHAIN,
                                .k = 1,
                                .runs = 2,
                                .build = build_random,
                                .shape = {shapes[i]}};
        case_emit(sink, one, "effect: random %s", case_shape(shapes[i]));
    }
    struct kiln_case assign = {.class = KILN_CASE_CHAIN,
                               .k = 1,
                               .runs = 3,
                               .build = build_assign,
                               .shape = {KILN_SHAPE(7, 5)}};
    case_emit(sink, assign, "effect: assign");
    static const char *const kinds[KILN_OPTIMIZER_COUNT] = {"sgd", "adam", "adamw", "rmsprop"};
    for (int kind = 0; kind < KILN_OPTIMIZER_COUNT; kind++)
        for (int variant = 0; variant < 3; variant++) {
            /* plain; clipped and averaged; clamped with a loss scale */
            struct kiln_case one = {
                .class = KILN_CASE_CHAIN,
                .k = 8, /* later runs start from rounded parameters */
                .runs = 3,
                .build = build_update,
                .trains = true,
                .update = {(enum kiln_optimizer_kind)kind, variant == 1},
                .v = {variant == 1 ? 2 : 0, variant == 2 ? 70 : 0, variant == 2 ? 64 : 0},
            };
            case_emit(sink, one, "effect: %s%s", kinds[kind],
                      variant == 0   ? ""
                      : variant == 1 ? ", clipped and averaged"
                                     : ", clamped, loss scaled");
        }
}
