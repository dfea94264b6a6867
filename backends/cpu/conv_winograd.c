/*
 * Convolutions and their input gradients by Winograd's algorithms, maps in
 * blocks of channels. A thread takes a chunk of tiles: transforms their source
 * into its own memory, [element][vector of channels][tile][lanes]; then for each
 * panel of two vectors of target channels multiplies by the transformed weights,
 * [panel][element][source][2 lanes], and transforms back. What it works on stays
 * in its second cache.
 *
 * With dilation the submaps (conv_winograd.h) are so many more tiles. With stride
 * 2 the phases of x are so many more source channels, or, when x is the target,
 * passes of their own.
 */
#include "backends/cpu/conv_winograd.h"

#include <omp.h>

#define TILE CPU_WINOGRAD_TILE
/* Of the second cache, for a chunk of tiles. */
#define CHUNK_BYTES (400 * 1024)

/* A step as convolution: what is source and what target. */
struct direction {
    const struct cpu_simd_winograd *simd;
    const struct kiln_step_conv *step;
    bool back;
    int stride;
    struct cpu_winograd_tiles tiles;
    int64_t block, lanes, chunk;
    int64_t channels, sources, targets; /* of the source's map, with its phases, of the target */
    int64_t passes;                     /* phases of the target */
    int64_t plane, product_plane;       /* floats from element to element */
    int64_t panels;
    struct cpu_winograd_map source, target; /* of the first channels of the first image */
};

static int64_t block_of(enum kiln_layout layout)
{
    return layout == KILN_LAYOUT_NCHW16C ? 16 : layout == KILN_LAYOUT_NCHW8C ? 8 : 0;
}

static int64_t thread_floats(const struct direction *d, int64_t chunk)
{
    int64_t rows = d->simd->rows;
    return d->simd->elements * ((d->sources + 2 * d->lanes) * chunk + 2 * CPU_WINOGRAD_GAP) +
           rows * 2 * d->lanes;
}

static struct direction direction_of(kiln_device_state *device, const struct kiln_step *step)
{
    const struct kiln_step_conv *s = &step->as.conv;
    bool back = step->kind == KILN_STEP_CONV_INPUT_GRAD;
    int stride = s->conv.stride[0];
    const int dilation = s->conv.dilation[0];
    struct direction d = {.simd = stride == 2    ? device->simd->winograd_phases[s->kh - 4]
                                  : dilation > 1 ? device->simd->winograd_dilated
                                                 : device->simd->winograd,
                          .step = s,
                          .back = back,
                          .stride = stride,
                          .block = block_of(s->x_layout)};
    d.lanes = d.simd->lanes;
    d.channels = back ? s->o : s->c;
    d.sources = back ? s->o : s->c * stride * stride;
    d.targets = back ? s->c : s->o;
    d.passes = back ? stride * stride : 1;
    struct cpu_winograd_map x = {
        .rows = s->h, .columns = s->w, .pixel = d.block, .step = stride * dilation};
    struct cpu_winograd_map y = {
        .rows = s->oh, .columns = s->ow, .pixel = d.block, .step = dilation};
    d.source = back ? y : x;
    d.target = back ? x : y;
    d.tiles = cpu_winograd_tiles(s->n, back ? (s->h + stride - 1) / stride : s->oh,
                                 back ? (s->w + stride - 1) / stride : s->ow, dilation);
    d.panels = (d.targets + 2 * d.lanes - 1) / (2 * d.lanes);
    int64_t rows = d.simd->rows, fair = d.tiles.n / (4 * device->threads);
    for (d.chunk = rows; d.chunk + rows <= fair; d.chunk += rows)
        if (thread_floats(&d, d.chunk + rows) * (int64_t)sizeof(float) > CHUNK_BYTES)
            break;
    d.plane = d.sources * d.chunk + CPU_WINOGRAD_GAP;
    d.product_plane = 2 * d.lanes * d.chunk + CPU_WINOGRAD_GAP;
    return d;
}

/* The vector of channels from c on of a map, at a tile. */
static struct cpu_winograd_map map_of(const struct direction *d, const struct cpu_winograd_map *map,
                                      const struct cpu_winograd_tile *tile, int64_t channels,
                                      int64_t c)
{
    struct cpu_winograd_map at = *map;
    at.data += (tile->image * channels + c / d->block * d->block) * map->rows * map->columns +
               c % d->block;
    at.row = tile->submap_row + tile->row * TILE * map->step;
    at.column = tile->submap_column + tile->column * TILE * map->step;
    return at;
}

