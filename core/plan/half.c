/*
 * Half storage: what the forward part of a graph makes and reads again much
 * later, for a gradient or over a skip connection, is kept in f16.
 *
 * Results of convolutions, products and the like, and sums of several of them,
 * get a copy in f16 when they are made; late readers read that, converted back.
 * What is cheap to compute of one of them (pointwise chains, views) is not kept
 * at all but made again of the copy.
 * Arithmetic stays in f32, and so do gradients, whose small values f16 would
 * lose; so training needs no scaling of its loss.
 *
 * Late is measured in nodes of the graph, whose order is that of execution.
 */
#include "core/plan/half.h"

static const double largest_half = 65504;

enum {
    LATE = 256,          /* nodes between two uses */
    LEAST_COUNT = 16384, /* elements; less is not worth a copy */
    LEAST_RANK = 3       /* feature maps and sequences */
};

struct half_node {
    bool wide;      /* of the forward part, f32, worth a copy */
    bool kept;      /* gets a copy if some use is late; else it is made again */
    kiln_node root; /* the kept node that it can be made again of, 0 if none is needed */
    kiln_node used; /* made or last used there */
    int copy;       /* IR node in f16, if kept and late */
    bool late;      /* some use is late */
};

struct half {
    struct planner *p;
    int *ids; /* IR node of each graph node */
    struct half_node *nodes;
    kiln_node *stack;
    int capacity;
    bool dry; /* find the late uses only */
};

static bool is_big(enum kiln_op op)
{
    switch (op) {
    case KILN_OP_PAD:
    case KILN_OP_CONCAT:
    case KILN_OP_MATMUL:
    case KILN_OP_CONV:
    case KILN_OP_CONV_INPUT_GRAD:
    case KILN_OP_WINDOW_GATHER:
    case KILN_OP_RESAMPLE:
        return true;
    default:
        return false;
    }
}

static bool is_cheap(enum kiln_op op)
{
    return kiln_op_is_pointwise(op) ||
           (kiln_op_class(op) == KILN_OP_CLASS_VIEW && op != KILN_OP_OUTPUT);
}

static bool is_wide(const struct kiln_node_info *info)
{
    return info->dtype == KILN_F32 && info->shape.n >= LEAST_RANK &&
           kiln_shape_count(&info->shape) >= LEAST_COUNT &&
           (is_big(info->op) || is_cheap(info->op));
}

/* What a forward node is to half storage; its operands are known. */
static void classify(struct half *h, kiln_node id)
{
    struct half_node *node = &h->nodes[id];
    struct kiln_node_info info;
    kiln_graph_node(h->p->graph, id, &info);
    node->wide = is_wide(&info);
    node->kept = node->wide && is_big(info.op);
    for (int i = 0; i < info.n_operands && node->wide && !node->kept; i++) {
        kiln_node root = h->nodes[info.operands[i]].root;
        node->kept = root && node->root && root != node->root;
        node->root = root ? root : node->root;
    }
    if (node->kept)
        node->root = id;
}

/* True if the node's value is to be renewed before it is used at at. */
static bool is_late(const struct half *h, kiln_node id, kiln_node at)
{
    return h->nodes[id].wide && at - h->nodes[id].used > LATE;
}

static void read_copy(struct half *h, kiln_node id)
{
    const struct ir_node *copy = ir_at(h->p, h->nodes[id].copy);
    struct ir_node cast = ir_make(KILN_OP_CAST, KILN_F32, copy->shape, copy);
    cast.params.cast = KILN_F32;
    h->ids[id] = ir_append(h->p, &cast, 1, &h->nodes[id].copy);
}

/* An operand that is to be renewed first, or 0. */
static kiln_node late_operand(const struct half *h, kiln_node id, kiln_node at)
{
    struct kiln_node_info info;
    kiln_graph_node(h->p->graph, id, &info);
    for (int i = 0; i < info.n_operands; i++)
        if (is_late(h, info.operands[i], at))
            return info.operands[i];
    return 0;
}

static void push(struct half *h, int n, kiln_node id)
{
    plan_grow(h->p, &h->stack, &h->capacity, n, sizeof *h->stack);
    h->stack[n] = id;
}

/* Renews a value for its use at at, operands first. */
static void renew(struct half *h, kiln_node id, kiln_node at)
{
    int n = 1;
    push(h, 0, id);
    while (n) {
        kiln_node top = h->stack[n - 1];
        struct half_node *node = &h->nodes[top];
        if (is_late(h, top, at)) {
            kiln_node operand = node->kept ? 0 : late_operand(h, top, at);
            if (operand) {
                push(h, n++, operand);
                continue;
            }
            node->late = true;
            if (!h->dry && node->kept)
                read_copy(h, top);
            else if (!h->dry)
                h->ids[top] = plan_import_node(h->p, h->ids, top);
        }
        node->used = at;
        n--;
    }
}

static void start_uses(struct half *h, kiln_node count)
{
    for (kiln_node id = 0; id <= count; id++)
        h->nodes[id].used = id;
}

struct half *plan_half_create(struct planner *p, const bool *live, int *ids)
{
    kiln_node count = kiln_graph_count(p->graph);
    struct half *h = PLAN_SCRATCH(p, struct half, 1);
    *h = (struct half){.p = p, .ids = ids, .dry = true};
    h->nodes = PLAN_SCRATCH(p, struct half_node, count + 1);
    for (kiln_node id = 1; id <= kiln_graph_n_forward(p->graph); id++)
        classify(h, id);
    start_uses(h, count);
    for (kiln_node id = 1; id <= count; id++)
        if (live[id])
            plan_half_use(h, id);
    h->dry = false;
    start_uses(h, count);
    return h;
}

void plan_half_use(struct half *h, kiln_node id)
{
    struct kiln_node_info info;
    kiln_graph_node(h->p->graph, id, &info);
    for (int i = 0; i < info.n_operands; i++)
        renew(h, info.operands[i], id);
}

/* x clamped to what f16 holds. */
static int clamped(struct planner *p, int x)
{
    static const enum kiln_op ops[2] = {KILN_OP_MIN, KILN_OP_MAX};
    const struct ir_node *like = ir_at(p, x);
    for (int i = 0; i < 2; i++) {
        struct ir_node limit = ir_make(KILN_OP_CONST, KILN_F32, like->shape, like);
        limit.params.constant.value = i ? -largest_half : largest_half;
        const int operands[2] = {x, ir_add(p, &limit, 0, NULL)};
        struct ir_node bound = ir_make(ops[i], KILN_F32, like->shape, like);
        x = ir_add(p, &bound, 2, operands);
    }
    return x;
}

void plan_half_made(struct half *h, kiln_node id)
{
    if (!h->nodes[id].late || !h->nodes[id].kept)
        return;
    const struct ir_node *made = ir_at(h->p, h->ids[id]);
    struct ir_node cast = ir_make(KILN_OP_CAST, KILN_F16, made->shape, made);
    cast.params.cast = KILN_F16;
    int x = clamped(h->p, h->ids[id]);
    h->nodes[id].copy = ir_append(h->p, &cast, 1, &x);
}
