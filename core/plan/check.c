/* An independent check of a plan's memory: every access inside its region,
 * every read of bytes that a live value's step wrote, no write over a live
 * value, no read of a state after its effect. It looks at the steps' places
 * and at the list of values only, and shares no code with the planner. */
#include <stdlib.h>
#include <string.h>

#include "core/plan/operands.h"
#include "core/plan/written.h"

/* Accesses of more separate runs of bytes are checked at this many of them;
 * what they write is recorded whole. */
enum { MAX_RUNS = 1 << 14, BEFORE = -1 };

struct checker {
    const struct kiln_plan *plan;
    struct kiln_error *error;
    enum kiln_status status;
    struct written memory[KILN_REGION_COUNT];
    struct span *spans; /* of each value */
    int *active, n_active;
    int step;
    const struct step_operand *operands; /* of the step */
    int n_operands;
};

static enum kiln_status report(struct checker *c, const char *operand, const char *what)
{
    const struct kiln_step *step =
        c->step >= 0 && c->step < c->plan->steps.n ? &c->plan->steps.steps[c->step] : NULL;
    return c->status = kiln_fail(c->error, KILN_MACHINE, "plan step %d (%s %s): %s %s", c->step,
                                 step ? kiln_step_kind_name(step->kind) : "end",
                                 step ? step->label : "", operand, what);
}

/* --- rules for one run of bytes ---------------------------------------------------- */

static bool meets(struct span a, struct span b)
{
    return a.start < b.end && b.start < a.end;
}

static enum kiln_status check_read(struct checker *c, const struct step_operand *operand,
                                   struct span span)
{
    enum kiln_region region = operand->place.region;
    int oldest, newest;
    written_by(&c->memory[region], span, &oldest, &newest);
    if (region == KILN_REGION_DATA)
        return KILN_OK;
    if (region == KILN_REGION_STATE)
        return newest >= 0 && newest < c->step
                   ? report(c, operand->name, "reads a state after its effect")
                   : KILN_OK;
    if (oldest == WRITTEN_NEVER)
        return report(c, operand->name, "reads bytes that no step wrote");
    for (int i = 0; i < c->n_active; i++) {
        const struct kiln_plan_value *value = &c->plan->values[c->active[i]];
        struct span held = c->spans[c->active[i]];
        if (value->place.region == region && held.start <= span.start && span.end <= held.end &&
            value->first <= oldest && newest <= value->last)
            return KILN_OK;
    }
    return oldest == BEFORE && newest == BEFORE
               ? KILN_OK
               : report(c, operand->name, "reads bytes of no live value");
}

/* True if the step reads each element that the operand writes at the same index. */
static bool is_in_place(const struct checker *c, const struct step_operand *operand)
{
    for (int i = 0; i < c->n_operands; i++) {
        const struct step_operand *other = &c->operands[i];
        if (other->read && other->place.region == operand->place.region &&
            other->place.offset == operand->place.offset && other->n == operand->n &&
            !memcmp(other->stride, operand->stride, sizeof other->stride))
            return true;
    }
    return false;
}

static enum kiln_status check_write(struct checker *c, const struct step_operand *operand,
                                    struct span span)
{
    enum kiln_region region = operand->place.region;
    struct written *memory = &c->memory[region];
    int oldest, newest;
    written_by(memory, span, &oldest, &newest);
    if (region == KILN_REGION_DATA)
        return report(c, operand->name, "writes to the data set");
    if (newest == c->step)
        return report(c, operand->name, "writes bytes twice");
    if (newest == BEFORE && region == KILN_REGION_IO)
        return report(c, operand->name, "overwrites an input or constant");
    for (int i = 0; i < c->n_active && newest >= 0; i++) {
        const struct kiln_plan_value *value = &c->plan->values[c->active[i]];
        if (value->place.region != region || value->first >= c->step || newest < value->first ||
            !meets(c->spans[c->active[i]], span))
            continue;
        if (value->last > c->step || !is_in_place(c, operand))
            return report(c, operand->name, "overwrites a live value");
    }
    return KILN_OK;
}

/* --- boxes to runs ------------------------------------------------------------------- */

/* A strided box as runs of run bytes at base + the sums of outer steps. */
struct runs {
    int64_t base, run, count;
    int n;
    int64_t extent[KILN_LOOP_MAX_DIMS], stride[KILN_LOOP_MAX_DIMS];
};

