/* Pooling, resizing and mirroring of feature maps. */
#include "core/graph/internal.h"

#include "core/api/nn.h"

enum { MAX_FACTOR = 1 << 15 };

/* True for a map [n, c, h, w]; else the graph fails. */
static bool is_map(kiln_graph *g, kiln_node x, const char *what)
{
    if (!g->status && kiln_shape(g, x).n != 4)
        kiln_graph_fail(g, "%s: needs [n, c, h, w]", what);
    return !g->status;
}

struct kiln_conv kiln_conv_params(int stride, int padding, int dilation)
{
    return (struct kiln_conv){
        .stride = {stride, stride},
        .dilation = {dilation, dilation},
        .pad = {padding, padding, padding, padding},
        .groups = 1,
    };
}

kiln_node kiln_max_pool(kiln_graph *g, kiln_node x, struct kiln_window window)
{
    return kiln_window_gather(g, x, kiln_window_argmax(g, x, window), window);
}

/* Rows and columns that do not fill a window are left out, as in PyTorch. */
kiln_node kiln_avg_pool(kiln_graph *g, kiln_node x, int factor)
{
    if (!is_map(g, x, "average pool"))
        return 0;
    struct kiln_resample mean = {.kind = KILN_RESAMPLE_MEAN};
    for (int axis = 0; axis < 2; axis++) {
        int64_t size = kiln_shape(g, x).d[2 + axis];
        if (factor < 1 || size < factor) {
            kiln_graph_fail(g, "average pool: %lld pixels by %d", (long long)size, factor);
            return 0;
        }
        mean.out[axis] = size / factor;
        mean.in[axis] = mean.out[axis] * factor;
        if (mean.in[axis] != size)
            x = kiln_narrow(g, x, 2 + axis, 0, mean.in[axis]);
    }
    return kiln_resample(g, x, mean);
}

/* A convolution of each channel by equal weights. */
kiln_node kiln_avg_pool_same(kiln_graph *g, kiln_node x, int size)
{
    if (!is_map(g, x, "average pool"))
        return 0;
    int64_t channels = kiln_shape(g, x).d[1];
    if (size < 1 || size % 2 == 0 || channels > INT32_MAX) {
        kiln_graph_fail(g, "average pool: the window %d is not odd", size);
        return 0;
    }
    struct kiln_conv conv = kiln_conv_params(1, size / 2, 1);
    conv.groups = (int)channels;
    double area = (double)size * size;
    return kiln_conv(g, x, kiln_full(g, KILN_SHAPE(channels, 1, size, size), 1 / area), conv);
}

static kiln_node resize(kiln_graph *g, kiln_node x, enum kiln_resample_kind kind, int64_t h,
                        int64_t w)
{
    struct kiln_shape shape = kiln_shape(g, x);
    if (!is_map(g, x, "resize"))
        return 0;
    return kiln_resample(g, x,
                         (struct kiln_resample){kind, {shape.d[2], shape.d[3]}, {h, w}, false});
}

kiln_node kiln_upsample_nearest(kiln_graph *g, kiln_node x, int factor)
{
    struct kiln_shape shape = kiln_shape(g, x);
    if (factor < 1 || factor > MAX_FACTOR) {
        kiln_graph_fail(g, "upsample: the factor %d is not in 1 .. %d", factor, MAX_FACTOR);
        return 0;
    }
    return resize(g, x, KILN_RESAMPLE_NEAREST, shape.d[2] * factor, shape.d[3] * factor);
}

kiln_node kiln_resize_bilinear(kiln_graph *g, kiln_node x, int64_t h, int64_t w, bool align_corners)
{
    return resize(g, x, align_corners ? KILN_RESAMPLE_BILINEAR_ALIGNED : KILN_RESAMPLE_BILINEAR, h,
                  w);
}

kiln_node kiln_flip_where(kiln_graph *g, kiln_node x, kiln_node flag)
{
    struct kiln_shape shape = kiln_shape(g, x), column = shape;
    if (g->status)
        return 0;
    if (shape.n < 2) {
        kiln_graph_fail(g, "flip: needs [n, ..., w]");
        return 0;
    }
    int64_t start[KILN_MAX_DIMS] = {0}, step[KILN_MAX_DIMS];
    for (int axis = 0; axis < KILN_MAX_DIMS; axis++)
        step[axis] = 1;
    start[shape.n - 1] = shape.d[shape.n - 1] - 1;
    step[shape.n - 1] = -1;
    for (int axis = 1; axis < shape.n; axis++)
        column.d[axis] = 1;
    kiln_node mirrored = kiln_slice(g, x, start, shape, step);
    return kiln_select(g, kiln_reshape(g, flag, column), mirrored, x);
}
