/* Attention and its gradient. */
#include "backends/opencl/opencl.h"

#include <stdio.h>

enum { PLAIN, TILE, LOCAL, ENGINE };
enum { BLOCK = 14, LANES = 32 };                           /* of attention_tile.cl */
enum { SIDE = 64, MAX_PARTS = 4, LOCAL_BYTES = 28 << 10 }; /* of attention_local.cl */

static void operand(struct cl_builder *builder, const struct kiln_place *place,
                    const int64_t stride[3])
{
    cl_arg_place(builder, place);
    for (int i = 0; i < 3; i++)
        cl_arg_long(builder, stride[i]);
}

static void inputs(struct cl_builder *builder, const struct kiln_step_attention *s)
{
    operand(builder, &s->q, s->q_stride);
    operand(builder, &s->k, s->k_stride);
    operand(builder, &s->v, s->v_stride);
}

static void sizes(struct cl_builder *builder, const struct kiln_step_attention *s)
{
    cl_arg_int(builder, s->n_q);
    cl_arg_int(builder, s->n_k);
    cl_arg_int(builder, s->width);
    cl_arg_int(builder, s->v_width);
    cl_arg_float(builder, s->scale);
}

static void gradient_operands(struct cl_builder *builder, const struct kiln_step_attention *s)
{
    inputs(builder, s);
    operand(builder, &s->d_out, s->d_out_stride);
    cl_arg_place(builder, &s->out);
    cl_arg_place(builder, &s->log_sum_exp);
    sizes(builder, s);
}

static void prepare_plain(struct cl_builder *builder, const struct kiln_step_attention *s)
{
    cl_begin(builder, "attention_plain.cl", "", "attention_plain");
    inputs(builder, s);
    cl_arg_place(builder, &s->out);
    cl_arg_place(builder, &s->log_sum_exp);
    sizes(builder, s);
    cl_end_items(builder, s->batch * s->n_q, s->n_k * (4 * s->width + 2 * s->v_width));
}

static void prepare_plain_grad(struct cl_builder *builder, const struct kiln_step_attention *s)
{
    int64_t cost = 6 * (s->width + s->v_width);
    cl_begin(builder, "attention_plain.cl", "", "attention_grad_q_plain");
    gradient_operands(builder, s);
    cl_arg_place(builder, &s->d_q);
    cl_end_items(builder, s->batch * s->n_q, s->n_k * cost);
    cl_begin(builder, "attention_plain.cl", "", "attention_grad_kv_plain");
    gradient_operands(builder, s);
    cl_arg_place(builder, &s->d_k);
    cl_arg_place(builder, &s->d_v);
    cl_end_items(builder, s->batch * s->n_k, s->n_q * cost);
}

/* --- tiles of a processor -------------------------------------------------------- */

static int64_t divide_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* Scratch: operands packed in blocks of rows, and delta; offsets in bytes. */
struct packing {
    int64_t k, v, q, d_out, delta, bytes;
};

static int64_t packed_bytes(const struct kiln_step_attention *s, int64_t rows, int64_t columns)
{
    return s->batch * divide_up(rows, BLOCK) * BLOCK * columns * 4;
}

static struct packing packing_of(const struct kiln_step_attention *s, bool gradient)
{
    struct packing p = {.k = 0};
    p.v = p.k + packed_bytes(s, s->n_k, s->width);
    p.bytes = p.v + packed_bytes(s, s->n_k, s->v_width);
    if (!gradient)
        return p;
    p.q = p.bytes;
    p.d_out = p.q + packed_bytes(s, s->n_q, s->width);
    p.delta = p.d_out + packed_bytes(s, s->n_q, s->v_width);
    p.bytes = p.delta + s->batch * s->n_q * 4;
    return p;
}

/* Lanes of both sides' widths, and of a block of scores. */
static int64_t local_bytes(const struct kiln_step_attention *s, bool gradient)
{
    return (gradient ? 2 * (s->width + s->v_width) + BLOCK : s->width + s->v_width) * LANES * 4;
}

static void pack(struct cl_builder *builder, const struct kiln_step_attention *s,
                 const struct kiln_place *place, const int64_t stride[3], int64_t scratch,
                 int64_t rows, int64_t columns)
{
    cl_begin(builder, "attention_tile.cl", "", "attention_pack");
    operand(builder, place, stride);
    cl_arg_scratch(builder, scratch);
    cl_arg_int(builder, rows);
    cl_arg_int(builder, columns);
    cl_end_groups(builder, divide_up(rows, BLOCK), s->batch, 1);
}

