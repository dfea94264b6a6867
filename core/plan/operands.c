/* The operands of each kind of step. */
#include "core/plan/operands.h"

#include <string.h>

struct list {
    int n;
    struct step_operand *operands;
};

static struct step_operand *add(struct list *list, const char *name, const struct kiln_place *place,
                                bool write)
{
    struct step_operand *operand = &list->operands[list->n++];
    *operand = (struct step_operand){
        .name = name, .place = *place, .at = place, .read = !write, .write = write};
    return operand;
}

static void add_dense(struct list *list, const char *name, const struct kiln_place *place,
                      bool write, int64_t count)
{
    struct step_operand *operand = add(list, name, place, write);
    operand->n = 1;
    operand->extent[0] = count;
    operand->stride[0] = 1;
}

static void add_matrix(struct list *list, const char *name, const struct kiln_place *place,
                       bool write, int64_t batch, int64_t rows, int64_t columns,
                       const int64_t *stride)
{
    struct step_operand *operand = add(list, name, place, write);
    operand->n = 3;
    memcpy(operand->extent, (const int64_t[]){batch, rows, columns}, 3 * sizeof(int64_t));
    memcpy(operand->stride, stride, 3 * sizeof(int64_t));
}

static void add_loop(struct list *list, const struct kiln_loop *loop)
{
    for (int i = 0; i < loop->n_accesses; i++) {
        const struct kiln_access *access = &loop->accesses[i];
        struct step_operand *operand =
            add(list, access->store ? "store" : "load", &access->place, access->store);
        operand->n = loop->n_dims;
        memcpy(operand->extent, loop->extent, sizeof operand->extent);
        memcpy(operand->stride, access->stride, sizeof operand->stride);
    }
}

static void add_conv(struct list *list, const struct kiln_step *step)
{
    const struct kiln_step_conv *c = &step->as.conv;
    add_dense(list, "x", &c->x, step->kind == KILN_STEP_CONV_INPUT_GRAD, c->n * c->c * c->h * c->w);
    add_dense(list, "weight", &c->weight, step->kind == KILN_STEP_CONV_WEIGHT_GRAD,
              c->o * (c->c / c->conv.groups) * c->kh * c->kw);
    add_dense(list, "y", &c->y, step->kind == KILN_STEP_CONV, c->n * c->o * c->oh * c->ow);
}

static void add_window(struct list *list, const struct kiln_step *step)
{
    const struct kiln_step_window *w = &step->as.window;
    int64_t large = w->outer * w->inner * w->h * w->w, small = w->outer * w->inner * w->oh * w->ow;
    bool argmax = step->kind == KILN_STEP_WINDOW_ARGMAX;
    add_dense(list, "x", &w->x, step->kind == KILN_STEP_WINDOW_SCATTER, large);
    add_dense(list, "index", &w->index, argmax, small);
    if (!argmax)
        add_dense(list, "y", &w->y, step->kind == KILN_STEP_WINDOW_GATHER, small);
}

static void add_attention(struct list *list, const struct kiln_step *step)
{
    const struct kiln_step_attention *a = &step->as.attention;
    bool forward = step->kind == KILN_STEP_ATTENTION;
    add_matrix(list, "q", &a->q, false, a->batch, a->n_q, a->width, a->q_stride);
    add_matrix(list, "k", &a->k, false, a->batch, a->n_k, a->width, a->k_stride);
    add_matrix(list, "v", &a->v, false, a->batch, a->n_k, a->v_width, a->v_stride);
    add_dense(list, "out", &a->out, forward, a->batch * a->n_q * a->v_width);
    add_dense(list, "log_sum_exp", &a->log_sum_exp, forward, a->batch * a->n_q);
    if (forward)
        return;
    add_matrix(list, "d_out", &a->d_out, false, a->batch, a->n_q, a->v_width, a->d_out_stride);
    add_dense(list, "d_q", &a->d_q, true, a->batch * a->n_q * a->width);
    add_dense(list, "d_k", &a->d_k, true, a->batch * a->n_k * a->width);
    add_dense(list, "d_v", &a->d_v, true, a->batch * a->n_k * a->v_width);
}

static void add_state(struct list *list, const char *name, const struct kiln_place *place,
                      int64_t count)
{
    if (place->offset < 0)
        return;
    add_dense(list, name, place, true, count);
    list->operands[list->n - 1].read = true;
}

static void add_update(struct list *list, const struct kiln_step_update *u)
{
    add_state(list, "parameter", &u->parameter, u->count);
    add_state(list, "moment1", &u->moment1, u->count);
    add_state(list, "moment2", &u->moment2, u->count);
    add_state(list, "ema", &u->ema, u->count);
    add_dense(list, "gradient", &u->gradient, false, u->count);
    add_dense(list, "hyper", &u->hyper, false, KILN_HYPER_WORDS);
    add_dense(list, "norm", &u->norm, false, 2);
}

