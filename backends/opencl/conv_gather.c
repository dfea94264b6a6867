/* The geometry of convolutions as gathers: axes, classes of rows, tables. */
#include "backends/opencl/conv.h"

#include <stdlib.h>

static int floor_mod(int a, int b)
{
    int r = a % b;
    return r < 0 ? r + b : r;
}

static void forward_axis(struct cl_axis *axis, int64_t source, int64_t grid, int64_t kernel,
                         int stride, int dilation, int pad)
{
    *axis = (struct cl_axis){
        .grid = grid, .source = source, .step = stride, .n = (int)kernel, .target_step = 1};
    for (int i = 0; i < axis->n; i++) {
        axis->offset[i] = i * dilation - pad;
        axis->tap[i] = i;
    }
}

/* Target pixels first, first + stride, ... read those outputs whose tap i
 * touches them: output t + (first + pad - i dilation) / stride. */
static void backward_axis(struct cl_axis *axis, int64_t source, int64_t target, int64_t kernel,
                          int stride, int dilation, int pad, int first)
{
    *axis =
        (struct cl_axis){.source = source, .step = 1, .target_step = stride, .target_first = first};
    axis->grid = first < target ? (target - first + stride - 1) / stride : 0;
    for (int i = 0; i < (int)kernel; i++) {
        int at = first + pad - i * dilation;
        if (floor_mod(at, stride) != 0)
            continue;
        axis->offset[axis->n] = (at - floor_mod(at, stride)) / stride;
        axis->tap[axis->n++] = i;
    }
}

/* Rows of one residue modulo the step share planes. */
static int class_of(const struct cl_gather *gather, int row)
{
    const struct cl_axis *v = &gather->vertical;
    int n = 0;
    for (int i = 0; i < row; i++) {
        bool seen = false;
        for (int j = 0; j < i; j++)
            seen = seen || floor_mod(v->offset[j] - v->offset[i], v->step) == 0;
        if (floor_mod(v->offset[i] - v->offset[row], v->step) == 0)
            return n;
        n += !seen;
    }
    return n;
}

static void make_classes(struct cl_gather *gather)
{
    const struct cl_axis *v = &gather->vertical;
    for (int i = 0; i < v->n; i++) {
        int k = class_of(gather, i);
        if (k == gather->n_classes) {
            gather->n_classes++;
            gather->first[k] = v->offset[i];
            gather->extra[k] = 0;
        }
        /* first is the least offset, extra the rows beyond a band's own */
        int most = gather->first[k] + gather->extra[k] * v->step;
        if (v->offset[i] < gather->first[k])
            gather->first[k] = v->offset[i];
        if (v->offset[i] > most)
            most = v->offset[i];
        gather->extra[k] = (most - gather->first[k]) / v->step;
    }
}

void cl_gather_forward(const struct kiln_step_conv *s, struct cl_gather *gather)
{
    const struct kiln_conv *c = &s->conv;
    *gather = (struct cl_gather){.target_rows = s->oh, .target_columns = s->ow};
    forward_axis(&gather->vertical, s->h, s->oh, s->kh, c->stride[0], c->dilation[0], c->pad[0]);
    forward_axis(&gather->horizontal, s->w, s->ow, s->kw, c->stride[1], c->dilation[1], c->pad[2]);
    make_classes(gather);
}

void cl_gather_backward(const struct kiln_step_conv *s, int phase, struct cl_gather *gather)
{
    const struct kiln_conv *c = &s->conv;
    *gather = (struct cl_gather){.target_rows = s->h, .target_columns = s->w};
    backward_axis(&gather->vertical, s->oh, s->h, s->kh, c->stride[0], c->dilation[0], c->pad[0],
                  phase / c->stride[1]);
    backward_axis(&gather->horizontal, s->ow, s->w, s->kw, c->stride[1], c->dilation[1], c->pad[2],
                  phase % c->stride[1]);
    make_classes(gather);
}

int64_t cl_gather_pixels(const struct cl_gather *gather, int64_t band_rows)
{
    int64_t rows = 0;
    for (int k = 0; k < gather->n_classes; k++)
        rows += band_rows + gather->extra[k];
    return rows * gather->horizontal.n * gather->horizontal.grid;
}

/* Pixels from the patch's start to tap (i, j) of the grid's first pixel. */
static int64_t distance(const struct cl_gather *gather, int64_t band_rows, int i, int j)
{
    int64_t at = 0;
    int k = class_of(gather, i);
    for (int before = 0; before < k; before++)
        at += (band_rows + gather->extra[before]) * gather->horizontal.n;
    at += (band_rows + gather->extra[k]) * j;
    at += (gather->vertical.offset[i] - gather->first[k]) / gather->vertical.step;
    return at * gather->horizontal.grid;
}

cl_mem cl_gather_table(struct cl_builder *builder, const struct cl_gather *gather,
                       int64_t band_rows, int64_t kernel_columns, int64_t channels,
                       int64_t tap_stride, int64_t channel_stride)
{
    const struct cl_axis *v = &gather->vertical, *h = &gather->horizontal;
    int64_t taps = (int64_t)v->n * h->n * channels, pixels = cl_gather_pixels(gather, band_rows);
    size_t words = 12 + 2 * (size_t)gather->n_classes + (size_t)h->n + 2 * (size_t)taps;
    int32_t *table = calloc(words, sizeof *table), *out = table;
    if (!table) {
        cl_refuse(builder, "out of memory");
        return NULL;
    }
    const int64_t head[] = {v->grid, h->grid, band_rows,         0,    v->source, h->source,
                            v->step, h->step, gather->n_classes, h->n, taps,      pixels};
    for (size_t i = 0; i < sizeof head / sizeof *head; i++)
        *out++ = (int32_t)head[i];
    for (int k = 0; k < gather->n_classes; k++)
        *out++ = gather->first[k];
    for (int k = 0; k < gather->n_classes; k++)
        *out++ = (int32_t)(band_rows + gather->extra[k]);
    for (int j = 0; j < h->n; j++)
        *out++ = h->offset[j];
    int32_t *weight = out + taps;
    for (int64_t c = 0; c < channels; c++)
        for (int i = 0; i < v->n; i++)
            for (int j = 0; j < h->n; j++) {
                *out++ = (int32_t)(c * pixels + distance(gather, band_rows, i, j));
                *weight++ = (int32_t)((v->tap[i] * kernel_columns + h->tap[j]) * tap_stride +
                                      c * channel_stride);
            }
    cl_mem buffer = cl_table(builder, table, words * sizeof *table);
    free(table);
    return buffer;
}

bool cl_conv_tiles(const struct kiln_step_conv *s)
{
    return s->conv.groups == 1 && s->kh <= CL_CONV_MAX_SIDE && s->kw <= CL_CONV_MAX_SIDE;
}

int64_t cl_patch_limit(const kiln_device_state *device, int64_t most)
{
    int64_t limit = device->caps.local_memory_bytes - CL_PATCH_SLACK_BYTES;
    return limit < most ? limit : most;
}
