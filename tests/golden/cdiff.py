#!/usr/bin/env python3
"""Makes cdiff-*.safetensors. Versions: diffusers 0.42.1, torch 2.15.0. Never run by the tests.

    python3 tests/golden/cdiff.py        (in the folder of the project)
"""
import pathlib

import diffusers
import numpy as np
import torch

import philox
import training
from context_unet import ContextUnet

HERE = pathlib.Path(__file__).parent
CLASSES = 4
STREAM_TIMESTEP, STREAM_NOISE, STREAM_LABEL = 1, 2, 4


def column(values):
    return torch.from_numpy(values.astype(np.float32)).reshape(-1, 1, 1, 1)


def noisy(x, bar, t, step):
    """x_t and the noise in it."""
    noise = torch.from_numpy(philox.normal(tuple(x.shape), training.SEED, step, STREAM_NOISE))
    return column(np.sqrt(bar[t])) * x + column(np.sqrt(1 - bar[t])) * noise, noise


def dropped(label, dropout, step):
    drop = philox.uniform((len(label),), training.SEED, step, STREAM_LABEL) < np.float32(dropout)
    return torch.where(torch.from_numpy(drop), CLASSES, label)


def unet_loss(steps, dropout, concat):
    bar = np.cumprod(1 - np.linspace(1e-4, 0.02, steps))

    def loss(model, x, label, step):
        t = philox.integers((len(x),), steps, training.SEED, step, STREAM_TIMESTEP)
        x_t, noise = noisy(2 * x - 1, bar, t, step)
        label = dropped(label, dropout, step)
        if concat:
            planes = torch.nn.functional.one_hot(label, CLASSES + 1)[:, :-1, None, None].float()
            x_t = torch.cat([x_t, planes.expand(-1, -1, *x.shape[2:])], 1)
            out = model(x_t, torch.from_numpy(t)).sample
        else:
            out = model(x_t, torch.from_numpy(t), class_labels=label).sample
        return ((out - noise) ** 2).mean()
    return loss


TWO_LEVELS = {"down_block_types": ("DownBlock2D", "AttnDownBlock2D"), "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
              "layers_per_block": 1}


def unet(name, condition, channels, size, dropout=0.1, steps=1000, batch=4, zero_gradient=(), ema_decay=0, **keys):
    torch.manual_seed(1)
    lines = ["[model]", "plugin = cdiff", "[network]", f"condition = {condition}"]
    for key, value in keys.items():
        lines.append(f"{key} = {', '.join(map(str, value)) if isinstance(value, tuple) else value}")
    lines += ["[scheduler]", f"num_train_timesteps = {steps}", "[train]", f"label_dropout = {dropout}"]
    concat = condition == "concat"
    extra = {} if concat else {"num_class_embeds": CLASSES + 1}
    if condition == "adaptive_norm":
        extra["resnet_time_scale_shift"] = "scale_shift"
    model = diffusers.UNet2DModel(sample_size=size, in_channels=channels + CLASSES * concat, out_channels=channels, **keys,
                                  **extra)
    zero = [k for k in model.state_dict() if k.endswith("to_k.bias")]
    training.make(HERE / f"{name}.safetensors", "\n".join(lines) + "\n", model, unet_loss(steps, dropout, concat),
                  training.pictures(batch, channels, size, size), training.labels(batch, CLASSES), zero,
                  tolerance="1e-4", ema_decay=ema_decay, classes=CLASSES)


def context_loss(steps, dropout):
    bar = np.cumprod(1 - (1e-4 + (0.02 - 1e-4) * np.arange(steps + 1) / steps))

    def loss(model, x, label, step):
        t = 1 + philox.integers((len(x),), steps, training.SEED, step, STREAM_TIMESTEP)
        x_t, noise = noisy(x, bar, t, step)
        out = model(x_t, torch.from_numpy(t.astype(np.float32)) / steps, dropped(label, dropout, step))
        return ((out - noise) ** 2).mean()
    return loss


def context(name, n_feat, channels, batch, steps, dropout, seed):
    torch.manual_seed(seed)
    model = ContextUnet(channels, n_feat, CLASSES)
    config = f"[model]\nplugin = cdiff\n[network]\narch = context_unet\nn_feat = {n_feat}\n" \
        f"[scheduler]\nnum_train_timesteps = {steps}\n[train]\nlabel_dropout = {dropout}\n"
    # a bias before a norm of its own channel alone has no effect
    zero = [k for k in model.state_dict() if k.endswith(("conv1.0.bias", "conv2.0.bias"))]
    if n_feat == 8:
        zero.append("out.0.bias")
    training.make(HERE / f"{name}.safetensors", config, model, context_loss(steps, dropout),
                  training.pictures(batch, channels, 28, 28), training.labels(batch, CLASSES), zero, tolerance="1e-4",
                  classes=CLASSES)


if __name__ == "__main__":
    unet("cdiff-embedding", "embedding", 1, 8, **TWO_LEVELS, block_out_channels=(8, 16), norm_num_groups=4,
         dropout=0.3, attention_head_dim=8, ema_decay=0.9)
    unet("cdiff-adaptive-norm", "adaptive_norm", 3, 8, **TWO_LEVELS, block_out_channels=(16, 16), norm_num_groups=8,
         dropout=0.5, steps=100)
    unet("cdiff-concat", "concat", 1, 12, **TWO_LEVELS, block_out_channels=(12, 12), norm_num_groups=6, batch=3,
         dropout=0.2, attention_head_dim=6)
    context("cdiff-context", 8, 1, 3, 400, 0.3, seed=17)
    context("cdiff-context-colour", 16, 3, 2, 50, 0.1, seed=1)
