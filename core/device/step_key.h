/*
 * A step's identity for the cache of choices.
 */
#ifndef KILN_DEVICE_STEP_KEY_H
#define KILN_DEVICE_STEP_KEY_H

#include "core/api/step.h"
#include "core/base/text.h"

/*
 * Appends everything that decides how fast the ways to do a step are: kind,
 * sizes, strides, layouts, window parameters; not places, labels or the
 * algorithm. Convolutions and matrix products are readable, other kinds end in
 * a hash.
 */
void kiln_step_key(const struct kiln_step *, struct kiln_text *key);

#endif
