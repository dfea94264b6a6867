/* The form of a loop: which dimensions work-items, loops and lanes take. */
#include "backends/opencl/loop.h"

/* Copies the dimensions without those of extent 1. */
static void take_dims(const struct kiln_loop *loop, struct cl_form *form)
{
    for (int d = 0; d < loop->n_dims; d++) {
        if (loop->extent[d] == 1)
            continue;
        int n = form->n_dims++;
        form->extent[n] = loop->extent[d];
        form->reduced[n] = loop->reduced[d];
        form->reduces = form->reduces || loop->reduced[d];
        for (int a = 0; a < loop->n_accesses; a++)
            form->stride[a][n] = loop->accesses[a].stride[d];
    }
}

static bool merges(const struct cl_form *form, int d)
{
    if (form->reduced[d] != form->reduced[d + 1])
        return false;
    for (int a = 0; a < form->loop->n_accesses; a++)
        if (form->stride[a][d] != form->stride[a][d + 1] * form->extent[d + 1])
            return false;
    return true;
}

/* Makes one dimension of neighbours that every access walks as one. */
static void merge_dims(struct cl_form *form)
{
    for (int d = form->n_dims - 2; d >= 0; d--) {
        if (!merges(form, d))
            continue;
        form->extent[d] *= form->extent[d + 1];
        for (int a = 0; a < form->loop->n_accesses; a++)
            form->stride[a][d] = form->stride[a][d + 1];
        form->n_dims--;
        for (int e = d + 1; e < form->n_dims; e++) {
            form->extent[e] = form->extent[e + 1];
            form->reduced[e] = form->reduced[e + 1];
            for (int a = 0; a < form->loop->n_accesses; a++)
                form->stride[a][e] = form->stride[a][e + 1];
        }
    }
}

static void choose_lanes(struct cl_form *form)
{
    form->lanes = CL_LANES_NONE;
    form->first_lane = form->n_dims;
    form->outer_width = 1;
    if (form->groups || form->n_dims == 0)
        return;
    int64_t product = 1;
    int d = form->n_dims;
    while (d > 0 && product < CL_LANE_COUNT)
        product *= form->extent[--d];
    int last = form->n_dims - 1;
    if (product == CL_LANE_COUNT) {
        form->lanes = CL_LANES_BLOCK;
        form->first_lane = d;
        for (; d < form->n_dims; d++) {
            form->role[d] = CL_ROLE_LANE;
            if (!form->reduced[d] && form->reduces)
                form->outer_width = CL_LANE_COUNT;
        }
    } else if (form->extent[last] >= CL_LANE_COUNT) {
        form->lanes = CL_LANES_LONG;
        form->first_lane = last;
        form->tail = form->extent[last] % CL_LANE_COUNT != 0;
    }
    if (cl_form_kept_lanes(form))
        form->outer_width = CL_LANE_COUNT;
}

bool cl_form_multiplies(const struct cl_form *form)
{
    return form->groups && !form->wide;
}

bool cl_form_kept_lanes(const struct cl_form *form)
{
    return form->lanes == CL_LANES_LONG && form->reduces && !form->reduced[form->first_lane];
}

/*
 * Without reductions a work-item of a processor takes a part of the innermost
 * dimensions, so that no index is divided per vector: two loops, or one if the
 * dimensions outside are too few to occupy the device.
 */
static void choose_loops(struct cl_form *form, int64_t parallelism)
{
    int n = form->lanes == CL_LANES_BLOCK ? form->first_lane : form->n_dims;
    form->chunked = -1;
    for (int d = 0; d < n; d++)
        form->role[d] = form->reduced[d] ? CL_ROLE_LOOPED : CL_ROLE_OUTER;
    if (form->reduces || form->groups || n == 0)
        return;
    int64_t outside = 1;
    for (int d = 0; d < n - 1; d++)
        outside *= form->extent[d];
    int loops = n > 1 && (outside >= parallelism || outside > form->extent[n - 1]) ? 2 : 1;
    for (int d = n - loops; d < n; d++)
        form->role[d] = CL_ROLE_LOOPED;
    form->chunked = n - loops;
}

static void count_outer(struct cl_form *form)
{
    form->n_outer = 1;
    for (int d = 0; d < form->n_dims; d++) {
        if (form->role[d] != CL_ROLE_OUTER)
            continue;
        int64_t extent = form->extent[d];
        if (cl_form_kept_lanes(form) && d == form->first_lane)
            extent = (extent + CL_LANE_COUNT - 1) / CL_LANE_COUNT;
        form->n_outer *= extent;
    }
}

/* 64-bit indices only where some access reaches so far. */
static void choose_width(struct cl_form *form)
{
    enum { LIMIT = INT32_MAX / 2 };
    int64_t all = 1;
    for (int d = 0; d < form->n_dims; d++)
        all *= form->extent[d];
    form->wide = all > LIMIT;
    for (int a = 0; a < form->loop->n_accesses; a++) {
        int64_t reach = 0;
        for (int d = 0; d < form->n_dims; d++) {
            int64_t stride = form->stride[a][d];
            reach += (form->extent[d] - 1) * (stride < 0 ? -stride : stride);
        }
        form->wide = form->wide || reach > LIMIT;
    }
}

int cl_form_symbol(const struct cl_form *form, int64_t stride)
{
    if (stride == 0 || stride == 1)
        return -1;
    int i = 0;
    while (i < form->n_symbols && form->symbol[i] != stride)
        i++;
    return i;
}

static void name_strides(struct cl_form *form)
{
    for (int a = 0; a < form->loop->n_accesses; a++)
        for (int d = 0; d < form->n_dims; d++) {
            int symbol = cl_form_symbol(form, form->stride[a][d]);
            if (symbol == form->n_symbols)
                form->symbol[form->n_symbols++] = form->stride[a][d];
        }
}

void cl_form_create(const struct kiln_loop *loop, bool groups, int64_t parallelism,
                    struct cl_form *form)
{
    *form = (struct cl_form){.loop = loop, .groups = groups};
    take_dims(loop, form);
    merge_dims(form);
    form->inner_reduced = form->n_dims > 0 && form->reduced[form->n_dims - 1];
    choose_lanes(form);
    choose_loops(form, parallelism);
    count_outer(form);
    choose_width(form);
    name_strides(form);
}
