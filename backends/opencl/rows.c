/* Gathering rows of a table, and the adjoint. */
#include "backends/opencl/opencl.h"

/* Rows are copied in the widest unit that divides them. */
void cl_gather_rows_prepare(struct cl_builder *builder, const struct kiln_step_rows *s)
{
    static const char *const kernels[] = {
        [1] = "gather_rows1", [2] = "gather_rows2", [4] = "gather_rows4"};
    static const char *const whole_kernels[] = {
        [1] = "gather_whole_rows1", [2] = "gather_whole_rows2", [4] = "gather_whole_rows4"};
    int64_t element = (int64_t)kiln_dtype_bytes(s->table.dtype);
    int64_t row_bytes = s->row_elements * element;
    int64_t unit = row_bytes % 4 == 0 ? 4 : row_bytes % 2 == 0 ? 2 : 1;
    while (s->table.offset % unit != 0 || s->out.offset % unit != 0)
        unit /= 2;
    static const enum kiln_dtype types[] = {[1] = KILN_U8, [2] = KILN_F16, [4] = KILN_F32};
    struct kiln_place table = s->table, out = s->out;
    table.dtype = out.dtype = types[unit];
    bool whole = builder->device->cpu_like && row_bytes / unit >= 16;
    cl_begin(builder, "rows.cl", "", whole ? whole_kernels[unit] : kernels[unit]);
    cl_arg_place(builder, &table);
    cl_arg_place(builder, &s->index);
    cl_arg_place(builder, &out);
    cl_arg_int(builder, s->rows);
    cl_arg_int(builder, row_bytes / unit);
    if (whole)
        cl_end_items(builder, s->n, 20 + row_bytes / 16);
    else
        cl_end_items(builder, s->n * row_bytes / unit, 10);
}

void cl_scatter_rows_prepare(struct cl_builder *builder, const struct kiln_step_rows *s)
{
    cl_begin(builder, "rows.cl", "", "zero");
    cl_arg_place(builder, &s->table);
    cl_end_items(builder, s->rows * s->row_elements, 1);
    cl_begin(builder, "rows.cl", "", "scatter_add_rows");
    cl_arg_place(builder, &s->table);
    cl_arg_place(builder, &s->index);
    cl_arg_place(builder, &s->out);
    cl_arg_int(builder, s->rows);
    cl_arg_int(builder, s->row_elements);
    cl_arg_int(builder, s->n);
    cl_end_items(builder, s->row_elements, 4 * s->n);
}