static void add_matmul(struct list *list, const struct kiln_step_matmul *m)
{
    add_matrix(list, "a", &m->a, false, m->batch, m->m, m->k, m->a_stride);
    add_matrix(list, "b", &m->b, false, m->batch, m->k, m->n, m->b_stride);
    add_matrix(list, "c", &m->c, true, m->batch, m->m, m->n, m->c_stride);
}

static void add_rows(struct list *list, const struct kiln_step *step)
{
    const struct kiln_step_rows *r = &step->as.rows;
    bool scatter = step->kind == KILN_STEP_SCATTER_ADD_ROWS;
    add_dense(list, "table", &r->table, scatter, r->rows * r->row_elements);
    add_dense(list, "index", &r->index, false, r->n);
    add_dense(list, "out", &r->out, !scatter, r->n * r->row_elements);
}

static void add_resample(struct list *list, const struct kiln_step_resample *r)
{
    int64_t planes = r->outer * r->inner;
    add_dense(list, "x", &r->x, false, planes * r->vertical.n_columns * r->horizontal.n_columns);
    add_dense(list, "y", &r->y, true, planes * r->vertical.n_rows * r->horizontal.n_rows);
}

struct kiln_plan_span step_operand_span(const struct step_operand *operand)
{
    int64_t low = 0, high = 0, size = (int64_t)kiln_dtype_bytes(operand->place.dtype);
    for (int i = 0; i < operand->n; i++)
        *(operand->stride[i] < 0 ? &low : &high) += (operand->extent[i] - 1) * operand->stride[i];
    return (struct kiln_plan_span){operand->place.offset + low * size,
                                   operand->place.offset + (high + 1) * size};
}

int step_operands(const struct kiln_step *step, struct step_operand operands[STEP_MAX_OPERANDS])
{
    struct list list = {0, operands};
    switch (step->kind) {
    case KILN_STEP_LOOP:
        add_loop(&list, &step->as.loop);
        break;
    case KILN_STEP_MATMUL:
        add_matmul(&list, &step->as.matmul);
        break;
    case KILN_STEP_CONV:
    case KILN_STEP_CONV_INPUT_GRAD:
    case KILN_STEP_CONV_WEIGHT_GRAD:
        add_conv(&list, step);
        break;
    case KILN_STEP_WINDOW_ARGMAX:
    case KILN_STEP_WINDOW_GATHER:
    case KILN_STEP_WINDOW_SCATTER:
        add_window(&list, step);
        break;
    case KILN_STEP_RESAMPLE:
        add_resample(&list, &step->as.resample);
        break;
    case KILN_STEP_GATHER_ROWS:
    case KILN_STEP_SCATTER_ADD_ROWS:
        add_rows(&list, step);
        break;
    case KILN_STEP_RNG:
        add_dense(&list, "key", &step->as.rng.key, false, 4);
        add_dense(&list, "out", &step->as.rng.out, true,
                  step->as.rng.samples * step->as.rng.per_sample);
        break;
    case KILN_STEP_ATTENTION:
    case KILN_STEP_ATTENTION_GRAD:
        add_attention(&list, step);
        break;
    case KILN_STEP_UPDATE:
        add_update(&list, &step->as.update);
        break;
    default:
        break;
    }
    if (step->scratch_bytes > 0)
        add_dense(&list, "scratch", &step->scratch, true, step->scratch_bytes);
    return list.n;
}

int64_t step_bytes(const struct kiln_step *step)
{
    struct step_operand operands[STEP_MAX_OPERANDS];
    int n = step_operands(step, operands);
    int64_t total = 0;
    for (int i = 0; i < n; i++) {
        if (operands[i].at == &step->scratch)
            continue;
        int64_t bytes = (int64_t)kiln_dtype_bytes(operands[i].place.dtype);
        for (int d = 0; d < operands[i].n; d++)
            bytes *= operands[i].stride[d] ? operands[i].extent[d] : 1;
        total += bytes * (operands[i].read + operands[i].write);
    }
    return total;
}

int64_t step_flops(const struct kiln_step *step)
{
    const struct kiln_step_matmul *m = &step->as.matmul;
    const struct kiln_step_conv *c = &step->as.conv;
    const struct kiln_step_attention *a = &step->as.attention;
    switch (step->kind) {
    case KILN_STEP_MATMUL:
        return 2 * m->batch * m->m * m->n * m->k;
    case KILN_STEP_CONV:
    case KILN_STEP_CONV_INPUT_GRAD:
    case KILN_STEP_CONV_WEIGHT_GRAD:
        return 2 * c->n * c->o * c->oh * c->ow * (c->c / c->conv.groups) * c->kh * c->kw;
    case KILN_STEP_ATTENTION:
        return 2 * a->batch * a->n_q * a->n_k * (a->width + a->v_width);
    case KILN_STEP_ATTENTION_GRAD: /* scores, d_p, d_v, d_q, d_k */
        return 2 * a->batch * a->n_q * a->n_k * (3 * a->width + 2 * a->v_width);
    default:
        return 0;
    }
}
