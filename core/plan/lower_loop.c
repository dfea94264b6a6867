/* Clusters -> loop steps: the program. Its dimensions are in lower_dims.c. */
#include "core/plan/program.h"

static int emit(struct program *g, struct kiln_instruction instruction)
{
    struct loop_build *build = g->build;
    if (build->n_instructions == KILN_LOOP_MAX_INSTRUCTIONS)
        plan_fail(g->p, KILN_INPUT, "node %d: the loop has too many instructions",
                  build->node->origin);
    build->instructions[build->n_instructions] = instruction;
    return build->n_instructions++;
}

static struct kiln_instruction make(int op, int section, bool integer)
{
    return (struct kiln_instruction){.op = (uint16_t)op,
                                     .section = (uint8_t)section,
                                     .integer = integer,
                                     .a = -1,
                                     .b = -1,
                                     .c = -1,
                                     .access = -1};
}

static int emit_load(struct program *g, int want, int section)
{
    struct registers *r = &g->want[want];
    const struct want *w = &g->c->wants[want];
    bool element = loop_is_element(g->c, &w->map);
    if (!element && r->outer >= 0)
        return r->outer;
    if (element && r->section == section)
        return r->element;
    struct kiln_instruction in =
        make(KILN_INSTRUCTION_LOAD, element ? section : 0, ir_at(g->p, w->node)->dtype == KILN_I32);
    in.access = (int16_t)g->access[want];
    int number = emit(g, in);
    if (element)
        *r = (struct registers){r->outer, number, section};
    else
        r->outer = number;
    return number;
}

/* The register of a member's operand as seen from the section. */
static int operand_register(struct program *g, int member, int k, int section)
{
    int want = loop_resolve(g->c, g->c->members[member].wants[k]);
    const struct want *w = &g->c->wants[want];
    if (w->state == WANT_LOAD)
        return emit_load(g, want, section);
    const struct registers *r = &g->member[w->target];
    return r->section == section ? r->element : r->outer;
}

/* True if a cast changes nothing between registers. */
static bool is_plain_cast(enum kiln_dtype from, enum kiln_dtype to)
{
    return (from == KILN_I32) == (to == KILN_I32);
}

static int emit_member(struct program *g, int m, int section)
{
    const struct ir_node *node = program_node(g, m);
    int operands[3] = {-1, -1, -1};
    for (int k = 0; k < node->n_operands; k++)
        operands[k] = operand_register(g, m, k, section);
    if (node->op == IR_COPY || node->op == KILN_OP_STOP_GRADIENT ||
        (node->op == KILN_OP_CAST &&
         is_plain_cast(ir_at(g->p, node->operands[0])->dtype, node->dtype)))
        return operands[0];
    int op = node->op == KILN_OP_REDUCE_SUM   ? (int)KILN_INSTRUCTION_SUM
             : node->op == KILN_OP_REDUCE_MAX ? (int)KILN_INSTRUCTION_MAX
                                              : node->op;
    struct kiln_instruction in = make(op, section, node->dtype == KILN_I32);
    in.a = (int16_t)operands[0];
    in.b = (int16_t)operands[1];
    in.c = (int16_t)operands[2];
    if (op == KILN_OP_CONST)
        in.immediate.f = (float)node->params.constant.value;
    return emit(g, in);
}

/* Reads what an earlier section stored. */
static int emit_reload(struct program *g, int m, int section)
{
    struct kiln_instruction in =
        make(KILN_INSTRUCTION_LOAD, section, program_node(g, m)->dtype == KILN_I32);
    if (g->reload_access[m] < 0)
        g->reload_access[m] = loop_add_reload(
            g->p, g->build, g->store_access[g->spill[m] >= 0 ? g->spill[m] : m]);
    in.access = (int16_t)g->reload_access[m];
    return emit(g, in);
}

/* Stores a member's value in its own place, or in that of another one. */
static void emit_store(struct program *g, int m, int place, int section)
{
    const struct registers *r = &g->member[m];
    struct kiln_instruction in =
        make(KILN_INSTRUCTION_STORE, section, program_node(g, m)->dtype == KILN_I32);
    if (g->store_access[place] < 0)
        g->store_access[place] = loop_add_store(g->p, g->build, g->c, place);
    in.a = (int16_t)(r->section == section ? r->element : r->outer);
    in.access = (int16_t)g->store_access[place];
    emit(g, in);
}

static void emit_stores(struct program *g, int section)
{
    for (int i = 0; i < g->c->n_members; i++) {
        int m = g->order[i];
        if (g->c->members[m].stored && g->store_section[m] == section)
            emit_store(g, m, m, section);
        if (g->spill[m] >= 0 && g->spill_section[m] == section)
            emit_store(g, m, g->spill[m], section);
    }
}

