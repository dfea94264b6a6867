/*
 * Dense convolutions by matrix products, for machines without oneDNN and for
 * groups: the patches of some pixels are laid out as a matrix of a few hundred
 * rows (a row is one tap of one channel), a block at a time.
 */
#include "backends/cpu/conv.h"

#include <omp.h>
#include <string.h>

#define BLOCK_ROWS   256
#define BLOCK_PIXELS 512
/* Rows of a weight gradient that a thread takes at a time. */
#define WEIGHT_ROWS 64

#define PATCH_FLOATS (BLOCK_ROWS * BLOCK_PIXELS)
#define THREAD_BYTES (PATCH_FLOATS * (int64_t)sizeof(float) + CPU_GEMM_BUFFER_BYTES)

struct lowered {
    const struct kiln_step_conv *s;
    const kiln_device_state *device;
    float *x, *weight, *y;
    int64_t group_c, group_o, rows, pixels; /* rows: group_c kh kw */
};

struct buffers {
    float *patches, *gemm;
};

static struct buffers buffers_of(const kiln_device_state *device)
{
    float *memory =
        (float *)(void *)(device->thread_memory + omp_get_thread_num() * device->thread_bytes);
    return (struct buffers){memory, memory + PATCH_FLOATS};
}

static struct lowered lowered_of(const struct cpu_task *task)
{
    const struct kiln_step_conv *s = &task->step->as.conv;
    int64_t group_c = s->c / s->conv.groups;
    return (struct lowered){.s = s,
                            .device = task->device,
                            .x = cpu_at(task->exec, &s->x),
                            .weight = cpu_at(task->exec, &s->weight),
                            .y = cpu_at(task->exec, &s->y),
                            .group_c = group_c,
                            .group_o = s->o / s->conv.groups,
                            .rows = group_c * s->kh * s->kw,
                            .pixels = s->oh * s->ow};
}

/* One row's elements of pixels first .. first + n - 1, between the row of a
 * patch matrix and the planes of an image: gathered, or added back. */
static void patch_row(const struct lowered *l, float *planes, int64_t row, int64_t first, int64_t n,
                      float *patch, bool add_back)
{
    const struct kiln_step_conv *s = l->s;
    int64_t kw = row % s->kw, kh = row / s->kw % s->kh;
    float *plane = planes + row / (s->kw * s->kh) * s->h * s->w;
    int64_t shift_h = kh * s->conv.dilation[0] - s->conv.pad[0],
            shift_w = kw * s->conv.dilation[1] - s->conv.pad[2];
    int64_t stride = s->conv.stride[1], from, to;
    cpu_conv_range(s->ow, s->w, stride, shift_w, &from, &to);
    for (int64_t at = 0; at < n;) {
        int64_t oh = (first + at) / s->ow, ow = (first + at) % s->ow,
                count = cpu_min(s->ow - ow, n - at);
        int64_t h = oh * s->conv.stride[0] + shift_h;
        int64_t low = cpu_min(cpu_max(from, ow), ow + count),
                high = cpu_max(cpu_min(to, ow + count), low);
        float *out = patch + at - ow;
        if (h < 0 || h >= s->h)
            low = high = ow + count;
        float *line = plane + h * s->w + shift_w;
        if (add_back) {
            for (int64_t j = low; j < high; j++)
                line[j * stride] += out[j];
        } else {
            for (int64_t j = ow; j < low; j++)
                out[j] = 0;
            for (int64_t j = low; j < high; j++)
                out[j] = line[j * stride];
            for (int64_t j = high; j < ow + count; j++)
                out[j] = 0;
        }
        at += count;
    }
}

/* patches [rows][n] of rows first_row .. and pixels first .. of image planes. */
static void gather(const struct lowered *l, float *planes, int64_t first_row, int64_t rows,
                   int64_t first, int64_t n, float *patches)
{
    for (int64_t r = 0; r < rows; r++)
        patch_row(l, planes, first_row + r, first, n, patches + r * n, false);
}

static float *image(const struct lowered *l, int64_t n, int64_t group)
{
    return l->x + (n * l->s->c + group * l->group_c) * l->s->h * l->s->w;
}

static float *output(const struct lowered *l, int64_t n, int64_t group)
{
    return l->y + (n * l->s->o + group * l->group_o) * l->pixels;
}

static float *weights(const struct lowered *l, int64_t group)
{
    return l->weight + group * l->group_o * l->rows;
}

/* y [o, pixels] = weight [o, rows] patches [rows, pixels] */
static void forward_part(const struct lowered *l, int64_t n, int64_t group, int64_t first)
{
    struct buffers b = buffers_of(l->device);
    int64_t pixels = cpu_min(BLOCK_PIXELS, l->pixels - first);
    for (int64_t row = 0; row < l->rows; row += BLOCK_ROWS) {
        int64_t rows = cpu_min(BLOCK_ROWS, l->rows - row);
        gather(l, image(l, n, group), row, rows, first, pixels, b.patches);
        const struct cpu_gemm gemm = {.m = l->group_o,
                                      .n = pixels,
                                      .k = rows,
                                      .a = weights(l, group) + row,
                                      .a_row = l->rows,
                                      .a_column = 1,
                                      .b = b.patches,
                                      .b_row = pixels,
                                      .b_column = 1,
                                      .c = output(l, n, group) + first,
                                      .ldc = l->pixels,
                                      .add = row > 0};
        l->device->simd->gemm(&gemm, b.gemm);
    }
}

