/* Keys of steps. */
#include "core/device/step_key.h"

#include <stddef.h>
#include <string.h>
#include <xxhash.h>

static void append_numbers(struct kiln_text *key, const char *name, int n, const int64_t *numbers)
{
    kiln_text_append(key, " %s", name);
    for (int i = 0; i < n; i++)
        kiln_text_append(key, "%s%lld", i ? "," : "", (long long)numbers[i]);
}

#define NUMBERS(key, name, ...)                                                                    \
    append_numbers(key, name, (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)),           \
                   (const int64_t[]){__VA_ARGS__})

static void conv_key(const struct kiln_step *step, struct kiln_text *key)
{
    const struct kiln_step_conv *c = &step->as.conv;
    const struct kiln_conv *g = &c->conv;
    NUMBERS(key, "x", c->n, c->c, c->h, c->w);
    NUMBERS(key, "w", c->o, c->kh, c->kw);
    NUMBERS(key, "y", c->oh, c->ow);
    NUMBERS(key, "s", g->stride[0], g->stride[1]);
    NUMBERS(key, "d", g->dilation[0], g->dilation[1]);
    NUMBERS(key, "p", g->pad[0], g->pad[1], g->pad[2], g->pad[3]);
    NUMBERS(key, "g", g->groups);
    kiln_text_append(key, " %s %s", kiln_layout_name(c->x_layout), kiln_layout_name(c->y_layout));
}

static void matmul_key(const struct kiln_step_matmul *m, struct kiln_text *key)
{
    NUMBERS(key, "b", m->batch);
    NUMBERS(key, "m", m->m, m->n, m->k);
    append_numbers(key, "a", 3, m->a_stride);
    append_numbers(key, "b", 3, m->b_stride);
    append_numbers(key, "c", 3, m->c_stride);
}

static uint64_t mix(uint64_t hash, const void *data, size_t bytes)
{
    return XXH3_64bits_withSeed(data, bytes, hash);
}

static uint64_t loop_hash(const struct kiln_loop *loop)
{
    uint64_t hash = mix(0, loop->extent, (size_t)loop->n_dims * sizeof *loop->extent);
    hash = mix(hash, loop->reduced, (size_t)loop->n_dims * sizeof *loop->reduced);
    for (int i = 0; i < loop->n_accesses; i++) {
        const struct kiln_access *access = &loop->accesses[i];
        const int64_t kind[2] = {access->place.dtype, access->store};
        hash = mix(mix(hash, access->stride, (size_t)loop->n_dims * sizeof *access->stride), kind,
                   sizeof kind);
    }
    for (int i = 0; i < loop->n_instructions; i++) {
        const struct kiln_instruction *in = &loop->instructions[i];
        const int64_t fields[] = {in->op, in->section, in->integer, in->a,
                                  in->b,  in->c,       in->access};
        hash = mix(hash, fields, sizeof fields);
    }
    return hash;
}

/* Sizes of the remaining kinds. */
static uint64_t other_hash(const struct kiln_step *step)
{
    const struct kiln_step_window *w = &step->as.window;
    const struct kiln_step_resample *r = &step->as.resample;
    const struct kiln_step_attention *a = &step->as.attention;
    uint64_t hash = 0;
    switch (step->kind) {
    case KILN_STEP_WINDOW_ARGMAX:
    case KILN_STEP_WINDOW_GATHER:
    case KILN_STEP_WINDOW_SCATTER:
        return mix(mix(0, w, offsetof(struct kiln_step_window, window)), &w->window,
                   sizeof w->window);
    case KILN_STEP_RESAMPLE: {
        const int64_t sizes[] = {r->outer,
                                 r->inner,
                                 r->vertical.n_rows,
                                 r->vertical.n_columns,
                                 r->horizontal.n_rows,
                                 r->horizontal.n_columns,
                                 r->vertical.row[r->vertical.n_rows],
                                 r->horizontal.row[r->horizontal.n_rows]};
        return mix(0, sizes, sizeof sizes);
    }
    case KILN_STEP_GATHER_ROWS:
    case KILN_STEP_SCATTER_ADD_ROWS: {
        const int64_t sizes[] = {step->as.rows.n, step->as.rows.rows, step->as.rows.row_elements,
                                 step->as.rows.table.dtype};
        return mix(0, sizes, sizeof sizes);
    }
    case KILN_STEP_RNG: {
        const int64_t sizes[] = {step->as.rng.rng.kind, step->as.rng.samples,
                                 step->as.rng.per_sample};
        return mix(0, sizes, sizeof sizes);
    }
    case KILN_STEP_ATTENTION:
    case KILN_STEP_ATTENTION_GRAD: {
        const int64_t sizes[] = {a->batch, a->n_q, a->n_k, a->width, a->v_width};
        hash = mix(mix(mix(0, sizes, sizeof sizes), a->q_stride, sizeof a->q_stride), a->k_stride,
                   sizeof a->k_stride);
        return mix(mix(hash, a->v_stride, sizeof a->v_stride), a->d_out_stride,
                   sizeof a->d_out_stride);
    }
    case KILN_STEP_UPDATE: {
        const int64_t sizes[] = {step->as.update.update.kind, step->as.update.update.ema,
                                 step->as.update.count};
        return mix(0, sizes, sizeof sizes);
    }
    default:
        return 0;
    }
}

void kiln_step_key(const struct kiln_step *step, struct kiln_text *key)
{
    kiln_text_append(key, "%s", kiln_step_kind_name(step->kind));
    switch (step->kind) {
    case KILN_STEP_CONV:
    case KILN_STEP_CONV_INPUT_GRAD:
    case KILN_STEP_CONV_WEIGHT_GRAD:
        conv_key(step, key);
        break;
    case KILN_STEP_MATMUL:
        matmul_key(&step->as.matmul, key);
        break;
    case KILN_STEP_LOOP:
        kiln_text_append(key, " %016llx", (unsigned long long)loop_hash(&step->as.loop));
        break;
    default:
        kiln_text_append(key, " %016llx", (unsigned long long)other_hash(step));
    }
}
