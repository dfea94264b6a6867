/* Prepared steps: which executables must repeat theirs. */
#include "core/device/session_state.h"

void kiln_session_states_changed(kiln_session *session, int n, const struct kiln_plan_span *spans)
{
    for (kiln_executable *e = session->executables; e; e = e->next) {
        const struct kiln_plan *plan = e->plan;
        for (int i = 0; i < n && e->prepared; i++)
            for (int k = 0; k < plan->n_prepared_reads; k++)
                if (kiln_plan_spans_meet(spans[i], plan->prepared_reads[k]))
                    e->prepared = false;
    }
}

int kiln_executable_first_step(const kiln_executable *e)
{
    return e->prepared ? e->plan->n_prepared : 0;
}

void kiln_executable_ran(kiln_executable *e)
{
    e->prepared = true;
    kiln_session_states_changed(e->session, e->plan->n_state_writes, e->plan->state_writes);
}

void kiln_session_add_executable(kiln_executable *e)
{
    e->next = e->session->executables;
    e->session->executables = e;
}

void kiln_session_remove_executable(kiln_executable *e)
{
    for (kiln_executable **at = &e->session->executables; *at; at = &(*at)->next)
        if (*at == e) {
            *at = e->next;
            return;
        }
}
