/*
 * Bars of the benchmark: models by device.
 */
#ifndef KILN_REPORT_BENCH_BARS_H
#define KILN_REPORT_BENCH_BARS_H

#include "core/base/text.h"
#include "core/bench/suite.h"

/* Training rates, sampling rates, memory, start times; charts without any
 * value are left out. */
void kiln_bench_model_bars(const struct kiln_suite *, struct kiln_text *html);
/* Per cent of the peak that each operation reaches. */
void kiln_bench_op_bars(const struct kiln_suite *, struct kiln_text *html);

#endif
