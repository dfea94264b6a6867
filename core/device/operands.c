/* What each kind of step reads and writes. */
#include "core/device/validate.h"

#include "core/api/rng.h"

/* Operands being listed; failed sticks. */
struct list {
    struct kiln_operand *operands;
    int n;
    bool failed;
};

static int64_t product(int n, const int64_t *factors)
{
    const int64_t limit = (int64_t)1 << 47;
    int64_t count = 1;
    for (int i = 0; i < n; i++) {
        if (factors[i] < 1 || factors[i] > limit / count)
            return -1;
        count *= factors[i];
    }
    return count;
}

#define PRODUCT(...)                                                                               \
    product((int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)),                             \
            (const int64_t[]){__VA_ARGS__})

enum access { READ = 1, WRITE = 2, UPDATE = 3 };

static void add(struct list *list, const struct kiln_place *place, int64_t elements,
                enum access access)
{
    if (elements < 1)
        list->failed = true;
    list->operands[list->n++] =
        (struct kiln_operand){place, 0, elements, access & READ, access & WRITE};
}

/* Widens the reach by an axis. */
static bool reach(struct kiln_operand *operand, int64_t extent, int64_t stride)
{
    const int64_t limit = (int64_t)1 << 47;
    if (extent < 1 || extent > limit || stride > limit || stride < -limit ||
        (extent > 1 && stride && extent > limit / (stride < 0 ? -stride : stride)))
        return false;
    if (stride > 0)
        operand->high += (extent - 1) * stride;
    else
        operand->low += (extent - 1) * stride;
    return operand->high <= limit && operand->low >= -limit;
}

/* A matrix per batch with strides batch, row, column. */
static void add_matrix(struct list *list, const struct kiln_place *place, int64_t batch,
                       int64_t rows, int64_t columns, const int64_t stride[3], enum access access)
{
    struct kiln_operand operand = {place, 0, 1, access & READ, access & WRITE};
    if (!reach(&operand, batch, stride[0]) || !reach(&operand, rows, stride[1]) ||
        !reach(&operand, columns, stride[2]))
        list->failed = true;
    list->operands[list->n++] = operand;
}

static void add_loop(struct list *list, const struct kiln_loop *loop)
{
    if (loop->n_accesses < 0 || loop->n_accesses > KILN_LOOP_MAX_ACCESSES || loop->n_dims < 0 ||
        loop->n_dims > KILN_LOOP_MAX_DIMS || loop->n_instructions < 0 ||
        loop->n_instructions > KILN_LOOP_MAX_INSTRUCTIONS) {
        list->failed = true;
        return;
    }
    bool per_element[KILN_LOOP_MAX_ACCESSES] = {false};
    for (int i = 0; i < loop->n_instructions; i++) {
        const struct kiln_instruction *in = &loop->instructions[i];
        if ((in->op == KILN_INSTRUCTION_LOAD || in->op == KILN_INSTRUCTION_STORE) &&
            in->section % 2 && in->access >= 0 && in->access < loop->n_accesses)
            per_element[in->access] = true;
    }
    for (int i = 0; i < loop->n_accesses; i++) {
        const struct kiln_access *access = &loop->accesses[i];
        struct kiln_operand operand = {&access->place, 0, 1, !access->store, access->store};
        for (int d = 0; d < loop->n_dims; d++)
            if (!reach(&operand, loop->extent[d],
                       loop->reduced[d] && !per_element[i] ? 0 : access->stride[d]))
                list->failed = true;
        list->operands[list->n++] = operand;
    }
}

static void add_conv(struct list *list, enum kiln_step_kind kind, const struct kiln_step_conv *conv)
{
    int64_t groups = conv->conv.groups;
    if (groups < 1 || conv->c % groups || conv->o % groups) {
        list->failed = true;
        return;
    }
    add(list, &conv->x, PRODUCT(conv->n, conv->c, conv->h, conv->w),
        kind == KILN_STEP_CONV_INPUT_GRAD ? WRITE : READ);
    add(list, &conv->weight, PRODUCT(conv->o, conv->c / groups, conv->kh, conv->kw),
        kind == KILN_STEP_CONV_WEIGHT_GRAD ? WRITE : READ);
    add(list, &conv->y, PRODUCT(conv->n, conv->o, conv->oh, conv->ow),
        kind == KILN_STEP_CONV ? WRITE : READ);
}

static void add_window(struct list *list, enum kiln_step_kind kind,
                       const struct kiln_step_window *window)
{
    int64_t large = PRODUCT(window->outer, window->h, window->w, window->inner);
    int64_t small = PRODUCT(window->outer, window->oh, window->ow, window->inner);
    add(list, &window->x, large, kind == KILN_STEP_WINDOW_SCATTER ? WRITE : READ);
    add(list, &window->index, small, kind == KILN_STEP_WINDOW_ARGMAX ? WRITE : READ);
    if (kind != KILN_STEP_WINDOW_ARGMAX)
        add(list, &window->y, small, kind == KILN_STEP_WINDOW_GATHER ? WRITE : READ);
}