/* Members whose value exists from the even section on. */
static void emit_outer(struct program *g, int section)
{
    for (int i = 0; i < g->c->n_members; i++) {
        int m = g->order[i];
        const struct member *member = &g->c->members[m];
        if (loop_is_element(g->c, &member->map) || ir_is_reduce(program_node(g, m)) ||
            2 * g->stage[m] != section)
            continue;
        g->member[m].outer = emit_member(g, m, section);
    }
    emit_stores(g, section);
}

static void emit_pass(struct program *g, int pass)
{
    int section = 2 * pass - 1;
    program_find_used(g, pass);
    for (int i = 0; i < g->c->n_members; i++) {
        int m = g->order[i];
        if (!g->used[m])
            continue;
        int number =
            g->used[m] == RELOADED ? emit_reload(g, m, section) : emit_member(g, m, section);
        if (ir_is_reduce(program_node(g, m)))
            g->member[m].outer = number;
        else
            g->member[m] = (struct registers){g->member[m].outer, number, section};
    }
    emit_stores(g, section);
}

/* Outer loads stand in section 0, whoever needs them later. */
static void emit_outer_loads(struct program *g)
{
    for (int w = 0; w < g->c->n_wants && g->c->any_reduced; w++)
        if (g->c->wants[w].state == WANT_LOAD && !loop_is_element(g->c, &g->c->wants[w].map))
            emit_load(g, w, 0);
}

static struct program start(struct planner *p, struct cluster *c, struct loop_build *build)
{
    struct program g = {.p = p, .c = c, .build = build};
    g.order = PLAN_SCRATCH(p, int, c->n_members);
    g.stage = PLAN_SCRATCH(p, int, c->n_members);
    g.store_section = PLAN_SCRATCH(p, int, c->n_members);
    g.used = plan_scratch(p, (size_t)c->n_members, sizeof *g.used);
    g.store_access = PLAN_SCRATCH(p, int, c->n_members);
    g.spill = PLAN_SCRATCH(p, int, c->n_members);
    g.spill_section = PLAN_SCRATCH(p, int, c->n_members);
    g.reload_access = PLAN_SCRATCH(p, int, c->n_members);
    int limit = p->options->caps->loop_accesses;
    if (limit < 1 || limit > KILN_LOOP_MAX_ACCESSES)
        limit = KILN_LOOP_MAX_ACCESSES;
    /* each stored member may be read back once */
    g.may_read_back = c->n_loads + 2 * c->n_stores <= limit;
    g.member = PLAN_SCRATCH(p, struct registers, c->n_members);
    g.want = PLAN_SCRATCH(p, struct registers, c->n_wants);
    g.access = PLAN_SCRATCH(p, int, c->n_wants);
    for (int i = 0; i < c->n_members; i++) {
        g.member[i] = (struct registers){-1, -1, -1};
        g.reload_access[i] = g.store_access[i] = g.spill[i] = -1;
    }
    for (int i = 0; i < c->n_wants; i++)
        g.want[i] = (struct registers){-1, -1, -1};
    return g;
}

/* Only copies for the sake of a layout? */
static bool is_reorder(const struct planner *p, const struct cluster *c)
{
    for (int i = 0; i < c->n_members; i++)
        if (!ir_at(p, c->members[i].node)->reorder)
            return false;
    return true;
}

void plan_lower_cluster(struct planner *p, struct cluster *c)
{
    int *copies = PLAN_SCRATCH(p, int, c->n_wants);
    for (int w = 0; w < c->n_wants; w++)
        copies[w] = c->wants[w].state == WANT_LOAD && c->wants[w].copy
                        ? loop_copy(p, c->wants[w].node)
                        : -1;
    int first = c->members[0].node; /* its seed; the earliest gives the label */
    for (int i = 0; i < c->n_members; i++)
        if (c->members[i].stored && c->members[i].node < first)
            first = c->members[i].node;
    struct loop_build build = {.node = ir_at(p, first)};
    struct kiln_step *step = plan_step(p, KILN_STEP_LOOP, build.node);
    struct program g = start(p, c, &build);
    for (int w = 0; w < c->n_wants; w++)
        if (c->wants[w].state == WANT_LOAD)
            g.access[w] = loop_add_load(p, &build, c, w, copies[w]);
    program_sort(&g);
    program_find_stages(&g);
    program_place_stores(&g);
    program_place_spills(&g);
    emit_outer_loads(&g);
    if (c->any_reduced)
        emit_outer(&g, 0);
    for (int pass = 1; pass <= g.n_passes; pass++) {
        emit_pass(&g, pass);
        if (c->any_reduced)
            emit_outer(&g, 2 * pass);
    }
    if (is_reorder(p, c))
        plan_count_reorder(p);
    loop_finish(p, &build, c, &step->as.loop);
    plan_choose(p, step);
}
