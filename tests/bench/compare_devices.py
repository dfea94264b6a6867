#!/usr/bin/env python3
"""The same noise on two devices: how far the pictures of trained models are apart.

    tests/bench/compare_devices.py build/kiln runs/ddpm runs/vae ... [--devices cpu opencl:0] [-n 16]

Every run is sampled on both devices from the same --noise by deterministic samplers: ddim, dpmpp_2m, annealed Langevin
without its noise, the one step of VAE and GAN. Prints the mean and the largest absolute difference of the pictures in
0..1 times 255; the bar is a mean below 1. Exit status 1 where one is missed.
"""
import argparse
import configparser
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from safetensors.numpy import load_file, save_file

BAR = 1.0
SAMPLERS = {  # plugin: variants of the arguments
    "vae": [[]],
    "wgan": [[]],
    "ddpm": [["--sampler", "ddim", "--steps", "20"], ["--sampler", "dpmpp_2m", "--steps", "12"]],
    "cdiff": [["--sampler", "ddim", "--steps", "20", "--guidance", "2", "--class", "all"],
              ["--sampler", "dpmpp_2m", "--steps", "12", "--guidance", "2", "--class", "all"]],
    "ncsn": [["--sampler", "ald", "--steps", "1", "--set", "sample.noise_scale=0"]],
}


def noise_of(run, config, n):
    """Noise [n, ...] in the model's own scale: uniform for ncsn, normal for the others."""
    draw = np.random.default_rng(5)
    plugin = config["model"]["plugin"]
    if plugin in ("vae", "wgan"):
        return draw.standard_normal((n, int(config["network"]["latent_size"])))
    size = int(config["data"]["image_size"]) or 28
    channels = int(config["data"]["channels"]) or 1
    shape = (n, channels, size, size)
    return draw.random(shape) if plugin == "ncsn" else draw.standard_normal(shape)


def sample(kiln, run, device, folder, arguments):
    raw = f"{folder}/raw.safetensors"
    subprocess.run([kiln, "sample", run, "--device", device, "--raw", raw, "--quiet", *arguments], check=True,
                   stdout=subprocess.DEVNULL)
    return load_file(raw)["samples"].clip(0, 1)


def compare(kiln, run, devices, n, folder):
    """Prints a line a sampler; returns the largest mean difference."""
    config = configparser.ConfigParser(inline_comment_prefixes=(";",))
    config.read(pathlib.Path(run) / "config.ini")
    noise = f"{folder}/noise.safetensors"
    save_file({"noise": noise_of(run, config, n).astype(np.float32)}, noise)
    worst = 0
    for arguments in SAMPLERS[config["model"]["plugin"]]:
        first, second = (sample(kiln, run, device, folder, ["-n", str(n), "--noise", noise, *arguments])
                         for device in devices)
        difference = 255 * np.abs(first.astype(np.float64) - second)
        worst = max(worst, difference.mean())
        name = f"{pathlib.Path(run).name} {' '.join(a for a in arguments if not a.startswith('-'))}"
        print(f"{name:<44} mean {difference.mean():.5f}/255  largest {difference.max():.4f}/255"
              f"{'' if difference.mean() < BAR else '  MISSED'}", flush=True)
    return worst


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kiln")
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--devices", nargs=2, default=["cpu", "opencl:0"])
    parser.add_argument("-n", type=int, default=16)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kiln-devices-") as folder:
        worst = [compare(arguments.kiln, run, arguments.devices, arguments.n, folder) for run in arguments.runs]
    sys.exit(not all(value < BAR for value in worst))


if __name__ == "__main__":
    main()
