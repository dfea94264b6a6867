/*
 * oneDNN 2.x behind the table of onednn.h; no other file calls it.
 *
 * Activations have the layout that the plan chose, never oneDNN's own choice.
 * A primitive whose implementation name begins with "ref" counts as absent.
 */
#include "backends/cpu/onednn.h"

#include <dnnl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCRATCH_ALIGNMENT 64

struct onednn_context {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_attr_t attributes; /* scratchpad given by the caller */
};

struct onednn_conv {
    struct onednn_context *context;
    dnnl_primitive_t primitive,
        repack; /* repack: NULL, or weights before (or after, for their gradient) */
    bool repack_after;
    dnnl_memory_t x, weight, y, scratch, packed;
    dnnl_exec_arg_t args[4], repack_args[2];
};

/* A convolution's primitive and the weights' form in it. */
struct description {
    dnnl_primitive_desc_t primitive;
    dnnl_memory_desc_t x, weight, y;
    int64_t scratch_bytes;
};

static const char *version(void)
{
    static char text[64];
    const dnnl_version_t *v = dnnl_version();
    snprintf(text, sizeof text, "oneDNN %d.%d.%d", v->major, v->minor, v->patch);
    return text;
}

static bool wide(void)
{
    return dnnl_get_effective_cpu_isa() >= dnnl_cpu_isa_avx512_core;
}

static void context_close(struct onednn_context *context)
{
    if (!context)
        return;
    dnnl_primitive_attr_destroy(context->attributes);
    dnnl_stream_destroy(context->stream);
    dnnl_engine_destroy(context->engine);
    free(context);
}

static struct onednn_context *context_open(void)
{
    struct onednn_context *context = calloc(1, sizeof *context);
    if (context && dnnl_engine_create(&context->engine, dnnl_cpu, 0) == dnnl_success &&
        dnnl_stream_create(&context->stream, context->engine, dnnl_stream_default_flags) ==
            dnnl_success &&
        dnnl_primitive_attr_create(&context->attributes) == dnnl_success &&
        dnnl_primitive_attr_set_scratchpad_mode(context->attributes, dnnl_scratchpad_mode_user) ==
            dnnl_success)
        return context;
    context_close(context);
    return NULL;
}

static bool sgemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
                  const float *a, int64_t lda, const float *b, int64_t ldb, float *c, int64_t ldc,
                  bool add)
{
    return dnnl_sgemm(transpose_a ? 'T' : 'N', transpose_b ? 'T' : 'N', m, n, k, 1.0f, a, lda, b,
                      ldb, add ? 1.0f : 0.0f, c, ldc) == dnnl_success;
}

/* --- layouts --------------------------------------------------------------- */

static dnnl_format_tag_t feature_tag(enum kiln_layout layout)
{
    switch (layout) {
    case KILN_LAYOUT_NHWC:
        return dnnl_nhwc;
    case KILN_LAYOUT_NCHW8C:
        return dnnl_nChw8c;
    case KILN_LAYOUT_NCHW16C:
        return dnnl_nChw16c;
    default:
        return dnnl_nchw;
    }
}

/* One channel lies the same in nchw and nhwc; oneDNN has code only where both
 * sides are called the same. */
static dnnl_format_tag_t edge_tag(enum kiln_layout layout, int64_t channels, enum kiln_layout other)
{
    return feature_tag(
        layout == KILN_LAYOUT_DENSE && channels == 1 && other == KILN_LAYOUT_NHWC ? other : layout);
}

struct weight_form {
    enum kiln_layout layout;
    dnnl_format_tag_t tag;
    int block_o, block_i;
};

static const struct weight_form weight_forms[] = {
    {KILN_LAYOUT_DENSE, dnnl_oihw, 1, 1},
    {KILN_LAYOUT_NHWC, dnnl_ohwi, 1, 1},
    {KILN_LAYOUT_OIHW8I8O, dnnl_OIhw8i8o, 8, 8},
    {KILN_LAYOUT_OIHW8O8I, dnnl_OIhw8o8i, 8, 8},
    {KILN_LAYOUT_OIHW16I16O, dnnl_OIhw16i16o, 16, 16},
    {KILN_LAYOUT_OIHW16O16I, dnnl_OIhw16o16i, 16, 16},
    {KILN_LAYOUT_OHWI16O, dnnl_Ohwi16o, 16, 1},
    {KILN_LAYOUT_OHWI32O, dnnl_Ohwi32o, 32, 1},
    {KILN_LAYOUT_OHWI64O, dnnl_Ohwi64o, 64, 1},
    {KILN_LAYOUT_HWIO, dnnl_hwio, 1, 1},
};

