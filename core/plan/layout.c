/* Physical layouts: names, what fits, views and packing. */
#include "core/api/layout.h"

#include <string.h>

/* A layout as blocks of axes from the outermost: the axis and the extent of
 * the block, 0 for what the inner blocks leave of the axis. */
struct block {
    int axis, extent;
};

struct layout_info {
    const char *name;
    int n;
    struct block blocks[6];
};

static const struct layout_info infos[KILN_LAYOUT_COUNT] = {
    [KILN_LAYOUT_DENSE] = {"dense", 0, {{0, 0}}},
    [KILN_LAYOUT_NHWC] = {"nhwc", 4, {{0, 0}, {2, 0}, {3, 0}, {1, 0}}},
    [KILN_LAYOUT_NCHW8C] = {"nChw8c", 5, {{0, 0}, {1, 0}, {2, 0}, {3, 0}, {1, 8}}},
    [KILN_LAYOUT_NCHW16C] = {"nChw16c", 5, {{0, 0}, {1, 0}, {2, 0}, {3, 0}, {1, 16}}},
    [KILN_LAYOUT_OIHW8I8O] = {"OIhw8i8o", 6, {{0, 0}, {1, 0}, {2, 0}, {3, 0}, {1, 8}, {0, 8}}},
    [KILN_LAYOUT_OIHW8O8I] = {"OIhw8o8i", 6, {{0, 0}, {1, 0}, {2, 0}, {3, 0}, {0, 8}, {1, 8}}},
    [KILN_LAYOUT_OIHW16I16O] = {"OIhw16i16o",
                                6,
                                {{0, 0}, {1, 0}, {2, 0}, {3, 0}, {1, 16}, {0, 16}}},
    [KILN_LAYOUT_OIHW16O16I] = {"OIhw16o16i",
                                6,
                                {{0, 0}, {1, 0}, {2, 0}, {3, 0}, {0, 16}, {1, 16}}},
    [KILN_LAYOUT_OHWI16O] = {"Ohwi16o", 5, {{0, 0}, {2, 0}, {3, 0}, {1, 0}, {0, 16}}},
    [KILN_LAYOUT_OHWI32O] = {"Ohwi32o", 5, {{0, 0}, {2, 0}, {3, 0}, {1, 0}, {0, 32}}},
    [KILN_LAYOUT_OHWI64O] = {"Ohwi64o", 5, {{0, 0}, {2, 0}, {3, 0}, {1, 0}, {0, 64}}},
    [KILN_LAYOUT_HWIO] = {"hwio", 4, {{2, 0}, {3, 0}, {1, 0}, {0, 0}}},
};

const char *kiln_layout_name(enum kiln_layout layout)
{
    return layout >= 0 && layout < KILN_LAYOUT_COUNT ? infos[layout].name : "?";
}

bool kiln_layout_fits(enum kiln_layout layout, const struct kiln_shape *shape)
{
    if (layout == KILN_LAYOUT_DENSE)
        return true;
    if (layout < 0 || layout >= KILN_LAYOUT_COUNT || shape->n != 4)
        return false;
    for (int i = 0; i < infos[layout].n; i++) {
        const struct block *block = &infos[layout].blocks[i];
        if (block->extent && shape->d[block->axis] % block->extent != 0)
            return false;
    }
    return true;
}

static struct kiln_view dense_view(const struct kiln_shape *shape)
{
    struct kiln_view view = {.n = shape->n};
    int64_t stride = 1;
    for (int i = shape->n - 1; i >= 0; i--) {
        if (shape->d[i] != 1) {
            view.n_digits[i] = 1;
            view.digits[i][0] = (struct kiln_digit){shape->d[i], stride};
        }
        stride *= shape->d[i];
    }
    return view;
}

