/* Tables in three forms. */
#include "core/report/table.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/report/html.h"

enum { GAP = 2 }; /* blanks between columns of plain text */

static void add_cell(struct kiln_table *table, char *text)
{
    if (!text ||
        !kiln_array_grow(&table->cells, &table->capacity, table->n, sizeof *table->cells)) {
        table->failed = true;
        free(text);
        return;
    }
    table->cells[table->n++] = text;
}

void kiln_table_begin(struct kiln_table *table, const char *headings)
{
    *table = (struct kiln_table){0};
    for (const char *at = headings; table->n_columns < KILN_TABLE_MAX_COLUMNS; at++) {
        size_t length = strcspn(at, "|");
        bool numeric = *at == '#';
        table->numeric[table->n_columns++] = numeric;
        add_cell(table, strndup(at + numeric, length - numeric));
        at += length;
        if (!*at)
            break;
    }
}

void kiln_table_cell(struct kiln_table *table, const char *format, ...)
{
    char text[768];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    add_cell(table, strdup(text));
}

void kiln_table_end_row(struct kiln_table *table)
{
    while (!table->failed && table->n % (size_t)table->n_columns)
        kiln_table_cell(table, "%s", "");
}

void kiln_table_finish(struct kiln_table *table)
{
    for (size_t i = 0; i < table->n; i++)
        free(table->cells[i]);
    free(table->cells);
    *table = (struct kiln_table){0};
}

/* --- showing -----------------------------------------------------------------------------------
 */

/* Characters of UTF-8 text. */
static int width_of(const char *text)
{
    int n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xC0) != 0x80;
    return n;
}

static const char *cell_at(const struct kiln_table *table, size_t row, int column)
{
    return table->cells[row * (size_t)table->n_columns + (size_t)column];
}

/* Width of each column; 0 for those without text below their heading. */
static void measure(const struct kiln_table *table, size_t rows, int widths[])
{
    for (int c = 0; c < table->n_columns; c++) {
        widths[c] = 0;
        for (size_t r = 1; r < rows; r++) {
            int width = width_of(cell_at(table, r, c));
            widths[c] = width > widths[c] ? width : widths[c];
        }
        int heading = width_of(cell_at(table, 0, c));
        if (widths[c] && heading > widths[c])
            widths[c] = heading;
    }
}

static void pad(struct kiln_text *out, int n)
{
    if (n > 0)
        kiln_text_append(out, "%*s", n, "");
}

static void show_plain_row(const struct kiln_table *table, size_t row, const int widths[],
                           struct kiln_text *out)
{
    int owed = 0; /* blanks, written only before more text */
    for (int c = 0; c < table->n_columns; c++) {
        const char *cell = cell_at(table, row, c);
        int rest = widths[c] - width_of(cell);
        if (!widths[c])
            continue;
        if (*cell) {
            pad(out, owed + (table->numeric[c] ? rest : 0));
            kiln_text_append(out, "%s", cell);
            owed = GAP + (table->numeric[c] ? 0 : rest);
        } else {
            owed += GAP + widths[c];
        }
    }
    kiln_text_append(out, "\n");
}

/* '|' would end a cell, '<' begin markup. */
static void show_markdown_text(const char *text, struct kiln_text *out)
{
    for (; *text; text++)
        kiln_text_append(out, strchr("|<*_`\\", *text) ? "\\%c" : "%c", *text);
}

static void show_markdown_row(const struct kiln_table *table, size_t row, const int widths[],
                              struct kiln_text *out)
{
    for (int c = 0; c < table->n_columns; c++) {
        if (!widths[c])
            continue;
        kiln_text_append(out, "| ");
        show_markdown_text(cell_at(table, row, c), out);
        kiln_text_append(out, " ");
    }
    kiln_text_append(out, "|\n");
    for (int c = 0; c < table->n_columns && row == 0; c++)
        if (widths[c])
            kiln_text_append(out, table->numeric[c] ? "|---:" : "|---");
    if (row == 0)
        kiln_text_append(out, "|\n");
}

static void show_html_row(const struct kiln_table *table, size_t row, const int widths[],
                          struct kiln_text *out)
{
    const char *tag = row ? "td" : "th";
    kiln_text_append(out, "<tr>");
    for (int c = 0; c < table->n_columns; c++) {
        if (!widths[c])
            continue;
        kiln_text_append(out, "<%s%s>", tag, table->numeric[c] ? " class=\"n\"" : "");
        kiln_html_text(out, cell_at(table, row, c));
        kiln_text_append(out, "</%s>", tag);
    }
    kiln_text_append(out, "</tr>\n");
}

void kiln_table_show(const struct kiln_table *table, enum kiln_table_form form,
                     struct kiln_text *out)
{
    int widths[KILN_TABLE_MAX_COLUMNS];
    if (table->failed) {
        out->failed = true;
        return;
    }
    size_t rows = table->n / (size_t)table->n_columns;
    measure(table, rows, widths);
    if (form == KILN_TABLE_HTML)
        kiln_text_append(out, "<div class=\"scroll\"><table>\n");
    for (size_t r = 0; r < rows; r++) {
        if (form == KILN_TABLE_PLAIN)
            show_plain_row(table, r, widths, out);
        else if (form == KILN_TABLE_MARKDOWN)
            show_markdown_row(table, r, widths, out);
        else
            show_html_row(table, r, widths, out);
    }
    if (form == KILN_TABLE_HTML)
        kiln_text_append(out, "</table></div>\n");
}
