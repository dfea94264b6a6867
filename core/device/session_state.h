/*
 * Inside of a session, shared by the files that implement session.h.
 */
#ifndef KILN_DEVICE_SESSION_STATE_H
#define KILN_DEVICE_SESSION_STATE_H

#include "core/device/memory.h"
#include "core/device/session.h"
#include "core/device/tune.h"

struct kiln_session {
    kiln_device *device;
    const struct kiln_backend *backend;
    kiln_device_state *state; /* the backend's */
    struct kiln_session_options options;

    kiln_states *states;
    int n_groups;
    struct kiln_session_group {
        char *prefix;
        struct kiln_update update;
    } * groups; /* kept to build trial state tables while choosing a layout */
    bool prepared;
    enum kiln_layout feature_layout;

    int n_data;
    struct kiln_data_slot *data; /* names owned */
    int64_t *data_bytes;
    int64_t region_bytes[KILN_REGION_COUNT]; /* of the two shared regions */
    kiln_memory *regions[KILN_REGION_COUNT];
    struct kiln_workspace *workspaces; /* list */
    kiln_executable *executables;      /* list */

    int64_t profile_waits;

    kiln_tuner *tuner;
    char choices[512];
};

/* Temporaries of executables, which never run at the same time: a later one
 * uses the memory of an earlier one that is large enough. */
struct kiln_workspace {
    struct kiln_workspace *next;
    int64_t bytes;
    kiln_memory *memory; /* NULL if bytes is 0 */
    int users;
};

struct kiln_executable {
    kiln_session *session;
    kiln_executable *next; /* of the session's */
    struct kiln_plan *plan;
    kiln_exec *exec;
    double *step_seconds; /* with the option stats: least time of each step, else NULL */
    int64_t n_timed, step_launches;
    bool prepared; /* what the plan's prepared steps stored is current */
    struct kiln_workspace *workspace;
    kiln_memory *regions[KILN_REGION_COUNT]; /* io is its own */
    int n_names; /* all inputs of the graph, also those the plan dropped */
    struct kiln_input_name {
        char *name;
        int64_t bytes;
    } * names;
};

/* --- prepared.c --------------------------------------------------------------- */

/* Bytes of the state region were written: what was prepared from them is old. */
void kiln_session_states_changed(kiln_session *, int n, const struct kiln_plan_span *);
/* Where the next execution begins: behind the prepared steps if they hold. */
int kiln_executable_first_step(const kiln_executable *);
/* An execution was enqueued. */
void kiln_executable_ran(kiln_executable *);
/* Into and out of the session's list; out of it also if it is not there. */
void kiln_session_add_executable(kiln_executable *);
void kiln_session_remove_executable(kiln_executable *);

/* profile.c: executes the steps from first on one by one. */
enum kiln_status kiln_run_timed(kiln_executable *, int first, struct kiln_error *);

/* --- session.c, tune_layout.c ---------------------------------------------------- */

/* The options of a plan in this session. */
struct kiln_plan_options kiln_session_plan_options(kiln_session *, const kiln_states *,
                                                   enum kiln_layout);

/* A state table of the session's groups and the graphs' states, storage
 * layouts chosen for the feature layout, frozen. */
enum kiln_status kiln_session_states_for(kiln_session *, enum kiln_layout, int n_graphs,
                                         kiln_graph *const *graphs, kiln_states **,
                                         struct kiln_error *);

/* The feature layout for graph: the fastest measured, or the device's first. */
enum kiln_status kiln_session_choose_layout(kiln_session *, int n_graphs, kiln_graph *const *graphs,
                                            struct kiln_error *);

#endif
