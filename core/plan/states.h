/*
 * The states of a model: where every parameter, buffer, moment and average
 * lies in the state region, shared by all plans of a run.
 *
 * Parameters of a group lie in one arena, and gradients, moments and EMA
 * mirror it, so that the optimiser, EMA and the gradient norm are flat. Every
 * state starts at a multiple of KILN_PLACE_ALIGNMENT bytes; gaps are zero.
 */
#ifndef KILN_PLAN_STATES_H
#define KILN_PLAN_STATES_H

#include "core/api/graph.h"
#include "core/api/layout.h"

enum kiln_state_part {
    KILN_STATE_VALUE,
    KILN_STATE_MOMENT1,
    KILN_STATE_MOMENT2,
    KILN_STATE_EMA,
    KILN_STATE_PARTS
};

struct kiln_state_slot {
    struct kiln_state state; /* name owned by the table */
    enum kiln_layout layout; /* of all four parts */
    int group;               /* -1: buffer or untrained */
    int64_t offset;          /* bytes within the group's arena, or in the region if group < 0 */
};

struct kiln_state_group {
    char prefix[128];
    struct kiln_update update;
    int64_t bytes;                         /* of one arena */
    int64_t part_offset[KILN_STATE_PARTS]; /* bytes in the region; -1 = part not kept */
};

typedef struct kiln_states kiln_states;

kiln_states *kiln_states_create(void);
void kiln_states_destroy(kiln_states **);
/* Adds every STATE node of the graph. A clash in shape or dtype with a state
 * of the same name is KILN_INPUT. Not after kiln_states_freeze. */
enum kiln_status kiln_states_collect(kiln_states *, const kiln_graph *, struct kiln_error *);
/* Trainable states whose name starts with prefix form a group (first match
 * wins). Trained groups keep moments as the update's kind needs: SGD the first
 * (its momentum), RMSProp the second (its mean square), Adam both. Returns its
 * index, or -1 when out of memory or after kiln_states_freeze. */
int kiln_states_group(kiln_states *, const char *prefix, struct kiln_update);
/* Sets the storage layout of a state before freezing; ignored if it does not
 * fit the shape. */
void kiln_states_set_layout(kiln_states *, int state, enum kiln_layout);
/* Decides all offsets. */
enum kiln_status kiln_states_freeze(kiln_states *, struct kiln_error *);

int kiln_states_count(const kiln_states *);
const struct kiln_state_slot *kiln_states_at(const kiln_states *, int state);
/* Index by name, -1 if unknown. */
int kiln_states_find(const kiln_states *, const char *name);
int kiln_states_n_groups(const kiln_states *);
const struct kiln_state_group *kiln_states_group_at(const kiln_states *, int group);
/* Byte offset of a part of a state in the state region, -1 if not kept. */
int64_t kiln_states_offset(const kiln_states *, int state, enum kiln_state_part);
int64_t kiln_states_bytes(const kiln_states *);

#endif
