/*
 * Convolutions between few channels (pictures: 1 to 4) and many (features),
 * where libraries are slow or missing.
 */
#include "backends/cpu/conv_edge.h"

#include <stdlib.h>
#include <string.h>

#define MAX_FEW 4
/* Images whose weight gradients are summed together. */
#define WEIGHT_GROUPS 16

/* The terms of a row segment and a column segment, for their first pixel. */
struct cell {
    int n;
    struct cpu_edge_term *terms;
};

struct edge {
    const struct kiln_step_conv *s;
    const struct cpu_simd_edge *simd;
    bool few_is_x; /* else the few channels are y's */
    int few, lanes;
    int64_t many;
    struct cpu_conv_axes t, u, w; /* of the target, the other side, the weights */
    struct axis rows, columns;
    struct cell *cells;          /* [rows.n][columns.n] */
    struct cpu_edge_term *terms; /* of all cells */
    int64_t n_rows;              /* target rows of an image */
    int32_t *row_segment, *row_in_segment;
    float *x, *weight, *y, *scratch;
    int64_t weights, w_block;  /* number of them; from vector to vector */
    struct cpu_edge_call call; /* what all runs have in common */
};

/* --- running ------------------------------------------------------------------------ */

/* Calls kernel for the runs of a target row; t, u: the image on either side. */
static inline void for_runs(const struct edge *e, int64_t row, float *t, float *u, float *w,
                            void kernel(const struct edge *, struct cpu_edge_call *, float *,
                                        float *, float *))
{
    const struct segment *rows = &e->rows.segments[e->row_segment[row]];
    int64_t in_segment = e->row_in_segment[row];
    struct cpu_edge_call call = e->call;
    t += (rows->t + in_segment * rows->t_step) * e->t.row;
    u += in_segment * rows->u_step * e->u.row;
    for (int i = 0; i < e->columns.n; i++) {
        const struct segment *column = &e->columns.segments[i];
        const struct cell *cell = &e->cells[e->row_segment[row] * e->columns.n + i];
        call.n = column->n;
        call.t_step = column->t_step * e->t.column;
        call.u_step = column->u_step * e->u.column;
        call.n_terms = cell->n;
        call.terms = cell->terms;
        kernel(e, &call, t + column->t * e->t.column, u, w);
    }
}

static void spread(const struct edge *e, struct cpu_edge_call *call, float *t, float *u, float *w)
{
    e->simd->spread(call, t, u, w);
}

static void dot(const struct edge *e, struct cpu_edge_call *call, float *t, float *u, float *w)
{
    e->simd->dot(call, t, u, w);
}

static void outer(const struct edge *e, struct cpu_edge_call *call, float *t, float *u, float *w)
{
    e->simd->outer(call, w, t, u);
}

static enum kiln_status features_run(struct cpu_task *task, struct kiln_error *error)
{
    (void)error;
    const struct edge *e = task->data;
    bool forward = task->step->kind == KILN_STEP_CONV, target_is_many = forward == e->few_is_x;
    float *t = forward ? e->y : e->x, *u = forward ? e->x : e->y;
#pragma omp parallel for schedule(dynamic, 4) num_threads(task->threads)
    for (int64_t i = 0; i < e->s->n * e->n_rows; i++) {
        int64_t n = i / e->n_rows;
        for_runs(e, i % e->n_rows, t + cpu_conv_offset(&e->t, n, 0),
                 u + cpu_conv_offset(&e->u, n, 0), e->weight, target_is_many ? spread : dot);
    }
    return KILN_OK;
}

static int64_t weight_groups(const struct kiln_step_conv *s)
{
    return cpu_min(s->n, WEIGHT_GROUPS);
}

