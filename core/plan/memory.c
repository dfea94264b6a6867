/* Lifetimes, in-place stores and the offsets of all buffers. */
#include <stdlib.h>
#include <string.h>

#include "core/plan/planner.h"

static int64_t aligned(int64_t bytes)
{
    return (bytes + KILN_PLACE_ALIGNMENT - 1) / KILN_PLACE_ALIGNMENT * KILN_PLACE_ALIGNMENT;
}

/* --- in place ---------------------------------------------------------------- */

static int root_of(const struct planner *p, int buffer)
{
    while (p->buffers[buffer].alias >= 0)
        buffer = p->buffers[buffer].alias;
    return buffer;
}

/* The accesses of one loop step, with their buffers. */
struct loop_uses {
    const struct kiln_loop *loop;
    int step;
    int buffer[KILN_LOOP_MAX_ACCESSES];
    int64_t offset[KILN_LOOP_MAX_ACCESSES];
};

static bool same_strides(const struct kiln_loop *loop, int a, int b)
{
    for (int d = 0; d < loop->n_dims; d++)
        if (loop->accesses[a].stride[d] != loop->accesses[b].stride[d])
            return false;
    return true;
}

/* The place of an access' instruction in the program: its first or last one. */
static int section_of(const struct kiln_loop *loop, int access, bool last)
{
    int found = -1;
    for (int i = 0; i < loop->n_instructions; i++) {
        const struct kiln_instruction *in = &loop->instructions[i];
        if (in->access == access &&
            (in->op == KILN_INSTRUCTION_LOAD || in->op == KILN_INSTRUCTION_STORE)) {
            found = i;
            if (!last)
                break;
        }
    }
    return found;
}

/* True if the store may take the memory that the load's buffer leaves: nothing
 * reads that later, and in this loop each element is read before it is written. */
static bool may_replace(const struct planner *p, const struct loop_uses *uses, int store, int load)
{
    const struct kiln_loop *loop = uses->loop;
    int from = root_of(p, uses->buffer[load]), to = uses->buffer[store];
    const struct buffer *old = &p->buffers[from], *new = &p->buffers[to];
    if (old->region != KILN_REGION_WORKSPACE || old->fixed || old->last != uses->step ||
        old->first >= uses->step || old->bytes != new->bytes || uses->offset[load] ||
        uses->offset[store])
        return false;
    for (int a = 0; a < loop->n_accesses; a++) {
        if (root_of(p, uses->buffer[a]) != from)
            continue;
        if (loop->accesses[a].store || uses->offset[a] || !same_strides(loop, a, store) ||
            kiln_dtype_bytes(loop->accesses[a].place.dtype) !=
                kiln_dtype_bytes(loop->accesses[store].place.dtype) ||
            section_of(loop, a, true) > section_of(loop, store, false))
            return false;
    }
    return true;
}

static void find_in_place(struct planner *p, struct loop_uses *uses)
{
    const struct kiln_loop *loop = uses->loop;
    for (int s = 0; s < loop->n_accesses; s++) {
        const struct buffer *target = &p->buffers[uses->buffer[s]];
        if (!loop->accesses[s].store || target->region != KILN_REGION_WORKSPACE || target->fixed ||
            target->first != uses->step || target->alias >= 0)
            continue;
        for (int a = 0; a < loop->n_accesses; a++) {
            if (loop->accesses[a].store || !may_replace(p, uses, s, a))
                continue;
            int root = root_of(p, uses->buffer[a]);
            p->buffers[uses->buffer[s]].alias = root;
            p->buffers[root].last = target->last;
            break;
        }
    }
}

static void share_in_place(struct planner *p)
{
    int fixup = 0;
    for (int i = 0; i < p->n_steps; i++) {
        int end = fixup;
        while (end < p->n_fixups && p->fixups[end].step == i)
            end++;
        if (p->steps[i]->kind == KILN_STEP_LOOP) {
            struct loop_uses uses = {.loop = &p->steps[i]->as.loop, .step = i};
            for (int f = fixup; f < end; f++)
                for (int a = 0; a < uses.loop->n_accesses; a++)
                    if (p->fixups[f].place == &uses.loop->accesses[a].place) {
                        uses.buffer[a] = p->fixups[f].buffer;
                        uses.offset[a] = p->fixups[f].place->offset;
                    }
            find_in_place(p, &uses);
        }
        fixup = end;
    }
}

/* --- offsets ------------------------------------------------------------------- */

static bool overlap_in_time(const struct buffer *a, const struct buffer *b)
{
    return a->first <= b->last && b->first <= a->last;
}

struct sortable {
    int64_t bytes;
    int first, buffer;
};

static int larger_first(const void *x, const void *y)
{
    const struct sortable *a = x, *b = y;
    if (a->bytes != b->bytes)
        return a->bytes > b->bytes ? -1 : 1;
    return a->first != b->first ? (a->first < b->first ? -1 : 1) : a->buffer - b->buffer;
}

