/* The order of execution: clusters and big nodes, each after what it reads and
 * before what overwrites a state that it reads; else as the graph was built. */
#include "core/plan/cluster.h"

struct link {
    int to;
    struct link *next;
};

struct order {
    struct planner *p;
    int n_units;  /* clusters first, then nodes */
    int *unit_of; /* of each IR node with a step of its own or stored by a cluster */
    int *node_of; /* of each unit; -1 for clusters */
    int *n_waits; /* unfinished units before each */
    struct link **after;
    int *writer;       /* unit that writes each state, -1 */
    int64_t *key;      /* of each unit: place in the graph */
    int *heap, n_heap; /* ready units, the smallest key first */
};

static void add_link(struct order *o, int from, int to)
{
    if (from < 0 || from == to)
        return;
    struct link *link = PLAN_SCRATCH(o->p, struct link, 1);
    *link = (struct link){to, o->after[from]};
    o->after[from] = link;
    o->n_waits[to]++;
}

/* Links the unit to the writers of a node that it reads. */
static void add_read(struct order *o, int source, int unit)
{
    const struct ir_node *node = ir_at(o->p, source);
    if (node->op == KILN_OP_STATE) {
        int writer = o->writer[node->state];
        if (writer >= 0)
            add_link(o, unit, writer);
    } else if (node->op == IR_JOIN) {
        for (int i = 0; i < node->n_operands; i++)
            add_read(o, node->operands[i], unit);
    } else if (node->op == KILN_OP_OUTPUT) {
        add_link(o, o->unit_of[node->operands[0]], unit);
    } else {
        add_link(o, o->unit_of[source], unit);
    }
}

static bool has_step(const struct ir_node *node)
{
    return !ir_is_pointwise(node) && !ir_is_reduce(node) && !ir_is_view(node) &&
           !ir_is_source(node) && node->op != IR_JOIN && node->op != KILN_OP_OUTPUT;
}

static void find_units(struct order *o)
{
    struct planner *p = o->p;
    o->unit_of = PLAN_SCRATCH(p, int, p->ir.n);
    o->node_of = PLAN_SCRATCH(p, int, p->n_clusters + p->ir.n);
    o->n_units = p->n_clusters;
    for (int i = 0; i < p->n_clusters; i++)
        o->node_of[i] = -1;
    for (int i = 0; i < p->ir.n; i++) {
        o->unit_of[i] = p->home_cluster[i];
        if (!p->needed[i] || !has_step(ir_at(p, i)))
            continue;
        o->unit_of[i] = o->n_units;
        o->node_of[o->n_units++] = i;
    }
}

bool plan_writes_state(const struct planner *p, const struct ir_node *node, int state)
{
    return (node->home == IR_HOME_STATE && node->home_node == state) ||
           (node->op == KILN_OP_UPDATE &&
            kiln_states_at(p->options->states, state)->group == node->group);
}

static void find_writers(struct order *o)
{
    const kiln_states *states = o->p->options->states;
    int n = states ? kiln_states_count(states) : 0;
    o->writer = PLAN_SCRATCH(o->p, int, n);
    for (int i = 0; i < n; i++)
        o->writer[i] = -1;
    for (int i = 0; i < o->p->ir.n; i++) {
        for (int s = 0; s < n; s++)
            if (plan_writes_state(o->p, ir_at(o->p, i), s))
                o->writer[s] = o->unit_of[i];
    }
}

static void find_links(struct order *o)
{
    struct planner *p = o->p;
    for (int unit = 0; unit < o->n_units; unit++) {
        if (o->node_of[unit] < 0) {
            const struct cluster *c = p->clusters[unit];
            for (int i = 0; i < c->n_wants; i++)
                if (c->wants[i].state == WANT_LOAD)
                    add_read(o, ir_at(p, c->wants[i].node)->source, unit);
            continue;
        }
        const struct ir_node *node = ir_at(p, o->node_of[unit]);
        for (int i = 0; i < node->n_operands; i++)
            add_read(o, ir_at(p, node->operands[i])->source, unit);
    }
}

/* A cluster comes after the last node that it computes. Copies do not count:
 * those into the arena of gradients stand at the graph's end, and what a
 * gradient is summed of would wait in memory till then. */
static int cluster_place(const struct planner *p, const struct cluster *c)
{
    int last = -1;
    for (int i = 0; i < c->n_members; i++)
        if (ir_at(p, c->members[i].node)->op != IR_COPY && c->members[i].node > last)
            last = c->members[i].node;
    return last < 0 ? c->last_node : last;
}

/* Effects come last. */
static void find_keys(struct order *o)
{
    const struct planner *p = o->p;
    o->key = PLAN_SCRATCH(o->p, int64_t, o->n_units);
    for (int unit = 0; unit < o->n_units; unit++) {
        const struct cluster *c = o->node_of[unit] < 0 ? p->clusters[unit] : NULL;
        bool effect = c ? c->effect : ir_at(p, o->node_of[unit])->op == KILN_OP_UPDATE;
        o->key[unit] = (c ? cluster_place(p, c) : o->node_of[unit]) + (effect ? p->ir.n : 0);
    }
}

static void heap_push(struct order *o, int unit)
{
    int at = o->n_heap++;
    for (; at && o->key[o->heap[(at - 1) / 2]] > o->key[unit]; at = (at - 1) / 2)
        o->heap[at] = o->heap[(at - 1) / 2];
    o->heap[at] = unit;
}

static int heap_pop(struct order *o)
{
    int top = o->heap[0], last = o->heap[--o->n_heap], at = 0;
    for (;;) {
        int child = 2 * at + 1;
        if (child >= o->n_heap)
            break;
        if (child + 1 < o->n_heap && o->key[o->heap[child + 1]] < o->key[o->heap[child]])
            child++;
        if (o->key[o->heap[child]] >= o->key[last])
            break;
        o->heap[at] = o->heap[child];
        at = child;
    }
    o->heap[at] = last;
    return top;
}

void plan_order(struct planner *p)
{
    struct order o = {.p = p};
    find_units(&o);
    o.n_waits = PLAN_SCRATCH(p, int, o.n_units);
    o.after = PLAN_SCRATCH(p, struct link *, o.n_units);
    o.heap = PLAN_SCRATCH(p, int, o.n_units + 1);
    find_writers(&o);
    find_links(&o);
    find_keys(&o);
    for (int unit = 0; unit < o.n_units; unit++)
        if (!o.n_waits[unit])
            heap_push(&o, unit);
    int done = 0;
    for (; o.n_heap; done++) {
        int unit = heap_pop(&o);
        if (o.node_of[unit] < 0)
            plan_lower_cluster(p, p->clusters[unit]);
        else
            plan_lower_big(p, o.node_of[unit]);
        for (struct link *link = o.after[unit]; link; link = link->next)
            if (--o.n_waits[link->to] == 0)
                heap_push(&o, link->to);
    }
    if (done < o.n_units)
        plan_fail(p, KILN_INPUT, "the effects of the graph depend on each other in a circle");
}