/* Groups of images in any order, then their sums in order. */
static enum kiln_status weights_run(struct cpu_task *task, struct kiln_error *error)
{
    (void)error;
    const struct edge *e = task->data;
    float *t = e->few_is_x ? e->y : e->x, *u = e->few_is_x ? e->x : e->y;
    int64_t groups = weight_groups(e->s), blocks = e->many / e->lanes;
    memset(e->scratch, 0, (size_t)(groups * e->weights) * sizeof(float));
#pragma omp parallel for schedule(dynamic, 1) num_threads(task->threads)
    for (int64_t group = 0; group < groups; group++)
        for (int64_t n = group * e->s->n / groups; n < (group + 1) * e->s->n / groups; n++)
            for (int64_t row = 0; row < e->n_rows; row++)
                for (int64_t block = 0; block < blocks; block++)
                    for_runs(e, row, t + cpu_conv_offset(&e->t, n, block * e->lanes),
                             u + cpu_conv_offset(&e->u, n, 0),
                             e->scratch + group * e->weights + block * e->w_block, outer);
    memcpy(e->weight, e->scratch, (size_t)e->weights * sizeof(float));
    for (int64_t group = 1; group < groups; group++)
        for (int64_t i = 0; i < e->weights; i++)
            e->weight[i] += e->scratch[group * e->weights + i];
    return KILN_OK;
}

/* --- preparing ------------------------------------------------------------------------ */

/* The vectors that a layout of many channels offers, 0 = none. */
static int lanes_of(enum kiln_layout layout, int64_t channels)
{
    switch (layout) {
    case KILN_LAYOUT_NCHW16C:
        return 16;
    case KILN_LAYOUT_NCHW8C:
        return 8;
    case KILN_LAYOUT_NHWC:
        return channels % 16 == 0 ? 16 : channels % 8 == 0 ? 8 : 0;
    default:
        return 0;
    }
}

static bool is_few(int64_t channels, enum kiln_layout layout)
{
    return channels <= MAX_FEW && (layout == KILN_LAYOUT_DENSE || layout == KILN_LAYOUT_NHWC);
}

bool cpu_conv_edge_accepts(kiln_device_state *device, const struct kiln_step *step,
                           struct kiln_candidate *candidate)
{
    (void)device;
    const struct kiln_step_conv *s = &step->as.conv;
    bool few_is_x = is_few(s->c, s->x_layout);
    int lanes = few_is_x ? lanes_of(s->y_layout, s->o) : lanes_of(s->x_layout, s->c);
    if (s->conv.groups != 1 || s->kh > EDGE_MAX_KERNEL || s->kw > EDGE_MAX_KERNEL || !lanes ||
        !(few_is_x || is_few(s->o, s->y_layout)))
        return false;
    candidate->weight_layout = !few_is_x     ? KILN_LAYOUT_NHWC
                               : lanes == 16 ? KILN_LAYOUT_OHWI16O
                                             : KILN_LAYOUT_HWIO;
    if (step->kind == KILN_STEP_CONV_WEIGHT_GRAD)
        candidate->scratch_bytes =
            weight_groups(s) * s->o * s->c * s->kh * s->kw * (int64_t)sizeof(float);
    return true;
}

static void edge_release(void *data)
{
    struct edge *e = data;
    free(e->rows.segments);
    free(e->columns.segments);
    free(e->cells);
    free(e->terms);
    free(e->row_segment);
    free(e->row_in_segment);
    free(e);
}

/* The terms of a row's and a column segment's taps; few: and of the channels. */
static int make_terms(const struct edge *e, const struct segment *row, const struct segment *column,
                      bool few, struct cpu_edge_term *terms)
{
    int n = 0;
    for (int i = 0; i < row->n_taps; i++)
        for (int j = 0; j < column->n_taps; j++)
            for (int f = 0; f < (few ? e->few : 1); f++) {
                int64_t w = row->taps[i].k * e->w.row + column->taps[j].k * e->w.column;
                int64_t u = row->taps[i].u * e->u.row + column->taps[j].u * e->u.column;
                if (few) {
                    w += e->few_is_x ? cpu_conv_offset(&e->w, 0, f) : cpu_conv_offset(&e->w, f, 0);
                    u += cpu_conv_offset(&e->u, 0, f);
                }
                terms[n++] = (struct cpu_edge_term){u, w};
            }
    return n;
}

