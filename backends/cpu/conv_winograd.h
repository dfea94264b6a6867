/* Winograd's convolutions: sizes that the three directions share. */
#ifndef KILN_CPU_CONV_WINOGRAD_H
#define KILN_CPU_CONV_WINOGRAD_H

#include "backends/cpu/conv.h"

#define CPU_WINOGRAD_TILE 4
/* Floats between the planes of elements: planes that share few sets of a cache
 * would be slow. */
#define CPU_WINOGRAD_GAP 16

/* The tiles of all images of a map: those of a submap's rows, those of its other
 * submaps, those of the next image. */
struct cpu_winograd_tiles {
    int64_t rows, columns; /* of a submap */
    int64_t n;
    int dilation;
};

static inline struct cpu_winograd_tiles cpu_winograd_tiles(int64_t images, int64_t height,
                                                           int64_t width, int dilation)
{
    const int64_t side = (int64_t)CPU_WINOGRAD_TILE * dilation;
    struct cpu_winograd_tiles tiles = {.rows = (height + side - 1) / side,
                                       .columns = (width + side - 1) / side,
                                       .dilation = dilation};
    tiles.n = images * dilation * dilation * tiles.rows * tiles.columns;
    return tiles;
}

/* A tile of them. */
struct cpu_winograd_tile {
    int64_t image, submap_row, submap_column, row, column;
};

static inline struct cpu_winograd_tile cpu_winograd_tile(const struct cpu_winograd_tiles *tiles,
                                                         int64_t i)
{
    struct cpu_winograd_tile tile;
    tile.column = i % tiles->columns;
    i /= tiles->columns;
    tile.row = i % tiles->rows;
    i /= tiles->rows;
    tile.submap_column = i % tiles->dilation;
    i /= tiles->dilation;
    tile.submap_row = i % tiles->dilation;
    tile.image = i / tiles->dilation;
    return tile;
}

/* On to the next one; faster than finding it. */
static inline void cpu_winograd_next(const struct cpu_winograd_tiles *tiles,
                                     struct cpu_winograd_tile *tile)
{
    if (++tile->column < tiles->columns)
        return;
    tile->column = 0;
    if (++tile->row < tiles->rows)
        return;
    tile->row = 0;
    if (++tile->submap_column < tiles->dilation)
        return;
    tile->submap_column = 0;
    if (++tile->submap_row < tiles->dilation)
        return;
    tile->submap_row = 0;
    tile->image++;
}

/*
 * The stride if sizes and layouts are those of a Winograd algorithm (one group,
 * both maps in the same blocks), else 0. 3x3 of stride 1 is F(4x4,3x3); with
 * dilation d that of each of d x d submaps, whose pixels lie d apart. 4x4 or 5x5
 * of stride 2, undilated, is the sum of four convolutions 2x2, or at most 3x3, of
 * stride 1, each of one phase (row % 2, column % 2) of the padded map x and of
 * the kernel: F(4x4,2x2), F(4x4,3x3).
 */
int cpu_winograd_stride(const kiln_device_state *, const struct kiln_step_conv *);

/* The first tap of a phase in the kernel. */
static inline int64_t cpu_winograd_tap(const struct kiln_step_conv *s, int64_t phase, int stride)
{
    return phase / stride * s->kw + phase % stride;
}

#endif
