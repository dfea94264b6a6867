/* From the planner's lists to the plan. */
#include <stdlib.h>
#include <string.h>

#include "core/plan/operands.h"
#include "core/plan/planner.h"

static char *keep_name(struct planner *p, const char *name)
{
    char *copy = kiln_arena_strdup(p->arena, name);
    if (!copy)
        plan_fail(p, KILN_MACHINE, "out of memory while planning");
    return copy;
}

static struct kiln_place place_of(const struct planner *p, int node)
{
    const struct value *value = &p->values[node];
    const struct buffer *buffer = &p->buffers[value->buffer];
    return (struct kiln_place){buffer->region, ir_at(p, node)->dtype,
                               buffer->offset + value->offset};
}

static struct kiln_plan_binding bind(struct planner *p, const char *name, int node)
{
    const struct ir_node *n = ir_at(p, node);
    struct kiln_plan_binding binding = {.name = keep_name(p, name),
                                        .dtype = n->dtype,
                                        .shape = n->shape,
                                        .place = place_of(p, node)};
    if (!flat_to_view(&n->layout, &n->shape, &binding.view))
        plan_fail(p, KILN_INPUT, "output %s lies in too many pieces", name);
    return binding;
}

static void bind_inputs(struct planner *p)
{
    struct kiln_plan *plan = p->plan;
    plan->inputs = PLAN_KEEP(p, struct kiln_plan_binding, p->ir.n);
    plan->constants = PLAN_KEEP(p, struct kiln_plan_constant, p->ir.n);
    for (int i = 0; i < p->ir.n; i++) {
        const struct ir_node *node = ir_at(p, i);
        if (!p->values[i].set)
            continue;
        if (node->op == KILN_OP_INPUT && p->buffers[p->values[i].buffer].region == KILN_REGION_IO)
            plan->inputs[plan->n_inputs++] = bind(p, node->label, i);
        if (node->op != KILN_OP_CONST)
            continue;
        int64_t bytes = node->count * (int64_t)kiln_dtype_bytes(node->dtype);
        void *data = plan_keep(p, (size_t)bytes, 1);
        memcpy(data, node->data, (size_t)bytes);
        plan->constants[plan->n_constants++] =
            (struct kiln_plan_constant){place_of(p, i).offset, bytes, data};
    }
}

static void bind_outputs(struct planner *p)
{
    struct kiln_plan *plan = p->plan;
    plan->outputs = PLAN_KEEP(p, struct kiln_plan_binding, p->n_outputs);
    for (int i = 0; i < p->n_outputs; i++)
        plan->outputs[plan->n_outputs++] =
            bind(p, kiln_graph_output_at(p->graph, i, NULL), p->outputs[i]);
}

static void add_value(struct planner *p, const struct ir_node *node, struct kiln_place place,
                      const struct flat *layout, int first, int last)
{
    struct kiln_plan_value value = {
        .node = node->origin, .shape = node->shape, .place = place, .first = first, .last = last};
    if (!flat_to_view(layout, &node->shape, &value.view)) {
        /* rare: seen as one axis of elements, or as bytes that lie densely */
        struct flat dense = flat_dense(node->count);
        value.shape = KILN_SHAPE(node->count);
        if (!flat_to_view(layout, &value.shape, &value.view))
            flat_to_view(&dense, &value.shape, &value.view);
    }
    p->plan->values[p->plan->n_values++] = value;
}

/* A part of a join lives as long as the join. */
static int last_use(const struct planner *p, int node)
{
    const struct ir_node *n = ir_at(p, node);
    int last = p->values[node].last;
    if (n->home == IR_HOME_JOIN && p->values[n->home_node].last > last)
        last = p->values[n->home_node].last;
    return n->is_output || p->options->keep ? p->n_steps - 1 : last;
}

static void list_values(struct planner *p)
{
    p->plan->values = PLAN_KEEP(p, struct kiln_plan_value, p->ir.n + p->n_temporaries);
    for (int i = 0; i < p->ir.n; i++) {
        const struct ir_node *node = ir_at(p, i);
        if (p->values[i].set && !ir_is_source(node) && node->home != IR_HOME_STATE)
            add_value(p, node, place_of(p, i), &node->layout, p->values[i].first, last_use(p, i));
    }
    for (int i = 0; i < p->n_temporaries; i++) {
        const struct ir_node *node = ir_at(p, p->temporaries[i].node);
        const struct buffer *buffer = &p->buffers[p->temporaries[i].buffer];
        struct flat dense = flat_dense(node->count);
        struct kiln_place place = {buffer->region, node->dtype, buffer->offset};
        add_value(p, node, place, &dense, p->temporaries[i].first,
                  p->options->keep ? p->n_steps - 1 : p->temporaries[i].last);
    }
}

/* --- what of the states is read and written ------------------------------------------ */

static int by_start(const void *x, const void *y)
{
    const struct kiln_plan_span *a = x, *b = y;
    return (a->start > b->start) - (a->start < b->start);
}

/* Spans of the state region that the first n_steps steps read, or write. */
static struct kiln_plan_span *list_spans(struct planner *p, int n_steps, bool write, int *n)
{
    struct step_operand operands[STEP_MAX_OPERANDS];
    struct kiln_plan_span *spans = PLAN_KEEP(p, struct kiln_plan_span, p->n_fixups + 1);
    int count = 0;
    for (int i = 0; i < n_steps; i++) {
        int n_operands = step_operands(p->steps[i], operands);
        for (int k = 0; k < n_operands; k++)
            if (operands[k].place.region == KILN_REGION_STATE &&
                (write ? operands[k].write : operands[k].read))
                spans[count++] = step_operand_span(&operands[k]);
    }
    qsort(spans, (size_t)count, sizeof *spans, by_start);
    *n = 0;
    for (int i = 0; i < count; i++) {
        struct kiln_plan_span *last = *n ? &spans[*n - 1] : NULL;
        if (!last || spans[i].start >= last->end + KILN_PLACE_ALIGNMENT)
            spans[(*n)++] = spans[i];
        else if (spans[i].end > last->end)
            last->end = spans[i].end;
    }
    return spans;
}

void plan_finish(struct planner *p)
{
    struct kiln_plan *plan = p->plan;
    struct kiln_step *steps = PLAN_KEEP(p, struct kiln_step, p->n_steps);
    for (int i = 0; i < p->n_steps; i++) {
        steps[i] = *p->steps[i];
        plan->flops += step_flops(&steps[i]);
    }
    plan->steps.n = p->n_steps;
    plan->steps.steps = steps;
    plan->feature_layout = p->options->feature_layout;
    plan->prepared_reads = list_spans(p, plan->n_prepared, false, &plan->n_prepared_reads);
    plan->state_writes = list_spans(p, p->n_steps, true, &plan->n_state_writes);
    bind_inputs(p);
    bind_outputs(p);
    list_values(p);
}