/* Cells and the rows' places in the segments; false when out of memory. */
static bool make_tables(struct edge *e, bool few_in_terms)
{
    const struct kiln_step_conv *s = e->s;
    size_t cells = (size_t)(e->rows.n * e->columns.n);
    size_t most = (size_t)(s->kh * s->kw * (few_in_terms ? e->few : 1));
    for (int i = 0; i < e->rows.n; i++)
        e->n_rows += e->rows.segments[i].n;
    e->cells = calloc(cells, sizeof *e->cells);
    e->terms = calloc(cells * most, sizeof *e->terms);
    e->row_segment = calloc((size_t)e->n_rows, sizeof *e->row_segment);
    e->row_in_segment = calloc((size_t)e->n_rows, sizeof *e->row_in_segment);
    if (!e->cells || !e->terms || !e->row_segment || !e->row_in_segment)
        return false;
    for (size_t i = 0; i < cells; i++) {
        e->cells[i].terms = e->terms + i * most;
        e->cells[i].n = make_terms(e, &e->rows.segments[i / (size_t)e->columns.n],
                                   &e->columns.segments[i % (size_t)e->columns.n], few_in_terms,
                                   e->cells[i].terms);
    }
    int64_t row = 0;
    for (int i = 0; i < e->rows.n; i++)
        for (int64_t q = 0; q < e->rows.segments[i].n; q++, row++) {
            e->row_segment[row] = i;
            e->row_in_segment[row] = (int32_t)q;
        }
    return true;
}

/* Which side is which, and where everything lies. */
static void fill_edge(struct edge *e, const struct cpu_task *task, bool target_is_y)
{
    const struct kiln_step_conv *s = e->s;
    struct cpu_conv_axes x = cpu_conv_feature_axes(s->x_layout, s->c, s->h, s->w);
    struct cpu_conv_axes y = cpu_conv_feature_axes(s->y_layout, s->o, s->oh, s->ow);
    e->t = target_is_y ? y : x;
    e->u = target_is_y ? x : y;
    e->w = cpu_conv_weight_axes(s->weight_layout, s->o, s->c, s->kh, s->kw);
    e->w_block =
        e->few_is_x ? cpu_conv_offset(&e->w, e->lanes, 0) : cpu_conv_offset(&e->w, 0, e->lanes);
    e->x = cpu_at(task->exec, &s->x);
    e->y = cpu_at(task->exec, &s->y);
    e->weight = cpu_at(task->exec, &s->weight);
    e->scratch = cpu_at(task->exec, &task->step->scratch);
    e->weights = s->o * s->c * s->kh * s->kw;
    e->simd = &task->device->simd->edge[e->lanes == 8];
    e->call = (struct cpu_edge_call){
        .t_block = cpu_conv_offset(&e->t, 0, e->lanes),
        .u_block = cpu_conv_offset(&e->u, 0, e->lanes),
        .w_block = e->w_block,
        .w_few = e->few_is_x ? cpu_conv_offset(&e->w, 0, 1) : cpu_conv_offset(&e->w, 1, 0),
        .few_stride = cpu_conv_offset(&e->t, 0, 1),
        .blocks = (int)(e->many / e->lanes),
        .few = e->few,
    };
}

enum kiln_status cpu_conv_edge_prepare(struct cpu_task *task, struct kiln_error *error)
{
    const struct kiln_step_conv *s = &task->step->as.conv;
    struct edge *e = calloc(1, sizeof *e);
    if (!e)
        return kiln_fail(error, KILN_MACHINE, "cpu: no memory");
    task->data = e;
    task->release = edge_release;
    e->s = s;
    e->few_is_x = is_few(s->c, s->x_layout) && lanes_of(s->y_layout, s->o);
    e->few = (int)(e->few_is_x ? s->c : s->o);
    e->many = e->few_is_x ? s->o : s->c;
    e->lanes = e->few_is_x ? lanes_of(s->y_layout, s->o) : lanes_of(s->x_layout, s->c);
    /* the output is the target; for weights, the side of many channels */
    bool weights = task->step->kind == KILN_STEP_CONV_WEIGHT_GRAD;
    bool target_is_y = weights ? e->few_is_x : task->step->kind == KILN_STEP_CONV;
    bool few_in_terms = weights || target_is_y == e->few_is_x;
    fill_edge(e, task, target_is_y);
    if (!cpu_conv_edge_axis(s, 0, !target_is_y, &e->rows) ||
        !cpu_conv_edge_axis(s, 1, !target_is_y, &e->columns) || !make_tables(e, few_in_terms))
        return kiln_fail(error, KILN_MACHINE, "cpu: no memory");
    task->run = weights ? weights_run : features_run;
    task->threads = cpu_threads(task->device, cpu_conv_work(s));
    return KILN_OK;
}
