/* Convolutions by Winograd's algorithm on GPUs: transforms through scratch
 * (kernels/winograd_local.cl) around a batch of 36 products. */
#include "backends/opencl/conv.h"

enum { TILE = 4, ELEMENTS = 36, SCRATCH_BYTES = 256 << 20, ALIGNMENT = 64 };

static int64_t divide_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* Sizes of a step; byte offsets of its matrices in scratch. */
struct winograd {
    bool back, gradient;
    int64_t sources, targets; /* gradient: channels of x and of y */
    int64_t tile_rows, tile_columns, tiles, parts, share;
    int64_t v, u, m, bytes; /* u: transformed weights or outputs, m: products */
};

static int64_t place(struct winograd *w, int64_t floats)
{
    int64_t at = w->bytes;
    w->bytes = divide_up(at + floats * 4, ALIGNMENT) * ALIGNMENT;
    return at;
}

static struct winograd winograd_of(const struct kiln_step *step)
{
    enum { PRODUCTS = 512, SIDE = 64, LEAST_SHARE = 64 };
    const struct kiln_step_conv *s = &step->as.conv;
    struct winograd w = {.back = step->kind == KILN_STEP_CONV_INPUT_GRAD,
                         .gradient = step->kind == KILN_STEP_CONV_WEIGHT_GRAD,
                         .parts = 1};
    w.sources = w.back ? s->o : s->c;
    w.targets = w.back ? s->c : s->o;
    w.tile_rows = divide_up(w.back ? s->h : s->oh, TILE);
    w.tile_columns = divide_up(w.back ? s->w : s->ow, TILE);
    w.tiles = s->n * w.tile_rows * w.tile_columns;
    /* parts of the sum over tiles, as many as occupy a large device; by sizes alone */
    if (w.gradient) {
        int64_t groups = ELEMENTS * divide_up(s->c, SIDE) * divide_up(s->o, SIDE);
        int64_t most = divide_up(w.tiles, LEAST_SHARE);
        w.parts = divide_up(PRODUCTS, groups);
        w.parts = w.parts < most ? w.parts : most;
    }
    w.share = divide_up(w.tiles, w.parts);
    w.parts = divide_up(w.tiles, w.share);
    int64_t columns = w.parts * w.share;
    w.v = place(&w, ELEMENTS * w.sources * columns);
    w.u = place(&w, ELEMENTS * w.targets * (w.gradient ? columns : w.sources));
    w.m = place(&w, ELEMENTS * w.targets * (w.gradient ? w.parts * w.sources : columns));
    return w;
}

int cl_conv_winograd_local_candidate(const kiln_device_state *device, const struct kiln_step *step,
                                     struct kiln_candidate *candidate)
{
    if (!cl_conv_is_winograd(&step->as.conv) || device->caps.work_group_size < 256)
        return 0;
    struct winograd w = winograd_of(step);
    if (w.bytes > SCRATCH_BYTES || w.tiles > INT32_MAX / 2)
        return 0;
    *candidate = (struct kiln_candidate){.algorithm = CL_CONV_WINOGRAD_LOCAL,
                                         .name = "winograd",
                                         .scratch_bytes = w.bytes,
                                         .weight_layout = KILN_LAYOUT_DENSE,
                                         .winograd = true};
    return 1;
}

/* The geometry of a map of so many rows and columns whose tiles begin at
 * (-top, -left). */
static cl_mem geometry(struct cl_builder *builder, const struct winograd *w, int64_t rows,
                       int64_t columns, int64_t top, int64_t left)
{
    const int32_t words[] = {(int32_t)rows,     (int32_t)columns,      (int32_t)top,
                             (int32_t)left,     (int32_t)w->tile_rows, (int32_t)w->tile_columns,
                             (int32_t)w->tiles, (int32_t)w->share};
    return cl_table(builder, words, sizeof words);
}

/* A map's tiles into scratch. */
static void transform(struct cl_builder *builder, const struct winograd *w, const char *kernel,
                      const struct kiln_place *map, int64_t scratch, cl_mem shape, int64_t channels)
{
    cl_begin(builder, "winograd_local.cl", "", kernel);
    cl_arg_place(builder, map);
    cl_arg_scratch(builder, scratch);
    cl_arg_buffer(builder, shape);
    cl_arg_int(builder, channels);
    cl_end_items(builder, channels * w->parts * w->share, 300);
}

