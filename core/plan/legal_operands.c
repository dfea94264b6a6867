/* A node as a step needs it: itself, or a copy in another layout. */
#include "core/plan/legal.h"

struct flat legal_dense(const struct ir_node *node)
{
    return flat_dense(node->count);
}

int legal_append(struct legal *l, const struct ir_node *node, int n, const int *operands)
{
    int id = ir_append(l->p, node, n, operands);
    int capacity = l->n_memos;
    while (id >= capacity)
        plan_grow(l->p, &l->memos, &capacity, capacity, sizeof *l->memos);
    for (int i = l->n_memos; i < capacity; i++)
        l->memos[i] = NULL;
    l->n_memos = capacity;
    if (!ir_is_view(node))
        ir_at(l->p, id)->source = id;
    return id;
}

/* The node stored anew in the layout; the same copy for the same wish. */
int legal_copy(struct legal *l, int operand, const struct flat *layout)
{
    const struct ir_node *x = ir_at(l->p, operand);
    for (struct memo *memo = l->memos[operand]; memo; memo = memo->next)
        if (flat_equal(&ir_at(l->p, memo->copy)->layout, layout))
            return memo->copy;
    struct ir_node copy = ir_make(IR_COPY, x->dtype, x->shape, x);
    copy.layout = *layout;
    copy.layout.offset = 0;
    copy.reorder = !ir_is_fill(ir_at(l->p, x->source));
    int id = legal_append(l, &copy, 1, &operand);
    struct memo *memo = PLAN_SCRATCH(l->p, struct memo, 1);
    *memo = (struct memo){id, l->memos[operand]};
    l->memos[operand] = memo;
    return id;
}

/* True if the node's first element may be a step's place. */
static bool is_aligned(struct legal *l, const struct ir_node *node)
{
    const struct ir_node *source = ir_at(l->p, node->source);
    int64_t offset =
        (source->home_offset + node->layout.offset) * (int64_t)kiln_dtype_bytes(node->dtype);
    return !ir_is_fill(source) && offset % KILN_PLACE_ALIGNMENT == 0;
}

/* The node itself if it lies as the layout says, else a copy. */
int legal_need_layout(struct legal *l, int id, const struct flat *layout)
{
    const struct ir_node *node = ir_at(l->p, id);
    struct flat lies = node->layout;
    lies.offset = 0;
    return is_aligned(l, node) && flat_equal(&lies, layout) ? id : legal_copy(l, id, layout);
}

int legal_need_dense(struct legal *l, int id)
{
    struct flat dense = legal_dense(ir_at(l->p, id));
    return legal_need_layout(l, id, &dense);
}

int legal_need_named(struct legal *l, int id, enum kiln_layout layout)
{
    struct flat flat = flat_of_layout(layout, &ir_at(l->p, id)->shape);
    return legal_need_layout(l, id, &flat);
}

/* True if rows lie one after the other without overlap, elements densely. */
static bool is_matrix(int64_t rows, int64_t columns, int64_t row_stride, int64_t column_stride)
{
    return (column_stride == 1 || columns == 1) && (row_stride >= columns || rows == 1);
}

/* The node itself if its last two axes are a matrix with a unit stride. */
int legal_need_matrix(struct legal *l, int id)
{
    const struct ir_node *node = ir_at(l->p, id);
    int64_t stride[KILN_MAX_DIMS];
    int n = node->shape.n;
    if (is_aligned(l, node) && flat_strides(&node->layout, &node->shape, stride)) {
        if (is_matrix(node->shape.d[n - 2], node->shape.d[n - 1], stride[n - 2], stride[n - 1]) ||
            is_matrix(node->shape.d[n - 1], node->shape.d[n - 2], stride[n - 1], stride[n - 2]))
            return id;
    }
    return legal_need_dense(l, id);
}

/* The layout by name in which a feature map lies, -1 if in none. */
int legal_named_layout(struct legal *l, int id)
{
    const struct ir_node *node = ir_at(l->p, id);
    const enum kiln_layout names[] = {l->p->options->feature_layout, KILN_LAYOUT_DENSE};
    for (int i = 0; i < 2 && is_aligned(l, node); i++) {
        struct flat lies = node->layout, flat = flat_of_layout(names[i], &node->shape);
        lies.offset = 0;
        if (kiln_layout_fits(names[i], &node->shape) && flat_equal(&lies, &flat))
            return (int)names[i];
    }
    return -1;
}

/* Joins are seen through their own axes; a loop's result need not be. */
struct flat legal_own_layout(struct legal *l, int old_id, const struct ir_node *node)
{
    const struct flat *layout = l->p->class_layout[old_id];
    struct kiln_view view;
    if (layout && (ir_is_pointwise(node) || flat_to_view(layout, &node->shape, &view)))
        return *layout;
    return legal_dense(node);
}
