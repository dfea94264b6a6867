/* Expansion of composed ops: reductions in two stages, the optimiser update
 * with its gradient norm. */
#include <string.h>

#include "core/plan/planner.h"

/* Reductions of fewer elements are never split; a part keeps at least so many.
 * Nor is one with nearly enough kept indices: a second stage costs a step. */
enum { SPLIT_ELEMENTS = 2048, PART_ELEMENTS = 256 };

/* --- reductions -------------------------------------------------------------- */

/* A shape with runs of kept and of reduced axes merged. */
struct runs {
    struct kiln_shape shape;
    bool reduced[KILN_MAX_DIMS];
};

static struct runs merge_axes(const struct kiln_shape *shape, uint32_t axes)
{
    struct runs runs = {.shape = {0}};
    for (int i = 0; i < shape->n; i++) {
        bool reduced = axes >> i & 1;
        if (shape->d[i] == 1)
            continue;
        if (runs.shape.n && runs.reduced[runs.shape.n - 1] == reduced) {
            runs.shape.d[runs.shape.n - 1] *= shape->d[i];
        } else {
            runs.reduced[runs.shape.n] = reduced;
            runs.shape.d[runs.shape.n++] = shape->d[i];
        }
    }
    return runs;
}

/* The smallest divisor of n that is >= want, but <= limit; else the largest
 * below; 1 if there is none. */
static int64_t pick_divisor(int64_t n, int64_t want, int64_t limit)
{
    int64_t best = 1;
    for (int64_t d = 2; d <= n && d <= limit; d++) {
        if (n % d)
            continue;
        best = d;
        if (d >= want)
            break;
    }
    return best;
}

/* Inserts an axis in front of axis i that takes parts values of it. */
static void split_axis(struct runs *runs, int i, int64_t parts)
{
    memmove(&runs->shape.d[i + 1], &runs->shape.d[i],
            (size_t)(runs->shape.n - i) * sizeof *runs->shape.d);
    memmove(&runs->reduced[i + 1], &runs->reduced[i],
            (size_t)(runs->shape.n - i) * sizeof *runs->reduced);
    runs->shape.n++;
    runs->shape.d[i] = parts;
    runs->shape.d[i + 1] /= parts;
}

/* One stage: reduces the axes of the mask. */
static int add_stage(struct planner *p, const struct ir_node *node, int operand, uint32_t axes)
{
    struct kiln_shape shape = ir_at(p, operand)->shape;
    for (int i = 0; i < shape.n; i++)
        if (axes >> i & 1)
            shape.d[i] = 1;
    struct ir_node stage = ir_make(node->op, node->dtype, shape, node);
    stage.params.axes = axes;
    return ir_add(p, &stage, 1, &operand);
}

static int add_reshape(struct planner *p, const struct ir_node *node, int operand,
                       struct kiln_shape shape)
{
    struct ir_node view = ir_make(KILN_OP_RESHAPE, ir_at(p, operand)->dtype, shape, node);
    return ir_add(p, &view, 1, &operand);
}

/* A plain full reduction of a constant. */
static int reduce_fill(struct planner *p, const struct ir_node *node, const struct ir_node *x)
{
    struct ir_node fill = ir_make(KILN_OP_CONST, KILN_F32, node->shape, node);
    double repeats = (double)(x->count / kiln_shape_count(&node->shape));
    fill.params.constant.value =
        x->params.constant.value * (node->op == KILN_OP_REDUCE_SUM ? repeats : 1);
    return ir_add(p, &fill, 0, NULL);
}

/* Kept indices as the device sees them. Channels of a blocked layout are lanes of
 * a vector, a block one unit: where a unit has much to add up, as in a batch norm,
 * its block counts as one index. */
static int64_t kept_units(const struct planner *p, const struct ir_node *x,
                          const struct ir_node *node)
{
    enum { MUCH = 1 << 14, BATCH_AND_PIXELS = 1 | 1 << 2 | 1 << 3 };
    int64_t kept = kiln_shape_count(&node->shape), block = plan_block(p);
    bool lanes = x->shape.n == 4 && node->params.axes == BATCH_AND_PIXELS &&
                 x->shape.d[1] % block == 0 && x->count / kept > MUCH;
    return lanes ? kept / block : kept;
}

int plan_expand_reduce(struct planner *p, const struct ir_node *node, int operand)
{
    const struct ir_node *x = ir_at(p, operand);
    int64_t kept = kiln_shape_count(&node->shape), reduced = x->count / kept;
    if (!p->options->fuse)
        return ir_add(p, node, 1, &operand);
    if (ir_is_fill(x))
        return reduce_fill(p, node, x);
    int linear = plan_linear_sum(p, node, operand);
    if (linear >= 0)
        return linear;
    int64_t units = kept_units(p, x, node);
    int64_t want = (p->options->caps->parallelism + units - 1) / units;
    struct runs runs = merge_axes(&x->shape, node->params.axes);
    if (want < 3 || reduced < SPLIT_ELEMENTS || runs.shape.n == KILN_MAX_DIMS)
        return ir_add(p, node, 1, &operand);
    int axis = runs.reduced[0] ? 0 : 1;
    int64_t limit = reduced / PART_ELEMENTS < want * 8 ? reduced / PART_ELEMENTS : want * 8;
    int64_t parts = pick_divisor(runs.shape.d[axis], want, limit);
    if (parts < 2)
        return ir_add(p, node, 1, &operand);
    split_axis(&runs, axis, parts);
    uint32_t first = 0;
    for (int i = 0; i < runs.shape.n; i++)
        first |= (uint32_t)(runs.reduced[i] && i != axis) << i;
    int partial = add_reshape(p, node, operand, runs.shape);
    partial = add_stage(p, node, partial, first);
    partial = add_stage(p, node, partial, 1u << axis);
    return add_reshape(p, node, partial, node->shape);
}

