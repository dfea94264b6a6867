/*
 * A training run on one page.
 */
#ifndef KILN_REPORT_RUN_PAGE_H
#define KILN_REPORT_RUN_PAGE_H

#include "core/api/status.h"
#include "core/base/text.h"

/*
 * Appends the page of a run's directory: losses, learning rate, images per
 * second, sample grids over time, config, device, parameters. Only log.jsonl
 * must be there; a run may still be training. The caller finishes html.
 */
enum kiln_status kiln_report_run(const char *directory, struct kiln_text *html,
                                 struct kiln_error *);

#endif
