/*
 * Flat views: the planner's form of struct kiln_view.
 *
 * A flat view is one list of digits over the row-major element number, the
 * most significant first, without regard to axes: a reshape leaves it as it
 * is, and every other movement is algebra on the list. Each axis of a shape
 * owns the digits whose extents multiply to its extent; a digit across a
 * boundary of axes is split where that is possible. Functions that can meet an
 * impossible split return false and leave the view undefined.
 */
#ifndef KILN_PLAN_FLAT_H
#define KILN_PLAN_FLAT_H

#include "core/api/layout.h"

enum { FLAT_MAX_DIGITS = 24 };

struct flat {
    int64_t offset; /* elements */
    int n;
    struct kiln_digit digits[FLAT_MAX_DIGITS];
};

/* Where each axis' digits begin; axis i owns first[i] .. first[i + 1] - 1. */
struct flat_axes {
    int first[KILN_MAX_DIMS + 1];
};

/* Row-major elements of a count. */
struct flat flat_dense(int64_t count);
struct flat flat_of_layout(enum kiln_layout, const struct kiln_shape *);
struct flat flat_of_view(const struct kiln_view *);
/* The view by axes; false if an axis needs more than KILN_MAX_DIGITS digits. */
bool flat_to_view(const struct flat *, const struct kiln_shape *, struct kiln_view *);

/* Drops extents of 1 and joins digits that step evenly: equal views become
 * equal lists. */
void flat_canonical(struct flat *);
bool flat_equal(const struct flat *, const struct flat *);
/* True if element i lies at offset + i. */
bool flat_is_dense(const struct flat *);

/* Splits digits at the boundaries of the shape's axes. */
bool flat_group(struct flat *, const struct kiln_shape *, struct flat_axes *);
/* in: the operand's shape; permutation as KILN_OP_PERMUTE. */
bool flat_permute(struct flat *, const struct kiln_shape *in, const int *permutation);
/* Repeats axes of extent 1 of in; out may have more leading axes. */
bool flat_expand(struct flat *, const struct kiln_shape *in, const struct kiln_shape *out);
/* Elements start + i step of each axis, i < out->d. */
bool flat_slice(struct flat *, const struct kiln_shape *in, const struct kiln_shape *out,
                const int64_t *start, const int64_t *step);
/* The one stride of an axis' elements: every digit of the shape's axis joins
 * into one. Writes shape->n strides (0 for an extent of 1). */
bool flat_strides(const struct flat *, const struct kiln_shape *, int64_t *strides);
/* Smallest and largest element offset that the view touches. */
void flat_bounds(const struct flat *, int64_t *low, int64_t *high);

#endif
