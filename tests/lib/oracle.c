/* The oracle's life, inputs and states, and the walk over the graph. */
#include "tests/lib/oracle_internal.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/arena.h"

enum { MAX_LINEAR_OPERANDS = 4 };

struct named {
    char *name;
    int64_t n;
    double *values; /* an input's */
    struct oracle_state state;
    struct named *next;
};

struct kiln_oracle {
    const kiln_graph *graph;
    bool bounds;
    struct named *inputs, *states;
    kiln_arena *arena;                                   /* of one evaluation */
    struct oracle_tensor (*tensors)[ORACLE_MAX_OUTPUTS]; /* by node */
    kiln_node n;                                         /* nodes that tensors has room for */
};

/* --- life, inputs, states ------------------------------------------------------ */

kiln_oracle *kiln_oracle_create(const kiln_graph *graph, bool bounds)
{
    kiln_oracle *oracle = calloc(1, sizeof *oracle);
    if (oracle) {
        oracle->graph = graph;
        oracle->bounds = bounds;
    }
    return oracle;
}

static void free_named(struct named *list)
{
    while (list) {
        struct named *next = list->next;
        for (int part = 0; part < KILN_ORACLE_PARTS; part++)
            free(list->state.part[part]);
        free(list->values);
        free(list->name);
        free(list);
        list = next;
    }
}

void kiln_oracle_destroy(kiln_oracle **oracle)
{
    if (!oracle || !*oracle)
        return;
    free_named((*oracle)->inputs);
    free_named((*oracle)->states);
    kiln_arena_destroy(&(*oracle)->arena);
    free(*oracle);
    *oracle = NULL;
}

static struct named *find(struct named *list, const char *name)
{
    while (list && strcmp(list->name, name))
        list = list->next;
    return list;
}

/* The entry of the name, added if it is not there; NULL when out of memory. */
static struct named *entry(struct named **list, const char *name, int64_t n)
{
    struct named *found = find(*list, name);
    if (found)
        return found;
    found = calloc(1, sizeof *found);
    char *copy = strdup(name);
    if (!found || !copy) {
        free(found);
        free(copy);
        return NULL;
    }
    *found = (struct named){.name = copy, .n = n, .next = *list};
    return *list = found;
}

static enum kiln_status copy_values(double **to, const double *values, int64_t n,
                                    struct kiln_error *error)
{
    if (!*to)
        *to = malloc((size_t)n * sizeof **to);
    if (!*to)
        return kiln_fail(error, KILN_MACHINE, "oracle: out of memory");
    memcpy(*to, values, (size_t)n * sizeof **to);
    return KILN_OK;
}

enum kiln_status kiln_oracle_set(kiln_oracle *oracle, const char *input, const double *values,
                                 int64_t n, struct kiln_error *error)
{
    struct named *named = entry(&oracle->inputs, input, n);
    if (!named)
        return kiln_fail(error, KILN_MACHINE, "oracle: out of memory");
    if (named->n != n)
        return kiln_fail(error, KILN_INPUT, "oracle: input \"%s\" changes its size", input);
    return copy_values(&named->values, values, n, error);
}

enum kiln_status kiln_oracle_set_state(kiln_oracle *oracle, const char *state,
                                       enum kiln_oracle_part part, const double *values, int64_t n,
                                       struct kiln_error *error)
{
    struct named *named = entry(&oracle->states, state, n);
    if (!named)
        return kiln_fail(error, KILN_MACHINE, "oracle: out of memory");
    if (named->n != n)
        return kiln_fail(error, KILN_INPUT, "oracle: state \"%s\" changes its size", state);
    return copy_values(&named->state.part[part], values, n, error);
}

const double *kiln_oracle_state(const kiln_oracle *oracle, const char *state,
                                enum kiln_oracle_part part)
{
    struct named *named = find(oracle->states, state);
    return named ? named->state.part[part] : NULL;
}

