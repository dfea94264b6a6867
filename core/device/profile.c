/* Step by step with a clock. */
#include "core/device/profile.h"

#include <stdlib.h>

#include "core/base/log.h"
#include "core/device/measure.h"
#include "core/device/session_state.h"
#include "core/plan/operands.h"

static int64_t count_launches(const kiln_session *session)
{
    int64_t launches, waits, bytes, peak;
    session->backend->stats(session->state, &launches, &waits, &bytes, &peak);
    return launches;
}

static enum kiln_status wait(kiln_session *session, struct kiln_error *error)
{
    session->profile_waits++;
    return session->backend->finish(session->state, error);
}

enum kiln_status kiln_run_timed(kiln_executable *e, int first, struct kiln_error *error)
{
    kiln_session *session = e->session;
    int n = e->plan->steps.n;
    if (!e->step_seconds)
        e->step_seconds = calloc((size_t)n + 1, sizeof *e->step_seconds);
    if (!e->step_seconds)
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    enum kiln_status status = wait(session, error);
    int64_t before = count_launches(session);
    for (int i = first; i < n && !status; i++) {
        double start = kiln_seconds();
        status = session->backend->exec_run(session->state, e->exec, i, 1, error);
        if (!status)
            status = wait(session, error);
        double seconds = kiln_seconds() - start;
        if (e->step_seconds[i] == 0 || seconds < e->step_seconds[i])
            e->step_seconds[i] = seconds;
    }
    e->step_launches = count_launches(session) - before;
    e->n_timed++;
    return status;
}

static int row_of(const struct kiln_step *step)
{
    if (step->kind != KILN_STEP_LOOP)
        return KILN_PROFILE_KINDS + (int)step->kind;
    for (int d = 0; d < step->as.loop.n_dims; d++)
        if (step->as.loop.reduced[d] && step->as.loop.extent[d] > 1)
            return KILN_PROFILE_REDUCTIONS;
    return KILN_PROFILE_MAPS;
}

static const char *row_name(int row)
{
    return row == KILN_PROFILE_MAPS ? "loop, pointwise"
           : row == KILN_PROFILE_REDUCTIONS
               ? "loop, reduction"
               : kiln_step_kind_name((enum kiln_step_kind)(row - KILN_PROFILE_KINDS));
}

static void add(struct kiln_profile_row *row, double seconds, int64_t flops, int64_t bytes)
{
    row->steps++;
    row->seconds += seconds;
    row->flops += flops;
    row->bytes += bytes;
}

void kiln_executable_profile(const kiln_executable *e, struct kiln_profile *profile)
{
    const struct kiln_plan *plan = e->plan;
    *profile = (struct kiln_profile){
        .executions = e->n_timed,
        .steps = plan->steps.n - plan->n_prepared,
        .prepared = plan->n_prepared,
        .launches = e->step_launches,
        .workspace_bytes = plan->steps.region_bytes[KILN_REGION_WORKSPACE],
        .io_bytes = plan->steps.region_bytes[KILN_REGION_IO],
        .total.name = "all",
    };
    for (int i = 0; i < KILN_PROFILE_ROWS; i++)
        profile->rows[i].name = row_name(i);
    for (int i = plan->n_prepared; i < plan->steps.n && e->step_seconds; i++) {
        const struct kiln_step *step = &plan->steps.steps[i];
        int64_t flops = step_flops(step), bytes = step_bytes(step);
        struct kiln_profile_row *row = &profile->rows[row_of(step)];
        add(row, e->step_seconds[i], flops, bytes);
        add(&profile->total, e->step_seconds[i], flops, bytes);
        kiln_log_line(KILN_LOG_DEBUG,
                      "stats: step %d %s \"%s\" #%d: %.1f us, %lld flop, %lld bytes", i, row->name,
                      step->label, step->algorithm, 1e6 * e->step_seconds[i], (long long)flops,
                      (long long)bytes);
    }
}

int64_t kiln_session_profile_waits(const kiln_session *session)
{
    return session->profile_waits;
}
