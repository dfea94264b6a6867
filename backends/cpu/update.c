/* The optimiser step over a flat arena of parameters. */
#include "backends/cpu/cpu.h"

#include <math.h>

#define UPDATE_CHUNK 4096
/* torch.nn.utils.clip_grad_norm_ divides by norm + 1e-6 */
#define CLIP_EPSILON 1e-6f

struct update_pointers {
    float *parameter, *moment1, *moment2, *ema;
    const float *gradient, *hyper;
};

/* gradient scale: loss scale and clipping by the global norm */
static float gradient_scale(const float *hyper, float norm)
{
    float scale = 1.0f / hyper[KILN_HYPER_LOSS_SCALE];
    float clip = hyper[KILN_HYPER_CLIP_NORM];
    if (clip > 0.0f && norm + CLIP_EPSILON > clip)
        scale *= clip / (norm + CLIP_EPSILON);
    return scale;
}

/* 0 / 0 is 0, so that gaps stay zero also with an epsilon of 0. */
static float ratio(float a, float b)
{
    return b != 0.0f ? a / b : 0.0f;
}

static float updated(enum kiln_optimizer_kind kind, const struct update_pointers *u, int64_t i,
                     float g)
{
    const float *hyper = u->hyper;
    float p = u->parameter[i], rate = hyper[KILN_HYPER_LEARNING_RATE],
          decay = hyper[KILN_HYPER_WEIGHT_DECAY];
    float beta1 = hyper[KILN_HYPER_BETA1], beta2 = hyper[KILN_HYPER_BETA2],
          epsilon = hyper[KILN_HYPER_EPSILON];
    if (kind == KILN_OPTIMIZER_ADAMW)
        p -= rate * decay * p;
    else
        g += decay * p;
    switch (kind) {
    case KILN_OPTIMIZER_SGD:
        u->moment1[i] = beta1 * u->moment1[i] + g;
        return p - rate * u->moment1[i];
    case KILN_OPTIMIZER_RMSPROP:
        u->moment2[i] = beta2 * u->moment2[i] + (1.0f - beta2) * g * g;
        return p - rate * ratio(g, sqrtf(u->moment2[i]) + epsilon);
    default:
        u->moment1[i] = beta1 * u->moment1[i] + (1.0f - beta1) * g;
        u->moment2[i] = beta2 * u->moment2[i] + (1.0f - beta2) * g * g;
        return p - rate / hyper[KILN_HYPER_CORRECTION1] *
                       ratio(u->moment1[i],
                             sqrtf(u->moment2[i] / hyper[KILN_HYPER_CORRECTION2]) + epsilon);
    }
}

static void plain_update(const struct kiln_step_update *s, const struct update_pointers *u,
                         float scale, int threads)
{
    float clamp = u->hyper[KILN_HYPER_CLAMP], ema_rate = 1.0f - u->hyper[KILN_HYPER_EMA_DECAY];
#pragma omp parallel for schedule(dynamic, UPDATE_CHUNK) num_threads(threads)
    for (int64_t i = 0; i < s->count; i++) {
        float p = updated(s->update.kind, u, i, u->gradient[i] * scale);
        if (clamp > 0.0f)
            p = p < -clamp ? -clamp : p > clamp ? clamp : p;
        u->parameter[i] = p;
        if (s->update.ema)
            u->ema[i] += ema_rate * (p - u->ema[i]);
    }
}

static void fast_update(const struct kiln_step_update *s, const struct update_pointers *u,
                        float scale, const struct cpu_simd *simd, int threads)
{
    const float *hyper = u->hyper;
    float rate = hyper[KILN_HYPER_LEARNING_RATE], decay = hyper[KILN_HYPER_WEIGHT_DECAY];
    bool adam = s->update.kind == KILN_OPTIMIZER_ADAM || s->update.kind == KILN_OPTIMIZER_ADAMW;
    const struct cpu_update args = {
        .parameter = u->parameter,
        .moment1 = u->moment1,
        .moment2 = u->moment2,
        .ema = u->ema,
        .gradient = u->gradient,
        .scale = scale,
        .rate = adam ? rate / hyper[KILN_HYPER_CORRECTION1] : rate,
        .shrink = 1.0f - rate * decay,
        .correction = adam ? 1.0f / hyper[KILN_HYPER_CORRECTION2] : 1.0f,
        .beta1 = hyper[KILN_HYPER_BETA1],
        .beta2 = hyper[KILN_HYPER_BETA2],
        .epsilon = hyper[KILN_HYPER_EPSILON],
        .decay = decay,
        .clamp = hyper[KILN_HYPER_CLAMP] > 0.0f ? hyper[KILN_HYPER_CLAMP] : INFINITY,
        .ema_rate = 1.0f - hyper[KILN_HYPER_EMA_DECAY],
    };
    cpu_update_fn *update = simd->update[s->update.kind][s->update.ema];
#pragma omp parallel for schedule(dynamic, 4) num_threads(threads)
    for (int64_t first = 0; first < s->count; first += UPDATE_CHUNK)
        update(&args, first, cpu_min(UPDATE_CHUNK, s->count - first));
}

static enum kiln_status run(struct cpu_task *task, struct kiln_error *error)
{
    (void)error;
    const struct kiln_step_update *s = &task->step->as.update;
    const struct kiln_exec *exec = task->exec;
    const float *norm = cpu_at(exec, &s->norm);
    const struct update_pointers u = {cpu_at(exec, &s->parameter), cpu_at(exec, &s->moment1),
                                      cpu_at(exec, &s->moment2),   cpu_at(exec, &s->ema),
                                      cpu_at(exec, &s->gradient),  cpu_at(exec, &s->hyper)};
    if (norm[1] == 0.0f)
        return KILN_OK;
    float scale = gradient_scale(u.hyper, norm[0]);
    if (task->device->reference)
        plain_update(s, &u, scale, task->threads);
    else
        fast_update(s, &u, scale, task->device->simd, task->threads);
    return KILN_OK;
}

static enum kiln_status prepare(struct cpu_task *task, struct kiln_error *error)
{
    (void)error;
    task->run = run;
    task->threads = cpu_threads(task->device, 16 * task->step->as.update.count);
    return KILN_OK;
}

CPU_KIND(cpu_update_kind, {CPU_PLAIN, "plain", NULL, prepare});
