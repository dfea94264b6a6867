/*
 * Results of the benchmark on one page.
 */
#ifndef KILN_REPORT_BENCH_PAGE_H
#define KILN_REPORT_BENCH_PAGE_H

#include "core/base/text.h"
#include "core/bench/suite.h"

/* Appends the page: peaks, a roofline for each device, bars for each model,
 * tables. A page that ran out of memory has html->failed set. */
void kiln_report_bench(const struct kiln_suite *, struct kiln_text *html);

#endif