/* The element offset of a part of scratch, whose buffer is an argument already. */
static void part(struct cl_builder *builder, int64_t scratch)
{
    cl_arg_long(builder, (builder->step->scratch.offset + scratch) / 4);
}

static void prepare_tile(struct cl_builder *builder, const struct kiln_step_attention *s)
{
    struct packing p = packing_of(s, false);
    pack(builder, s, &s->k, s->k_stride, p.k, s->n_k, s->width);
    pack(builder, s, &s->v, s->v_stride, p.v, s->n_k, s->v_width);
    cl_begin(builder, "attention_tile.cl", "", "attention_tile");
    operand(builder, &s->q, s->q_stride);
    cl_arg_scratch(builder, p.k);
    part(builder, p.v);
    cl_arg_place(builder, &s->out);
    cl_arg_place(builder, &s->log_sum_exp);
    sizes(builder, s);
    cl_arg_local(builder, (size_t)local_bytes(s, false));
    cl_end_groups(builder, divide_up(s->n_q, LANES), s->batch, 1);
}

static void delta(struct cl_builder *builder, const struct kiln_step_attention *s, int64_t scratch)
{
    cl_begin(builder, "attention_tile.cl", "", "attention_delta");
    operand(builder, &s->d_out, s->d_out_stride);
    cl_arg_place(builder, &s->out);
    cl_arg_scratch(builder, scratch);
    cl_arg_int(builder, s->n_q);
    cl_arg_int(builder, s->v_width);
    cl_end_groups(builder, s->batch, 1, 1);
}

static void prepare_tile_grad(struct cl_builder *builder, const struct kiln_step_attention *s)
{
    struct packing p = packing_of(s, true);
    pack(builder, s, &s->k, s->k_stride, p.k, s->n_k, s->width);
    pack(builder, s, &s->v, s->v_stride, p.v, s->n_k, s->v_width);
    pack(builder, s, &s->q, s->q_stride, p.q, s->n_q, s->width);
    pack(builder, s, &s->d_out, s->d_out_stride, p.d_out, s->n_q, s->v_width);
    delta(builder, s, p.delta);

    cl_begin(builder, "attention_tile.cl", "", "attention_grad_q_tile");
    operand(builder, &s->q, s->q_stride);
    operand(builder, &s->d_out, s->d_out_stride);
    cl_arg_place(builder, &s->log_sum_exp);
    cl_arg_scratch(builder, p.k);
    part(builder, p.v);
    part(builder, p.delta);
    cl_arg_place(builder, &s->d_q);
    sizes(builder, s);
    cl_arg_local(builder, (size_t)local_bytes(s, true));
    cl_end_groups(builder, divide_up(s->n_q, LANES), s->batch, 1);

    cl_begin(builder, "attention_tile.cl", "", "attention_grad_kv_tile");
    operand(builder, &s->k, s->k_stride);
    operand(builder, &s->v, s->v_stride);
    cl_arg_place(builder, &s->log_sum_exp);
    cl_arg_scratch(builder, p.q);
    part(builder, p.d_out);
    part(builder, p.delta);
    cl_arg_place(builder, &s->d_k);
    cl_arg_place(builder, &s->d_v);
    sizes(builder, s);
    cl_arg_local(builder, (size_t)local_bytes(s, true));
    cl_end_groups(builder, divide_up(s->n_k, LANES), s->batch, 1);
}

/* --- products of tiles in local memory: GPUs --------------------------------------- */

static int64_t parts(int64_t width)
{
    return divide_up(width, SIDE);
}

static bool fits_local(const kiln_device_state *device, const struct kiln_step_attention *s)
{
    return !device->cpu_like && !device->reference && device->caps.work_group_size >= 256 &&
           device->caps.local_memory_bytes >= LOCAL_BYTES && parts(s->width) <= MAX_PARTS &&
           parts(s->v_width) <= MAX_PARTS;
}

