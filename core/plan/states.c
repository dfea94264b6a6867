/* The table of states: collection, groups and offsets in the state region. */
#include "core/plan/states.h"

#include <stdlib.h>
#include <string.h>

#include "core/api/step.h"
#include "core/base/arena.h"
#include "core/base/text.h"
#include "core/plan/planner.h"

/* Arenas above this size are rounded up to ARENA_GRAIN bytes, so that the
 * gradient norm's partial sums divide them evenly. */
enum { ARENA_LARGE = 1 << 18, ARENA_GRAIN = 1 << 12 };

struct kiln_states {
    kiln_arena *arena; /* names */
    struct kiln_state_slot *slots;
    size_t n, capacity;
    struct kiln_state_group *groups;
    size_t n_groups, group_capacity;
    unsigned char *strength; /* of each slot's layout, see states_suggest_layout */
    size_t strength_capacity;
    int *by_name; /* open addressing, -1 = free */
    size_t table_size;
    int64_t bytes;
    bool frozen;
};

kiln_states *kiln_states_create(void)
{
    kiln_states *states = calloc(1, sizeof *states);
    if (states && !(states->arena = kiln_arena_create())) {
        free(states);
        return NULL;
    }
    return states;
}

void kiln_states_destroy(kiln_states **states)
{
    if (!states || !*states)
        return;
    kiln_arena_destroy(&(*states)->arena);
    free((*states)->slots);
    free((*states)->groups);
    free((*states)->strength);
    free((*states)->by_name);
    free(*states);
    *states = NULL;
}

static size_t hash_name(const char *name)
{
    uint64_t hash = 1469598103934665603u; /* FNV-1a */
    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * 1099511628211u;
    return (size_t)(hash ^ hash >> 32);
}

static bool rehash(kiln_states *states)
{
    if (states->n * 2 < states->table_size)
        return true;
    size_t size = states->table_size ? states->table_size * 2 : 64;
    int *table = malloc(size * sizeof *table);
    if (!table)
        return false;
    for (size_t i = 0; i < size; i++)
        table[i] = -1;
    for (size_t i = 0; i < states->n; i++) {
        size_t at = hash_name(states->slots[i].state.name) & (size - 1);
        while (table[at] >= 0)
            at = (at + 1) & (size - 1);
        table[at] = (int)i;
    }
    free(states->by_name);
    states->by_name = table;
    states->table_size = size;
    return true;
}

int kiln_states_find(const kiln_states *states, const char *name)
{
    if (!states->table_size)
        return -1;
    size_t at = hash_name(name) & (states->table_size - 1);
    for (; states->by_name[at] >= 0; at = (at + 1) & (states->table_size - 1))
        if (!strcmp(states->slots[states->by_name[at]].state.name, name))
            return states->by_name[at];
    return -1;
}

static enum kiln_status add_state(kiln_states *states, const struct kiln_state *state,
                                  struct kiln_error *error)
{
    int known = kiln_states_find(states, state->name);
    if (known >= 0) {
        const struct kiln_state *old = &states->slots[known].state;
        if (kiln_shape_equal(&old->shape, &state->shape) && old->dtype == state->dtype &&
            old->trainable == state->trainable)
            return KILN_OK;
        char a[96], b[96];
        return kiln_fail(error, KILN_INPUT, "state %s is %s%s %s here and %s%s %s elsewhere",
                         state->name, state->trainable ? "" : "untrained ",
                         kiln_dtype_name(state->dtype), kiln_shape_text(&state->shape, a, sizeof a),
                         old->trainable ? "" : "untrained ", kiln_dtype_name(old->dtype),
                         kiln_shape_text(&old->shape, b, sizeof b));
    }
    struct kiln_state_slot slot = {.state = *state, .group = -1, .offset = -1};
    slot.state.name = kiln_arena_strdup(states->arena, state->name);
    if (!slot.state.name ||
        !kiln_array_grow(&states->slots, &states->capacity, states->n, sizeof slot) ||
        !kiln_array_grow(&states->strength, &states->strength_capacity, states->n, 1) ||
        !rehash(states))
        return kiln_fail(error, KILN_MACHINE, "out of memory for state %s", state->name);
    states->strength[states->n] = 0;
    states->slots[states->n++] = slot;
    size_t at = hash_name(slot.state.name) & (states->table_size - 1);
    while (states->by_name[at] >= 0)
        at = (at + 1) & (states->table_size - 1);
    states->by_name[at] = (int)states->n - 1;
    return KILN_OK;
}

enum kiln_status kiln_states_collect(kiln_states *states, const kiln_graph *graph,
                                     struct kiln_error *error)
{
    if (states->frozen)
        return kiln_fail(error, KILN_INPUT, "states are collected after they were frozen");
    struct kiln_node_info info;
    for (kiln_node node = 1; kiln_graph_node(graph, node, &info); node++) {
        if (info.op != KILN_OP_STATE)
            continue;
        enum kiln_status status = add_state(states, info.state, error);
        if (status)
            return status;
    }
    return KILN_OK;
}

