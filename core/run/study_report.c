/* The report of a study: tables, and the panels of its drawing. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/run/plot.h"
#include "core/run/study.h"

struct name {
    struct name *next;
    const char *text;
};

struct cell {
    struct cell *next;
    int row, column;
    double value;
};

struct table {
    struct table *next;
    const char *title;
    struct name *rows, *columns;
    struct cell *cells;
};

struct panel {
    struct panel *next;
    struct kiln_panel panel;
};

struct kiln_report {
    struct kiln_arena *arena;
    struct table *tables, *table; /* the last is the current one */
    struct panel *panels;
    int columns;
    bool failed;
};

kiln_report *kiln_report_create(void)
{
    struct kiln_arena *arena = kiln_arena_create();
    kiln_report *report = arena ? KILN_ARENA_NEW(arena, struct kiln_report, 1) : NULL;
    if (report)
        report->arena = arena;
    else
        kiln_arena_destroy(&arena);
    return report;
}

void kiln_report_destroy(kiln_report **report)
{
    if (!*report)
        return;
    struct kiln_arena *arena = (*report)->arena; /* holds the report too */
    kiln_arena_destroy(&arena);
    *report = NULL;
}

enum kiln_status kiln_report_error(const kiln_report *report, struct kiln_error *error)
{
    return report->failed ? kiln_fail(error, KILN_MACHINE, "report: out of memory") : KILN_OK;
}

/* --- filling --------------------------------------------------------------------- */

static void *allocate(kiln_report *report, size_t count, size_t size)
{
    void *memory = report->failed ? NULL : kiln_arena_alloc(report->arena, count, size);
    report->failed |= !memory;
    return memory;
}

static const char *copy_text(kiln_report *report, const char *text)
{
    char *copy = text && !report->failed ? kiln_arena_strdup(report->arena, text) : NULL;
    report->failed |= text && !copy;
    return copy;
}

void kiln_report_table(kiln_report *report, const char *title)
{
    struct table *table = allocate(report, 1, sizeof *table);
    if (!table)
        return;
    table->title = copy_text(report, title);
    if (report->table)
        report->table->next = table;
    else
        report->tables = table;
    report->table = table;
}

/* The position of a name, which is appended if it is new. */
static int position(kiln_report *report, struct name **names, const char *text)
{
    int i = 0;
    for (; *names; names = &(*names)->next, i++)
        if (!strcmp((*names)->text, text))
            return i;
    *names = allocate(report, 1, sizeof **names);
    if (*names && !((*names)->text = copy_text(report, text)))
        *names = NULL;
    return i;
}

void kiln_report_value(kiln_report *report, const char *row, const char *column, double value)
{
    if (!report->table)
        kiln_report_table(report, "figures");
    struct cell *cell = allocate(report, 1, sizeof *cell);
    if (!cell)
        return;
    struct table *table = report->table;
    *cell = (struct cell){.next = table->cells,
                          .row = position(report, &table->rows, row),
                          .column = position(report, &table->columns, column),
                          .value = value};
    table->cells = cell;
}

void kiln_report_columns(kiln_report *report, int columns)
{
    report->columns = columns;
}

static void copy_series(kiln_report *report, const struct kiln_series *from, struct kiln_series *to)
{
    int64_t count = from->n * kiln_plot_row(from);
    float *data = allocate(report, (size_t)count, sizeof *data);
    *to = *from;
    to->name = copy_text(report, from->name);
    to->data = data;
    if (data && count)
        memcpy(data, from->data, (size_t)count * sizeof *data);
}

