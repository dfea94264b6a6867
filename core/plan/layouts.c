/* Which nodes are stored in the feature layout, and how each convolution is
 * executed.
 *
 * Nodes whose elements correspond one to one in row-major order (pointwise
 * chains, reshapes) form a class with one layout. A convolution that can run
 * in the feature layout gives it to the classes of its feature maps; a class
 * that no convolution touches stays dense. */
#include "core/plan/planner.h"

static bool is_conv(const struct ir_node *node)
{
    return node->op == KILN_OP_CONV || node->op == KILN_OP_CONV_INPUT_GRAD ||
           node->op == KILN_OP_CONV_WEIGHT_GRAD;
}

/* The roles of a convolution's operands and result. */
struct conv_roles {
    int x, y, weight; /* nodes; the result's own is the node itself */
};

static struct conv_roles conv_roles(const struct ir_node *node, int self)
{
    const int *operands = node->operands;
    switch (node->op) {
    case KILN_OP_CONV:
        return (struct conv_roles){.x = operands[0], .weight = operands[1], .y = self};
    case KILN_OP_CONV_INPUT_GRAD:
        return (struct conv_roles){.y = operands[0], .weight = operands[1], .x = self};
    default:
        return (struct conv_roles){.x = operands[0], .y = operands[1], .weight = self};
    }
}

struct kiln_step plan_conv_sizes(enum kiln_op op, const struct kiln_conv *params,
                                 const struct kiln_shape *a, const struct kiln_shape *b,
                                 const struct kiln_shape *out)
{
    const struct kiln_shape *x = a, *weight = b, *y = out;
    enum kiln_step_kind kind = KILN_STEP_CONV;
    if (op == KILN_OP_CONV_INPUT_GRAD) {
        kind = KILN_STEP_CONV_INPUT_GRAD;
        y = a;
        x = out;
    } else if (op == KILN_OP_CONV_WEIGHT_GRAD) {
        kind = KILN_STEP_CONV_WEIGHT_GRAD;
        y = b;
        weight = out;
    }
    struct kiln_step step = {.kind = kind, .label = ""};
    step.as.conv = (struct kiln_step_conv){.n = x->d[0],
                                           .c = x->d[1],
                                           .h = x->d[2],
                                           .w = x->d[3],
                                           .o = y->d[1],
                                           .oh = y->d[2],
                                           .ow = y->d[3],
                                           .kh = weight->d[2],
                                           .kw = weight->d[3],
                                           .conv = *params};
    return step;
}

void plan_conv_layouts(const struct kiln_step_conv *conv, enum kiln_layout feature,
                       enum kiln_layout *x, enum kiln_layout *y)
{
    struct kiln_shape x_shape = KILN_SHAPE(conv->n, conv->c, conv->h, conv->w);
    struct kiln_shape y_shape = KILN_SHAPE(conv->n, conv->o, conv->oh, conv->ow);
    *x = kiln_layout_fits(feature, &x_shape) ? feature : KILN_LAYOUT_DENSE;
    *y = kiln_layout_fits(feature, &y_shape) ? feature : KILN_LAYOUT_DENSE;
}

struct kiln_step plan_conv_step(const struct planner *p, const struct ir_node *node)
{
    const struct kiln_shape *a = &ir_at(p, node->operands[0])->shape,
                            *b = &ir_at(p, node->operands[1])->shape;
    struct kiln_step step =
        plan_conv_sizes((enum kiln_op)node->op, &node->params.conv, a, b, &node->shape);
    step.node = node->origin;
    step.label = node->label;
    return step;
}

/* Fills node->conv from the backend's candidates for these feature layouts. */
static bool ask(struct planner *p, struct ir_node *node, enum kiln_layout x, enum kiln_layout y)
{
    const struct kiln_plan_options *options = p->options;
    struct kiln_candidate candidates[KILN_MAX_CANDIDATES] = {{0}};
    struct kiln_step step = plan_conv_step(p, node);
    step.as.conv.x_layout = x;
    step.as.conv.y_layout = y;
    bool dense = x == KILN_LAYOUT_DENSE && y == KILN_LAYOUT_DENSE;
    int n = options->candidates ? options->candidates(options->user, &step, candidates) : 0,
        chosen = 0;
    if (n < 1 && !dense)
        return false;
    if (n > 1 && options->choose)
        chosen = options->choose(options->user, &step, n, candidates);
    const struct kiln_candidate *best = &candidates[chosen > 0 && chosen < n ? chosen : 0];
    node->conv = (struct ir_conv){.x = x,
                                  .y = y,
                                  .weight = best->weight_layout,
                                  .algorithm = best->algorithm,
                                  .scratch_bytes = best->scratch_bytes};
    return true;
}

static void decide(struct planner *p, struct ir_node *node)
{
    enum kiln_layout feature = p->options->fuse ? p->options->feature_layout : KILN_LAYOUT_DENSE, x,
                     y;
    struct kiln_step step = plan_conv_step(p, node);
    plan_conv_layouts(&step.as.conv, feature, &x, &y);
    if (!ask(p, node, x, y) && (x != KILN_LAYOUT_DENSE || y != KILN_LAYOUT_DENSE))
        ask(p, node, KILN_LAYOUT_DENSE, KILN_LAYOUT_DENSE);
}

/* --- classes: union and find over nodes ----------------------------------------- */

static int find(int *parent, int node)
{
    while (parent[node] != node) {
        parent[node] = parent[parent[node]];
        node = parent[node];
    }
    return node;
}

static void join(int *parent, int a, int b)
{
    a = find(parent, a);
    b = find(parent, b);
    parent[a > b ? a : b] = a > b ? b : a;
}

static int *find_classes(struct planner *p)
{
    int *parent = PLAN_SCRATCH(p, int, p->ir.n);
    for (int i = 0; i < p->ir.n; i++) {
        parent[i] = i;
        const struct ir_node *node = ir_at(p, i);
        bool linked = ir_is_pointwise(node) || node->op == KILN_OP_RESHAPE;
        for (int k = 0; k < node->n_operands && linked; k++)
            join(parent, i, node->operands[k]);
    }
    return parent;
}

static void vote(struct planner *p, const struct flat **layout, int *parent, int node,
                 enum kiln_layout choice)
{
    int class = find(parent, node);
    if (choice == KILN_LAYOUT_DENSE || layout[class])
        return;
    struct flat *flat = PLAN_SCRATCH(p, struct flat, 1);
    *flat = flat_of_layout(choice, &ir_at(p, node)->shape);
    layout[class] = flat;
}

void plan_layouts(struct planner *p)
{
    int *parent = find_classes(p);
    const struct flat **layout = PLAN_SCRATCH(p, const struct flat *, p->ir.n);
    p->class_layout = PLAN_SCRATCH(p, const struct flat *, p->ir.n);
    for (int i = 0; i < p->ir.n; i++) {
        struct ir_node *node = ir_at(p, i);
        if (!is_conv(node))
            continue;
        decide(p, node);
        struct conv_roles roles = conv_roles(node, i);
        vote(p, layout, parent, roles.x, node->conv.x);
        vote(p, layout, parent, roles.y, node->conv.y);
    }
    for (int i = 0; i < p->ir.n; i++)
        p->class_layout[i] = layout[find(parent, i)];
}