static struct runs find_runs(int64_t base, int64_t size, int n, const int64_t *extent,
                             const int64_t *stride)
{
    struct runs runs = {.base = base, .run = size, .count = 1};
    bool taken[KILN_LOOP_MAX_DIMS] = {false};
    for (int i = 0; i < n; i++)
        if (stride[i] < 0)
            runs.base += (extent[i] - 1) * stride[i] * size;
    for (;;) { /* the smallest step first */
        int next = -1;
        for (int i = 0; i < n; i++)
            if (!taken[i] && extent[i] > 1 && stride[i] != 0 &&
                (next < 0 || llabs(stride[i]) < llabs(stride[next])))
                next = i;
        if (next < 0)
            return runs;
        taken[next] = true;
        int64_t bytes = llabs(stride[next]) * size;
        if (runs.n == 0 && bytes == runs.run) {
            runs.run *= extent[next];
            continue;
        }
        runs.extent[runs.n] = extent[next];
        runs.stride[runs.n++] = bytes;
        runs.count *= extent[next];
    }
}

static struct span run_at(const struct runs *runs, int64_t number)
{
    int64_t at = runs->base;
    for (int i = 0; i < runs->n; i++) {
        at += number % runs->extent[i] * runs->stride[i];
        number /= runs->extent[i];
    }
    return (struct span){at, at + runs->run};
}

/* Many runs in one pass over what was written before; few, or such as do not
 * ascend, one by one. */
static enum kiln_status record_runs(struct checker *c, enum kiln_region region,
                                    const struct runs *runs)
{
    enum { FEW = 4 };
    struct written *memory = &c->memory[region];
    bool done = true, ascend = runs->count > FEW;
    for (int64_t i = 1; i < runs->count && ascend; i++)
        ascend = run_at(runs, i - 1).end <= run_at(runs, i).start;
    for (int64_t i = 0; i < runs->count && done && !ascend; i++)
        done = written_record(memory, run_at(runs, i), c->step);
    struct span *spans = ascend ? malloc((size_t)runs->count * sizeof *spans) : NULL;
    for (int64_t i = 0; i < runs->count && spans; i++)
        spans[i] = run_at(runs, i);
    if (ascend)
        done = spans && written_record_all(memory, spans, (size_t)runs->count, c->step);
    free(spans);
    if (!done)
        c->status = kiln_fail(c->error, KILN_MACHINE, "out of memory while checking the plan");
    return c->status;
}

static enum kiln_status check_operand(struct checker *c, const struct step_operand *operand,
                                      bool write)
{
    const struct kiln_place *place = &operand->place;
    struct runs runs = find_runs(place->offset, (int64_t)kiln_dtype_bytes(place->dtype), operand->n,
                                 operand->extent, operand->stride);
    int64_t step = runs.count > MAX_RUNS ? runs.count / MAX_RUNS : 1;
    struct span last = run_at(&runs, runs.count - 1);
    if (runs.base < 0 || last.end > c->plan->steps.region_bytes[place->region])
        return report(c, operand->name, "is outside its region");
    for (int64_t i = 0; i < runs.count && !c->status; i += step) {
        struct span span = run_at(&runs, i);
        if (write)
            check_write(c, operand, span);
        else
            check_read(c, operand, span);
    }
    return write && !c->status ? record_runs(c, place->region, &runs) : c->status;
}

static int first_instruction(const struct kiln_loop *loop, int access)
{
    for (int i = 0; i < loop->n_instructions; i++) {
        const struct kiln_instruction *in = &loop->instructions[i];
        if (in->access == access &&
            (in->op == KILN_INSTRUCTION_LOAD || in->op == KILN_INSTRUCTION_STORE))
            return i;
    }
    return loop->n_instructions;
}

/* True for a load of a loop that reads, element by element, what an earlier
 * section of the same loop stored. */