/* Pixel r of x is in phase (r + pad) % stride, its number t there (r + pad) / stride. The first
 * one of a phase that is not in the padding: */
static int64_t first_of(const struct direction *d, int64_t pad, int64_t phase)
{
    return (pad - phase + d->stride - 1) / d->stride;
}

/* A tile of the source: y at t - reach .. t + 3 makes x at t .. t + 3, or so many
 * times the dilation. */
static struct cpu_winograd_map source_of(const struct direction *d, int64_t pass,
                                         const struct cpu_winograd_tile *tile, int64_t c)
{
    struct cpu_winograd_map map = map_of(d, &d->source, tile, d->channels, c % d->channels);
    const int *pad = d->step->conv.pad;
    int64_t phase = d->back ? pass : c / d->channels, row = phase / d->stride,
            column = phase % d->stride, reach = (d->step->kh - 1) / d->stride * d->tiles.dilation;
    map.row += d->back ? first_of(d, pad[0], row) - reach : row - pad[0];
    map.column += d->back ? first_of(d, pad[2], column) - reach : column - pad[2];
    return map;
}

static struct cpu_winograd_map target_of(const struct direction *d, int64_t pass,
                                         const struct cpu_winograd_tile *tile, int64_t c)
{
    struct cpu_winograd_map map = map_of(d, &d->target, tile, d->targets, c);
    const int *pad = d->step->conv.pad;
    int64_t row = pass / d->stride, column = pass % d->stride;
    if (d->back) {
        map.row += first_of(d, pad[0], row) * d->stride + row - pad[0];
        map.column += first_of(d, pad[2], column) * d->stride + column - pad[2];
    }
    return map;
}

static int64_t weight_floats(const struct direction *d)
{
    return d->panels * d->simd->elements * d->sources * 2 * d->lanes;
}

/* Weights [o/block][i/block][tap][i][o] of one square of lanes x lanes. */
static void weight_square(const struct direction *d, const float *weight, float *u, int64_t pass,
                          int64_t source, int64_t target)
{
    int64_t channel = source % d->channels, phase = d->back ? pass : source / d->channels;
    int64_t o = d->back ? channel : target, i = d->back ? target : channel, block = d->block;
    int64_t square = block * block, panel = target / (2 * d->lanes);
    const float *from =
        weight +
        ((o / block * (d->step->c / block) + i / block) * d->step->kh * d->step->kw +
         cpu_winograd_tap(d->step, phase, d->stride)) *
            square +
        i % block * block + o % block;
    float *to = u + pass * weight_floats(d) +
                (panel * d->simd->elements * d->sources + source) * 2 * d->lanes +
                target % (2 * d->lanes);
    d->simd->weights(from, square, block, (int)phase, d->back, to, d->sources * 2 * d->lanes);
}

static void transform_sources(const struct direction *d, int64_t pass, int64_t first, int64_t count,
                              float *v)
{
    struct cpu_winograd_tile tile = cpu_winograd_tile(&d->tiles, first);
    for (int64_t t = 0; t < count; t++, cpu_winograd_next(&d->tiles, &tile))
        for (int64_t c = 0; c < d->sources; c += d->lanes) {
            struct cpu_winograd_map map = source_of(d, pass, &tile, c);
            d->simd->source(&map, v + c * d->chunk + t * d->lanes, d->plane);
        }
}

static void transform_targets(const struct direction *d, int64_t pass, int64_t first, int64_t count,
                              int64_t panel, const float *m)
{
    int64_t c0 = panel * 2 * d->lanes;
    struct cpu_winograd_tile tile = cpu_winograd_tile(&d->tiles, first);
    for (int64_t t = 0; t < count; t++, cpu_winograd_next(&d->tiles, &tile))
        for (int64_t c = c0; c < cpu_min(c0 + 2 * d->lanes, d->targets); c += d->lanes) {
            struct cpu_winograd_map map = target_of(d, pass, &tile, c);
            d->simd->target(m + t * 2 * d->lanes + c - c0, d->product_plane, &map);
        }
}