/* --- the optimiser update ---------------------------------------------------------- */

static int add_binary(struct planner *p, int op, const struct ir_node *like, int a, int b)
{
    struct ir_node node = ir_make(op, KILN_F32, ir_at(p, a)->shape, like);
    return ir_add(p, &node, 2, (int[]){a, b});
}

static int add_const(struct planner *p, const struct ir_node *like, int64_t count, double value)
{
    struct ir_node node = ir_make(KILN_OP_CONST, KILN_F32, KILN_SHAPE(count), like);
    node.params.constant.value = value;
    return ir_add(p, &node, 0, NULL);
}

static void add_placed(struct planner *p, struct ir_node *join, int *operands, int operand,
                       struct flat flat)
{
    (void)p;
    join->parts[join->n_operands] = (struct ir_part){.placed = true, .flat = flat};
    operands[join->n_operands++] = operand;
}

static void add_gap(struct planner *p, struct ir_node *join, int *operands, int64_t first,
                    int64_t end)
{
    if (end <= first)
        return;
    struct flat flat = flat_dense(end - first);
    flat.offset = first;
    add_placed(p, join, operands, add_const(p, join, end - first, 0), flat);
}

/* The group's gradients in one arena like that of its parameters; what no
 * gradient writes is zero. */
static int add_gradient_arena(struct planner *p, const struct ir_node *node, int n,
                              const int *operands)
{
    const kiln_states *states = p->options->states;
    int group = kiln_states_at(states, ir_at(p, operands[0])->state)->group;
    const struct kiln_state_group *arena = kiln_states_group_at(states, group);
    if (!arena)
        plan_fail(p, KILN_INPUT, "update: state %s belongs to no group",
                  kiln_states_at(states, ir_at(p, operands[0])->state)->state.name);
    int n_states = kiln_states_count(states);
    int *gradient = PLAN_SCRATCH(p, int, n_states);
    for (int i = 0; i < n_states; i++)
        gradient[i] = -1;
    for (int i = 0; i < n; i++) {
        const struct kiln_state_slot *slot = kiln_states_at(states, ir_at(p, operands[i])->state);
        if (slot->group != group)
            plan_fail(p, KILN_INPUT, "update: state %s is not in the group \"%s\"",
                      slot->state.name, arena->prefix);
        gradient[ir_at(p, operands[i])->state] = operands[n + i];
    }
    int64_t count = arena->bytes / (int64_t)sizeof(float), end = 0;
    struct ir_node join = plan_make_join(p, node, KILN_SHAPE(count), 2 * n_states + 1);
    int *parts = PLAN_SCRATCH(p, int, 2 * n_states + 1);
    for (int i = 0; i < n_states; i++) { /* slots of a group ascend */
        const struct kiln_state_slot *slot = kiln_states_at(states, i);
        if (slot->group != group || gradient[i] < 0)
            continue;
        int64_t first = slot->offset / (int64_t)sizeof(float);
        add_gap(p, &join, parts, end, first);
        struct flat flat = flat_of_layout(slot->layout, &slot->state.shape);
        flat.offset = first;
        add_placed(p, &join, parts, gradient[i], flat);
        end = first + kiln_shape_count(&slot->state.shape);
    }
    add_gap(p, &join, parts, end, count);
    return ir_append(p, &join, join.n_operands, parts);
}

int plan_expand_update(struct planner *p, const struct ir_node *node, int n, const int *operands)
{
    int n_states = (n - 1) / 2, hyper = operands[n - 1];
    int arena = add_gradient_arena(p, node, n_states, operands);
    int square = add_binary(p, KILN_OP_MUL, node, arena, arena);
    struct ir_node sum = ir_make(KILN_OP_REDUCE_SUM, KILN_F32, KILN_SHAPE(1), node);
    sum.params.axes = 1;
    struct ir_node root = ir_make(KILN_OP_SQRT, KILN_F32, KILN_SHAPE(1), node);
    struct ir_node scale = ir_make(KILN_OP_SLICE, KILN_F32, KILN_SHAPE(1), node);
    scale.params.slice.start[0] = KILN_HYPER_LOSS_SCALE;
    scale.params.slice.step[0] = 1;
    int norm = ir_add(p, &root, 1, (int[]){plan_expand_reduce(p, &sum, square)});
    norm = add_binary(p, KILN_OP_DIV, node, norm, ir_add(p, &scale, 1, &hyper));
    /* inf - inf and nan - nan are not 0 */
    int done = add_binary(p, KILN_OP_SUB, node, norm, norm);
    done = add_binary(p, KILN_OP_EQUAL, node, done, add_const(p, node, 1, 0));
    struct ir_node value = plan_make_join(p, node, KILN_SHAPE(2), 2);
    value.parts[1].start[0] = 1;
    int pair = ir_append(p, &value, 2, (int[]){norm, done});
    struct ir_node update = ir_make(KILN_OP_UPDATE, KILN_F32, KILN_SHAPE(2), node);
    update.params = node->params;
    update.group = kiln_states_at(p->options->states, ir_at(p, operands[0])->state)->group;
    ir_append(p, &update, 3, (int[]){arena, hyper, pair});
    return pair;
}
