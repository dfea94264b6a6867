/* The planner's memory, failures and IR nodes. */
#include "core/plan/planner.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

_Noreturn void plan_fail(struct planner *p, enum kiln_status status, const char *format, ...)
{
    char text[sizeof p->error->text];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    p->status = kiln_fail(p->error, status, "%s", text);
    longjmp(p->failed, 1);
}

static void *allocate(struct planner *p, kiln_arena *arena, size_t count, size_t size)
{
    void *memory = kiln_arena_alloc(arena, count, size);
    if (!memory)
        plan_fail(p, KILN_MACHINE, "out of memory while planning");
    return memory;
}

void *plan_scratch(struct planner *p, size_t count, size_t size)
{
    return allocate(p, p->scratch, count, size);
}

void *plan_keep(struct planner *p, size_t count, size_t size)
{
    return allocate(p, p->arena, count, size);
}

void plan_grow(struct planner *p, void *items, int *capacity, int n, size_t size)
{
    if (n < *capacity)
        return;
    int more = *capacity ? *capacity * 2 : 16;
    if (more > INT32_MAX / 4)
        plan_fail(p, KILN_INPUT, "the graph is too large to plan");
    void *old, *grown = plan_scratch(p, (size_t)more, size);
    memcpy(&old, items, sizeof old);
    if (n)
        memcpy(grown, old, (size_t)n * size);
    memcpy(items, &grown, sizeof grown);
    *capacity = more;
}

int ir_append(struct planner *p, const struct ir_node *node, int n_operands, const int *operands)
{
    plan_grow(p, &p->ir.nodes, &p->ir.capacity, p->ir.n, sizeof *p->ir.nodes);
    struct ir_node *copy = PLAN_SCRATCH(p, struct ir_node, 1);
    *copy = *node;
    copy->count = kiln_shape_count(&node->shape);
    copy->n_operands = n_operands;
    copy->operands = PLAN_SCRATCH(p, int, n_operands);
    if (n_operands)
        memcpy(copy->operands, operands, (size_t)n_operands * sizeof *operands);
    bool passes_on = ir_is_pointwise(copy) || ir_is_reduce(copy) || ir_is_view(copy);
    copy->rank = 0;
    for (int k = 0; k < n_operands && passes_on; k++)
        if (ir_at(p, operands[k])->rank > copy->rank)
            copy->rank = ir_at(p, operands[k])->rank;
    copy->rank += ir_is_reduce(copy);
    p->ir.nodes[p->ir.n] = copy;
    return p->ir.n++;
}

struct ir_node ir_make(int op, enum kiln_dtype dtype, struct kiln_shape shape,
                       const struct ir_node *like)
{
    return (struct ir_node){.op = op,
                            .dtype = dtype,
                            .shape = shape,
                            .label = like->label,
                            .origin = like->origin,
                            .state = -1,
                            .group = -1,
                            .source = -1,
                            .home_node = -1};
}

bool ir_is_pointwise(const struct ir_node *node)
{
    return node->op == IR_COPY ||
           (node->op < KILN_OP_COUNT && kiln_op_is_pointwise((enum kiln_op)node->op));
}

bool ir_is_reduce(const struct ir_node *node)
{
    return node->op == KILN_OP_REDUCE_SUM || node->op == KILN_OP_REDUCE_MAX;
}

bool ir_is_view(const struct ir_node *node)
{
    return node->op == KILN_OP_RESHAPE || node->op == KILN_OP_EXPAND ||
           node->op == KILN_OP_PERMUTE || node->op == KILN_OP_SLICE;
}

bool ir_is_source(const struct ir_node *node)
{
    return node->op == KILN_OP_INPUT || node->op == KILN_OP_STATE || node->op == KILN_OP_CONST;
}

bool ir_is_fill(const struct ir_node *node)
{
    return node->op == KILN_OP_CONST && !node->data;
}

int ir_weight(const struct ir_node *node)
{
    switch (node->op) {
    case IR_COPY:
    case KILN_OP_CAST:
    case KILN_OP_NEG:
    case KILN_OP_CONST:
    case KILN_OP_STOP_GRADIENT:
        return 0;
    case KILN_OP_DIV:
    case KILN_OP_SQRT:
        return 2;
    case KILN_OP_EXP:
    case KILN_OP_SIGMOID:
    case KILN_OP_TANH:
        return 4;
    case KILN_OP_EXPM1:
    case KILN_OP_LOG:
    case KILN_OP_LOG1P:
    case KILN_OP_SIN:
    case KILN_OP_COS:
    case KILN_OP_ERF:
    case KILN_OP_POW:
        return 8;
    default:
        return 1;
    }
}
