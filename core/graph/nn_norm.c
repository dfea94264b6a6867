/* Normalisation: group, layer, instance and batch norm. */
#include "core/graph/internal.h"

#include "core/api/nn.h"

/* The f32 state "module.part". */
static kiln_node part(kiln_graph *g, const char *module, const char *name, struct kiln_shape shape,
                      bool trainable, float value)
{
    char *full = kiln_arena_printf(g->arena, "%s.%s", module, name);
    if (!full)
        return kiln_graph_no_memory(g);
    return kiln_state(g, &(struct kiln_state){.name = full,
                                              .shape = shape,
                                              .trainable = trainable,
                                              .init = {KILN_INIT_CONSTANT, value, value}});
}

/* True if the operand has at least rank axes; else the graph fails. */
static bool has_rank(kiln_graph *g, kiln_node x, int rank, const char *what)
{
    if (!g->status && kiln_shape(g, x).n < rank)
        kiln_graph_fail(g, "%s: needs at least %d axes", what, rank);
    return !g->status;
}

static kiln_node inverse_root(kiln_graph *g, kiln_node variance, double epsilon)
{
    return kiln_div(g, kiln_scalar(g, 1), kiln_sqrt(g, kiln_add_scalar(g, variance, epsilon)));
}

/* (x - mean) / sqrt(variance + epsilon) over the axes; *mean and *variance
 * (biased) may be NULL. */
static kiln_node standardise(kiln_graph *g, kiln_node x, uint32_t axes, double epsilon,
                             kiln_node *mean, kiln_node *variance)
{
    kiln_node m = kiln_mean(g, x, axes);
    kiln_node centred = kiln_sub(g, x, m);
    kiln_node v = kiln_mean(g, kiln_square(g, centred), axes);
    if (mean)
        *mean = m;
    if (variance)
        *variance = v;
    return kiln_mul(g, centred, inverse_root(g, v, epsilon));
}

/* [1, c, 1, ...] of x's rank. */
static struct kiln_shape channel_shape(const kiln_graph *g, kiln_node x)
{
    struct kiln_shape shape = kiln_shape(g, x);
    for (int axis = 0; axis < shape.n; axis++)
        shape.d[axis] = axis == 1 ? shape.d[axis] : 1;
    return shape;
}

/* weight x + bias by channel (axis 1). */
static kiln_node channel_affine(kiln_graph *g, const char *name, kiln_node x)
{
    struct kiln_shape row = channel_shape(g, x), flat = KILN_SHAPE(row.d[1]);
    kiln_node weight = part(g, name, "weight", flat, true, 1);
    kiln_node bias = part(g, name, "bias", flat, true, 0);
    return kiln_add(g, kiln_mul(g, x, kiln_reshape(g, weight, row)), kiln_reshape(g, bias, row));
}

kiln_node kiln_group_norm(kiln_graph *g, const char *name, kiln_node x, int groups, double epsilon)
{
    const char *outer = kiln_graph_enter(g, name);
    struct kiln_shape shape = kiln_shape(g, x), split = {0};
    kiln_node y = 0;
    if (has_rank(g, x, 2, "group norm") &&
        (groups < 1 || shape.d[1] % groups || shape.n == KILN_MAX_DIMS))
        kiln_graph_fail(g, "group norm: %lld channels in %d groups", (long long)shape.d[1], groups);
    if (!g->status) {
        split.n = shape.n + 1;
        split.d[0] = shape.d[0];
        split.d[1] = groups;
        split.d[2] = shape.d[1] / groups;
        for (int axis = 2; axis < shape.n; axis++)
            split.d[axis + 1] = shape.d[axis];
        uint32_t axes = (1u << split.n) - 1 - 3; /* all but sample and group */
        y = standardise(g, kiln_reshape(g, x, split), axes, epsilon, NULL, NULL);
        y = channel_affine(g, name, kiln_reshape(g, y, shape));
    }
    kiln_graph_swap_label(g, outer);
    return y;
}

