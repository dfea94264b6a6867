/* Compiling a graph into an executable; writing, running, reading. */
#include <stdlib.h>
#include <string.h>

#include "core/base/text.h"
#include "core/device/poison.h"
#include "core/device/session_state.h"
#include "core/device/validate.h"

static const char *const region_names[KILN_REGION_COUNT] = {
    "intermediate values", "inputs and outputs", "states", "data"};

/* Remembers the graph's inputs: those that the plan drops may be written. */
static enum kiln_status collect_names(kiln_executable *e, const kiln_graph *graph,
                                      struct kiln_error *error)
{
    size_t capacity = 0;
    struct kiln_node_info info;
    for (kiln_node node = 1; kiln_graph_node(graph, node, &info); node++) {
        if (info.op != KILN_OP_INPUT)
            continue;
        if (!kiln_array_grow(&e->names, &capacity, (size_t)e->n_names, sizeof *e->names))
            return kiln_fail(error, KILN_MACHINE, "out of memory");
        char *name = strdup(info.name);
        if (!name)
            return kiln_fail(error, KILN_MACHINE, "out of memory");
        e->names[e->n_names++] = (struct kiln_input_name){
            name, kiln_shape_count(&info.shape) * (int64_t)kiln_dtype_bytes(info.dtype)};
    }
    return KILN_OK;
}

static enum kiln_status make_plan(kiln_executable *e, const kiln_graph *graph,
                                  const struct kiln_compile_options *options,
                                  struct kiln_error *error)
{
    kiln_session *session = e->session;
    struct kiln_plan_options plan =
        kiln_session_plan_options(session, session->states, session->feature_layout);
    if (options) {
        plan.fuse = plan.fuse && !options->unfused;
        plan.keep = options->keep;
        plan.use_ema = options->use_ema;
    }
    enum kiln_status status = kiln_plan_create(graph, &plan, &e->plan, error);
    if (!status)
        status = kiln_plan_check(e->plan, error);
    if (!status)
        status = kiln_steps_validate(&e->plan->steps, error);
    return status;
}

/* A shared workspace of that many bytes; an executable whose values are to be
 * read later (own) has one for itself. */
static enum kiln_status take_workspace(kiln_executable *e, int64_t bytes, bool own,
                                       struct kiln_error *error)
{
    kiln_session *session = e->session;
    struct kiln_workspace *workspace = own ? NULL : session->workspaces;
    while (workspace && (workspace->bytes < bytes || workspace->users < 0))
        workspace = workspace->next;
    if (!workspace) {
        workspace = calloc(1, sizeof *workspace);
        if (!workspace)
            return kiln_fail(error, KILN_MACHINE, "out of memory");
        enum kiln_status status = kiln_device_memory_create(
            session->device, bytes, region_names[KILN_REGION_WORKSPACE], &workspace->memory, error);
        if (status) {
            free(workspace);
            return status;
        }
        workspace->bytes = bytes;
        workspace->next = session->workspaces;
        session->workspaces = workspace;
    }
    workspace->users = own ? -1 : workspace->users + 1;
    e->workspace = workspace;
    e->regions[KILN_REGION_WORKSPACE] = bytes ? workspace->memory : NULL;
    return KILN_OK;
}

static void leave_workspace(kiln_executable *e)
{
    struct kiln_workspace **at = &e->session->workspaces;
    if (!e->workspace || (e->workspace->users > 0 && --e->workspace->users > 0))
        return;
    while (*at != e->workspace)
        at = &(*at)->next;
    *at = e->workspace->next;
    kiln_device_memory_destroy(e->session->device, e->workspace->bytes, &e->workspace->memory);
    free(e->workspace);
}

