/* Buffers, and where each node's value lies in them. */
#include <string.h>

#include "core/plan/planner.h"

int plan_buffer(struct planner *p, enum kiln_region region, int64_t bytes)
{
    plan_grow(p, &p->buffers, &p->buffer_capacity, p->n_buffers, sizeof *p->buffers);
    p->buffers[p->n_buffers] = (struct buffer){.region = region,
                                               .bytes = bytes,
                                               .offset = -1,
                                               .first = INT32_MAX,
                                               .last = -1,
                                               .alias = -1};
    return p->n_buffers++;
}

static int fixed_buffer(struct planner *p, enum kiln_region region, int64_t offset, int64_t bytes)
{
    int buffer = plan_buffer(p, region, bytes);
    p->buffers[buffer].fixed = true;
    p->buffers[buffer].offset = offset;
    return buffer;
}

void plan_place(struct planner *p, int buffer, int64_t offset, enum kiln_dtype dtype,
                struct kiln_place *place)
{
    int step = p->n_steps - 1;
    *place = (struct kiln_place){p->buffers[buffer].region, dtype, offset};
    plan_grow(p, &p->fixups, &p->fixup_capacity, p->n_fixups, sizeof *p->fixups);
    p->fixups[p->n_fixups++] = (struct fixup){place, buffer, step};
    if (p->buffers[buffer].first > step)
        p->buffers[buffer].first = step;
    if (p->buffers[buffer].last < step)
        p->buffers[buffer].last = step;
}

static int state_buffer(struct planner *p, int state, bool written, int64_t bytes)
{
    int64_t offset = kiln_states_offset(p->options->states, state, KILN_STATE_VALUE);
    int64_t ema = kiln_states_offset(p->options->states, state, KILN_STATE_EMA);
    return fixed_buffer(p, KILN_REGION_STATE,
                        p->options->use_ema && !written && ema >= 0 ? ema : offset, bytes);
}

static int input_buffer(struct planner *p, const struct ir_node *node, int64_t bytes)
{
    for (int i = 0; i < p->options->n_data; i++)
        if (!strcmp(p->options->data[i].name, node->label))
            return fixed_buffer(p, KILN_REGION_DATA, p->options->data[i].offset, bytes);
    return plan_buffer(p, KILN_REGION_IO, bytes);
}

static struct value new_value(struct planner *p, int id)
{
    const struct ir_node *node = ir_at(p, id);
    int64_t size = (int64_t)kiln_dtype_bytes(node->dtype), bytes = node->count * size;
    struct value value = {.set = true, .first = INT32_MAX, .last = -1};
    if (node->home == IR_HOME_JOIN) {
        struct value *join = &p->values[node->home_node];
        if (!join->set)
            *join = new_value(p, node->home_node);
        value.buffer = join->buffer;
        value.offset = node->home_offset * size;
    } else if (node->home == IR_HOME_STATE) {
        value.buffer = state_buffer(p, node->home_node, true, bytes);
    } else if (node->op == KILN_OP_STATE) {
        value.buffer = state_buffer(p, node->state, false, bytes);
    } else if (node->op == KILN_OP_INPUT) {
        value.buffer = input_buffer(p, node, bytes);
    } else {
        bool io = node->is_output || node->op == KILN_OP_CONST;
        value.buffer = plan_buffer(p, io ? KILN_REGION_IO : KILN_REGION_WORKSPACE, bytes);
    }
    return value;
}

static void touch(struct value *value, int step)
{
    if (value->first > step)
        value->first = step;
    if (value->last < step)
        value->last = step;
}

void plan_operand(struct planner *p, int id, struct kiln_place *place)
{
    const struct ir_node *node = ir_at(p, id), *source = ir_at(p, node->source);
    struct value *value = &p->values[node->source];
    if (!value->set) {
        struct value made = new_value(p, node->source);
        *value = made;
    }
    touch(value, p->n_steps - 1);
    if (source->home == IR_HOME_JOIN)
        touch(&p->values[source->home_node], p->n_steps - 1);
    plan_place(p, value->buffer,
               value->offset + node->layout.offset * (int64_t)kiln_dtype_bytes(node->dtype),
               node->dtype, place);
}

int plan_temporary(struct planner *p, int id)
{
    const struct ir_node *node = ir_at(p, id);
    int buffer =
        plan_buffer(p, KILN_REGION_WORKSPACE, node->count * (int64_t)kiln_dtype_bytes(node->dtype));
    plan_grow(p, &p->temporaries, &p->temporary_capacity, p->n_temporaries, sizeof *p->temporaries);
    p->temporaries[p->n_temporaries++] = (struct temporary){.node = id, .buffer = buffer};
    return buffer;
}
