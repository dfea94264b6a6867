/* Effects on states: assign and optimiser update. */
#include "core/graph/internal.h"

#include <stdlib.h>

struct kiln_graph_state *kiln_graph_find_state(kiln_graph *graph, kiln_node node)
{
    for (size_t i = 0; i < graph->n_states; i++)
        if (graph->states[i].node == node)
            return &graph->states[i];
    return NULL;
}

/* The state's entry if it has no effect yet; else rejects. */
static struct kiln_graph_state *free_state(kiln_graph *graph, enum kiln_op op, int n,
                                           const kiln_node *operands, kiln_node node)
{
    struct kiln_graph_state *state = kiln_graph_find_state(graph, node);
    if (!state) {
        kiln_graph_reject(graph, op, n, operands, "node %d is not a state", node);
        return NULL;
    }
    if (state->effect) {
        kiln_graph_reject(graph, op, n, operands, "state \"%s\" already has an effect",
                          kiln_graph_at(graph, node)->name);
        return NULL;
    }
    return state;
}

kiln_node kiln_assign(kiln_graph *graph, kiln_node state, kiln_node value)
{
    const kiln_node operands[] = {state, value};
    enum kiln_op op = KILN_OP_ASSIGN;
    if (!kiln_graph_ready(graph, op, 2, operands))
        return 0;
    struct kiln_graph_state *entry = free_state(graph, op, 2, operands, state);
    if (!entry)
        return 0;
    const struct kiln_record *to = kiln_graph_at(graph, state), *from = kiln_graph_at(graph, value);
    if (to->dtype != from->dtype || !kiln_shape_equal(&to->shape, &from->shape))
        return kiln_graph_reject(graph, op, 2, operands, "value and state \"%s\" differ", to->name);
    struct kiln_record record = {.op = op, .dtype = to->dtype, .shape = to->shape};
    return entry->effect = kiln_graph_append(graph, &record, 2, operands);
}

kiln_node kiln_graph_current(kiln_graph *graph, kiln_node state)
{
    struct kiln_graph_state *entry = graph->status ? NULL : kiln_graph_find_state(graph, state);
    if (!entry || !entry->effect || kiln_graph_at(graph, entry->effect)->op != KILN_OP_ASSIGN)
        return state;
    return kiln_graph_at(graph, entry->effect)->operands[1];
}

kiln_node kiln_graph_reassign(kiln_graph *graph, kiln_node state, kiln_node value)
{
    struct kiln_graph_state *entry = graph->status ? NULL : kiln_graph_find_state(graph, state);
    if (entry && entry->effect && kiln_graph_at(graph, entry->effect)->op == KILN_OP_ASSIGN) {
        /* The one place where a node changes: the superseded ASSIGN becomes an
         * unused view of its value, because an effect cannot be taken back. */
        struct kiln_record *old = &graph->records[entry->effect - 1];
        old->op = KILN_OP_RESHAPE;
        old->operands++;
        old->n_operands = 1;
        entry->effect = 0;
    }
    return kiln_assign(graph, state, value);
}

/* Checks one state and its gradient of an update. */
static bool update_fits(kiln_graph *graph, int n, const kiln_node *operands, int i)
{
    enum kiln_op op = KILN_OP_UPDATE;
    struct kiln_graph_state *state = free_state(graph, op, n, operands, operands[i]);
    if (!state)
        return false;
    const struct kiln_record *to = kiln_graph_at(graph, operands[i]);
    const struct kiln_record *gradient = kiln_graph_at(graph, operands[(n - 1) / 2 + i]);
    if (to->state->trainable && to->dtype == KILN_F32 && gradient->dtype == KILN_F32 &&
        kiln_shape_equal(&to->shape, &gradient->shape))
        return true;
    kiln_graph_reject(graph, op, n, operands,
                      "state \"%s\" must be trainable and its gradient f32 of its shape", to->name);
    return false;
}

kiln_node kiln_optimizer_update(kiln_graph *graph, int n, const kiln_node *states,
                                const kiln_node *gradients, kiln_node hyper,
                                struct kiln_update update)
{
    enum kiln_op op = KILN_OP_UPDATE;
    if (graph->status)
        return 0;
    if (n < 1 || n > INT32_MAX / 4 || (unsigned)update.kind >= KILN_OPTIMIZER_COUNT)
        return kiln_graph_reject(graph, op, 0, NULL, "needs states and a known optimiser");
    int n_operands = 2 * n + 1;
    kiln_node *operands = malloc((size_t)n_operands * sizeof *operands), node = 0;
    if (!operands)
        return kiln_graph_no_memory(graph);
    for (int i = 0; i < n; i++) {
        operands[i] = states[i];
        operands[n + i] = gradients[i];
    }
    operands[2 * n] = hyper;
    if (!kiln_graph_ready(graph, op, n_operands, operands))
        goto out;
    struct kiln_shape words = KILN_SHAPE(KILN_HYPER_WORDS);
    if (kiln_graph_at(graph, hyper)->dtype != KILN_F32 ||
        !kiln_shape_equal(&kiln_graph_at(graph, hyper)->shape, &words)) {
        kiln_graph_reject(graph, op, n_operands, operands, "hyper must be f32 [%d]",
                          KILN_HYPER_WORDS);
        goto out;
    }
    kiln_node effect = (kiln_node)graph->n + 1; /* the id the node will get */
    for (int i = 0; i < n; i++) {
        if (!update_fits(graph, n_operands, operands, i))
            goto out;
        kiln_graph_find_state(graph, operands[i])->effect = effect;
    }
    struct kiln_record record = {.op = op, .dtype = KILN_F32, .shape = KILN_SHAPE(2)};
    record.params.update = update;
    node = kiln_graph_append(graph, &record, n_operands, operands);
out:
    free(operands);
    return node;
}
