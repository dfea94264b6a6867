/* Executing with NaN in all memory that holds no live value. */
#include "core/device/poison.h"

#include <stdlib.h>
#include <string.h>

#include "core/device/session_state.h"
#include "core/device/validate.h"

struct range {
    int64_t start, end; /* bytes */
};

static struct range range_of(const struct kiln_plan_value *value)
{
    int64_t bytes = kiln_shape_count(&value->shape) * (int64_t)kiln_dtype_bytes(value->place.dtype);
    return (struct range){value->place.offset, value->place.offset + bytes};
}

/* True if a value written by step or before is still to be read in the range. */
static bool is_live(const struct kiln_plan *plan, struct range range, int step)
{
    for (int i = 0; i < plan->n_values; i++) {
        const struct kiln_plan_value *value = &plan->values[i];
        if (value->place.region != KILN_REGION_WORKSPACE || value->first > step ||
            value->last <= step)
            continue;
        struct range other = range_of(value);
        if (other.start < range.end && range.start < other.end)
            return true;
    }
    return false;
}

/* Marks the bytes of the workspace that some step is meant to write. */
static void mark_written(const struct kiln_plan *plan, char *marks)
{
    for (int i = 0; i < plan->steps.n; i++) {
        const struct kiln_step *step = &plan->steps.steps[i];
        struct kiln_operand operands[KILN_MAX_OPERANDS];
        int n = kiln_step_operands(step, operands);
        for (int k = 0; k < n; k++) {
            const struct kiln_place *place = operands[k].place;
            int64_t size = (int64_t)kiln_dtype_bytes(place->dtype);
            if (operands[k].written && place->region == KILN_REGION_WORKSPACE)
                memset(marks + place->offset + operands[k].low * size, 1,
                       (size_t)((operands[k].high - operands[k].low) * size));
        }
        if (step->scratch_bytes && step->scratch.region == KILN_REGION_WORKSPACE)
            memset(marks + step->scratch.offset, 1, (size_t)step->scratch_bytes);
    }
}

/* The gaps between buffers must still hold the poison. */
static enum kiln_status check_gaps(kiln_executable *e, char *memory, int64_t bytes,
                                   struct kiln_error *error)
{
    char *marks = calloc(1, bytes ? (size_t)bytes : 1);
    if (!marks)
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    mark_written(e->plan, marks);
    enum kiln_status status = e->session->backend->read(
        e->session->state, e->regions[KILN_REGION_WORKSPACE], 0, memory, bytes, error);
    for (int64_t i = 0; i < bytes && !status; i++)
        if (!marks[i] && memory[i] != (char)0xff)
            status = kiln_fail(error, KILN_MACHINE,
                               "a step wrote byte %lld of the workspace, which belongs to none",
                               (long long)i);
    free(marks);
    return status;
}

enum kiln_status kiln_run_poisoned(kiln_executable *e, int first, struct kiln_error *error)
{
    kiln_session *session = e->session;
    const struct kiln_plan *plan = e->plan;
    kiln_memory *workspace = e->regions[KILN_REGION_WORKSPACE];
    int64_t bytes = plan->steps.region_bytes[KILN_REGION_WORKSPACE];
    char *poison = malloc(bytes ? (size_t)bytes : 1);
    if (!poison)
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    memset(poison, 0xff, (size_t)bytes);
    enum kiln_status status =
        workspace ? session->backend->write(session->state, workspace, 0, poison, bytes, error)
                  : KILN_OK;
    for (int step = first; step < plan->steps.n && !status; step++) {
        status = session->backend->exec_run(session->state, e->exec, step, 1, error);
        for (int i = 0; i < plan->n_values && !status; i++) {
            const struct kiln_plan_value *value = &plan->values[i];
            struct range range = range_of(value);
            if (value->place.region != KILN_REGION_WORKSPACE || value->last != step ||
                is_live(plan, range, step))
                continue;
            status = session->backend->write(session->state, workspace, range.start, poison,
                                             range.end - range.start, error);
        }
    }
    if (!status && workspace)
        status = check_gaps(e, poison, bytes, error);
    free(poison);
    return status;
}