static enum kiln_status make_memory(kiln_executable *e, bool keep, struct kiln_error *error)
{
    kiln_session *session = e->session;
    const int64_t *bytes = e->plan->steps.region_bytes;
    for (int r = KILN_REGION_STATE; r <= KILN_REGION_DATA; r++) {
        if (bytes[r] > session->region_bytes[r])
            return kiln_fail(error, KILN_INPUT, "plan: the %s reach beyond the session's",
                             region_names[r]);
        e->regions[r] = bytes[r] ? session->regions[r] : NULL;
    }
    enum kiln_status status = take_workspace(e, bytes[KILN_REGION_WORKSPACE], keep, error);
    if (!status)
        status = kiln_device_memory_create(session->device, bytes[KILN_REGION_IO],
                                           region_names[KILN_REGION_IO],
                                           &e->regions[KILN_REGION_IO], error);
    if (status)
        return status;
    for (int i = 0; i < e->plan->n_constants; i++) {
        const struct kiln_plan_constant *constant = &e->plan->constants[i];
        if (constant->offset < 0 || constant->offset + constant->bytes > bytes[KILN_REGION_IO])
            return kiln_fail(error, KILN_INPUT, "plan: a constant lies outside its region");
        status = session->backend->write(session->state, e->regions[KILN_REGION_IO],
                                         constant->offset, constant->data, constant->bytes, error);
        if (status)
            return status;
    }
    return KILN_OK;
}

enum kiln_status kiln_executable_create(kiln_session *session, const kiln_graph *graph,
                                        const struct kiln_compile_options *options,
                                        kiln_executable **out, struct kiln_error *error)
{
    *out = NULL;
    if (!session->prepared)
        return kiln_fail(error, KILN_INPUT, "session: prepare it before compiling a graph");
    enum kiln_status status = kiln_graph_error(graph, error);
    if (status)
        return status;
    kiln_executable *e = calloc(1, sizeof *e);
    if (!e)
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    e->session = session;
    status = collect_names(e, graph, error);
    if (!status)
        status = make_plan(e, graph, options, error);
    if (!status)
        status = make_memory(e, options && options->keep, error);
    if (!status)
        status = session->backend->exec_create(session->state, &e->plan->steps, e->regions,
                                               &e->exec, error);
    kiln_tuner_save(session->tuner);
    if (status)
        kiln_executable_destroy(&e);
    else
        kiln_session_add_executable(e);
    *out = e;
    return status;
}

void kiln_executable_destroy(kiln_executable **executable)
{
    if (!executable || !*executable)
        return;
    kiln_executable *e = *executable;
    kiln_session *session = e->session;
    kiln_session_remove_executable(e);
    if (e->exec)
        session->backend->exec_destroy(session->state, e->exec);
    leave_workspace(e);
    if (e->plan)
        kiln_device_memory_destroy(session->device, e->plan->steps.region_bytes[KILN_REGION_IO],
                                   &e->regions[KILN_REGION_IO]);
    kiln_plan_destroy(&e->plan);
    for (int i = 0; i < e->n_names; i++)
        free(e->names[i].name);
    free(e->names);
    free(e->step_seconds);
    free(e);
    *executable = NULL;
}

const struct kiln_plan *kiln_executable_plan(const kiln_executable *e)
{
    return e->plan;
}

enum kiln_status kiln_executable_run(kiln_executable *e, struct kiln_error *error)
{
    kiln_session *session = e->session;
    int first = kiln_executable_first_step(e);
    enum kiln_status status;
    if (session->options.poison)
        status = kiln_run_poisoned(e, first, error);
    else if (session->options.stats)
        status = kiln_run_timed(e, first, error);
    else
        status = session->backend->exec_run(session->state, e->exec, first,
                                            e->plan->steps.n - first, error);
    if (!status)
        kiln_executable_ran(e);
    return status;
}

enum kiln_status kiln_executable_run_steps(kiln_executable *e, int first, int count,
                                           struct kiln_error *error)
{
    if (first < 0 || count < 0 || count > e->plan->steps.n - first)
        return kiln_fail(error, KILN_INPUT, "step %d: the plan has %d steps", first,
                         e->plan->steps.n);
    kiln_session_states_changed(e->session, e->plan->n_state_writes, e->plan->state_writes);
    return e->session->backend->exec_run(e->session->state, e->exec, first, count, error);
}