/* The entry of a STATE node, with at least a value. */
static struct named *state_of(kiln_oracle *oracle, const struct kiln_node_info *node,
                              struct kiln_error *error)
{
    int64_t n = kiln_shape_count(&node->shape);
    struct named *named = entry(&oracle->states, node->name, n);
    if (!named) {
        kiln_fail(error, KILN_MACHINE, "oracle: out of memory");
        return NULL;
    }
    if (!named->state.part[0] && node->state->init.kind == KILN_INIT_CONSTANT) {
        named->state.part[0] = malloc((size_t)n * sizeof(double));
        for (int64_t i = 0; named->state.part[0] && i < n; i++)
            named->state.part[0][i] = (double)node->state->init.a;
    }
    if (named->n == n && named->state.part[0])
        return named;
    kiln_fail(error, KILN_INPUT, "oracle: state \"%s\" has no values of its size", node->name);
    return NULL;
}

/* --- values ---------------------------------------------------------------------- */

static const struct oracle_tensor *tensor_of(const kiln_oracle *oracle, kiln_node node)
{
    struct kiln_node_info info;
    if (node > oracle->n || !oracle->arena || !kiln_graph_node(oracle->graph, node, &info))
        return NULL;
    if (info.op == KILN_OP_OUTPUT)
        return &oracle->tensors[info.operands[0]][info.params->output];
    return &oracle->tensors[node][0];
}

const double *kiln_oracle_value(const kiln_oracle *oracle, kiln_node node)
{
    const struct oracle_tensor *tensor = tensor_of(oracle, node);
    return tensor ? tensor->value : NULL;
}

const double *kiln_oracle_magnitude(const kiln_oracle *oracle, kiln_node node)
{
    const struct oracle_tensor *tensor = tensor_of(oracle, node);
    return tensor ? tensor->magnitude : NULL;
}

const double *kiln_oracle_bound(const kiln_oracle *oracle, kiln_node node)
{
    const struct oracle_tensor *tensor = tensor_of(oracle, node);
    return tensor ? tensor->bound : NULL;
}

void oracle_round(struct oracle_tensor *tensor, int64_t element, double magnitude, double k,
                  double carried)
{
    if (!tensor->bound)
        return;
    tensor->magnitude[element] = magnitude;
    tensor->bound[element] = carried;
    if (k > 0)
        tensor->bound[element] += k * (double)FLT_EPSILON * magnitude + (double)FLT_MIN;
}

bool oracle_next(const struct kiln_shape *shape, int64_t *index)
{
    for (int axis = shape->n - 1; axis >= 0; axis--) {
        if (++index[axis] < shape->d[axis])
            return true;
        index[axis] = 0;
    }
    return false;
}

/* A copy of n numbers' absolute values, or their squares; NULL on failure. */
static double *converted(int64_t n, const double *x, bool squared)
{
    double *copy = malloc((size_t)n * sizeof *copy);
    for (int64_t e = 0; copy && e < n; e++)
        copy[e] = squared ? x[e] * x[e] : fabs(x[e]);
    return copy;
}

/* Adds the variance that the error of operand i (of all n, if joint) carries
 * into the result: with squared coefficients and squared errors. */
static void add_variance(struct oracle_op *op, oracle_linear *f, int n, bool joint, int i,
                         double *sum)
{
    const double *x[MAX_LINEAR_OPERANDS];
    double *owned[MAX_LINEAR_OPERANDS] = {NULL}, *part = malloc((size_t)op->out->n * sizeof *part);
    bool good = part != NULL;
    for (int j = 0; j < op->node.n_operands; j++) {
        const struct oracle_tensor *in = &op->in[j];
        if (j < n)
            owned[j] = converted(in->n, joint || j == i ? in->bound : in->value, true);
        x[j] = j < n ? owned[j] : in->value;
        good = good && x[j];
    }
    if (good)
        f(op, x, part);
    for (int64_t e = 0; good && e < op->out->n; e++)
        sum[e] += part[e];
    for (int j = 0; j < n; j++)
        free(owned[j]);
    free(part);
}