struct kiln_view kiln_layout_view(enum kiln_layout layout, const struct kiln_shape *shape)
{
    if (layout == KILN_LAYOUT_DENSE || !kiln_layout_fits(layout, shape))
        return dense_view(shape);
    const struct layout_info *info = &infos[layout];
    int64_t outer[KILN_MAX_DIMS];
    memcpy(outer, shape->d, sizeof outer);
    for (int i = 0; i < info->n; i++)
        if (info->blocks[i].extent)
            outer[info->blocks[i].axis] /= info->blocks[i].extent;
    /* digits are appended from the outermost block, so that each axis has its
     * most significant digit first; strides need the blocks from the inside */
    int64_t strides[6], stride = 1;
    for (int i = info->n - 1; i >= 0; i--) {
        strides[i] = stride;
        stride *= info->blocks[i].extent ? info->blocks[i].extent : outer[info->blocks[i].axis];
    }
    struct kiln_view view = {.n = shape->n};
    for (int i = 0; i < info->n; i++) {
        int axis = info->blocks[i].axis;
        int64_t extent = info->blocks[i].extent ? info->blocks[i].extent : outer[axis];
        if (extent != 1)
            view.digits[axis][view.n_digits[axis]++] = (struct kiln_digit){extent, strides[i]};
    }
    return view;
}

int64_t kiln_view_at(const struct kiln_view *view, int64_t element)
{
    int64_t at = view->offset;
    for (int axis = view->n - 1; axis >= 0; axis--) {
        for (int i = view->n_digits[axis] - 1; i >= 0; i--) {
            const struct kiln_digit *digit = &view->digits[axis][i];
            at += element % digit->extent * digit->stride;
            element /= digit->extent;
        }
    }
    return at;
}

/* Copies between stored elements and dense ones in row-major order, in runs of
 * what lies together in both; keeps the stored offset by adding the strides of
 * the digits that turn. */
static void copy_elements(const struct kiln_view *view, int64_t count, size_t bytes,
                          const char *from, char *to, bool pack)
{
    struct kiln_digit digits[KILN_MAX_DIMS * KILN_MAX_DIGITS];
    int64_t index[KILN_MAX_DIMS * KILN_MAX_DIGITS] = {0}, run = 1;
    int n = 0;
    for (int axis = 0; axis < view->n; axis++)
        for (int i = 0; i < view->n_digits[axis]; i++)
            digits[n++] = view->digits[axis][i];
    for (; n > 0 && digits[n - 1].stride == run; n--)
        run *= digits[n - 1].extent;
    int64_t at = view->offset;
    size_t run_bytes = (size_t)run * bytes;
    for (int64_t element = 0; element < count; element += run) {
        if (pack)
            memcpy(to + (size_t)at * bytes, from + (size_t)element * bytes, run_bytes);
        else
            memcpy(to + (size_t)element * bytes, from + (size_t)at * bytes, run_bytes);
        for (int d = n - 1; d >= 0; d--) {
            at += digits[d].stride;
            if (++index[d] < digits[d].extent)
                break;
            at -= digits[d].stride * digits[d].extent;
            index[d] = 0;
        }
    }
}

void kiln_view_pack(const struct kiln_view *view, int64_t count, size_t element_bytes,
                    const void *dense, void *stored)
{
    copy_elements(view, count, element_bytes, dense, stored, true);
}

void kiln_view_unpack(const struct kiln_view *view, int64_t count, size_t element_bytes,
                      const void *stored, void *dense)
{
    copy_elements(view, count, element_bytes, stored, dense, false);
}

void kiln_layout_pack(enum kiln_layout layout, const struct kiln_shape *shape, size_t element_bytes,
                      const void *dense, void *stored)
{
    struct kiln_view view = kiln_layout_view(layout, shape);
    kiln_view_pack(&view, kiln_shape_count(shape), element_bytes, dense, stored);
}

void kiln_layout_unpack(enum kiln_layout layout, const struct kiln_shape *shape,
                        size_t element_bytes, const void *stored, void *dense)
{
    struct kiln_view view = kiln_layout_view(layout, shape);
    kiln_view_unpack(&view, kiln_shape_count(shape), element_bytes, stored, dense);
}