static void add_attention(struct list *list, enum kiln_step_kind kind,
                          const struct kiln_step_attention *a)
{
    bool gradient = kind == KILN_STEP_ATTENTION_GRAD;
    add_matrix(list, &a->q, a->batch, a->n_q, a->width, a->q_stride, READ);
    add_matrix(list, &a->k, a->batch, a->n_k, a->width, a->k_stride, READ);
    add_matrix(list, &a->v, a->batch, a->n_k, a->v_width, a->v_stride, READ);
    add(list, &a->out, PRODUCT(a->batch, a->n_q, a->v_width), gradient ? READ : WRITE);
    add(list, &a->log_sum_exp, PRODUCT(a->batch, a->n_q), gradient ? READ : WRITE);
    if (!gradient)
        return;
    add_matrix(list, &a->d_out, a->batch, a->n_q, a->v_width, a->d_out_stride, READ);
    add(list, &a->d_q, PRODUCT(a->batch, a->n_q, a->width), WRITE);
    add(list, &a->d_k, PRODUCT(a->batch, a->n_k, a->width), WRITE);
    add(list, &a->d_v, PRODUCT(a->batch, a->n_k, a->v_width), WRITE);
}

static void add_update(struct list *list, const struct kiln_step_update *step)
{
    enum kiln_optimizer_kind kind = step->update.kind;
    add(list, &step->parameter, step->count, UPDATE);
    add(list, &step->gradient, step->count, READ);
    if (kind != KILN_OPTIMIZER_RMSPROP)
        add(list, &step->moment1, step->count, UPDATE);
    if (kind != KILN_OPTIMIZER_SGD)
        add(list, &step->moment2, step->count, UPDATE);
    if (step->update.ema)
        add(list, &step->ema, step->count, UPDATE);
    add(list, &step->hyper, KILN_HYPER_WORDS, READ);
    add(list, &step->norm, 2, READ);
}

static void add_rows(struct list *list, enum kiln_step_kind kind, const struct kiln_step_rows *rows)
{
    bool gather = kind == KILN_STEP_GATHER_ROWS;
    add(list, &rows->table, PRODUCT(rows->rows, rows->row_elements), gather ? READ : WRITE);
    add(list, &rows->index, PRODUCT(rows->n), READ);
    add(list, &rows->out, PRODUCT(rows->n, rows->row_elements), gather ? WRITE : READ);
}

static void add_matmul(struct list *list, const struct kiln_step_matmul *m)
{
    add_matrix(list, &m->a, m->batch, m->m, m->k, m->a_stride, READ);
    add_matrix(list, &m->b, m->batch, m->k, m->n, m->b_stride, READ);
    add_matrix(list, &m->c, m->batch, m->m, m->n, m->c_stride, WRITE);
}

static void add_resample(struct list *list, const struct kiln_step_resample *r)
{
    add(list, &r->x, PRODUCT(r->outer, r->vertical.n_columns, r->horizontal.n_columns, r->inner),
        READ);
    add(list, &r->y, PRODUCT(r->outer, r->vertical.n_rows, r->horizontal.n_rows, r->inner), WRITE);
}

int kiln_step_operands(const struct kiln_step *step,
                       struct kiln_operand operands[KILN_MAX_OPERANDS])
{
    struct list list = {operands, 0, false};
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
        add_conv(&list, step->kind, &step->as.conv);
        break;
    case KILN_STEP_WINDOW_ARGMAX:
    case KILN_STEP_WINDOW_GATHER:
    case KILN_STEP_WINDOW_SCATTER:
        add_window(&list, step->kind, &step->as.window);
        break;
    case KILN_STEP_RESAMPLE:
        add_resample(&list, &step->as.resample);
        break;
    case KILN_STEP_GATHER_ROWS:
    case KILN_STEP_SCATTER_ADD_ROWS:
        add_rows(&list, step->kind, &step->as.rows);
        break;
    case KILN_STEP_RNG:
        add(&list, &step->as.rng.key, KILN_RNG_KEY_WORDS, READ);
        add(&list, &step->as.rng.out, PRODUCT(step->as.rng.samples, step->as.rng.per_sample),
            WRITE);
        break;
    case KILN_STEP_ATTENTION:
    case KILN_STEP_ATTENTION_GRAD:
        add_attention(&list, step->kind, &step->as.attention);
        break;
    case KILN_STEP_UPDATE:
        add_update(&list, &step->as.update);
        break;
    case KILN_STEP_KIND_COUNT:
        list.failed = true;
    }
    return list.failed ? -1 : list.n;
}
