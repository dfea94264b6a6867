/* Flat views: digit lists over the row-major element number. */
#include "core/plan/flat.h"

#include <string.h>

struct flat flat_dense(int64_t count)
{
    struct flat flat = {.n = 0};
    if (count > 1)
        flat.digits[flat.n++] = (struct kiln_digit){count, 1};
    return flat;
}

struct flat flat_of_view(const struct kiln_view *view)
{
    struct flat flat = {.offset = view->offset};
    for (int axis = 0; axis < view->n; axis++)
        for (int i = 0; i < view->n_digits[axis]; i++)
            flat.digits[flat.n++] = view->digits[axis][i];
    flat_canonical(&flat);
    return flat;
}

struct flat flat_of_layout(enum kiln_layout layout, const struct kiln_shape *shape)
{
    struct kiln_view view = kiln_layout_view(layout, shape);
    return flat_of_view(&view);
}

bool flat_to_view(const struct flat *flat, const struct kiln_shape *shape, struct kiln_view *view)
{
    struct flat grouped = *flat;
    struct flat_axes axes;
    if (!flat_group(&grouped, shape, &axes))
        return false;
    *view = (struct kiln_view){.offset = flat->offset, .n = shape->n};
    for (int axis = 0; axis < shape->n; axis++) {
        view->n_digits[axis] = axes.first[axis + 1] - axes.first[axis];
        if (view->n_digits[axis] > KILN_MAX_DIGITS)
            return false;
        memcpy(view->digits[axis], &grouped.digits[axes.first[axis]],
               (size_t)view->n_digits[axis] * sizeof *grouped.digits);
    }
    return true;
}

void flat_canonical(struct flat *flat)
{
    int n = 0;
    for (int i = 0; i < flat->n; i++) {
        struct kiln_digit digit = flat->digits[i];
        if (digit.extent == 1)
            continue;
        if (n && flat->digits[n - 1].stride == digit.stride * digit.extent) {
            flat->digits[n - 1].extent *= digit.extent;
            flat->digits[n - 1].stride = digit.stride;
        } else {
            flat->digits[n++] = digit;
        }
    }
    flat->n = n;
}

bool flat_equal(const struct flat *a, const struct flat *b)
{
    struct flat x = *a, y = *b;
    flat_canonical(&x);
    flat_canonical(&y);
    if (x.n != y.n || x.offset != y.offset)
        return false;
    for (int i = 0; i < x.n; i++)
        if (x.digits[i].extent != y.digits[i].extent || x.digits[i].stride != y.digits[i].stride)
            return false;
    return true;
}

bool flat_is_dense(const struct flat *flat)
{
    struct flat x = *flat;
    flat_canonical(&x);
    return x.n == 0 || (x.n == 1 && x.digits[0].stride == 1);
}

/* Splits digit i so that its lower part has the given extent. */
static bool split(struct flat *flat, int i, int64_t extent)
{
    struct kiln_digit *digit = &flat->digits[i];
    if (digit->extent % extent != 0 || flat->n == FLAT_MAX_DIGITS)
        return false;
    memmove(digit + 1, digit, (size_t)(flat->n - i) * sizeof *digit);
    flat->n++;
    digit[0].extent /= extent;
    digit[0].stride *= extent;
    digit[1].extent = extent;
    return true;
}

bool flat_group(struct flat *flat, const struct kiln_shape *shape, struct flat_axes *axes)
{
    int sizes[KILN_MAX_DIMS], i = flat->n;
    for (int axis = shape->n - 1; axis >= 0; axis--) {
        int64_t rest = shape->d[axis];
        sizes[axis] = 0;
        while (rest > 1) {
            if (--i < 0)
                return false;
            int64_t extent = flat->digits[i].extent;
            if (extent > rest) {
                if (!split(flat, i, rest))
                    return false;
                i++;
                extent = rest;
            }
            if (rest % extent != 0)
                return false;
            rest /= extent;
            sizes[axis]++;
        }
        /* digits of extent 1 belong to nobody */
        while (i > 0 && flat->digits[i - 1].extent == 1) {
            memmove(&flat->digits[i - 1], &flat->digits[i],
                    (size_t)(flat->n - i) * sizeof *flat->digits);
            flat->n--;
            i--;
        }
    }
    axes->first[0] = 0;
    for (int axis = 0; axis < shape->n; axis++)
        axes->first[axis + 1] = axes->first[axis] + sizes[axis];
    return i == 0 && axes->first[shape->n] == flat->n;
}

