#!/usr/bin/env python3
"""Makes ncsn-*.safetensors. Versions: torch 2.15.0. Never run by the tests.

    python3 tests/golden/ncsn.py        (in the folder of the project)
"""
import pathlib

import numpy as np
import torch
import torch.nn as nn

import philox
import training
from refinenet import RefineNet

HERE = pathlib.Path(__file__).parent
STREAM_LEVEL, STREAM_NOISE, STREAM_DEQUANTISE = 1, 2, 5


def ladder(begin, end, scales):
    return torch.from_numpy(np.exp(np.linspace(np.log(begin), np.log(end), scales)).astype(np.float32))


class Mlp(nn.Module):
    """The score of points: three hidden layers on the point at two scales and log sigma."""

    def __init__(self, width, sigma_begin):
        super().__init__()
        self.sigma_begin = sigma_begin
        self.layers = nn.ModuleList([nn.Linear(i, o) for i, o in ((5, width), (width, width), (width, width), (width, 2))])

    def forward(self, x, sigma):
        scaled = x / torch.sqrt(sigma**2 + self.sigma_begin**2)
        h = torch.cat([scaled, 4 / self.sigma_begin * x, (0.25 * sigma.log()).expand(-1, 1)], 1)
        for layer in self.layers[:-1]:
            h = torch.nn.functional.silu(layer(h))
        return self.layers[-1](h)


def loss_of(sigmas, divide, dequantise=False):
    """Denoising score matching with the weight sigma^2, and score = network, divided by sigma if so asked."""
    def loss(model, x, _label, step):
        level = philox.integers((len(x),), len(sigmas), training.SEED, step, STREAM_LEVEL)
        sigma = sigmas[level].reshape(-1, *[1] * (x.dim() - 1))
        if dequantise:
            u = torch.from_numpy(philox.uniform(tuple(x.shape), training.SEED, step, STREAM_DEQUANTISE))
            x = x * 255 / 256 + u / 256
        noise = sigma * torch.from_numpy(philox.normal(tuple(x.shape), training.SEED, step, STREAM_NOISE))
        out = model(x + noise, sigma if isinstance(model, Mlp) else torch.from_numpy(level))
        score = out / sigma if divide else out
        return ((score + noise / sigma**2) ** 2 * sigma**2).flatten(1).sum(1).mean() / 2
    return loss


def config_of(sigmas, dequantise=False, **network):
    lines = ["[model]", "plugin = ncsn", "[network]"] + [f"{k} = {str(v).lower()}" for k, v in network.items()]
    return "\n".join(lines + ["[noise]", f"sigma_begin = {sigmas[0]}", f"sigma_end = {sigmas[1]}", f"num_scales = {sigmas[2]}",
                              f"dequantise = {str(dequantise).lower()}"]) + "\n"


def pictures(name, ngf, channels, size, sigmas, conditional=False, dequantise=False, batch=3, seed=1):
    torch.manual_seed(seed)
    model = RefineNet(channels, ngf, sigmas[2], conditional)
    drawn = training.draw(model)
    config = config_of(sigmas, dequantise, arch="refinenet", ngf=ngf, conditional=conditional, divide_by_sigma=not conditional)
    training.make(HERE / f"{name}.safetensors", config, model, loss_of(ladder(*sigmas), not conditional, dequantise),
                  training.pictures(batch, channels, size, size), tolerance="1e-4", drawn=drawn)


def points(name, width, sigmas, divide, batch=16):
    torch.manual_seed(1)
    rng = np.random.default_rng(5)
    data = (rng.normal(size=(training.STEPS, batch, 2)) + 4 * rng.integers(0, 2, (training.STEPS, batch, 1))).astype(np.float32)
    training.make(HERE / f"{name}.safetensors", config_of(sigmas, arch="mlp", ngf=width, divide_by_sigma=divide),
                  Mlp(width, sigmas[0]), loss_of(ladder(*sigmas), divide), data, ema_decay=0.99)


if __name__ == "__main__":
    pictures("ncsn-refinenet", 8, 1, 8, (3, 0.05, 6), seed=5)
    pictures("ncsn-refinenet-colour", 8, 3, 12, (8, 0.02, 10), dequantise=True, batch=2, seed=2)
    pictures("ncsn-refinenet-wide", 16, 1, 8, (3, 0.05, 6), batch=2)
    pictures("ncsn-conditional", 8, 1, 8, (2, 0.1, 5), conditional=True)
    points("ncsn-mlp", 24, (8, 0.1, 10), True)
    points("ncsn-mlp-plain", 17, (5, 0.3, 7), False)
