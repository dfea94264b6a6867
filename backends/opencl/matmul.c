/* Matrix products: the ways to do them, and all launches but CLBlast's. */
#include "backends/opencl/opencl.h"

#include <stdio.h>

enum { TILE_ROWS = 14, TILE_COLUMNS = 32, PAGE_ELEMENTS = 1024, SMALL_WORK = 1 << 20 };

static int64_t divide_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static void all_arguments(struct cl_builder *builder, const struct kiln_step_matmul *s)
{
    cl_arg_place(builder, &s->a);
    cl_arg_place(builder, &s->b);
    cl_arg_place(builder, &s->c);
    for (int i = 0; i < 3; i++)
        cl_arg_long(builder, s->a_stride[i]);
    for (int i = 0; i < 3; i++)
        cl_arg_long(builder, s->b_stride[i]);
    cl_arg_long(builder, s->c_stride[0]);
    cl_arg_long(builder, s->c_stride[1]);
    cl_arg_int(builder, s->m);
    cl_arg_int(builder, s->n);
    cl_arg_int(builder, s->k);
}

static void prepare_plain(struct cl_builder *builder, const struct kiln_step_matmul *s)
{
    cl_begin(builder, "matmul_plain.cl", "", "matmul_plain");
    all_arguments(builder, s);
    cl_end_items(builder, s->batch * s->m * s->n, s->k * 2);
}

struct cl_local_options cl_local_options(const kiln_device_state *device, int64_t side, bool engine)
{
    struct cl_local_options options;
    snprintf(options.text, sizeof options.text, "%s%s%s", side == 128 ? "-DSIDE=128" : "",
             side == 128 && engine ? " " : "", engine ? device->engine : "");
    return options;
}

void cl_matmul_local(struct cl_builder *builder, const struct kiln_step_matmul *s, int64_t side,
                     bool engine)
{
    const struct cl_local_options options = cl_local_options(builder->device, side, engine);
    cl_begin(builder, "matmul_local.cl", options.text, "matmul_local");
    all_arguments(builder, s);
    const int64_t groups[3] = {divide_up(s->n, side), divide_up(s->m, side), s->batch};
    const size_t local[3] = {256, 1, 1};
    cl_end_local(builder, groups, local);
}

/* --- tiles of a processor ------------------------------------------------------- */

/* What of the operands is packed into scratch, and how much that takes. */
struct tiling {
    bool pack_a, pack_b, columns_of_b; /* columns: b has dense rows */
    int64_t panels, b_batches, a_batches, a_bytes, b_bytes;
};

static struct tiling tiling_of(const struct kiln_step_matmul *s)
{
    struct tiling t = {.panels = divide_up(s->n, TILE_COLUMNS)};
    t.columns_of_b = s->b_stride[2] != 1 && s->n > 1;
    /* rows a multiple of a page apart would share a few sets of the caches */
    bool aliased = s->b_stride[1] % PAGE_ELEMENTS == 0 && s->m >= 4 * TILE_ROWS && s->k >= 64;
    t.pack_b = t.columns_of_b || s->n % (TILE_COLUMNS / 2) != 0 || aliased;
    t.pack_a = s->m < TILE_ROWS;
    t.b_batches = s->b_stride[0] == 0 ? 1 : s->batch;
    t.a_batches = s->a_stride[0] == 0 ? 1 : s->batch;
    if (t.pack_b)
        t.b_bytes = t.b_batches * t.panels * s->k * TILE_COLUMNS * 4;
    if (t.pack_a)
        t.a_bytes = t.a_batches * s->k * TILE_ROWS * 4;
    return t;
}

static void pack_b(struct cl_builder *builder, const struct kiln_step_matmul *s,
                   const struct tiling *t)
{
    enum { PART = 128 };
    cl_begin(builder, "matmul_tile.cl", "",
             t->columns_of_b ? "matmul_pack_columns" : "matmul_pack_rows");
    cl_arg_place(builder, &s->b);
    cl_arg_scratch(builder, 0);
    cl_arg_long(builder, s->b_stride[0]);
    cl_arg_long(builder, s->b_stride[t->columns_of_b ? 2 : 1]);
    cl_arg_int(builder, s->n);
    cl_arg_int(builder, s->k);
    cl_arg_int(builder, PART);
    cl_end_groups(builder, divide_up(s->k, PART), t->panels, t->b_batches);
}

static void pack_a(struct cl_builder *builder, const struct kiln_step_matmul *s,
                   const struct tiling *t)
{
    cl_begin(builder, "matmul_tile.cl", "", "matmul_pack_a");
    cl_arg_place(builder, &s->a);
    cl_arg_scratch(builder, t->b_bytes);
    for (int i = 0; i < 3; i++)
        cl_arg_long(builder, s->a_stride[i]);
    cl_arg_int(builder, s->m);
    cl_arg_int(builder, s->k);
    cl_end_groups(builder, t->a_batches, 1, 1);
}