void oracle_by_linear(struct oracle_op *op, oracle_linear *f, int n, bool joint, double terms)
{
    const double *x[MAX_LINEAR_OPERANDS];
    double *owned[MAX_LINEAR_OPERANDS] = {NULL};
    struct oracle_tensor *out = op->out;
    for (int i = 0; i < op->node.n_operands; i++)
        x[i] = op->in[i].value;
    f(op, x, out->value);
    if (!out->bound)
        return;
    bool good = true;
    for (int i = 0; i < n; i++) {
        x[i] = owned[i] = converted(op->in[i].n, x[i], false);
        good = good && owned[i];
    }
    if (good)
        f(op, x, out->magnitude);
    for (int i = 0; i < n; i++)
        free(owned[i]);
    memset(out->bound, 0, (size_t)out->n * sizeof(double));
    for (int i = 0; i < (joint ? 1 : n); i++)
        add_variance(op, f, n, joint, i, out->bound);
    double k = terms > 1 ? 2 + sqrt(terms) : n > 1 && !joint ? 1 : 0;
    for (int64_t e = 0; e < out->n; e++)
        oracle_round(out, e, out->magnitude[e], k, sqrt(out->bound[e]));
}

/* --- the walk -------------------------------------------------------------------- */

static double constant_at(const struct kiln_node_info *node, int64_t i)
{
    if (!node->data)
        return (double)(float)node->params->constant.value;
    return node->dtype == KILN_I32 ? (double)((const int32_t *)node->data)[i]
                                   : (double)((const float *)node->data)[i];
}

static enum kiln_status source(kiln_oracle *oracle, struct oracle_op *op, struct kiln_error *error)
{
    const double *from = NULL;
    struct oracle_tensor *out = op->out;
    if (op->node.op == KILN_OP_STATE) {
        struct named *named = state_of(oracle, &op->node, error);
        if (!named)
            return KILN_INPUT;
        from = named->state.part[KILN_ORACLE_VALUE];
    } else if (op->node.op == KILN_OP_INPUT) {
        struct named *named = find(oracle->inputs, op->node.name);
        if (!named || named->n != out->n)
            return kiln_fail(error, KILN_INPUT, "oracle: input \"%s\" has no values of its size",
                             op->node.name);
        from = named->values;
    }
    for (int64_t i = 0; i < out->n; i++) {
        out->value[i] = from ? from[i] : constant_at(&op->node, i);
        oracle_round(out, i, fabs(out->value[i]), 0, 0);
    }
    return KILN_OK;
}

static void compute(struct oracle_op *op)
{
    switch (op->node.op) {
    case KILN_OP_RNG:
        oracle_random(op);
        break;
    case KILN_OP_REDUCE_SUM:
    case KILN_OP_REDUCE_MAX:
        oracle_reduce(op);
        break;
    case KILN_OP_RESHAPE:
    case KILN_OP_EXPAND:
    case KILN_OP_PERMUTE:
    case KILN_OP_SLICE:
    case KILN_OP_PAD:
        oracle_view(op);
        break;
    case KILN_OP_CONCAT:
        oracle_concat(op);
        break;
    case KILN_OP_GATHER_ROWS:
    case KILN_OP_SCATTER_ADD_ROWS:
        oracle_rows(op);
        break;
    case KILN_OP_MATMUL:
        oracle_matmul(op);
        break;
    case KILN_OP_CONV:
    case KILN_OP_CONV_INPUT_GRAD:
    case KILN_OP_CONV_WEIGHT_GRAD:
        oracle_conv(op);
        break;
    case KILN_OP_WINDOW_ARGMAX:
    case KILN_OP_WINDOW_GATHER:
    case KILN_OP_WINDOW_SCATTER:
        oracle_window(op);
        break;
    case KILN_OP_RESAMPLE:
        oracle_resample(op);
        break;
    case KILN_OP_ATTENTION:
        oracle_attention(op);
        break;
    case KILN_OP_ATTENTION_GRAD:
        oracle_attention_grad(op);
        break;
    case KILN_OP_UPDATE:
        oracle_update_norm(op);
        break;
    default:
        oracle_pointwise(op);
    }
}