static void run_chunk(const struct direction *d, const float *u, int64_t pass, int64_t chunk,
                      float *memory)
{
    int64_t elements = d->simd->elements;
    float *v = memory, *m = v + elements * d->plane;
    int64_t first = chunk * d->chunk, count = cpu_min(d->chunk, d->tiles.n - first);
    transform_sources(d, pass, first, count, v);
    for (int64_t panel = 0; panel < d->panels; panel++) {
        for (int64_t e = 0; e < elements; e++) {
            struct cpu_winograd_product product = {
                .tiles = count,
                .blocks = d->sources / d->lanes,
                .v_block = d->chunk * d->lanes,
                .v = v + e * d->plane,
                .u = u + pass * weight_floats(d) +
                     (panel * elements + e) * d->sources * 2 * d->lanes,
                .m = m + e * d->product_plane,
            };
            d->simd->multiply(&product);
        }
        transform_targets(d, pass, first, count, panel, m);
    }
}

static enum kiln_status run(struct cpu_task *task, struct kiln_error *error)
{
    (void)error;
    const struct kiln_step_conv *s = &task->step->as.conv;
    kiln_device_state *device = task->device;
    struct direction d = direction_of(device, task->step);
    float *u = cpu_at(task->exec, &task->step->scratch);
    const float *weight = cpu_at(task->exec, &s->weight);
    d.source.data = cpu_at(task->exec, d.back ? &s->y : &s->x);
    d.target.data = cpu_at(task->exec, d.back ? &s->x : &s->y);
    int64_t source_vectors = d.sources / d.lanes, target_vectors = d.targets / d.lanes;
    int64_t squares = source_vectors * target_vectors, chunks = (d.tiles.n + d.chunk - 1) / d.chunk;
#pragma omp parallel num_threads(task->threads)
    {
#pragma omp for schedule(dynamic, 1)
        for (int64_t i = 0; i < d.passes * squares; i++)
            weight_square(&d, weight, u, i / squares, i % squares / target_vectors * d.lanes,
                          i % target_vectors * d.lanes);
        char *memory = device->thread_memory + omp_get_thread_num() * device->thread_bytes;
#pragma omp for schedule(dynamic, 1)
        for (int64_t i = 0; i < d.passes * chunks; i++)
            run_chunk(&d, u, i / chunks, i % chunks, (float *)(void *)memory);
    }
    return KILN_OK;
}

/* Most of them, where the map is dilated. */
static bool submaps_fill_tiles(const struct kiln_step_conv *s)
{
    const int64_t least = (TILE - 1) * (int64_t)s->conv.dilation[0];
    return s->conv.dilation[0] == 1 ||
           (s->oh >= least && s->ow >= least && s->h >= least && s->w >= least);
}

int cpu_winograd_stride(const kiln_device_state *device, const struct kiln_step_conv *s)
{
    const struct kiln_conv *c = &s->conv;
    int64_t block = block_of(s->x_layout), stride = c->stride[0];
    bool fits = !device->reference && (stride == 1 || stride == 2) && c->stride[1] == stride &&
                s->kh == s->kw && (stride == 1 ? s->kh == 3 : s->kh == 4 || s->kh == 5) &&
                c->dilation[0] == c->dilation[1] && (c->dilation[0] == 1 || stride == 1) &&
                submaps_fill_tiles(s) && c->groups == 1 && block > 0 &&
                s->y_layout == s->x_layout && block % device->simd->winograd->lanes == 0;
    return fits ? (int)stride : 0;
}

bool cpu_conv_winograd_accepts(kiln_device_state *device, const struct kiln_step *step,
                               struct kiln_candidate *candidate)
{
    const struct kiln_step_conv *s = &step->as.conv;
    if (step->kind == KILN_STEP_CONV_WEIGHT_GRAD || !cpu_winograd_stride(device, s))
        return false;
    struct direction d = direction_of(device, step);
    candidate->winograd = true;
    candidate->weight_layout = d.block == 16 ? KILN_LAYOUT_OIHW16I16O : KILN_LAYOUT_OIHW8I8O;
    candidate->scratch_bytes = d.passes * weight_floats(&d) * (int64_t)sizeof(float);
    return true;
}

enum kiln_status cpu_conv_winograd_prepare(struct cpu_task *task, struct kiln_error *error)
{
    struct direction d = direction_of(task->device, task->step);
    if (!cpu_reserve(task->device, thread_floats(&d, d.chunk) * (int64_t)sizeof(float)))
        return kiln_fail(error, KILN_MACHINE, "cpu: no memory for step %s", task->step->label);
    task->run = run;
    task->threads = cpu_threads(task->device, cpu_conv_work(&task->step->as.conv));
    return KILN_OK;
}