#define N_WEIGHT_FORMS (int)(sizeof weight_forms / sizeof weight_forms[0])

/* The stored form of weights, without padding; false if the blocks do not fit. */
static bool stored_weights(const struct kiln_step_conv *s, enum kiln_layout layout,
                           dnnl_memory_desc_t *md)
{
    const dnnl_dims_t dims = {s->o, s->c, s->kh, s->kw};
    for (int i = 0; i < N_WEIGHT_FORMS; i++)
        if (weight_forms[i].layout == layout)
            return s->o % weight_forms[i].block_o == 0 && s->c % weight_forms[i].block_i == 0 &&
                   dnnl_memory_desc_init_by_tag(md, 4, dims, dnnl_f32, weight_forms[i].tag) ==
                       dnnl_success;
    return false;
}

/* The layout that equals a form chosen by oneDNN, or -1. */
static int layout_of(const struct kiln_step_conv *s, const dnnl_memory_desc_t *chosen)
{
    for (int i = 0; i < N_WEIGHT_FORMS; i++) {
        dnnl_memory_desc_t md;
        if (stored_weights(s, weight_forms[i].layout, &md) && dnnl_memory_desc_equal(&md, chosen))
            return (int)weight_forms[i].layout;
    }
    return -1;
}

/* --- convolutions ---------------------------------------------------------- */

/* Describes the primitive of one direction; weights as in *w. */
static dnnl_status_t describe_direction(const struct onednn_context *context,
                                        const struct kiln_step *step, dnnl_alg_kind_t algorithm,
                                        const dnnl_memory_desc_t *x, const dnnl_memory_desc_t *w,
                                        const dnnl_memory_desc_t *y, dnnl_primitive_desc_t hint,
                                        dnnl_primitive_desc_t *result)
{
    const struct kiln_conv *conv = &step->as.conv.conv;
    const dnnl_dims_t stride = {conv->stride[0], conv->stride[1]};
    const dnnl_dims_t dilation = {conv->dilation[0] - 1, conv->dilation[1] - 1};
    const dnnl_dims_t before = {conv->pad[0], conv->pad[2]}, after = {conv->pad[1], conv->pad[3]};
    dnnl_convolution_desc_t desc;
    dnnl_status_t status;
    if (step->kind == KILN_STEP_CONV_INPUT_GRAD && hint)
        status = dnnl_dilated_convolution_backward_data_desc_init(&desc, algorithm, x, w, y, stride,
                                                                  dilation, before, after);
    else if (step->kind == KILN_STEP_CONV_WEIGHT_GRAD && hint)
        status = dnnl_dilated_convolution_backward_weights_desc_init(
            &desc, algorithm, x, w, NULL, y, stride, dilation, before, after);
    else
        status =
            dnnl_dilated_convolution_forward_desc_init(&desc, dnnl_forward_training, algorithm, x,
                                                       w, NULL, y, stride, dilation, before, after);
    return status != dnnl_success ? status
                                  : dnnl_primitive_desc_create(result, &desc, context->attributes,
                                                               context->engine, hint);
}

static const char *implementation_name(const_dnnl_primitive_desc_t primitive)
{
    const char *name = "ref";
    dnnl_primitive_desc_query(primitive, dnnl_query_impl_info_str, 0, &name);
    return name;
}

static bool is_reference(const_dnnl_primitive_desc_t primitive)
{
    return strncmp(implementation_name(primitive), "ref", 3) == 0;
}

/* Finds the primitive for the step. weight_layout < 0: the weights' form is
 * oneDNN's choice. The caller destroys d->primitive. */
