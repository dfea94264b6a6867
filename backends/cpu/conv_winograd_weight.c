/*
 * The weight gradient of convolutions by Winograd's F(3x3,4x4) or F(2x2,4x4);
 * with stride 2 the phases of x (conv_winograd.h) count as so many more channels:
 * for each element e of the transforms, sums over tiles of x[e] dy[e], channels
 * by channels, and the taps from all sums at the end.
 *
 * A thread takes an item: a group of channels and a part of the tiles. It
 * transforms a chunk of tiles into its own memory, [element][tile][channel], and
 * adds their products to the item's sums, [element][channel of x][channel of dy],
 * which stay in its second cache.
 */
#include "backends/cpu/conv_winograd.h"

#include <omp.h>

#define TILE        CPU_WINOGRAD_TILE
#define CHUNK_BYTES (400 * 1024)
/* Channels of an item. */
#define X_GROUP 64
#define Y_GROUP 64
/* Parts of the tiles: about so many items, so many tiles at least. */
#define ITEMS       24
#define LEAST_SHARE 32

struct weight_plan {
    const struct kiln_step_conv *s;
    const struct cpu_simd_winograd_weight *simd;
    int stride;
    struct cpu_winograd_tiles tiles;
    int64_t block, x_channels;
    int64_t x_group, y_group, x_groups, y_groups, parts,
        share;                                   /* the order of sums: by sizes alone */
    int64_t chunk, x_plane, y_plane, sums_plane; /* floats from element to element */
    float *x, *y, *sums, *weight;
};

