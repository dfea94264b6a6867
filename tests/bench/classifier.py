#!/usr/bin/env python3
"""A small classifier of Fashion-MNIST that measures what models draw: three convolutions, 128 features, ten classes.

    OMP_NUM_THREADS=1 tests/bench/classifier.py WEIGHTS.safetensors [--epochs 8]

Trains it (minutes on one core) and prints its test accuracy; exit status 1 below 91 %. The weights are no part of the
project: quality.py and compare_training.py ask for their path. Needs PyTorch and safetensors.
"""
import argparse
import sys
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

import fashion

FEATURES = 128
BAR = 0.91


def block(inputs, outputs):
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(),
                         nn.MaxPool2d(2))


class Classifier(nn.Module):
    """Pictures [N, 1, 28, 28] in 0..1 -> logits [N, 10]; features are what its last layer sees."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(block(1, 32), block(32, 64), block(64, 96), nn.Flatten(), nn.Linear(9 * 96, FEATURES),
                                  nn.ReLU())
        self.head = nn.Linear(FEATURES, 10)

    def features(self, x):
        return self.body(2 * x - 1)

    def forward(self, x):
        return self.head(F.dropout(self.features(x), 0.3, self.training))


def load(path):
    model = Classifier()
    model.load_state_dict(load_file(path))
    return model.eval()


@torch.no_grad()
def describe(model, pictures, batch=500):
    """Pictures [N, 28, 28] or [N, 1, 28, 28], u8 or f32 in 0..1 -> features [N, 128], probabilities [N, 10], as f64."""
    features, probabilities = [], []
    for i in range(0, len(pictures), batch):
        x = torch.from_numpy(np.ascontiguousarray(pictures[i:i + batch]).reshape(-1, 1, 28, 28))
        h = model.features(x.float() / 255 if x.dtype == torch.uint8 else x)
        features.append(h.double())
        probabilities.append(model.head(h).double().softmax(1))
    return torch.cat(features).numpy(), torch.cat(probabilities).numpy()


def train(epochs, seed=0, batch=128):
    torch.manual_seed(seed)
    pictures, labels = fashion.load("train")
    pictures, labels = torch.from_numpy(pictures), torch.from_numpy(labels.astype(np.int64))
    model = Classifier()
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.01)
    n_batches = len(pictures) // batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, epochs * n_batches)
    start = time.time()
    for epoch in range(epochs):
        order, right = torch.randperm(len(pictures)), 0
        for i in range(n_batches):
            chosen = order[i * batch:(i + 1) * batch]
            x = pictures[chosen, None].float() / 255
            if torch.rand(()) < 0.5:
                x = x.flip(3)
            logits = model(x)
            optimizer.zero_grad()
            F.cross_entropy(logits, labels[chosen]).backward()
            optimizer.step()
            schedule.step()
            right += (logits.argmax(1) == labels[chosen]).sum().item()
        print(f"epoch {epoch + 1}/{epochs}: {right / (n_batches * batch):.4f} of the training pictures right, "
              f"{time.time() - start:.0f} s", flush=True)
    return model.eval()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", help="safetensors file to write")
    parser.add_argument("--epochs", type=int, default=8)
    arguments = parser.parse_args()
    model = train(arguments.epochs)
    save_file(model.state_dict(), arguments.weights)
    pictures, labels = fashion.load("t10k")
    _, probabilities = describe(model, pictures)
    accuracy = (probabilities.argmax(1) == labels).mean()
    sure = (probabilities.max(1) > 0.8).mean()
    print(f"test accuracy {accuracy:.4f} (bar {BAR}); sure above 0.8 of {sure:.4f} of the test pictures")
    sys.exit(bool(accuracy < BAR))


if __name__ == "__main__":
    main()