static bool reads_own_store(const struct checker *c, const struct kiln_step *step, int access)
{
    const struct kiln_loop *loop = &step->as.loop;
    if (step->kind != KILN_STEP_LOOP || access >= loop->n_accesses)
        return false;
    for (int i = 0; i < loop->n_accesses; i++) {
        const struct kiln_access *store = &loop->accesses[i], *load = &loop->accesses[access];
        if (!store->store || c->operands[i].place.region != load->place.region ||
            store->place.offset != load->place.offset || store->place.dtype != load->place.dtype ||
            memcmp(store->stride, load->stride, (size_t)loop->n_dims * sizeof *load->stride))
            continue;
        int stored = first_instruction(loop, i), loaded = first_instruction(loop, access);
        if (stored < loaded &&
            loop->instructions[stored].section < loop->instructions[loaded].section)
            return true;
    }
    return false;
}

static enum kiln_status check_step(struct checker *c, int number)
{
    struct step_operand operands[STEP_MAX_OPERANDS];
    c->step = number;
    c->operands = operands;
    c->n_operands = step_operands(&c->plan->steps.steps[number], operands);
    c->n_active = 0;
    for (int i = 0; i < c->plan->n_values; i++)
        if (c->plan->values[i].first <= number && number <= c->plan->values[i].last)
            c->active[c->n_active++] = i;
    for (int i = 0; i < c->n_operands && !c->status; i++)
        if (operands[i].read && !reads_own_store(c, &c->plan->steps.steps[number], i))
            check_operand(c, &operands[i], false);
    for (int i = 0; i < c->n_operands && !c->status; i++)
        if (operands[i].write)
            check_operand(c, &operands[i], true);
    return c->status;
}

/* --- what exists before the first step, and after the last ---------------------------- */

static struct span view_span(const struct kiln_place *place, const struct kiln_view *view)
{
    int64_t size = (int64_t)kiln_dtype_bytes(place->dtype), low = view->offset, high = view->offset;
    for (int axis = 0; axis < view->n; axis++)
        for (int i = 0; i < view->n_digits[axis]; i++) {
            int64_t reach = (view->digits[axis][i].extent - 1) * view->digits[axis][i].stride;
            *(reach < 0 ? &low : &high) += reach;
        }
    return (struct span){place->offset + low * size, place->offset + (high + 1) * size};
}

static void prepare(struct checker *c)
{
    const struct kiln_plan *plan = c->plan;
    bool ok = true;
    for (int i = 0; i < plan->n_values; i++)
        c->spans[i] = view_span(&plan->values[i].place, &plan->values[i].view);
    for (int i = 0; i < plan->n_inputs; i++)
        ok &= written_record(&c->memory[KILN_REGION_IO],
                             view_span(&plan->inputs[i].place, &plan->inputs[i].view), BEFORE);
    for (int i = 0; i < plan->n_constants; i++)
        ok &= written_record(&c->memory[KILN_REGION_IO],
                             (struct span){plan->constants[i].offset,
                                           plan->constants[i].offset + plan->constants[i].bytes},
                             BEFORE);
    if (!ok)
        c->status = kiln_fail(c->error, KILN_MACHINE, "out of memory while checking the plan");
}

static void check_outputs(struct checker *c)
{
    c->step = c->plan->steps.n;
    for (int i = 0; i < c->plan->n_outputs && !c->status; i++) {
        const struct kiln_plan_binding *output = &c->plan->outputs[i];
        int oldest, newest;
        written_by(&c->memory[output->place.region], view_span(&output->place, &output->view),
                   &oldest, &newest);
        if (oldest == WRITTEN_NEVER)
            report(c, output->name, "is an output that no step wrote");
    }
}

enum kiln_status kiln_plan_check(const struct kiln_plan *plan, struct kiln_error *error)
{
    struct checker c = {.plan = plan, .error = error};
    size_t n = (size_t)plan->n_values + 1;
    c.spans = malloc(n * sizeof *c.spans);
    c.active = malloc(n * sizeof *c.active);
    if (!c.spans || !c.active)
        c.status = kiln_fail(error, KILN_MACHINE, "out of memory while checking the plan");
    else
        prepare(&c);
    for (int i = 0; i < plan->steps.n && !c.status; i++)
        check_step(&c, i);
    if (!c.status)
        check_outputs(&c);
    if (!c.status)
        c.status = plan_check_prepared(plan, error);
    for (int i = 0; i < KILN_REGION_COUNT; i++)
        written_finish(&c.memory[i]);
    free(c.spans);
    free(c.active);
    return c.status;
}
