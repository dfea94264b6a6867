/* Conformance cases of reductions, softmax, norms and other blocks. */
#include "tests/lib/cases_internal.h"

/* --- single reductions ------------------------------------------------------------------- */

static void build_reduce(kiln_graph *g, const struct kiln_case *one)
{
    kiln_node x = case_in(g, one->v[1] ? "l" : "x", one->shape[0]);
    uint32_t axes = (uint32_t)one->v[0];
    kiln_graph_output(g, "y",
                      one->op == KILN_OP_REDUCE_SUM ? kiln_reduce_sum(g, x, axes)
                                                    : kiln_reduce_max(g, x, axes));
}

static void emit_reduce(const struct case_sink *sink, struct kiln_shape shape, int64_t axes,
                        int64_t large)
{
    static const enum kiln_op ops[] = {KILN_OP_REDUCE_SUM, KILN_OP_REDUCE_MAX};
    for (int i = 0; i < 2; i++) {
        struct kiln_case one = {
            .class = i ? KILN_CASE_EXACT : KILN_CASE_CHAIN,
            .k = 1,
            .build = build_reduce,
            .op = ops[i],
            .shape = {shape},
            .v = {axes, large},
        };
        case_emit(sink, one, "reduction: %s of %s%s axes 0x%x", kiln_op_name(ops[i]),
                  large ? "large " : "", case_shape(shape), (unsigned)axes);
    }
}

/* Reductions of several kinds in one graph, by and across the kept axes. */
static void build_mixed(kiln_graph *g, const struct kiln_case *one)
{
    kiln_node x = case_in(g, "x", one->shape[0]);
    kiln_node rows = kiln_reduce_sum(g, kiln_square(g, x), 2);
    kiln_node columns = kiln_reduce_sum(g, kiln_mul(g, x, rows), 1);
    kiln_graph_output(g, "rows", rows);
    kiln_graph_output(g, "columns", columns);
    kiln_graph_output(g, "all", kiln_sum_all(g, kiln_mul(g, kiln_add(g, x, columns), rows)));
    kiln_graph_output(g, "largest", kiln_reduce_max(g, kiln_sub(g, x, columns), 3));
    kiln_graph_output(g, "turned", kiln_reduce_sum(g, kiln_permute(g, x, (int[]){1, 0}), 2));
}

void cases_reductions(const struct case_sink *sink)
{
    const struct kiln_shape every[] = {KILN_SHAPE(7), KILN_SHAPE(5, 9), KILN_SHAPE(3, 4, 5),
                                       KILN_SHAPE(2, 16, 3, 5)};
    for (size_t i = 0; i < sizeof every / sizeof *every; i++)
        for (int64_t axes = 1; axes < 1 << every[i].n; axes++)
            emit_reduce(sink, every[i], axes, 0);
    emit_reduce(sink, KILN_SHAPE(1), 1, 0);
    emit_reduce(sink, KILN_SHAPE(70001), 1, 0);
    emit_reduce(sink, KILN_SHAPE(1, 4099), 2, 0);
    emit_reduce(sink, KILN_SHAPE(4099, 1), 1, 0);
    emit_reduce(sink, KILN_SHAPE(129, 257), 1, 0);
    emit_reduce(sink, KILN_SHAPE(129, 257), 2, 0);
    emit_reduce(sink, KILN_SHAPE(129, 257), 3, 1);
    emit_reduce(sink, KILN_SHAPE(2, 1, 3, 2, 3, 5), 0x2a, 0);
    struct kiln_case mixed = {.class = KILN_CASE_CHAIN, .k = 1, .build = build_mixed};
    mixed.shape[0] = KILN_SHAPE(17, 33);
    case_emit(sink, mixed, "reduction: by and across axes");
    mixed.shape[0] = KILN_SHAPE(300, 5);
    case_emit(sink, mixed, "reduction: by and across axes, tall");
}

/* --- blocks ------------------------------------------------------------------------------ */

enum block {
    SOFTMAX,
    LOG_SOFTMAX,
    GROUP_NORM,
    GROUP_NORM_SILU,
    LAYER_NORM,
    INSTANCE_NORM,
    BATCH_NORM,
    BATCH_NORM_EVAL,
    LINEAR_RELU,
    EMBEDDING,
    CROSS_ENTROPY,
    MEAN_SQUARE,
    TIME_EMBEDDING,
    DROPOUT,
    BLOCKS
};

static const char *const block_names[BLOCKS] = {
    "softmax",         "log softmax",   "group norm",    "group norm and silu",
    "layer norm",      "instance norm", "batch norm",    "batch norm in eval",
    "linear and relu", "embedding",     "cross entropy", "mean square",
    "time embedding",  "dropout"};

