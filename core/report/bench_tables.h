/*
 * Results of the benchmark as tables.
 */
#ifndef KILN_REPORT_BENCH_TABLES_H
#define KILN_REPORT_BENCH_TABLES_H

#include "core/bench/compare.h"
#include "core/report/table.h"

/* Peaks of each device; operations; models. Tables without rows show nothing. */
void kiln_bench_device_table(const struct kiln_suite *, enum kiln_table_form, struct kiln_text *);
void kiln_bench_op_table(const struct kiln_suite *, enum kiln_table_form, struct kiln_text *);
void kiln_bench_model_table(const struct kiln_suite *, enum kiln_table_form, struct kiln_text *);

/* All of it, with a heading that tells machine and versions: PLAIN or MARKDOWN. */
void kiln_bench_show(const struct kiln_suite *, enum kiln_table_form, struct kiln_text *);
/* The pairs of a comparison, and their mean: PLAIN or MARKDOWN. */
void kiln_bench_show_comparison(const struct kiln_suite_comparison *, enum kiln_table_form,
                                struct kiln_text *);
/* "kiln 0.1.0, suite 1, 2026-01-31T12:00:00Z, quick" and the machine on another
 * line. */
void kiln_bench_describe(const struct kiln_suite *, struct kiln_text *);

/* Notes of an entry: "disturbed", its failure; "" if there is nothing to say. */
const char *kiln_bench_op_note(const struct kiln_suite_op *);

#endif