static bool describe(const struct onednn_context *context, const struct kiln_step *step,
                     bool winograd, int weight_layout, struct description *d)
{
    const struct kiln_step_conv *s = &step->as.conv;
    const dnnl_dims_t x_dims = {s->n, s->c, s->h, s->w}, w_dims = {s->o, s->c, s->kh, s->kw};
    const dnnl_dims_t y_dims = {s->n, s->o, s->oh, s->ow};
    dnnl_alg_kind_t algorithm = winograd ? dnnl_convolution_winograd : dnnl_convolution_direct;
    dnnl_primitive_desc_t hint = NULL;
    dnnl_memory_desc_t any_x, any_w, any_y;
    *d = (struct description){NULL};
    if (s->conv.groups != 1 ||
        dnnl_memory_desc_init_by_tag(&d->x, 4, x_dims, dnnl_f32,
                                     edge_tag(s->x_layout, s->c, s->y_layout)) ||
        dnnl_memory_desc_init_by_tag(&d->y, 4, y_dims, dnnl_f32,
                                     edge_tag(s->y_layout, s->o, s->x_layout)) ||
        dnnl_memory_desc_init_by_tag(&any_x, 4, x_dims, dnnl_f32, dnnl_format_tag_any) ||
        dnnl_memory_desc_init_by_tag(&any_y, 4, y_dims, dnnl_f32, dnnl_format_tag_any) ||
        dnnl_memory_desc_init_by_tag(&any_w, 4, w_dims, dnnl_f32, dnnl_format_tag_any))
        return false;
    d->weight = any_w;
    if (weight_layout >= 0 && !stored_weights(s, (enum kiln_layout)weight_layout, &d->weight))
        return false;
    if (step->kind != KILN_STEP_CONV && describe_direction(context, step, algorithm, &any_x, &any_w,
                                                           &any_y, NULL, &hint) != dnnl_success)
        return false;
    dnnl_status_t status =
        describe_direction(context, step, algorithm, &d->x, &d->weight, &d->y, hint, &d->primitive);
    dnnl_primitive_desc_destroy(hint);
    if (status != dnnl_success)
        return false;
    if (is_reference(d->primitive)) {
        dnnl_primitive_desc_destroy(d->primitive);
        return false;
    }
    d->weight = *dnnl_primitive_desc_query_md(d->primitive,
                                              step->kind == KILN_STEP_CONV_WEIGHT_GRAD
                                                  ? dnnl_query_diff_weights_md
                                                  : dnnl_query_weights_md,
                                              0);
    const dnnl_memory_desc_t *scratch =
        dnnl_primitive_desc_query_md(d->primitive, dnnl_query_scratchpad_md, 0);
    d->scratch_bytes = scratch ? (int64_t)dnnl_memory_desc_get_size(scratch) : 0;
    return true;
}

static int64_t aligned(int64_t bytes)
{
    return (bytes + SCRATCH_ALIGNMENT - 1) / SCRATCH_ALIGNMENT * SCRATCH_ALIGNMENT;
}

static bool conv_query(struct onednn_context *context, const struct kiln_step *step,
                       enum onednn_way way, struct kiln_candidate *candidate)
{
    const struct kiln_step_conv *s = &step->as.conv;
    struct description d;
    if (!describe(context, step, way == ONEDNN_WINOGRAD, -1, &d))
        return false;
    dnnl_primitive_desc_destroy(d.primitive);
    int layout = layout_of(s, &d.weight);
    candidate->scratch_bytes = aligned(d.scratch_bytes);
    if (way != ONEDNN_REPACK) {
        candidate->weight_layout = (enum kiln_layout)layout;
        return layout >= 0;
    }
    bool blocked = s->o % 16 == 0 && s->c % 16 == 0 && s->x_layout != KILN_LAYOUT_DENSE;
    candidate->weight_layout = blocked ? KILN_LAYOUT_OIHW16I16O : KILN_LAYOUT_DENSE;
    candidate->scratch_bytes += aligned((int64_t)dnnl_memory_desc_get_size(&d.weight));
    return layout < 0;
}

static void conv_destroy(void *data)
{
    struct onednn_conv *conv = data;
    if (!conv)
        return;
    dnnl_primitive_destroy(conv->primitive);
    dnnl_primitive_destroy(conv->repack);
    dnnl_memory_destroy(conv->x);
    dnnl_memory_destroy(conv->weight);
    dnnl_memory_destroy(conv->y);
    dnnl_memory_destroy(conv->scratch);
    dnnl_memory_destroy(conv->packed);
    free(conv);
}

/* The copy between stored and private weights. */
static bool make_repack(struct onednn_conv *conv, const struct kiln_step *step,
                        const struct description *d, void *weight, char *packed)
{
    dnnl_engine_t engine = conv->context->engine;
    dnnl_memory_desc_t stored;
    dnnl_primitive_desc_t desc;
    conv->repack_after = step->kind == KILN_STEP_CONV_WEIGHT_GRAD;
    if (!stored_weights(&step->as.conv, step->as.conv.weight_layout, &stored) ||
        dnnl_memory_create(&conv->weight, &stored, engine, weight) ||
        dnnl_memory_create(&conv->packed, &d->weight, engine, packed))
        return false;
    const dnnl_memory_desc_t *from = conv->repack_after ? &d->weight : &stored;
    const dnnl_memory_desc_t *to = conv->repack_after ? &stored : &d->weight;
    if (dnnl_reorder_primitive_desc_create(&desc, from, engine, to, engine, NULL))
        return false;
    dnnl_status_t status = dnnl_primitive_create(&conv->repack, desc);
    dnnl_primitive_desc_destroy(desc);
    conv->repack_args[0] =
        (dnnl_exec_arg_t){DNNL_ARG_FROM, conv->repack_after ? conv->packed : conv->weight};
    conv->repack_args[1] =
        (dnnl_exec_arg_t){DNNL_ARG_TO, conv->repack_after ? conv->weight : conv->packed};
    return status == dnnl_success;
}

