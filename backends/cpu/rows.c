/* Rows of a table: gather, and scatter-add in a fixed order. */
#include "backends/cpu/cpu.h"

#include <string.h>

static int64_t clamp_index(int64_t index, int64_t rows)
{
    return index < 0 ? 0 : index >= rows ? rows - 1 : index;
}

static enum kiln_status gather_run(struct cpu_task *task, struct kiln_error *error)
{
    (void)error;
    const struct kiln_step_rows *s = &task->step->as.rows;
    size_t bytes = (size_t)s->row_elements * kiln_dtype_bytes(s->table.dtype);
    const char *table = cpu_at(task->exec, &s->table);
    const int32_t *index = cpu_at(task->exec, &s->index);
    char *out = cpu_at(task->exec, &s->out);
#pragma omp parallel for schedule(dynamic, 8) num_threads(task->threads)
    for (int64_t i = 0; i < s->n; i++)
        memcpy(out + (size_t)i * bytes, table + (size_t)clamp_index(index[i], s->rows) * bytes,
               bytes);
    return KILN_OK;
}

/* Columns are divided between threads, so that every sum keeps the order of i. */
#define COLUMN_CHUNK 256

static enum kiln_status scatter_run(struct cpu_task *task, struct kiln_error *error)
{
    (void)error;
    const struct kiln_step_rows *s = &task->step->as.rows;
    float *table = cpu_at(task->exec, &s->table);
    const int32_t *index = cpu_at(task->exec, &s->index);
    const float *values = cpu_at(task->exec, &s->out);
    int64_t width = s->row_elements;
#pragma omp parallel for schedule(dynamic, 1) num_threads(task->threads)
    for (int64_t first = 0; first < width; first += COLUMN_CHUNK) {
        int64_t count = cpu_min(COLUMN_CHUNK, width - first);
        for (int64_t r = 0; r < s->rows; r++)
            memset(table + r * width + first, 0, (size_t)count * sizeof *table);
        for (int64_t i = 0; i < s->n; i++) {
            float *row = table + clamp_index(index[i], s->rows) * width + first;
            for (int64_t c = 0; c < count; c++)
                row[c] += values[i * width + first + c];
        }
    }
    return KILN_OK;
}

static enum kiln_status gather_prepare(struct cpu_task *task, struct kiln_error *error)
{
    (void)error;
    const struct kiln_step_rows *s = &task->step->as.rows;
    task->run = gather_run;
    task->threads = cpu_threads(task->device, s->n * s->row_elements);
    return KILN_OK;
}

static enum kiln_status scatter_prepare(struct cpu_task *task, struct kiln_error *error)
{
    (void)error;
    const struct kiln_step_rows *s = &task->step->as.rows;
    task->run = scatter_run;
    task->threads = cpu_threads(task->device, (s->n + s->rows) * s->row_elements);
    return KILN_OK;
}

CPU_KIND(cpu_gather_rows_kind, {CPU_PLAIN, "plain", NULL, gather_prepare});
CPU_KIND(cpu_scatter_add_rows_kind, {CPU_PLAIN, "plain", NULL, scatter_prepare});
