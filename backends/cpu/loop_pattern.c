/* Patterns of accesses along a tile, and conversions on the way. */
#include "backends/cpu/loop_compile.h"

static void pattern_add(struct loop_pattern *p, int64_t extent, int64_t stride)
{
    if (extent == 1)
        return;
    if (p->n && p->stride[p->n - 1] == stride * extent) {
        p->extent[p->n - 1] *= extent;
        p->stride[p->n - 1] = stride;
        return;
    }
    p->extent[p->n] = extent;
    p->stride[p->n++] = stride;
}

/* Strides along the tile's dimensions; tile_stride and tail_stride give them. */
static int16_t new_pattern(struct compiler *c, int64_t tile_stride, const int64_t *tail_stride,
                           enum loop_extent along)
{
    const struct loop_shape *shape = &c->kernel->shape;
    struct loop_pattern *p = &c->kernel->patterns[c->kernel->n_patterns];
    *p = (struct loop_pattern){.n = 0};
    bool with_tile = shape->tile_count > 1 && along != LOOP_TAIL &&
                     !(along == LOOP_LANES && shape->tile.reduced);
    if (with_tile) {
        p->extent[0] = 1;
        p->stride[0] = tile_stride;
        p->n = 1;
        p->counted = true;
    }
    for (int d = 0; d < shape->n_tail; d++)
        if (!(along == LOOP_LANES && shape->tail[d].reduced))
            pattern_add(p, shape->tail[d].extent, tail_stride[d]);
    bool all_zero = true;
    for (int d = 0; d < p->n; d++)
        all_zero &= p->stride[d] == 0;
    p->kind = all_zero                         ? PATTERN_SCALAR
              : p->n == 1 && p->stride[0] == 1 ? PATTERN_LINEAR
                                               : PATTERN_STRIDED;
    return (int16_t)c->kernel->n_patterns++;
}

int16_t loop_access_pattern(struct compiler *c, int access, enum loop_extent along)
{
    const struct loop_shape *shape = &c->kernel->shape;
    int64_t tail[LOOP_MAX_DIMS];
    for (int d = 0; d < shape->n_tail; d++)
        tail[d] = shape->tail[d].stride[access];
    return new_pattern(c, shape->tile.stride[access], tail, along);
}

/* From lanes to the elements of a tile, or of its tail. */
int16_t loop_expand_pattern(struct compiler *c, enum loop_extent along)
{
    const struct loop_shape *shape = &c->kernel->shape;
    int64_t tail[LOOP_MAX_DIMS], stride = 1;
    if (c->expand[along] >= 0)
        return c->expand[along];
    for (int d = shape->n_tail - 1; d >= 0; d--) {
        tail[d] = shape->tail[d].reduced ? 0 : stride;
        stride *= shape->tail[d].reduced ? 1 : shape->tail[d].extent;
    }
    return c->expand[along] = new_pattern(c, shape->tile.reduced ? 0 : stride, tail, along);
}

enum cpu_convert loop_load_convert(enum kiln_dtype dtype, bool integer)
{
    switch (dtype) {
    case KILN_U8:
        return integer ? CPU_U8_I32 : CPU_U8_F32;
    case KILN_F16:
        return CPU_F16_F32;
    case KILN_I32:
        return integer ? CPU_MOVE : CPU_I32_F32;
    default:
        return integer ? CPU_F32_I32 : CPU_MOVE;
    }
}

enum cpu_convert loop_store_convert(enum kiln_dtype dtype, bool integer)
{
    switch (dtype) {
    case KILN_U8:
        return integer ? CPU_I32_U8 : CPU_F32_U8;
    case KILN_F16:
        return CPU_F32_F16;
    case KILN_I32:
        return integer ? CPU_MOVE : CPU_F32_I32;
    default:
        return integer ? CPU_I32_F32 : CPU_MOVE;
    }
}