/* Buffers already placed, by offset. */
struct placed {
    int n;
    int *buffers;
};

/* The smallest gap that holds the buffer among those it meets in time. */
static int64_t best_gap(const struct planner *p, const struct placed *placed,
                        const struct buffer *buffer)
{
    int64_t end = 0, best = -1, best_size = INT64_MAX;
    for (int i = 0; i < placed->n; i++) {
        const struct buffer *other = &p->buffers[placed->buffers[i]];
        if (!overlap_in_time(buffer, other))
            continue;
        int64_t gap = other->offset - end;
        if (gap >= aligned(buffer->bytes) && gap < best_size) {
            best = end;
            best_size = gap;
        }
        if (other->offset + aligned(other->bytes) > end)
            end = other->offset + aligned(other->bytes);
    }
    return best >= 0 ? best : end;
}

static void insert(struct planner *p, struct placed *placed, int buffer)
{
    int at = placed->n++;
    for (; at && p->buffers[placed->buffers[at - 1]].offset > p->buffers[buffer].offset; at--)
        placed->buffers[at] = placed->buffers[at - 1];
    placed->buffers[at] = buffer;
}

static void place_workspace(struct planner *p)
{
    bool reuse = p->options->reuse && !p->options->keep;
    struct sortable *order = PLAN_SCRATCH(p, struct sortable, p->n_buffers);
    struct placed placed = {.buffers = PLAN_SCRATCH(p, int, p->n_buffers)};
    int n = 0;
    int64_t end = 0;
    for (int i = 0; i < p->n_buffers; i++) {
        const struct buffer *buffer = &p->buffers[i];
        if (buffer->region == KILN_REGION_WORKSPACE && buffer->alias < 0 &&
            buffer->first <= buffer->last)
            order[n++] = (struct sortable){buffer->bytes, buffer->first, i};
    }
    if (reuse)
        qsort(order, (size_t)n, sizeof *order, larger_first);
    for (int i = 0; i < n; i++) {
        struct buffer *buffer = &p->buffers[order[i].buffer];
        buffer->offset = reuse ? best_gap(p, &placed, buffer) : end;
        if (buffer->offset + aligned(buffer->bytes) > end)
            end = buffer->offset + aligned(buffer->bytes);
        if (reuse)
            insert(p, &placed, order[i].buffer);
    }
    p->plan->steps.region_bytes[KILN_REGION_WORKSPACE] = end;
}

/* Inputs, outputs and constants one after the other; the size of the shared
 * regions as far as they are used. */
static void place_others(struct planner *p)
{
    int64_t *bytes = p->plan->steps.region_bytes;
    for (int i = 0; i < p->n_buffers; i++) {
        struct buffer *buffer = &p->buffers[i];
        if (buffer->region == KILN_REGION_WORKSPACE)
            continue;
        if (!buffer->fixed) {
            buffer->offset = bytes[KILN_REGION_IO];
            bytes[KILN_REGION_IO] += aligned(buffer->bytes);
        } else if (buffer->region != KILN_REGION_STATE &&
                   buffer->offset + buffer->bytes > bytes[buffer->region]) {
            bytes[buffer->region] = buffer->offset + buffer->bytes;
        }
    }
    if (p->options->states)
        bytes[KILN_REGION_STATE] = kiln_states_bytes(p->options->states);
}

static void measure(struct planner *p)
{
    int64_t *change = PLAN_SCRATCH(p, int64_t, p->n_steps + 1), live = 0;
    for (int i = 0; i < p->n_buffers; i++) {
        const struct buffer *buffer = &p->buffers[i];
        if (buffer->region != KILN_REGION_WORKSPACE || buffer->alias >= 0 ||
            buffer->first > buffer->last)
            continue;
        change[buffer->first] += aligned(buffer->bytes);
        change[buffer->last + 1] -= aligned(buffer->bytes);
    }
    for (int i = 0; i < p->n_steps; i++) {
        live += change[i];
        if (live > p->plan->live_bytes)
            p->plan->live_bytes = live;
    }
}

void plan_memory(struct planner *p)
{
    for (int i = 0; i < p->n_temporaries; i++) { /* before the buffers share memory */
        p->temporaries[i].first = p->buffers[p->temporaries[i].buffer].first;
        p->temporaries[i].last = p->buffers[p->temporaries[i].buffer].last;
    }
    if (p->options->fuse && p->options->reuse && !p->options->keep)
        share_in_place(p);
    place_workspace(p);
    place_others(p);
    measure(p);
    for (int i = 0; i < p->n_buffers; i++)
        if (p->buffers[i].alias >= 0)
            p->buffers[i].offset = p->buffers[root_of(p, i)].offset;
    for (int i = 0; i < p->n_fixups; i++)
        p->fixups[i].place->offset += p->buffers[p->fixups[i].buffer].offset;
}