/* patches [rows, pixels] = weight^T y, added into one image by one thread */
static void input_grad_part(const struct lowered *l, int64_t n, int64_t group)
{
    struct buffers b = buffers_of(l->device);
    float *planes = image(l, n, group);
    memset(planes, 0, (size_t)(l->group_c * l->s->h * l->s->w) * sizeof *planes);
    for (int64_t first = 0; first < l->pixels; first += BLOCK_PIXELS)
        for (int64_t row = 0; row < l->rows; row += BLOCK_ROWS) {
            int64_t rows = cpu_min(BLOCK_ROWS, l->rows - row),
                    pixels = cpu_min(BLOCK_PIXELS, l->pixels - first);
            const struct cpu_gemm gemm = {.m = rows,
                                          .n = pixels,
                                          .k = l->group_o,
                                          .a = weights(l, group) + row,
                                          .a_row = 1,
                                          .a_column = l->rows,
                                          .b = output(l, n, group) + first,
                                          .b_row = l->pixels,
                                          .b_column = 1,
                                          .c = b.patches,
                                          .ldc = pixels};
            l->device->simd->gemm(&gemm, b.gemm);
            for (int64_t r = 0; r < rows; r++)
                patch_row(l, planes, row + r, first, pixels, b.patches + r * pixels, true);
        }
}

/* Some columns of weight [o, rows] = sum of y patches^T over images in order */
static void weight_grad_part(const struct lowered *l, int64_t group, int64_t row)
{
    struct buffers b = buffers_of(l->device);
    int64_t rows = cpu_min(WEIGHT_ROWS, l->rows - row);
    for (int64_t n = 0; n < l->s->n; n++)
        for (int64_t first = 0; first < l->pixels; first += BLOCK_PIXELS) {
            int64_t pixels = cpu_min(BLOCK_PIXELS, l->pixels - first);
            gather(l, image(l, n, group), row, rows, first, pixels, b.patches);
            const struct cpu_gemm gemm = {.m = l->group_o,
                                          .n = rows,
                                          .k = pixels,
                                          .a = output(l, n, group) + first,
                                          .a_row = l->pixels,
                                          .a_column = 1,
                                          .b = b.patches,
                                          .b_row = 1,
                                          .b_column = pixels,
                                          .c = weights(l, group) + row,
                                          .ldc = l->rows,
                                          .add = n > 0 || first > 0};
            l->device->simd->gemm(&gemm, b.gemm);
        }
}

static enum kiln_status forward_run(struct cpu_task *task, struct kiln_error *error)
{
    (void)error;
    struct lowered l = lowered_of(task);
    int64_t groups = l.s->conv.groups, blocks = (l.pixels + BLOCK_PIXELS - 1) / BLOCK_PIXELS;
#pragma omp parallel for schedule(dynamic, 1) num_threads(task->threads)
    for (int64_t i = 0; i < l.s->n * groups * blocks; i++)
        forward_part(&l, i / (groups * blocks), i / blocks % groups, i % blocks * BLOCK_PIXELS);
    return KILN_OK;
}

static enum kiln_status input_grad_run(struct cpu_task *task, struct kiln_error *error)
{
    (void)error;
    struct lowered l = lowered_of(task);
    int64_t groups = l.s->conv.groups;
#pragma omp parallel for schedule(dynamic, 1) num_threads(task->threads)
    for (int64_t i = 0; i < l.s->n * groups; i++)
        input_grad_part(&l, i / groups, i % groups);
    return KILN_OK;
}

static enum kiln_status weight_grad_run(struct cpu_task *task, struct kiln_error *error)
{
    (void)error;
    struct lowered l = lowered_of(task);
    int64_t blocks = (l.rows + WEIGHT_ROWS - 1) / WEIGHT_ROWS;
#pragma omp parallel for schedule(dynamic, 1) num_threads(task->threads)
    for (int64_t i = 0; i < l.s->conv.groups * blocks; i++)
        weight_grad_part(&l, i / blocks, i % blocks * WEIGHT_ROWS);
    return KILN_OK;
}

/* Where oneDNN serves, it is faster, and one candidate more costs time. */
bool cpu_conv_gemm_accepts(kiln_device_state *device, const struct kiln_step *step,
                           struct kiln_candidate *candidate)
{
    const struct kiln_step_conv *s = &step->as.conv;
    candidate->weight_layout = KILN_LAYOUT_DENSE;
    return !device->reference && (!device->onednn || s->conv.groups > 1) &&
           s->x_layout == KILN_LAYOUT_DENSE && s->y_layout == KILN_LAYOUT_DENSE;
}

enum kiln_status cpu_conv_gemm_prepare(struct cpu_task *task, struct kiln_error *error)
{
    if (!cpu_reserve(task->device, THREAD_BYTES))
        return kiln_fail(error, KILN_MACHINE, "cpu: no memory for step %s", task->step->label);
    task->run = task->step->kind == KILN_STEP_CONV              ? forward_run
                : task->step->kind == KILN_STEP_CONV_INPUT_GRAD ? input_grad_run
                                                                : weight_grad_run;
    task->threads = cpu_threads(task->device, cpu_conv_work(&task->step->as.conv));
    return KILN_OK;
}
