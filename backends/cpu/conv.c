/* Convolutions: layouts, and the ways to execute each direction. */
#include "backends/cpu/conv.h"

struct cpu_conv_axes cpu_conv_feature_axes(enum kiln_layout layout, int64_t c, int64_t h, int64_t w)
{
    if (layout == KILN_LAYOUT_NHWC)
        return (struct cpu_conv_axes){{1, 1}, {c * h * w, 1}, {0, 0}, w * c, c};
    int64_t block = layout == KILN_LAYOUT_NCHW16C ? 16 : layout == KILN_LAYOUT_NCHW8C ? 8 : 1;
    return (struct cpu_conv_axes){{1, block}, {c * h * w, block * h * w}, {0, 1}, w * block, block};
}

struct cpu_conv_axes cpu_conv_weight_axes(enum kiln_layout layout, int64_t o, int64_t i, int64_t kh,
                                          int64_t kw)
{
    int64_t taps = kh * kw;
    switch (layout) {
    case KILN_LAYOUT_NHWC:
        return (struct cpu_conv_axes){{1, 1}, {taps * i, 1}, {0, 0}, kw * i, i};
    case KILN_LAYOUT_HWIO:
        return (struct cpu_conv_axes){{1, 1}, {1, o}, {0, 0}, kw * i * o, i * o};
    case KILN_LAYOUT_OIHW8I8O:
        return (struct cpu_conv_axes){{8, 8}, {8 * i * taps, 64 * taps}, {1, 8}, kw * 64, 64};
    case KILN_LAYOUT_OIHW8O8I:
        return (struct cpu_conv_axes){{8, 8}, {8 * i * taps, 64 * taps}, {8, 1}, kw * 64, 64};
    case KILN_LAYOUT_OIHW16I16O:
        return (struct cpu_conv_axes){
            {16, 16}, {16 * i * taps, 256 * taps}, {1, 16}, kw * 256, 256};
    case KILN_LAYOUT_OIHW16O16I:
        return (struct cpu_conv_axes){
            {16, 16}, {16 * i * taps, 256 * taps}, {16, 1}, kw * 256, 256};
    case KILN_LAYOUT_OHWI16O:
    case KILN_LAYOUT_OHWI32O:
    case KILN_LAYOUT_OHWI64O: {
        int64_t block = layout == KILN_LAYOUT_OHWI16O   ? 16
                        : layout == KILN_LAYOUT_OHWI32O ? 32
                                                        : 64;
        return (struct cpu_conv_axes){
            {block, 1}, {block * taps * i, block}, {1, 0}, kw * i * block, i * block};
    }
    default:
        return (struct cpu_conv_axes){{1, 1}, {i * taps, taps}, {0, 0}, kw, 1};
    }
}

bool cpu_conv_is_dense(const struct kiln_step_conv *s)
{
    return s->x_layout == KILN_LAYOUT_DENSE && s->weight_layout == KILN_LAYOUT_DENSE &&
           s->y_layout == KILN_LAYOUT_DENSE;
}

int64_t cpu_conv_work(const struct kiln_step_conv *s)
{
    return s->n * s->o * (s->c / s->conv.groups) * s->kh * s->kw * s->oh * s->ow;
}

/* Plain code knows every layout; it asks for dense weights. */
static bool plain_accepts(kiln_device_state *device, const struct kiln_step *step,
                          struct kiln_candidate *candidate)
{
    (void)device;
    const struct kiln_step_conv *s = &step->as.conv;
    candidate->weight_layout = KILN_LAYOUT_DENSE;
    return s->x_layout == KILN_LAYOUT_DENSE && s->y_layout == KILN_LAYOUT_DENSE;
}

static enum onednn_way way_of(uint16_t algorithm)
{
    return algorithm == CPU_ONEDNN_WINOGRAD ? ONEDNN_WINOGRAD
           : algorithm == CPU_ONEDNN_REPACK ? ONEDNN_REPACK
                                            : ONEDNN_DIRECT;
}

static bool onednn_accepts(kiln_device_state *device, const struct kiln_step *step,
                           struct kiln_candidate *candidate)
{
    return device->onednn && device->onednn->conv_query(device->onednn_context, step,
                                                        way_of(candidate->algorithm), candidate);
}

/* Winograd's weight gradient pays from about 64 x 128 channels on. */
#define WINOGRAD_WEIGHT_GRAD_CHANNELS (64 * 128)

