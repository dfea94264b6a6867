/* The core's own options. */
#include "core/run/schema.h"

/* Larger than anything sensible; shown as "no upper limit". */
#define ANY          KILN_SCHEMA_NO_LIMIT
#define LARGEST_SEED 9007199254740991.0 /* 2^53 - 1: exact as a JSON number */

const struct kiln_option kiln_core_options[] = {
    {"model", "plugin", KILN_OPTION_STRING, "", 0, 0, NULL, "model plugin; kiln models lists them"},

    {"train", "batch_size", KILN_OPTION_INT, "128", 1, 1 << 20, NULL, "samples of a step"},
    {"train", "steps", KILN_OPTION_INT, "0", 0, ANY, NULL, "steps of the run; 0: by epochs"},
    {"train", "epochs", KILN_OPTION_INT, "10", 0, 1e6, NULL,
     "passes over the training data; 0: by steps"},
    {"train", "optimizer", KILN_OPTION_CHOICE, "adam", 0, 0, "sgd|adam|adamw|rmsprop",
     "as torch.optim's of the same name"},
    {"train", "learning_rate", KILN_OPTION_FLOAT, "1e-3", 0, ANY, NULL, "largest learning rate"},
    {"train", "betas", KILN_OPTION_FLOATS, "0.9, 0.999", 0, 1, NULL,
     "Adam: decay of the two moments"},
    {"train", "epsilon", KILN_OPTION_FLOAT, "1e-8", 0, 1, NULL,
     "Adam, RMSProp: added to the root in the divisor"},
    {"train", "momentum", KILN_OPTION_FLOAT, "0", 0, 1, NULL, "SGD: momentum"},
    {"train", "alpha", KILN_OPTION_FLOAT, "0.99", 0, 1, NULL, "RMSProp: decay of the square"},
    {"train", "weight_decay", KILN_OPTION_FLOAT, "0", 0, ANY, NULL,
     "AdamW: decoupled decay; others: factor of an L2 penalty"},
    {"train", "lr_schedule", KILN_OPTION_CHOICE, "constant", 0, 0, "constant|linear|cosine|step",
     "how the learning rate falls after the warm-up"},
    {"train", "lr_step_size", KILN_OPTION_INT, "10000", 1, ANY, NULL,
     "schedule step: steps between two drops"},
    {"train", "lr_gamma", KILN_OPTION_FLOAT, "0.1", 0, 1, NULL, "schedule step: factor of a drop"},
    {"train", "lr_min", KILN_OPTION_FLOAT, "0", 0, ANY, NULL,
     "schedules linear and cosine: learning rate at the end"},
    {"train", "warmup_steps", KILN_OPTION_INT, "0", 0, ANY, NULL,
     "steps over which the learning rate rises from 0"},
    {"train", "grad_clip", KILN_OPTION_FLOAT, "0", 0, ANY, NULL,
     "largest global gradient norm; 0: no clipping"},
    {"train", "ema_decay", KILN_OPTION_FLOAT, "0", 0, 1, NULL,
     "decay of the weights' moving average; 0: none is kept"},
    {"train", "ema_warmup", KILN_OPTION_BOOL, "false", 0, 0, NULL,
     "let the decay rise as (1 + step) / (10 + step) up to ema_decay"},
    {"train", "log_every", KILN_OPTION_INT, "100", 1, ANY, NULL, "steps between two logged ones"},
    {"train", "checkpoint_every", KILN_OPTION_INT, "1000", 0, ANY, NULL,
     "steps between checkpoints; 0: only at the end"},
    {"train", "sample_every", KILN_OPTION_INT, "1000", 0, ANY, NULL,
     "steps between sample grids; 0: none"},

    {"sample", "n", KILN_OPTION_INT, "64", 1, 1 << 24, NULL, "samples to draw"},
    {"sample", "sampler", KILN_OPTION_STRING, "", 0, 0, NULL, "empty: the model's first sampler"},
    {"sample", "steps", KILN_OPTION_INT, "0", 0, 1e6, NULL, "sampler's steps; 0: its default"},
    {"sample", "eta", KILN_OPTION_FLOAT, "0", 0, 1, NULL, "DDIM: 0 deterministic, 1 as DDPM"},
    {"sample", "guidance", KILN_OPTION_FLOAT, "1", 0, 1000, NULL,
     "classifier-free guidance scale; 1: none"},
    {"sample", "noise_scale", KILN_OPTION_FLOAT, "1", 0, 1000, NULL,
     "factor of the noise that stochastic samplers add"},
    {"sample", "seed", KILN_OPTION_INT, "0", 0, LARGEST_SEED, NULL, "seed of the samples"},

    {"study", "name", KILN_OPTION_STRING, "", 0, 0, NULL,
     "which of the model's studies kiln study runs; empty: its first"},

    {"run", "device", KILN_OPTION_STRING, "auto", 0, 0, NULL,
     "cpu, cpu:ref, opencl:0, a part of a device's name, or auto"},
    {"run", "seed", KILN_OPTION_INT, "0", 0, LARGEST_SEED, NULL,
     "seed of the weights, of the data's order and of training's noise"},
    {"run", "threads", KILN_OPTION_INT, "0", 0, 4096, NULL, "CPU threads; 0: all cores"},
    {"run", "winograd", KILN_OPTION_CHOICE, "auto", 0, 0, "auto|off",
     "auto: convolutions by Winograd's algorithm where it is faster; off: never (errors of 1e-7 "
     "instead of 1e-6)"},
    {"run", "storage", KILN_OPTION_CHOICE, "float", 0, 0, "float|half",
     "half: feature maps that are kept for the gradients or a skip connection are kept in 16 bits; "
     "less memory, arithmetic and gradients stay in 32"},
    {"run", "matmul_precision", KILN_OPTION_CHOICE, "highest", 0, 0, "highest|medium",
     "medium: products and convolutions may round what they multiply to bfloat16 (8 bits of "
     "precision) where the device has a matrix engine; sums stay in 32 bits"},
    {"run", "tune_seconds", KILN_OPTION_FLOAT, "30", 0, 86400, NULL,
     "time for measuring algorithms and layouts; 0: take the defaults"},
    {0}};