kiln_node kiln_layer_norm(kiln_graph *g, const char *name, kiln_node x, double epsilon)
{
    const char *outer = kiln_graph_enter(g, name);
    kiln_node y = 0;
    if (has_rank(g, x, 1, "layer norm")) {
        struct kiln_shape shape = kiln_shape(g, x), width = KILN_SHAPE(shape.d[shape.n - 1]);
        kiln_node weight = part(g, name, "weight", width, true, 1);
        kiln_node bias = part(g, name, "bias", width, true, 0);
        y = standardise(g, x, 1u << (shape.n - 1), epsilon, NULL, NULL);
        y = kiln_add(g, kiln_mul(g, y, weight), bias);
    }
    kiln_graph_swap_label(g, outer);
    return y;
}

kiln_node kiln_instance_norm(kiln_graph *g, kiln_node x, double epsilon)
{
    if (!has_rank(g, x, 3, "instance norm"))
        return 0;
    uint32_t axes = (1u << kiln_shape(g, x).n) - 1 - 3;
    return standardise(g, x, axes, epsilon, NULL, NULL);
}

/* --- batch norm -------------------------------------------------------------- */

/* running = (1 - momentum) running + momentum value */
static void blend(kiln_graph *g, kiln_node state, kiln_node value, double momentum)
{
    kiln_node old = kiln_graph_current(g, state);
    kiln_node flat = kiln_reshape(g, kiln_stop_gradient(g, value), kiln_shape(g, state));
    kiln_graph_reassign(
        g, state,
        kiln_add(g, kiln_mul_scalar(g, old, 1 - momentum), kiln_mul_scalar(g, flat, momentum)));
}

static void count_batch(kiln_graph *g, const char *name)
{
    char *full = kiln_arena_printf(g->arena, "%s.num_batches_tracked", name);
    if (!full) {
        kiln_graph_no_memory(g);
        return;
    }
    kiln_node count = kiln_state(g, &(struct kiln_state){.name = full, .dtype = KILN_I32});
    kiln_node one = kiln_constant(g, KILN_I32, (struct kiln_shape){0}, &(int32_t){1});
    kiln_graph_reassign(g, count, kiln_add(g, kiln_graph_current(g, count), one));
}

static kiln_node train_batch_norm(kiln_graph *g, const char *name, kiln_node x, double epsilon,
                                  double momentum, kiln_node running_mean, kiln_node running_var)
{
    struct kiln_shape shape = kiln_shape(g, x);
    uint32_t axes = (1u << shape.n) - 1 - 2; /* all but the channel */
    double count = (double)kiln_shape_count(&shape) / (double)shape.d[1];
    if (count < 2) {
        kiln_graph_fail(g, "batch norm: needs more than one value a channel to train");
        return 0;
    }
    kiln_node mean, variance;
    kiln_node y = standardise(g, x, axes, epsilon, &mean, &variance);
    blend(g, running_mean, mean, momentum);
    blend(g, running_var, kiln_mul_scalar(g, variance, count / (count - 1)), momentum);
    count_batch(g, name);
    return y;
}

kiln_node kiln_batch_norm(kiln_graph *g, const char *name, kiln_node x, double epsilon,
                          double momentum, bool training)
{
    const char *outer = kiln_graph_enter(g, name);
    kiln_node y = 0;
    if (has_rank(g, x, 2, "batch norm")) {
        struct kiln_shape row = channel_shape(g, x), flat = KILN_SHAPE(row.d[1]);
        kiln_node mean = part(g, name, "running_mean", flat, false, 0);
        kiln_node variance = part(g, name, "running_var", flat, false, 1);
        if (training) {
            y = train_batch_norm(g, name, x, epsilon, momentum, mean, variance);
        } else {
            mean = kiln_reshape(g, kiln_graph_current(g, mean), row);
            variance = kiln_reshape(g, kiln_graph_current(g, variance), row);
            y = kiln_mul(g, kiln_sub(g, x, mean), inverse_root(g, variance, epsilon));
        }
        y = channel_affine(g, name, y);
    }
    kiln_graph_swap_label(g, outer);
    return y;
}