static bool few_channels(const struct kiln_step *step)
{
    return step->kind == KILN_STEP_CONV_WEIGHT_GRAD &&
           step->as.conv.c * step->as.conv.o < WINOGRAD_WEIGHT_GRAD_CHANNELS;
}

static bool winograd_first(kiln_device_state *device, const struct kiln_step *step,
                           struct kiln_candidate *candidate)
{
    candidate->winograd = true;
    return !few_channels(step) && onednn_accepts(device, step, candidate);
}

static bool winograd_second(kiln_device_state *device, const struct kiln_step *step,
                            struct kiln_candidate *candidate)
{
    candidate->winograd = true;
    return few_channels(step) && onednn_accepts(device, step, candidate);
}

/* The own one pays from about 32 channels on. */
#define OWN_WINOGRAD_CHANNELS 32

static bool own_few_channels(const struct kiln_step *step)
{
    return cpu_min(step->as.conv.c, step->as.conv.o) < OWN_WINOGRAD_CHANNELS;
}

static bool own_accepts(kiln_device_state *device, const struct kiln_step *step,
                        struct kiln_candidate *candidate)
{
    return step->kind == KILN_STEP_CONV_WEIGHT_GRAD
               ? cpu_conv_winograd_weight_accepts(device, step, candidate)
               : cpu_conv_winograd_accepts(device, step, candidate);
}

static bool own_first(kiln_device_state *device, const struct kiln_step *step,
                      struct kiln_candidate *candidate)
{
    return !own_few_channels(step) && own_accepts(device, step, candidate);
}

static bool own_second(kiln_device_state *device, const struct kiln_step *step,
                       struct kiln_candidate *candidate)
{
    return own_few_channels(step) && own_accepts(device, step, candidate);
}

static enum kiln_status own_prepare(struct cpu_task *task, struct kiln_error *error)
{
    return task->step->kind == KILN_STEP_CONV_WEIGHT_GRAD
               ? cpu_conv_winograd_weight_prepare(task, error)
               : cpu_conv_winograd_prepare(task, error);
}

static enum kiln_status onednn_run(struct cpu_task *task, struct kiln_error *error)
{
    if (task->device->onednn->conv_run(task->data))
        return KILN_OK;
    return kiln_fail(error, KILN_MACHINE, "cpu: step %s: oneDNN failed", task->step->label);
}

static enum kiln_status onednn_prepare(struct cpu_task *task, struct kiln_error *error)
{
    const struct kiln_step *step = task->step;
    const struct cpu_onednn *onednn = task->device->onednn;
    const struct kiln_step_conv *s = &step->as.conv;
    if (onednn)
        task->data =
            onednn->conv_create(task->device->onednn_context, step, way_of(step->algorithm),
                                cpu_at(task->exec, &s->x), cpu_at(task->exec, &s->weight),
                                cpu_at(task->exec, &s->y), cpu_at(task->exec, &step->scratch));
    if (!task->data)
        return kiln_fail(error, KILN_MACHINE, "cpu: step %s: oneDNN has no such convolution",
                         step->label);
    task->release = onednn->conv_destroy;
    task->run = onednn_run;
    return KILN_OK;
}

#define CONV_ALGORITHMS                                                                            \
    {CPU_CONV_WINOGRAD, "own-winograd", own_first, own_prepare},                                   \
        {CPU_ONEDNN_WINOGRAD, "winograd", winograd_first, onednn_prepare},                         \
        {CPU_ONEDNN_DIRECT, "direct", onednn_accepts, onednn_prepare},                             \
        {CPU_CONV_EDGE, "edge", cpu_conv_edge_accepts, cpu_conv_edge_prepare},                     \
        {CPU_CONV_WINOGRAD, "own-winograd", own_second, own_prepare},                              \
        {CPU_ONEDNN_WINOGRAD, "winograd", winograd_second, onednn_prepare},                        \
        {CPU_ONEDNN_REPACK, "direct-repack", onednn_accepts, onednn_prepare},                      \
        {CPU_CONV_GEMM, "gemm", cpu_conv_gemm_accepts, cpu_conv_gemm_prepare},                     \
    {                                                                                              \
        CPU_PLAIN, "plain", plain_accepts, cpu_conv_plain_prepare                                  \
    }

CPU_KIND(cpu_conv_kind, CONV_ALGORITHMS);
CPU_KIND(cpu_conv_input_grad_kind, CONV_ALGORITHMS);
CPU_KIND(cpu_conv_weight_grad_kind, CONV_ALGORITHMS);