int kiln_states_group(kiln_states *states, const char *prefix, struct kiln_update update)
{
    if (states->frozen || strlen(prefix) >= sizeof states->groups->prefix ||
        !kiln_array_grow(&states->groups, &states->group_capacity, states->n_groups,
                         sizeof *states->groups))
        return -1;
    struct kiln_state_group group = {.update = update};
    strcpy(group.prefix, prefix);
    states->groups[states->n_groups] = group;
    return (int)states->n_groups++;
}

void states_suggest_layout(kiln_states *states, int state, enum kiln_layout layout, int strength)
{
    if (states->frozen || state < 0 || (size_t)state >= states->n ||
        states->strength[state] >= strength ||
        !kiln_layout_fits(layout, &states->slots[state].state.shape))
        return;
    states->slots[state].layout = layout;
    states->strength[state] = (unsigned char)strength;
}

void kiln_states_set_layout(kiln_states *states, int state, enum kiln_layout layout)
{
    enum { OVER_ALL = 255 };
    if (state >= 0 && (size_t)state < states->n)
        states->strength[state] = 0;
    states_suggest_layout(states, state, layout, OVER_ALL);
}

static int64_t aligned(int64_t bytes, int64_t alignment)
{
    return (bytes + alignment - 1) / alignment * alignment;
}

static bool keeps(const struct kiln_update *update, enum kiln_state_part part)
{
    switch (part) {
    case KILN_STATE_MOMENT1:
        return update->kind != KILN_OPTIMIZER_RMSPROP;
    case KILN_STATE_MOMENT2:
        return update->kind != KILN_OPTIMIZER_SGD;
    case KILN_STATE_EMA:
        return update->ema;
    default:
        return true;
    }
}

static void place_groups(kiln_states *states)
{
    for (size_t i = 0; i < states->n; i++) {
        struct kiln_state_slot *slot = &states->slots[i];
        for (size_t g = 0; g < states->n_groups && slot->group < 0 && slot->state.trainable; g++)
            if (!strncmp(slot->state.name, states->groups[g].prefix,
                         strlen(states->groups[g].prefix)))
                slot->group = (int)g;
        if (slot->group < 0)
            continue;
        struct kiln_state_group *group = &states->groups[slot->group];
        int64_t bytes =
            kiln_shape_count(&slot->state.shape) * (int64_t)kiln_dtype_bytes(slot->state.dtype);
        slot->offset = group->bytes;
        group->bytes = aligned(group->bytes + bytes, KILN_PLACE_ALIGNMENT);
    }
    for (size_t g = 0; g < states->n_groups; g++) {
        struct kiln_state_group *group = &states->groups[g];
        if (group->bytes > ARENA_LARGE)
            group->bytes = aligned(group->bytes, ARENA_GRAIN);
        for (int part = 0; part < KILN_STATE_PARTS; part++) {
            bool kept = keeps(&group->update, (enum kiln_state_part)part);
            group->part_offset[part] = kept ? states->bytes : -1;
            states->bytes += kept ? group->bytes : 0;
        }
    }
}

enum kiln_status kiln_states_freeze(kiln_states *states, struct kiln_error *error)
{
    if (states->frozen)
        return KILN_OK;
    int64_t total = 0;
    for (size_t i = 0; i < states->n; i++) {
        const struct kiln_state *state = &states->slots[i].state;
        int64_t count = kiln_shape_count(&state->shape);
        if (count < 0 || (total += count) > (int64_t)1 << 47)
            return kiln_fail(error, KILN_INPUT, "state %s: the states have too many elements",
                             state->name);
    }
    place_groups(states);
    for (size_t i = 0; i < states->n; i++) {
        struct kiln_state_slot *slot = &states->slots[i];
        if (slot->group >= 0)
            continue;
        slot->offset = states->bytes;
        states->bytes += aligned(kiln_shape_count(&slot->state.shape) *
                                     (int64_t)kiln_dtype_bytes(slot->state.dtype),
                                 KILN_PLACE_ALIGNMENT);
    }
    states->frozen = true;
    return KILN_OK;
}

int kiln_states_count(const kiln_states *states)
{
    return (int)states->n;
}

const struct kiln_state_slot *kiln_states_at(const kiln_states *states, int state)
{
    return state >= 0 && (size_t)state < states->n ? &states->slots[state] : NULL;
}

int kiln_states_n_groups(const kiln_states *states)
{
    return (int)states->n_groups;
}

const struct kiln_state_group *kiln_states_group_at(const kiln_states *states, int group)
{
    return group >= 0 && (size_t)group < states->n_groups ? &states->groups[group] : NULL;
}

int64_t kiln_states_offset(const kiln_states *states, int state, enum kiln_state_part part)
{
    const struct kiln_state_slot *slot = kiln_states_at(states, state);
    if (!slot || !states->frozen)
        return -1;
    if (slot->group < 0)
        return part == KILN_STATE_VALUE ? slot->offset : -1;
    int64_t base = states->groups[slot->group].part_offset[part];
    return base < 0 ? -1 : base + slot->offset;
}

int64_t kiln_states_bytes(const kiln_states *states)
{
    return states->bytes;
}
