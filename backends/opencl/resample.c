/* Resampling by a sparse matrix on each spatial axis. */
#include "backends/opencl/opencl.h"

static int64_t entries(const struct kiln_sparse *matrix)
{
    return matrix->row[matrix->n_rows];
}

static void matrix(struct cl_builder *builder, const cl_mem tables[3])
{
    for (int i = 0; i < 3; i++)
        cl_arg_buffer(builder, tables[i]);
}

/* An empty matrix still needs a buffer. */
static void upload(struct cl_builder *builder, const struct kiln_sparse *matrix, cl_mem tables[3])
{
    static const int32_t nothing;
    int64_t n = entries(matrix);
    tables[0] = cl_table(builder, matrix->row, (size_t)(matrix->n_rows + 1) * sizeof *matrix->row);
    tables[1] = n ? cl_table(builder, matrix->column, (size_t)n * sizeof *matrix->column)
                  : cl_table(builder, &nothing, sizeof nothing);
    tables[2] = n ? cl_table(builder, matrix->weight, (size_t)n * sizeof *matrix->weight)
                  : cl_table(builder, &nothing, sizeof nothing);
}

void cl_resample_prepare(struct cl_builder *builder, const struct kiln_step_resample *s)
{
    cl_mem vertical[3], horizontal[3];
    upload(builder, &s->vertical, vertical);
    upload(builder, &s->horizontal, horizontal);
    int64_t taps = (entries(&s->vertical) / s->vertical.n_rows + 1) *
                   (entries(&s->horizontal) / s->horizontal.n_rows + 1);
    int64_t lanes = builder->device->cpu_like && s->inner % 16 == 0 ? 16 : 1;
    cl_begin(builder, "resample.cl", "", lanes == 16 ? "resample16" : "resample");
    cl_arg_place(builder, &s->x);
    cl_arg_place(builder, &s->y);
    matrix(builder, vertical);
    matrix(builder, horizontal);
    cl_arg_int(builder, s->inner);
    cl_arg_int(builder, s->vertical.n_columns);
    cl_arg_int(builder, s->horizontal.n_columns);
    cl_arg_int(builder, s->vertical.n_rows);
    cl_arg_int(builder, s->horizontal.n_rows);
    int64_t outputs = s->outer * s->inner * s->vertical.n_rows * s->horizontal.n_rows;
    cl_end_items(builder, outputs / lanes, 20 + 4 * taps);
}
