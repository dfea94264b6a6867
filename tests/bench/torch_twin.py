"""Trains in PyTorch as Kiln does: from the same weights, with the same batches and the same random numbers.

The networks, their losses and Kiln's random numbers are those of the scripts in tests/golden.
"""
import pathlib
import sys
from types import SimpleNamespace

import numpy as np
import torch

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "golden"))
import philox  # noqa: E402
import training  # noqa: E402

STREAM_SHUFFLE = 0x7F000001


class Batches:
    """Kiln's order of the training set (core/run/batches.c)."""

    def __init__(self, seed, n, size):
        self.seed, self.n, self.size, self.epoch = seed, n, size, -1

    def shuffle(self, epoch):
        words = philox.words((1, self.n), self.seed, 0, STREAM_SHUFFLE, first_sample=epoch)[0][0].astype(np.uint64)
        chosen = ((words * np.arange(1, self.n + 1, dtype=np.uint64)) >> np.uint64(32)).tolist()
        order = [0] * self.n
        for i, j in enumerate(chosen):
            order[i] = order[j]
            order[j] = i
        self.order, self.epoch = np.array(order), epoch

    def indices(self, draw):
        positions = draw * self.size + np.arange(self.size)
        chosen = []
        for position in positions:
            if position // self.n != self.epoch:
                self.shuffle(position // self.n)
            chosen.append(self.order[position % self.n])
        return np.array(chosen)


def phase(name, loss_of, group="", repeats=1):
    """A part of a step: repeats updates of the parameters of a group; loss_of(model, x, label, rng step)."""
    return SimpleNamespace(name=name, loss_of=loss_of, group=group, repeats=repeats)


def train(model, phases, data, options, seed, progress=lambda step: None):
    """data: pictures [N, H, W] u8 and labels [N]. options: steps, batch_size, learning_rate, betas, grad_clip, ema_decay.

    Returns the losses of each step (of a phase's last update) by phase, and the average of the parameters.
    """
    pictures, labels = data
    training.SEED = seed
    batches = Batches(seed, len(pictures), options.batch_size)
    trained = {p.name: {k: v for k, v in model.named_parameters() if k.startswith(p.group)} for p in phases}
    optimizers = {name: torch.optim.Adam(group.values(), lr=options.learning_rate, betas=options.betas)
                  for name, group in trained.items()}
    average = {k: v.detach().clone() for k, v in model.named_parameters()}
    losses = {p.name: [] for p in phases}
    number = 0
    for step in range(options.steps):
        for p in phases:
            for _ in range(p.repeats):
                chosen = batches.indices(number)
                x, label = training.as_float(pictures[chosen, None]), torch.from_numpy(labels[chosen].astype(np.int64))
                model.zero_grad()
                loss = p.loss_of(model, x, label, number + 1)
                loss = loss[0] if isinstance(loss, tuple) else loss
                loss.backward()
                if options.grad_clip:
                    torch.nn.utils.clip_grad_norm_(trained[p.name].values(), options.grad_clip)
                optimizers[p.name].step()
                with torch.no_grad():
                    for k, v in trained[p.name].items():
                        average[k].lerp_(v, 1 - options.ema_decay)
                number += 1
            losses[p.name].append(loss.item())
        progress(step)
    return losses, average
