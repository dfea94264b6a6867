/* Nodes without operands that compute: inputs, states, constants, random. */
#include "core/graph/internal.h"

#include <string.h>

#include "core/api/rng.h"
#include "core/base/text.h"

static bool same_tensor(const struct kiln_record *record, enum kiln_dtype dtype,
                        const struct kiln_shape *shape)
{
    return record->dtype == dtype && kiln_shape_equal(&record->shape, shape);
}

static kiln_node clash(kiln_graph *graph, const struct kiln_record *first, const char *kind,
                       enum kiln_dtype dtype, const struct kiln_shape *shape)
{
    char old_shape[160], new_shape[160];
    kiln_graph_fail(graph, "%s \"%s\" is declared as %s %s and as %s %s", kind, first->name,
                    kiln_dtype_name(first->dtype),
                    kiln_shape_text(&first->shape, old_shape, sizeof old_shape),
                    kiln_dtype_name(dtype), kiln_shape_text(shape, new_shape, sizeof new_shape));
    return 0;
}

kiln_node kiln_input(kiln_graph *graph, const char *name, enum kiln_dtype dtype,
                     struct kiln_shape shape)
{
    if (graph->status)
        return 0;
    if (!name || !name[0] || (dtype != KILN_F32 && dtype != KILN_I32 && dtype != KILN_U8)) {
        kiln_graph_fail(graph, "input \"%s\": needs a name and a dtype f32, i32 or u8",
                        name ? name : "");
        return 0;
    }
    for (size_t i = 0; i < graph->n_inputs; i++) {
        const struct kiln_record *record = kiln_graph_at(graph, graph->inputs[i]);
        if (strcmp(record->name, name) || kiln_shape_count(&shape) < 0)
            continue;
        return same_tensor(record, dtype, &shape) ? graph->inputs[i]
                                                  : clash(graph, record, "input", dtype, &shape);
    }
    struct kiln_record record = {.op = KILN_OP_INPUT, .dtype = dtype, .shape = shape};
    record.name = kiln_arena_strdup(graph->arena, name);
    if (!record.name || !kiln_array_grow(&graph->inputs, &graph->inputs_capacity, graph->n_inputs,
                                         sizeof *graph->inputs))
        return kiln_graph_no_memory(graph);
    kiln_node node = kiln_graph_append(graph, &record, 0, NULL);
    if (node)
        graph->inputs[graph->n_inputs++] = node;
    return node;
}

kiln_node kiln_state(kiln_graph *graph, const struct kiln_state *state)
{
    if (graph->status)
        return 0;
    if (!state->name || !state->name[0] ||
        (state->dtype != KILN_F32 && (state->dtype != KILN_I32 || state->trainable))) {
        kiln_graph_fail(graph,
                        "state \"%s\": needs a name and a dtype f32, or i32 if not trainable",
                        state->name ? state->name : "");
        return 0;
    }
    for (size_t i = 0; i < graph->n_states; i++) {
        const struct kiln_record *record = kiln_graph_at(graph, graph->states[i].node);
        if (strcmp(record->name, state->name) || kiln_shape_count(&state->shape) < 0)
            continue;
        if (!same_tensor(record, state->dtype, &state->shape))
            return clash(graph, record, "state", state->dtype, &state->shape);
        if (record->state->trainable != state->trainable) {
            kiln_graph_fail(graph, "state \"%s\" is declared as parameter and as buffer",
                            state->name);
            return 0;
        }
        return graph->states[i].node;
    }
    struct kiln_state *copy = KILN_ARENA_NEW(graph->arena, struct kiln_state, 1);
    char *name = kiln_arena_strdup(graph->arena, state->name);
    if (!copy || !name ||
        !kiln_array_grow(&graph->states, &graph->states_capacity, graph->n_states,
                         sizeof *graph->states))
        return kiln_graph_no_memory(graph);
    *copy = *state;
    copy->name = name;
    struct kiln_record record = {.op = KILN_OP_STATE,
                                 .dtype = state->dtype,
                                 .shape = state->shape,
                                 .name = name,
                                 .state = copy};
    kiln_node node = kiln_graph_append(graph, &record, 0, NULL);
    if (node)
        graph->states[graph->n_states++] = (struct kiln_graph_state){.node = node};
    return node;
}

kiln_node kiln_full(kiln_graph *graph, struct kiln_shape shape, double value)
{
    struct kiln_record record = {.op = KILN_OP_CONST, .dtype = KILN_F32, .shape = shape};
    record.params.constant.value = value;
    return kiln_graph_append(graph, &record, 0, NULL);
}

kiln_node kiln_scalar(kiln_graph *graph, double value)
{
    return kiln_full(graph, (struct kiln_shape){0}, value);
}

kiln_node kiln_constant(kiln_graph *graph, enum kiln_dtype dtype, struct kiln_shape shape,
                        const void *data)
{
    if (graph->status)
        return 0;
    int64_t count = kiln_shape_count(&shape);
    if (count < 0 || !data || (dtype != KILN_F32 && dtype != KILN_I32))
        return kiln_graph_reject(graph, KILN_OP_CONST, 0, NULL,
                                 "needs data and a dtype f32 or i32 and a valid shape");
    void *copy = kiln_arena_alloc(graph->arena, (size_t)count, kiln_dtype_bytes(dtype));
    if (!copy)
        return kiln_graph_no_memory(graph);
    memcpy(copy, data, (size_t)count * kiln_dtype_bytes(dtype));
    struct kiln_record record = {.op = KILN_OP_CONST, .dtype = dtype, .shape = shape, .data = copy};
    return kiln_graph_append(graph, &record, 0, NULL);
}

kiln_node kiln_random(kiln_graph *graph, struct kiln_shape shape, struct kiln_rng rng)
{
    if (graph->status)
        return 0;
    if ((unsigned)rng.kind > KILN_RNG_INTEGER || (rng.kind == KILN_RNG_INTEGER && !rng.bound))
        return kiln_graph_reject(graph, KILN_OP_RNG, 0, NULL,
                                 "unknown kind, or an integer bound of 0");
    kiln_node key = kiln_input(graph, "rng", KILN_I32, KILN_SHAPE(KILN_RNG_KEY_WORDS));
    struct kiln_record record = {.op = KILN_OP_RNG, .shape = shape};
    record.dtype = rng.kind == KILN_RNG_INTEGER ? KILN_I32 : KILN_F32;
    record.params.rng = rng;
    return kiln_graph_append(graph, &record, 1, &key);
}
