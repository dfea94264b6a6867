/* Sessions: states, resident data, the feature layout. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/text.h"
#include "core/device/session_state.h"

enum kiln_status kiln_session_create(kiln_device *device,
                                     const struct kiln_session_options *options, kiln_session **out,
                                     struct kiln_error *error)
{
    *out = NULL;
    kiln_session *session = calloc(1, sizeof *session);
    if (!session)
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    session->device = device;
    session->backend = kiln_device_backend(device);
    session->state = kiln_device_backend_state(device);
    session->options =
        options ? *options
                : (struct kiln_session_options){.fuse = true, .tune = true, .tune_seconds = 30};
    session->tuner =
        kiln_tuner_create(device, session->options.tune, session->options.tune_seconds);
    if (!session->tuner) {
        kiln_session_destroy(&session);
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    }
    kiln_tuner_fix(session->tuner, session->options.candidate);
    kiln_tuner_allow_winograd(session->tuner, !session->options.no_winograd);
    *out = session;
    return KILN_OK;
}

void kiln_session_destroy(kiln_session **out)
{
    if (!out || !*out)
        return;
    kiln_session *session = *out;
    for (int r = 0; r < KILN_REGION_COUNT; r++)
        kiln_device_memory_destroy(session->device, session->region_bytes[r], &session->regions[r]);
    for (int i = 0; i < session->n_data; i++)
        free((char *)session->data[i].name);
    free(session->data);
    free(session->data_bytes);
    for (int i = 0; i < session->n_groups; i++)
        free(session->groups[i].prefix);
    free(session->groups);
    kiln_states_destroy(&session->states);
    kiln_tuner_destroy(&session->tuner);
    free(session);
    *out = NULL;
}

enum kiln_status kiln_session_group(kiln_session *session, const char *prefix,
                                    struct kiln_update update, struct kiln_error *error)
{
    if (session->prepared)
        return kiln_fail(error, KILN_INPUT, "session: group %s comes after prepare", prefix);
    struct kiln_session_group *groups =
        realloc(session->groups, (size_t)(session->n_groups + 1) * sizeof *groups);
    char *copy = strdup(prefix);
    if (groups)
        session->groups = groups;
    if (!groups || !copy) {
        free(copy);
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    }
    groups[session->n_groups++] = (struct kiln_session_group){copy, update};
    return KILN_OK;
}

struct kiln_plan_options kiln_session_plan_options(kiln_session *session, const kiln_states *states,
                                                   enum kiln_layout layout)
{
    return (struct kiln_plan_options){
        .caps = kiln_device_caps(session->device),
        .states = states,
        .feature_layout = layout,
        .fuse = session->options.fuse,
        .half = session->options.half,
        .reuse = !session->options.no_reuse,
        .n_data = session->n_data,
        .data = session->data,
        .candidates = kiln_tuner_candidates,
        .choose = kiln_tuner_choose,
        .user = session->tuner,
    };
}

enum kiln_status kiln_session_states_for(kiln_session *session, enum kiln_layout layout,
                                         int n_graphs, kiln_graph *const *graphs, kiln_states **out,
                                         struct kiln_error *error)
{
    *out = NULL;
    kiln_states *states = kiln_states_create();
    enum kiln_status status = states ? KILN_OK : kiln_fail(error, KILN_MACHINE, "out of memory");
    for (int i = 0; i < session->n_groups && !status; i++)
        if (kiln_states_group(states, session->groups[i].prefix, session->groups[i].update) < 0)
            status = kiln_fail(error, KILN_MACHINE, "out of memory");
    for (int i = 0; i < n_graphs && !status; i++) {
        status = kiln_graph_error(graphs[i], error);
        if (!status)
            status = kiln_states_collect(states, graphs[i], error);
    }
    struct kiln_plan_options options = kiln_session_plan_options(session, states, layout);
    for (int i = 0; i < n_graphs && !status; i++)
        status = kiln_plan_state_layouts(graphs[i], &options, states, error);
    if (!status)
        status = kiln_states_freeze(states, error);
    if (status)
        kiln_states_destroy(&states);
    *out = states;
    return status;
}

/* Lays the resident tensors out one after the other. */
static enum kiln_status place_data(kiln_session *session, int n,
                                   const struct kiln_resident *resident, struct kiln_error *error)
{
    session->data = calloc((size_t)n + 1, sizeof *session->data);
    session->data_bytes = calloc((size_t)n + 1, sizeof *session->data_bytes);
    if (!session->data || !session->data_bytes)
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    int64_t offset = 0;
    for (int i = 0; i < n; i++) {
        int64_t count = kiln_shape_count(&resident[i].shape);
        char *name = strdup(resident[i].name);
        if (!name)
            return kiln_fail(error, KILN_MACHINE, "out of memory");
        session->data[session->n_data++] = (struct kiln_data_slot){name, offset};
        if (count < 0)
            return kiln_fail(error, KILN_INPUT, "data %s: too large", name);
        session->data_bytes[i] = count * (int64_t)kiln_dtype_bytes(resident[i].dtype);
        offset += (session->data_bytes[i] + KILN_PLACE_ALIGNMENT - 1) / KILN_PLACE_ALIGNMENT *
                  KILN_PLACE_ALIGNMENT;
    }
    session->region_bytes[KILN_REGION_DATA] = offset;
    return KILN_OK;
}