static struct kiln_place in_scratch(const struct kiln_step *step, int64_t bytes)
{
    struct kiln_place at = step->scratch;
    at.dtype = KILN_F32;
    at.offset += bytes;
    return at;
}

static void multiply(struct cl_builder *builder, const struct kiln_step *step,
                     const struct winograd *w)
{
    struct kiln_step_matmul product = {.batch = ELEMENTS * w->parts,
                                       .m = w->targets,
                                       .n = w->gradient ? w->sources : w->share,
                                       .k = w->gradient ? w->share : w->sources,
                                       .a = in_scratch(step, w->u),
                                       .b = in_scratch(step, w->v),
                                       .c = in_scratch(step, w->m)};
    int64_t m = product.m, n = product.n, k = product.k;
    const int64_t a[3] = {m * k, w->gradient ? k : 1, w->gradient ? 1 : m};
    const int64_t b[3] = {k * n, w->gradient ? 1 : n, w->gradient ? k : 1};
    const int64_t c[3] = {m * n, n, 1};
    for (int i = 0; i < 3; i++) {
        product.a_stride[i] = a[i];
        product.b_stride[i] = b[i];
        product.c_stride[i] = c[i];
    }
    bool large = m >= 128 && n >= 128 &&
                 divide_up(m, 128) * divide_up(n, 128) * product.batch >=
                     (int64_t)builder->device->caps.compute_units * 2;
    cl_matmul_local(builder, &product, large ? 128 : 64, false);
}

static void prepare_gradient(struct cl_builder *builder, const struct kiln_step *step,
                             const struct winograd *w)
{
    const struct kiln_step_conv *s = &step->as.conv;
    transform(builder, w, "winograd_source", &s->x, w->v,
              geometry(builder, w, s->h, s->w, s->conv.pad[0], s->conv.pad[2]), s->c);
    transform(builder, w, "winograd_outputs", &s->y, w->u, geometry(builder, w, s->oh, s->ow, 0, 0),
              s->o);
    multiply(builder, step, w);
    cl_begin(builder, "winograd_local.cl", "", "winograd_taps");
    cl_arg_scratch(builder, w->m);
    cl_arg_place(builder, &s->weight);
    cl_arg_int(builder, w->parts);
    cl_end_items(builder, s->c * s->o, 300);
}

void cl_conv_winograd_local_prepare(struct cl_builder *builder, const struct kiln_step *step)
{
    const struct kiln_step_conv *s = &step->as.conv;
    struct winograd w = winograd_of(step);
    if (w.gradient) {
        prepare_gradient(builder, step, &w);
        return;
    }
    cl_begin(builder, "winograd_local.cl", "", "winograd_weights");
    cl_arg_place(builder, &s->weight);
    cl_arg_scratch(builder, w.u);
    cl_arg_int(builder, w.sources);
    cl_arg_int(builder, w.targets);
    cl_arg_int(builder, w.back);
    cl_end_items(builder, w.sources * w.targets, 200);
    int64_t top = w.back ? 2 - s->conv.pad[0] : s->conv.pad[0];
    int64_t left = w.back ? 2 - s->conv.pad[2] : s->conv.pad[2];
    transform(builder, &w, "winograd_source", w.back ? &s->y : &s->x, w.v,
              geometry(builder, &w, w.back ? s->oh : s->h, w.back ? s->ow : s->w, top, left),
              w.sources);
    multiply(builder, step, &w);
    cl_mem target = geometry(builder, &w, w.back ? s->h : s->oh, w.back ? s->w : s->ow, 0, 0);
    cl_begin(builder, "winograd_local.cl", "", "winograd_target");
    cl_arg_scratch(builder, w.m);
    cl_arg_place(builder, w.back ? &s->x : &s->y);
    cl_arg_buffer(builder, target);
    cl_arg_int(builder, w.targets);
    cl_end_items(builder, w.targets * w.share, 300);
}
