#!/usr/bin/env python3
"""Kiln's training beside PyTorch's, from the same weights, with the same batches and the same noise.

    OMP_NUM_THREADS=1 tests/bench/compare_training.py build/kiln --classifier WEIGHTS.safetensors
        [--family ddpm ...] [--seeds 0 1 2] [--steps 1500] [--results FILE.jsonl]

Each family trains at a reduced size on Fashion-MNIST (minutes of one core a seed) and then draws pictures from both
weights, by Kiln, with the same noise and few steps. Two bars: the mean loss of the last 100 steps differs by 2 % at
most, and the Frechet distances to the test pictures in the classifier's features (classifier.py) by 15 %, as means over
the seeds. Exit status 1 where one is missed. A result is a line of FILE.jsonl, and what is there already is not run
again. Needs PyTorch, diffusers and safetensors.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time
from types import SimpleNamespace

import diffusers
import numpy as np
import torch
from safetensors.numpy import load_file, save_file

import classifier
import fashion
import metrics
import torch_twin
from torch_twin import phase

import cdiff  # of tests/golden
import ddpm
import ncsn
import refinenet
import vae
import wgan

LAST, LOSS_BAR, DISTANCE_BAR = 100, 0.02, 0.15
LEVELS = (15, 0.01, 24)
UNET = {"block_out_channels": (16, 32, 32), "layers_per_block": 1, "norm_num_groups": 8}
UNET_INI = """
[network]
block_out_channels = 16, 32, 32
layers_per_block = 1
norm_num_groups = 8
attention_head_dim = 0
"""


def unet(**extra):
    return diffusers.UNet2DModel(sample_size=28, in_channels=1, out_channels=1, attention_head_dim=None,
                                 down_block_types=("DownBlock2D", "DownBlock2D", "AttnDownBlock2D"),
                                 up_block_types=("AttnUpBlock2D", "UpBlock2D", "UpBlock2D"), **UNET, **extra)


def families():
    """By name: the network's part of the config, options of training, PyTorch's network and phases, and of sampling."""
    cdiff.CLASSES = 10
    sigmas = ncsn.ladder(*LEVELS)
    return {
        "vae": SimpleNamespace(
            ini="[model]\nplugin = vae\n[network]\narch = mlp\n", rate=1e-3,
            model=lambda: vae.Vae(1, 28, 20, hidden=400), phases=[phase("", vae.loss_of(False, 1.0))],
            sample=["-n", "2048"]),
        "wgan-gp": SimpleNamespace(
            ini="[model]\nplugin = wgan\n[network]\narch = pair28\nlatent_size = 64\nfeatures = 16\n"
                "[train]\nloss = wgan-gp\ngp_weight = 10\ncritic_steps = 5\n", rate=2e-4, betas=(0.5, 0.9), clip=0,
            model=lambda: wgan.Gan(wgan.PairGenerator(64, 1, 16), wgan.PairCritic(1, 16)),
            phases=[phase(p, wgan.loss_of("wgan-gp", p, 64, False, 10), f"{p}.", n)
                    for p, n in (("critic", 5), ("generator", 1))],
            sample=["-n", "2048"]),
        "ddpm": SimpleNamespace(
            ini="[model]\nplugin = ddpm" + UNET_INI, rate=5e-4, model=unet,
            phases=[phase("", lambda m, x, _label, step: ddpm.loss_of("linear", 1000, "epsilon", 0)(m, x, None, step))],
            sample=["-n", "2048", "--sampler", "ddim", "--steps", "10"]),
        "ncsn": SimpleNamespace(
            ini="[model]\nplugin = ncsn\n[network]\narch = refinenet\nngf = 16\n[noise]\nsigma_begin = %g\n"
                "sigma_end = %g\nnum_scales = %d\nsteps_per_scale = 2\n" % LEVELS, rate=1e-3,
            model=lambda: refinenet.RefineNet(1, 16, LEVELS[2]), phases=[phase("", ncsn.loss_of(sigmas, True))],
            sample=["-n", "512", "--sampler", "ald"]),
        "cdiff": SimpleNamespace(
            ini="[model]\nplugin = cdiff" + UNET_INI + "[train]\nlabel_dropout = 0.1\n", rate=5e-4,
            model=lambda: unet(num_class_embeds=11), phases=[phase("", cdiff.unet_loss(1000, 0.1, False))],
            sample=["-n", "2048", "--sampler", "ddim", "--steps", "10", "--guidance", "2", "--class", "all"]),
    }


class Kiln:
    """Runs of kiln in a folder."""

    def __init__(self, path, folder):
        self.path, self.folder = path, folder

    def run(self, *arguments):
        subprocess.run([self.path, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)

    def train(self, ini, out, seed, steps, options):
        config = self.folder / "config.ini"
        config.write_text(ini)
        settings = {"batch_size": options.batch_size, "learning_rate": options.learning_rate, "optimizer": "adam",
                    "betas": "%g, %g" % options.betas, "grad_clip": options.grad_clip, "ema_decay": options.ema_decay,
                    "log_every": 1, "sample_every": 0, "checkpoint_every": 0}
        sets = [word for k, v in settings.items() for word in ("--set", f"train.{k}={v}")]
        self.run("train", config, "--out", self.folder / out, "--seed", seed, "--steps", steps, "--quiet", "--no-tune",
                 "--device", "cpu", "--set", "run.threads=1", *sets)

    def first_weights(self, ini, seed, options):
        """The weights before training: those after a step that does not move them."""
        still = SimpleNamespace(**{**vars(options), "learning_rate": 0})
        self.train(ini, "first", seed, 1, still)
        return load_file(self.folder / "first" / "checkpoint.safetensors")

    def losses(self, out, phases):
        lines = [json.loads(line) for line in (self.folder / out / "log.jsonl").read_text().splitlines()]
        return {p.name: [line[f"{p.name}_loss" if p.name else "loss"] for line in lines] for p in phases}

    def samples(self, weights, arguments):
        raw = self.folder / "samples.safetensors"
        self.run("sample", weights, "--raw", raw, "--seed", 1, "--quiet", "--no-tune", "--device", "cpu", "--set",
                 "run.threads=1", *arguments)
        return load_file(raw)["samples"][:, 0].clip(0, 1)


def torch_state(tensors, model):
    """Kiln's checkpoint as a strict state_dict of the network."""
    state = {k: torch.from_numpy(v) for k, v in tensors.items() if not k.startswith(("ema.", "optim.")) and k != "sigmas"}
    model.load_state_dict(state)


