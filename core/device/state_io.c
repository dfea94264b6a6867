/* First values of states; reading and writing them by the host. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "core/api/rng.h"
#include "core/device/session_state.h"

static const char *const part_names[KILN_STATE_PARTS] = {"value", "first moment", "second moment",
                                                         "EMA"};

/* A part of a state in device memory. */
struct part {
    const struct kiln_state_slot *slot;
    int64_t offset, count; /* bytes in the region, elements */
};

static enum kiln_status locate(kiln_session *session, int state, enum kiln_state_part part,
                               struct part *found, struct kiln_error *error)
{
    *found = (struct part){0};
    if (!session->prepared || state < 0 || state >= kiln_states_count(session->states))
        return kiln_fail(error, KILN_INPUT, "state %d: the session has no such state", state);
    found->slot = kiln_states_at(session->states, state);
    found->offset = kiln_states_offset(session->states, state, part);
    found->count = kiln_shape_count(&found->slot->state.shape);
    if (found->offset < 0)
        return kiln_fail(error, KILN_INPUT, "state %s: its %s is not kept", found->slot->state.name,
                         part_names[part]);
    return KILN_OK;
}

enum kiln_status kiln_session_state_get(kiln_session *session, int state, enum kiln_state_part part,
                                        void *out, struct kiln_error *error)
{
    struct part at;
    enum kiln_status status = locate(session, state, part, &at, error);
    if (status)
        return status;
    kiln_memory *memory = session->regions[KILN_REGION_STATE];
    if (at.slot->layout == KILN_LAYOUT_DENSE)
        return session->backend->read(session->state, memory, at.offset, out, at.count * 4, error);
    void *stored = malloc((size_t)at.count * 4);
    if (!stored)
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    status = session->backend->read(session->state, memory, at.offset, stored, at.count * 4, error);
    if (!status)
        kiln_layout_unpack(at.slot->layout, &at.slot->state.shape, 4, stored, out);
    free(stored);
    return status;
}

enum kiln_status kiln_session_state_set(kiln_session *session, int state, enum kiln_state_part part,
                                        const void *in, struct kiln_error *error)
{
    struct part at;
    enum kiln_status status = locate(session, state, part, &at, error);
    if (status)
        return status;
    kiln_memory *memory = session->regions[KILN_REGION_STATE];
    struct kiln_plan_span span = {at.offset, at.offset + at.count * 4};
    kiln_session_states_changed(session, 1, &span);
    if (at.slot->layout == KILN_LAYOUT_DENSE)
        return session->backend->write(session->state, memory, at.offset, in, at.count * 4, error);
    void *stored = malloc((size_t)at.count * 4);
    if (!stored)
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    kiln_layout_pack(at.slot->layout, &at.slot->state.shape, 4, in, stored);
    status =
        session->backend->write(session->state, memory, at.offset, stored, at.count * 4, error);
    free(stored);
    return status;
}

/* Four floats of block number block of the state's own stream. */
static void draw(const struct kiln_init *init, uint64_t seed, uint64_t name_hash, uint32_t block,
                 float out[4])
{
    const uint32_t counter[4] = {block, 0, (uint32_t)name_hash, (uint32_t)(name_hash >> 32)};
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    const double two_pi = 6.283185307179586476925;
    uint32_t words[4];
    double u[4];
    kiln_philox(counter, key, words);
    for (int i = 0; i < 4; i++)
        u[i] = (double)kiln_uniform(words[i]);
    if (init->kind == KILN_INIT_UNIFORM) {
        for (int i = 0; i < 4; i++)
            out[i] = (float)((double)init->a + ((double)init->b - (double)init->a) * u[i]);
        return;
    }
    for (int i = 0; i < 4; i += 2) { /* Box-Muller, as rng.h */
        double radius = (double)init->b * sqrt(-2 * log(u[i])), angle = two_pi * u[i + 1];
        out[i] = (float)((double)init->a + radius * cos(angle));
        out[i + 1] = (float)((double)init->a + radius * sin(angle));
    }
}

/* Zeroes the share of each row's end that the state's init says. */
static void clear_tails(const struct kiln_state *state, int64_t count, float *data)
{
    int64_t row = state->shape.n ? state->shape.d[state->shape.n - 1] : 1;
    int64_t tail = (int64_t)lround((double)state->init.zero_tail * (double)row);
    for (int64_t end = row; tail > 0 && end <= count; end += row)
        memset(data + end - tail, 0, (size_t)tail * sizeof *data);
}

static void fill_geometric(const struct kiln_state *state, int64_t count, float *data)
{
    int64_t rows = state->shape.n ? state->shape.d[0] : 1, width = count / rows;
    double first = log((double)state->init.a), last = log((double)state->init.b);
    for (int64_t i = 0; i < count; i++) {
        double share = rows > 1 ? (double)(i / width) / (double)(rows - 1) : 0;
        data[i] = (float)exp(first + share * (last - first));
    }
}

static void fill(const struct kiln_state *state, uint64_t seed, int64_t count, void *data)
{
    float *f = data;
    if (state->dtype == KILN_I32) {
        for (int64_t i = 0; i < count; i++)
            ((int32_t *)data)[i] = (int32_t)lrintf(state->init.a);
        return;
    }
    if (state->init.kind == KILN_INIT_CONSTANT) {
        for (int64_t i = 0; i < count; i++)
            f[i] = state->init.a;
        return;
    }
    if (state->init.kind == KILN_INIT_GEOMETRIC) {
        fill_geometric(state, count, f);
        return;
    }
    uint64_t hash = XXH3_64bits(state->name, strlen(state->name));
    for (int64_t i = 0; i < count; i += 4) {
        float four[4];
        draw(&state->init, seed, hash, (uint32_t)(i / 4), four);
        memcpy(f + i, four, (size_t)(count - i < 4 ? count - i : 4) * sizeof *four);
    }
    clear_tails(state, count, f);
}

enum kiln_status kiln_session_initialise(kiln_session *session, uint64_t seed,
                                         struct kiln_error *error)
{
    enum kiln_status status = KILN_OK;
    for (int i = 0; session->prepared && i < kiln_states_count(session->states) && !status; i++) {
        const struct kiln_state_slot *slot = kiln_states_at(session->states, i);
        int64_t count = kiln_shape_count(&slot->state.shape);
        void *data = calloc((size_t)count, 4);
        if (!data)
            return kiln_fail(error, KILN_MACHINE, "out of memory");
        for (int part = KILN_STATE_MOMENT1; part <= KILN_STATE_MOMENT2 && !status; part++)
            if (kiln_states_offset(session->states, i, (enum kiln_state_part)part) >= 0)
                status =
                    kiln_session_state_set(session, i, (enum kiln_state_part)part, data, error);
        fill(&slot->state, seed, count, data);
        if (!status)
            status = kiln_session_state_set(session, i, KILN_STATE_VALUE, data, error);
        if (!status && kiln_states_offset(session->states, i, KILN_STATE_EMA) >= 0)
            status = kiln_session_state_set(session, i, KILN_STATE_EMA, data, error);
        free(data);
    }
    return status;
}