/* Shapes of the outputs of a node: only attention has more than one. */
static int output_shapes(const struct oracle_op *op, struct kiln_shape *shapes)
{
    shapes[0] = op->node.shape;
    if (op->node.op == KILN_OP_ATTENTION) {
        shapes[1] = KILN_SHAPE(shapes[0].d[0], shapes[0].d[1]);
        return 2;
    }
    if (op->node.op != KILN_OP_ATTENTION_GRAD)
        return 1;
    shapes[1] = op->operands[1].shape;
    shapes[2] = op->operands[2].shape;
    return 3;
}

static bool make_tensor(kiln_oracle *oracle, struct oracle_tensor *tensor,
                        const struct kiln_shape *shape)
{
    tensor->n = kiln_shape_count(shape);
    tensor->value = KILN_ARENA_NEW(oracle->arena, double, (size_t)tensor->n);
    if (!oracle->bounds)
        return tensor->value;
    tensor->magnitude = KILN_ARENA_NEW(oracle->arena, double, (size_t)tensor->n);
    tensor->bound = KILN_ARENA_NEW(oracle->arena, double, (size_t)tensor->n);
    return tensor->value && tensor->magnitude && tensor->bound;
}

static enum kiln_status evaluate_node(kiln_oracle *oracle, kiln_node id, struct kiln_error *error)
{
    struct oracle_op op = {.out = oracle->tensors[id]};
    kiln_graph_node(oracle->graph, id, &op.node);
    if (op.node.op == KILN_OP_OUTPUT || op.node.op == KILN_OP_ASSIGN)
        return KILN_OK;
    size_t n = (size_t)op.node.n_operands;
    struct kiln_node_info *operands = KILN_ARENA_NEW(oracle->arena, struct kiln_node_info, n);
    struct oracle_tensor *in = KILN_ARENA_NEW(oracle->arena, struct oracle_tensor, n);
    if (!operands || !in)
        return kiln_fail(error, KILN_MACHINE, "oracle: out of memory");
    for (size_t i = 0; i < n; i++) {
        kiln_graph_node(oracle->graph, op.node.operands[i], &operands[i]);
        in[i] = *tensor_of(oracle, op.node.operands[i]);
    }
    op.operands = operands;
    op.in = in;
    struct kiln_shape shapes[ORACLE_MAX_OUTPUTS];
    int n_outputs = output_shapes(&op, shapes);
    for (int i = 0; i < n_outputs; i++)
        if (!make_tensor(oracle, &op.out[i], &shapes[i]))
            return kiln_fail(error, KILN_MACHINE, "oracle: out of memory");
    if (kiln_op_class(op.node.op) == KILN_OP_CLASS_SOURCE)
        return source(oracle, &op, error);
    compute(&op);
    return KILN_OK;
}

