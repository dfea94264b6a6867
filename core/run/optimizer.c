/* The optimiser of a run. */
#include "core/run/optimizer.h"

#include <math.h>
#include <string.h>

static enum kiln_optimizer_kind optimizer_kind(const char *name)
{
    static const char *const names[KILN_OPTIMIZER_COUNT] = {
        [KILN_OPTIMIZER_SGD] = "sgd",
        [KILN_OPTIMIZER_ADAM] = "adam",
        [KILN_OPTIMIZER_ADAMW] = "adamw",
        [KILN_OPTIMIZER_RMSPROP] = "rmsprop",
    };
    int kind = 0;
    while (kind < KILN_OPTIMIZER_COUNT - 1 && strcmp(names[kind], name))
        kind++;
    return (enum kiln_optimizer_kind)kind;
}

static enum kiln_schedule_kind schedule_kind(const char *name)
{
    static const char *const names[] = {
        [KILN_SCHEDULE_CONSTANT] = "constant",
        [KILN_SCHEDULE_COSINE] = "cosine",
        [KILN_SCHEDULE_STEP] = "step",
        [KILN_SCHEDULE_LINEAR] = "linear",
    };
    int kind = KILN_SCHEDULE_LINEAR;
    while (kind > 0 && strcmp(names[kind], name))
        kind--;
    return (enum kiln_schedule_kind)kind;
}

void kiln_optimizer_read(const kiln_config *config, int64_t total_steps, struct kiln_optimizer *out)
{
    double betas[2] = {0}; /* the config has checked that there are two */
    kiln_config_list(config, "train", "betas", 2, betas);
    *out = (struct kiln_optimizer){
        .update.kind = optimizer_kind(kiln_config_string(config, "train", "optimizer")),
        .schedule.kind = schedule_kind(kiln_config_string(config, "train", "lr_schedule")),
        .schedule.base = kiln_config_float(config, "train", "learning_rate"),
        .schedule.least = kiln_config_float(config, "train", "lr_min"),
        .schedule.warmup_steps = kiln_config_int(config, "train", "warmup_steps"),
        .schedule.total_steps = total_steps,
        .schedule.step_size = kiln_config_int(config, "train", "lr_step_size"),
        .schedule.gamma = kiln_config_float(config, "train", "lr_gamma"),
        .beta1 = betas[0],
        .beta2 = betas[1],
        .epsilon = kiln_config_float(config, "train", "epsilon"),
        .weight_decay = kiln_config_float(config, "train", "weight_decay"),
        .clip_norm = kiln_config_float(config, "train", "grad_clip"),
        .ema_decay = kiln_config_float(config, "train", "ema_decay"),
        .ema_warmup = kiln_config_bool(config, "train", "ema_warmup"),
    };
    out->update.ema = out->ema_decay > 0;
    if (out->update.kind == KILN_OPTIMIZER_SGD)
        out->beta1 = kiln_config_float(config, "train", "momentum");
    if (out->update.kind == KILN_OPTIMIZER_RMSPROP)
        out->beta2 = kiln_config_float(config, "train", "alpha");
}

void kiln_optimizer_hyper(const struct kiln_optimizer *optimizer, int64_t step, int64_t update,
                          double clamp, float hyper[KILN_HYPER_WORDS])
{
    double t = (double)update + 1;
    memset(hyper, 0, KILN_HYPER_WORDS * sizeof *hyper);
    hyper[KILN_HYPER_LEARNING_RATE] = (float)kiln_schedule_rate(&optimizer->schedule, step);
    hyper[KILN_HYPER_BETA1] = (float)optimizer->beta1;
    hyper[KILN_HYPER_BETA2] = (float)optimizer->beta2;
    hyper[KILN_HYPER_EPSILON] = (float)optimizer->epsilon;
    hyper[KILN_HYPER_WEIGHT_DECAY] = (float)optimizer->weight_decay;
    /* -expm1(t log beta) = 1 - beta^t without cancellation; beta 0 gives 1 */
    hyper[KILN_HYPER_CORRECTION1] = (float)-expm1(t * log(optimizer->beta1));
    hyper[KILN_HYPER_CORRECTION2] = (float)-expm1(t * log(optimizer->beta2));
    hyper[KILN_HYPER_CLIP_NORM] = (float)optimizer->clip_norm;
    hyper[KILN_HYPER_EMA_DECAY] =
        (float)kiln_ema_decay(optimizer->ema_decay, optimizer->ema_warmup, update);
    hyper[KILN_HYPER_CLAMP] = (float)clamp;
    hyper[KILN_HYPER_LOSS_SCALE] = 1;
}