static void prepare_tile(struct cl_builder *builder, const struct kiln_step_matmul *s)
{
    struct tiling t = tiling_of(s);
    if (t.pack_b)
        pack_b(builder, s, &t);
    if (t.pack_a)
        pack_a(builder, s, &t);
    bool dense_columns = !t.pack_a && s->a_stride[2] == 1;
    cl_begin(builder, "matmul_tile.cl", "",
             dense_columns ? "matmul_tile_rows" : "matmul_tile_columns");
    if (t.pack_a)
        cl_arg_scratch(builder, t.b_bytes);
    else
        cl_arg_place(builder, &s->a);
    if (t.pack_b)
        cl_arg_scratch(builder, 0);
    else
        cl_arg_place(builder, &s->b);
    cl_arg_place(builder, &s->c);
    int64_t a_batch = t.pack_a ? s->k * TILE_ROWS : s->a_stride[0];
    cl_arg_long(builder, s->a_stride[0] == 0 ? 0 : a_batch);
    cl_arg_long(builder, dense_columns ? s->a_stride[1] : 1);
    int64_t b_batch = t.pack_b ? t.panels * s->k * TILE_COLUMNS : s->b_stride[0];
    cl_arg_long(builder, s->b_stride[0] == 0 ? 0 : b_batch);
    cl_arg_long(builder, t.pack_b ? s->k * TILE_COLUMNS : TILE_COLUMNS);
    cl_arg_int(builder, t.pack_b ? TILE_COLUMNS : s->b_stride[1]);
    cl_arg_long(builder, s->c_stride[0]);
    cl_arg_long(builder, s->c_stride[1]);
    cl_arg_int(builder, s->m);
    cl_arg_int(builder, s->n);
    cl_arg_int(builder, s->k);
    if (!dense_columns)
        cl_arg_long(builder, t.pack_a ? TILE_ROWS : s->a_stride[2]);
    cl_end_groups(builder, divide_up(s->m, TILE_ROWS), t.panels, s->batch);
}

/* Two sizes of tiles, the better guess first: large ones reuse more, but must
 * occupy the device. */
static int local_candidates(const kiln_device_state *device, const struct kiln_step_matmul *s,
                            bool engine, struct kiln_candidate *candidates)
{
    const struct kiln_candidate small = {.algorithm = engine ? CL_MATMUL_ENGINE : CL_MATMUL_LOCAL,
                                         .name = engine ? "engine64" : "local64"};
    const struct kiln_candidate large = {.algorithm = engine ? CL_MATMUL_ENGINE_LARGE
                                                             : CL_MATMUL_LOCAL_LARGE,
                                         .name = engine ? "engine128" : "local128"};
    bool prefer_large = divide_up(s->m, 128) * divide_up(s->n, 128) * s->batch >=
                        (int64_t)device->caps.compute_units;
    candidates[0] = prefer_large ? large : small;
    candidates[1] = prefer_large ? small : large;
    return 2;
}

int cl_matmul_candidates(kiln_device_state *device, const struct kiln_step *step,
                         struct kiln_candidate *candidates)
{
    const struct kiln_step_matmul *s = &step->as.matmul;
    int n = 0;
    if (device->cpu_like && !device->reference) {
        struct tiling t = tiling_of(s);
        candidates[n++] = (struct kiln_candidate){
            .algorithm = CL_MATMUL_TILE, .name = "tile", .scratch_bytes = t.a_bytes + t.b_bytes};
    }
    if (!device->reference) {
        bool local = !device->cpu_like && device->caps.work_group_size >= 256;
        if (local && cl_engine_usable(device))
            n += local_candidates(device, s, true, candidates + n);
        if (local)
            n += local_candidates(device, s, false, candidates + n);
        if (cl_blast_suits(s) && cl_blast_usable(device))
            candidates[n++] = (struct kiln_candidate){
                .algorithm = CL_MATMUL_BLAST,
                .name = *device->blast_parameters ? "clblast tuned" : "clblast"};
    }
    if (n == 0 || s->batch * s->m * s->n * s->k < SMALL_WORK)
        candidates[n++] = (struct kiln_candidate){.algorithm = CL_MATMUL_PLAIN, .name = "plain"};
    return n;
}

void cl_matmul_prepare(struct cl_builder *builder, const struct kiln_step *step)
{
    const struct kiln_step_matmul *s = &step->as.matmul;
    switch (step->algorithm) {
    case CL_MATMUL_TILE:
        prepare_tile(builder, s);
        break;
    case CL_MATMUL_LOCAL:
        cl_matmul_local(builder, s, 64, false);
        break;
    case CL_MATMUL_LOCAL_LARGE:
        cl_matmul_local(builder, s, 128, false);
        break;
    case CL_MATMUL_ENGINE:
        cl_matmul_local(builder, s, 64, true);
        break;
    case CL_MATMUL_ENGINE_LARGE:
        cl_matmul_local(builder, s, 128, true);
        break;
    case CL_MATMUL_BLAST:
        cl_blast_prepare(builder, s);
        break;
    default:
        prepare_plain(builder, s);
    }
}