void kiln_report_panel(kiln_report *report, const struct kiln_panel *from)
{
    struct panel *panel = allocate(report, 1, sizeof *panel), **last = &report->panels;
    if (!panel)
        return;
    struct kiln_series *series = allocate(report, (size_t)from->n_series, sizeof *series);
    panel->panel = *from;
    panel->panel.title = copy_text(report, from->title);
    panel->panel.x_label = copy_text(report, from->x_label);
    panel->panel.y_label = copy_text(report, from->y_label);
    panel->panel.series = series;
    for (int i = 0; i < from->n_series && series; i++)
        copy_series(report, &from->series[i], &series[i]);
    if (from->bars) {
        int n = kiln_plot_bars(from);
        const char **bars = allocate(report, (size_t)n, sizeof *bars);
        for (int i = 0; i < n && bars; i++)
            bars[i] = copy_text(report, from->bars[i]);
        panel->panel.bars = bars;
    }
    while (*last)
        last = &(*last)->next;
    *last = panel;
}

/* --- writing ----------------------------------------------------------------------- */

static int count_names(const struct name *names, int *longest)
{
    int n = 0;
    for (*longest = 0; names; names = names->next, n++)
        if ((int)strlen(names->text) > *longest)
            *longest = (int)strlen(names->text);
    return n;
}

/* The value of a cell; the last one given counts. */
static bool find_cell(const struct table *table, int row, int column, double *value)
{
    for (const struct cell *cell = table->cells; cell; cell = cell->next)
        if (cell->row == row && cell->column == column) {
            *value = cell->value;
            return true;
        }
    return false;
}

static void write_cell(const struct table *table, int row, int column, int width,
                       struct kiln_text *text)
{
    double value;
    char number[40] = "";
    if (find_cell(table, row, column, &value))
        snprintf(number, sizeof number, isnan(value) ? "-" : "%.4g", value);
    kiln_text_append(text, "  %*s", width, number);
}

enum { NUMBER_WIDTH = 10 };

static void write_table(const struct table *table, struct kiln_text *text)
{
    int longest, unused, row = 0;
    count_names(table->rows, &longest);
    kiln_text_append(text, "%s\n", table->title);
    kiln_text_append(text, "  %-*s", longest, "");
    for (const struct name *column = table->columns; column; column = column->next)
        kiln_text_append(text, "  %*s", NUMBER_WIDTH, column->text);
    for (const struct name *name = table->rows; name; name = name->next, row++) {
        kiln_text_append(text, "\n  %-*s", longest, name->text);
        int n = count_names(table->columns, &unused), i = 0;
        for (const struct name *column = table->columns; i < n; column = column->next, i++) {
            int width = (int)strlen(column->text);
            write_cell(table, row, i, width > NUMBER_WIDTH ? width : NUMBER_WIDTH, text);
        }
    }
}

void kiln_report_text(const kiln_report *report, struct kiln_text *text)
{
    for (const struct table *table = report->tables; table; table = table->next) {
        if (table != report->tables)
            kiln_text_append(text, "\n\n");
        write_table(table, text);
    }
}

void kiln_report_json(const kiln_report *report, struct kiln_json *json)
{
    kiln_json_object(json, "tables");
    for (const struct table *table = report->tables; table; table = table->next) {
        int row = 0;
        kiln_json_object(json, table->title);
        for (const struct name *name = table->rows; name; name = name->next, row++) {
            int i = 0;
            double value;
            kiln_json_object(json, name->text);
            for (const struct name *column = table->columns; column; column = column->next, i++)
                if (find_cell(table, row, i, &value))
                    kiln_json_number(json, column->text, value);
            kiln_json_end(json);
        }
        kiln_json_end(json);
    }
    kiln_json_end(json);
}

enum kiln_status kiln_report_draw(const kiln_report *report, struct kiln_image *image,
                                  struct kiln_error *error)
{
    int n = 0;
    for (const struct panel *panel = report->panels; panel; panel = panel->next)
        n++;
    const struct kiln_panel **panels =
        KILN_ARENA_NEW(report->arena, const struct kiln_panel *, (size_t)n);
    if (!panels)
        return kiln_fail(error, KILN_MACHINE, "report: out of memory");
    n = 0;
    for (const struct panel *panel = report->panels; panel; panel = panel->next)
        panels[n++] = &panel->panel;
    return kiln_plot_draw(n, panels, report->columns, image, error);
}
