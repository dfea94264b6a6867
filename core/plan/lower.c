/* Big nodes -> steps: matrices, rows, random numbers, attention, updates. */
#include <string.h>

#include "core/plan/planner.h"

struct kiln_step *plan_step(struct planner *p, enum kiln_step_kind kind, const struct ir_node *node)
{
    struct kiln_step *step = PLAN_SCRATCH(p, struct kiln_step, 1);
    plan_grow(p, &p->steps, &p->step_capacity, p->n_steps, sizeof *p->steps);
    p->steps[p->n_steps++] = step;
    step->kind = kind;
    step->node = node->origin;
    char *label = kiln_arena_strdup(p->arena, node->label);
    if (!label)
        plan_fail(p, KILN_MACHINE, "out of memory while planning");
    step->label = label;
    return step;
}

void plan_count_reorder(struct planner *p)
{
    plan_grow(p, &p->reorders, &p->reorder_capacity, p->n_reorders, sizeof *p->reorders);
    p->reorders[p->n_reorders++] = p->n_steps - 1;
}

static void set_algorithm(struct planner *p, struct kiln_step *step, uint16_t algorithm,
                          int64_t scratch_bytes)
{
    step->algorithm = algorithm;
    step->scratch_bytes = scratch_bytes > 0 ? scratch_bytes : 0;
    if (step->scratch_bytes)
        plan_place(p, plan_buffer(p, KILN_REGION_WORKSPACE, step->scratch_bytes), 0, KILN_U8,
                   &step->scratch);
}

void plan_choose(struct planner *p, struct kiln_step *step)
{
    const struct kiln_plan_options *options = p->options;
    struct kiln_candidate candidates[KILN_MAX_CANDIDATES] = {{0}};
    int n = options->candidates ? options->candidates(options->user, step, candidates) : 0,
        chosen = 0;
    if (n > 1 && options->choose)
        chosen = options->choose(options->user, step, n, candidates);
    if (n > 0) {
        const struct kiln_candidate *best = &candidates[chosen > 0 && chosen < n ? chosen : 0];
        set_algorithm(p, step, best->algorithm, best->scratch_bytes);
    }
}

/* Batch, row and column strides of a matrix or a batch of matrices. */
static void matrix_strides(const struct ir_node *node, int64_t out[3])
{
    int64_t stride[KILN_MAX_DIMS];
    int n = node->shape.n;
    flat_strides(&node->layout, &node->shape, stride);
    out[0] = n == 3 ? stride[0] : 0;
    out[1] = stride[n - 2];
    out[2] = stride[n - 1];
    /* an extent of 1 has no stride: give it the one of a dense matrix */
    if (node->shape.d[n - 1] == 1)
        out[2] = out[1] == 1 ? node->shape.d[n - 2] : 1;
    if (node->shape.d[n - 2] == 1)
        out[1] = out[2] == 1 ? node->shape.d[n - 1] : 1;
}

static void swap(int64_t *a, int64_t *b)
{
    int64_t old = *a;
    *a = *b;
    *b = old;
}

static void lower_matmul(struct planner *p, int id)
{
    const struct ir_node *node = ir_at(p, id), *a = ir_at(p, node->operands[0]),
                         *b = ir_at(p, node->operands[1]);
    struct kiln_step *step = plan_step(p, KILN_STEP_MATMUL, node);
    struct kiln_step_matmul *m = &step->as.matmul;
    int n = node->shape.n;
    m->batch = n == 3 ? node->shape.d[0] : 1;
    m->m = node->shape.d[n - 2];
    m->n = node->shape.d[n - 1];
    m->k = a->shape.d[node->params.matmul.transpose_a ? n - 2 : n - 1];
    matrix_strides(a, m->a_stride);
    matrix_strides(b, m->b_stride);
    matrix_strides(node, m->c_stride);
    m->c_stride[2] = 1;
    if (node->params.matmul.transpose_a)
        swap(&m->a_stride[1], &m->a_stride[2]);
    if (node->params.matmul.transpose_b)
        swap(&m->b_stride[1], &m->b_stride[2]);
    plan_operand(p, node->operands[0], &m->a);
    plan_operand(p, node->operands[1], &m->b);
    plan_operand(p, id, &m->c);
    plan_choose(p, step);
}

static void lower_rows(struct planner *p, int id, enum kiln_step_kind kind)
{
    const struct ir_node *node = ir_at(p, id);
    struct kiln_step *step = plan_step(p, kind, node);
    struct kiln_step_rows *r = &step->as.rows;
    bool gather = kind == KILN_STEP_GATHER_ROWS;
    const struct ir_node *index = ir_at(p, node->operands[1]);
    const struct ir_node *table = gather ? ir_at(p, node->operands[0]) : node;
    r->n = index->count;
    r->rows = table->shape.d[0];
    r->row_elements = table->count / r->rows;
    plan_operand(p, gather ? node->operands[0] : id, &r->table);
    plan_operand(p, node->operands[1], &r->index);
    plan_operand(p, gather ? id : node->operands[0], &r->out);
    plan_choose(p, step);
}

static void lower_rng(struct planner *p, int id)
{
    const struct ir_node *node = ir_at(p, id);
    struct kiln_step *step = plan_step(p, KILN_STEP_RNG, node);
    struct kiln_step_rng *r = &step->as.rng;
    r->rng = node->params.rng;
    r->samples = node->shape.n ? node->shape.d[0] : 1;
    r->per_sample = node->count / r->samples;
    plan_operand(p, node->operands[0], &r->key);
    plan_operand(p, id, &r->out);
    plan_choose(p, step);
}

