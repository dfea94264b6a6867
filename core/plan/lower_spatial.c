/* Pooling windows and resampling -> steps. */
#include <math.h>
#include <string.h>

#include "core/plan/planner.h"

/* A feature map as [outer][h][w][inner]. */
static void outer_and_inner(const struct ir_node *node, int64_t *outer, int64_t *inner)
{
    static const enum kiln_layout layouts[] = {KILN_LAYOUT_DENSE, KILN_LAYOUT_NHWC,
                                               KILN_LAYOUT_NCHW8C, KILN_LAYOUT_NCHW16C};
    int64_t n = node->shape.d[0], c = node->shape.d[1];
    const int64_t inners[] = {1, c, 8, 16};
    *outer = n * c;
    *inner = 1;
    for (int i = 0; i < 4; i++) {
        struct flat flat = flat_of_layout(layouts[i], &node->shape), lies = node->layout;
        lies.offset = 0;
        if (!kiln_layout_fits(layouts[i], &node->shape) || !flat_equal(&flat, &lies))
            continue;
        *inner = inners[i];
        *outer = n * c / inners[i];
        return;
    }
}

static void lower_window(struct planner *p, int id)
{
    const struct ir_node *node = ir_at(p, id), *first = ir_at(p, node->operands[0]);
    bool argmax = node->op == KILN_OP_WINDOW_ARGMAX, gather = node->op == KILN_OP_WINDOW_GATHER;
    const struct ir_node *large = argmax || gather ? first : node,
                         *small = argmax || gather ? node : first;
    struct kiln_step *step = plan_step(p,
                                       argmax   ? KILN_STEP_WINDOW_ARGMAX
                                       : gather ? KILN_STEP_WINDOW_GATHER
                                                : KILN_STEP_WINDOW_SCATTER,
                                       node);
    struct kiln_step_window *w = &step->as.window;
    /* of an extent-1 plane several layouts are alike: both sides must agree */
    outer_and_inner(large->shape.d[2] * large->shape.d[3] > 1 ? large : small, &w->outer,
                    &w->inner);
    w->h = large->shape.d[2];
    w->w = large->shape.d[3];
    w->oh = small->shape.d[2];
    w->ow = small->shape.d[3];
    w->window = node->params.window;
    if (argmax) {
        plan_operand(p, node->operands[0], &w->x);
        plan_operand(p, id, &w->index);
    } else {
        plan_operand(p, gather ? node->operands[0] : id, &w->x);
        plan_operand(p, node->operands[1], &w->index);
        plan_operand(p, gather ? id : node->operands[0], &w->y);
    }
    plan_choose(p, step);
}

/* --- resampling matrices ----------------------------------------------------- */

/* The sources of output o of one axis: at most two columns and weights, or a
 * run of equal ones. Returns their number. */
static int64_t sources(enum kiln_resample_kind kind, int64_t in, int64_t out, int64_t o,
                       int64_t *first, float *weight)
{
    if (kind == KILN_RESAMPLE_MEAN) {
        int64_t factor = in / out;
        *first = o * factor;
        weight[0] = weight[1] = 1 / (float)factor;
        return factor;
    }
    weight[0] = 1;
    if (kind == KILN_RESAMPLE_NEAREST) {
        *first = o * in / out;
        return 1;
    }
    double at = kind == KILN_RESAMPLE_BILINEAR_ALIGNED
                    ? (out > 1 ? (double)o * (double)(in - 1) / (double)(out - 1) : 0)
                    : ((double)o + 0.5) * (double)in / (double)out - 0.5;
    at = at < 0 ? 0 : at;
    *first = (int64_t)floor(at);
    if (*first >= in - 1) {
        *first = in - 1;
        return 1;
    }
    weight[1] = (float)(at - (double)*first);
    weight[0] = 1 - weight[1];
    return weight[1] > 0 ? 2 : 1;
}

/* Adds entry (row, column) to the rows counted so far. */
struct entry {
    int32_t row, column;
    float weight;
};

static struct kiln_sparse make_sparse(struct planner *p, const struct entry *entries, int64_t n,
                                      int64_t rows, int64_t columns)
{
    int32_t *row = PLAN_KEEP(p, int32_t, rows + 1), *column = PLAN_KEEP(p, int32_t, n);
    float *weight = PLAN_KEEP(p, float, n);
    int32_t *next = PLAN_SCRATCH(p, int32_t, rows + 1);
    for (int64_t i = 0; i < n; i++)
        row[entries[i].row + 1]++;
    for (int64_t i = 0; i < rows; i++)
        row[i + 1] += row[i];
    memcpy(next, row, (size_t)(rows + 1) * sizeof *row);
    for (int64_t i = 0; i < n; i++) { /* in order of columns within each row */
        int32_t at = next[entries[i].row]++;
        column[at] = entries[i].column;
        weight[at] = entries[i].weight;
    }
    return (struct kiln_sparse){rows, columns, row, column, weight};
}

static struct kiln_sparse resample_axis(struct planner *p, const struct kiln_resample *resample,
                                        int axis)
{
    int64_t in = resample->in[axis], out = resample->out[axis], n = 0;
    struct entry *entries = PLAN_SCRATCH(p, struct entry, in + 2 * out);
    for (int64_t o = 0; o < out; o++) {
        int64_t first;
        float weight[2];
        int64_t count = sources(resample->kind, in, out, o, &first, weight);
        for (int64_t i = 0; i < count; i++) {
            int32_t source = (int32_t)(first + i), target = (int32_t)o;
            entries[n++] = resample->adjoint ? (struct entry){source, target, weight[i ? 1 : 0]}
                                             : (struct entry){target, source, weight[i ? 1 : 0]};
        }
    }
    return make_sparse(p, entries, n, resample->adjoint ? in : out, resample->adjoint ? out : in);
}

static void lower_resample(struct planner *p, int id)
{
    const struct ir_node *node = ir_at(p, id), *x = ir_at(p, node->operands[0]);
    struct kiln_step *step = plan_step(p, KILN_STEP_RESAMPLE, node);
    struct kiln_step_resample *r = &step->as.resample;
    outer_and_inner(x->shape.d[2] * x->shape.d[3] > 1 ? x : node, &r->outer, &r->inner);
    r->vertical = resample_axis(p, &node->params.resample, 0);
    r->horizontal = resample_axis(p, &node->params.resample, 1);
    plan_operand(p, node->operands[0], &r->x);
    plan_operand(p, id, &r->y);
    plan_choose(p, step);
}

void plan_lower_spatial(struct planner *p, int id)
{
    if (ir_at(p, id)->op == KILN_OP_RESAMPLE)
        lower_resample(p, id);
    else
        lower_window(p, id);
}
