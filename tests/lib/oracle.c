/* The oracle's life, its inputs and states, and the effects on them. */
#include "tests/lib/oracle_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

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

static void free_named(struct oracle_named *list)
{
    while (list) {
        struct oracle_named *next = list->next;
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

struct oracle_named *oracle_find(struct oracle_named *list, const char *name)
{
    while (list && strcmp(list->name, name))
        list = list->next;
    return list;
}

/* The entry of the name, added if it is not there; NULL when out of memory. */
static struct oracle_named *entry(struct oracle_named **list, const char *name, int64_t n)
{
    struct oracle_named *found = oracle_find(*list, name);
    if (found)
        return found;
    found = calloc(1, sizeof *found);
    char *copy = strdup(name);
    if (!found || !copy) {
        free(found);
        free(copy);
        return NULL;
    }
    *found = (struct oracle_named){.name = copy, .n = n, .next = *list};
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
    struct oracle_named *named = entry(&oracle->inputs, input, n);
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
    struct oracle_named *named = entry(&oracle->states, state, n);
    if (!named)
        return kiln_fail(error, KILN_MACHINE, "oracle: out of memory");
    if (named->n != n)
        return kiln_fail(error, KILN_INPUT, "oracle: state \"%s\" changes its size", state);
    return copy_values(&named->state.part[part], values, n, error);
}

const double *kiln_oracle_state(const kiln_oracle *oracle, const char *state,
                                enum kiln_oracle_part part)
{
    struct oracle_named *named = oracle_find(oracle->states, state);
    return named ? named->state.part[part] : NULL;
}

/* The entry of a STATE node, with at least a value. */
struct oracle_named *oracle_state_of(kiln_oracle *oracle, const struct kiln_node_info *node,
                                     struct kiln_error *error)
{
    int64_t n = kiln_shape_count(&node->shape);
    struct oracle_named *named = entry(&oracle->states, node->name, n);
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

const struct oracle_tensor *oracle_tensor_of(const kiln_oracle *oracle, kiln_node node)
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
    const struct oracle_tensor *tensor = oracle_tensor_of(oracle, node);
    return tensor ? tensor->value : NULL;
}

const double *kiln_oracle_magnitude(const kiln_oracle *oracle, kiln_node node)
{
    const struct oracle_tensor *tensor = oracle_tensor_of(oracle, node);
    return tensor ? tensor->magnitude : NULL;
}

const double *kiln_oracle_bound(const kiln_oracle *oracle, kiln_node node)
{
    const struct oracle_tensor *tensor = oracle_tensor_of(oracle, node);
    return tensor ? tensor->bound : NULL;
}

/* --- effects --------------------------------------------------------------------- */

/* Allocates the parts that are not there yet: moments zero, average equal. */
static enum kiln_status complete(struct oracle_named *named, struct kiln_error *error)
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
        const struct oracle_tensor *value = oracle_tensor_of(oracle, node.operands[1]);
        return kiln_oracle_set_state(oracle, target.name, KILN_ORACLE_VALUE, value->value, value->n,
                                     error);
    }
    int n = (node.n_operands - 1) / 2;
    const double *hyper = oracle_tensor_of(oracle, node.operands[2 * n])->value;
    const double *norm = oracle_tensor_of(oracle, id)->value;
    for (int i = 0; i < n; i++) {
        kiln_graph_node(oracle->graph, node.operands[i], &target);
        struct oracle_named *named = oracle_state_of(oracle, &target, error);
        if (!named || complete(named, error))
            return KILN_MACHINE;
        oracle_update_state(node.params->update, hyper, norm, named->n,
                            oracle_tensor_of(oracle, node.operands[n + i])->value, &named->state);
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