static kiln_node cross_entropy(kiln_graph *g, kiln_node x)
{
    int64_t n = kiln_shape(g, x).d[0], classes = kiln_shape(g, x).d[1];
    kiln_node label = kiln_input(g, "label3", KILN_I32, KILN_SHAPE(n));
    kiln_node picked = kiln_mul(g, kiln_one_hot(g, label, classes), kiln_log_softmax(g, x, 1));
    return kiln_neg(g, kiln_mean_all(g, kiln_sum_per_sample(g, picked)));
}

static kiln_node build_block_of(kiln_graph *g, enum block block, kiln_node x)
{
    int last = kiln_shape(g, x).n - 1;
    switch (block) {
    case SOFTMAX:
        return kiln_softmax(g, x, last);
    case LOG_SOFTMAX:
        return kiln_log_softmax(g, x, last);
    case GROUP_NORM:
        return kiln_group_norm(g, "norm", x, 2, 1e-5);
    case GROUP_NORM_SILU:
        return kiln_silu(g, kiln_group_norm(g, "norm", x, 4, 1e-6));
    case LAYER_NORM:
        return kiln_layer_norm(g, "norm", x, 1e-5);
    case INSTANCE_NORM:
        return kiln_instance_norm(g, x, 1e-5);
    case BATCH_NORM:
        return kiln_batch_norm(g, "norm", x, 1e-5, 0.1, true);
    case BATCH_NORM_EVAL:
        return kiln_batch_norm(g, "norm", x, 1e-5, 0.1, false);
    case LINEAR_RELU:
        return kiln_relu(g, kiln_linear(g, "fc", x, 19, true));
    case EMBEDDING:
        return kiln_mul(
            g, x,
            kiln_embedding(g, "table",
                           kiln_input(g, "label9", KILN_I32, KILN_SHAPE(kiln_shape(g, x).d[0])), 9,
                           kiln_shape(g, x).d[1]));
    case CROSS_ENTROPY:
        return cross_entropy(g, x);
    case MEAN_SQUARE:
        return kiln_mean_all(g, kiln_square(g, kiln_sub(g, x, case_in(g, "x2", kiln_shape(g, x)))));
    case TIME_EMBEDDING:
        return kiln_linear(
            g, "time", kiln_timestep_embedding(g, kiln_sum_per_sample(g, x), 32, true, 0, 10000),
            16, true);
    default: /* DROPOUT */
        return kiln_dropout(g, x, 0.3, 4);
    }
}

static void build_block(kiln_graph *g, const struct kiln_case *one)
{
    case_output_with_gradients(
        g, build_block_of(g, (enum block)one->v[0], case_in(g, "x", one->shape[0])));
}

static void emit_block(const struct case_sink *sink, enum block block, struct kiln_shape shape)
{
    struct kiln_case one = {
        .class = KILN_CASE_CHAIN, .k = 1, .build = build_block, .shape = {shape}, .v = {block}};
    one.runs = block == BATCH_NORM ? 2 : 1;
    case_emit(sink, one, "block: %s of %s", block_names[block], case_shape(shape));
}

void cases_blocks(const struct case_sink *sink)
{
    static const enum block maps[] = {SOFTMAX,       GROUP_NORM, GROUP_NORM_SILU, LAYER_NORM,
                                      INSTANCE_NORM, BATCH_NORM, BATCH_NORM_EVAL, DROPOUT};
    const struct kiln_shape map_shapes[] = {KILN_SHAPE(2, 4, 3, 5), KILN_SHAPE(3, 16, 7, 7),
                                            KILN_SHAPE(1, 32, 4, 4), KILN_SHAPE(2, 12, 9, 8)};
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++)
        for (int s = 0; s < 4; s++)
            emit_block(sink, maps[i], map_shapes[s]);
    const struct kiln_shape rows[] = {KILN_SHAPE(1, 3), KILN_SHAPE(17, 33), KILN_SHAPE(64, 130)};
    static const enum block row_blocks[] = {SOFTMAX,   LOG_SOFTMAX,   LAYER_NORM,  LINEAR_RELU,
                                            EMBEDDING, CROSS_ENTROPY, MEAN_SQUARE, TIME_EMBEDDING};
    for (size_t i = 0; i < sizeof row_blocks / sizeof *row_blocks; i++)
        for (int s = 0; s < 3; s++)
            emit_block(sink, row_blocks[i], rows[s]);
    emit_block(sink, BATCH_NORM, KILN_SHAPE(33, 10));
    emit_block(sink, BATCH_NORM, KILN_SHAPE(2, 16, 91, 92)); /* sums in parts, channels in blocks */
}