static void begin_local(struct cl_builder *builder, const struct kiln_step_attention *s,
                        const char *kernel)
{
    const bool engine = builder->step->algorithm == ENGINE;
    char options[160];
    snprintf(options, sizeof options, "-DWIDTH_PARTS=%d -DVALUE_PARTS=%d%s%s", (int)parts(s->width),
             (int)parts(s->v_width), engine ? " " : "", engine ? builder->device->engine : "");
    cl_begin(builder, "attention_local.cl", options, kernel);
}

static void end_local(struct cl_builder *builder, const struct kiln_step_attention *s, int64_t rows)
{
    const int64_t groups[3] = {divide_up(rows, SIDE), s->batch, 1};
    const size_t local[3] = {256, 1, 1};
    cl_end_local(builder, groups, local);
}

static void prepare_local(struct cl_builder *builder, const struct kiln_step_attention *s)
{
    begin_local(builder, s, "attention_local");
    inputs(builder, s);
    cl_arg_place(builder, &s->out);
    cl_arg_place(builder, &s->log_sum_exp);
    sizes(builder, s);
    end_local(builder, s, s->n_q);
}

static void local_gradient_operands(struct cl_builder *builder, const struct kiln_step_attention *s)
{
    inputs(builder, s);
    operand(builder, &s->d_out, s->d_out_stride);
    cl_arg_place(builder, &s->log_sum_exp);
    cl_arg_scratch(builder, 0);
    sizes(builder, s);
}

static void prepare_local_grad(struct cl_builder *builder, const struct kiln_step_attention *s)
{
    begin_local(builder, s, "attention_delta_local");
    operand(builder, &s->d_out, s->d_out_stride);
    cl_arg_place(builder, &s->out);
    cl_arg_scratch(builder, 0);
    cl_arg_int(builder, s->n_q);
    cl_arg_int(builder, s->v_width);
    cl_end_items(builder, s->batch * s->n_q, 4 * s->v_width);

    begin_local(builder, s, "attention_grad_q_local");
    local_gradient_operands(builder, s);
    cl_arg_place(builder, &s->d_q);
    end_local(builder, s, s->n_q);

    begin_local(builder, s, "attention_grad_kv_local");
    local_gradient_operands(builder, s);
    cl_arg_place(builder, &s->d_k);
    cl_arg_place(builder, &s->d_v);
    end_local(builder, s, s->n_k);
}

/* --- choice -------------------------------------------------------------------------- */

void cl_attention_prepare(struct cl_builder *builder, const struct kiln_step *step)
{
    if (step->algorithm == TILE)
        prepare_tile(builder, &step->as.attention);
    else if (step->algorithm == LOCAL || step->algorithm == ENGINE)
        prepare_local(builder, &step->as.attention);
    else
        prepare_plain(builder, &step->as.attention);
}

void cl_attention_grad_prepare(struct cl_builder *builder, const struct kiln_step *step)
{
    if (step->algorithm == TILE)
        prepare_tile_grad(builder, &step->as.attention);
    else if (step->algorithm == LOCAL || step->algorithm == ENGINE)
        prepare_local_grad(builder, &step->as.attention);
    else
        prepare_plain_grad(builder, &step->as.attention);
}

int cl_attention_candidates(kiln_device_state *device, const struct kiln_step *step,
                            struct kiln_candidate *candidates)
{
    enum { SMALL_WORK = 1 << 18 };
    const struct kiln_step_attention *s = &step->as.attention;
    bool gradient = step->kind == KILN_STEP_ATTENTION_GRAD;
    int n = 0;
    if (device->cpu_like && !device->reference &&
        local_bytes(s, gradient) <= device->caps.local_memory_bytes)
        candidates[n++] = (struct kiln_candidate){
            .algorithm = TILE, .name = "tile", .scratch_bytes = packing_of(s, gradient).bytes};
    const struct kiln_candidate local = {.algorithm = LOCAL,
                                         .name = "local64",
                                         .scratch_bytes = gradient ? s->batch * s->n_q * 4 : 0};
    const struct kiln_candidate engine = {
        .algorithm = ENGINE, .name = "engine64", .scratch_bytes = local.scratch_bytes};
    if (fits_local(device, s) && cl_engine_usable(device))
        candidates[n++] = engine;
    if (fits_local(device, s))
        candidates[n++] = local;
    if (n == 0 || s->batch * s->n_q * s->n_k * (s->width + s->v_width) < SMALL_WORK)
        candidates[n++] = (struct kiln_candidate){.algorithm = PLAIN, .name = "plain"};
    return n;
}
