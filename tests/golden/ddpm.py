#!/usr/bin/env python3
"""Makes ddpm-*.safetensors. Versions: diffusers 0.42.1, torch 2.15.0. Never run by the tests.

    python3 tests/golden/ddpm.py        (in the folder of the project)
"""
import pathlib

import diffusers
import numpy as np
import torch

import philox
import training

HERE = pathlib.Path(__file__).parent


def alphas_cumprod(schedule, steps):
    if schedule == "linear":
        betas = np.linspace(1e-4, 0.02, steps)
    else:
        def bar(u):
            return np.cos((u + 0.008) / 1.008 * np.pi / 2) ** 2
        i = np.arange(steps)
        betas = np.minimum(1 - bar((i + 1) / steps) / bar(i / steps), 0.999)
    return np.cumprod(1 - betas)


def loss_of(schedule, steps, prediction, gamma):
    bar = alphas_cumprod(schedule, steps)

    def loss(model, x, label, step):
        n = x.shape[0]
        t = philox.integers((n,), steps, training.SEED, step, 1)
        noise = torch.from_numpy(philox.normal(tuple(x.shape), training.SEED, step, 2))
        x = 2 * x - 1
        signal = torch.from_numpy(np.sqrt(bar[t]).astype(np.float32)).reshape(-1, 1, 1, 1)
        sigma = torch.from_numpy(np.sqrt(1 - bar[t]).astype(np.float32)).reshape(-1, 1, 1, 1)
        x_t = signal * x + sigma * noise
        extra = {} if label is None else {"class_labels": label}
        out = model(x_t, torch.from_numpy(t), **extra).sample
        target = {"epsilon": noise, "sample": x, "v_prediction": signal * noise - sigma * x}[prediction]
        error = (out - target) ** 2
        if gamma:
            snr = bar[t] / (1 - bar[t])
            capped = np.minimum(snr, gamma)
            weight = {"epsilon": capped / snr, "sample": capped, "v_prediction": capped / (snr + 1)}[prediction]
            error = error * torch.from_numpy(weight.astype(np.float32)).reshape(-1, 1, 1, 1)
        return error.mean()
    return loss


def case(name, channels, size, schedule="linear", steps=1000, prediction="epsilon", gamma=0, batch=4, **keys):
    torch.manual_seed(1)
    model = diffusers.UNet2DModel(sample_size=size, in_channels=channels, out_channels=channels, **keys)
    lines = ["[model]", "plugin = ddpm", "[network]"]
    for key, value in keys.items():
        if isinstance(value, tuple):
            value = ", ".join(map(str, value))
        elif isinstance(value, bool):
            value = str(value).lower()
        elif value is None:
            value = 0
        lines.append(f"{key} = {value}")
    lines += ["[scheduler]", f"beta_schedule = {schedule}", f"num_train_timesteps = {steps}", f"prediction_type = {prediction}"]
    if gamma:
        lines += ["[train]", "loss_weighting = min_snr", f"snr_gamma = {gamma}"]
    zero = [k for k in model.state_dict() if k.endswith("to_k.bias")]
    training.make(HERE / f"{name}.safetensors", "\n".join(lines) + "\n", model, loss_of(schedule, steps, prediction, gamma),
                  training.pictures(batch, channels, size, size), zero_gradient=zero, tolerance="1e-4")


if __name__ == "__main__":
    case("ddpm-small", 1, 8, block_out_channels=(8, 16), down_block_types=("DownBlock2D", "AttnDownBlock2D"),
         up_block_types=("AttnUpBlock2D", "UpBlock2D"), layers_per_block=1, norm_num_groups=4, attention_head_dim=None)
    case("ddpm-blocked", 3, 8, "squaredcos_cap_v2", 80, "v_prediction", 5.0, block_out_channels=(16, 32), layers_per_block=1,
         down_block_types=("AttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "AttnUpBlock2D"),
         norm_num_groups=8, attention_head_dim=8, downsample_padding=0, flip_sin_to_cos=False, freq_shift=1, norm_eps=1e-6)
    case("ddpm-shift", 1, 12, "linear", 200, "sample", block_out_channels=(12, 24), layers_per_block=2,
         down_block_types=("AttnDownBlock2D", "DownBlock2D"), up_block_types=("AttnUpBlock2D", "UpBlock2D"), norm_num_groups=3,
         attention_head_dim=6, resnet_time_scale_shift="scale_shift", downsample_type="resnet", upsample_type="resnet",
         mid_block_scale_factor=1.5, act_fn="mish", center_input_sample=True)