bool flat_permute(struct flat *flat, const struct kiln_shape *in, const int *permutation)
{
    struct flat_axes axes;
    flat_canonical(flat);
    if (!flat_group(flat, in, &axes))
        return false;
    struct flat out = {.offset = flat->offset};
    for (int i = 0; i < in->n; i++)
        for (int d = axes.first[permutation[i]]; d < axes.first[permutation[i] + 1]; d++)
            out.digits[out.n++] = flat->digits[d];
    flat_canonical(&out);
    *flat = out;
    return true;
}

bool flat_expand(struct flat *flat, const struct kiln_shape *in, const struct kiln_shape *out_shape)
{
    struct flat_axes axes;
    flat_canonical(flat);
    if (!flat_group(flat, in, &axes))
        return false;
    struct flat out = {.offset = flat->offset};
    int lead = out_shape->n - in->n;
    for (int i = 0; i < out_shape->n; i++) {
        if (i < lead || in->d[i - lead] != out_shape->d[i]) {
            if (out.n == FLAT_MAX_DIGITS)
                return false;
            out.digits[out.n++] = (struct kiln_digit){out_shape->d[i], 0};
            continue;
        }
        for (int d = axes.first[i - lead]; d < axes.first[i - lead + 1]; d++) {
            if (out.n == FLAT_MAX_DIGITS)
                return false;
            out.digits[out.n++] = flat->digits[d];
        }
    }
    flat_canonical(&out);
    *flat = out;
    return true;
}

/* Appends the digits of an axis' elements start + i step, i < size. Digits are
 * taken from the least significant: a fixed one (start and size inside one
 * value of the digits above) moves the offset, a whole one is kept. */
static bool slice_axis(struct flat *out, const struct kiln_digit *digits, int n, int64_t start,
                       int64_t step, int64_t size)
{
    struct kiln_digit kept[FLAT_MAX_DIGITS];
    int n_kept = 0;
    for (int i = n - 1; i >= 0; i--) {
        int64_t extent = digits[i].extent, stride = digits[i].stride;
        int64_t last = start + (size - 1) * step;
        if (size == 1) {
            out->offset += start % extent * stride;
            start /= extent;
        } else if (start / extent == last / extent && start >= 0 && last >= 0) {
            /* the whole slice lies inside this digit */
            out->offset += start % extent * stride;
            kept[n_kept++] = (struct kiln_digit){size, step * stride};
            start /= extent;
            size = 1;
        } else if (i == 0) {
            out->offset += start * stride;
            kept[n_kept++] = (struct kiln_digit){size, step * stride};
            start = 0;
            size = 1;
        } else if (extent % step == 0 && step > 0 && start % extent < step &&
                   size % (extent / step) == 0) {
            /* every value of the digits above takes the same elements of this one */
            out->offset += start % extent * stride;
            if (extent / step > 1)
                kept[n_kept++] = (struct kiln_digit){extent / step, step * stride};
            start /= extent;
            size /= extent / step;
            step = 1;
        } else if (step % extent == 0) {
            out->offset += start % extent * stride;
            start /= extent;
            step /= extent;
        } else {
            return false;
        }
    }
    if (out->n + n_kept > FLAT_MAX_DIGITS)
        return false;
    while (n_kept)
        out->digits[out->n++] = kept[--n_kept];
    return true;
}

bool flat_slice(struct flat *flat, const struct kiln_shape *in, const struct kiln_shape *out_shape,
                const int64_t *start, const int64_t *step)
{
    struct flat_axes axes;
    flat_canonical(flat);
    if (!flat_group(flat, in, &axes))
        return false;
    struct flat out = {.offset = flat->offset};
    for (int i = 0; i < in->n; i++)
        if (!slice_axis(&out, &flat->digits[axes.first[i]], axes.first[i + 1] - axes.first[i],
                        start[i], step ? step[i] : 1, out_shape->d[i]))
            return false;
    flat_canonical(&out);
    *flat = out;
    return true;
}

bool flat_strides(const struct flat *flat, const struct kiln_shape *shape, int64_t *strides)
{
    struct flat grouped = *flat;
    struct flat_axes axes;
    flat_canonical(&grouped);
    if (!flat_group(&grouped, shape, &axes))
        return false;
    for (int axis = 0; axis < shape->n; axis++) {
        struct flat one = {.n = axes.first[axis + 1] - axes.first[axis]};
        memcpy(one.digits, &grouped.digits[axes.first[axis]], (size_t)one.n * sizeof *one.digits);
        flat_canonical(&one);
        if (one.n > 1)
            return false;
        strides[axis] = one.n ? one.digits[0].stride : 0;
    }
    return true;
}

void flat_bounds(const struct flat *flat, int64_t *low, int64_t *high)
{
    *low = *high = flat->offset;
    for (int i = 0; i < flat->n; i++) {
        int64_t reach = (flat->digits[i].extent - 1) * flat->digits[i].stride;
        *(reach < 0 ? low : high) += reach;
    }
}
