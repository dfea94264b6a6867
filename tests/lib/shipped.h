/*
 * The plans that a config leads to, without its data set, device memory or
 * measurements.
 */
#ifndef KILN_TEST_SHIPPED_H
#define KILN_TEST_SHIPPED_H

#include "core/plan/plan.h"

/* name: "train <phase>", "eval", "reconstruct" or "sample <part>". */
typedef void shipped_visit_fn(void *user, const char *name, const struct kiln_plan *);

/*
 * Makes the plans of training (with the pictures on the way), evaluation,
 * reconstruction and sampling of the config at path, as far as its model has
 * them, and visits each. Data of files is replaced by drawn shapes of the same
 * size. device: caps, feature_layout, candidates, choose and user count.
 */
enum kiln_status shipped_plans(const char *path, const struct kiln_plan_options *device,
                               shipped_visit_fn *, void *user, struct kiln_error *);

#endif
