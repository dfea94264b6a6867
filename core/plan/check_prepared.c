/* The check of prepared steps, which later executions leave out. It looks at
 * whole operands, from their first byte to their last one. */
#include <stdlib.h>

#include "core/plan/operands.h"

struct check {
    const struct kiln_plan *plan;
    struct kiln_error *error;
    int n_stored;
    struct kiln_plan_span *stored; /* by prepared steps */
    int step;
};

static enum kiln_status report(const struct check *c, const struct step_operand *operand,
                               const char *what)
{
    const struct kiln_step *step = &c->plan->steps.steps[c->step];
    return kiln_fail(c->error, KILN_MACHINE, "plan step %d (%s %s): %s %s", c->step,
                     kiln_step_kind_name(step->kind), step->label, operand->name, what);
}

static bool meets_any(struct kiln_plan_span span, int n, const struct kiln_plan_span *spans)
{
    for (int i = 0; i < n; i++)
        if (kiln_plan_spans_meet(span, spans[i]))
            return true;
    return false;
}

static bool lies_in(struct kiln_plan_span span, int n, const struct kiln_plan_span *spans)
{
    for (int i = 0; i < n; i++)
        if (spans[i].start <= span.start && span.end <= spans[i].end)
            return true;
    return false;
}

static bool is_input(const struct kiln_plan *plan, struct kiln_plan_span span)
{
    for (int i = 0; i < plan->n_inputs; i++) {
        const struct kiln_plan_binding *input = &plan->inputs[i];
        int64_t bytes = kiln_shape_count(&input->shape) * (int64_t)kiln_dtype_bytes(input->dtype);
        struct kiln_plan_span other = {input->place.offset, input->place.offset + bytes};
        if (kiln_plan_spans_meet(span, other))
            return true;
    }
    return false;
}

/* Of a prepared step. */
static enum kiln_status check_prepared(struct check *c, const struct step_operand *operand)
{
    const struct kiln_plan *plan = c->plan;
    struct kiln_plan_span span = step_operand_span(operand);
    enum kiln_region region = operand->place.region;
    if (operand->write && operand->at == &plan->steps.steps[c->step].scratch)
        return KILN_OK;
    if (region != KILN_REGION_IO && (region != KILN_REGION_STATE || operand->write))
        return report(c, operand, "of a prepared step does not last");
    if (region == KILN_REGION_STATE)
        return lies_in(span, plan->n_prepared_reads, plan->prepared_reads)
                   ? KILN_OK
                   : report(c, operand, "is a state that the plan does not list as read");
    if (operand->read && is_input(plan, span))
        return report(c, operand, "of a prepared step is an input");
    if (operand->write)
        c->stored[c->n_stored++] = span;
    return KILN_OK;
}

/* Of a step of every execution. */
static enum kiln_status check_repeated(const struct check *c, const struct step_operand *operand)
{
    const struct kiln_plan *plan = c->plan;
    struct kiln_plan_span span = step_operand_span(operand);
    if (!operand->write)
        return KILN_OK;
    if (operand->place.region == KILN_REGION_IO && meets_any(span, c->n_stored, c->stored))
        return report(c, operand, "overwrites what a prepared step stored");
    if (operand->place.region != KILN_REGION_STATE)
        return KILN_OK;
    if (meets_any(span, plan->n_prepared_reads, plan->prepared_reads))
        return report(c, operand, "writes a state that a prepared step read");
    return lies_in(span, plan->n_state_writes, plan->state_writes)
               ? KILN_OK
               : report(c, operand, "is a state that the plan does not list as written");
}

enum kiln_status plan_check_prepared(const struct kiln_plan *plan, struct kiln_error *error)
{
    struct check c = {.plan = plan, .error = error};
    c.stored = malloc(((size_t)plan->n_prepared * STEP_MAX_OPERANDS + 1) * sizeof *c.stored);
    if (!c.stored)
        return kiln_fail(error, KILN_MACHINE, "out of memory while checking the plan");
    enum kiln_status status = KILN_OK;
    for (; c.step < plan->steps.n && !status; c.step++) {
        struct step_operand operands[STEP_MAX_OPERANDS];
        int n = step_operands(&plan->steps.steps[c.step], operands);
        for (int i = 0; i < n && !status; i++)
            status = c.step < plan->n_prepared ? check_prepared(&c, &operands[i])
                                               : check_repeated(&c, &operands[i]);
    }
    free(c.stored);
    return status;
}