enum kiln_status kiln_oracle_evaluate(kiln_oracle *oracle, int n, const kiln_node *nodes,
                                      struct kiln_error *error)
{
    enum kiln_status status = kiln_graph_error(oracle->graph, error);
    if (status)
        return status;
    kiln_arena_destroy(&oracle->arena);
    oracle->arena = kiln_arena_create();
    oracle->n = kiln_graph_count(oracle->graph);
    size_t size = (size_t)oracle->n + 1;
    bool *needed = oracle->arena ? KILN_ARENA_NEW(oracle->arena, bool, size) : NULL;
    oracle->tensors =
        needed ? kiln_arena_alloc(oracle->arena, size, sizeof *oracle->tensors) : NULL;
    if (!oracle->tensors) {
        kiln_arena_destroy(&oracle->arena);
        return kiln_fail(error, KILN_MACHINE, "oracle: out of memory");
    }
    for (int i = 0; i < n; i++)
        if (nodes[i] >= 1 && nodes[i] <= oracle->n)
            needed[nodes[i]] = true;
    struct kiln_node_info info;
    for (kiln_node node = oracle->n; node >= 1; node--)
        if (needed[node] && kiln_graph_node(oracle->graph, node, &info))
            for (int i = 0; i < info.n_operands; i++)
                needed[info.operands[i]] = true;
    for (kiln_node node = 1; node <= oracle->n && !status; node++)
        if (needed[node])
            status = evaluate_node(oracle, node, error);
    return status;
}

/* --- effects --------------------------------------------------------------------- */

/* Allocates the parts that are not there yet: moments zero, average equal. */
static enum kiln_status complete(struct named *named, struct kiln_error *error)
{
    for (int part = KILN_ORACLE_MOMENT1; part < KILN_ORACLE_PARTS; part++) {
        if (named->state.part[part])
            continue;
        named->state.part[part] = calloc((size_t)named->n, sizeof(double));
        if (!named->state.part[part])
            return kiln_fail(error, KILN_MACHINE, "oracle: out of memory");
        if (part == KILN_ORACLE_EMA)
            memcpy(named->state.part[part], named->state.part[0],
                   (size_t)named->n * sizeof(double));
    }
    return KILN_OK;
}

static enum kiln_status take_effect(kiln_oracle *oracle, kiln_node id, struct kiln_error *error)
{
    struct kiln_node_info node, target;
    kiln_graph_node(oracle->graph, id, &node);
    if (node.op == KILN_OP_ASSIGN) {
        kiln_graph_node(oracle->graph, node.operands[0], &target);
        const struct oracle_tensor *value = tensor_of(oracle, node.operands[1]);
        return kiln_oracle_set_state(oracle, target.name, KILN_ORACLE_VALUE, value->value, value->n,
                                     error);
    }
    int n = (node.n_operands - 1) / 2;
    const double *hyper = tensor_of(oracle, node.operands[2 * n])->value;
    const double *norm = tensor_of(oracle, id)->value;
    for (int i = 0; i < n; i++) {
        kiln_graph_node(oracle->graph, node.operands[i], &target);
        struct named *named = state_of(oracle, &target, error);
        if (!named || complete(named, error))
            return KILN_MACHINE;
        oracle_update_state(node.params->update, hyper, norm, named->n,
                            tensor_of(oracle, node.operands[n + i])->value, &named->state);
    }
    return KILN_OK;
}

enum kiln_status kiln_oracle_run(kiln_oracle *oracle, struct kiln_error *error)
{
    kiln_node count = kiln_graph_count(oracle->graph);
    int n_outputs = kiln_graph_n_outputs(oracle->graph), n = 0;
    kiln_node *nodes = malloc(((size_t)count + (size_t)n_outputs + 1) * sizeof *nodes);
    if (!nodes)
        return kiln_fail(error, KILN_MACHINE, "oracle: out of memory");
    struct kiln_node_info info;
    for (kiln_node node = 1; node <= count; node++)
        if (kiln_graph_node(oracle->graph, node, &info) &&
            kiln_op_class(info.op) == KILN_OP_CLASS_EFFECT)
            nodes[n++] = node;
    int n_effects = n;
    for (int i = 0; i < n_outputs; i++)
        kiln_graph_output_at(oracle->graph, i, &nodes[n++]);
    enum kiln_status status = kiln_oracle_evaluate(oracle, n, nodes, error);
    for (int i = 0; i < n_effects && !status; i++)
        status = take_effect(oracle, nodes[i], error);
    free(nodes);
    return status;
}
