/*
 * The charts of a run's log.
 */
#ifndef KILN_REPORT_RUN_CHARTS_H
#define KILN_REPORT_RUN_CHARTS_H

#include "core/base/text.h"
#include "core/report/run_history.h"

/* Losses and metrics, one chart each; long ones with their moving average. */
void kiln_run_loss_charts(struct kiln_text *html, const struct kiln_run_history *);
/* Learning rate, images per second, norms of gradients. */
void kiln_run_training_charts(struct kiln_text *html, const struct kiln_run_history *);
/* The middle value of those that are finite, or NaN. */
double kiln_run_median(const double *values, int64_t n);

#endif
