/*
 * A table that is filled once and shown as plain text, Markdown or HTML.
 */
#ifndef KILN_REPORT_TABLE_H
#define KILN_REPORT_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/text.h"

#define KILN_TABLE_MAX_COLUMNS 16

enum kiln_table_form { KILN_TABLE_PLAIN, KILN_TABLE_MARKDOWN, KILN_TABLE_HTML };

struct kiln_table {
    int n_columns;
    bool numeric[KILN_TABLE_MAX_COLUMNS]; /* aligned to the right */
    size_t n, capacity;                   /* cells, row by row, the headings first */
    char **cells;
    bool failed; /* out of memory; sticks */
};

/* headings: names separated by '|'; those that begin with '#' are numeric. */
void kiln_table_begin(struct kiln_table *, const char *headings);
/* The next cell; rows follow each other. An empty text is an empty cell. */
void kiln_table_cell(struct kiln_table *, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Completes the row with empty cells. */
void kiln_table_end_row(struct kiln_table *);
/* Columns without any text are left out. A table that failed fails the text. */
void kiln_table_show(const struct kiln_table *, enum kiln_table_form, struct kiln_text *);
void kiln_table_finish(struct kiln_table *);

#endif