static enum kiln_status make_memory(kiln_session *session, const struct kiln_resident *resident,
                                    struct kiln_error *error)
{
    kiln_memory **data = &session->regions[KILN_REGION_DATA];
    session->region_bytes[KILN_REGION_STATE] = kiln_states_bytes(session->states);
    enum kiln_status status = kiln_device_memory_create(
        session->device, session->region_bytes[KILN_REGION_STATE], "parameters and moments",
        &session->regions[KILN_REGION_STATE], error);
    if (!status)
        status = kiln_device_memory_create(
            session->device, session->region_bytes[KILN_REGION_DATA],
            "training data ([data] device_memory keeps them off the device)", data, error);
    for (int i = 0; i < session->n_data && !status; i++)
        status = session->backend->write(session->state, *data, session->data[i].offset,
                                         resident[i].data, session->data_bytes[i], error);
    return status;
}

enum kiln_status kiln_session_prepare(kiln_session *session, int n_graphs,
                                      kiln_graph *const *graphs, int n_resident,
                                      const struct kiln_resident *resident,
                                      struct kiln_error *error)
{
    if (session->prepared || n_graphs < 1)
        return kiln_fail(error, KILN_INPUT, "session: prepare it once, with a graph");
    enum kiln_status status = place_data(session, n_resident, resident, error);
    if (!status)
        status = kiln_session_choose_layout(session, n_graphs, graphs, error);
    if (!status)
        status = kiln_session_states_for(session, session->feature_layout, n_graphs, graphs,
                                         &session->states, error);
    if (!status)
        status = make_memory(session, resident, error);
    kiln_tuner_save(session->tuner);
    session->prepared = !status;
    return status;
}

const kiln_states *kiln_session_states(const kiln_session *session)
{
    return session->states;
}

kiln_device *kiln_session_device(const kiln_session *session)
{
    return session->device;
}

const char *kiln_session_choices(const kiln_session *session)
{
    /* the text changes as graphs are compiled: it belongs to the session, and
     * asking for it changes nothing else */
    kiln_session *own = (kiln_session *)session;
    const struct kiln_caps *caps = kiln_device_caps(session->device);
    const char *libraries = session->backend->libraries(session->state);
    snprintf(own->choices, sizeof own->choices, "%s; %s; %s; features %s; %s%s; choices %016llx",
             kiln_device_name(session->device), caps->name, libraries ? libraries : "",
             kiln_layout_name(session->feature_layout), session->options.fuse ? "fused" : "unfused",
             session->options.half ? ", half" : "",
             (unsigned long long)kiln_tuner_hash(session->tuner));
    return session->choices;
}
