/* Rewrites on each IR node as it is added: folding of constants, removal of
 * identities, common subexpressions. */
#include <math.h>
#include <string.h>

#include "core/plan/planner.h"

static int add_fill(struct planner *p, const struct ir_node *like, double value)
{
    struct ir_node node = ir_make(KILN_OP_CONST, KILN_F32, like->shape, like);
    node.params.constant.value = value;
    return ir_add(p, &node, 0, NULL);
}

static float fold_unary(int op, float x)
{
    switch (op) {
    case KILN_OP_NEG:
        return -x;
    case KILN_OP_ABS:
        return fabsf(x);
    case KILN_OP_EXP:
        return expf(x);
    case KILN_OP_EXPM1:
        return expm1f(x);
    case KILN_OP_LOG:
        return logf(x);
    case KILN_OP_LOG1P:
        return log1pf(x);
    case KILN_OP_SQRT:
        return sqrtf(x);
    case KILN_OP_SIN:
        return sinf(x);
    case KILN_OP_COS:
        return cosf(x);
    case KILN_OP_TANH:
        return tanhf(x);
    case KILN_OP_ERF:
        return erff(x);
    case KILN_OP_SIGMOID:
        return 1 / (1 + expf(-x));
    default:
        return floorf(x);
    }
}

static float fold_binary(int op, float a, float b)
{
    switch (op) {
    case KILN_OP_ADD:
        return a + b;
    case KILN_OP_SUB:
        return a - b;
    case KILN_OP_MUL:
        return a * b;
    case KILN_OP_DIV:
        return a / b;
    case KILN_OP_POW:
        return powf(a, b);
    case KILN_OP_MAX:
        return a >= b ? a : b;
    case KILN_OP_MIN:
        return a <= b ? a : b;
    case KILN_OP_LESS:
        return a < b;
    case KILN_OP_LESS_EQUAL:
        return a <= b;
    default:
        return a == b;
    }
}

/* The value of a pointwise f32 node whose operands are all fills. */
static bool fold(struct planner *p, const struct ir_node *node, int n, const int *operands,
                 double *value)
{
    float x[3] = {0};
    if (n < 1 || n > 3 || node->dtype != KILN_F32 || node->op == IR_COPY || !ir_is_pointwise(node))
        return false;
    for (int i = 0; i < n; i++) {
        if (!ir_is_fill(ir_at(p, operands[i])))
            return false;
        x[i] = (float)ir_at(p, operands[i])->params.constant.value;
    }
    if (node->op == KILN_OP_CAST || node->op == KILN_OP_STOP_GRADIENT)
        *value = x[0];
    else
        *value = n == 1      ? fold_unary(node->op, x[0])
                 : n == 2    ? fold_binary(node->op, x[0], x[1])
                 : x[0] != 0 ? x[1]
                             : x[2];
    return true;
}

static bool is_fill_of(struct planner *p, int node, double value)
{
    return ir_is_fill(ir_at(p, node)) &&
           (float)ir_at(p, node)->params.constant.value == (float)value;
}

/* The operand that a movement returns unchanged, -1 = none. */
static int movement_identity(struct planner *p, const struct ir_node *node, int operand)
{
    const struct ir_node *x = ir_at(p, operand);
    bool same = kiln_shape_equal(&x->shape, &node->shape);
    for (int i = 0; i < node->shape.n && same; i++) {
        if (node->op == KILN_OP_PERMUTE)
            same = node->params.permutation[i] == i;
        if (node->op == KILN_OP_SLICE)
            same = node->params.slice.start[i] == 0 &&
                   (node->params.slice.step[i] == 1 || node->shape.d[i] == 1);
    }
    return same ? operand : -1;
}

/* The operand that a node with arithmetic returns unchanged, -1 = none. */
static int arithmetic_identity(struct planner *p, const struct ir_node *node, const int *operands)
{
    const struct ir_node *x = ir_at(p, operands[0]);
    bool f32 = node->dtype == KILN_F32;
    switch (node->op) {
    case KILN_OP_STOP_GRADIENT:
        return operands[0];
    case KILN_OP_CAST:
        return x->dtype == node->dtype ? operands[0] : -1;
    case KILN_OP_NEG:
        return x->op == KILN_OP_NEG ? x->operands[0] : -1;
    case KILN_OP_ADD:
        if (f32 && is_fill_of(p, operands[0], 0))
            return operands[1];
        if (f32 && is_fill_of(p, operands[1], 0))
            return operands[0];
        return plan_sum_of_joins(p, node, operands[0], operands[1]);
    case KILN_OP_SUB:
        return f32 && is_fill_of(p, operands[1], 0) ? operands[0] : -1;
    case KILN_OP_MUL:
        if (f32 && is_fill_of(p, operands[0], 1))
            return operands[1];
        return f32 && is_fill_of(p, operands[1], 1) ? operands[0] : -1;
    case KILN_OP_DIV:
        return f32 && is_fill_of(p, operands[1], 1) ? operands[0] : -1;
    case KILN_OP_SELECT:
        if (ir_is_fill(x))
            return operands[x->params.constant.value != 0 ? 1 : 2];
        return operands[1] == operands[2] ? operands[1] : -1;
    case KILN_OP_REDUCE_SUM:
    case KILN_OP_REDUCE_MAX:
        return kiln_shape_equal(&x->shape, &node->shape) ? operands[0] : -1;
    default:
        return -1;
    }
}