static bool make_conv(struct onednn_conv *conv, const struct kiln_step *step,
                      const struct description *d, void *x, void *weight, void *y, void *scratch)
{
    static const int names[3][3] = {
        {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST},
        {DNNL_ARG_DIFF_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_DST},
        {DNNL_ARG_SRC, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_DST},
    };
    const int *name = names[step->kind - KILN_STEP_CONV];
    dnnl_engine_t engine = conv->context->engine;
    const dnnl_memory_desc_t *scratch_md =
        dnnl_primitive_desc_query_md(d->primitive, dnnl_query_scratchpad_md, 0);
    if (!conv->packed && dnnl_memory_create(&conv->weight, &d->weight, engine, weight))
        return false;
    if (dnnl_memory_create(&conv->x, &d->x, engine, x) ||
        dnnl_memory_create(&conv->y, &d->y, engine, y) ||
        dnnl_memory_create(&conv->scratch, scratch_md, engine, scratch) ||
        dnnl_primitive_create(&conv->primitive, d->primitive))
        return false;
    conv->args[0] = (dnnl_exec_arg_t){name[0], conv->x};
    conv->args[1] = (dnnl_exec_arg_t){name[1], conv->packed ? conv->packed : conv->weight};
    conv->args[2] = (dnnl_exec_arg_t){name[2], conv->y};
    conv->args[3] = (dnnl_exec_arg_t){DNNL_ARG_SCRATCHPAD, conv->scratch};
    return true;
}

static struct onednn_conv *conv_create(struct onednn_context *context, const struct kiln_step *step,
                                       enum onednn_way way, void *x, void *weight, void *y,
                                       void *scratch)
{
    struct onednn_conv *conv = calloc(1, sizeof *conv);
    struct description d;
    if (!conv)
        return NULL;
    conv->context = context;
    if (!describe(context, step, way == ONEDNN_WINOGRAD,
                  way == ONEDNN_REPACK ? -1 : (int)step->as.conv.weight_layout, &d)) {
        free(conv);
        return NULL;
    }
    bool made = (way != ONEDNN_REPACK ||
                 make_repack(conv, step, &d, weight, (char *)scratch + aligned(d.scratch_bytes))) &&
                make_conv(conv, step, &d, x, weight, y, scratch);
    dnnl_primitive_desc_destroy(d.primitive);
    if (made)
        return conv;
    conv_destroy(conv);
    return NULL;
}

static bool repack(struct onednn_conv *conv)
{
    return dnnl_primitive_execute(conv->repack, conv->context->stream, 2, conv->repack_args) ==
           dnnl_success;
}

static bool conv_run(struct onednn_conv *conv)
{
    if (conv->repack && !conv->repack_after && !repack(conv))
        return false;
    if (dnnl_primitive_execute(conv->primitive, conv->context->stream, 4, conv->args) !=
        dnnl_success)
        return false;
    return !conv->repack || !conv->repack_after || repack(conv);
}

static const char *conv_implementation(const struct onednn_conv *conv, bool of_repack)
{
    const_dnnl_primitive_desc_t description = NULL;
    if (of_repack && !conv->repack)
        return "";
    dnnl_primitive_get_primitive_desc(of_repack ? conv->repack : conv->primitive, &description);
    return implementation_name(description);
}

KILN_API const struct cpu_onednn *cpu_onednn_entry(void);

const struct cpu_onednn *cpu_onednn_entry(void)
{
    static const struct cpu_onednn table = {
        .version = version,
        .wide = wide,
        .open = context_open,
        .close = context_close,
        .sgemm = sgemm,
        .conv_query = conv_query,
        .conv_create = conv_create,
        .conv_run = conv_run,
        .implementation = conv_implementation,
        .conv_destroy = conv_destroy,
    };
    return &table;
}
