#!/usr/bin/env python3
"""Measures pictures that a model trained on Fashion-MNIST has drawn, by a classifier (classifier.py trains it).

    kiln sample runs/ddpm -n 1000 --raw ddpm.safetensors
    tests/bench/quality.py ddpm.safetensors --classifier WEIGHTS.safetensors

FILE holds "samples" [N, 1, 28, 28] (or 32 x 32, whose margin is cut off) in 0..1, and "labels" [N] where a class was
asked for. Prints a table with the bars; exit status 1 where one is missed.
"""
import argparse
import sys

import numpy as np
from safetensors.numpy import load_file

import classifier
import fashion
import metrics

SURE, SURE_SHARE, CLASS_SHARE, ASKED_SHARE, DISTANCE = 0.8, 0.80, 0.03, 0.95, 0.6


def pictures_of(path):
    """Samples [N, 28, 28] f32, and the labels or None."""
    tensors = load_file(path)
    samples = tensors["samples"]
    if samples.ndim != 4 or samples.shape[1] != 1 or samples.shape[2:] not in ((28, 28), (32, 32)):
        sys.exit(f"{path}: samples {samples.shape}, expected [N, 1, 28, 28] or [N, 1, 32, 32]")
    margin = (samples.shape[2] - 28) // 2
    samples = samples[:, 0, margin:margin + 28, margin:margin + 28]
    if not np.isfinite(samples).all():
        sys.exit(f"{path}: samples are not finite")
    return np.ascontiguousarray(samples.clip(0, 1)), tensors.get("labels")


class Report:
    """Rows of a table; remembers whether a bar was missed."""

    def __init__(self):
        self.missed = False

    def row(self, name, value, bar=None):
        verdict = ""
        if bar is not None:
            verdict = f"bar {bar:.2f}  {'reached' if value >= bar else 'MISSED'}"
            self.missed |= not value >= bar
        print(f"{name:<44}{value:10.3f}  {verdict}".rstrip())


def measure(samples, labels, model):
    test, test_labels = fashion.load("t10k")
    real, _ = classifier.describe(model, test)
    drawn, probabilities = classifier.describe(model, samples)
    found = probabilities.argmax(1)
    report = Report()
    print(f"{len(samples)} samples")
    report.row(f"share with a probability above {SURE}", (probabilities.max(1) > SURE).mean(), SURE_SHARE)
    shares = np.bincount(found, minlength=10) / len(found)
    for name, share in zip(fashion.CLASSES, shares):
        report.row(f"  share of class {name}", share, CLASS_SHARE)
    ratio = metrics.within_class(drawn, found if labels is None else labels) / metrics.within_class(real, test_labels)
    if labels is None:
        report.row("distance within a class / of test pictures", ratio)
    else:
        report.row("share classified as asked", (found == labels).mean(), ASKED_SHARE)
        for k, name in enumerate(fashion.CLASSES):
            if (labels == k).any():
                report.row(f"  asked {name}", (found[labels == k] == k).mean())
        report.row("distance within a class / of test pictures", ratio, DISTANCE)
    report.row("Frechet distance to the test pictures", metrics.frechet(drawn, real))
    return report.missed


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file")
    parser.add_argument("--classifier", required=True, help="weights that classifier.py wrote")
    arguments = parser.parse_args()
    samples, labels = pictures_of(arguments.file)
    sys.exit(bool(measure(samples, labels, classifier.load(arguments.classifier))))


if __name__ == "__main__":
    main()