static int simplify(struct planner *p, const struct ir_node *node, int n, const int *operands)
{
    double value;
    if (fold(p, node, n, operands, &value))
        return add_fill(p, node, value);
    if (ir_is_view(node)) {
        const struct ir_node *x = ir_at(p, operands[0]);
        if (ir_is_fill(x))
            return add_fill(p, node, x->params.constant.value);
        int same = movement_identity(p, node, operands[0]);
        if (same < 0 && node->op == KILN_OP_RESHAPE && x->op == KILN_OP_RESHAPE)
            return ir_add(p, node, 1, x->operands);
        return same;
    }
    return n ? arithmetic_identity(p, node, operands) : -1;
}

/* --- common subexpressions ------------------------------------------------- */

static bool params_equal(const struct ir_node *a, const struct ir_node *b)
{
    const union kiln_params *x = &a->params, *y = &b->params;
    size_t axes = (size_t)a->shape.n * sizeof(int64_t);
    switch (a->op) {
    case KILN_OP_CONST:
        return a->data == b->data &&
               (a->data || !memcmp(&x->constant, &y->constant, sizeof x->constant));
    case KILN_OP_RNG:
        return x->rng.kind == y->rng.kind && x->rng.stream == y->rng.stream &&
               x->rng.bound == y->rng.bound;
    case KILN_OP_REDUCE_SUM:
    case KILN_OP_REDUCE_MAX:
        return x->axes == y->axes;
    case KILN_OP_PERMUTE:
        return !memcmp(x->permutation, y->permutation, (size_t)a->shape.n * sizeof(int));
    case KILN_OP_SLICE:
        return !memcmp(x->slice.start, y->slice.start, axes) &&
               !memcmp(x->slice.step, y->slice.step, axes);
    case KILN_OP_MATMUL:
        return x->matmul.transpose_a == y->matmul.transpose_a &&
               x->matmul.transpose_b == y->matmul.transpose_b;
    case KILN_OP_CONV:
    case KILN_OP_CONV_INPUT_GRAD:
    case KILN_OP_CONV_WEIGHT_GRAD:
        return !memcmp(&x->conv, &y->conv, sizeof x->conv);
    case KILN_OP_WINDOW_ARGMAX:
    case KILN_OP_WINDOW_GATHER:
    case KILN_OP_WINDOW_SCATTER:
        return !memcmp(&x->window, &y->window, sizeof x->window);
    case KILN_OP_RESAMPLE:
        return x->resample.kind == y->resample.kind && x->resample.adjoint == y->resample.adjoint &&
               !memcmp(x->resample.in, y->resample.in, sizeof x->resample.in) &&
               !memcmp(x->resample.out, y->resample.out, sizeof x->resample.out);
    case KILN_OP_ATTENTION:
    case KILN_OP_ATTENTION_GRAD:
        return x->attention.scale == y->attention.scale;
    case KILN_OP_OUTPUT:
        return x->output == y->output;
    default:
        return true;
    }
}

static bool same_value(const struct ir_node *a, const struct ir_node *b, int n, const int *operands)
{
    return a->op == b->op && a->dtype == b->dtype && a->n_operands == n && a->state == b->state &&
           a->barrier == b->barrier && kiln_shape_equal(&a->shape, &b->shape) &&
           (n == 0 || !memcmp(a->operands, operands, (size_t)n * sizeof *operands)) &&
           params_equal(a, b);
}

static uint32_t hash_node(const struct ir_node *node, int n, const int *operands)
{
    uint32_t hash = (uint32_t)node->op * 2654435761u + (uint32_t)node->dtype;
    for (int i = 0; i < n; i++)
        hash = (hash ^ (uint32_t)operands[i]) * 16777619u;
    for (int i = 0; i < node->shape.n; i++)
        hash = (hash ^ (uint32_t)node->shape.d[i]) * 16777619u;
    if (ir_is_fill(node)) {
        uint32_t bits[2];
        memcpy(bits, &node->params.constant.value, sizeof bits);
        hash = (hash ^ bits[0] ^ bits[1]) * 16777619u;
    }
    return hash ^ hash >> 15;
}

static void grow_table(struct planner *p)
{
    if (p->table_used * 2 < p->table_size)
        return;
    int old_size = p->table_size, *old = p->table;
    p->table_size = old_size ? old_size * 2 : 1024;
    p->table = PLAN_SCRATCH(p, int, p->table_size);
    for (int i = 0; i < p->table_size; i++)
        p->table[i] = -1;
    for (int i = 0; i < old_size; i++) {
        if (old[i] < 0)
            continue;
        const struct ir_node *node = ir_at(p, old[i]);
        uint32_t at =
            hash_node(node, node->n_operands, node->operands) & (uint32_t)(p->table_size - 1);
        while (p->table[at] >= 0)
            at = (at + 1) & (uint32_t)(p->table_size - 1);
        p->table[at] = old[i];
    }
}

static bool may_share(const struct ir_node *node)
{
    return node->op != KILN_OP_INPUT && node->op != IR_JOIN && node->op != KILN_OP_UPDATE &&
           node->op != KILN_OP_ASSIGN;
}

int ir_add(struct planner *p, const struct ir_node *node, int n_operands, const int *operands)
{
    if (!p->options->fuse || !may_share(node))
        return ir_append(p, node, n_operands, operands);
    int known = simplify(p, node, n_operands, operands);
    if (known >= 0)
        return known;
    grow_table(p);
    uint32_t at = hash_node(node, n_operands, operands) & (uint32_t)(p->table_size - 1);
    for (; p->table[at] >= 0; at = (at + 1) & (uint32_t)(p->table_size - 1))
        if (same_value(ir_at(p, p->table[at]), node, n_operands, operands))
            return p->table[at];
    p->table[at] = ir_append(p, node, n_operands, operands);
    p->table_used++;
    return p->table[at];
}
