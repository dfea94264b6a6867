/* Convolutions: the ways to do them, and the plain one's launch. */
#include "backends/opencl/conv.h"

enum { SHAPE_WORDS = 52, SMALL_WORK = 1 << 20 };

/* Block, outer and inner stride of each axis. */
static void layout_words(struct cl_builder *builder, enum kiln_layout layout,
                         struct kiln_shape shape, int32_t words[12])
{
    struct kiln_view view = kiln_layout_view(layout, &shape);
    for (int axis = 0; axis < 4; axis++) {
        const struct kiln_digit *digits = view.digits[axis];
        int n = view.n_digits[axis];
        int64_t word[3] = {1, 0, 0};
        if (n == 1)
            word[1] = digits[0].stride;
        if (n == 2) {
            word[0] = digits[1].extent;
            word[1] = digits[0].stride;
            word[2] = digits[1].stride;
        }
        if (n > 2 || word[1] > INT32_MAX)
            cl_refuse(builder, "the layout has no plain kernel");
        for (int i = 0; i < 3; i++)
            words[axis * 3 + i] = (int32_t)word[i];
    }
}

static cl_mem shape_table(struct cl_builder *builder, const struct kiln_step_conv *s)
{
    const struct kiln_conv *conv = &s->conv;
    int32_t words[SHAPE_WORDS] = {
        (int32_t)s->n,     (int32_t)s->c,   (int32_t)s->h,   (int32_t)s->w,
        (int32_t)s->o,     (int32_t)s->kh,  (int32_t)s->kw,  (int32_t)s->oh,
        (int32_t)s->ow,    conv->stride[0], conv->stride[1], conv->dilation[0],
        conv->dilation[1], conv->pad[0],    conv->pad[2],    conv->groups};
    layout_words(builder, s->x_layout, KILN_SHAPE(s->n, s->c, s->h, s->w), words + 16);
    layout_words(builder, s->weight_layout, KILN_SHAPE(s->o, s->c / conv->groups, s->kh, s->kw),
                 words + 28);
    layout_words(builder, s->y_layout, KILN_SHAPE(s->n, s->o, s->oh, s->ow), words + 40);
    return cl_table(builder, words, sizeof words);
}

static void prepare_plain(struct cl_builder *builder, const struct kiln_step *step)
{
    const struct kiln_step_conv *s = &step->as.conv;
    int64_t taps = s->kh * s->kw, items, cost;
    const char *kernel;
    if (step->kind == KILN_STEP_CONV) {
        kernel = "conv_plain";
        items = s->n * s->o * s->oh * s->ow;
        cost = s->c / s->conv.groups * taps;
    } else if (step->kind == KILN_STEP_CONV_INPUT_GRAD) {
        kernel = "conv_input_grad_plain";
        items = s->n * s->c * s->h * s->w;
        cost = s->o / s->conv.groups * taps;
    } else {
        kernel = "conv_weight_grad_plain";
        items = s->o * (s->c / s->conv.groups) * taps;
        cost = s->n * s->oh * s->ow;
    }
    cl_mem shape = shape_table(builder, s);
    cl_begin(builder, "conv_plain.cl", "", kernel);
    cl_arg_place(builder, &s->x);
    cl_arg_place(builder, &s->weight);
    cl_arg_place(builder, &s->y);
    cl_arg_buffer(builder, shape);
    cl_end_items(builder, items, cost * 8);
}

/* Winograd's of processors: for 3x3 of stride 1, or for 4x4 and 5x5 of stride 2. */
static int winograd_candidate(const kiln_device_state *device, const struct kiln_step *step,
                              struct kiln_candidate *candidate)
{
    if (step->kind == KILN_STEP_CONV_WEIGHT_GRAD)
        return cl_conv_winograd_weight_candidate(device, step, candidate);
    return step->as.conv.kh == 3 ? cl_conv_winograd_candidate(device, step, candidate)
                                 : cl_conv_winograd_phases_candidate(device, step, candidate);
}

/* Those of processors for blocked maps: Winograd's pays from about 32 channels on. */
static int tile_candidates(const kiln_device_state *device, const struct kiln_step *step,
                           struct kiln_candidate *candidates)
{
    enum { CHANNELS = 32 };
    typedef int candidate_fn(const kiln_device_state *, const struct kiln_step *,
                             struct kiln_candidate *);
    bool weights = step->kind == KILN_STEP_CONV_WEIGHT_GRAD;
    bool many = step->as.conv.c >= CHANNELS && step->as.conv.o >= CHANNELS;
    candidate_fn *direct = weights ? cl_conv_weight_candidate : cl_conv_tile_candidate;
    int n = (many ? winograd_candidate : direct)(device, step, candidates);
    return n + (many ? direct : winograd_candidate)(device, step, candidates + n);
}

int cl_conv_candidates(kiln_device_state *device, const struct kiln_step *step,
                       struct kiln_candidate *candidates)
{
    const struct kiln_step_conv *s = &step->as.conv;
    int n = 0;
    if (device->cpu_like && !device->reference)
        n += tile_candidates(device, step, candidates);
    /* the plain kernels, hundreds of times slower, where a trial costs nothing */
    int64_t work = s->n * s->o * s->oh * s->ow * (s->c / s->conv.groups) * s->kh * s->kw;
    bool dense = s->x_layout == KILN_LAYOUT_DENSE && s->y_layout == KILN_LAYOUT_DENSE;
    if (!device->cpu_like && !device->reference && dense) {
        n += cl_conv_local_candidates(device, step, candidates);
        n += cl_conv_winograd_local_candidate(device, step, candidates + n);
    }
    if (device->cpu_like && !device->reference && dense)
        n += cl_conv_pixels_candidate(device, step, candidates + n);
    if (dense && (n == 0 || work < SMALL_WORK))
        candidates[n++] = (struct kiln_candidate){
            .algorithm = CL_CONV_PLAIN, .name = "plain", .weight_layout = KILN_LAYOUT_DENSE};
    return n;
}

void cl_conv_prepare(struct cl_builder *builder, const struct kiln_step *step)
{
    if (step->algorithm == CL_CONV_TILE && step->kind == KILN_STEP_CONV_WEIGHT_GRAD)
        cl_conv_weight_prepare(builder, step);
    else if (step->algorithm == CL_CONV_TILE)
        cl_conv_tile_prepare(builder, step);
    else if (step->algorithm == CL_CONV_LOCAL || step->algorithm == CL_CONV_LOCAL_LARGE ||
             step->algorithm == CL_CONV_ENGINE || step->algorithm == CL_CONV_ENGINE_LARGE)
        cl_conv_local_prepare(builder, step);
    else if (step->algorithm == CL_CONV_WINOGRAD && step->kind == KILN_STEP_CONV_WEIGHT_GRAD)
        cl_conv_winograd_weight_prepare(builder, step);
    else if (step->algorithm == CL_CONV_WINOGRAD)
        cl_conv_winograd_prepare(builder, step);
    else if (step->algorithm == CL_CONV_WINOGRAD_LOCAL)
        cl_conv_winograd_local_prepare(builder, step);
    else if (step->algorithm == CL_CONV_WINOGRAD_PHASES)
        cl_conv_winograd_phases_prepare(builder, step);
    else if (step->algorithm == CL_CONV_PIXELS)
        cl_conv_pixels_prepare(builder, step);
    else
        prepare_plain(builder, step);
}