static int64_t ceiling(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static struct weight_plan plan_of(const kiln_device_state *device, const struct kiln_step_conv *s)
{
    int stride = s->conv.stride[0];
    int64_t x_channels = s->c * stride * stride;
    struct weight_plan p = {.s = s,
                            .simd = stride == 2 ? device->simd->winograd_phases_weight[s->kh - 4]
                                                : device->simd->winograd_weight,
                            .stride = stride,
                            .block = s->x_layout == KILN_LAYOUT_NCHW16C ? 16 : 8,
                            .x_channels = x_channels,
                            .tiles = cpu_winograd_tiles(s->n, s->oh, s->ow, 1),
                            .y_group = cpu_min(s->o, Y_GROUP)};
    p.x_group = cpu_min(x_channels, X_GROUP);
    p.x_groups = ceiling(x_channels, p.x_group);
    p.y_groups = ceiling(s->o, p.y_group);
    p.parts = cpu_min(ceiling(ITEMS, p.x_groups * p.y_groups), ceiling(p.tiles.n, LEAST_SHARE));
    p.share = ceiling(p.tiles.n, p.parts);
    p.parts = ceiling(p.tiles.n, p.share);
    int64_t tile_bytes = p.simd->elements * (p.x_group + p.y_group) * (int64_t)sizeof(float);
    p.chunk = cpu_min(p.share, cpu_max(1, CHUNK_BYTES / tile_bytes));
    p.x_plane = p.x_group * p.chunk + CPU_WINOGRAD_GAP;
    p.y_plane = p.y_group * p.chunk + CPU_WINOGRAD_GAP;
    p.sums_plane = p.x_group * p.y_group;
    return p;
}

static int64_t thread_floats(const struct weight_plan *p)
{
    return p->simd->elements * (p->x_plane + p->y_plane + (p->parts == 1 ? p->sums_plane : 0));
}

struct item {
    int64_t group, c, x_size, o, y_size, part;
};

static struct item item_of(const struct weight_plan *p, int64_t i)
{
    int64_t groups = p->x_groups * p->y_groups;
    struct item item = {.group = i % groups, .part = i / groups};
    item.c = item.group % p->x_groups * p->x_group;
    item.o = item.group / p->x_groups * p->y_group;
    item.x_size = cpu_min(p->x_group, p->x_channels - item.c);
    item.y_size = cpu_min(p->y_group, p->s->o - item.o);
    return item;
}

/* The vector of channels from c on at a tile. */
static struct cpu_winograd_map map_of(const struct weight_plan *p, float *data,
                                      const struct cpu_winograd_tile *tile, int64_t channels,
                                      int64_t c, int64_t rows, int64_t columns, int64_t step)
{
    return (struct cpu_winograd_map){
        .data = data + (tile->image * channels + c / p->block * p->block) * rows * columns +
                c % p->block,
        .rows = rows,
        .columns = columns,
        .pixel = p->block,
        .row = tile->row * TILE * step,
        .column = tile->column * TILE * step,
        .step = step};
}

static void transform_tile(const struct weight_plan *p, const struct item *item,
                           const struct cpu_winograd_tile *tile, float *x, float *y)
{
    const struct kiln_step_conv *s = p->s;
    for (int64_t c = 0; c < item->x_size; c += p->simd->lanes) {
        int64_t phase = (item->c + c) / s->c;
        struct cpu_winograd_map map =
            map_of(p, p->x, tile, s->c, (item->c + c) % s->c, s->h, s->w, p->stride);
        map.row += phase / p->stride - s->conv.pad[0];
        map.column += phase % p->stride - s->conv.pad[2];
        p->simd->source(&map, x + c, p->x_plane);
    }
    for (int64_t o = 0; o < item->y_size; o += p->simd->lanes) {
        struct cpu_winograd_map map = map_of(p, p->y, tile, s->o, item->o + o, s->oh, s->ow, 1);
        p->simd->outputs(&map, y + o, p->y_plane);
    }
}

/* The sums of a group from its first part on. */
static float *sums_of(const struct weight_plan *p, int64_t group)
{
    return p->sums + group * p->parts * p->simd->elements * p->sums_plane;
}

/* The taps of a channel of x in one phase from the sums of a group, [o/block][c/block][tap][c][o].
 */
static void finish_channel(const struct weight_plan *p, const struct item *item, const float *sums,
                           int64_t x_channel)
{
    const struct kiln_step_conv *s = p->s;
    int64_t block = p->block, square = block * block, c = x_channel % s->c;
    int64_t first = cpu_winograd_tap(s, x_channel / s->c, p->stride);
    sums += (x_channel - item->c) * p->y_group;
    for (int64_t o = item->o; o < item->o + item->y_size; o += p->simd->lanes) {
        int64_t blocks = o / block * (s->c / block) + c / block;
        p->simd->taps(sums + o - item->o, p->sums_plane, p->parts, (int)(x_channel / s->c),
                      p->weight + (blocks * s->kh * s->kw + first) * square + c % block * block +
                          o % block,
                      square);
    }
}

static void run_item(const struct weight_plan *p, const struct item *item, float *memory)
{
    float *x = memory, *y = x + p->simd->elements * p->x_plane,
          *own = y + p->simd->elements * p->y_plane;
    float *all = p->parts == 1
                     ? own
                     : sums_of(p, item->group) + item->part * p->simd->elements * p->sums_plane;
    int64_t from = item->part * p->share, to = cpu_min(from + p->share, p->tiles.n);
    struct cpu_winograd_tile tile = cpu_winograd_tile(&p->tiles, from);
    for (int64_t first = from; first < to; first += p->chunk) {
        int64_t count = cpu_min(p->chunk, to - first);
        for (int64_t t = 0; t < count; t++, cpu_winograd_next(&p->tiles, &tile))
            transform_tile(p, item, &tile, x + t * item->x_size, y + t * item->y_size);
        for (int64_t e = 0; e < p->simd->elements; e++) {
            const struct cpu_winograd_sums sums = {.begin = first == from,
                                                   .tiles = count,
                                                   .x_channels = item->x_size,
                                                   .y_channels = item->y_size,
                                                   .row = p->y_group,
                                                   .x = x + e * p->x_plane,
                                                   .y = y + e * p->y_plane,
                                                   .sums = all + e * p->sums_plane};
            p->simd->add(&sums);
        }
    }
    for (int64_t c = item->c; c < item->c + item->x_size && p->parts == 1; c++)
        finish_channel(p, item, own, c);
}

/* What items of several parts have left to do, for one channel of x. */
static void finish(const struct weight_plan *p, int64_t x_channel)
{
    for (int64_t y = 0; y < p->y_groups; y++) {
        int64_t group = y * p->x_groups + x_channel / p->x_group;
        struct item item = item_of(p, group);
        finish_channel(p, &item, sums_of(p, group), x_channel);
    }
}

static enum kiln_status run(struct cpu_task *task, struct kiln_error *error)
{
    (void)error;
    kiln_device_state *device = task->device;
    const struct kiln_step_conv *s = &task->step->as.conv;
    struct weight_plan p = plan_of(device, s);
    p.x = cpu_at(task->exec, &s->x);
    p.y = cpu_at(task->exec, &s->y);
    p.weight = cpu_at(task->exec, &s->weight);
    p.sums = cpu_at(task->exec, &task->step->scratch);
#pragma omp parallel num_threads(task->threads)
    {
        char *memory = device->thread_memory + omp_get_thread_num() * device->thread_bytes;
#pragma omp for schedule(dynamic, 1)
        for (int64_t i = 0; i < p.x_groups * p.y_groups * p.parts; i++) {
            struct item item = item_of(&p, i);
            run_item(&p, &item, (float *)(void *)memory);
        }
#pragma omp for schedule(dynamic, 4)
        for (int64_t c = 0; c < (p.parts == 1 ? 0 : p.x_channels); c++)
            finish(&p, c);
    }
    return KILN_OK;
}

bool cpu_conv_winograd_weight_accepts(kiln_device_state *device, const struct kiln_step *step,
                                      struct kiln_candidate *candidate)
{
    const struct kiln_step_conv *s = &step->as.conv;
    /* of dilated ones the direct algorithm is as fast or faster */
    if (step->kind != KILN_STEP_CONV_WEIGHT_GRAD || !cpu_winograd_stride(device, s) ||
        s->conv.dilation[0] > 1)
        return false;
    struct weight_plan p = plan_of(device, s);
    candidate->winograd = true;
    candidate->weight_layout = p.block == 16 ? KILN_LAYOUT_OIHW16I16O : KILN_LAYOUT_OIHW8I8O;
    candidate->scratch_bytes = p.parts == 1 ? 0
                                            : p.x_groups * p.y_groups * p.parts * p.simd->elements *
                                                  p.sums_plane * (int64_t)sizeof(float);
    return true;
}

enum kiln_status cpu_conv_winograd_weight_prepare(struct cpu_task *task, struct kiln_error *error)
{
    struct weight_plan p = plan_of(task->device, &task->step->as.conv);
    if (!cpu_reserve(task->device, thread_floats(&p) * (int64_t)sizeof(float)))
        return kiln_fail(error, KILN_MACHINE, "cpu: no memory for step %s", task->step->label);
    task->run = run;
    task->threads = cpu_threads(task->device, cpu_conv_work(&task->step->as.conv));
    return KILN_OK;
}