/* The node that holds an output beside the first, -1 if nothing reads it. */
static int output_node(struct planner *p, int id, int output)
{
    for (int i = id + 1; i < p->ir.n; i++)
        if (ir_at(p, i)->op == KILN_OP_OUTPUT && ir_at(p, i)->operands[0] == id &&
            ir_at(p, i)->params.output == output)
            return i;
    return -1;
}

/* Sets the place of an output; one that nothing reads gets a buffer for the step. */
static void place_output(struct planner *p, int id, int output, int64_t count,
                         struct kiln_place *place)
{
    int node = output ? output_node(p, id, output) : id;
    if (node >= 0 && (output == 0 || p->needed[node]))
        plan_operand(p, node, place);
    else
        plan_place(p, plan_buffer(p, KILN_REGION_WORKSPACE, count * (int64_t)sizeof(float)), 0,
                   KILN_F32, place);
}

static void lower_attention(struct planner *p, int id, enum kiln_step_kind kind)
{
    const struct ir_node *node = ir_at(p, id), *q = ir_at(p, node->operands[0]);
    const struct ir_node *k = ir_at(p, node->operands[1]), *v = ir_at(p, node->operands[2]);
    struct kiln_step *step = plan_step(p, kind, node);
    struct kiln_step_attention *s = &step->as.attention;
    s->batch = q->shape.d[0];
    s->n_q = q->shape.d[1];
    s->width = q->shape.d[2];
    s->n_k = k->shape.d[1];
    s->v_width = v->shape.d[2];
    s->scale = node->params.attention.scale;
    matrix_strides(q, s->q_stride);
    matrix_strides(k, s->k_stride);
    matrix_strides(v, s->v_stride);
    plan_operand(p, node->operands[0], &s->q);
    plan_operand(p, node->operands[1], &s->k);
    plan_operand(p, node->operands[2], &s->v);
    if (kind == KILN_STEP_ATTENTION) {
        place_output(p, id, 0, node->count, &s->out);
        place_output(p, id, 1, s->batch * s->n_q, &s->log_sum_exp);
    } else {
        plan_operand(p, node->operands[3], &s->out);
        plan_operand(p, node->operands[4], &s->log_sum_exp);
        plan_operand(p, node->operands[5], &s->d_out);
        matrix_strides(ir_at(p, node->operands[5]), s->d_out_stride);
        place_output(p, id, 0, q->count, &s->d_q);
        place_output(p, id, 1, k->count, &s->d_k);
        place_output(p, id, 2, v->count, &s->d_v);
    }
    plan_choose(p, step);
}

/* The arena of a part; offset -1 if it is not kept. */
static struct kiln_place part_place(const struct kiln_state_group *group, enum kiln_state_part part)
{
    return (struct kiln_place){KILN_REGION_STATE, KILN_F32, group->part_offset[part]};
}

static void lower_update(struct planner *p, int id)
{
    const struct ir_node *node = ir_at(p, id);
    struct kiln_step *step = plan_step(p, KILN_STEP_UPDATE, node);
    struct kiln_step_update *u = &step->as.update;
    const struct kiln_state_group *group = kiln_states_group_at(p->options->states, node->group);
    u->update = group->update;
    u->count = group->bytes / (int64_t)sizeof(float);
    u->parameter = part_place(group, KILN_STATE_VALUE);
    u->moment1 = part_place(group, KILN_STATE_MOMENT1);
    u->moment2 = part_place(group, KILN_STATE_MOMENT2);
    u->ema = part_place(group, KILN_STATE_EMA);
    plan_operand(p, node->operands[0], &u->gradient);
    plan_operand(p, node->operands[1], &u->hyper);
    plan_operand(p, node->operands[2], &u->norm);
    plan_choose(p, step);
}

static void lower_conv(struct planner *p, int id)
{
    const struct ir_node *node = ir_at(p, id);
    struct kiln_step sizes = plan_conv_step(p, node);
    struct kiln_step *step = plan_step(p, sizes.kind, node);
    struct kiln_step_conv *conv = &step->as.conv;
    *conv = sizes.as.conv;
    conv->x_layout = node->conv.x;
    conv->weight_layout = node->conv.weight;
    conv->y_layout = node->conv.y;
    const int *operands = node->operands;
    bool forward = sizes.kind == KILN_STEP_CONV, input = sizes.kind == KILN_STEP_CONV_INPUT_GRAD;
    plan_operand(p, input ? id : operands[0], &conv->x);
    plan_operand(p, forward || input ? operands[1] : id, &conv->weight);
    plan_operand(p, forward ? id : input ? operands[0] : operands[1], &conv->y);
    set_algorithm(p, step, node->conv.algorithm, node->conv.scratch_bytes);
}

void plan_lower_big(struct planner *p, int id)
{
    switch (ir_at(p, id)->op) {
    case KILN_OP_MATMUL:
        lower_matmul(p, id);
        return;
    case KILN_OP_GATHER_ROWS:
        lower_rows(p, id, KILN_STEP_GATHER_ROWS);
        return;
    case KILN_OP_SCATTER_ADD_ROWS:
        lower_rows(p, id, KILN_STEP_SCATTER_ADD_ROWS);
        return;
    case KILN_OP_RNG:
        lower_rng(p, id);
        return;
    case KILN_OP_ATTENTION:
        lower_attention(p, id, KILN_STEP_ATTENTION);
        return;
    case KILN_OP_ATTENTION_GRAD:
        lower_attention(p, id, KILN_STEP_ATTENTION_GRAD);
        return;
    case KILN_OP_UPDATE:
        lower_update(p, id);
        return;
    case KILN_OP_CONV:
    case KILN_OP_CONV_INPUT_GRAD:
    case KILN_OP_CONV_WEIGHT_GRAD:
        lower_conv(p, id);
        return;
    default:
        plan_lower_spatial(p, id);
    }
}
