/* Which steps need not be repeated in every execution: those that compute from
 * constants and from parameters that the plan does not change (other layouts
 * of weights above all). They come first, and what they store stays in memory
 * of the executable's own. */
#include <string.h>

#include "core/plan/operands.h"
#include "core/plan/planner.h"

/* A step's read or write of a buffer. */
struct use {
    int step, buffer;
    bool write;
};

struct preparing {
    struct planner *p;
    int n_uses;
    struct use *uses;
    bool *constant; /* of each buffer: the same in every execution */
    bool *written;  /* of each buffer: by some step */
    bool *prepared; /* of each step */
};

static void add_uses(struct preparing *s, int step, const struct fixup *fixups, int n)
{
    struct step_operand operands[STEP_MAX_OPERANDS];
    const struct kiln_step *from = s->p->steps[step];
    int n_operands = step_operands(from, operands);
    for (int i = 0; i < n_operands; i++) {
        for (int f = 0; f < n && operands[i].at != &from->scratch; f++) {
            if (fixups[f].place != operands[i].at)
                continue;
            s->uses[s->n_uses++] = (struct use){step, fixups[f].buffer, operands[i].write};
            if (operands[i].write)
                s->written[fixups[f].buffer] = true;
        }
    }
}

/* Fixups ascend by step. */
static void find_uses(struct preparing *s)
{
    const struct planner *p = s->p;
    s->uses = PLAN_SCRATCH(s->p, struct use, p->n_fixups);
    s->written = PLAN_SCRATCH(s->p, bool, p->n_buffers);
    for (int first = 0, end; first < p->n_fixups; first = end) {
        for (end = first + 1; end < p->n_fixups && p->fixups[end].step == p->fixups[first].step;)
            end++;
        add_uses(s, p->fixups[first].step, p->fixups + first, end - first);
    }
}

/* Parameters only: what a sampler carries from plan to plan changes with every
 * execution of another one. */
static bool is_constant_state(const struct planner *p, int state)
{
    const struct kiln_state_slot *slot = kiln_states_at(p->options->states, state);
    for (int i = 0; i < p->ir.n; i++)
        if (plan_writes_state(p, ir_at(p, i), state))
            return false;
    return slot->state.trainable;
}

/* Before anything is known of the steps. */
static void find_constants(struct preparing *s)
{
    const struct planner *p = s->p;
    s->constant = PLAN_SCRATCH(s->p, bool, p->n_buffers);
    for (int b = 0; b < p->n_buffers; b++)
        s->constant[b] =
            p->buffers[b].region != KILN_REGION_STATE && p->buffers[b].region != KILN_REGION_DATA;
    for (int i = 0; i < p->ir.n; i++) {
        const struct ir_node *node = ir_at(p, i);
        if (!p->values[i].set)
            continue;
        if (node->op == KILN_OP_INPUT)
            s->constant[p->values[i].buffer] = false;
        else if (node->op == KILN_OP_STATE)
            s->constant[p->values[i].buffer] = is_constant_state(p, node->state);
    }
}

/* A step is prepared if all that it reads is constant; a buffer stays constant
 * if all of its writers are. */
static void find_prepared(struct preparing *s)
{
    s->prepared = PLAN_SCRATCH(s->p, bool, s->p->n_steps);
    for (int i = 0; i < s->p->n_steps; i++)
        s->prepared[i] = s->p->options->fuse;
    for (bool changed = true; changed;) {
        changed = false;
        for (int i = 0; i < s->n_uses; i++) {
            const struct use *use = &s->uses[i];
            if (s->prepared[use->step] && !s->constant[use->buffer]) {
                s->prepared[use->step] = false;
                changed = true;
            }
            if (use->write && s->constant[use->buffer] && !s->prepared[use->step]) {
                s->constant[use->buffer] = false;
                changed = true;
            }
        }
    }
}

/* The new number of each step; sets the plan's number of prepared ones. */
static int *number_steps(struct preparing *s)
{
    struct planner *p = s->p;
    int *number = PLAN_SCRATCH(p, int, p->n_steps), n = 0;
    for (int first = 1; first >= 0; first--) {
        for (int i = 0; i < p->n_steps; i++)
            if (s->prepared[i] == (first == 1))
                number[i] = n++;
        if (first)
            p->plan->n_prepared = n;
    }
    return number;
}

static void sort_fixups(struct planner *p, const int *number)
{
    struct fixup *sorted = PLAN_SCRATCH(p, struct fixup, p->n_fixups);
    int n = 0;
    for (int prepared = 1; prepared >= 0; prepared--)
        for (int i = 0; i < p->n_fixups; i++) {
            int step = number[p->fixups[i].step];
            if ((step < p->plan->n_prepared) != (prepared == 1))
                continue;
            sorted[n] = p->fixups[i];
            sorted[n++].step = step;
        }
    memcpy(p->fixups, sorted, (size_t)n * sizeof *sorted);
}

/* What prepared steps store is alive to the end of every execution. Steps that
 * touch anything else keep their order, so ends map to ends. */
static void renumber(const struct preparing *s, const int *number, bool kept, int *first, int *last)
{
    if (*first > *last)
        return;
    *first = number[*first];
    *last = kept ? s->p->n_steps - 1 : number[*last];
}

static void move_steps(struct preparing *s, const int *number)
{
    struct planner *p = s->p;
    struct kiln_step **steps = PLAN_SCRATCH(p, struct kiln_step *, p->n_steps);
    for (int i = 0; i < p->n_steps; i++)
        steps[number[i]] = p->steps[i];
    memcpy(p->steps, steps, (size_t)p->n_steps * sizeof *steps);
    sort_fixups(p, number);
    for (int i = 0; i < p->ir.n; i++) {
        struct value *value = &p->values[i];
        if (value->set)
            renumber(s, number, s->constant[value->buffer] && s->written[value->buffer],
                     &value->first, &value->last);
    }
    for (int b = 0; b < p->n_buffers; b++) {
        struct buffer *buffer = &p->buffers[b];
        bool kept = s->constant[b] && s->written[b];
        renumber(s, number, kept, &buffer->first, &buffer->last);
        if (kept)
            buffer->region = KILN_REGION_IO;
    }
    for (int i = 0; i < p->n_fixups; i++)
        p->fixups[i].place->region = p->buffers[p->fixups[i].buffer].region;
}

void plan_prepare(struct planner *p)
{
    struct preparing s = {.p = p};
    find_uses(&s);
    find_constants(&s);
    find_prepared(&s);
    for (int i = 0; i < p->n_reorders; i++)
        p->plan->n_reorders += !s.prepared[p->reorders[i]];
    move_steps(&s, number_steps(&s));
}
