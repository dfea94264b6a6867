/*
 * Rooflines: what arithmetic and memory allow, and what operations reach.
 */
#ifndef KILN_REPORT_ROOFLINE_H
#define KILN_REPORT_ROOFLINE_H

#include "core/base/text.h"
#include "core/bench/suite.h"

/* The chart of one device (Williams, Waterman & Patterson 2009); nothing if no
 * operation with arithmetic was measured on it, or no peaks. */
void kiln_roofline_chart(const struct kiln_suite *, const struct kiln_suite_device *,
                         struct kiln_text *html);

#endif