def progress(steps):
    start = time.time()

    def show(step):
        if (step + 1) % 250 == 0:
            print(f"    PyTorch {step + 1}/{steps}, {time.time() - start:.0f} s", file=sys.stderr, flush=True)
    return show


def compare(kiln, name, family, seed, options, judge):
    """Trains both; returns a result, one line of the file."""
    start = time.time()
    first = kiln.first_weights(family.ini, seed, options)
    kiln.train(family.ini, "kiln", seed, options.steps, options)
    seconds = time.time() - start
    model = family.model()
    torch_state(first, model)
    pictures, labels = fashion.load("train")
    theirs, average = torch_twin.train(model, family.phases, (pictures, labels), options, seed, progress(options.steps))
    state = {k: v.numpy() for k, v in {**model.state_dict(), **average}.items()}
    state.update({k: v for k, v in first.items() if k == "sigmas"})
    save_file({k: np.ascontiguousarray(v) for k, v in state.items()}, kiln.folder / "torch.safetensors")
    ours = kiln.losses("kiln", family.phases)
    result = {"family": name, "seed": seed, "steps": options.steps, "kiln_seconds": round(seconds, 1),
              "torch_seconds": round(time.time() - start - seconds, 1)}
    result["loss"] = {p.name: [float(np.mean(ours[p.name][-LAST:])), float(np.mean(theirs[p.name][-LAST:]))]
                      for p in family.phases[:1]}
    result["first_loss"] = [ours[family.phases[0].name][0], theirs[family.phases[0].name][0]]
    result["frechet"] = [judge(kiln.samples(kiln.folder / "kiln", family.sample)),
                         judge(kiln.samples(kiln.folder / "torch.safetensors",
                                            ["--config", kiln.folder / "kiln" / "config.ini", *family.sample]))]
    return result


def off(ours, theirs):
    return abs(ours - theirs) / abs(theirs)


def report(results):
    """Prints a row a family; returns whether a bar is missed."""
    missed = False
    print(f"{'family':<9}{'seeds':>6}{'loss: Kiln':>12}{'PyTorch':>10}{'off':>8}{'Frechet: Kiln':>15}{'PyTorch':>10}{'off':>8}")
    for name in dict.fromkeys(r["family"] for r in results):
        rows = [r for r in results if r["family"] == name]
        losses = np.array([pair for r in rows for pair in r["loss"].values()])
        distances = np.array([r["frechet"] for r in rows]).mean(0)
        loss_off, distance_off = max(off(*pair) for pair in losses), off(*distances)
        wrong = loss_off > LOSS_BAR or distance_off > DISTANCE_BAR
        missed |= wrong
        print(f"{name:<9}{len(rows):>6}{losses[:, 0].mean():>12.5g}{losses[:, 1].mean():>10.5g}{loss_off:>8.2%}"
              f"{distances[0]:>15.2f}{distances[1]:>10.2f}{distance_off:>8.2%}{'  MISSED' if wrong else ''}")
    return missed


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kiln")
    parser.add_argument("--classifier", required=True)
    parser.add_argument("--family", nargs="+", default=["vae", "wgan-gp", "ddpm", "ncsn", "cdiff"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--results", type=pathlib.Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    network = classifier.load(arguments.classifier)
    real = classifier.describe(network, fashion.load("t10k")[0])[0]
    known, results = families(), []
    if arguments.results and arguments.results.exists():
        results = [json.loads(line) for line in arguments.results.read_text().splitlines()]
    done = {(r["family"], r["seed"], r["steps"]) for r in results}
    for seed in arguments.seeds:
        for name in arguments.family:
            if (name, seed, arguments.steps) in done:
                continue
            family = known[name]
            options = SimpleNamespace(steps=arguments.steps, batch_size=32, learning_rate=family.rate,
                                      betas=getattr(family, "betas", (0.9, 0.999)), ema_decay=0.99,
                                      grad_clip=getattr(family, "clip", 1))
            with tempfile.TemporaryDirectory(prefix="kiln-compare-") as folder:
                result = compare(Kiln(arguments.kiln, pathlib.Path(folder)), name, family, seed, options,
                                 lambda x: metrics.frechet(classifier.describe(network, x)[0], real))
            results.append(result)
            print(json.dumps(result), file=sys.stderr, flush=True)
            if arguments.results:
                with arguments.results.open("a") as file:
                    file.write(json.dumps(result) + "\n")
    sys.exit(bool(report(results)))


if __name__ == "__main__":
    main()
