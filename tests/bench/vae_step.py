#!/usr/bin/env python3
"""Kiln's training step of config/vae.ini beside PyTorch's, in turns on one machine.

    tests/bench/vae_step.py build/kiln [--device cpu] [--rounds 7]

Run it with the Python that has the PyTorch to compare with; Debian's wants an OpenMP BLAS:
    LD_LIBRARY_PATH=/usr/lib/x86_64-linux-gnu/openblas-openmp /usr/bin/python3 tests/bench/vae_step.py build/kiln

Both train 784-400-20-400-784 with Adam at batch 128 on two threads. Kiln's time is that of its log between two logged
steps, data and reading of the loss included. Prints the median of each, and the median of the ratios round by round.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import tempfile
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

ROOT = pathlib.Path(__file__).parents[2]


class Vae(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc21, self.fc22 = nn.Linear(784, 400), nn.Linear(400, 20), nn.Linear(400, 20)
        self.fc3, self.fc4 = nn.Linear(20, 400), nn.Linear(400, 784)

    def forward(self, x):
        h = F.relu(self.fc1(x))
        mu, logvar = self.fc21(h), self.fc22(h)
        z = mu + torch.randn_like(mu) * torch.exp(0.5 * logvar)
        return self.fc4(F.relu(self.fc3(z))), mu, logvar


def torch_step_seconds(model, optimizer, x, seconds=1.5):
    def step():
        optimizer.zero_grad(set_to_none=True)
        logits, mu, logvar = model(x)
        bce = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
        (bce - 0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())).backward()
        optimizer.step()
    for _ in range(20):
        step()
    n, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        step()
        n += 1
    return (time.perf_counter() - start) / n


def kiln_step_seconds(kiln, device, steps):
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([kiln, "train", str(ROOT / "config/vae.ini"), "--out", folder + "/run", "--device", device, "--quiet",
                        "--steps", str(steps), "--set", f"train.log_every={steps // 4}", "--set", "train.sample_every=0",
                        "--set", "train.checkpoint_every=0", "--set", "run.threads=2"],
                       check=True, stdout=subprocess.DEVNULL)
        lines = [json.loads(line) for line in open(folder + "/run/log.jsonl")]
    lines = [line for line in lines if line["step"] >= steps // 4]
    return (lines[-1]["seconds"] - lines[0]["seconds"]) / (lines[-1]["step"] - lines[0]["step"])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("kiln")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=1200)
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    torch.set_flush_denormal(True)
    model = Vae()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    x = torch.rand(128, 784)
    pairs = []
    for _ in range(arguments.rounds):
        ours = kiln_step_seconds(arguments.kiln, arguments.device, arguments.steps)
        theirs = torch_step_seconds(model, optimizer, x)
        pairs.append((ours, theirs))
        print(f"kiln {ours * 1e3:.2f} ms, torch {theirs * 1e3:.2f} ms, ratio {theirs / ours:.2f}", flush=True)
    print(f"median: kiln {statistics.median(p[0] for p in pairs) * 1e3:.2f} ms on {arguments.device}, "
          f"torch {torch.__version__} {statistics.median(p[1] for p in pairs) * 1e3:.2f} ms, "
          f"ratio {statistics.median(p[1] / p[0] for p in pairs):.2f}")


main()
